//! Each line holds a digest of itself and of the line before: a line that is removed, changed, moved or put in shows. Pure.

use aws_lc_rs::{digest, hmac};

use crate::config::watching;
use crate::text::write_hex;

/// Stands between what is digested and the digest.
const MARK: &str = ",\"chain\":\"";
/// Ends each line.
const END: &str = "\"}";
/// The last member before it.
const SEQ: &str = ",\"seq\":";

/// A digest in hexadecimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Digest([u8; 64]);

impl Digest {
    /// What the first line of all is chained to.
    pub(super) const NOTHING: Self = Self([b'0'; 64]);

    /// Of 256 bits.
    fn of(bits: &[u8]) -> Self {
        let mut text = Self::NOTHING.0;
        write_hex(bits, &mut text);
        Self(text)
    }

    /// None where that is no digest.
    pub(super) fn read(text: &str) -> Option<Self> {
        let text = *text.as_bytes().as_array()?;
        text.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')).then_some(Self(text))
    }

    /// The next line is digested behind this.
    fn begin(&self, input: &mut Vec<u8>) {
        input.extend_from_slice(&self.0);
        input.push(b'\n');
    }

    pub(super) fn as_str(&self) -> &str {
        // They are digits.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

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
    pub(super) chain: Digest,
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
    pub(super) fn digest(&self, before: &Digest, said: &[u8]) -> Digest {
        let mut input = Vec::new();
        before.begin(&mut input);
        input.extend_from_slice(said);
        self.of(&input)
    }

    fn of(&self, input: &[u8]) -> Digest {
        match self {
            Self::Plain => Digest::of(digest::digest(&digest::SHA256, input).as_ref()),
            Self::Keyed(key) => Digest::of(hmac::sign(key, input).as_ref()),
        }
    }
}

/// Appends a JSON object, which ends with a brace, with its number and digest at its end; gives the digest.
pub(super) fn chained(link: &Link, object: &[u8], seq: u64, before: &Digest, lines: &mut Vec<u8>) -> Digest {
    let begin = lines.len();
    before.begin(lines);
    let said = lines.len();
    lines.extend_from_slice(object.strip_suffix(b"}").unwrap_or(object));
    lines.extend_from_slice(SEQ.as_bytes());
    lines.extend_from_slice(itoa::Buffer::new().format(seq).as_bytes());
    let chain = link.of(lines.get(begin..).unwrap_or_default());
    // That stands there for this only: what is digested in one piece needs no memory of its own.
    drop(lines.drain(begin..said));
    for end in [MARK, chain.as_str(), END] {
        lines.extend_from_slice(end.as_bytes());
    }
    chain
}

/// The line as [`chained`] wrote it; `None`: it is no such line.
pub(super) fn parts(line: &str) -> Option<Parts<'_>> {
    let (said, chain) = line.strip_suffix(END)?.rsplit_once(MARK)?;
    let (_, seq) = said.rsplit_once(SEQ)?;
    Some(Parts { said, seq: seq.parse().ok()?, chain: Digest::read(chain)? })
}
