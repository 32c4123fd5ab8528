//! The client's request body on its way upstream: bounded in size and in patience, frame by frame.
//!
//! A body that breaks a bound breaks the upstream request off, so the upstream never sees it complete (threats F5, F15, D4, D9);
//! [`UploadState`] then tells the forwarder that the client, not the upstream, is at fault.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::sync::Notify;
use tokio::time::{Instant, Sleep};

use super::reject::Rejection;

/// A body slower than this for a whole `body_timeout` is cut off (R.U.D.Y., threat D4).
const MIN_BYTES_PER_SECOND: u64 = 1024;

/// Ends the upstream request; the cause is in [`UploadState`].
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the client's body was refused")]
pub(crate) struct UploadError;

/// What became of the body, for the forwarder.
#[derive(Debug, Default)]
pub(crate) struct UploadState {
    outcome: AtomicU8,
    done: Notify,
    /// Frames that the upstream's connection has taken.
    taken: AtomicU64,
    /// It asks for more than the client has sent.
    starved: AtomicBool,
}

const UNDER_WAY: u8 = 0;
const SENT: u8 = 1;
const TOO_LARGE: u8 = 2;
const TOO_SLOW: u8 = 3;
const BROKEN: u8 = 4;

impl UploadState {
    /// The client's fault, when there is one.
    pub(crate) fn rejection(&self) -> Option<Rejection> {
        match self.outcome.load(Ordering::Acquire) {
            TOO_LARGE => Some(Rejection::BodySize),
            TOO_SLOW => Some(Rejection::BodyTimeout),
            BROKEN => Some(Rejection::BodyFraming),
            _ => None,
        }
    }

    /// Waits until the upstream has let this time pass: without taking more of a body that is there, or after all of it.
    pub(crate) async fn overdue(&self, patience: Duration) {
        loop {
            let taken = self.taken.load(Ordering::Acquire);
            if tokio::time::timeout(patience, self.sent()).await.is_ok() {
                return tokio::time::sleep(patience).await;
            }
            if !self.starved.load(Ordering::Acquire) && taken == self.taken.load(Ordering::Acquire) {
                return;
            }
        }
    }

    /// Waits until the whole body has been handed to the upstream's connection.
    async fn sent(&self) {
        while self.outcome.load(Ordering::Acquire) == UNDER_WAY {
            self.done.notified().await;
        }
    }

    fn set(&self, outcome: u8) {
        self.outcome.store(outcome, Ordering::Release);
        self.done.notify_one(); // one forwarder waits; a permit is kept when it does not wait yet
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Upload {
    /// `None`: there is no body.
    incoming: Option<Incoming>,
    left: u64,
    patience: Duration,
    wait: Wait,
    state: Arc<UploadState>,
}

/// Time spent waiting for the client; time in which the upstream does not take is not the client's.
#[derive(Debug, Default)]
struct Wait {
    timer: Option<Pin<Box<Sleep>>>,
    since: Option<Instant>,
    waited: Duration,
    bytes: u64,
}

impl Upload {
    /// At most `limit` bytes; `patience` is `body_timeout`.
    pub(crate) fn new(incoming: Option<Incoming>, limit: u64, patience: Duration) -> (Self, Arc<UploadState>) {
        let state = Arc::new(UploadState::default());
        if incoming.as_ref().is_none_or(Body::is_end_stream) {
            state.set(SENT);
        }
        (Self { incoming, left: limit, patience, wait: Wait::default(), state: Arc::clone(&state) }, state)
    }

    fn fail(&self, outcome: u8) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
        self.state.set(outcome);
        Poll::Ready(Some(Err(UploadError)))
    }
}

impl Wait {
    fn progressed(&mut self, bytes: usize, patience: Duration) {
        self.bytes += bytes as u64;
        if let Some(since) = self.since.take() {
            self.waited += since.elapsed();
        }
        if self.waited >= patience && self.is_fast_enough_after(self.waited) {
            (self.waited, self.bytes) = (Duration::ZERO, 0);
        }
    }

    fn is_fast_enough_after(&self, waited: Duration) -> bool {
        u128::from(self.bytes) * 1000 >= waited.as_millis() * u128::from(MIN_BYTES_PER_SECOND)
    }

    /// Ready when the client has been waited for long enough: in this one wait, or in all with too little to show for it.
    fn poll_over(&mut self, patience: Duration, cx: &mut Context<'_>) -> Poll<()> {
        let since = *self.since.get_or_insert_with(Instant::now);
        loop {
            let waited = since.elapsed();
            let judged_at = patience.saturating_sub(self.waited);
            if waited >= patience || (waited >= judged_at && !self.is_fast_enough_after(self.waited + waited)) {
                return Poll::Ready(());
            }
            let at = since + if waited < judged_at { judged_at } else { patience };
            let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
            timer.as_mut().reset(at);
            std::task::ready!(timer.as_mut().poll(cx));
        }
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = UploadError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
        let this = &mut *self;
        loop {
            let Some(incoming) = &mut this.incoming else { return Poll::Ready(None) };
            let Poll::Ready(next) = Pin::new(&mut *incoming).poll_frame(cx) else {
                this.state.starved.store(true, Ordering::Release);
                std::task::ready!(this.wait.poll_over(this.patience, cx));
                return this.fail(TOO_SLOW);
            };
            match next {
                None => {
                    this.state.set(SENT);
                    return Poll::Ready(None);
                }
                Some(Err(_)) => return this.fail(BROKEN),
                Some(Ok(frame)) => {
                    // RFC 9110 §6.5.1: trailers end here (threat H6).
                    let Ok(data) = frame.into_data() else { continue };
                    this.wait.progressed(data.len(), this.patience);
                    let ended = incoming.is_end_stream();
                    let Some(left) = this.left.checked_sub(data.len() as u64) else { return this.fail(TOO_LARGE) };
                    this.left = left;
                    this.state.taken.fetch_add(1, Ordering::Release);
                    this.state.starved.store(false, Ordering::Release);
                    if ended {
                        this.state.set(SENT); // a body of known length is not polled past its end
                    }
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map_or(SizeHint::with_exact(0), Body::size_hint)
    }
}
