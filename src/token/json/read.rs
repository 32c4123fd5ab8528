//! Reads the text of an [`Object`] in one pass, strict to RFC 8259. Texts with escapes and all but plain numbers are left to
//! `serde_json`.
//!
//! Most JSON readers keep the last of two members, some the first (RFC 7519 §4, RFC 8725 §2.4): here the text is refused.

use std::borrow::Cow;
use std::collections::HashSet;

use serde_json::Number;

use super::{Kind, Name, Node, Object, Span};
use crate::token::TokenError;

/// Deepest nesting in a header or payload: a bound on the stack.
const MAX_DEPTH: usize = 32;
/// Names of one object that are held against each other one by one. More are looked up: a token has room for 2,000, and every
/// pair of those would take two million comparisons.
const FEW: usize = 16;
/// Places for values to begin with: most tokens need no more.
const VALUES: usize = 16;

impl Object {
    /// The one object that `bytes` are.
    pub(in crate::token) fn read(bytes: Vec<u8>) -> Result<Self, TokenError> {
        let mut text = String::from_utf8(bytes).map_err(|_| TokenError::Json)?;
        let mut reader = Reader {
            text: &text,
            rest: text.as_bytes(),
            unescaped: String::new(),
            nodes: Vec::with_capacity(VALUES),
            names: Vec::with_capacity(FEW),
        };
        reader.expect(b'{')?;
        reader.object(Name::default(), MAX_DEPTH)?;
        reader.skip_blanks();
        let Reader { rest: [], unescaped, nodes, .. } = reader else { return Err(TokenError::Json) };
        text.push_str(&unescaped);
        Ok(Self { text, nodes })
    }
}

/// A text, and what has been made of it.
struct Reader<'t> {
    text: &'t str,
    /// What is still to be read of it.
    rest: &'t [u8],
    unescaped: String,
    nodes: Vec<Node>,
    /// Of the members of every object that is open, the innermost last.
    names: Vec<Known<'t>>,
}

/// The name of a member that has been read, and its [`Name::key`].
type Known<'t> = (u64, Cow<'t, str>);

impl<'t> Reader<'t> {
    fn skip_blanks(&mut self) {
        while let [b' ' | b'\t' | b'\n' | b'\r', rest @ ..] = self.rest {
            self.rest = rest;
        }
    }

    /// The next byte that is no white space.
    fn next(&mut self) -> Result<u8, TokenError> {
        self.skip_blanks();
        let (&byte, rest) = self.rest.split_first().ok_or(TokenError::Json)?;
        self.rest = rest;
        Ok(byte)
    }

    fn expect(&mut self, byte: u8) -> Result<(), TokenError> {
        if self.next()? == byte { Ok(()) } else { Err(TokenError::Json) }
    }

