//! JSON that arrives in pieces, strict to RFC 8259: each byte is looked at once, and nothing is kept that nobody wants.

mod lexer;
mod number;
mod text;

use super::Fault;
use lexer::Lexer;

/// What a JSON text is made of, in the order of its bytes. A text or number is as written, a text with its quotes; `None` when
/// it is longer than the sink has [`room`](Sink::room) for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'a> {
    Open(Nest),
    Close,
    Name(Option<&'a [u8]>),
    Text(Option<&'a [u8]>),
    Number(Option<&'a [u8]>),
    Null,
    Bool,
}

impl Token<'_> {
    pub(super) fn is_object(self) -> bool {
        self == Self::Open(Nest::Object)
    }

    pub(super) fn is_array(self) -> bool {
        self == Self::Open(Nest::Array)
    }
}

/// What holds other values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nest {
    Array,
    Object,
}

/// Who makes something of the tokens.
pub(super) trait Sink {
    /// How many bytes of the member name, text or number that begins here may matter.
    fn room(&self, is_name: bool) -> usize;
    /// The next token.
    fn take(&mut self, token: Token<'_>) -> Result<(), Fault>;
}

/// RFC 8259 §8.1: no byte order mark.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Within so many bytes a NUL shows UTF-16 or UTF-32 (RFC 4627 §3); further on it is no more than a syntax error.
const SIGNATURE_BYTES: usize = 4;

/// A JSON text on its way in. What it says of the bytes so far does not depend on how they are cut into pieces.
#[derive(Debug, Default)]
pub(super) struct Stream {
    lexer: Lexer,
    /// The bytes of a character whose end is still to come.
    part: Vec<u8>,
    /// How many of the first [`SIGNATURE_BYTES`] have been seen.
    begun: usize,
}

impl Stream {
    /// Takes the next bytes.
    pub(super) fn feed(&mut self, piece: &[u8], sink: &mut impl Sink) -> Result<(), Fault> {
        let piece = self.complete(piece, sink)?;
        let Err(error) = std::str::from_utf8(piece) else { return self.characters(piece, sink) };
        let (good, bad) = piece.split_at_checked(error.valid_up_to()).ok_or(Fault::Encoding)?;
        self.characters(good, sink)?;
        if error.error_len().is_some() {
            return Err(Fault::Encoding);
        }
        self.part.extend_from_slice(bad);
        Ok(())
    }

    /// The end of the text.
    pub(super) fn finish(&mut self, sink: &mut impl Sink) -> Result<(), Fault> {
        if !self.part.is_empty() {
            return Err(Fault::Encoding);
        }
        self.lexer.finish(sink)
    }

    /// Ends the character that the pieces before left open, as far as this piece can; the rest of the piece.
    fn complete<'a>(&mut self, mut piece: &'a [u8], sink: &mut impl Sink) -> Result<&'a [u8], Fault> {
        while !self.part.is_empty() {
            let Some((&byte, rest)) = piece.split_first() else { break };
            piece = rest;
            self.part.push(byte);
            match std::str::from_utf8(&self.part) {
                Ok(_) => {
                    let character = std::mem::take(&mut self.part);
                    self.characters(&character, sink)?;
                }
                Err(error) if error.error_len().is_some() => return Err(Fault::Encoding),
                Err(_) => {}
            }
        }
        Ok(piece)
    }

    /// Whole characters of UTF-8.
    fn characters(&mut self, text: &[u8], sink: &mut impl Sink) -> Result<(), Fault> {
        if self.begun < SIGNATURE_BYTES {
            if self.begun == 0 && text.starts_with(BYTE_ORDER_MARK) {
                return Err(Fault::Encoding);
            }
            let signature = text.iter().take(SIGNATURE_BYTES - self.begun);
            self.begun += signature.len();
            if let Some(nul) = signature.clone().position(|&byte| byte == 0) {
                self.lexer.feed(text.get(..nul).unwrap_or_default(), sink)?;
                return Err(Fault::Encoding);
            }
        }
        self.lexer.feed(text, sink)
    }
}

/// What a text says: without its quotes, unescaped. `written` has been a [`Token`].
pub(super) fn unescaped(written: &[u8]) -> Result<Box<str>, Fault> {
    let text = match inner(written) {
        Some(plain) if !plain.contains(&b'\\') => std::str::from_utf8(plain).map_err(|_| Fault::Encoding)?.into(),
        _ => serde_json::from_slice(written).map_err(|_| Fault::Syntax)?,
    };
    Ok(text)
}

/// A text as written, without its quotes.
pub(super) fn inner(written: &[u8]) -> Option<&[u8]> {
    written.strip_prefix(b"\"")?.strip_suffix(b"\"")
}
