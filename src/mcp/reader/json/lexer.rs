//! The grammar between the tokens, as a machine that can stop after any byte. No recursion: nesting is a stack of bits.

use super::number::Number;
use super::text::Text;
use super::{Nest, Sink, Token};
use crate::mcp::reader::{Fault, MAX_DEPTH};

/// One bit for each level.
const _: () = assert!(MAX_DEPTH <= u64::BITS);

/// Turns bytes into tokens.
#[derive(Debug)]
pub(super) struct Lexer {
    state: State,
    /// What is open, the innermost lowest: 1 is an object.
    nests: u64,
    depth: u32,
    held: Held,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// A value must follow.
    Value,
    /// After `[`.
    FirstItem,
    /// After `{`.
    FirstMember,
    /// After `,` in an object.
    Member,
    /// After a member's name.
    Colon,
    /// After a value in an array or object.
    After,
    /// After the whole text.
    End,
    /// Inside a member's name.
    Name(Text),
    /// Inside a text.
    Text(Text),
    /// Inside a number.
    Number(Number),
    /// Inside a literal: what is to come of it, and what it means.
    Literal(&'static [u8], Token<'static>),
}

impl Default for Lexer {
    fn default() -> Self {
        Self { state: State::Value, nests: 0, depth: 0, held: Held::default() }
    }
}

impl Lexer {
    /// Takes whole characters.
    pub(super) fn feed(&mut self, mut rest: &[u8], sink: &mut impl Sink) -> Result<(), Fault> {
        while !rest.is_empty() {
            rest = match self.state {
                State::Name(text) | State::Text(text) => self.text(text, rest, sink)?,
                State::Number(number) => self.number(number, rest, sink)?,
                State::Literal(to_come, meaning) => self.literal(to_come, meaning, rest, sink)?,
                State::Value
                | State::FirstItem
                | State::FirstMember
                | State::Member
                | State::Colon
                | State::After
                | State::End => self.between(rest, sink)?,
            };
        }
        Ok(())
    }

    /// The end of the text.
    pub(super) fn finish(&mut self, sink: &mut impl Sink) -> Result<(), Fault> {
        // White space may follow any text that is complete; it ends a number, and is an error inside any other token.
        self.feed(b"\n", sink)?;
        matches!(self.state, State::End).then_some(()).ok_or(Fault::Syntax)
    }

