//! Claims without a token around them, as people write them down to ask "what could somebody with these do?". They prove nothing.

use crate::names::TenantId;

use super::claims::Claims;
use super::json::{Object, Value};
use super::verify::{Expectations, check_tenant};
use super::{Caller, TokenError};

/// See the module.
#[derive(Debug)]
pub struct BareClaims(Object);

impl BareClaims {
    /// One JSON object without duplicate members.
    pub fn read(text: &[u8]) -> Result<Self, TokenError> {
        Object::read(text.to_vec()).map(Self)
    }

    /// `iss`, where it is there.
    pub fn issuer(&self) -> Option<&str> {
        self.0.members().get("iss").and_then(Value::as_text)
    }

    /// Whom these claims speak of. Only what the issuer's rules map is read: neither header nor times nor audience.
    pub fn caller(&self, expect: &Expectations, tenant: Option<&TenantId>) -> Result<Caller, TokenError> {
        let claims = self.0.members();
        Ok(Caller {
            claims: Claims::read(claims, expect)?,
            tenant: check_tenant(claims, expect, tenant)?,
            issuer: expect.issuer.clone(),
        })
    }
}
