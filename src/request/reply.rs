//! An answer before it has a protocol: its head as lines, and its body.

use http::{HeaderName, HeaderValue, Response, StatusCode};

use crate::head::Lines;

use super::body::ReplyBody;

/// Most heads are shorter, with a small body behind them.
const ROOM: usize = 1024;

/// See the module.
#[derive(Debug)]
pub(crate) struct Reply<B = ReplyBody> {
    pub(crate) status: StatusCode,
    /// All fields but those of framing and connection, behind the status line of HTTP/1.
    pub(crate) lines: Lines,
    /// `Date` is among them.
    pub(crate) has_date: bool,
    /// An HTTP/1 connection ends after it.
    pub(crate) is_last: bool,
    pub(crate) body: B,
}

impl<B> Reply<B> {
    /// Without fields.
    pub(crate) fn new(status: StatusCode, body: B) -> Self {
        // RFC 9112 §4: the blank stays where there is no reason.
        let first = ["HTTP/1.1 ", status.as_str(), " ", status.canonical_reason().unwrap_or("")];
        Self { status, lines: Lines::behind(&first, ROOM), has_date: false, is_last: false, body }
    }

    /// With these fields.
    pub(crate) fn with(mut self, fields: &[(HeaderName, HeaderValue)]) -> Self {
        for (name, value) in fields {
            self.lines.push(name, value);
        }
        self
    }

    /// As a library wants it (HTTP/2).
    pub(crate) fn decoded(self) -> Response<B> {
        let mut response = Response::new(self.body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.lines.into_map();
        response
    }
}
