//! The header fields that repeat what a body says (SEP-2243): the era they stand for, and whether body and head agree.

use http::{HeaderMap, HeaderName};

use super::message::{Era, Message};

/// The revision that a request is written in.
pub const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
/// Repeats `method`.
pub const METHOD: HeaderName = HeaderName::from_static("mcp-method");
/// Repeats what the params name.
pub const NAME: HeaderName = HeaderName::from_static("mcp-name");

/// Header fields and body do not say the same (−32020).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the header fields do not repeat what the body says")]
pub struct Mismatch;

/// The era that the head alone stands for: what may be asked before the body is read.
pub fn era_of_head(_headers: &HeaderMap) -> Result<Era, Mismatch> {
    Ok(Era::Legacy)
}

/// The era of a message whose head is this, once both agree.
pub fn check(_headers: &HeaderMap, _message: &Message) -> Result<Era, Mismatch> {
    Ok(Era::Legacy)
}
