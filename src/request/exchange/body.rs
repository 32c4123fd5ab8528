//! The body of an answer: nothing is read before somebody asks for it, and its connection is free again with its last byte.
//!
//! Dropping one whose end has not come closes the connection: the upstream feels at once that nobody listens (threat M25).

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::super::upload::Outbox;
use super::wire::SMALL_READ;
use super::{Fault, Head, Wire, http2};
use crate::chunked::Chunked;

/// Where a body ends (RFC 9112 §6.3).
#[derive(Debug)]
pub(super) enum Framing {
    /// After so many more bytes.
    Length(u64),
    Chunked(Chunked),
    /// With the connection.
    UntilEnd,
}

impl Framing {
    /// The next piece out of what has come; none when that is used up or the body has ended.
    fn take(&mut self, inbox: &mut Bytes) -> Result<Option<Bytes>, Fault> {
        let data = match self {
            Self::Length(left) => {
                let here = usize::try_from(*left).unwrap_or(usize::MAX).min(inbox.len());
                *left -= here as u64;
                inbox.split_to(here)
            }
            Self::Chunked(chunked) => return chunked.take(inbox).map_err(|_| Fault::Chunks),
            Self::UntilEnd => std::mem::take(inbox),
        };
        Ok((!data.is_empty()).then_some(data))
    }

    fn is_ended(&self) -> bool {
        match self {
            Self::Length(left) => *left == 0,
            Self::Chunked(chunked) => chunked.is_ended(),
            Self::UntilEnd => false,
        }
    }
}

/// Where connections go that are free again.
pub(crate) trait Home: std::fmt::Debug + Send + Sync {
    fn give_back(&self, wire: Wire);
}

/// The body of an answer over HTTP/1.1.
#[derive(Debug)]
pub(crate) struct Http1Body {
    /// None once the body has ended.
    pub(super) wire: Option<Wire>,
    framing: Framing,
    persists: bool,
    /// What is left of a request that is answered before it is sent.
    unsent: Option<Box<Outbox>>,
    home: Arc<dyn Home>,
}

impl Http1Body {
    /// The body behind this head.
    pub(in super::super) fn new(mut wire: Wire, head: &mut Head, unsent: Option<Outbox>, home: Arc<dyn Home>) -> Self {
        let framing = std::mem::replace(&mut head.framing, Framing::UntilEnd);
        wire.comes_fast = matches!(framing, Framing::Length(left) if left > SMALL_READ as u64);
        // RFC 9112 §9.5, RFC 9110 §10.1: an early refusal ends the sending; an upstream that works while it reads wants the rest.
        let persists = head.persists && (unsent.is_none() || head.status.is_success());
        let unsent = unsent.filter(|_| head.status.is_success()).map(Box::new);
        let mut body = Self { wire: Some(wire), framing, persists, unsent, home };
        body.leave_if_ended();
        body
    }

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Fault>>> {
        match ready!(self.poll_next(cx)) {
            Ok(Some(data)) => {
                self.leave_if_ended();
                Poll::Ready(Some(Ok(data)))
            }
            Ok(None) => {
                self.wire = None;
                Poll::Ready(None)
            }
            Err(fault) => {
                self.wire = None;
                Poll::Ready(Some(Err(fault)))
            }
        }
    }

    fn is_ended(&self) -> bool {
        self.wire.is_none()
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Fault>> {
        loop {
            let Some(wire) = &mut self.wire else { return Poll::Ready(Ok(None)) };
            if let Some(data) = self.framing.take(&mut wire.inbox)? {
                return Poll::Ready(Ok(Some(data)));
            }
            if self.framing.is_ended() {
                self.leave_if_ended();
                return Poll::Ready(Ok(None));
            }
            if let Some(unsent) = &mut self.unsent
                && let Poll::Ready(Ok(())) = unsent.poll_write(&mut wire.stream, cx)
            {
                self.unsent = None;
            }
            if !ready!(wire.poll_more(cx))? {
                let is_whole = matches!(self.framing, Framing::UntilEnd);
                return Poll::Ready(if is_whole { Ok(None) } else { Err(Fault::Cut) });
            }
        }
    }

    /// A connection goes home when the answer and the request before it were whole, and nothing stands behind the answer (threat F16).
    fn leave_if_ended(&mut self) {
        if !self.framing.is_ended() {
            return;
        }
        if let Some(wire) = self.wire.take()
            && self.persists
            && self.unsent.is_none()
            && wire.inbox.is_empty()
        {
            self.home.give_back(wire);
        }
    }
}

impl Drop for Http1Body {
    /// What nobody wants may be here to its end.
    fn drop(&mut self) {
        let Some(wire) = &mut self.wire else { return };
        while let Ok(Some(_)) = self.framing.take(&mut wire.inbox) {}
        self.leave_if_ended();
    }
}

/// The body of an answer.
#[derive(Debug)]
pub(crate) enum AnswerBody {
    Http1(Http1Body),
    /// With its place among the requests of the connection.
    Http2 {
        body: Incoming,
        _place: http2::Sender,
    },
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        match self.get_mut() {
            Self::Http1(body) => body.poll_data(cx).map_ok(Frame::data),
            Self::Http2 { body, .. } => Pin::new(&mut *body).poll_frame(cx).map(|frame| match frame {
                // A reset without an error is no end (RFC 9113 §8.1).
                None if !body.is_end_stream() => Some(Err(Fault::Cut)),
                frame => frame.map(|frame| frame.map_err(Fault::Http2)),
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Http1(body) => body.is_ended(),
            Self::Http2 { body, .. } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Http1(body) if body.is_ended() => SizeHint::with_exact(0),
            Self::Http1(Http1Body { framing: Framing::Length(left), .. }) => SizeHint::with_exact(*left),
            Self::Http1(_) => SizeHint::default(),
            Self::Http2 { body, .. } => body.size_hint(),
        }
    }
}
