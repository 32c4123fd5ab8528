//! Claims without a token around them, as people write them down to ask "what could somebody with these do?". They prove nothing.

use serde_json::{Map, Value};

use crate::names::TenantId;

use super::claims::Claims;
use super::verify::{Expectations, check_tenant};
use super::{Caller, TokenError, json};

/// See the module.
#[derive(Debug)]
pub struct BareClaims(Map<String, Value>);

impl BareClaims {
    /// One JSON object without duplicate members.
    pub fn read(text: &[u8]) -> Result<Self, TokenError> {
        json::object(text).map(Self)
    }

    /// `iss`, where it is there.
    pub fn issuer(&self) -> Option<&str> {
        self.0.get("iss").and_then(Value::as_str)
    }

    /// Whom these claims speak of. Only what the issuer's rules map is read: neither header nor times nor audience.
    pub fn caller(&self, expect: &Expectations, tenant: Option<&TenantId>) -> Result<Caller, TokenError> {
        Ok(Caller {
            claims: Claims::read(&self.0, expect)?,
            tenant: check_tenant(&self.0, expect, tenant)?,
            issuer: expect.issuer.clone(),
        })
    }
}
