//! Whether anything is under way on a connection, and since when nothing is.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;

use super::stream::Handed;

/// Shared by a connection and its requests.
#[derive(Debug)]
pub(crate) struct Activity(Mutex<State>);

#[derive(Debug)]
struct State {
    under_way: usize,
    idle_since: Instant,
}

/// One request under way; dropped with its response body.
#[derive(Debug)]
pub(crate) struct UnderWay(Arc<Activity>);

impl Activity {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(State { under_way: 0, idle_since: Instant::now() })))
    }

    /// Counts a request until the value is dropped.
    pub(crate) fn begin(self: &Arc<Self>) -> UnderWay {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).under_way += 1;
        UnderWay(Arc::clone(self))
    }

    /// Since when nothing is under way; `None` while something is.
    pub(crate) fn idle_since(&self) -> Option<Instant> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (state.under_way == 0).then_some(state.idle_since)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut state = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.under_way -= 1;
        if state.under_way == 0 {
            state.idle_since = Instant::now();
        }
    }
}

/// A response body that keeps its request under way, and its HTTP/2 stream informed.
#[derive(Debug)]
pub(crate) struct Busy<B> {
    body: B,
    handed: Option<Arc<Handed>>,
    _under_way: UnderWay,
}

impl<B> Busy<B> {
    /// The head goes out with this: from now on something is there to be sent.
    pub(crate) fn new(body: B, under_way: UnderWay) -> Self {
        let handed = Handed::current();
        if let Some(handed) = &handed {
            handed.begin();
        }
        Self { body, handed, _under_way: under_way }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Busy<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if let Some(handed) = &self.handed {
            // Asking for more says that what went before has been taken.
            if polled.is_ready() { handed.begin() } else { handed.end() }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
