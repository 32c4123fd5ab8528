//! What a token's header may say (RFC 7515 §4.1, RFC 8725 §3): an algorithm, a key id, a type, and nothing that steers us.

use crate::config::{Algorithm, TokenRules};
use crate::keys::jwks::MAX_KID_BYTES;

use super::TokenError;
use super::json::{Inside, Value};

/// Types that are never access tokens, whatever an issuer's configuration lists.
const NEVER_ACCESS_TOKENS: [&str; 5] =
    ["oauth-id-jag+jwt", "dpop+jwt", "logout+jwt", "secevent+jwt", "token-introspection+jwt"];
/// RFC 7515 §4.1.9: may be left out.
const MEDIA_TYPE: &str = "application/";

/// Holds a header against an issuer's rules; the algorithm it says.
pub(super) fn check(header: Inside<'_>, rules: &TokenRules) -> Result<Algorithm, TokenError> {
    let algorithm = check_algorithm(header, rules)?;
    check_extensions(header)?;
    key_id(header)?;
    check_type(header, rules)?;
    Ok(algorithm)
}

/// RFC 7515 §4.1.4: only ever compared.
pub(super) fn key_id(header: Inside<'_>) -> Result<Option<&str>, TokenError> {
    match header.get("kid") {
        None => Ok(None),
        Some(Value::Text(kid)) if kid.len() <= MAX_KID_BYTES => Ok(Some(kid)),
        Some(_) => Err(TokenError::Header),
    }
}

/// RFC 8725 §3.1: from the issuer's list, in exact case. `none` and HMAC have no value that a list could hold.
pub(super) fn check_algorithm(header: Inside<'_>, rules: &TokenRules) -> Result<Algorithm, TokenError> {
    let name = header.get("alg").and_then(Value::as_text).unwrap_or_default();
    Algorithm::named(name).filter(|algorithm| rules.algorithms.contains(algorithm)).ok_or(TokenError::Algorithm)
}

/// Members that change how a token is read, or that bring their own key. `x5c` and thumbprints are not looked at.
pub(super) fn check_extensions(header: Inside<'_>) -> Result<(), TokenError> {
    let has = |names: &[&str]| names.iter().any(|name| header.has(name));
    // RFC 7515 §4.1.11: no extension is understood here, so every `crit` is refused; RFC 7797 `b64` with it.
    if has(&["crit", "b64"]) {
        return Err(TokenError::Critical);
    }
    // RFC 8725 §3.4: neither nested nor compressed tokens.
    if has(&["cty", "zip"]) {
        return Err(TokenError::Shape);
    }
    // RFC 8725 §3.10: nothing that a token names is used or fetched.
    if has(&["jwk", "jku", "x5u"]) {
        return Err(TokenError::Header);
    }
    Ok(())
}

/// RFC 9068 §4, RFC 8725 §3.11. An absent `typ` is the empty text in the issuer's list; an empty one is no type.
pub(super) fn check_type(header: Inside<'_>, rules: &TokenRules) -> Result<(), TokenError> {
    let listed = |name: &str| rules.token_types.iter().any(|listed| listed.eq_ignore_ascii_case(name));
    let Some(name) = type_name(header)? else {
        return listed("").then_some(()).ok_or(TokenError::Type);
    };
    let never = NEVER_ACCESS_TOKENS.iter().any(|never| never.eq_ignore_ascii_case(name));
    if name.is_empty() || never || !listed(name) {
        return Err(TokenError::Type);
    }
    Ok(())
}

/// The token says of itself that it is an access token (RFC 9068 §2.1).
pub(super) fn is_access_token(header: Inside<'_>) -> bool {
    type_name(header).is_ok_and(|name| name.is_some_and(|name| name.eq_ignore_ascii_case("at+jwt")))
}

fn type_name(header: Inside<'_>) -> Result<Option<&str>, TokenError> {
    let Some(value) = header.get("typ") else { return Ok(None) };
    let text = value.as_text().ok_or(TokenError::Header)?;
    Ok(Some(match text.split_at_checked(MEDIA_TYPE.len()) {
        Some((before, name)) if before.eq_ignore_ascii_case(MEDIA_TYPE) => name,
        _ => text,
    }))
}
