//! Each line holds a digest of itself and of the line before: a line that is removed, changed, moved or put in shows. Pure.

use std::fmt::Write as _;

use aws_lc_rs::{digest, hmac};

use crate::config::watching;

/// A digest in hexadecimal.
pub(super) const CHARS: usize = 64;
/// What the first line of all is chained to.
pub(super) const NOTHING: &str = "0000000000000000000000000000000000000000000000000000000000000000";
/// Stands between what is digested and the digest.
const MARK: &str = ",\"chain\":\"";
/// Ends each line.
const END: &str = "\"}";
/// The last member before it.
const SEQ: &str = ",\"seq\":";

/// For number and digest at the end of a line.
const ROOM: usize = CHARS + 48;

/// How digests are made.
pub(super) enum Link {
    Plain,
    Keyed(Box<hmac::Key>),
}

/// A line taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parts<'a> {
    /// All that is digested.
    pub(super) said: &'a str,
    pub(super) seq: u64,
    pub(super) chain: &'a str,
}

impl Link {
    pub(super) fn new(setting: &watching::Chain) -> Option<Self> {
        match setting {
            watching::Chain::None => None,
            watching::Chain::Plain => Some(Self::Plain),
            watching::Chain::Keyed(key) => Some(Self::keyed(&key.0)),
        }
    }

    pub(super) fn keyed(key: &str) -> Self {
        Self::Keyed(Box::new(hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes())))
    }

    /// The digest of a line after the one with this digest.
    pub(super) fn digest(&self, before: &str, said: &str) -> String {
        let input = [before.as_bytes(), b"\n", said.as_bytes()];
        match self {
            Self::Plain => {
                let mut context = digest::Context::new(&digest::SHA256);
                input.iter().for_each(|part| context.update(part));
                hex(context.finish().as_ref())
            }
            Self::Keyed(key) => {
                let mut context = hmac::Context::with_key(key);
                input.iter().for_each(|part| context.update(part));
                hex(context.sign().as_ref())
            }
        }
    }
}

/// A JSON object with its number and digest at its end; `object` ends with a brace.
pub(super) fn chained(link: &Link, object: &str, seq: u64, before: &str) -> (String, String) {
    let open = object.strip_suffix('}').unwrap_or(object);
    let mut line = String::with_capacity(open.len() + ROOM);
    // Writing to a String cannot fail.
    _ = write!(line, "{open}{SEQ}{seq}");
    let chain = link.digest(before, &line);
    line.extend([MARK, &chain, END]);
    (line, chain)
}

/// The line as [`chained`] wrote it; `None`: it is no such line.
pub(super) fn parts(line: &str) -> Option<Parts<'_>> {
    let (said, chain) = line.strip_suffix(END)?.rsplit_once(MARK)?;
    let is_digest = chain.len() == CHARS && chain.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let (_, seq) = said.rsplit_once(SEQ)?;
    is_digest.then_some(Parts { said, seq: seq.parse().ok()?, chain })
}

fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(value.into(), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}
