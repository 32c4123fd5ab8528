//! What is said of subjects outside the gateway's own decisions: all, a keyed digest, or nothing.

use std::borrow::Cow;
use std::fmt;

use aws_lc_rs::hmac;

use crate::config::watching;
use crate::token::Caller;

use super::chain::hex;

/// 128 bits of the digest: enough to tell people apart.
const DIGEST_BYTES: usize = 16;

/// See the module.
pub(crate) enum Subjects {
    Clear,
    Hashed(Box<hmac::Key>),
    Omitted,
}

impl Subjects {
    pub(crate) fn new(setting: &watching::Subjects) -> Self {
        match setting {
            watching::Subjects::Clear => Self::Clear,
            watching::Subjects::Hashed(key) => {
                Self::Hashed(Box::new(hmac::Key::new(hmac::HMAC_SHA256, key.0.as_bytes())))
            }
            watching::Subjects::Omitted => Self::Omitted,
        }
    }

    /// This caller's.
    pub(crate) fn of<'a>(&self, caller: &'a Caller) -> Option<Cow<'a, str>> {
        match self {
            Self::Clear => Some(Cow::Borrowed(caller.subject().as_str())),
            Self::Hashed(key) => Some(Cow::Owned(hashed(key, caller))),
            Self::Omitted => None,
        }
    }
}

/// The same person at two issuers is two; the length keeps the two texts apart.
fn hashed(key: &hmac::Key, caller: &Caller) -> String {
    let (issuer, subject) = (caller.issuer().as_str(), caller.subject().as_str());
    let tag = hmac::sign(key, format!("{}:{issuer}{subject}", issuer.len()).as_bytes());
    format!("hmac:{}", hex(tag.as_ref().get(..DIGEST_BYTES).unwrap_or_default()))
}

impl fmt::Debug for Subjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Clear => "Clear",
            Self::Hashed(_) => "Hashed(…)",
            Self::Omitted => "Omitted",
        })
    }
}
