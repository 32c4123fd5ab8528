//! A compact JWS taken apart: size, shape and canonical base64url (RFC 7515 §7.1).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use memchr::{memchr, memrchr};

use super::TokenError;

/// Longer than any token our issuers mint.
const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// The three parts, decoded. Nothing in them has been read.
#[derive(Debug, Clone)]
pub(super) struct Compact<'a> {
    /// What the signature is over: the first two parts as they came, with the dot between them.
    pub(super) message: &'a str,
    pub(super) header: Vec<u8>,
    pub(super) payload: Vec<u8>,
    pub(super) signature: Vec<u8>,
}

impl<'a> Compact<'a> {
    /// Takes a text apart. Its length is looked at before anything else.
    pub(super) fn read(text: &'a str) -> Result<Self, TokenError> {
        if text.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::Size);
        }
        let (message, signature) = split(text, memrchr(b'.', text.as_bytes()))?;
        let (header, payload) = split(message, memchr(b'.', message.as_bytes()))?;
        Ok(Self { message, header: decode(header)?, payload: decode(payload)?, signature: decode(signature)? })
    }
}

/// What stands before and after the dot that was found.
fn split(text: &str, dot: Option<usize>) -> Result<(&str, &str), TokenError> {
    let (before, rest) = dot.and_then(|dot| text.split_at_checked(dot)).ok_or(TokenError::Shape)?;
    Ok((before, rest.strip_prefix('.').unwrap_or_default()))
}

/// RFC 7515 §2: the URL alphabet without padding; no dot either, so a fourth part fails here. The library refuses stray bits at the end (RFC 4648 §3.5).
fn decode(part: &str) -> Result<Vec<u8>, TokenError> {
    let may_stand = |b: u8| matches!(b, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'+' | b'/');
    let fault = || if part.bytes().all(may_stand) { TokenError::Encoding } else { TokenError::Shape };
    URL_SAFE_NO_PAD.decode(part).map_err(|_| fault())
}
