//! The body of a request on its way in, whatever the protocol.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::Body as _;

/// The body broke off, or its framing is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Broken;

/// A body that its connection reads.
pub(crate) trait Source: Sync {
    /// The next piece, never empty; `None` behind the last one.
    fn poll_piece(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>>;

    /// How much is still to come, as far as the framing says.
    fn rest(&self) -> u64;

    /// Nothing more comes.
    fn is_over(&self) -> bool;
}

/// See the module.
pub(crate) enum Incoming<'c> {
    /// Of the connection that waits for the answer.
    Http1(&'c dyn Source),
    /// Of a stream.
    Http2(hyper::body::Incoming),
}

impl Incoming<'_> {
    /// The next piece.
    pub(crate) async fn piece(&mut self) -> Option<Result<Bytes, Broken>> {
        poll_fn(|cx| self.poll_piece(cx)).await
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        match self {
            Self::Http1(source) => source.poll_piece(cx),
            // RFC 9110 §6.5.1: trailers may be dropped.
            Self::Http2(body) => Pin::new(&mut *body).poll_frame(cx).map(|frame| match frame {
                // A reset without an error is no end (RFC 9113 §8.1).
                None if !body.is_end_stream() => Some(Err(Broken)),
                frame => Some(frame?.map(|frame| frame.into_data().unwrap_or_default()).map_err(|_| Broken)),
            }),
        }
    }

    /// How much is still to come, at least.
    pub(crate) fn rest(&self) -> u64 {
        match self {
            Self::Http1(source) => source.rest(),
            Self::Http2(body) => body.size_hint().lower(),
        }
    }

    /// Nothing more comes.
    pub(crate) fn is_over(&self) -> bool {
        match self {
            Self::Http1(source) => source.is_over(),
            Self::Http2(body) => body.is_end_stream(),
        }
    }
}
