//! Where a text ends: the grammar of strings (RFC 8259 §7), with surrogates only in pairs.

use super::Fault;

/// How far a text has been read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text {
    at: At,
    /// The first half of a surrogate pair stands; the other must follow.
    half: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Quote,
    Plain,
    Escape,
    Hex { left: u8, code: u16 },
}

impl Text {
    /// Before its first quote.
    pub(super) const BEFORE: Self = Self { at: At::Quote, half: false };

    /// How many bytes of `rest` are up to and with the closing quote; `None` when it is still to come.
    pub(super) fn end(&mut self, rest: &[u8]) -> Result<Option<usize>, Fault> {
        let mut at = 0;
        loop {
            if self.at == At::Plain && !self.half {
                at += plain(rest.get(at..).unwrap_or_default());
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
            (At::Escape, b'u') => At::Hex { left: 4, code: 0 },
            (At::Hex { left, code }, _) => self.hex(left, code, byte)?,
            _ if self.half => return Err(Fault::Syntax),
            (At::Plain, b'"') => return Ok(true),
            (At::Escape, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') | (At::Plain, 0x20..) => At::Plain,
            (At::Plain | At::Escape, _) => return Err(Fault::Syntax),
        };
        Ok(false)
    }

    /// One more digit of `\uXXXX`.
    fn hex(&mut self, left: u8, code: u16, byte: u8) -> Result<At, Fault> {
        let digit = char::from(byte).to_digit(16).and_then(|digit| u16::try_from(digit).ok()).ok_or(Fault::Syntax)?;
        let code = code << 4 | digit;
        if left > 1 {
            return Ok(At::Hex { left: left - 1, code });
        }
        // RFC 8259 §8.2: what a lone surrogate means is anybody's guess, so it is refused.
        self.half = match (self.half, code) {
            (false, 0xD800..=0xDBFF) => true,
            (false, 0xDC00..=0xDFFF) => return Err(Fault::Syntax),
            (true, 0xDC00..=0xDFFF) | (false, _) => false,
            (true, _) => return Err(Fault::Syntax),
        };
        Ok(At::Plain)
    }
}

/// Bytes looked at in one go: two vectors of the smallest kind.
const CHUNK: usize = 32;

/// How many bytes from here on mean no more than themselves.
fn plain(rest: &[u8]) -> usize {
    let (chunks, _) = rest.as_chunks::<CHUNK>();
    let clean =
        chunks.iter().take_while(|chunk| !chunk.iter().fold(false, |any, &byte| any | is_special(byte))).count();
    let clean = clean * CHUNK;
    let tail = rest.get(clean..).unwrap_or_default();
    clean + tail.iter().position(|&byte| is_special(byte)).unwrap_or(tail.len())
}

fn is_special(byte: u8) -> bool {
    byte == b'"' || byte == b'\\' || byte < 0x20
}
