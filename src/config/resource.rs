//! A route's public URL, with or without `{tenant}`: what matches it and what it is for one tenant.

use std::fmt;

use crate::names::TenantId;

/// The placeholder for the tenant in a resource.
const TENANT: &str = "{tenant}";
/// The port that `https` means when none is written.
const HTTPS_PORT: u16 = 443;
/// The port that `http` means when none is written.
const HTTP_PORT: u16 = 80;

/// Why a text is no resource or no authority. `Display` says what is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidResource(&'static str);

/// Host and port under which a route is addressed. The host is lower case and may hold `{tenant}` as one whole label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    host: Pattern,
    port: u16,
}

/// One public URL: the audience, the metadata's `resource` and what a request must be addressed to (RFC 8707, RFC 9728).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    text: String,
    secure: bool,
    authority: Authority,
    path: Pattern,
}

/// Text with at most one hole, which a tenant fills.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Pattern {
    Whole(String),
    Around { before: String, after: String },
}

/// The outcome of holding a text against a pattern: it fits, and perhaps names a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// The text that stood where the pattern says `{tenant}`.
    pub tenant: Option<TenantId>,
}

impl Pattern {
    fn parse(text: &str, separator: char) -> Result<Self, InvalidResource> {
        match text.split_once(TENANT) {
            None if text.contains(['{', '}']) => Err(InvalidResource("the only placeholder is {tenant}")),
            None => Ok(Self::Whole(text.to_owned())),
            Some((before, after)) => {
                let whole = (before.is_empty() || before.ends_with(separator))
                    && (after.is_empty() || after.starts_with(separator));
                if !whole || after.contains(['{', '}']) || before.contains(['{', '}']) {
                    return Err(InvalidResource("{tenant} must stand once and be a whole path segment or host label"));
                }
                Ok(Self::Around { before: before.to_owned(), after: after.to_owned() })
            }
        }
    }

    fn matches(&self, text: &str) -> Option<Match> {
        match self {
            Self::Whole(whole) => (whole == text).then_some(Match { tenant: None }),
            Self::Around { before, after } => {
                let tenant = text.strip_prefix(before.as_str())?.strip_suffix(after.as_str())?;
                let tenant = TenantId::is_url_safe(tenant).then(|| TenantId::parse(tenant).ok())??;
                Some(Match { tenant: Some(tenant) })
            }
        }
    }

    fn has_tenant(&self) -> bool {
        matches!(self, Self::Around { .. })
    }
}

impl Authority {
    /// `host` or `host:port`; the port is the scheme's own when absent.
    pub fn parse(text: &str, secure: bool) -> Result<Self, InvalidResource> {
        let wanted = InvalidResource("must be a host name or address with an optional port, without user information");
        let (host, port) = split_authority(text).ok_or(wanted)?;
        let default = if secure { HTTPS_PORT } else { HTTP_PORT };
        let host = Pattern::parse(&host.to_ascii_lowercase(), '.')?;
        if let Pattern::Around { before, after } = &host
            && (!before.is_empty() || after.is_empty())
        {
            return Err(InvalidResource("{tenant} in a host must be its first label, with the domain after it"));
        }
        Ok(Self { host, port: port.unwrap_or(default) })
    }

    /// Holds a request's host (lower case) and port against this name.
    pub fn matches(&self, host: &str, port: u16) -> Option<Match> {
        // A host label holds no dot: `a.b.example.com` is not the tenant `a.b` of `{tenant}.example.com`.
        let found = (self.port == port).then(|| self.host.matches(host))??;
        found.tenant.as_ref().is_none_or(|tenant| !tenant.as_str().contains('.')).then_some(found)
    }

    /// True when a TLS server name (lower case) is this authority's host.
    pub fn matches_server_name(&self, name: &str) -> bool {
        self.matches(name, self.port).is_some()
    }

    /// True when two authorities could match the same request.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.port == other.port
            && match (&self.host, &other.host) {
                (Pattern::Around { after: a, .. }, Pattern::Around { after: b, .. }) => a == b,
                (Pattern::Whole(text), _) => other.matches(text, other.port).is_some(),
                (_, Pattern::Whole(text)) => self.matches(text, self.port).is_some(),
            }
    }
}

