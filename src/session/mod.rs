//! Session ids that belong to somebody: what clients see is the upstream's id, sealed together with whose it is.
//!
//! No store: any replica with the same key opens them, a restart changes nothing, a new token of the same caller neither.
//! Pure: values in, texts out; the randomness of a nonce comes out of the cryptography below.

mod owner;
#[cfg(test)]
mod tests;

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::config::SessionKey;

use owner::OWNER_BYTES;
pub use owner::{Owner, SessionDigest};

/// What is worth knowing about a gateway whose configuration names no key.
pub const NO_KEY: &str = "sessions.keys is not set: each start makes a key of its own, so that the session ids of legacy \
                          clients neither survive a restart nor work on another replica; make one with \
                          `openssl rand -base64 32` and name its file";

/// Longest id of an upstream; real ones are UUIDs, some are short tokens.
pub const MAX_ID_BYTES: usize = 1024;

/// The format of sealed ids, their first byte. Another construction gets another number.
const VERSION: u8 = 1;
const TAG_BYTES: usize = 16;
/// What a sealed id is longer than its upstream's: version, nonce, owner and tag.
const EXTRA_BYTES: usize = 1 + NONCE_LEN + OWNER_BYTES + TAG_BYTES;
/// The longest sealed id, in base64 without padding: nothing longer is even decoded.
const MAX_SEALED_CHARS: usize = ((EXTRA_BYTES + MAX_ID_BYTES) * 4).div_ceil(3);

/// The keys that seal and open ids: the first seals, all open.
pub struct SessionKeys {
    first: RandomizedNonceKey,
    further: Vec<RandomizedNonceKey>,
}

/// Where an id stands; one is never taken for the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// `Mcp-Session-Id` of Streamable HTTP.
    Header,
    /// The query of the message endpoint of HTTP+SSE; may be empty.
    Endpoint,
}

/// Why an id is not sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotSealed {
    /// No id of MCP: empty, over [`MAX_ID_BYTES`], or not visible ASCII.
    #[error("not one session id of 1 to 1024 visible ASCII characters")]
    Id,
    /// The system has no randomness for a nonce.
    #[error("the session id could not be sealed")]
    Crypto,
}

/// Why a sealed id does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotOpened {
    /// Not sealed by these keys: forged, truncated, of another deployment, or the upstream's bare id.
    #[error("no session id of this gateway")]
    Unknown,
    /// Sealed by these keys for another principal, route or upstream.
    #[error("another caller's session")]
    Foreign,
}

impl SessionKeys {
    /// These keys; one of this process's own when there are none.
    pub fn new(keys: &[SessionKey]) -> Result<Self, Unspecified> {
        let mut own = SessionKey([0; 32]);
        let Some((first, further)) = keys.split_first() else {
            rand::fill(&mut own.0)?;
            return Ok(Self { first: sealing(&own)?, further: Vec::new() });
        };
        Ok(Self { first: sealing(first)?, further: further.iter().map(sealing).collect::<Result<_, _>>()? })
    }

    /// What the client sees: letters, digits, `-` and `_`, which no field and no query changes. Each seal differs.
    pub fn seal(&self, owner: &Owner, place: Place, id: &str) -> Result<String, NotSealed> {
        if !place.takes(id) {
            return Err(NotSealed::Id);
        }
        let mut secret = [owner.as_bytes(), id.as_bytes()].concat();
        let nonce = self.first.seal_in_place_append_tag(context(place), &mut secret).map_err(|_| NotSealed::Crypto)?;
        Ok(URL_SAFE_NO_PAD.encode([&[VERSION], nonce.as_ref().as_slice(), &secret].concat()))
    }

    /// The upstream's id.
    pub fn open(&self, owner: &Owner, place: Place, sealed: &str) -> Result<String, NotOpened> {
        let (nonce, secret) = unpack(sealed).ok_or(NotOpened::Unknown)?;
        let mut keys = std::iter::once(&self.first).chain(&self.further);
        let plain = keys.find_map(|key| decrypt(key, nonce, place, &secret)).ok_or(NotOpened::Unknown)?;
        let (whose, id) = plain.split_first_chunk::<OWNER_BYTES>().ok_or(NotOpened::Unknown)?;
        if whose != owner.as_bytes() {
            return Err(NotOpened::Foreign);
        }
        let id = std::str::from_utf8(id).ok().filter(|id| place.takes(id));
        id.map(str::to_owned).ok_or(NotOpened::Unknown)
    }
}

impl Place {
    /// MCP 2025-11-25, Session Management: visible ASCII alone.
    fn takes(self, id: &str) -> bool {
        let least = match self {
            Self::Header => 1,
            Self::Endpoint => 0,
        };
        (least..=MAX_ID_BYTES).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
    }
}

/// AES-256-GCM-SIV (RFC 8452): replicas share a key and draw nonces by chance, and one nonce drawn twice gives nothing away
/// but that two equal ids are equal.
fn sealing(key: &SessionKey) -> Result<RandomizedNonceKey, Unspecified> {
    RandomizedNonceKey::new(&AES_256_GCM_SIV, &key.0)
}

/// What is authenticated but not encrypted.
fn context(place: Place) -> Aad<[u8; 2]> {
    let place = match place {
        Place::Header => 1,
        Place::Endpoint => 2,
    };
    Aad::from([VERSION, place])
}

/// Nonce and ciphertext. Exactly one text stands for these bytes: padding, other alphabets and stray bits are refused.
fn unpack(sealed: &str) -> Option<([u8; NONCE_LEN], Vec<u8>)> {
    if sealed.len() > MAX_SEALED_CHARS {
        return None;
    }
    let bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
    let (&version, rest) = bytes.split_first()?;
    let (nonce, secret) = rest.split_first_chunk::<NONCE_LEN>()?;
    (version == VERSION).then(|| (*nonce, secret.to_vec()))
}

fn decrypt(key: &RandomizedNonceKey, nonce: [u8; NONCE_LEN], place: Place, secret: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = secret.to_vec(); // a key that does not fit leaves no ciphertext for the next one
    let nonce = Nonce::assume_unique_for_key(nonce);
    let length = key.open_in_place(nonce, context(place), &mut bytes).ok()?.len();
    bytes.truncate(length);
    Some(bytes)
}

impl fmt::Debug for SessionKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionKeys").field("keys", &(1 + self.further.len())).finish_non_exhaustive()
    }
}
