//! Token + key + expectations → [`Identity`]. The only place that makes one.

use std::ops::Deref;
use std::sync::OnceLock;

use crate::config::{Algorithm, ClaimPath, IdentityField, IssuerConfig, Resource, RouteConfig, TenantRule, TokenRules};
use crate::head::Lines;
use crate::keys::jwks::{Fingerprint, VerificationKey};
use crate::names::{Issuer, TenantId};

use super::caller::Caller;
use super::claims::{self, Claims};
use super::compact::Compact;
use super::json::{Inside, Object, Value};
use super::{TokenError, audience, header, times};

/// Proves that signature, issuer, audience, type, times and tenant of a token were checked.
#[derive(Debug)]
pub struct Identity {
    caller: Caller,
    expires_at: u64,
    key: Fingerprint,
    /// What an upstream is told of it.
    told: OnceLock<Lines>,
    /// What records say of it, and whose words these are.
    recorded: OnceLock<(u64, Box<[u8]>)>,
}

impl Identity {
    /// The lines that tell an upstream who this is: made at the first request of its token, for a token has one route.
    pub fn told(&self, make: impl FnOnce(&Caller) -> Lines) -> &Lines {
        self.told.get_or_init(|| make(&self.caller))
    }

    /// What records say of this caller: made at the first record, for whoever asks first; `None` for others.
    pub fn recorded(&self, of: u64, make: impl FnOnce(&Caller) -> Box<[u8]>) -> Option<&[u8]> {
        let (whose, text) = self.recorded.get_or_init(|| (of, make(&self.caller)));
        (*whose == of).then_some(text)
    }

    /// `exp` plus leeway: seconds since 1970 at which the token is refused.
    pub fn expires_at(&self) -> u64 {
        self.expires_at
    }
    /// The key that verified the token: when it leaves the issuer's set, this identity ends.
    pub fn key(&self) -> &Fingerprint {
        &self.key
    }
}

/// A proven caller is a caller.
impl Deref for Identity {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.caller
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
    /// Claims to keep for the route's policy.
    pub facts: Vec<ClaimPath>,
}

impl Expectations {
    /// What a route expects of the tokens of one of its issuers.
    pub fn new(route: &RouteConfig, issuer: &IssuerConfig) -> Self {
        let injected = route.identity.iter().filter_map(|(_, field)| match field {
            IdentityField::Claim(path) => Some(path.clone()),
            IdentityField::Subject
            | IdentityField::Client
            | IdentityField::Tenant
            | IdentityField::Scopes
            | IdentityField::Issuer => None,
        });
        Self {
            issuer: issuer.issuer.clone(),
            rules: issuer.rules.clone(),
            resource: route.resource.clone(),
            audiences: route.audiences.clone(),
            tenant: route.tenant.clone(),
            claims: injected.collect(),
            facts: route.policy.claims(),
        }
    }
}

/// A token that has been read, and nothing more: nothing in it is believed.
#[derive(Debug, Clone)]
pub struct Unverified<'a> {
    /// What the signature is over: the first two parts as they came.
    pub(super) message: &'a str,
    pub(super) signature: Vec<u8>,
    pub(super) header: Object,
    pub(super) payload: Object,
}

/// A token whose header and claims are as expected; its signature has not been looked at.
#[derive(Debug)]
pub struct Checked<'a> {
    token: Unverified<'a>,
    algorithm: Algorithm,
    issuer: Issuer,
    tenant: Result<Option<TenantId>, TokenError>,
    claims: Claims,
    expires_at: u64,
}

impl<'a> Unverified<'a> {
    /// Shape, size, canonical base64url, strict JSON without duplicate members.
    pub fn read(text: &'a str) -> Result<Self, TokenError> {
        let Compact { message, header, payload, signature } = Compact::read(text)?;
        if header.is_empty() || payload.is_empty() {
            return Err(TokenError::Shape);
        }
        Ok(Self { header: Object::read(header)?, payload: Object::read(payload)?, message, signature })
    }

