//! What is different about each identity provider: a small table of facts per profile.

use serde_json::{Map, Value};

/// Where a claim stands in a token's payload: member names from the outside in.
///
/// Written in the configuration as `email` or, for nested objects, `realm_access.roles`; a name that itself contains dots
/// (`https://example.com/tenant`) is matched whole first.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ClaimPath {
    /// As written in the configuration.
    pub text: String,
}

impl ClaimPath {
    /// The claim in a token's payload: the whole text as one name first, then its dotted parts from the outside in.
    pub fn find<'a>(&self, payload: &'a Map<String, Value>) -> Option<&'a Value> {
        if let Some(value) = payload.get(&self.text) {
            return Some(value);
        }
        let (first, rest) = self.text.split_once('.')?;
        rest.split('.')
            .try_fold(payload.get(first)?, |value, name| value.get(name))
    }
}

/// Which claims carry what, and which values others must have.
#[derive(Debug, Clone)]
pub struct ClaimRules {
    /// The first of these that is present names the subject.
    pub subject: Vec<ClaimPath>,
    /// The first of these that is present names the client.
    pub client: Vec<ClaimPath>,
    /// The first of these that is present holds the scopes.
    pub scopes: Vec<ClaimPath>,
    /// True: the scope claims may be arrays of strings as well as one space-separated string.
    pub scopes_may_be_array: bool,
    /// The claim that names the tenant; `None`: tokens of this issuer name none.
    pub tenant: Option<ClaimPath>,
    /// Claims that must have exactly this text (Cognito's `token_use` = `access`).
    pub require: Vec<(ClaimPath, String)>,
    /// Providers without a usable `aud` (Cognito): the audience is read from this claim when `aud` is absent.
    pub audience_when_absent: Option<ClaimPath>,
}
