//! JWK set → usable keys (RFC 7517). Pure.

use crate::config::Algorithm;

/// A key that may verify signatures of an issuer: parsed once, tied to its algorithms.
#[derive(Debug)]
pub struct VerificationKey {
    _stub: (),
}

impl VerificationKey {
    /// True when `signature` over `message` verifies under `algorithm`; false also when the key does not fit the algorithm.
    pub fn verify(&self, _algorithm: Algorithm, _message: &[u8], _signature: &str) -> bool {
        false // STUB: the keys helper replaces this
    }
}
