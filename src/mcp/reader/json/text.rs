//! Where a text ends: the grammar of strings (RFC 8259 §7), with surrogates only in pairs.

use super::Fault;

/// How far a text has been read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text {
    at: At,
    /// Of `\uXXXX`: how many digits are to come, and what the others say.
    left: u8,
    code: u16,
    /// The first half of a surrogate pair stands; the other must follow.
    half: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Quote,
    Plain,
    Escape,
    Hex,
}

impl Text {
    /// Before its first quote.
    pub(super) const BEFORE: Self = Self { at: At::Quote, left: 0, code: 0, half: false };

    /// How many bytes of `rest` are up to and with the closing quote; `None` when it is still to come.
    pub(super) fn end(&mut self, rest: &[u8]) -> Result<Option<usize>, Fault> {
        let mut at = 0;
        if self.at == At::Quote && rest.first() == Some(&b'"') {
            (self.at, at) = (At::Plain, 1);
        }
        loop {
            if self.at == At::Plain && !self.half {
                at += plain(rest.get(at..).unwrap_or_default());
                match rest.get(at..) {
                    Some([b'"', ..]) => return Ok(Some(at + 1)),
                    Some([b'\\', b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..]) => {
                        at += 2;
                        continue;
                    }
                    _ => {}
                }
            }
            let Some(&byte) = rest.get(at) else { return Ok(None) };
            at += 1;
            if self.is_last(byte)? {
                return Ok(Some(at));
            }
        }
    }

    /// Reads one byte; true when it closes the text.
    fn is_last(&mut self, byte: u8) -> Result<bool, Fault> {
        self.at = match (self.at, byte) {
            (At::Quote, _) => At::Plain,
            (At::Plain, b'\\') => At::Escape,
            (At::Escape, b'u') => {
                (self.left, self.code) = (4, 0);
                At::Hex
            }
            (At::Hex, _) => self.hex(byte)?,
            _ if self.half => return Err(Fault::Syntax),
            (At::Plain, b'"') => return Ok(true),
            (At::Escape, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') | (At::Plain, 0x20..) => At::Plain,
            (At::Plain | At::Escape, _) => return Err(Fault::Syntax),
        };
        Ok(false)
    }

    /// One more digit of `\uXXXX`.
    fn hex(&mut self, byte: u8) -> Result<At, Fault> {
        let digit = char::from(byte).to_digit(16).and_then(|digit| u16::try_from(digit).ok()).ok_or(Fault::Syntax)?;
        self.code = self.code << 4 | digit;
        self.left = self.left.saturating_sub(1);
        if self.left > 0 {
            return Ok(At::Hex);
        }
        // RFC 8259 §8.2: what a lone surrogate means is anybody's guess, so it is refused.
        self.half = match (self.half, self.code) {
            (false, 0xD800..=0xDBFF) => true,
            (false, 0xDC00..=0xDFFF) => return Err(Fault::Syntax),
            (true, 0xDC00..=0xDFFF) | (false, _) => false,
            (true, _) => return Err(Fault::Syntax),
        };
        Ok(At::Plain)
    }
}

/// Bytes looked at in one go where nothing is to be found: two vectors of the smallest kind.
const BLOCK: usize = 32;

/// Bytes in which the first special one is found without looking at each.
const WORD: usize = 8;

/// How many bytes from here on mean no more than themselves.
fn plain(rest: &[u8]) -> usize {
    // Most texts are short.
    if let Some(found) = rest.first_chunk().and_then(|word| first_special(*word)) {
        return found;
    }
    let (blocks, _) = rest.as_chunks::<BLOCK>();
    let blocks = blocks.iter().take_while(|block| is_plain(block));
    let clean = blocks.count() * BLOCK;
    let tail = rest.get(clean..).unwrap_or_default();
    let (words, last) = tail.as_chunks::<WORD>();
    let mut before = clean;
    for word in words {
        if let Some(found) = first_special(*word) {
            return before + found;
        }
        before += WORD;
    }
    before + last.iter().position(|&byte| special(byte) == 1).unwrap_or(last.len())
}

/// No early end and no branch: a compiler makes vector instructions of this.
fn is_plain(block: &[u8; BLOCK]) -> bool {
    block.iter().fold(0, |any, &byte| any | special(byte)) == 0
}

/// 1 for a byte that ends a run, 0 for others.
fn special(byte: u8) -> u8 {
    u8::from(byte == b'"') | u8::from(byte == b'\\') | u8::from(byte < 0x20)
}

/// Where the first special byte is. Each mask has the high bit of every byte that it looks for; bits above its lowest may be
/// wrong, since borrows reach upwards, but nothing is read off those.
fn first_special(word: [u8; WORD]) -> Option<usize> {
    const ONES: u64 = u64::from_le_bytes([1; WORD]);
    let word = u64::from_le_bytes(word);
    let below = |word: u64, bound: u64| word.wrapping_sub(ONES * bound) & !word;
    let equal = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    let specials = (below(word, 0x20) | equal(b'"') | equal(b'\\')) & (ONES << 7);
    (specials != 0).then_some(specials.trailing_zeros() as usize / WORD)
}
