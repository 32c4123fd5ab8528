//! The `endpoint` event of HTTP+SSE servers (MCP 2024-11-05): rewritten to the public path.
//!
//! Such a server opens its stream with the place where it wants its messages. That place must be the configured one
//! (`upstream_messages`); its query, which names the session, goes to the client sealed, under the route's own URL.

use bytes::{Bytes, BytesMut};
use http::Uri;

use super::relay::RelayError;
use super::session::Sealer;

/// The first event is a short URL; more is no endpoint event.
const MAX_FIRST_EVENT_BYTES: usize = 8 * 1024;

/// Holds back the first event of a stream until it is whole, rewrites it, then passes everything on.
#[derive(Debug)]
pub(crate) struct EndpointRewriter {
    stream: url::Url,
    messages: url::Url,
    public_path: String,
    sealer: Sealer,
    /// `None` once the first event has passed.
    held: Option<BytesMut>,
    /// The begin of the line that is passing since then.
    line: Vec<u8>,
}

impl EndpointRewriter {
    /// `stream` is where the event stream was opened, `messages` the only place that may be announced.
    pub(crate) fn new(stream: &Uri, messages: &Uri, public_path: String, sealer: Sealer) -> Option<Self> {
        let parse = |uri: &Uri| url::Url::parse(&uri.to_string()).ok();
        Some(Self {
            stream: parse(stream)?,
            messages: parse(messages)?,
            public_path,
            sealer,
            held: Some(BytesMut::new()),
            line: Vec::new(),
        })
    }

    /// Takes what came, gives what may go on (perhaps nothing yet).
    pub(crate) fn feed(&mut self, data: Bytes) -> Result<Bytes, RelayError> {
        let Some(mut held) = self.held.take() else {
            self.watch(&data)?;
            return Ok(data);
        };
        held.extend_from_slice(&data);
        let mut passed = BytesMut::new();
        while let Some(end) = end_of_event(&held) {
            let event = held.split_to(end);
            if let Some(rewritten) = self.rewrite(&event)? {
                passed.extend_from_slice(rewritten.as_bytes());
                self.watch(&held)?;
                passed.unsplit(held);
                return Ok(passed.freeze());
            }
            passed.unsplit(event); // a comment or another event before the endpoint
        }
        if held.len() > MAX_FIRST_EVENT_BYTES {
            return Err(RelayError::ForeignEndpoint);
        }
        self.held = Some(held);
        Ok(passed.freeze())
    }

    /// Clients obey a later endpoint event too, and honest servers send none: a stream with one ends before it takes effect.
    fn watch(&mut self, data: &[u8]) -> Result<(), RelayError> {
        for &byte in data {
            match byte {
                b'\n' | b'\r' if matches!(self.line.as_slice(), b"event: endpoint" | b"event:endpoint") => {
                    return Err(RelayError::ForeignEndpoint);
                }
                b'\n' | b'\r' => self.line.clear(),
                _ if self.line.len() <= b"event: endpoint".len() => self.line.push(byte),
                _ => {}
            }
        }
        Ok(())
    }

    /// The event with its data rewritten; `None` when it is no endpoint event.
    fn rewrite(&self, event: &[u8]) -> Result<Option<String>, RelayError> {
        let text = std::str::from_utf8(event).map_err(|_| RelayError::ForeignEndpoint)?;
        // As clients read it: a byte order mark is skipped, a carriage return alone ends a line, the last field of a name counts.
        let lines = text.strip_prefix('\u{feff}').unwrap_or(text).split(['\r', '\n']);
        let field = |name: &str| {
            let mut values = lines.clone().filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            values.next_back().map(|value| value.strip_prefix(' ').unwrap_or(value))
        };
        if field("event") != Some("endpoint") {
            return Ok(None);
        }
        let announced =
            field("data").and_then(|data| self.stream.join(data).ok()).ok_or(RelayError::ForeignEndpoint)?;
        if announced.origin() != self.messages.origin() || announced.path() != self.messages.path() {
            return Err(RelayError::ForeignEndpoint);
        }
        let query = self.sealer.endpoint(announced.query()).map_err(|_| RelayError::ForeignEndpoint)?;
        Ok(Some(format!("event: endpoint\ndata: {}?{query}\n\n", self.public_path)))
    }
}

