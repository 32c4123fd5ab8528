//! The last event of a modern listening stream that the gateway ends itself: the answer to the request that opened it.

use bytes::Bytes;

use crate::mcp::RequestId;

/// See the module.
#[derive(Debug)]
pub(crate) struct Farewell {
    event: Bytes,
    /// The last bytes that went out.
    tail: [u8; 3],
}

impl Farewell {
    /// To the `subscriptions/listen` request with this id (MCP 2026-07-28).
    pub(crate) fn new(id: &RequestId) -> Self {
        let id = id.as_json();
        let meta = format!(r#"{{"io.modelcontextprotocol/subscriptionId":{id}}}"#);
        let result = format!(r#"{{"resultType":"complete","_meta":{meta}}}"#);
        let event = format!("event: message\ndata: {{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{result}}}\n\n");
        Self { event: event.into(), tail: *b"\n\n\n" }
    }

    /// Takes note of what goes out.
    pub(crate) fn sent(&mut self, data: &[u8]) {
        for &byte in data.get(data.len().saturating_sub(self.tail.len())..).unwrap_or_default() {
            let [_, before, last] = self.tail;
            self.tail = [before, last, byte];
        }
    }

    /// The event; `None` in the middle of another one, which it would garble.
    pub(crate) fn event(&self) -> Option<Bytes> {
        let ends_line = |byte| matches!(byte, b'\n' | b'\r');
        let [first, before, last] = self.tail;
        let before_the_end = if [before, last] == *b"\r\n" { first } else { before };
        (ends_line(last) && ends_line(before_the_end)).then(|| self.event.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_between_two_events_only() {
        let says_it = |pieces: &[&str]| {
            let mut farewell = Farewell::new(&RequestId::from_json("1").unwrap());
            for piece in pieces {
                farewell.sent(piece.as_bytes());
            }
            farewell.event().is_some()
        };
        for pieces in [
            &[][..],
            &["\n"],
            &["data: 1\n\n"],
            &["data: 1\r", "\n", "\r", "\n"],
            &["data: 1\r\r"],
            &["data: 1\n\r\n", ""],
            &[": c\r\n\r"],
        ] {
            assert!(says_it(pieces), "{pieces:?}");
        }
        for pieces in [&["d"][..], &["data: 1\n"], &["data: 1\n\nid: 1\r", "\n"], &["data: 1\n\n", "i"], &["data: 1\r"]]
        {
            assert!(!says_it(pieces), "{pieces:?}");
        }
    }

    #[test]
    fn it_answers_the_request_by_its_id() {
        for id in ["7", "\"a\\\"b\"", "1.0"] {
            let event = Farewell::new(&RequestId::from_json(id).unwrap()).event().unwrap();
            let wanted = format!(
                "event: message\ndata: {{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{{\"resultType\":\"complete\",\
                 \"_meta\":{{\"io.modelcontextprotocol/subscriptionId\":{id}}}}}}}\n\n"
            );
            assert_eq!(event, wanted);
        }
    }
}
