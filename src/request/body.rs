//! The response body that goes to the client: a whole text, or the upstream's body frame by frame.
//!
//! It carries the request's [`Audit`]: the record is written when the body has ended, however it ended.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::admit::Admission;
use super::audit::Audit;
use super::receive::Held;
use super::relay::{Relay, RelayError};

/// The body of every response.
#[derive(Debug)]
pub(crate) struct ReplyBody {
    kind: Kind,
    audit: Option<Audit>,
    /// Held until a whole text is gone.
    _held: Option<(Admission, Held)>,
}

#[derive(Debug)]
enum Kind {
    Fixed(Bytes),
    Upstream(Box<Relay>),
}

impl ReplyBody {
    /// A whole text.
    pub(crate) fn fixed(bytes: impl Into<Bytes>) -> Self {
        Self { kind: Kind::Fixed(bytes.into()), audit: None, _held: None }
    }

    /// A whole text of the upstream, and what it takes until it is gone.
    pub(crate) fn whole(bytes: Bytes, held: (Admission, Held)) -> Self {
        Self { kind: Kind::Fixed(bytes), audit: None, _held: Some(held) }
    }

    /// The upstream's body.
    pub(crate) fn upstream(relay: Relay) -> Self {
        Self { kind: Kind::Upstream(Box::new(relay)), audit: None, _held: None }
    }

    /// It brings events for as long as they come.
    pub(crate) fn is_event_stream(&self) -> bool {
        matches!(&self.kind, Kind::Upstream(relay) if relay.is_event_stream())
    }

    /// Hands the record over; it is written when this body is gone.
    pub(crate) fn set_audit(&mut self, audit: Audit) {
        self.audit = Some(audit);
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = RelayError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, RelayError>>> {
        let this = &mut *self;
        let polled = match &mut this.kind {
            Kind::Fixed(bytes) if bytes.is_empty() => Poll::Ready(None),
            Kind::Fixed(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Kind::Upstream(relay) => relay.poll_frame(cx),
        };
        if let (Some(audit), Poll::Ready(frame)) = (&mut this.audit, &polled) {
            match frame {
                Some(Ok(frame)) => audit.sent(frame.data_ref().map_or(0, Bytes::len)),
                Some(Err(error)) => audit.broken(*error),
                None => {}
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Fixed(bytes) => bytes.is_empty(),
            Kind::Upstream(relay) => relay.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Fixed(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Upstream(relay) => relay.size_hint(),
        }
    }
}

impl Drop for ReplyBody {
    fn drop(&mut self) {
        let (Some(audit), Kind::Upstream(relay)) = (&mut self.audit, &self.kind) else { return };
        if relay.is_expired() {
            audit.expired();
        } else if !relay.is_finished() {
            audit.client_gone();
        }
    }
}
