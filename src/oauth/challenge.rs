//! `WWW-Authenticate` values (RFC 6750 §3, RFC 9728 §5.1).

use std::borrow::Cow;

use http::HeaderValue;

use crate::config::Resource;
use crate::headers::from_ascii;
use crate::names::{Scope, TenantId};

/// What a `Bearer` challenge says is wrong (RFC 6750 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChallengeError<'a> {
    /// 400: the credentials could not be read.
    InvalidRequest,
    /// 401: the token is not valid here.
    InvalidToken(&'static str),
    /// 403: the token lacks scopes. These are all that the operation needs, separated by blanks.
    InsufficientScope(&'a str),
}

/// The challenges of one route; the public URL comes from the configuration, never from a request.
#[derive(Debug)]
pub struct Challenges {
    resource: Resource,
    scope: String,
    /// What no request changes, where the URL has no tenant: the metadata's place, and the challenge that is asked for most.
    shared: Option<(String, HeaderValue)>,
}

impl Challenges {
    /// For a route with this resource; `scopes` are what its clients ask for at first ([`RouteConfig::first_scopes`]).
    ///
    /// [`RouteConfig::first_scopes`]: crate::config::RouteConfig::first_scopes
    pub fn new(resource: Resource, scopes: &[Scope]) -> Self {
        let scope = scopes.iter().map(Scope::as_str).collect::<Vec<_>>().join(" ");
        let shared = (!resource.has_tenant()).then(|| {
            let url = resource.metadata_url(None);
            let plain = plain(&scope, &url);
            (url, plain)
        });
        Self { resource, scope, shared }
    }

    /// The challenge without an error: no credentials were offered (RFC 6750 §3.1: no error code then).
    pub fn plain(&self, tenant: Option<&TenantId>) -> HeaderValue {
        match &self.shared {
            Some((_, plain)) => plain.clone(),
            None => plain(&self.scope, &self.resource.metadata_url(tenant)),
        }
    }

    /// The challenge that names an error.
    pub fn error(&self, error: ChallengeError<'_>, tenant: Option<&TenantId>) -> HeaderValue {
        let scope = ("scope", self.scope.as_str());
        let url = self
            .shared
            .as_ref()
            .map_or_else(|| Cow::Owned(self.resource.metadata_url(tenant)), |(url, _)| Cow::Borrowed(url.as_str()));
        let metadata = ("resource_metadata", &*url);
        match error {
            ChallengeError::InvalidRequest => bearer(&[("error", "invalid_request"), metadata]),
            ChallengeError::InvalidToken(why) => {
                bearer(&[("error", "invalid_token"), ("error_description", why), scope, metadata])
            }
            ChallengeError::InsufficientScope(needed) => bearer(&[
                ("error", "insufficient_scope"),
                ("scope", needed),
                metadata,
                ("error_description", INSUFFICIENT_SCOPE),
            ]),
        }
    }
}

fn plain(scope: &str, metadata_url: &str) -> HeaderValue {
    bearer(&[("scope", scope), ("resource_metadata", metadata_url)])
}

/// Every value is quoted; none holds a quote or a backslash: scopes, URLs and fixed words cannot. An empty one is left out.
fn bearer(parameters: &[(&str, &str)]) -> HeaderValue {
    let mut text = String::with_capacity(ROOM);
    for (name, value) in parameters.iter().filter(|(_, value)| !value.is_empty()) {
        text.extend([if text.is_empty() { "Bearer " } else { ", " }, name, "=\"", value, "\""]);
    }
    from_ascii(text)
}

/// Longer than most challenges.
const ROOM: usize = 256;

/// The one description of a missing scope.
pub const INSUFFICIENT_SCOPE: &str = "the access token lacks a scope that this request needs";

#[cfg(test)]
mod tests {
    use super::*;

    fn challenges(scopes: &[&str]) -> Challenges {
        let scopes: Vec<Scope> = scopes.iter().map(|scope| Scope::parse(scope).unwrap()).collect();
        Challenges::new(Resource::parse("https://h/{tenant}/mcp").unwrap(), &scopes)
    }

    const METADATA: &str = "resource_metadata=\"https://h/.well-known/oauth-protected-resource/acme/mcp\"";

    #[test]
    fn each_challenge_is_as_the_standards_write_it() {
        let tenant = TenantId::parse("acme").unwrap();
        let challenges = challenges(&["a", "b"]);
        let cases = [
            (challenges.plain(Some(&tenant)), format!("Bearer scope=\"a b\", {METADATA}")),
            (
                challenges.error(ChallengeError::InvalidRequest, Some(&tenant)),
                format!("Bearer error=\"invalid_request\", {METADATA}"),
            ),
            (
                challenges.error(ChallengeError::InvalidToken("why"), Some(&tenant)),
                format!("Bearer error=\"invalid_token\", error_description=\"why\", scope=\"a b\", {METADATA}"),
            ),
            (
                challenges.error(ChallengeError::InsufficientScope("a c"), Some(&tenant)),
                format!(
                    "Bearer error=\"insufficient_scope\", scope=\"a c\", {METADATA}, error_description=\"{INSUFFICIENT_SCOPE}\""
                ),
            ),
        ];
        for (value, expected) in cases {
            assert_eq!(value.to_str().unwrap(), expected);
        }
    }

    #[test]
    fn a_route_without_scopes_asks_for_none() {
        let tenant = TenantId::parse("acme").unwrap();
        assert_eq!(challenges(&[]).plain(Some(&tenant)).to_str().unwrap(), format!("Bearer {METADATA}"));
    }
}
