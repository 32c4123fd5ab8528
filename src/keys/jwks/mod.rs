//! JWK set → usable keys (RFC 7517 §5). Pure.

mod jwk;

#[cfg(test)]
mod tests;

use serde::Deserialize;
use serde_json::Value;

use crate::config::Algorithm;

pub(crate) use jwk::MAX_KID_BYTES;
pub use jwk::{Fingerprint, VerificationKey};

/// Most keys that one set may hold; a longer set is refused whole.
const MAX_KEYS: usize = 100;
/// Most keys that one token is held against: each costs a signature check.
const MAX_CANDIDATES: usize = 4;

/// The usable keys of one issuer.
#[derive(Debug, Default)]
pub struct KeySet {
    keys: Vec<VerificationKey>,
}

/// A set as it was read: what can be used, and what cannot and why.
#[derive(Debug)]
pub struct Parsed {
    /// The usable keys.
    pub keys: KeySet,
    /// The others, for the log.
    pub skipped: Vec<SkippedKey>,
}

/// A member of `keys` that is no usable key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkippedKey {
    /// Its `kid`, where it has a sound one.
    pub kid: Option<String>,
    /// `key.type`, `key.kid`, `key.use`, `key.alg`, `key.private`, `key.weak` or `key.invalid`.
    pub reason: &'static str,
}

/// Why a document is no key set at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum KeySetError {
    /// No JSON object with a `keys` array.
    #[error("the key set is no JSON object with one \"keys\" array")]
    Malformed,
    /// More than 100 keys.
    #[error("the key set holds more than {MAX_KEYS} keys")]
    TooLarge,
}

impl KeySetError {
    /// The log's word.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Malformed => "jwks.malformed",
            Self::TooLarge => "jwks.too_large",
        }
    }
}

/// The document. Each key is read on its own, so that one odd key does not cost the others (RFC 7517 §5).
#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

impl KeySet {
    /// Reads a set; keys that cannot be used are skipped.
    pub fn parse(bytes: &[u8]) -> Result<Parsed, KeySetError> {
        let document: Document = serde_json::from_slice(bytes).map_err(|_| KeySetError::Malformed)?;
        if document.keys.len() > MAX_KEYS {
            return Err(KeySetError::TooLarge);
        }
        let mut keys = Vec::new();
        let mut skipped = Vec::new();
        for jwk in &document.keys {
            match VerificationKey::parse(jwk) {
                Ok(key) => keys.push(key),
                Err(reason) => {
                    skipped.push(SkippedKey { kid: jwk::kid(jwk).ok().flatten().map(str::to_owned), reason });
                }
            }
        }
        let keys = Self { keys };
        Ok(Parsed { keys, skipped })
    }

    /// The keys that a token with this `kid` and `alg` may have been signed with: few, whatever the set holds.
    ///
    /// With a `kid` only keys that carry exactly this one; without, every key of the algorithm.
    pub fn candidates(&self, kid: Option<&str>, algorithm: Algorithm) -> Vec<&VerificationKey> {
        self.keys
            .iter()
            .filter(|key| kid.is_none() || key.kid() == kid)
            .filter(|key| key.fits(algorithm))
            .take(MAX_CANDIDATES)
            .collect()
    }

    /// True when a usable key carries this `kid`, whatever its algorithm.
    pub fn knows(&self, kid: &str) -> bool {
        self.keys.iter().any(|key| key.kid() == Some(kid))
    }

    /// True when the key that once verified a token is still published.
    pub fn contains(&self, fingerprint: &Fingerprint) -> bool {
        self.keys.iter().any(|key| key.fingerprint() == fingerprint)
    }

    /// The usable keys.
    pub fn iter(&self) -> impl Iterator<Item = &VerificationKey> {
        self.keys.iter()
    }

    /// How many usable keys there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// True when both hold the same keys, in whatever order.
    pub fn same_as(&self, other: &Self) -> bool {
        self.len() == other.len() && self.keys.iter().all(|key| other.contains(key.fingerprint()))
    }

    /// True when no key can be used.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}
