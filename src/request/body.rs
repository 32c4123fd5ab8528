//! The response body that goes to the client: a whole text, or the upstream's body frame by frame.
//!
//! It carries the request's [`Audit`]: the record is written when the body has ended, however it ended.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::audit::Audit;
use super::relay::{Relay, RelayError};

/// Longer frames are cut: the server's library takes a whole one whether the client reads or not.
const MAX_FRAME_BYTES: usize = 64 * 1024;

/// The body of every response.
#[derive(Debug)]
pub(crate) struct ReplyBody {
    kind: Kind,
    /// What comes next.
    rest: Bytes,
    /// It is what is left of more than one frame, a list that was held: goes in copies, for a part would keep all of it.
    is_part: bool,
    audit: Option<Audit>,
}

#[derive(Debug)]
enum Kind {
    Fixed,
    Upstream(Box<Relay>),
}

impl ReplyBody {
    /// A whole text.
    pub(crate) fn fixed(bytes: impl Into<Bytes>) -> Self {
        Self { kind: Kind::Fixed, rest: bytes.into(), is_part: false, audit: None }
    }

    /// The upstream's body.
    pub(crate) fn upstream(relay: Relay) -> Self {
        Self { kind: Kind::Upstream(Box::new(relay)), rest: Bytes::new(), is_part: false, audit: None }
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
        if let (Kind::Upstream(relay), true) = (&mut this.kind, this.rest.is_empty()) {
            match ready!(relay.poll_data(cx)) {
                Some(Ok(data)) => this.rest = data,
                Some(Err(error)) => {
                    if let Some(audit) = &mut this.audit {
                        audit.broken(error);
                    }
                    return Poll::Ready(Some(Err(error)));
                }
                None => {}
            }
        }
        this.is_part |= this.rest.len() > MAX_FRAME_BYTES;
        let mut frame = this.rest.split_to(this.rest.len().min(MAX_FRAME_BYTES));
        if frame.is_empty() {
            return Poll::Ready(None);
        }
        if this.is_part {
            frame = Bytes::copy_from_slice(&frame);
            this.is_part = !this.rest.is_empty();
        }
        if let Some(audit) = &mut this.audit {
            audit.sent(frame.len());
        }
        Poll::Ready(Some(Ok(Frame::data(frame))))
    }

    fn is_end_stream(&self) -> bool {
        let is_last = match &self.kind {
            Kind::Fixed => true,
            Kind::Upstream(relay) => relay.is_end_stream(),
        };
        is_last && self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.rest.len() as u64;
        match &self.kind {
            Kind::Fixed => SizeHint::with_exact(rest),
            Kind::Upstream(relay) => relay.size_hint(rest),
        }
    }
}

impl Drop for ReplyBody {
    fn drop(&mut self) {
        let (Some(audit), Kind::Upstream(relay)) = (&mut self.audit, &self.kind) else { return };
        if let Some(over) = relay.over() {
            audit.over(over);
        } else if !relay.is_finished() || !self.rest.is_empty() {
            audit.client_gone();
        }
    }
}
