//! From an issuer to the place of its keys: metadata documents (RFC 8414, OpenID Connect Discovery). Pure.

use serde::Deserialize;
use url::Url;

use crate::names::Issuer;

/// Why a metadata document is of no use.
#[derive(Debug, thiserror::Error)]
pub(super) enum DiscoveryError {
    #[error("no metadata document: {0}")]
    Malformed(#[from] serde_json::Error),
    /// RFC 8414 §3.3: MUST be identical, or the document is not used.
    #[error("the document is of issuer {found:?}, the configuration says {configured:?}")]
    Mismatch { found: String, configured: String },
    #[error("jwks_uri is no URL")]
    NoUrl,
}

impl DiscoveryError {
    /// The log's word.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Malformed(_) | Self::NoUrl => "issuer.metadata",
            Self::Mismatch { .. } => "issuer.mismatch",
        }
    }
}

/// Longest issuer text that is repeated in the log.
const MAX_SHOWN: usize = 200;

#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: String,
}

/// `jwks_uri` of a document that is truly this issuer's.
pub(super) fn jwks_uri(document: &[u8], issuer: &Issuer) -> Result<Url, DiscoveryError> {
    let metadata: Metadata = serde_json::from_slice(document)?;
    if metadata.issuer != issuer.as_str() {
        return Err(DiscoveryError::Mismatch {
            found: metadata.issuer.chars().take(MAX_SHOWN).collect(),
            configured: issuer.to_string(),
        });
    }
    Url::parse(&metadata.jwks_uri).map_err(|_| DiscoveryError::NoUrl)
}

/// Where the metadata can be, in the order in which MCP clients look; empty when the issuer is no URL.
pub(crate) fn locations(issuer: &Issuer) -> Vec<Url> {
    let Ok(base) = Url::parse(issuer.as_str()) else {
        return Vec::new();
    };
    if base.cannot_be_a_base() {
        return Vec::new();
    }
    // RFC 8414 §3.1: a terminating slash is removed, the well-known part goes between host and path.
    let path = base.path().trim_end_matches('/').to_owned();
    let mut paths = vec![
        format!("/.well-known/oauth-authorization-server{path}"),
        format!("/.well-known/openid-configuration{path}"),
    ];
    if !path.is_empty() {
        paths.push(format!("{path}/.well-known/openid-configuration"));
    }
    let at = |path: &String| {
        let mut url = base.clone();
        url.set_path(path);
        url.set_query(None);
        url.set_fragment(None);
        url
    };
    paths.iter().map(at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issuer(text: &str) -> Issuer {
        Issuer::parse(text).unwrap()
    }

    fn looked_for(text: &str) -> Vec<String> {
        locations(&issuer(text)).iter().map(Url::to_string).collect()
    }

    #[test]
    fn an_issuer_with_a_path_has_three_places_and_one_without_has_two() {
        let three = [
            "https://idp.test:8443/.well-known/oauth-authorization-server/realms/a",
            "https://idp.test:8443/.well-known/openid-configuration/realms/a",
            "https://idp.test:8443/realms/a/.well-known/openid-configuration",
        ];
        assert_eq!(looked_for("https://idp.test:8443/realms/a"), three);
        assert_eq!(looked_for("https://idp.test:8443/realms/a/"), three);
        let two = [
            "https://idp.test/.well-known/oauth-authorization-server",
            "https://idp.test/.well-known/openid-configuration",
        ];
        assert_eq!(looked_for("https://idp.test"), two);
        assert_eq!(looked_for("https://idp.test/"), two);
        assert!(looked_for("accounts.idp.test").is_empty());
        assert!(looked_for("urn:idp").is_empty());
    }

    #[test]
    fn k22_only_a_document_with_the_identical_issuer_is_used() {
        let document = |issuer: &str| format!(r#"{{"issuer":"{issuer}","jwks_uri":"https://idp.test/jwks","x":[1]}}"#);
        let configured = issuer("https://idp.test");
        let uri = jwks_uri(document("https://idp.test").as_bytes(), &configured).unwrap();
        assert_eq!(uri.as_str(), "https://idp.test/jwks");
        for other in ["https://idp.test/", "https://IDP.test", "https://evil.test", ""] {
            let error = jwks_uri(document(other).as_bytes(), &configured).unwrap_err();
            assert_eq!(error.reason(), "issuer.mismatch", "{other}");
        }
    }

    #[test]
    fn what_is_no_metadata_document_is_told_so() {
        let configured = issuer("https://idp.test");
        for bad in [
            "",
            "<html>",
            "[]",
            r#"{"issuer":"https://idp.test"}"#,
            r#"{"issuer":1,"jwks_uri":"https://idp.test/jwks"}"#,
            r#"{"issuer":"https://evil.test","issuer":"https://idp.test","jwks_uri":"https://idp.test/jwks"}"#,
            r#"{"issuer":"https://idp.test","jwks_uri":"/jwks"}"#,
        ] {
            assert_eq!(jwks_uri(bad.as_bytes(), &configured).unwrap_err().reason(), "issuer.metadata", "{bad}");
        }
    }
}
