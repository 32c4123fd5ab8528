//! The upstream's response body on its way to the client: frame by frame, back-pressure both ways. Nothing is held
//! but events that must be read whole (`edit`).
//!
//! Dropping it breaks the upstream request off; so a client that leaves is felt upstream at once.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, SizeHint};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::deadline::Deadline;
use crate::metrics::Open;

use super::admit::Admission;
use super::edit::Editor;
use super::exchange::AnswerBody;
use super::farewell::Farewell;

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
    /// A message that may hold a list which the caller must not see whole.
    #[error("the upstream sent a message that cannot be read")]
    List,
    /// What is held in all is over its limit.
    #[error("too much waits to be read at the moment")]
    Memory,
}

impl RelayError {
    /// The log's word.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Upstream => "upstream.protocol",
            Self::Idle => "upstream.idle",
            Self::Total => "upstream.total",
            Self::ForeignEndpoint => "upstream.endpoint",
            Self::List => "upstream.list",
            Self::Memory => "limit.memory",
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

/// Why the token that opened a stream carries it no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    /// Its time.
    Expired,
    /// The operator.
    Revoked,
}

/// What ends an event stream cleanly before its upstream does.
pub(crate) struct StreamEnd {
    stopping: Pin<Box<WaitForCancellationFutureOwned>>,
    token_expires: Pin<Box<Sleep>>,
    revoked: Pin<Box<dyn Future<Output = ()> + Send + Sync>>,
    over: Option<Over>,
    /// What is said then.
    farewell: Option<Farewell>,
    /// It counts as open until then.
    _open: Open,
}

impl std::fmt::Debug for StreamEnd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StreamEnd").field("over", &self.over).finish_non_exhaustive()
    }
}

impl StreamEnd {
    /// When the gateway stops, when the token that opened the stream is over (threat M23), or when it is revoked: whichever
    /// comes first.
    pub(crate) fn new(
        stopping: CancellationToken,
        token_expires: Instant,
        revoked: impl Future<Output = ()> + Send + Sync + 'static,
        farewell: Option<Farewell>,
        open: Open,
    ) -> Self {
        let token_expires = Box::pin(tokio::time::sleep_until(token_expires));
        Self {
            stopping: Box::pin(stopping.cancelled_owned()),
            token_expires,
            revoked: Box::pin(revoked),
            over: None,
            farewell,
            _open: open,
        }
    }

    /// The body may become longer than the upstream's.
    pub(crate) fn says_farewell(&self) -> bool {
        self.farewell.is_some()
    }
}

/// What an answer under way keeps.
type Held = (Admission, OwnedSemaphorePermit);

/// See the module.
#[derive(Debug)]
pub(crate) struct Relay {
    incoming: AnswerBody,
    pace: Pace,
    /// Of the wait for the next frame.
    deadline: Deadline,
    /// It stands for an earlier wait.
    deadline_is_old: bool,
    /// When and why an event stream is ended by the gateway.
    end: Option<StreamEnd>,
    editor: Option<Box<Editor>>,
    /// Nothing more is taken from the upstream.
    is_over: bool,
    finished: bool,
    /// Held until the body ends: open streams count against their owner and the upstream's capacity.
    _held: Held,
}

impl Relay {
    /// `end` is given for event streams only: other responses are allowed to finish.
    pub(crate) fn new(
        incoming: AnswerBody,
        pace: Pace,
        end: Option<StreamEnd>,
        editor: Option<Box<Editor>>,
        held: Held,
    ) -> Self {
        let finished = incoming.is_end_stream();
        Self {
            incoming,
            pace,
            deadline: Deadline::default(),
            deadline_is_old: true,
            end,
            editor,
            is_over: false,
            finished,
            _held: held,
        }
    }

    /// True once the last frame has been handed on.
    pub(crate) fn is_finished(&self) -> bool {
        self.finished
    }

    /// True for event streams; they end in other ways and at other times than answers.
    pub(crate) fn is_event_stream(&self) -> bool {
        self.end.is_some()
    }

    /// Why the stream was ended with its token, if it was.
    pub(crate) fn over(&self) -> Option<Over> {
        self.end.as_ref().and_then(|end| end.over)
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        self.finished || self.is_over || (self.editor.is_none() && self.incoming.is_end_stream())
    }

    /// Of what is still to come; `before` have come and not gone on.
    pub(crate) fn size_hint(&self, before: u64) -> SizeHint {
        let says_farewell = self.end.as_ref().is_some_and(StreamEnd::says_farewell);
        let exact = self.incoming.size_hint().exact().filter(|_| self.editor.is_none() && !says_farewell);
        exact.map_or_else(SizeHint::default, |rest| SizeHint::with_exact(rest.saturating_add(before)))
    }

    /// The next data, never empty.
    pub(crate) fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, RelayError>>> {
        if self.finished {
            return Poll::Ready(None);
        }
        let polled = ready!(self.poll_next(cx));
        self.finished = !matches!(polled, Some(Ok(_))) || self.is_end_stream();
        Poll::Ready(polled)
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, RelayError>>> {
        if let Some(end) = &mut self.end {
            if end.revoked.as_mut().poll(cx).is_ready() {
                end.over = Some(Over::Revoked);
            } else if end.token_expires.as_mut().poll(cx).is_ready() {
                end.over = Some(Over::Expired);
            }
            if end.over.is_some() || end.stopping.as_mut().poll(cx).is_ready() {
                self.is_over = true;
                return Poll::Ready(end.farewell.as_ref().and_then(Farewell::event).map(Ok));
            }
        }
        loop {
            let Poll::Ready(next) = Pin::new(&mut self.incoming).poll_frame(cx) else {
                return self.poll_timer(cx).map(|error| Some(Err(error)));
            };
            self.deadline_is_old = true;
            let data = match next {
                None => return Poll::Ready(self.rest()),
                Some(Err(_)) => return Poll::Ready(Some(Err(RelayError::Upstream))),
                // RFC 9110 §6.5.1: trailers may be dropped; nothing in MCP uses them.
                Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
            };
            // What is always there is never waited for, and its time is over all the same.
            if !self.incoming.is_end_stream() && self.is_over_time() {
                return Poll::Ready(Some(Err(RelayError::Total)));
            }
            match self.edit(data) {
                Ok(data) if data.is_empty() => {}
                outcome => return Poll::Ready(Some(outcome)),
            }
        }
    }

    fn edit(&mut self, data: Bytes) -> Result<Bytes, RelayError> {
        let data = match &mut self.editor {
            None => data,
            Some(editor) => editor.feed(&data)?,
        };
        if let Some(farewell) = self.end.as_mut().and_then(|end| end.farewell.as_mut()) {
            farewell.sent(&data);
        }
        Ok(data)
    }

    /// What was held back when the upstream's body ended.
    fn rest(&mut self) -> Option<Result<Bytes, RelayError>> {
        self.is_over = true;
        let rest = self.editor.as_mut()?.finish();
        rest.map_or_else(|error| Some(Err(error)), |rest| (!rest.is_empty()).then_some(Ok(rest)))
    }

    /// Only waits have a timer: a response that is there at once costs none.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<RelayError> {
        if std::mem::take(&mut self.deadline_is_old) {
            let idle_at = Instant::now() + self.pace.idle;
            self.deadline.set(Some(self.pace.total.map_or(idle_at, |total| total.min(idle_at))));
        }
        ready!(self.deadline.poll(cx));
        Poll::Ready(if self.is_over_time() { RelayError::Total } else { RelayError::Idle })
    }

    fn is_over_time(&self) -> bool {
        self.pace.total.is_some_and(|total| total <= Instant::now())
    }
}
