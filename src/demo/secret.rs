//! Secrets: how they are made, what is kept of them, how they are compared.

use aws_lc_rs::{constant_time, digest, rand};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// 256 bits: above the 128 that RFC 6749 §10.10 asks for, and 43 characters of text.
const SECRET_BYTES: usize = 32;

/// The system's random number generator gave nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no random bytes could be had")]
pub(super) struct NoRandomness;

/// A new secret as text, from the system's random number generator.
pub(super) fn generate() -> Result<String, NoRandomness> {
    let mut bytes = [0_u8; SECRET_BYTES];
    rand::fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// All that is kept of a secret: a leaked store gives no working code or token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Digest([u8; 32]);

impl Digest {
    /// The SHA-256 of a text.
    pub(super) fn of(text: &str) -> Self {
        let mut bytes = [0_u8; 32];
        bytes.copy_from_slice(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
        Self(bytes)
    }

    /// True when `text` is the secret this was made of; takes the same time whatever differs.
    pub(super) fn matches(&self, text: &str) -> bool {
        constant_time::verify_slices_are_equal(&self.0, &Self::of(text).0).is_ok()
    }

    /// As text, for the PKCE comparison (RFC 7636 §4.6: `BASE64URL-ENCODE(SHA256(ASCII(code_verifier)))`).
    pub(super) fn to_base64url(self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }
}
