//! Tokens that were verified before: a signature is checked once per token, not once per request.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest::{self, Context};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand;
use quick_cache::sync::Cache;

use crate::keys::KeyStore;
use crate::names::TenantId;
use crate::token::Identity;

/// Over it the least used ones are forgotten, and verified again when they come back.
pub(crate) const MAX_TOKENS: usize = 20_000;

/// The identities of verified tokens. What is found here must still be held against the clock and the issuer's keys.
pub(crate) struct VerifiedTokens {
    key: [u8; digest::SHA256_OUTPUT_LEN],
    tokens: Cache<Fingerprint, Verified>,
}

/// A token that was verified, and the key store that it was verified with.
#[derive(Debug, Clone)]
pub(crate) struct Verified {
    pub(crate) identity: Arc<Identity>,
    pub(crate) store: Arc<KeyStore>,
}

/// All that decides whether a token is good on one route, as a digest: the same across reloads while nothing of it changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scene([u8; digest::SHA256_OUTPUT_LEN]);

impl Scene {
    /// Of this description.
    pub(crate) fn of(description: &str) -> Self {
        let mut scene = [0; digest::SHA256_OUTPUT_LEN];
        let hash = digest::digest(&digest::SHA256, description.as_bytes());
        for (to, from) in scene.iter_mut().zip(hash.as_ref()) {
            *to = *from;
        }
        Self(scene)
    }
}

/// A token as presented in one scene and to one tenant. The token itself is not kept.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Fingerprint([u8; 16]);

impl VerifiedTokens {
    /// With a key of this process's own.
    pub(crate) fn new() -> Result<Self, Unspecified> {
        let mut key = [0; digest::SHA256_OUTPUT_LEN];
        rand::fill(&mut key)?;
        Ok(Self { key, tokens: Cache::new(MAX_TOKENS) })
    }

    /// SHA-256 over key, scene, tenant and token, cut to 128 bits.
    ///
    /// Two tokens with one fingerprint would be one identity, and senders choose the tokens: so this is a cryptographic
    /// hash (0.5 µs), not the table's own. The secret in front means that nobody can look for collisions elsewhere, which
    /// is why 128 bits suffice; every part but the last has a fixed or stated length, so no two inputs run together.
    pub(crate) fn fingerprint(&self, scene: &Scene, tenant: Option<&TenantId>, token: &str) -> Fingerprint {
        let tenant = tenant.map(|tenant| tenant.as_str().as_bytes());
        // usize::MAX is no length of a tenant: no tenant is not the empty tenant.
        let tenant_bytes = tenant.map_or(usize::MAX, <[u8]>::len);
        let mut hash = Context::new(&digest::SHA256);
        hash.update(&self.key);
        hash.update(&scene.0);
        hash.update(&tenant_bytes.to_le_bytes());
        hash.update(tenant.unwrap_or_default());
        hash.update(token.as_bytes());
        let mut fingerprint = [0; 16];
        for (to, from) in fingerprint.iter_mut().zip(hash.finish().as_ref()) {
            *to = *from;
        }
        Fingerprint(fingerprint)
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
        let (one, other) = (Scene::of("one"), Scene::of("other"));
        for scene in [one, other] {
            for tenant in [None, tenant("a"), tenant("ab")] {
                for token in ["", "x", "bx"] {
                    assert!(seen.insert(tokens.fingerprint(&scene, tenant.as_ref(), token).0));
                }
            }
        }
        assert_eq!(tokens.fingerprint(&one, None, "x").0, tokens.fingerprint(&Scene::of("one"), None, "x").0);
        let others = VerifiedTokens::new().unwrap();
        assert_ne!(tokens.fingerprint(&one, None, "x").0, others.fingerprint(&one, None, "x").0);
    }
}
