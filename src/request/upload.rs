//! The request body on its way upstream: the very pieces that came, and how far the upstream has taken them.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use std::{convert::Infallible, vec};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::Notify;

use super::budget::Held;
use super::receive::Received;

/// How far the upstream's connection has taken the body, for the forwarder.
#[derive(Debug, Default)]
pub(crate) struct UploadState {
    left: AtomicU64,
    done: Notify,
}

impl UploadState {
    /// Waits until the upstream has let this time pass: without taking more of the body, or after all of it.
    pub(crate) async fn overdue(&self, patience: Duration) {
        loop {
            let left = self.left.load(Ordering::Acquire);
            if tokio::time::timeout(patience, self.sent()).await.is_ok() {
                return tokio::time::sleep(patience).await;
            }
            if left == self.left.load(Ordering::Acquire) {
                return;
            }
        }
    }

    /// Waits until the whole body has been handed to the upstream's connection.
    async fn sent(&self) {
        while self.left.load(Ordering::Acquire) > 0 {
            self.done.notified().await;
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Upload {
    pieces: vec::IntoIter<Bytes>,
    left: u64,
    state: Arc<UploadState>,
    _held: Held,
}

impl Upload {
    /// All of it is there.
    pub(crate) fn new(body: Received) -> (Self, Arc<UploadState>) {
        let (pieces, left, held) = body.into_pieces();
        let state = Arc::new(UploadState { left: left.into(), done: Notify::new() });
        (Self { pieces: pieces.into_iter(), left, state: Arc::clone(&state), _held: held }, state)
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(piece) = self.pieces.next() else { return Poll::Ready(None) };
        self.left -= piece.len() as u64;
        self.state.left.store(self.left, Ordering::Release);
        if self.left == 0 {
            self.state.done.notify_one(); // one forwarder waits; a permit is kept when it does not wait yet
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
