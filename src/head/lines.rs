//! Header fields on their way out, as the lines that they are in HTTP/1: written once, in the order in which they are said. Pure.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

/// See the module. No line holds another one, whatever it was made of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lines {
    text: Vec<u8>,
    /// Where the fields begin: behind a message's first line, where there is one.
    begin: usize,
}

impl Lines {
    /// None, and room for so many bytes of them.
    pub fn with_room(bytes: usize) -> Self {
        Self { text: Vec::with_capacity(bytes), begin: 0 }
    }

    /// Behind this first line of a message.
    pub(crate) fn behind(first: &[&str], room: usize) -> Self {
        let mut text = Vec::with_capacity(room);
        first.iter().chain(&["\r\n"]).for_each(|part| text.extend_from_slice(part.as_bytes()));
        Self { begin: text.len(), text }
    }

    /// A field whose value is one already.
    pub fn push(&mut self, name: &HeaderName, value: &HeaderValue) {
        self.push_judged(name.as_str().as_bytes(), value.as_bytes());
    }

    /// A field that was judged before: its name is a token, its value has no control bytes.
    pub(crate) fn push_judged(&mut self, name: &[u8], value: &[u8]) {
        self.text.reserve(name.len() + value.len() + 4);
        for part in [name, b": ", value, b"\r\n"] {
            self.text.extend_from_slice(part);
        }
    }

    /// A field whose value is visible ASCII by construction; one that is not becomes an empty value rather than a second line.
    pub fn push_text(&mut self, name: &HeaderName, parts: &[&str]) {
        self.text.extend_from_slice(name.as_str().as_bytes());
        self.text.extend_from_slice(b": ");
        let begin = self.text.len();
        for part in parts {
            self.text.extend_from_slice(part.as_bytes());
        }
        // Without leaving early: so many bytes are judged at a time.
        let value = self.text.get(begin..).unwrap_or_default();
        if !value.iter().fold(true, |clean, byte| clean & (b' '..=b'~').contains(byte)) {
            self.text.truncate(begin);
        }
        self.text.extend_from_slice(b"\r\n");
    }

    /// Whole lines, as the source has them.
    pub(crate) fn push_lines(&mut self, lines: &'static str) {
        self.text.extend_from_slice(lines.as_bytes());
    }

    /// Lines that were made before.
    pub fn extend(&mut self, others: &Self) {
        self.text.extend_from_slice(others.as_bytes());
    }

    /// The whole message so far, its first line too.
    pub(crate) fn into_message(self) -> Vec<u8> {
        self.text
    }

    /// Lends the message so far to whoever sends it, to be [put back](Self::put_back) if it was not.
    pub(crate) fn take_message(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.text)
    }

    /// The message that was lent, without what was added behind so many bytes.
    pub(crate) fn put_back(&mut self, mut message: Vec<u8>, length: usize) {
        message.truncate(length);
        self.text = message;
    }

    /// As they go out.
    pub fn as_bytes(&self) -> &[u8] {
        self.text.get(self.begin..).unwrap_or_default()
    }

    /// How many bytes they hold.
    pub fn len(&self) -> usize {
        self.as_bytes().len()
    }

    /// There is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where lines do not go (HTTP/2): values stay places in one text.
    pub fn into_map(self) -> HeaderMap {
        let mut map = HeaderMap::with_capacity(ROOM_FOR_FIELDS);
        let (text, mut at) = (Bytes::from(self.text), self.begin);
        while let Some(length) = text.get(at..).and_then(|rest| memchr::memchr(b'\r', rest)) {
            let line = text.slice(at..at + length);
            if let Some(colon) = memchr::memchr(b':', &line)
                && let Some(name) = line.get(..colon).and_then(name)
                && let Ok(mut value) = HeaderValue::from_maybe_shared(line.slice((colon + 2).min(line.len())..))
            {
                // RFC 7541 §6.2.3: what is new in every answer would only drive out of the peer's table what is not.
                value.set_sensitive(NEVER_THE_SAME.contains(&name));
                map.append(name, value);
            }
            at += length + 2;
        }
        map
    }
}

/// The library makes a copy of each name that no standard knows: these are on every answer.
static OURS: [HeaderName; 3] = [X_REQUEST_ID, RATELIMIT, HeaderName::from_static("ratelimit-policy")];
/// Those with another value each time.
static NEVER_THE_SAME: [HeaderName; 2] = [X_REQUEST_ID, RATELIMIT];

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");

fn name(text: &[u8]) -> Option<HeaderName> {
    let known = OURS.iter().find(|known| known.as_str().as_bytes() == text);
    known.cloned().or_else(|| HeaderName::from_bytes(text).ok())
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
        assert!(map.len() == 6 && map.get_all(ACCEPT).iter().count() == 2 && map["x-empty"].is_empty());
        let mut message = Lines::behind(&["HTTP/1.1 ", "200", " OK"], 0);
        assert!(message.is_empty());
        message.push_text(&ACCEPT, &["a"]);
        assert_eq!((message.len(), message.as_bytes()), (11, &b"accept: a\r\n"[..]));
        assert_eq!(message.clone().into_message(), b"HTTP/1.1 200 OK\r\naccept: a\r\n");
        assert_eq!(message.into_map().len(), 1);
        assert!(Lines::default().is_empty() && Lines::default().into_map().is_empty() && lines.len() == 33);
    }

    #[test]
    fn a_message_that_was_lent_comes_back_without_what_was_added() {
        let mut lines = Lines::behind(&["GET / HTTP/1.1"], 0);
        lines.push_lines("host: h\r\naccept: a\r\n");
        assert!(!lines.is_empty());
        let mut message = lines.take_message();
        let length = message.len();
        assert_eq!(message, b"GET / HTTP/1.1\r\nhost: h\r\naccept: a\r\n");
        message.extend_from_slice(b"\r\nbody");
        lines.put_back(message, length);
        assert_eq!(lines.as_bytes(), b"host: h\r\naccept: a\r\n");
    }

    proptest! {
        #[test]
        fn c14_no_text_makes_a_second_line(text in any::<String>(), bytes in prop::collection::vec(any::<char>(), 0..3)) {
            let mut lines = Lines::default();
            lines.push_text(&HOST, &[&text, &bytes.into_iter().collect::<String>(), "\r\n"]);
            prop_assert_eq!(lines.as_bytes(), b"host: \r\n");
            let mut lines = Lines::default();
            lines.push_text(&HOST, &[&text]);
            prop_assert_eq!(lines.as_bytes().split(|byte| *byte == b'\n').count(), 2);
            prop_assert!(lines.clone().into_map().len() == 1);
        }
    }
}
