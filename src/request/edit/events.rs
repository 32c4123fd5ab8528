//! An event stream that must be read: each event goes on as soon as it is whole, changed or as it came.

use bytes::{Bytes, BytesMut};

use crate::mcp::list::{Screen, shorten};
use crate::mcp::sse::{Event, Splitter};

use super::super::budget::{Budget, Held, keeping};
use super::super::relay::RelayError;
use super::Eyes;
use super::endpoint::Endpoint;

/// See the module. `S`: whose eyes the lists are for.
#[derive(Debug)]
pub(crate) struct Editor<S = Eyes> {
    splitter: Splitter,
    lists: Option<S>,
    endpoint: Option<Endpoint>,
    budget: Budget,
    /// The part of the budget that the event takes which is not whole yet.
    held: Held,
    held_bytes: usize,
}

impl<S: Screen> Editor<S> {
    /// For a stream that brings lists, an endpoint, or both.
    pub(crate) fn new(lists: Option<S>, endpoint: Option<Endpoint>, budget: Budget) -> Self {
        let (splitter, held) = (Splitter::default(), Held::default());
        Self { splitter, lists, endpoint, budget, held, held_bytes: 0 }
    }

    /// Takes what came, gives what may go on (perhaps nothing yet).
    pub(crate) fn feed(&mut self, data: &[u8]) -> Result<Bytes, RelayError> {
        self.splitter.push(data);
        let mut passed = BytesMut::new();
        while let Some(event) = self.splitter.next_event().map_err(|_| RelayError::List)? {
            passed.extend_from_slice(&self.edit(&event)?);
        }
        if let Some(endpoint) = &self.endpoint {
            endpoint.waits_behind(self.splitter.held())?;
        }
        let held = self.account()?;
        Ok(keeping(passed.freeze(), held))
    }

    /// The upstream's body has ended. Some readers take an event without its end, so it is judged like the others.
    pub(crate) fn finish(&mut self) -> Result<Bytes, RelayError> {
        let Some(event) = self.splitter.finish() else { return Ok(Bytes::new()) };
        Ok(keeping(self.edit(&event)?, std::mem::take(&mut self.held)))
    }

    fn edit(&mut self, event: &Event) -> Result<Bytes, RelayError> {
        if let Some(endpoint) = &mut self.endpoint
            && let Some(rewritten) = endpoint.rewrite(event)?
        {
            return Ok(rewritten);
        }
        let shortened = match (&self.lists, event.data()) {
            (Some(screen), Some(data)) if is_message(event) && !data.trim_ascii().is_empty() => {
                shorten(&data, screen).map_err(|_| RelayError::List)?
            }
            _ => None,
        };
        Ok(shortened.map_or_else(|| event.clone().into_bytes(), |data| event.with_data(&data)))
    }

    /// The part of the budget of what waits no longer: for as long as nobody has sent it.
    fn account(&mut self) -> Result<Held, RelayError> {
        let holds = self.splitter.held();
        let mut passed = Held::default();
        if holds < self.held_bytes {
            passed = std::mem::take(&mut self.held);
            self.held_bytes = 0;
        }
        if holds > self.held_bytes {
            self.budget.hold(holds - self.held_bytes, &mut self.held).map_err(|_| RelayError::Memory)?;
            self.held_bytes = holds;
        }
        Ok(passed)
    }
}

/// What MCP clients read: events without a type, and of type `message`. Others are none of theirs.
fn is_message(event: &Event) -> bool {
    matches!(event.kind(), b"" | b"message")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mcp::list::ListKind;

    /// Hides what begins with `x` of every list.
    struct HidesX;

    impl Screen for HidesX {
        fn can_hide(&self, _: ListKind) -> bool {
            true
        }

        fn shows(&self, _: ListKind, name: &str) -> bool {
            !name.starts_with('x')
        }
    }

    fn editor(budget: u64) -> Editor<HidesX> {
        Editor::new(Some(HidesX), None, Budget::new(budget))
    }

    fn edited(pieces: &[&str]) -> Result<String, RelayError> {
        let mut editor = editor(1 << 20);
        let mut out = Vec::new();
        for piece in pieces {
            out.extend(editor.feed(piece.as_bytes())?);
        }
        out.extend(editor.finish()?);
        Ok(String::from_utf8(out).unwrap())
    }

    const LIST: &str = r#"{"result":{"tools":[{"name":"x"},{"name":"a"}]}}"#;
    const SHORT: &str = r#"{"result":{"tools":[{"name":"a"}]}}"#;

    #[test]
    fn lists_are_shortened_event_by_event_whatever_the_pieces() {
        let around =
            |data: &str| format!("id: 1\ndata:\n\n: hi\r\n\r\nevent: message\nid: 2\ndata: {data}\n\nretry: 1\n\n");
        let text = around(LIST);
        for cut in 0..text.len() {
            let (before, after) = text.split_at(cut);
            assert_eq!(edited(&[before, after]).unwrap(), around(SHORT), "cut at {cut}");
        }
        assert_eq!(edited(&[&format!("data: {LIST}\n")]).unwrap(), format!("data: {SHORT}\n"), "without its end");
        let (first, second) = LIST.split_at(20);
        let lines = format!("data: {first}\ndata: {second}\n\n");
        assert_eq!(edited(&[&lines]).unwrap().replace("\ndata: ", "\n").replace('\n', ""), format!("data: {SHORT}"));
    }

    #[test]
    fn what_is_no_message_passes() {
        for text in
            ["event: ping\ndata: now\n\n", "data:\n\n", "data\n\n", "data:   \n\n", ": {\n\n", "id: 7\n\n", "\n\n\n"]
        {
            assert_eq!(edited(&[text]).unwrap(), text);
        }
    }

    #[test]
    fn a_message_that_cannot_be_read_ends_the_stream() {
        for text in
            ["data: now\n\n", "data: {\n\n", "event: message\rdata: {}{}\r\r", "event\ndata: [\n\n", "data: {\"a\""]
        {
            assert_eq!(edited(&[text]), Err(RelayError::List), "{text:?}");
        }
        assert_eq!(edited(&["data: {\"result\":{\"tools\":[{}]}}\n\n"]), Err(RelayError::List));
    }

    #[test]
    fn what_waits_counts_against_the_budget_until_it_has_passed() {
        let mut editor = editor(16);
        for _ in 0..10 {
            assert_eq!(editor.feed(b": 34567890"), Ok(Bytes::new()));
            editor.feed(b"\n\n").unwrap();
        }
        editor.feed(b": 34567890").unwrap();
        assert_eq!(editor.feed(b"12345678"), Err(RelayError::Memory));
    }

    #[test]
    fn what_has_passed_is_free_again_once_it_is_sent_and_nothing_counts_twice() {
        let budget = Budget::new(16);
        let editor = || Editor::new(Some(HidesX), None, budget.clone());
        let mut one = editor();
        for more in [": 34567890", "", "1234"] {
            assert_eq!(one.feed(more.as_bytes()), Ok(Bytes::new()), "{more}");
        }
        assert_eq!(editor().feed(b": 3"), Err(RelayError::Memory), "14 of 16 wait");
        let passed = one.feed(b"\n\n").unwrap();
        assert_eq!(editor().feed(b": 3"), Err(RelayError::Memory), "nobody has sent them yet");
        drop(passed);
        assert_eq!(editor().feed(b": 34567890123456"), Ok(Bytes::new()));
    }
}