/// Host (brackets kept for IPv6) and port of an authority, or `None` when it is not one (RFC 3986 §3.2, without user information).
/// A port has one spelling: none begins with a zero.
pub fn split_authority(text: &str) -> Option<(&str, Option<u16>)> {
    let end_of_host = if text.starts_with('[') {
        text.find(']')? + 1
    } else {
        memchr::memchr(b':', text.as_bytes()).unwrap_or(text.len())
    };
    let (host, rest) = text.split_at_checked(end_of_host)?;
    let port = match rest.strip_prefix(':') {
        Some(digits) if is_port(digits) => Some(digits.parse().ok()?),
        None if rest.is_empty() => None,
        _ => return None,
    };
    is_host(host).then_some((host, port))
}

fn is_port(digits: &str) -> bool {
    digits.bytes().all(|b| b.is_ascii_digit()) && (1..=5).contains(&digits.len()) && !digits.starts_with('0')
}

fn is_host(host: &str) -> bool {
    if let Some(inner) = host.strip_prefix('[') {
        return inner.strip_suffix(']').is_some_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok());
    }
    let has_labels = |host: &str| host.len() <= 253 && has_labels(host.as_bytes());
    has_labels(host) || (host.contains(TENANT) && has_labels(&host.replace(TENANT, "t")))
}

/// Labels between single dots, none of them empty.
fn has_labels(host: &[u8]) -> bool {
    let is_label = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    let (good, last) = host.iter().fold((true, b'.'), |(good, before), &byte| {
        (good && (is_label(byte) || (byte == b'.' && before != b'.')), byte)
    });
    good && last != b'.'
}

impl Resource {
    /// An `https://` URL in lower-case host, without query, fragment, user information, percent escapes or dot segments.
    ///
    /// `http://` is accepted here; `parse.rs` lets it through only for a listener that says `insecure_plaintext`.
    pub fn parse(text: &str) -> Result<Self, InvalidResource> {
        let (secure, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => return Err(InvalidResource("must start with https://")),
        };
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at_checked(at).unwrap_or((rest, "")),
            None => (rest, ""),
        };
        if authority.replace(TENANT, "").bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(InvalidResource("the host must be written in lower case"));
        }
        check_path(path)?;
        let authority = Authority::parse(authority, secure)?;
        let path = Pattern::parse(path.strip_suffix('/').unwrap_or(path), '/')?;
        if authority.host.has_tenant() && path.has_tenant() {
            return Err(InvalidResource("{tenant} must stand once and be a whole path segment or host label"));
        }
        Ok(Self { text: text.to_owned(), secure, authority, path })
    }

    /// Host and port in the resource.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// True for `https://`.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// True when the resource has a `{tenant}`.
    pub fn has_tenant(&self) -> bool {
        self.authority.host.has_tenant() || self.path.has_tenant()
    }

    /// True when the `{tenant}` stands in the path: one authority then carries many resources.
    pub fn has_tenant_in_path(&self) -> bool {
        self.path.has_tenant()
    }

    /// Holds a request's path against this one; one trailing slash more or less is the same path.
    pub fn matches_path(&self, path: &str) -> Option<Match> {
        self.path.matches(path.strip_suffix('/').unwrap_or(path))
    }

    /// The resource identifier for one tenant, byte for byte as configured otherwise.
    pub fn for_tenant(&self, tenant: Option<&TenantId>) -> String {
        tenant.map_or_else(|| self.text.clone(), |tenant| self.text.replacen(TENANT, tenant.as_str(), 1))
    }

    /// Where the metadata document of [`Self::for_tenant`] lives.
    pub fn metadata_url(&self, tenant: Option<&TenantId>) -> String {
        let resource = self.for_tenant(tenant);
        let scheme_end = if self.secure { "https://".len() } else { "http://".len() };
        let path_start =
            resource.get(scheme_end..).and_then(|rest| rest.find('/')).map_or(resource.len(), |at| scheme_end + at);
        let (origin, path) = resource.split_at_checked(path_start).unwrap_or((&resource, ""));
        // RFC 9728 §3.1: the well-known part goes between host and path; a lone slash is dropped.
        let path = if path == "/" { "" } else { path };
        format!("{origin}{WELL_KNOWN}{path}")
    }

    /// True when two resources could be meant by the same path.
    pub fn path_overlaps(&self, other: &Self) -> bool {
        match (&self.path, &other.path) {
            (Pattern::Whole(a), Pattern::Whole(b)) => a == b,
            (Pattern::Whole(text), pattern) | (pattern, Pattern::Whole(text)) => pattern.matches(text).is_some(),
            (Pattern::Around { before: a, after: x }, Pattern::Around { before: b, after: y }) => {
                // Both holes are one segment: equal frames, or one hole swallowing the other's literal.
                a.matches('/').count() + x.matches('/').count() == b.matches('/').count() + y.matches('/').count()
                    && segments_overlap(&self.text, &other.text)
            }
        }
    }
}

