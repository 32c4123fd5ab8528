//! The upstream's response body on its way to the client: frame by frame, no buffering, back-pressure both ways.
//!
//! Dropping it breaks the upstream request off; so a client that leaves is felt upstream at once.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::admit::Admission;
use super::endpoint::EndpointRewriter;

/// Why a response body ends before its end. Clients see a broken transfer, never a complete-looking one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RelayError {
    /// The upstream's connection or framing broke.
    #[error("the upstream's response broke off")]
    Upstream,
    /// Nothing came for too long.
    #[error("the upstream's response stalled")]
    Idle,
    /// The whole response took too long.
    #[error("the upstream's response took too long")]
    Total,
    /// An HTTP+SSE endpoint event that leads elsewhere.
    #[error("the upstream announced a message endpoint that is not its own")]
    ForeignEndpoint,
}

impl RelayError {
    /// The log's word.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Upstream => "upstream.protocol",
            Self::Idle => "upstream.idle",
            Self::Total => "upstream.total",
            Self::ForeignEndpoint => "upstream.endpoint",
        }
    }
}

/// How long a response may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// Between two frames.
    pub(crate) idle: Duration,
    /// Until the last frame; `None` for event streams.
    pub(crate) total: Option<Instant>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Relay {
    incoming: Incoming,
    pace: Pace,
    timer: Option<Pin<Box<Sleep>>>,
    /// The timer stands for an earlier wait.
    timer_is_old: bool,
    /// Ends an event stream cleanly when the gateway stops.
    ending: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    rewriter: Option<EndpointRewriter>,
    finished: bool,
    /// Held until the body ends: open streams count against their owner and the upstream's capacity.
    _held: (Admission, OwnedSemaphorePermit),
}

impl Relay {
    /// `ending` is given for event streams only: other responses are allowed to finish.
    pub(crate) fn new(
        incoming: Incoming,
        pace: Pace,
        ending: Option<CancellationToken>,
        rewriter: Option<EndpointRewriter>,
        held: (Admission, OwnedSemaphorePermit),
    ) -> Self {
        let finished = incoming.is_end_stream();
        let ending = ending.map(|token| Box::pin(token.cancelled_owned()));
        Self { incoming, pace, timer: None, timer_is_old: false, ending, rewriter, finished, _held: held }
    }

    /// True once the last frame has been handed on.
    pub(crate) fn is_finished(&self) -> bool {
        self.finished
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        self.finished || (self.rewriter.is_none() && self.incoming.is_end_stream())
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        if self.rewriter.is_some() { SizeHint::default() } else { self.incoming.size_hint() }
    }

    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, RelayError>>> {
        if self.finished {
            return Poll::Ready(None);
        }
        let polled = ready!(self.poll_data(cx));
        self.finished = !matches!(polled, Some(Ok(_))) || self.is_end_stream();
        Poll::Ready(polled.map(|data| data.map(Frame::data)))
    }

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, RelayError>>> {
        if self.ending.as_mut().is_some_and(|ending| ending.as_mut().poll(cx).is_ready()) {
            return Poll::Ready(None);
        }
        loop {
            let Poll::Ready(next) = Pin::new(&mut self.incoming).poll_frame(cx) else {
                return self.poll_timer(cx).map(|error| Some(Err(error)));
            };
            self.timer_is_old = true;
            let data = match next {
                None => return Poll::Ready(None),
                Some(Err(_)) => return Poll::Ready(Some(Err(RelayError::Upstream))),
                // RFC 9110 §6.5.1: trailers may be dropped; nothing in MCP uses them.
                Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
            };
            match self.rewrite(data) {
                Ok(data) if data.is_empty() => {}
                outcome => return Poll::Ready(Some(outcome)),
            }
        }
    }

    fn rewrite(&mut self, data: Bytes) -> Result<Bytes, RelayError> {
        match &mut self.rewriter {
            None => Ok(data),
            Some(rewriter) => rewriter.feed(data),
        }
    }

    /// Only waits have a timer: a response that is there at once costs none.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<RelayError> {
        let idle_at = Instant::now() + self.pace.idle;
        let at = self.pace.total.map_or(idle_at, |total| total.min(idle_at));
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
        if std::mem::take(&mut self.timer_is_old) {
            timer.as_mut().reset(at);
        }
        ready!(timer.as_mut().poll(cx));
        let over = self.pace.total.is_some_and(|total| total <= Instant::now());
        Poll::Ready(if over { RelayError::Total } else { RelayError::Idle })
    }
}
