//! The request body on its way upstream: the very pieces that came, and how far the upstream has taken them.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use std::{convert::Infallible, vec};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;

use super::budget::Held;
use super::receive::Received;

/// When the upstream's connection last took something of the body, for the forwarder.
#[derive(Debug)]
pub(crate) struct UploadState(Mutex<Instant>);

impl UploadState {
    /// Waits until the upstream has let this time pass: without taking more of the body, or after all of it. One timer, however
    /// often it takes some.
    pub(crate) async fn overdue(&self, patience: Duration) {
        let mut due = self.taken() + patience;
        loop {
            tokio::time::sleep_until(due).await;
            let later = self.taken() + patience;
            if later <= due {
                return;
            }
            due = later;
        }
    }

    fn taken(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
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
        let state = Arc::new(UploadState(Mutex::new(Instant::now())));
        (Self { pieces: pieces.into_iter(), left, state: Arc::clone(&state), _held: held }, state)
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(piece) = self.pieces.next() else { return Poll::Ready(None) };
        self.left -= piece.len() as u64;
        self.state.take();
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{sleep, timeout};

    use super::*;

    /// After how many seconds an upstream is overdue that takes something so many times, each six seconds after the one before.
    async fn overdue(times: u64) -> u64 {
        let since = Instant::now();
        let state = UploadState(Mutex::new(since));
        let takes = async {
            for _ in 0..times {
                sleep(Duration::from_secs(6)).await;
                state.take();
            }
        };
        let waits = async {
            timeout(Duration::from_mins(5), state.overdue(Duration::from_secs(10))).await.unwrap();
            since.elapsed().as_secs()
        };
        tokio::join!(waits, takes).0
    }

    #[tokio::test(start_paused = true)]
    async fn an_upstream_is_overdue_when_it_has_taken_nothing_for_too_long() {
        assert_eq!(overdue(0).await, 10);
        assert_eq!(overdue(1).await, 16);
        assert_eq!(overdue(3).await, 28);
    }
}
