//! Event streams (WHATWG HTML §9.2): whole events out of pieces, and an event with other data in place of its own.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};

/// Longest event that is held until it is whole: a list of many tools with large schemas stays far below.
pub const MAX_EVENT_BYTES: usize = 16 << 20;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// An event that does not end within [`MAX_EVENT_BYTES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event is too long")]
pub struct EventTooLong;

/// Cuts a stream into events, whatever the pieces and in any mixture of the three line ends. Nothing is lost: all events and the
/// rest together are the stream.
#[derive(Debug, Default)]
pub struct Splitter {
    held: BytesMut,
    /// So much of what is held has been looked at.
    seen: usize,
    lines: Lines,
    /// Something was given out already: a byte order mark stands at the very start only.
    has_begun: bool,
}

impl Splitter {
    /// Takes the next piece.
    pub fn push(&mut self, piece: &[u8]) {
        self.held.extend_from_slice(piece);
    }

    /// The next whole event, with the empty line that ends it.
    pub fn next_event(&mut self) -> Result<Option<Event>, EventTooLong> {
        let unseen = self.held.get(self.seen..).unwrap_or_default();
        let Some(at) = unseen.iter().position(|&byte| self.lines.ends_event(byte)) else {
            self.seen = self.held.len();
            return if self.seen > MAX_EVENT_BYTES { Err(EventTooLong) } else { Ok(None) };
        };
        let mut end = self.seen + at + 1;
        // The second half of a line end, where it is there already; else it passes as an empty line of the next event.
        if self.lines.before == b'\r' && self.held.get(end) == Some(&b'\n') {
            end += 1;
        }
        (self.seen, self.lines) = (0, Lines::default());
        let bytes = self.held.split_to(end).freeze();
        if self.held.is_empty() {
            self.held = BytesMut::new(); // an idle stream keeps no room for the long event that it once brought
        }
        Ok(Some(self.event(bytes)))
    }

    /// How much waits for its end.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// What is left when the stream has ended: an event without its end, which some readers take all the same.
    pub fn finish(&mut self) -> Option<Event> {
        let rest = std::mem::take(&mut self.held).freeze();
        (!rest.is_empty()).then(|| self.event(rest))
    }

    fn event(&mut self, bytes: Bytes) -> Event {
        let is_first = !std::mem::replace(&mut self.has_begun, true);
        Event { bytes, is_first }
    }
}

/// Where lines and events end.
#[derive(Debug)]
struct Lines {
    is_empty: bool,
    before: u8,
}

impl Default for Lines {
    fn default() -> Self {
        Self { is_empty: true, before: 0 }
    }
}

impl Lines {
    /// Takes the next byte; true when an empty line ends with it.
    fn ends_event(&mut self, byte: u8) -> bool {
        let before = std::mem::replace(&mut self.before, byte);
        match byte {
            b'\n' if before == b'\r' => false, // the second half of one line end
            b'\n' | b'\r' => std::mem::replace(&mut self.is_empty, true),
            _ => {
                self.is_empty = false;
                false
            }
        }
    }
}

/// One event as it was sent, comments and unknown fields included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    bytes: Bytes,
    is_first: bool,
}

impl Event {
    /// The bytes that came.
    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }

    /// Its type: the last `event` field; empty when there is none.
    pub fn kind(&self) -> &[u8] {
        self.lines().filter_map(|line| line.value(b"event")).last().unwrap_or_default()
    }

    /// All its `data` fields, joined by line feeds; `None` without one.
    pub fn data(&self) -> Option<Cow<'_, [u8]>> {
        let mut values = self.lines().filter_map(|line| line.value(b"data"));
        let mut data = Cow::Borrowed(values.next()?);
        for value in values {
            let joined = data.to_mut();
            joined.push(b'\n');
            joined.extend_from_slice(value);
        }
        Some(data)
    }

    /// The event with other data, in the place of the first `data` field; every other line stays byte for byte.
    pub fn with_data(&self, data: &[u8]) -> Bytes {
        let mut bytes = BytesMut::with_capacity(self.bytes.len());
        bytes.extend_from_slice(self.mark());
        let mut is_written = false;
        for line in self.lines() {
            if line.value(b"data").is_none() {
                bytes.extend_from_slice(line.text);
                bytes.extend_from_slice(line.end);
            } else if !std::mem::replace(&mut is_written, true) {
                write_data(data, line.end, &mut bytes);
            }
        }
        bytes.freeze()
    }

    fn mark(&self) -> &[u8] {
        if self.is_first && self.bytes.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK } else { b"" }
    }

    fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        let mut rest = self.bytes.get(self.mark().len()..).unwrap_or_default();
        std::iter::from_fn(move || {
            let line;
            (line, rest) = Line::first(rest)?;
            Some(line)
        })
    }
}

fn write_data(data: &[u8], line_end: &[u8], bytes: &mut BytesMut) {
    let mut lines = data.split(|byte| matches!(byte, b'\n' | b'\r')).peekable();
    while let Some(line) = lines.next() {
        bytes.extend_from_slice(b"data: ");
        bytes.extend_from_slice(line);
        // A last line without an end stays so; those before it need one.
        bytes.extend_from_slice(if line_end.is_empty() && lines.peek().is_some() { b"\n" } else { line_end });
    }
}

struct Line<'a> {
    text: &'a [u8],
    end: &'a [u8],
}