    /// Skips white space and reads the byte after it: a whole token, or the beginning of one.
    fn between<'a>(&mut self, rest: &'a [u8], sink: &mut impl Sink) -> Result<&'a [u8], Fault> {
        let blank = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count();
        let rest = rest.get(blank..).unwrap_or_default();
        let Some((&byte, after)) = rest.split_first() else { return Ok(rest) };
        match (self.state, byte) {
            (State::FirstItem, b']') | (State::FirstMember, b'}') | (State::After, b']' | b'}') => {
                self.close(byte, sink)?;
            }
            (State::Value | State::FirstItem | State::FirstMember | State::Member, b'"') => {
                let is_name = !matches!(self.state, State::Value | State::FirstItem);
                self.held.begin(sink.room(is_name));
                self.state = if is_name { State::Name(Text::BEFORE) } else { State::Text(Text::BEFORE) };
                return Ok(rest);
            }
            (State::Value | State::FirstItem, _) => return self.value(byte, rest, sink),
            (State::Colon, b':') => self.state = State::Value,
            (State::After, b',') => self.state = if self.is_in_object() { State::Member } else { State::Value },
            _ => return Err(Fault::Syntax),
        }
        Ok(after)
    }

    /// Begins a value that is no text. What begins like nothing else is read as a number, and is none.
    fn value<'a>(&mut self, byte: u8, rest: &'a [u8], sink: &mut impl Sink) -> Result<&'a [u8], Fault> {
        self.state = match byte {
            b'{' | b'[' => {
                self.open(if byte == b'{' { Nest::Object } else { Nest::Array }, sink)?;
                return Ok(rest.get(1..).unwrap_or_default());
            }
            b't' => State::Literal(b"true", Token::Bool),
            b'f' => State::Literal(b"false", Token::Bool),
            b'n' => State::Literal(b"null", Token::Null),
            _ => {
                self.held.begin(sink.room(false));
                State::Number(Number::Before)
            }
        };
        Ok(rest)
    }

    fn open(&mut self, nest: Nest, sink: &mut impl Sink) -> Result<(), Fault> {
        if self.depth == MAX_DEPTH {
            return Err(Fault::Bounds);
        }
        self.depth += 1;
        self.nests = self.nests << 1 | u64::from(nest == Nest::Object);
        self.state = if nest == Nest::Object { State::FirstMember } else { State::FirstItem };
        sink.take(Token::Open(nest))
    }

    fn close(&mut self, byte: u8, sink: &mut impl Sink) -> Result<(), Fault> {
        if self.is_in_object() != (byte == b'}') {
            return Err(Fault::Syntax);
        }
        self.depth = self.depth.saturating_sub(1);
        self.nests >>= 1;
        self.passed();
        sink.take(Token::Close)
    }

    fn is_in_object(&self) -> bool {
        self.nests & 1 == 1
    }

    /// A value has been read.
    fn passed(&mut self) {
        self.state = if self.depth == 0 { State::End } else { State::After };
    }

    fn text<'a>(&mut self, mut text: Text, rest: &'a [u8], sink: &mut impl Sink) -> Result<&'a [u8], Fault> {
        let is_name = matches!(self.state, State::Name(_));
        let Some((last, after)) = text.end(rest)?.and_then(|end| rest.split_at_checked(end)) else {
            self.held.keep(rest);
            self.state = if is_name { State::Name(text) } else { State::Text(text) };
            return Ok(&[]);
        };
        if is_name {
            self.state = State::Colon;
            sink.take(Token::Name(self.held.with(last)))?;
        } else {
            self.passed();
            sink.take(Token::Text(self.held.with(last)))?;
        }
        Ok(after)
    }

    fn number<'a>(&mut self, mut number: Number, rest: &'a [u8], sink: &mut impl Sink) -> Result<&'a [u8], Fault> {
        let mut length = 0;
        for &byte in rest {
            let Some(longer) = number.and(byte) else { break };
            number = longer;
            length += 1;
        }
        let (last, after) = rest.split_at_checked(length).ok_or(Fault::Syntax)?;
        if after.is_empty() {
            self.held.keep(last);
            self.state = State::Number(number);
            return Ok(after);
        }
        if !number.is_complete() {
            return Err(Fault::Syntax);
        }
        self.passed();
        sink.take(Token::Number(self.held.with(last)))?;
        Ok(after)
    }

    fn literal<'a>(
        &mut self,
        to_come: &'static [u8],
        meaning: Token<'static>,
        rest: &'a [u8],
        sink: &mut impl Sink,
    ) -> Result<&'a [u8], Fault> {
        let length = to_come.len().min(rest.len());
        let ((expected, to_come), (found, after)) =
            to_come.split_at_checked(length).zip(rest.split_at_checked(length)).ok_or(Fault::Syntax)?;
        if expected != found {
            return Err(Fault::Syntax);
        }
        if to_come.is_empty() {
            self.passed();
            sink.take(meaning)?;
        } else {
            self.state = State::Literal(to_come, meaning);
        }
        Ok(after)
    }
}

/// What of a text or number came before this piece, as far as the sink has room for it.
#[derive(Debug, Default)]
struct Held {
    bytes: Vec<u8>,
    room: usize,
    fits: bool,
}

impl Held {
    fn begin(&mut self, room: usize) {
        self.bytes.clear();
        self.room = room;
        self.fits = true;
    }

    fn keep(&mut self, part: &[u8]) {
        self.fits &= self.bytes.len() + part.len() <= self.room;
        if self.fits {
            self.bytes.extend_from_slice(part);
        }
    }

    /// The whole, once its last part is here: nothing is copied when it is the only one.
    fn with<'a>(&'a mut self, last: &'a [u8]) -> Option<&'a [u8]> {
        if self.bytes.is_empty() {
            return (self.fits && last.len() <= self.room).then_some(last);
        }
        self.keep(last);
        self.fits.then_some(&self.bytes)
    }
}
