//! The request body on its way upstream: the very pieces that came, and how far the upstream has taken them.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use std::{convert::Infallible, vec};

use bytes::{Buf, Bytes};
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
    type Data = Pieces;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Pieces>, Infallible>>> {
        let mut group = Pieces { queue: VecDeque::new(), left: 0, state: Arc::clone(&self.state) };
        while group.left < GROUP_BYTES
            && let Some(piece) = self.pieces.next()
        {
            // An empty one would look like the end to whoever writes.
            if !piece.is_empty() {
                group.left += piece.len();
                group.queue.push_back(piece);
            }
        }
        if group.left == 0 {
            return Poll::Ready(None);
        }
        self.left -= group.left as u64;
        self.state.take();
        Poll::Ready(Some(Ok(Frame::data(group))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// What the library is given at a time. It bounds what it writes at a time by what it reads at a time (`pool.rs`), but takes one frame
/// whatever its size: pieces that go one by one would be written in sixteen parts for each MiB, and each wakes the upstream.
const GROUP_BYTES: usize = 256 * 1024;

/// Some of the very pieces that came, in order.
#[derive(Debug)]
pub(crate) struct Pieces {
    queue: VecDeque<Bytes>,
    left: usize,
    state: Arc<UploadState>,
}

impl Buf for Pieces {
    fn remaining(&self) -> usize {
        self.left
    }

    fn chunk(&self) -> &[u8] {
        self.queue.front().map_or(&[], |piece| piece)
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let pairs = slices.iter_mut().zip(&self.queue);
        pairs.map(|(slice, piece)| *slice = IoSlice::new(piece)).count()
    }

    /// The upstream has taken so much.
    fn advance(&mut self, mut count: usize) {
        self.state.take();
        self.left -= count;
        while let Some(piece) = self.queue.front_mut() {
            let here = piece.len().min(count);
            piece.advance(here);
            count -= here;
            if !piece.is_empty() {
                return;
            }
            self.queue.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;
    use proptest::prelude::*;
    use tokio::time::{sleep, timeout};

    use super::*;

    /// A body in pieces of these sizes.
    fn upload(sizes: &[usize]) -> (Upload, Vec<u8>) {
        let bytes: Vec<u8> = (0..sizes.iter().sum()).map(|at| u8::try_from(at % 251).unwrap()).collect();
        let mut rest = Bytes::from(bytes.clone());
        let pieces: Vec<Bytes> = sizes.iter().map(|size| rest.split_to(*size)).collect();
        let state = Arc::new(UploadState(Mutex::new(Instant::now())));
        (Upload { pieces: pieces.into_iter(), left: bytes.len() as u64, state, _held: Held::default() }, bytes)
    }

    proptest! {
        #[test]
        fn the_upstream_gets_the_bytes_that_came_however_it_takes_them(
            sizes in proptest::collection::vec(prop_oneof![Just(0_usize), 1_usize..70_000], 1..20),
            steps in proptest::collection::vec(1_usize..100_000, 1..8),
        ) {
            let (mut upload, wanted) = upload(&sizes);
            let (mut taken, mut steps) = (Vec::new(), steps.into_iter().cycle());
            while let Some(Some(frame)) = futures_util::FutureExt::now_or_never(upload.frame()) {
                let mut group = frame.unwrap().into_data().unwrap();
                prop_assert!(group.remaining() < GROUP_BYTES + 70_000);
                while group.has_remaining() {
                    let mut slices = [IoSlice::new(&[]); 3];
                    let count = group.chunks_vectored(&mut slices);
                    let seen: Vec<u8> = slices[..count].iter().flat_map(|slice| slice.to_vec()).collect();
                    let step = steps.next().unwrap().min(seen.len());
                    taken.extend_from_slice(&seen[..step]);
                    group.advance(step);
                }
            }
            prop_assert!(upload.is_end_stream() && taken == wanted);
        }
    }

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