impl<'a> Line<'a> {
    fn first(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let length = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(bytes.len());
        let (text, rest) = bytes.split_at_checked(length)?;
        let end = if rest.starts_with(b"\r\n") { 2 } else { rest.len().min(1) };
        let (end, rest) = rest.split_at_checked(end)?;
        (!bytes.is_empty()).then_some((Self { text, end }, rest))
    }

    /// The value of a field of this name.
    fn value(&self, name: &[u8]) -> Option<&'a [u8]> {
        match self.text.strip_prefix(name)? {
            [] => Some(b""),
            [b':', b' ', value @ ..] | [b':', value @ ..] => Some(value),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The whole events, then what is left.
    fn split<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Event> {
        let mut splitter = Splitter::default();
        let mut events = Vec::new();
        for piece in pieces {
            splitter.push(piece);
            while let Some(event) = splitter.next_event().unwrap() {
                events.push(event);
            }
        }
        events.extend(splitter.finish());
        events
    }

    fn only(text: &str) -> Event {
        let mut events = split([text.as_bytes()]);
        assert_eq!(events.len(), 1, "{text:?}");
        events.remove(0)
    }

    #[test]
    fn events_end_at_an_empty_line_of_any_kind() {
        for end in ["\n\n", "\r\r", "\r\n\r\n", "\n\r\n", "\r\n\n", "\n\r", "\r\r\n", "\r\n\r"] {
            let events = split([format!("data: 1{end}data: 2{end}").as_bytes()]);
            assert_eq!(events.len(), 2, "{end:?}");
            assert_eq!(events[1].data().unwrap(), &b"2"[..], "{end:?}");
        }
        assert_eq!(split([&b"data: 1\r\ndata: 2\r\n"[..]]).len(), 1);
    }

    #[test]
    fn type_and_data_are_what_clients_read() {
        for (text, kind, data) in [
            ("data: 1\n\n", "", Some("1")),
            ("data:1\n\n", "", Some("1")),
            ("data:  1\n\n", "", Some(" 1")),
            ("data\n\n", "", Some("")),
            ("data:\n\n", "", Some("")),
            ("event: a\nevent: b\ndata: 1\rdata: 2\r\ndata\n\n", "b", Some("1\n2\n")),
            (": data: 1\ndata2: 1\n data: 1\nid: 1\n\n", "", None),
            ("\u{feff}data: 1\n\n", "", Some("1")),
            ("event:message\ndata: 1", "message", Some("1")),
        ] {
            let event = only(text);
            assert_eq!(event.kind(), kind.as_bytes(), "{text:?}");
            assert_eq!(event.data().as_deref(), data.map(str::as_bytes), "{text:?}");
        }
    }

    #[test]
    fn a_byte_order_mark_counts_at_the_start_alone() {
        let events = split(["data: 1\n\n\u{feff}data: 2\n\n".as_bytes()]);
        assert_eq!(events[1].data(), None);
    }

    #[test]
    fn other_data_leaves_the_other_lines() {
        for (text, wanted) in [
            ("id: 1\r\n: c\r\ndata:x\r\nretry: 5\r\n\r\n", "id: 1\r\n: c\r\ndata: new\r\nretry: 5\r\n\r\n"),
            ("data: x\nid: 1\ndata: y\nevent: message\n\n", "data: new\nid: 1\nevent: message\n\n"),
            ("\u{feff}data: x\r\r", "\u{feff}data: new\r\r"),
            ("data", "data: new"),
        ] {
            assert_eq!(only(text).with_data(b"new"), wanted, "{text:?}");
        }
        assert_eq!(only("data: x\r\n\r\n").with_data(b"1\n2"), "data: 1\r\ndata: 2\r\n\r\n");
        assert_eq!(only("data: x").with_data(b"1\r2"), "data: 1\ndata: 2");
    }

    #[test]
    fn an_endless_event_is_not_held_for_ever() {
        let mut splitter = Splitter::default();
        splitter.push(&vec![b'a'; MAX_EVENT_BYTES]);
        assert_eq!(splitter.next_event(), Ok(None));
        splitter.push(b"a");
        assert_eq!(splitter.next_event(), Err(EventTooLong));
    }

    proptest! {
        #[test]
        fn the_pieces_do_not_matter(text in "([a:\u{feff} ]|data: |\n|\r|\r\n|\n\n){0,30}", cuts in prop::collection::vec(0usize..60, 0..6)) {
            let bytes = text.as_bytes();
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(bytes.len())).chain([0, bytes.len()]).collect();
            cuts.sort_unstable();
            let pieces = cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]);
            let (whole, pieced) = (split([bytes]), split(pieces));
            let joined = |events: &[Event]| events.iter().flat_map(|event| event.bytes.to_vec()).collect::<Vec<_>>();
            prop_assert_eq!(&joined(&whole), bytes);
            prop_assert_eq!(&joined(&pieced), bytes);
            let told = |events: &[Event]| {
                let told = events.iter().map(|event| (event.kind().to_vec(), event.data().map(Cow::into_owned)));
                told.filter(|(kind, data)| !kind.is_empty() || data.is_some()).collect::<Vec<_>>()
            };
            prop_assert_eq!(told(&whole), told(&pieced));
        }

        #[test]
        fn written_data_is_read_again(text in "(id: 1|data: x|: c|\n|\r\n|\r){0,12}", data in "[a-z{}\n]{0,12}") {
            for event in split([text.as_bytes()]) {
                let written = event.with_data(data.as_bytes());
                let again = Event { bytes: written, is_first: event.is_first };
                let wanted = event.data().map(|_| data.as_bytes().to_vec());
                prop_assert_eq!(again.data().map(Cow::into_owned), wanted);
            }
        }
    }
}
