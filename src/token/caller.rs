//! Who a token speaks for: what limits, policies, sessions and header fields are about. A `Caller` proves nothing by itself;
//! the one inside an [`Identity`](super::Identity) was verified.

use crate::config::ClaimPath;
use crate::names::{ClientId, Issuer, Scope, Subject, TenantId};

use super::claims::Claims;

/// A person, or a program that acts for itself (RFC 9068 §5: the two never collide).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A user behind a client.
    User,
    /// A client on its own (`sub` is the client).
    Service,
}

/// See the module.
#[derive(Debug)]
pub struct Caller {
    pub(super) issuer: Issuer,
    pub(super) tenant: Option<TenantId>,
    pub(super) claims: Claims,
}

impl Caller {
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

    /// User or service.
    pub fn kind(&self) -> Kind {
        self.claims.kind
    }

    /// `jti`.
    pub fn token_id(&self) -> Option<&str> {
        self.claims.token_id.as_deref()
    }

    /// `iat`: whole seconds since 1970, rounded down.
    pub fn issued_at(&self) -> Option<u64> {
        self.claims.issued_at
    }

    /// A further claim that the route injects (strings as they are, numbers and booleans as JSON, string arrays space-joined).
    pub fn claim(&self, path: &ClaimPath) -> Option<&str> {
        self.claims.injected.iter().find(|(name, _)| name == path).map(|(_, value)| value.as_str())
    }

    /// The texts of a claim that the route's policy asks about: one of a string, number or boolean, each of an array.
    pub fn fact(&self, path: &ClaimPath) -> &[String] {
        self.claims.facts.iter().find(|(name, _)| name == path).map_or(&[], |(_, texts)| texts.as_slice())
    }
}