    /// True when this byte is next: then it has been read.
    fn take(&mut self, byte: u8) -> bool {
        self.skip_blanks();
        let rest = self.rest.strip_prefix(&[byte]);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn value(&mut self, name: Name, depth: usize) -> Result<(), TokenError> {
        let kind = match self.next()? {
            b'"' => Kind::Text(self.text()?.0),
            b'{' => return self.object(name, depth),
            b'[' => return self.array(name, depth),
            b't' => self.literal(b"rue", Kind::Bool(true))?,
            b'f' => self.literal(b"alse", Kind::Bool(false))?,
            b'n' => self.literal(b"ull", Kind::Null)?,
            first => Kind::Number(self.number(first)?),
        };
        self.push(name, kind);
        Ok(())
    }

    /// The rest of an object. It and all in it may be `depth` deep.
    fn object(&mut self, name: Name, depth: usize) -> Result<(), TokenError> {
        let depth = depth.checked_sub(1).ok_or(TokenError::Json)?;
        let at = self.push(name, Kind::Object);
        if self.take(b'}') {
            return Ok(());
        }
        let (first, mut many) = (self.names.len(), HashSet::new());
        loop {
            self.expect(b'"')?;
            let name = self.name(first, &mut many)?;
            self.expect(b':')?;
            self.value(name, depth)?;
            match self.next()? {
                b',' => {}
                b'}' => break,
                _ => return Err(TokenError::Json),
            }
        }
        self.names.truncate(first);
        self.close(at)
    }

    /// The rest of an array; see [`Self::object`].
    fn array(&mut self, name: Name, depth: usize) -> Result<(), TokenError> {
        let depth = depth.checked_sub(1).ok_or(TokenError::Json)?;
        let at = self.push(name, Kind::Array);
        if self.take(b']') {
            return Ok(());
        }
        loop {
            self.value(Name::default(), depth)?;
            match self.next()? {
                b',' => {}
                b']' => return self.close(at),
                _ => return Err(TokenError::Json),
            }
        }
    }

    /// Takes a value; where it is now.
    fn push(&mut self, name: Name, kind: Kind) -> usize {
        self.nodes.push(Node { name, kind, inside: 0 });
        self.nodes.len() - 1
    }

    /// All that is in the array or object at `at` has been read.
    fn close(&mut self, at: usize) -> Result<(), TokenError> {
        let inside = u32::try_from(self.nodes.len() - 1 - at).map_err(|_| TokenError::Json)?;
        self.nodes.get_mut(at).ok_or(TokenError::Json)?.inside = inside;
        Ok(())
    }

    /// The rest of a member's name, which no member of its object had before. `names` has those from `first` on, until they are
    /// `many`.
    fn name(&mut self, first: usize, many: &mut HashSet<Cow<'t, str>>) -> Result<Name, TokenError> {
        let (span, name) = self.text()?;
        let key = Name::key(&name);
        let few = self.names.get(first..).unwrap_or_default();
        let is_new = if many.is_empty() && few.iter().any(|(other, known)| *other == key && *known == name) {
            false
        } else if many.is_empty() && few.len() < FEW {
            self.names.push((key, name));
            true
        } else {
            many.extend(self.names.drain(first..).map(|(_, known)| known));
            many.insert(name)
        };
        if is_new { Ok(Name { span, key }) } else { Err(TokenError::Duplicate) }
    }

    /// The rest of a text: where it stands, and what it says.
    fn text(&mut self) -> Result<(Span, Cow<'t, str>), TokenError> {
        let (start, length) = (self.text.len() - self.rest.len(), plain(self.rest));
        let (_, rest) = self.rest.split_at_checked(length).ok_or(TokenError::Json)?;
        match rest {
            [b'"', rest @ ..] => {
                self.rest = rest;
                let text = self.text.get(start..start + length).ok_or(TokenError::Json)?;
                Ok((Span::new(start, length)?, Cow::Borrowed(text)))
            }
            [b'\\', ..] => self.escaped(start),
            // A control byte, or the end.
            _ => Err(TokenError::Json),
        }
    }

    /// The same where there are escapes in it; put behind all text without them.
    fn escaped(&mut self, start: usize) -> Result<(Span, Cow<'t, str>), TokenError> {
        loop {
            self.rest = match self.rest.split_at_checked(plain(self.rest)).map(|(_, rest)| rest) {
                Some([b'\\', _, rest @ ..]) => rest,
                Some([b'"', rest @ ..]) => {
                    self.rest = rest;
                    break;
                }
                _ => return Err(TokenError::Json),
            };
        }
        let written = self.text.get(start - 1..self.text.len() - self.rest.len()).ok_or(TokenError::Json)?;
        let text: String = serde_json::from_str(written).map_err(|_| TokenError::Json)?;
        let span = Span::new(self.text.len() + self.unescaped.len(), text.len())?;
        self.unescaped.push_str(&text);
        Ok((span, Cow::Owned(text)))
    }

    fn literal(&mut self, rest: &[u8], meaning: Kind) -> Result<Kind, TokenError> {
        self.rest = self.rest.strip_prefix(rest).ok_or(TokenError::Json)?;
        Ok(meaning)
    }

    /// A number, or what is no value at all.
    fn number(&mut self, first: u8) -> Result<Number, TokenError> {
        let start = self.text.len() - self.rest.len() - 1;
        while let [b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E', rest @ ..] = self.rest {
            self.rest = rest;
        }
        let written = self.text.get(start..self.text.len() - self.rest.len()).ok_or(TokenError::Json)?;
        match written.parse::<u64>() {
            // RFC 8259 §6: Rust would take a plus or zeros in front.
            Ok(whole) if matches!(first, b'1'..=b'9') => Ok(whole.into()),
            _ => serde_json::from_str(written).map_err(|_| TokenError::Json),
        }
    }
}

impl Span {
    fn new(start: usize, length: usize) -> Result<Self, TokenError> {
        let short = |number| u32::try_from(number).map_err(|_| TokenError::Json);
        Ok(Self { start: short(start)?, length: short(length)? })
    }
}

/// How many bytes from here on stand for themselves in a text: up to a quote, a backslash or a control byte.
fn plain(rest: &[u8]) -> usize {
    let (words, last) = rest.as_chunks();
    let mut before = 0;
    for word in words {
        if let Some(found) = first_special(*word) {
            return before + found;
        }
        before += word.len();
    }
    before + last.iter().position(|byte| matches!(byte, b'"' | b'\\' | ..0x20)).unwrap_or(last.len())
}

/// Where the first byte is that ends a run. Each mask has the high bit of every byte that it looks for; bits above its lowest may
/// be wrong, since borrows reach upwards, but nothing is read off those.
fn first_special(word: [u8; 8]) -> Option<usize> {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    let word = u64::from_le_bytes(word);
    let below = |word: u64, bound: u64| word.wrapping_sub(ONES * bound) & !word;
    let equal = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    let specials = (below(word, 0x20) | equal(b'"') | equal(b'\\')) & (ONES << 7);
    (specials != 0).then_some(specials.trailing_zeros() as usize / 8)
}
