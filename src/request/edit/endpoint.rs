//! The `endpoint` event of HTTP+SSE servers (MCP 2024-11-05): rewritten to the public path.
//!
//! Such a server opens its stream with the place where it wants its messages. That place must be the configured one
//! (`upstream_messages`); its query, which names the session, goes to the client sealed, under the route's own URL.

use bytes::Bytes;
use http::Uri;
use url::Url;

use crate::mcp::sse::Event;

use super::super::relay::RelayError;
use super::super::session::Sealer;

/// The first event is a short URL; more is no endpoint event.
const MAX_FIRST_EVENT_BYTES: usize = 8 * 1024;

/// Finds the endpoint event of one stream.
#[derive(Debug)]
pub(crate) struct Endpoint {
    stream: Url,
    messages: Url,
    public_path: String,
    sealer: Sealer,
    has_passed: bool,
}

impl Endpoint {
    /// `stream` is where the event stream was opened, `messages` the only place that may be announced.
    pub(crate) fn new(stream: &Uri, messages: &Uri, public_path: String, sealer: Sealer) -> Option<Self> {
        let parse = |uri: &Uri| Url::parse(&uri.to_string()).ok();
        Some(Self { stream: parse(stream)?, messages: parse(messages)?, public_path, sealer, has_passed: false })
    }

    /// So much waits for an event's end.
    pub(super) fn waits_behind(&self, bytes: usize) -> Result<(), RelayError> {
        let is_endless = !self.has_passed && bytes > MAX_FIRST_EVENT_BYTES;
        if is_endless { Err(RelayError::ForeignEndpoint) } else { Ok(()) }
    }

    /// The event with the public path; `None` when it is no endpoint event. Clients obey a later endpoint event too, and honest
    /// servers send none: a stream with one ends before it takes effect.
    pub(super) fn rewrite(&mut self, event: &Event) -> Result<Option<Bytes>, RelayError> {
        if event.kind() != b"endpoint" {
            return Ok(None);
        }
        if std::mem::replace(&mut self.has_passed, true) {
            return Err(RelayError::ForeignEndpoint);
        }
        let data = event.data().ok_or(RelayError::ForeignEndpoint)?;
        let announced = self.announced(&data).ok_or(RelayError::ForeignEndpoint)?;
        let query = self.sealer.endpoint(announced.query()).map_err(|_| RelayError::ForeignEndpoint)?;
        Ok(Some(event.with_data(format!("{}?{query}", self.public_path).as_bytes())))
    }

    /// The place, if it is the configured one. Some clients join lines of data, some take the last: it must be one line.
    fn announced(&self, data: &[u8]) -> Option<Url> {
        let data = std::str::from_utf8(data).ok().filter(|data| !data.contains('\n'))?;
        let announced = self.stream.join(data).ok()?;
        let is_own = announced.origin() == self.messages.origin() && announced.path() == self.messages.path();
        is_own.then_some(announced)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::budget::Budget;
    use super::super::Editor;
    use super::*;

    fn rewriter() -> Editor {
        let uri = |text: &str| text.parse::<Uri>().unwrap();
        let (stream, messages) = (uri("http://127.0.0.1:3101/sse"), uri("http://127.0.0.1:3101/message"));
        let endpoint = Endpoint::new(&stream, &messages, "/notes/sse".into(), Sealer::of_nobody());
        Editor::new(None, Some(endpoint.unwrap()), Budget::new(1 << 20))
    }

    #[test]
    fn the_session_moves_to_the_public_path_whatever_the_pieces() {
        let stream = b": hi\n\nevent: endpoint\ndata: /message?sessionId=42\n\nevent: message\ndata: {}\n\n";
        for cut in 0..stream.len() {
            let mut rewriter = rewriter();
            let mut out = rewriter.feed(&stream[..cut]).unwrap().to_vec();
            out.extend_from_slice(&rewriter.feed(&stream[cut..]).unwrap());
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
            assert_eq!(rewriter().feed(event.as_bytes()), Err(RelayError::ForeignEndpoint), "{data}");
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
            assert_eq!(rewriter().feed(event.as_bytes()), Err(RelayError::ForeignEndpoint), "{event:?}");
            let mut dripping = rewriter();
            let fed = event.bytes().map(|byte| dripping.feed(&[byte]));
            assert!(fed.last().unwrap().is_err(), "{event:?}");
        }
    }

    #[test]
    fn a_second_endpoint_ends_the_stream_whatever_the_pieces() {
        let first = "event: endpoint\ndata: /message\n\n";
        for later in ["event: endpoint\ndata: https://evil.example/\n\n", "data: 1\r\revent:endpoint\rdata: /x\r\r"] {
            assert_eq!(
                rewriter().feed([first, later].concat().as_bytes()),
                Err(RelayError::ForeignEndpoint),
                "{later:?}"
            );
            let mut dripping = rewriter();
            dripping.feed(first.as_bytes()).unwrap();
            let mut fed = later.bytes().map(|byte| dripping.feed(&[byte]));
            assert!(fed.any(|fed| fed == Err(RelayError::ForeignEndpoint)), "{later:?}");
        }
        let harmless = "event: endpoints\ndata: event: endpoint\nxevent: endpoint\nevent:  endpoint\n\n";
        assert!(rewriter().feed([first, harmless].concat().as_bytes()).is_ok());
    }

    #[test]
    fn an_endless_first_event_is_not_held_for_ever() {
        assert_eq!(rewriter().feed(&[b'a'; MAX_FIRST_EVENT_BYTES]), Ok(Bytes::new()));
        assert_eq!(rewriter().feed(&[b'a'; MAX_FIRST_EVENT_BYTES + 1]), Err(RelayError::ForeignEndpoint));
    }
}
