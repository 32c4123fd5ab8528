//! Token + key + expectations → [`Identity`]. The only place that makes one.

use serde_json::{Map, Value};

use crate::config::{Algorithm, ClaimPath, Resource, TenantRule, TokenRules};
use crate::keys::jwks::{Fingerprint, VerificationKey};
use crate::names::{ClientId, Issuer, Scope, Subject, TenantId};

use super::claims::{self, Claims};
use super::compact::Compact;
use super::header::Header;
use super::{TokenError, audience, json, times};

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
    tenant: Option<TenantId>,
    claims: Claims,
    expires_at: u64,
    key: Fingerprint,
}

impl Identity {
    /// `iss`.
    pub fn issuer(&self) -> &Issuer {
        &self.issuer
    }
    /// `sub`, or the claim the issuer maps.
    pub fn subject(&self) -> &Subject {
        &self.claims.subject
    }
    /// The OAuth client; `None` only for issuers whose tokens name none.
    pub fn client(&self) -> Option<&ClientId> {
        self.claims.client.as_ref()
    }
    /// The tenant.
    pub fn tenant(&self) -> Option<&TenantId> {
        self.tenant.as_ref()
    }
    /// The granted scopes, in the token's order.
    pub fn scopes(&self) -> &[Scope] {
        &self.claims.scopes
    }
    /// True when every one of these scopes was granted, by exact comparison.
    pub fn has_all(&self, needed: &[Scope]) -> bool {
        needed.iter().all(|scope| self.claims.scopes.contains(scope))
    }
    /// User or service.
    pub fn kind(&self) -> Kind {
        self.claims.kind
    }
    /// `jti`.
    pub fn token_id(&self) -> Option<&str> {
        self.claims.token_id.as_deref()
    }
    /// `exp` plus leeway: seconds since 1970 at which the token is refused.
    pub fn expires_at(&self) -> u64 {
        self.expires_at
    }
    /// The key that verified the token: when it leaves the issuer's set, this identity ends.
    pub fn key(&self) -> &Fingerprint {
        &self.key
    }
    /// A further claim that the route injects (strings as they are, numbers and booleans as JSON, string arrays space-joined).
    pub fn claim(&self, path: &ClaimPath) -> Option<&str> {
        self.claims.injected.iter().find(|(name, _)| name == path).map(|(_, value)| value.as_str())
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
    parts: Compact<'a>,
    header: Map<String, Value>,
    payload: Map<String, Value>,
}

/// A token whose header and claims are as expected; its signature has not been looked at.
#[derive(Debug)]
pub struct Checked<'a> {
    parts: Compact<'a>,
    header: Header,
    issuer: Issuer,
    tenant: Result<Option<TenantId>, TokenError>,
    claims: Claims,
    expires_at: u64,
}

impl<'a> Unverified<'a> {
    /// Shape, size, canonical base64url, strict JSON without duplicate members.
    pub fn read(text: &'a str) -> Result<Self, TokenError> {
        let parts = Compact::read(text)?;
        if parts.header.is_empty() || parts.payload.is_empty() {
            return Err(TokenError::Shape);
        }
        Ok(Self { header: json::object(&parts.header)?, payload: json::object(&parts.payload)?, parts })
    }

    /// `iss`, unverified: only for choosing whose expectations apply.
    pub fn issuer(&self) -> Option<&str> {
        self.payload.get("iss").and_then(Value::as_str)
    }

    /// Everything that needs no key, cheapest first. `tenant` is what the request's URL names; `now` is seconds since 1970.
    pub fn check(self, expect: &Expectations, tenant: Option<&TenantId>, now: u64) -> Result<Checked<'a>, TokenError> {
        let header = Header::check(&self.header, &expect.rules)?;
        if self.parts.signature.is_empty() {
            return Err(TokenError::Signature);
        }
        // RFC 8725 §3.8: the same text, or another issuer. Arrays, as some readers accept them, are no text.
        if self.issuer() != Some(expect.issuer.as_str()) {
            return Err(TokenError::Issuer);
        }
        let expires_at = times::check(&self.payload, &expect.rules, now)?;
        audience::check(&self.payload, expect, tenant)?;
        claims::check_kind_of_token(&self.payload, &expect.rules)?;
        Ok(Checked {
            claims: Claims::read(&self.payload, &expect.rules, &expect.claims)?,
            tenant: check_tenant(&self.payload, expect, tenant),
            issuer: expect.issuer.clone(),
            parts: self.parts,
            header,
            expires_at,
        })
    }
}

/// The tenant, if it may come in. Every refusal here waits for the signature.
fn check_tenant(
    payload: &Map<String, Value>,
    expect: &Expectations,
    of_request: Option<&TenantId>,
) -> Result<Option<TenantId>, TokenError> {
    let found = claims::tenant(payload, &expect.rules.claims)?;
    let may_come_in = match &expect.tenant {
        TenantRule::Any => true,
        TenantRule::Allow(tenants) => found.as_ref().is_some_and(|found| tenants.contains(found)),
        TenantRule::FromResource => found.is_some() && found.as_ref() == of_request,
    };
    may_come_in.then_some(found).ok_or(TokenError::Tenant)
}

impl Checked<'_> {
    /// `kid`: only ever compared.
    pub fn key_id(&self) -> Option<&str> {
        self.header.key_id.as_deref()
    }

    /// `alg`, on the issuer's list.
    pub fn algorithm(&self) -> Algorithm {
        self.header.algorithm
    }

    /// Tries the signature with each of the keys (already bounded and filtered by issuer, kid and algorithm).
    ///
    /// A tenant that may not come in is reported here, after the signature: nobody learns of tenants without a good token.
    pub fn verify(self, keys: &[&VerificationKey]) -> Result<Identity, TokenError> {
        let key = signer(&self.parts, self.header.algorithm, keys)?;
        Ok(Identity {
            tenant: self.tenant?,
            issuer: self.issuer,
            claims: self.claims,
            expires_at: self.expires_at,
            key: *key.fingerprint(),
        })
    }
}

/// The key whose signature the token bears, over the very bytes that came.
pub(super) fn signer<'k>(
    parts: &Compact<'_>,
    algorithm: Algorithm,
    keys: &[&'k VerificationKey],
) -> Result<&'k VerificationKey, TokenError> {
    if keys.is_empty() {
        return Err(TokenError::KeyId);
    }
    let signed = |key: &&&VerificationKey| key.verify(algorithm, parts.message.as_bytes(), &parts.signature);
    keys.iter().find(signed).copied().ok_or(TokenError::Signature)
}
