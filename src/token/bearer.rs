//! `Authorization` header → token text, or why not (RFC 6750 §2.1).

use http::Uri;
use http::header::AUTHORIZATION;
use percent_encoding::percent_decode_str;

use crate::head::{Fields, as_text};

use super::BearerError;

/// The one bearer token of a request.
pub fn bearer<'a>(fields: &'a Fields, uri: &Uri) -> Result<&'a str, BearerError> {
    if uri.query().is_some_and(names_a_token) {
        return Err(BearerError::InQuery);
    }
    let field = fields.once(&AUTHORIZATION).map_err(|_| BearerError::Multiple)?.ok_or(BearerError::Missing)?;
    let text = as_text(field).ok_or(BearerError::Malformed)?;
    let (scheme, rest) = text.split_once(' ').ok_or(BearerError::Scheme)?;
    let token = rest.trim_start_matches(' ');
    if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() {
        return Err(BearerError::Scheme);
    }
    if token.contains(',') {
        return Err(BearerError::Multiple);
    }
    is_b64token(token).then_some(token).ok_or(BearerError::Malformed)
}

/// RFC 6750 §2.3 lets a query carry the token; MCP forbids it. The name counts however it is percent-encoded.
fn names_a_token(query: &str) -> bool {
    query.split('&').any(|parameter| {
        let name = parameter.split('=').next().unwrap_or_default();
        percent_decode_str(name).eq(b"access_token".iter().copied())
    })
}

/// RFC 6750 §2.1: `1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="`.
fn is_b64token(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    let may_stand =
        |b: u8| matches!(b, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'+' | b'/');
    // Without leaving early: tokens are long, and so many bytes are judged at a time.
    !body.is_empty() && body.bytes().fold(true, |good, byte| good & may_stand(byte))
}
