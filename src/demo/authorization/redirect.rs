//! Redirect URIs: which ones may be registered, and which registered one a request may name.

use url::{Host, Url};

/// Longest redirect URI that is taken.
const MAX_REDIRECT_BYTES: usize = 2048;
/// Private-use schemes without a dot that well-known MCP clients use although RFC 8252 §7.1 asks for a reversed domain name.
const KNOWN_SCHEMES: [&str; 6] = ["cursor", "vscode", "vscode-insiders", "vscodium", "windsurf", "zed"];

/// Why a text cannot be a redirect URI. `Display` says what is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "redirect URIs are https, http on a loopback host, or a private-use scheme, without fragment or user information"
)]
pub(super) struct InvalidRedirect;

/// A redirect URI, as text and taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RedirectUri {
    text: String,
    url: Url,
}

impl RedirectUri {
    pub(super) fn parse(text: &str) -> Result<Self, InvalidRedirect> {
        if text.len() > MAX_REDIRECT_BYTES || !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(InvalidRedirect);
        }
        let url = Url::parse(text).map_err(|_| InvalidRedirect)?;
        // RFC 6749 §3.1.2: no fragment. User information only ever disguises the host on the consent page.
        let plain = url.fragment().is_none() && url.username().is_empty() && url.password().is_none();
        let allowed = match url.scheme() {
            "https" => url.has_host(),
            // RFC 8252 §7.3 and §8.3; OAuth 2.1 §8.4.2: plain http never leaves the machine.
            "http" => is_loopback(&url),
            // RFC 8252 §7.1. Everything else is refused, so `javascript:` and `data:` need no list.
            scheme => scheme.contains('.') || KNOWN_SCHEMES.contains(&scheme),
        };
        let text = text.to_owned();
        (plain && allowed).then_some(Self { text, url }).ok_or(InvalidRedirect)
    }

    /// OAuth 2.1 §2.3.1: compared character by character; only the port of a loopback URI may differ (RFC 8252 §7.3).
    pub(super) fn accepts(&self, asked: &Self) -> bool {
        if is_loopback(&self.url) && self.url.scheme() == "http" {
            return without_port(&self.text) == without_port(&asked.text);
        }
        self.text == asked.text
    }

    /// The URI with further query parameters.
    pub(super) fn with(&self, parameters: &[(&str, &str)]) -> String {
        let mut url = self.url.clone();
        url.query_pairs_mut().extend_pairs(parameters);
        url.into()
    }

    /// What the consent page shows: where the person's approval goes.
    pub(super) fn destination(&self) -> String {
        match (self.url.scheme(), self.url.host_str()) {
            ("http" | "https", Some(host)) => match self.url.port() {
                Some(port) => format!("{host}:{port}"),
                None => host.to_owned(),
            },
            (scheme, _) => format!("the application that opens {scheme}: links"),
        }
    }

    /// The source expression under which a page's form may end at this URI (CSP `form-action` also governs redirects).
    pub(super) fn form_action(&self) -> String {
        match (self.url.scheme(), self.url.host()) {
            // CSP cannot name an IPv6 address.
            (scheme @ ("http" | "https"), Some(Host::Domain(_) | Host::Ipv4(_))) => {
                format!("{scheme}://{}", self.destination())
            }
            (scheme, _) => format!("{scheme}:"),
        }
    }
}

impl std::fmt::Display for RedirectUri {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// Text before and after the port of the authority.
fn without_port(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once("://")?;
    let authority = rest.split(['/', '?']).next()?;
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    };
    let start = scheme.len() + "://".len();
    Some((text.get(..start + host.len())?, rest.get(authority.len()..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(registered: &str, asked: &str) -> bool {
        let (registered, asked) = (RedirectUri::parse(registered), RedirectUri::parse(asked));
        registered.unwrap().accepts(&asked.unwrap())
    }

    #[test]
    fn only_https_loopback_http_and_private_schemes_are_taken() {
        for good in [
            "https://app.example.com/cb?x=1",
            "http://127.0.0.1/cb",
            "http://127.0.0.1:8080/cb",
            "http://[::1]:1/cb",
            "http://localhost:3/cb",
            "com.example.app:/cb",
            "cursor://anysphere.cursor-mcp/oauth/callback",
        ] {
            assert!(RedirectUri::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "http://app.example.com/cb",
            "http://localhost.example.com/cb",
            "http://127.0.0.1.example.com/cb",
            "https://app.example.com/cb#x",
            "https://app.example.com@evil.example/cb",
            "javascript:alert(1)",
            "javascript://x/%0aalert(1)",
            "data:text/html,x",
            "file:///etc/passwd",
            "/cb",
            "",
            "https://app.example.com/a b",
        ] {
            assert_eq!(RedirectUri::parse(bad), Err(InvalidRedirect), "{bad}");
        }
    }

    #[test]
    fn only_the_port_of_a_loopback_uri_may_differ() {
        assert!(accepts("http://127.0.0.1/cb", "http://127.0.0.1:5123/cb"));
        assert!(accepts("http://127.0.0.1:1/cb?a=b", "http://127.0.0.1:2/cb?a=b"));
        assert!(accepts("http://[::1]:1/cb", "http://[::1]:2/cb"));
        assert!(accepts("http://localhost/cb", "http://localhost:7/cb"));
        assert!(accepts("https://a.example/cb", "https://a.example/cb"));
        for (registered, asked) in [
            ("http://127.0.0.1/cb", "http://127.0.0.1:5123/other"),
            ("http://127.0.0.1/cb", "http://127.0.0.1:5123/cb?x=1"),
            ("http://127.0.0.1/cb", "http://127.0.0.2/cb"),
            ("http://127.0.0.1/cb", "http://localhost/cb"),
            ("http://127.0.0.1/cb", "https://127.0.0.1/cb"),
            ("https://a.example/cb", "https://a.example:8443/cb"),
            ("https://a.example/cb", "https://a.example/cb/"),
            ("https://a.example/cb", "https://a.example/x/../cb"),
            ("https://a.example/cb", "https://A.example/cb"),
        ] {
            assert!(!accepts(registered, asked), "{registered} {asked}");
        }
    }
}
