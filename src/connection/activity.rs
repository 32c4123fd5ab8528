//! Whether anything is under way on a connection, and since when nothing is.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Method;
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

/// The library takes a whole piece as soon as there is room for one byte, in the client's window and in its own buffer, and is done
/// with the stream when it was the last: then nobody sees any more whether the client takes it. So the end of any piece that is larger
/// than that buffer goes by itself, as a copy, and its last byte once more: that waits until all but this end has gone. What the
/// library notes of a stream is not much less than this.
pub(super) const SMALL_PIECE: usize = 4 * 1024;

/// A response body that keeps its request under way, and its HTTP/2 stream informed.
#[derive(Debug)]
pub(crate) struct Busy<B> {
    body: B,
    /// The end of the piece before, as far as it is not handed over.
    end: Bytes,
    /// The answer to a `HEAD`: nothing of it goes out (RFC 9110 §9.3.2).
    is_unsent: bool,
    handed: Option<Arc<Handed>>,
    _under_way: UnderWay,
}

impl<B> Busy<B> {
    /// The head goes out with this: from now on something is there to be sent.
    pub(crate) fn new(body: B, method: &Method, under_way: UnderWay) -> Self {
        let handed = Handed::current();
        if let Some(handed) = &handed {
            handed.begin();
        }
        Self { body, end: Bytes::new(), is_unsent: *method == Method::HEAD, handed, _under_way: under_way }
    }

    /// What of a piece may be handed over now.
    fn hand_over(&mut self, mut piece: Bytes) -> Frame<Bytes> {
        if piece.len() > SMALL_PIECE {
            self.end = Bytes::copy_from_slice(&piece.split_off(piece.len() - SMALL_PIECE));
        }
        Frame::data(piece)
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Busy<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let polled = if self.end.is_empty() {
            Pin::new(&mut self.body).poll_frame(cx).map_ok(|frame| match frame.into_data() {
                Ok(piece) => self.hand_over(piece),
                Err(frame) => frame,
            })
        } else {
            let now = (self.end.len() - 1).max(1);
            Poll::Ready(Some(Ok(Frame::data(self.end.split_to(now)))))
        };
        if let Some(handed) = &self.handed {
            // Asking for more in vain says that what went before is on its way.
            if polled.is_ready() { handed.begin() } else { handed.end() }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.is_unsent || self.end.is_empty() && self.body.is_end_stream()
    }

    /// Nobody asks once the body has begun.
    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use http_body_util::Full;

    use super::*;

    #[test]
    fn the_end_of_a_piece_that_is_not_small_goes_by_itself_and_its_last_byte_too() {
        for (size, wanted) in [
            (0, vec![]),
            (1, vec![1]),
            (SMALL_PIECE, vec![SMALL_PIECE]),
            (SMALL_PIECE + 1, vec![1, SMALL_PIECE - 1, 1]),
            (64 * 1024, vec![60 * 1024, SMALL_PIECE - 1, 1]),
        ] {
            let whole: Bytes = (0..=u8::MAX).cycle().take(size).collect();
            let activity = Activity::new();
            let mut body = Busy::new(Full::new(whole.clone()), &Method::GET, activity.begin());
            let (mut sizes, mut together) = (Vec::new(), Vec::new());
            while !body.is_end_stream() {
                let polled = Pin::new(&mut body).poll_frame(&mut Context::from_waker(Waker::noop()));
                let Poll::Ready(Some(Ok(frame))) = polled else { unreachable!() };
                let piece = frame.into_data().unwrap();
                let is_part = whole.as_ptr_range().contains(&piece.as_ptr());
                assert_eq!(is_part, sizes.is_empty(), "the end is a copy, and keeps nothing else");
                sizes.push(piece.len());
                together.extend_from_slice(&piece);
            }
            assert_eq!((sizes, together), (wanted, whole.to_vec()));
            drop(body);
            assert!(activity.idle_since().is_some());
        }
    }

    #[test]
    fn the_answer_to_a_head_is_over_at_once() {
        let busy = |method| Busy::new(Full::new(Bytes::from_static(b"x")), method, Activity::new().begin());
        assert!(busy(&Method::HEAD).is_end_stream() && !busy(&Method::GET).is_end_stream());
    }
}