    /// `iss`, unverified: only for choosing whose expectations apply.
    pub fn issuer(&self) -> Option<&str> {
        self.payload.members().get("iss").and_then(Value::as_text)
    }

    /// An empty signature is none, whatever the key.
    pub(super) fn check_signed(&self) -> Result<(), TokenError> {
        if self.signature.is_empty() { Err(TokenError::Signature) } else { Ok(()) }
    }

    /// Everything that needs no key, cheapest first. `tenant` is what the request's URL names; `now` is seconds since 1970.
    pub fn check(self, expect: &Expectations, tenant: Option<&TenantId>, now: u64) -> Result<Checked<'a>, TokenError> {
        let algorithm = header::check(self.header.members(), &expect.rules)?;
        self.check_signed()?;
        // RFC 8725 §3.8: the same text, or another issuer. Arrays, as some readers accept them, are no text.
        if self.issuer() != Some(expect.issuer.as_str()) {
            return Err(TokenError::Issuer);
        }
        let payload = self.payload.members();
        let expires_at = times::check(payload, &expect.rules, now)?;
        audience::check(payload, expect, tenant)?;
        claims::check_kind_of_token(self.header.members(), payload, &expect.rules)?;
        Ok(Checked {
            claims: Claims::read(payload, expect)?,
            tenant: check_tenant(payload, expect, tenant),
            issuer: expect.issuer.clone(),
            token: self,
            algorithm,
            expires_at,
        })
    }
}

/// The tenant, if it may come in. Every refusal here waits for the signature.
pub(super) fn check_tenant(
    payload: Inside<'_>,
    expect: &Expectations,
    of_request: Option<&TenantId>,
) -> Result<Option<TenantId>, TokenError> {
    let found = claims::tenant(payload, &expect.rules.claims)?;
    let may_come_in = match &expect.tenant {
        TenantRule::Any => true,
        TenantRule::Allow(tenants) => found.as_ref().is_some_and(|found| tenants.contains(found)),
        TenantRule::FromResource => found.is_some() && found.as_ref() == of_request,
    };
    let of_issuer = &expect.rules.tenants;
    let may_be_said = of_issuer.is_empty() || found.as_ref().is_some_and(|found| of_issuer.contains(found));
    (may_come_in && may_be_said).then_some(found).ok_or(TokenError::Tenant)
}

impl Checked<'_> {
    /// `kid`: only ever compared.
    pub fn key_id(&self) -> Option<&str> {
        header::key_id(self.token.header.members()).ok().flatten()
    }

    /// `alg`, on the issuer's list.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Tries the signature with each of the keys (already bounded and filtered by issuer, kid and algorithm).
    ///
    /// A tenant that may not come in is reported here, after the signature: nobody learns of tenants without a good token.
    pub fn verify(self, keys: &[&VerificationKey]) -> Result<Identity, TokenError> {
        let key = signer(self.token.message, &self.token.signature, self.algorithm, keys)?;
        let (expires_at, key) = (self.expires_at, *key.fingerprint());
        Ok(Identity { caller: self.claimed()?, expires_at, key, told: OnceLock::new(), recorded: OnceLock::new() })
    }

    /// What the token says of its bearer, unproven: for `explain`, which lets nobody in.
    pub fn claimed(self) -> Result<Caller, TokenError> {
        Ok(Caller { tenant: self.tenant?, issuer: self.issuer, claims: self.claims })
    }
}

/// The key whose signature the token bears, over the very bytes that came.
pub(super) fn signer<'k>(
    message: &str,
    signature: &[u8],
    algorithm: Algorithm,
    keys: &[&'k VerificationKey],
) -> Result<&'k VerificationKey, TokenError> {
    if keys.is_empty() {
        return Err(TokenError::KeyId);
    }
    let signed = |key: &&&VerificationKey| key.verify(algorithm, message.as_bytes(), signature);
    keys.iter().find(signed).copied().ok_or(TokenError::Signature)
}
