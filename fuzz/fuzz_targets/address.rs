//! What is addressed: a request matches a resource only as it is written there, byte for byte.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::config::Resource;
use portcullis::config::resource::split_authority;

// The resource, a request's path, and a request's authority, each on a line.
fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut lines = text.split('\n');
    let (Some(resource), Some(path), authority) = (lines.next(), lines.next(), lines.next()) else { return };
    let Ok(resource) = Resource::parse(resource) else { return };
    let written = resource.for_tenant(None);
    let rest = written.split_once("://").unwrap().1;
    let own_path = |text: &str| text.find('/').map_or(String::new(), |at| text[at..].to_owned());
    assert!(resource.metadata_url(None).contains("/.well-known/oauth-protected-resource"));

    if let Some(found) = resource.matches_path(path) {
        let full = resource.for_tenant(found.tenant.as_ref().filter(|_| resource.has_tenant_in_path()));
        let wanted = own_path(full.split_once("://").unwrap().1);
        assert_eq!(path.strip_suffix('/').unwrap_or(path), wanted.strip_suffix('/').unwrap_or(&wanted));
        assert_eq!(found.tenant.is_some(), resource.has_tenant_in_path());
    }
    let Some((host, port)) = authority.and_then(split_authority) else { return };
    let default = if resource.is_secure() { 443 } else { 80 };
    if let Some(found) = resource.authority().matches(host, port.unwrap_or(default)) {
        let own = rest.split('/').next().unwrap();
        let own = found.tenant.as_ref().map_or(own.to_owned(), |tenant| own.replacen("{tenant}", tenant.as_str(), 1));
        let own_host = own
            .rsplit_once(':')
            .filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()))
            .map_or(own.as_str(), |(host, _)| host);
        assert!(own_host.eq_ignore_ascii_case(host), "{own_host} is not {host}");
    }
});
