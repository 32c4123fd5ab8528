//! What the floor checks: nothing, that a token is there, or its signature and claims, once per token or each time.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use aws_lc_rs::digest::{SHA256, digest};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;

use crate::scene::Scene;

/// As many tokens as the gateway remembers.
const REMEMBERED: usize = 20_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Check {
    Nothing,
    /// Refuses requests without a token.
    Presence,
    /// Verifies each token once, and remembers it.
    Once,
    /// Verifies the token of each request.
    Always,
}

impl Check {
    const ALL: [Self; 4] = [Self::Nothing, Self::Presence, Self::Once, Self::Always];

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Presence => "presence",
            Self::Once => "once",
            Self::Always => "always",
        }
    }

    pub(super) fn from_word(word: &str) -> Self {
        Self::ALL.into_iter().find(|check| check.word() == word).expect("one of them")
    }
}

pub(super) struct Checks {
    check: Check,
    keys: HashMap<String, (Algorithm, DecodingKey, Validation)>,
    /// SHA-256 of a good token, and when it expires.
    remembered: Mutex<HashMap<[u8; 32], u64>>,
}

#[derive(Deserialize)]
struct Claims {
    exp: u64,
}

impl Checks {
    /// Keys and the issuer's name lie in this folder.
    pub(super) fn new(check: Check, folder: &Path) -> Self {
        let issuer = fs::read_to_string(folder.join("issuer")).expect("a file");
        let keys: JwkSet =
            serde_json::from_str(&fs::read_to_string(folder.join("keys.json")).expect("a file")).expect("a key set");
        let key = |jwk: &jsonwebtoken::jwk::Jwk| {
            let algorithm = jwk.common.key_algorithm?.to_string().parse().ok()?;
            let mut validation = Validation::new(algorithm);
            validation.set_audience(&[Scene::resource()]);
            validation.set_issuer(&[&issuer]);
            Some((jwk.common.key_id.clone()?, (algorithm, DecodingKey::from_jwk(jwk).ok()?, validation)))
        };
        Self { check, keys: keys.keys.iter().filter_map(key).collect(), remembered: Mutex::default() }
    }

    pub(super) fn pass(&self, headers: &HeaderMap) -> bool {
        if self.check == Check::Nothing {
            return true;
        }
        let field = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let Some(token) = field.and_then(|value| value.strip_prefix("Bearer ")) else { return false };
        match self.check {
            Check::Once => self.is_remembered(token),
            Check::Always => self.verify(token).is_some(),
            Check::Nothing | Check::Presence => true,
        }
    }

    fn is_remembered(&self, token: &str) -> bool {
        let hash = <[u8; 32]>::try_from(digest(&SHA256, token.as_bytes()).as_ref()).expect("32 bytes");
        let known = self.remembered.lock().unwrap_or_else(PoisonError::into_inner).get(&hash).copied();
        if let Some(exp) = known {
            let now = SystemTime::UNIX_EPOCH.elapsed().expect("a clock");
            return now.as_secs() < exp;
        }
        let Some(claims) = self.verify(token) else { return false };
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= REMEMBERED {
            remembered.clear();
        }
        remembered.insert(hash, claims.exp);
        true
    }

    fn verify(&self, token: &str) -> Option<Claims> {
        let header = decode_header(token).ok()?;
        let (algorithm, key, validation) = self.keys.get(&header.kid?)?;
        if header.alg != *algorithm {
            return None;
        }
        decode(token, key, validation).ok().map(|token| token.claims)
    }
}
