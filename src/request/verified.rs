//! Tokens that were verified before: a signature is checked once per token, not once per request.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, MAX_TAG_LEN, Nonce, UnboundKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::{digest, hmac, rand};
use quick_cache::sync::Cache;

use crate::keys::KeyStore;
use crate::names::TenantId;
use crate::token::Identity;

/// Over it the least used ones are forgotten, and verified again when they come back.
pub(crate) const MAX_TOKENS: usize = 20_000;

/// The identities of verified tokens. What is found here must still be held against the clock and the issuer's keys.
pub(crate) struct VerifiedTokens {
    /// What every scene's own key is made of.
    key: hmac::Key,
    tokens: Cache<Fingerprint, Verified>,
}

/// A token that was verified, and the key store that it was verified with.
#[derive(Debug, Clone)]
pub(crate) struct Verified {
    pub(crate) identity: Arc<Identity>,
    pub(crate) store: Arc<KeyStore>,
}

/// All that decides whether a token is good on one route, as a key: the same across reloads while nothing of it changes.
pub(crate) struct Scene(LessSafeKey);

/// A token as presented in one scene and to one tenant. The token itself is not kept.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Fingerprint([u8; MAX_TAG_LEN]);

impl Scene {
    /// A keyed hash of 128 bits over tenant and token: GMAC (NIST SP 800-38D) under the scene's key, always with the same nonce.
    ///
    /// Two tokens with one fingerprint would be one identity, and senders choose the tokens, so the table's own hash would not do.
    /// Without the key, two texts of so many 16-byte blocks have the same hash by a chance of that many in 2^128, whoever chose them:
    /// for the longest tokens 1 in 2^117. That a nonce must not come twice holds for tags that somebody sees, who could then write
    /// others; these stay in the table. It takes a third of SHA-256's time, which was a fiftieth of a request. The NUL can stand in no
    /// tenant and no token: no two inputs run together.
    pub(crate) fn fingerprint(&self, tenant: Option<&TenantId>, token: &str) -> Result<Fingerprint, Unspecified> {
        let joined = tenant.map(|tenant| [tenant.as_str(), "\0", token].concat());
        let text = Aad::from(joined.as_deref().unwrap_or(token).as_bytes());
        let nonce = Nonce::assume_unique_for_key([0; aws_lc_rs::aead::NONCE_LEN]);
        let tag = self.0.seal_in_place_separate_tag(nonce, text, &mut [])?;
        tag.as_ref().try_into().map(Fingerprint).map_err(|_| Unspecified)
    }
}

impl VerifiedTokens {
    /// With a key of this process's own.
    pub(crate) fn new() -> Result<Self, Unspecified> {
        let mut key = [0; digest::SHA256_OUTPUT_LEN];
        rand::fill(&mut key)?;
        Ok(Self { key: hmac::Key::new(hmac::HMAC_SHA256, &key), tokens: Cache::new(MAX_TOKENS) })
    }

    /// Of this description.
    pub(crate) fn scene(&self, description: &str) -> Result<Scene, Unspecified> {
        let key = hmac::sign(&self.key, description.as_bytes());
        UnboundKey::new(&AES_256_GCM, key.as_ref()).map(LessSafeKey::new).map(Scene)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.tokens.len()
    }

    pub(crate) fn get(&self, token: &Fingerprint) -> Option<Verified> {
        self.tokens.get(token)
    }

    pub(crate) fn insert(&self, token: Fingerprint, verified: Verified) {
        self.tokens.insert(token, verified);
    }

    pub(crate) fn forget(&self, token: &Fingerprint) {
        drop(self.tokens.remove(token));
    }
}

impl fmt::Debug for Scene {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scene").finish_non_exhaustive()
    }
}

impl fmt::Debug for VerifiedTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedTokens").field("tokens", &self.tokens.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn fingerprints_differ_by_scene_tenant_token_and_process() {
        let tokens = VerifiedTokens::new().unwrap();
        let tenant = |text| Some(TenantId::parse(text).unwrap());
        let mut seen = HashSet::new();
        let [one, other] = ["one", "other"].map(|scene| tokens.scene(scene).unwrap());
        let of = |scene: &Scene, tenant: Option<&TenantId>, token: &str| scene.fingerprint(tenant, token).unwrap().0;
        for scene in [&one, &other] {
            for tenant in [None, tenant("a"), tenant("ab")] {
                for token in ["", "x", "bx", "x0", &"x".repeat(16), &"x".repeat(17)] {
                    assert!(seen.insert(of(scene, tenant.as_ref(), token)));
                }
            }
        }
        assert_eq!(of(&one, None, "x"), of(&tokens.scene("one").unwrap(), None, "x"));
        let others = VerifiedTokens::new().unwrap();
        let elsewhere = others.scene("one").unwrap().fingerprint(None, "x").unwrap();
        assert_ne!(of(&one, None, "x"), elsewhere.0);
    }

    #[test]
    fn each_bit_of_a_token_counts() {
        let tokens = VerifiedTokens::new().unwrap();
        let scene = tokens.scene("one").unwrap();
        let token = vec![b'a'; 100];
        let of = |token: &[u8]| scene.fingerprint(None, std::str::from_utf8(token).unwrap()).unwrap().0;
        let whole = of(&token);
        for at in 0..token.len() {
            for bit in 0..6 {
                let mut changed = token.clone();
                changed[at] ^= 1 << bit;
                assert_ne!(of(&changed), whole, "{at} {bit}");
            }
        }
    }
}
