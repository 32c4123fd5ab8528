//! What is said of subjects outside the gateway's own decisions: all, a keyed digest, or nothing.

use std::borrow::Cow;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::hmac;

use crate::config::watching;
use crate::text::Hex;
use crate::token::Caller;

/// See the module.
pub(crate) struct Subjects {
    said: Said,
    /// No two settings have the same.
    number: u64,
}

enum Said {
    Clear,
    Hashed(Box<hmac::Key>),
    Omitted,
}

/// Where there is no stream that says otherwise.
pub(crate) static CLEAR: Subjects = Subjects { said: Said::Clear, number: 0 };

/// Of the next setting; 0 is that of no stream.
static NEXT: AtomicU64 = AtomicU64::new(1);

impl Subjects {
    pub(crate) fn new(setting: &watching::Subjects) -> Self {
        let said = match setting {
            watching::Subjects::Clear => Said::Clear,
            watching::Subjects::Hashed(key) => {
                Said::Hashed(Box::new(hmac::Key::new(hmac::HMAC_SHA256, key.0.as_bytes())))
            }
            watching::Subjects::Omitted => Said::Omitted,
        };
        Self { said, number: NEXT.fetch_add(1, Ordering::Relaxed) }
    }

    /// What is kept for this setting is for no other.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// This caller's.
    pub(crate) fn of<'a>(&self, caller: &'a Caller) -> Option<Cow<'a, str>> {
        match &self.said {
            Said::Clear => Some(Cow::Borrowed(caller.subject().as_str())),
            Said::Hashed(key) => Some(Cow::Owned(hashed(key, caller))),
            Said::Omitted => None,
        }
    }
}

/// 128 bits of the digest: enough to tell people apart. The same person at two issuers is two; the length keeps the two texts apart.
fn hashed(key: &hmac::Key, caller: &Caller) -> String {
    let (issuer, subject) = (caller.issuer().as_str(), caller.subject().as_str());
    let tag = hmac::sign(key, format!("{}:{issuer}{subject}", issuer.len()).as_bytes());
    let bits = tag.as_ref().first_chunk().copied().unwrap_or_default();
    format!("hmac:{}", Hex::of(u128::from_be_bytes(bits)).as_str())
}

impl fmt::Debug for Subjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.said {
            Said::Clear => "Clear",
            Said::Hashed(_) => "Hashed(…)",
            Said::Omitted => "Omitted",
        })
    }
}
