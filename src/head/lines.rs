//! Header fields on their way out, as the lines that they are in HTTP/1: written once, in the order in which they are said. Pure.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

/// See the module. No line holds another one, whatever it was made of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lines(Vec<u8>);

impl Lines {
    /// None, and room for so many bytes of them.
    pub fn with_room(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    /// A field whose value is one already.
    pub fn push(&mut self, name: &HeaderName, value: &HeaderValue) {
        self.push_judged(name.as_str().as_bytes(), value.as_bytes());
    }

    /// A field that was judged before: its name is a token, its value has no control bytes.
    pub(crate) fn push_judged(&mut self, name: &[u8], value: &[u8]) {
        self.0.reserve(name.len() + value.len() + 4);
        for part in [name, b": ", value, b"\r\n"] {
            self.0.extend_from_slice(part);
        }
    }

    /// A field whose value is visible ASCII by construction; one that is not becomes an empty value rather than a second line.
    pub fn push_text(&mut self, name: &HeaderName, parts: &[&str]) {
        self.0.extend_from_slice(name.as_str().as_bytes());
        self.0.extend_from_slice(b": ");
        let begin = self.0.len();
        for part in parts {
            self.0.extend_from_slice(part.as_bytes());
        }
        // Without leaving early: so many bytes are judged at a time.
        let value = self.0.get(begin..).unwrap_or_default();
        if !value.iter().fold(true, |clean, byte| clean & (b' '..=b'~').contains(byte)) {
            self.0.truncate(begin);
        }
        self.0.extend_from_slice(b"\r\n");
    }

    /// Lines that were made before.
    pub fn extend(&mut self, others: &Self) {
        self.0.extend_from_slice(&others.0);
    }

    /// As they go out.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// How many bytes they hold.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// There is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Where lines do not go (HTTP/2): values stay places in one text.
    pub fn into_map(self) -> HeaderMap {
        let mut map = HeaderMap::with_capacity(ROOM_FOR_FIELDS);
        let text = Bytes::from(self.0);
        let mut at = 0;
        while let Some(length) = text.get(at..).and_then(|rest| memchr::memchr(b'\r', rest)) {
            let line = text.slice(at..at + length);
            if let Some(colon) = memchr::memchr(b':', &line)
                && let Some(name) = line.get(..colon).and_then(|name| HeaderName::from_bytes(name).ok())
                && let Ok(value) = HeaderValue::from_maybe_shared(line.slice((colon + 2).min(line.len())..))
            {
                map.append(name, value);
            }
            at += length + 2;
        }
        map
    }
}

/// Most heads have fewer.
const ROOM_FOR_FIELDS: usize = 16;

#[cfg(test)]
mod tests {
    use http::header::{ACCEPT, HOST};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_are_fields_in_their_order() {
        let mut lines = Lines::with_room(0);
        lines.push(&HOST, &HeaderValue::from_static("h"));
        lines.push_text(&ACCEPT, &["a", "/", "b"]);
        lines.push_judged(b"x-empty", b"");
        let mut others = lines.clone();
        others.extend(&lines);
        assert_eq!(lines.as_bytes(), b"host: h\r\naccept: a/b\r\nx-empty: \r\n");
        let map = others.into_map();
        assert!(map.len() == 6 && map.get_all(ACCEPT).iter().count() == 2 && map["x-empty"] == "");
        assert!(Lines::default().is_empty() && Lines::default().into_map().is_empty() && lines.len() == 33);
    }

    proptest! {
        #[test]
        fn c14_no_text_makes_a_second_line(text in any::<String>(), bytes in prop::collection::vec(any::<char>(), 0..3)) {
            let mut lines = Lines::default();
            lines.push_text(&HOST, &[&text, &bytes.into_iter().collect::<String>(), "\r\n"]);
            prop_assert_eq!(lines.as_bytes(), b"host: \r\n");
            let mut lines = Lines::default();
            lines.push_text(&HOST, &[&text]);
            prop_assert_eq!(lines.as_bytes().iter().filter(|byte| **byte == b'\n').count(), 1);
            prop_assert!(lines.clone().into_map().len() == 1);
        }
    }
}
