//! What several keys want of a URL. No message quotes the URL: it may hold a password.

use ::url::{Host, Url};

use super::super::read::item::Text;

/// An absolute `http` or `https` URL without user information or fragment.
pub(super) fn web(text: &Text<'_>) -> Option<Url> {
    absolute(text, "must start with http:// or https://")
}

/// [`web`], and `https` unless it is for a loopback address and the issuer says `insecure_http = true`.
pub(super) fn issuer(text: &Text<'_>, insecure_http: bool) -> Option<Url> {
    const ACCEPTED: &str = "must start with https:// (http:// only for a loopback address, with insecure_http = true)";
    let url = absolute(text, ACCEPTED)?;
    if url.scheme() == "https" || (insecure_http && is_loopback(&url)) {
        return Some(url);
    }
    text.error(ACCEPTED)
}

fn absolute(text: &Text<'_>, schemes: &str) -> Option<Url> {
    let written = text.as_str();
    // The URL parser repairs what it is given; a key that is compared or sent byte for byte must need no repair.
    if !written.starts_with("https://") && !written.starts_with("http://") {
        return text.error(schemes);
    }
    if written.bytes().any(|b| !b.is_ascii_graphic() || b == b'\\') {
        return text.error("must be a URL without blanks, backslashes or characters outside ASCII");
    }
    let Ok(url) = Url::parse(written) else {
        return text.error("must be a URL such as https://host/path");
    };
    if !url.username().is_empty() || url.password().is_some() {
        return text.error("must not hold a user name or password");
    }
    if url.fragment().is_some() {
        return text.error("must not have a fragment");
    }
    Some(url)
}

/// True for `localhost` and loopback addresses: no other machine hears what goes there.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_this_machine_only() {
        let loopback = |text: &str| is_loopback(&Url::parse(text).unwrap());
        for yes in ["http://127.0.0.1:1/", "http://127.9.9.9/", "http://[::1]:80/", "http://LOCALHOST/"] {
            assert!(loopback(yes), "{yes}");
        }
        for no in ["http://localhost.evil.test/", "http://10.0.0.1/", "http://[::ffff:10.0.0.1]/", "http://0.0.0.0/"] {
            assert!(!loopback(no), "{no}");
        }
    }
}