/// Where the first event ends: after an empty line, in any mixture of the three line endings.
fn end_of_event(bytes: &[u8]) -> Option<usize> {
    let mut line_is_empty = true;
    let mut before = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        match byte {
            b'\n' if before == b'\r' => {} // the second half of one line end
            b'\n' | b'\r' if line_is_empty => {
                let is_pair = byte == b'\r' && bytes.get(at + 1) == Some(&b'\n');
                return Some(at + 1 + usize::from(is_pair));
            }
            _ => line_is_empty = matches!(byte, b'\n' | b'\r'),
        }
        before = byte;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewriter() -> EndpointRewriter {
        let uri = |text: &str| text.parse::<Uri>().unwrap();
        EndpointRewriter::new(
            &uri("http://127.0.0.1:3101/sse"),
            &uri("http://127.0.0.1:3101/message"),
            "/notes/sse".into(),
            Sealer::of_nobody(),
        )
        .unwrap()
    }

    #[test]
    fn the_session_moves_to_the_public_path_whatever_the_pieces() {
        let stream = b": hi\n\nevent: endpoint\ndata: /message?sessionId=42\n\nevent: message\ndata: {}\n\n";
        for cut in 0..stream.len() {
            let mut rewriter = rewriter();
            let mut out = rewriter.feed(Bytes::copy_from_slice(&stream[..cut])).unwrap().to_vec();
            out.extend_from_slice(&rewriter.feed(Bytes::copy_from_slice(&stream[cut..])).unwrap());
            let out = String::from_utf8(out).unwrap();
            let rest = out.strip_prefix(": hi\n\nevent: endpoint\ndata: /notes/sse?sessionId=").unwrap();
            let (sealed, rest) = rest.split_once('\n').unwrap();
            assert_eq!(rest, "\nevent: message\ndata: {}\n\n", "cut at {cut}");
            assert!(sealed.len() > 42 && !out.contains("sessionId=42"), "{out}");
        }
    }

    #[test]
    fn an_endpoint_elsewhere_ends_the_stream() {
        for data in [
            "https://evil.example/message?x",
            "//evil.example/message",
            "/admin?sessionId=1",
            "http://127.0.0.1:1/message",
        ] {
            let event = format!("event: endpoint\r\ndata: {data}\r\n\r\n");
            assert_eq!(rewriter().feed(event.into()), Err(RelayError::ForeignEndpoint), "{data}");
        }
    }

    #[test]
    fn an_endpoint_elsewhere_is_seen_in_every_spelling_that_clients_read() {
        for event in [
            "\u{feff}event: endpoint\ndata: https://evil.example/\n\n",
            "event: endpoint\rdata: https://evil.example/\r\r",
            "event: message\nevent: endpoint\ndata: https://evil.example/\n\n",
            "event: message\ndata: x\n\r\nevent: endpoint\ndata: https://evil.example/\n\n",
            "event: message\r\ndata: x\r\n\revent: endpoint\ndata: https://evil.example/\n\n",
            "event: endpoint\ndata: /message\ndata: https://evil.example/\n\n",
        ] {
            assert_eq!(rewriter().feed(event.into()), Err(RelayError::ForeignEndpoint), "{event:?}");
            let mut dripping = rewriter();
            let fed = event.bytes().map(|byte| dripping.feed(Bytes::copy_from_slice(&[byte])));
            assert!(fed.last().unwrap().is_err(), "{event:?}");
        }
    }

    #[test]
    fn a_second_endpoint_ends_the_stream_whatever_the_pieces() {
        let first = "event: endpoint\ndata: /message\n\n";
        for later in ["event: endpoint\ndata: https://evil.example/\n\n", "data: 1\r\revent:endpoint\rdata: /x\r\r"] {
            assert_eq!(rewriter().feed([first, later].concat().into()), Err(RelayError::ForeignEndpoint), "{later:?}");
            let mut dripping = rewriter();
            dripping.feed(first.into()).unwrap();
            let mut fed = later.bytes().map(|byte| dripping.feed(Bytes::copy_from_slice(&[byte])));
            assert!(fed.any(|fed| fed == Err(RelayError::ForeignEndpoint)), "{later:?}");
        }
        let harmless = "event: endpoints\ndata: event: endpoint\nxevent: endpoint\nevent:  endpoint\n\n";
        assert!(rewriter().feed([first, harmless].concat().into()).is_ok());
    }

    #[test]
    fn an_endless_first_event_is_not_held_for_ever() {
        assert_eq!(rewriter().feed(vec![b'a'; MAX_FIRST_EVENT_BYTES + 1].into()), Err(RelayError::ForeignEndpoint));
    }
}
