//! When a token is valid: `exp`, `nbf`, `iat` (RFC 7519 §4.1). The time comes in; no clock is read.

use crate::config::TokenRules;

use super::TokenError;
use super::json::{Inside, Value};

/// Later than any expiry that is meant: keeps sums with it far from every overflow. 2^53 s is 285 million years.
const LATEST: u64 = 1 << 53;

/// The second at which the token is refused, leeway included.
pub(super) fn check(payload: Inside<'_>, rules: &TokenRules, now: u64) -> Result<u64, TokenError> {
    let expires_at = expiry(payload, rules, now)?;
    not_before(payload, rules, now)?;
    not_issued_later(payload, rules, now)?;
    Ok(expires_at)
}

pub(super) fn expiry(payload: Inside<'_>, rules: &TokenRules, now: u64) -> Result<u64, TokenError> {
    let exp = payload.get("exp").and_then(seconds).ok_or(TokenError::Expired)?;
    let expires_at = exp.floor.saturating_add(rules.leeway.as_secs()).min(LATEST);
    if now >= expires_at { Err(TokenError::Expired) } else { Ok(expires_at) }
}

pub(super) fn not_before(payload: Inside<'_>, rules: &TokenRules, now: u64) -> Result<(), TokenError> {
    let Some(nbf) = payload.get("nbf") else { return Ok(()) };
    let nbf = seconds(nbf).ok_or(TokenError::NotBefore)?;
    if nbf.ceil > latest_start(rules, now) { Err(TokenError::NotBefore) } else { Ok(()) }
}

pub(super) fn not_issued_later(payload: Inside<'_>, rules: &TokenRules, now: u64) -> Result<(), TokenError> {
    let Some(iat) = payload.get("iat") else {
        return if rules.strict { Err(TokenError::IssuedAt) } else { Ok(()) };
    };
    let iat = seconds(iat).ok_or(TokenError::IssuedAt)?;
    if iat.ceil > latest_start(rules, now) { Err(TokenError::IssuedAt) } else { Ok(()) }
}

fn latest_start(rules: &TokenRules, now: u64) -> u64 {
    now.saturating_add(rules.leeway.as_secs())
}

/// A `NumericDate` (RFC 7519 §2) between the two whole seconds around it: each check takes the stricter one.
struct Seconds {
    floor: u64,
    ceil: u64,
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "never negative here, and `as` saturates: no date is that late"
)]
fn seconds(value: Value<'_>) -> Option<Seconds> {
    let Value::Number(number) = value else { return None };
    if let Some(whole) = number.as_u64() {
        return Some(Seconds { floor: whole, ceil: whole });
    }
    let number = number.as_f64().filter(|number| number.is_finite() && !number.is_sign_negative())?;
    Some(Seconds { floor: number.floor() as u64, ceil: number.ceil() as u64 })
}

/// `iat` of a payload that [`check`] found good.
pub(super) fn issued_at(payload: Inside<'_>) -> Option<u64> {
    payload.get("iat").and_then(seconds).map(|iat| iat.floor)
}
