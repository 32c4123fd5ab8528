//! Header fields in the order in which they came, as places in one text: reading a head makes no table and no copy. Pure.

use std::ops::Range;

use bytes::Bytes;
use http::{HeaderMap, HeaderName};

/// See the module. Names are tokens in lower case; values have no control bytes but tabs, and no blanks around them.
#[derive(Debug, Default)]
pub struct Fields {
    text: Bytes,
    lines: Vec<Line>,
    /// A bit for each name that is there, some shared: most lookups are for fields that are not.
    present: u64,
}

/// Where a field stands in the text.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) name: Range<u32>,
    pub(super) value: Range<u32>,
}

/// A field that may stand once stands twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repeated;

/// Most heads have fewer fields.
pub(super) const ROOM_FOR_LINES: usize = 24;

impl Fields {
    /// Of lines that were judged, and the text that they are places in.
    pub(super) fn new(text: Bytes, lines: Vec<Line>) -> Self {
        let mut fields = Self { text, lines, present: 0 };
        fields.present = fields.iter().fold(0, |present, (name, _)| present | bit(name));
        fields
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// There is none.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// All of them, names in lower case.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.lines.iter().map(|line| (self.at(&line.name), self.at(&line.value)))
    }

    /// The values of one field, in their order.
    pub fn all<'a, 'n>(&'a self, name: &'n HeaderName) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        let name = name.as_str().as_bytes();
        let lines = if self.present & bit(name) == 0 { &[] } else { self.lines.as_slice() };
        lines.iter().filter(move |line| self.at(&line.name) == name).map(|line| self.at(&line.value))
    }

    /// The first value.
    pub fn get(&self, name: &HeaderName) -> Option<&[u8]> {
        self.all(name).next()
    }

    /// It is there.
    pub fn has(&self, name: &HeaderName) -> bool {
        self.get(name).is_some()
    }

    /// The value of a field that may stand once.
    pub fn once(&self, name: &HeaderName) -> Result<Option<&[u8]>, Repeated> {
        let mut values = self.all(name);
        match (values.next(), values.next()) {
            (value, None) => Ok(value),
            (_, Some(_)) => Err(Repeated),
        }
    }

    /// A list of names (RFC 9110 §5.6.1) holds this one, in whatever case.
    pub fn names_in(&self, list: &HeaderName, name: &[u8]) -> bool {
        let mut names = self.all(list).flat_map(|value| value.split(|&b| b == b','));
        names.any(|other| other.trim_ascii().eq_ignore_ascii_case(name))
    }

    fn at(&self, place: &Range<u32>) -> &[u8] {
        self.text.get(place.start as usize..place.end as usize).unwrap_or_default()
    }
}

/// Of fields that came decoded (HTTP/2).
impl From<&HeaderMap> for Fields {
    fn from(headers: &HeaderMap) -> Self {
        let bytes = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        let (mut text, mut lines) = (Vec::with_capacity(bytes), Vec::with_capacity(headers.len()));
        let mut place = |part: &[u8]| {
            let begin = position(text.len());
            text.extend_from_slice(part);
            begin..position(text.len())
        };
        for (name, value) in headers {
            let name = place(name.as_str().as_bytes());
            lines.push(Line { name, value: place(value.as_bytes().trim_ascii()) });
        }
        Self::new(text.into(), lines)
    }
}

/// Heads are bounded far below what this holds.
pub(super) fn position(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

fn bit(name: &[u8]) -> u64 {
    let first = name.first().copied().unwrap_or_default();
    1 << ((name.len() + 5 * usize::from(first)) & 63)
}

/// A value that is text: visible ASCII, blanks and tabs. Other bytes have no agreed meaning (RFC 9110 §5.5).
pub fn as_text(value: &[u8]) -> Option<&str> {
    let is_text = |b: u8| b == b'\t' || (b' '..=b'~').contains(&b);
    // Without leaving early: values are long, and so many bytes are judged at a time.
    let text = value.iter().fold(true, |text, &b| text & is_text(b));
    text.then(|| std::str::from_utf8(value).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use http::header::{ACCEPT, HOST, ORIGIN};
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn fields(list: &[(&'static str, &'static str)]) -> Fields {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        let mut map = HeaderMap::new();
        list.iter().map(pair).for_each(|(name, value)| {
            map.append(name, value);
        });
        Fields::from(&map)
    }

    #[test]
    fn fields_are_found_by_their_whole_name_in_their_order() {
        let fields =
            fields(&[("host", "h"), ("accept", "a"), ("accept", "b"), ("accept-encoding", "c"), ("hosts", "d")]);
        assert_eq!(fields.all(&ACCEPT).collect::<Vec<_>>(), [b"a", b"b"]);
        assert_eq!((fields.get(&HOST), fields.get(&ORIGIN)), (Some(&b"h"[..]), None));
        assert_eq!((fields.once(&HOST), fields.once(&ACCEPT)), (Ok(Some(&b"h"[..])), Err(Repeated)));
        assert!(fields.has(&HOST) && !fields.has(&ORIGIN) && fields.once(&ORIGIN) == Ok(None));
        assert_eq!((fields.len(), fields.iter().count(), fields.is_empty()), (5, 5, false));
        // Same bit, other name.
        let alike = HeaderName::from_static("hos-");
        assert!(bit(b"hos-") == bit(b"host") && !fields.has(&alike));
    }

    #[test]
    fn a_list_holds_a_name_whole_in_whatever_case_and_line() {
        let fields = fields(&[("accept", "a, B\t,,c-d"), ("accept", "e")]);
        for name in ["a", "A", "b", "c-d", "e"] {
            assert!(fields.names_in(&ACCEPT, name.as_bytes()), "{name}");
        }
        for name in ["c", "d", "a, b", "f"] {
            assert!(!fields.names_in(&ACCEPT, name.as_bytes()), "{name}");
        }
        assert!(!fields.names_in(&ORIGIN, b"a") && Fields::from(&HeaderMap::new()).is_empty());
    }

    #[test]
    fn text_is_visible_ascii_with_blanks() {
        assert_eq!(as_text(b"a b\tc~"), Some("a b\tc~"));
        for bytes in [&b"\xc3\xa9"[..], b"a\0", b"\x7f", b"a\r\n"] {
            assert_eq!(as_text(bytes), None, "{bytes:?}");
        }
    }
}
