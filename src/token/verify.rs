//! Token + key + expectations → [`Identity`]. The only place that makes one.

use crate::config::TokenRules;
use crate::config::{Algorithm, ClaimPath, Resource, TenantRule};
use crate::keys::jwks::VerificationKey;
use crate::names::{ClientId, Issuer, Scope, Subject, TenantId};

use super::TokenError;

/// A person, or a program that acts for itself (digest §3.1: the two never collide).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A user behind a client.
    User,
    /// A client on its own (`sub` is the client).
    Service,
}

/// Proves that signature, issuer, audience, type, times and tenant of a token were checked.
#[derive(Debug)]
pub struct Identity {
    issuer: Issuer,
    subject: Subject,
    client: Option<ClientId>,
    tenant: Option<TenantId>,
    scopes: Vec<Scope>,
    kind: Kind,
    token_id: Option<Box<str>>,
    expires_at: u64,
    claims: Vec<(ClaimPath, String)>,
}

impl Identity {
    /// `iss`.
    pub fn issuer(&self) -> &Issuer {
        &self.issuer
    }
    /// `sub`, or the claim the issuer maps.
    pub fn subject(&self) -> &Subject {
        &self.subject
    }
    /// The OAuth client; `None` only for issuers whose tokens name none.
    pub fn client(&self) -> Option<&ClientId> {
        self.client.as_ref()
    }
    /// The tenant.
    pub fn tenant(&self) -> Option<&TenantId> {
        self.tenant.as_ref()
    }
    /// The granted scopes, in the token's order.
    pub fn scopes(&self) -> &[Scope] {
        &self.scopes
    }
    /// User or service.
    pub fn kind(&self) -> Kind {
        self.kind
    }
    /// `jti`.
    pub fn token_id(&self) -> Option<&str> {
        self.token_id.as_deref()
    }
    /// `exp` plus leeway: seconds since 1970 at which the token is refused.
    pub fn expires_at(&self) -> u64 {
        self.expires_at
    }
    /// A further claim that the route injects (strings as they are, numbers and booleans as JSON, string arrays space-joined).
    pub fn claim(&self, path: &ClaimPath) -> Option<&str> {
        self.claims
            .iter()
            .find(|(name, _)| name == path)
            .map(|(_, value)| value.as_str())
    }
}

/// What one route expects of one issuer's tokens. Made at start.
#[derive(Debug)]
pub struct Expectations {
    /// `iss`, byte for byte.
    pub issuer: Issuer,
    /// The issuer's rules.
    pub rules: TokenRules,
    /// The route's public URL.
    pub resource: Resource,
    /// Further accepted audiences.
    pub audiences: Vec<String>,
    /// Which tenants may come in.
    pub tenant: TenantRule,
    /// Claims to keep for injection.
    pub claims: Vec<ClaimPath>,
}

/// A token that has been read, and nothing more: nothing in it is believed.
#[derive(Debug)]
pub struct Unverified<'a> {
    text: &'a str,
}

/// A token whose header and claims are as expected; its signature has not been looked at.
#[derive(Debug)]
pub struct Checked<'a> {
    token: Unverified<'a>,
}

impl<'a> Unverified<'a> {
    /// Shape, size, canonical base64url, strict JSON without duplicate members.
    pub fn read(_text: &'a str) -> Result<Self, TokenError> {
        Err(TokenError::Shape) // STUB: the token helper replaces this
    }

    /// `iss`, unverified: only for choosing whose expectations apply.
    pub fn issuer(&self) -> Option<&str> {
        None
    }

    /// Everything that needs no key, cheapest first. `tenant` is what the request's URL names; `now` is seconds since 1970.
    pub fn check(
        self,
        _expect: &Expectations,
        _tenant: Option<&TenantId>,
        _now: u64,
    ) -> Result<Checked<'a>, TokenError> {
        Err(TokenError::Shape)
    }
}

impl Checked<'_> {
    /// `kid`: only ever compared.
    pub fn key_id(&self) -> Option<&str> {
        None
    }

    /// `alg`, on the issuer's list.
    pub fn algorithm(&self) -> Algorithm {
        Algorithm::Rs256
    }

    /// Tries the signature with each of the keys (already bounded and filtered by issuer, kid and algorithm).
    ///
    /// A tenant that may not come in is reported here, after the signature: nobody learns of tenants without a good token.
    pub fn verify(self, _keys: &[&VerificationKey]) -> Result<Identity, TokenError> {
        Err(TokenError::Signature)
    }
}
