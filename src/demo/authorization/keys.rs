//! The signing keys: one that signs, and retired ones that stay published while their tokens live.

use std::time::{Duration, Instant};

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair};
use jsonwebtoken::jwk::{Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;

use super::secret;

/// Retired keys that are published at once, however often keys are rotated.
const MAX_RETIRED: usize = 4;
/// Added to a token's life time: clocks of resource servers may be slow.
const CLOCK_LEEWAY: Duration = Duration::from_mins(1);
/// What stands before the PKCS#1 key in PKCS#8 (RFC 5208 §5) with 2048 bits: sequence 4, version 3, algorithm 15, octets 4.
const PKCS8_RSA_PREFIX_BYTES: usize = 26;
/// RFC 9068 §2.1: what an access token says it is.
const ACCESS_TOKEN_TYPE: &str = "at+jwt";

/// A key could not be made or used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a signing key could not be made or used")]
pub struct KeyFailure;

/// What tokens are signed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SigningAlgorithm {
    /// ECDSA on P-256: small keys, understood everywhere.
    #[default]
    Es256,
    /// RSA with 2048 bits.
    Rs256,
    /// Ed25519.
    EdDsa,
}

impl SigningAlgorithm {
    fn in_header(self) -> Algorithm {
        match self {
            Self::Es256 => Algorithm::ES256,
            Self::Rs256 => Algorithm::RS256,
            Self::EdDsa => Algorithm::EdDSA,
        }
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
            Self::EdDsa => "EdDSA",
        }
    }

    fn generate(self) -> Result<EncodingKey, KeyFailure> {
        match self {
            Self::Es256 => {
                let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(|_| KeyFailure)?;
                let der = pair.to_pkcs8v1().map_err(|_| KeyFailure)?;
                Ok(EncodingKey::from_ec_der(der.as_ref()))
            }
            Self::Rs256 => {
                let pair = aws_lc_rs::rsa::KeyPair::generate(KeySize::Rsa2048).map_err(|_| KeyFailure)?;
                let der = pair.as_der().map_err(|_| KeyFailure)?;
                // jsonwebtoken wants the PKCS#1 key that PKCS#8 wraps; `from_encoding_key` notices if it is not there.
                let inner = der.as_ref().get(PKCS8_RSA_PREFIX_BYTES..).ok_or(KeyFailure)?;
                Ok(EncodingKey::from_rsa_der(inner))
            }
            Self::EdDsa => {
                let pair = Ed25519KeyPair::generate().map_err(|_| KeyFailure)?;
                let der = pair.to_pkcs8v1().map_err(|_| KeyFailure)?;
                Ok(EncodingKey::from_ed_der(der.as_ref()))
            }
        }
    }
}

/// What becomes of the key that a rotation replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OldKey {
    /// Stays in the key set until every token it signed has expired.
    StaysPublished,
    /// Leaves the key set at once, as after a leak.
    IsWithdrawn,
}

struct Key {
    header: Header,
    signing: EncodingKey,
    public: Jwk,
}

impl Key {
    fn generate(algorithm: SigningAlgorithm) -> Result<Self, KeyFailure> {
        let signing = algorithm.generate()?;
        let id = secret::generate().map_err(|_| KeyFailure)?;
        let mut public = Jwk::from_encoding_key(&signing, algorithm.in_header()).map_err(|_| KeyFailure)?;
        public.common.key_id = Some(id.clone());
        public.common.public_key_use = Some(PublicKeyUse::Signature);
        let mut header = Header::new(algorithm.in_header());
        header.typ = Some(ACCESS_TOKEN_TYPE.to_owned());
        header.kid = Some(id);
        Ok(Self { header, signing, public })
    }
}

/// All keys of this server.
pub(super) struct Keys {
    algorithm: SigningAlgorithm,
    token_lifetime: Duration,
    current: Key,
    retired: Vec<(Instant, Jwk)>,
}

impl Keys {
    pub(super) fn generate(algorithm: SigningAlgorithm, token_lifetime: Duration) -> Result<Self, KeyFailure> {
        Ok(Self { algorithm, token_lifetime, current: Key::generate(algorithm)?, retired: Vec::new() })
    }

    /// Signs with a new key from now on.
    pub(super) fn rotate(&mut self, old: OldKey, now: Instant) -> Result<(), KeyFailure> {
        let replaced = std::mem::replace(&mut self.current, Key::generate(self.algorithm)?);
        match old {
            OldKey::StaysPublished => {
                if self.retired.len() == MAX_RETIRED {
                    self.retired.remove(0);
                }
                let until = now + self.token_lifetime + CLOCK_LEEWAY;
                self.retired.push((until, replaced.public));
            }
            OldKey::IsWithdrawn => self.retired.clear(),
        }
        Ok(())
    }

    /// The key set as published (RFC 7517 §5).
    pub(super) fn published(&self, now: Instant) -> JwkSet {
        let retired = self.retired.iter().filter(|(until, _)| *until > now);
        let keys = std::iter::once(&self.current.public).chain(retired.map(|(_, key)| key));
        JwkSet { keys: keys.cloned().collect() }
    }

    /// An access token with these claims.
    pub(super) fn sign(&self, claims: &impl Serialize) -> Result<String, KeyFailure> {
        jsonwebtoken::encode(&self.current.header, claims, &self.current.signing).map_err(|_| KeyFailure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(keys: &Keys, now: Instant) -> Vec<String> {
        let set = keys.published(now);
        set.keys.into_iter().filter_map(|key| key.common.key_id).collect()
    }

    #[test]
    fn a_replaced_key_stays_published_while_its_tokens_live() {
        let (now, lifetime) = (Instant::now(), Duration::from_mins(5));
        let mut keys = Keys::generate(SigningAlgorithm::Es256, lifetime).unwrap();
        let first = ids(&keys, now);
        keys.rotate(OldKey::StaysPublished, now).unwrap();
        let both = ids(&keys, now);
        assert_eq!((both.len(), &both[1]), (2, &first[0]));
        assert_eq!(ids(&keys, now + lifetime + CLOCK_LEEWAY), [both[0].clone()]);
        for _ in 0..10 {
            keys.rotate(OldKey::StaysPublished, now).unwrap();
        }
        assert_eq!(ids(&keys, now).len(), 1 + MAX_RETIRED);
    }

    #[test]
    fn a_withdrawn_key_leaves_at_once() {
        let now = Instant::now();
        let mut keys = Keys::generate(SigningAlgorithm::EdDsa, Duration::from_mins(5)).unwrap();
        let first = ids(&keys, now);
        keys.rotate(OldKey::IsWithdrawn, now).unwrap();
        let second = ids(&keys, now);
        assert_eq!(second.len(), 1);
        assert_ne!(first, second);
    }
}