/// RFC 9728 §3: where metadata documents live.
pub const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

fn segments_overlap(a: &str, b: &str) -> bool {
    let path = |text: &str| text.splitn(4, '/').nth(3).unwrap_or("").trim_end_matches('/').to_owned();
    path(a).split('/').zip(path(b).split('/')).all(|(x, y)| x == y || x == TENANT || y == TENANT)
}

fn check_path(path: &str) -> Result<(), InvalidResource> {
    let plain = path.replace(TENANT, "t");
    let fine = |b: u8| b.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@".contains(&b);
    if !plain.bytes().all(fine) {
        return Err(InvalidResource("the path must be plain: no query, fragment, percent escape or blank"));
    }
    let inner = plain.strip_suffix('/').unwrap_or(&plain);
    let bad = |segment: &str| segment.is_empty() || segment == "." || segment == "..";
    if inner.strip_prefix('/').is_some_and(|inner| inner.split('/').any(bad)) {
        return Err(InvalidResource("the path must have no empty and no dot segments"));
    }
    if plain.starts_with("/.well-known") {
        return Err(InvalidResource(
            "the path must not lie under /.well-known, where the gateway serves its own documents",
        ));
    }
    Ok(())
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_url_stands_between_host_and_path() {
        let cases = [
            ("https://h/mcp", "https://h/.well-known/oauth-protected-resource/mcp"),
            ("https://h", "https://h/.well-known/oauth-protected-resource"),
            ("https://h/", "https://h/.well-known/oauth-protected-resource"),
            ("https://h:8443/a/mcp/", "https://h:8443/.well-known/oauth-protected-resource/a/mcp/"),
        ];
        for (resource, url) in cases {
            assert_eq!(Resource::parse(resource).unwrap().metadata_url(None), url);
        }
    }

    #[test]
    fn tenant_is_one_segment_and_nothing_else() {
        let resource = Resource::parse("https://h/{tenant}/mcp").unwrap();
        let tenant = resource.matches_path("/acme/mcp").unwrap().tenant.unwrap();
        assert_eq!(tenant.as_str(), "acme");
        assert_eq!(resource.for_tenant(Some(&tenant)), "https://h/acme/mcp");
        for path in ["/a/b/mcp", "//mcp", "/mcp", "/../mcp", "/a%2fb/mcp", "/acme/mcp/x", "/acme/mcp//"] {
            assert_eq!(resource.matches_path(path), None, "{path}");
        }
        assert!(resource.matches_path("/acme/mcp/").is_some());
    }

    #[test]
    fn tenant_in_the_host_is_the_first_label() {
        let resource = Resource::parse("https://{tenant}.example.com/mcp").unwrap();
        let found = |host| resource.authority().matches(host, 443);
        assert_eq!(found("acme.example.com").unwrap().tenant.unwrap().as_str(), "acme");
        assert_eq!(found("a.b.example.com"), None);
        assert_eq!(found("example.com"), None);
        assert!(Resource::parse("https://mcp.{tenant}/x").is_err());
    }

    #[test]
    fn a_deeper_host_is_no_tenant_of_a_shorter_one() {
        let authority = |text| Authority::parse(text, true).unwrap();
        let tenants = authority("{tenant}.example.com");
        assert!(tenants.overlaps(&authority("acme.example.com")));
        assert!(authority("acme.example.com:443").overlaps(&tenants));
        assert!(!tenants.overlaps(&authority("a.b.example.com")));
        assert!(!tenants.overlaps(&authority("acme.example.com:8443")));
        assert!(!tenants.matches_server_name("a.b.example.com"));
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_no_resource() {
        let bad = [
            "h/mcp",
            "https://H/mcp",
            "https://h/a//b",
            "https://h/a/../b",
            "https://h/%61",
            "https://h/a?b",
            "https://h/#f",
            "https://u@h/mcp",
            "https://h/x{tenant}",
            "https://{tenant}.h/{tenant}",
            "https://h:99999/",
            "https:///mcp",
            "https://h/.well-known/x",
        ];
        for text in bad {
            assert!(Resource::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn overlapping_paths_are_found() {
        let resource = |text| Resource::parse(text).unwrap();
        assert!(resource("https://h/{tenant}/mcp").path_overlaps(&resource("https://h/acme/mcp")));
        assert!(resource("https://h/{tenant}/mcp").path_overlaps(&resource("https://h/a/{tenant}")));
        assert!(!resource("https://h/{tenant}/mcp").path_overlaps(&resource("https://h/{tenant}/other")));
    }
}
