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

/// The library takes a whole piece as soon as the client's window has room for one byte, and is done with the stream when it was the
/// last. So the last byte of any larger piece goes by itself: it waits for room until all before it has been taken. What the library
/// notes of a stream is not much less than this.
const SMALL_PIECE: usize = 4 * 1024;
/// What the library is given at a time. More at once, a list that was held whole, goes in copies: a part of it would keep all of it.
pub(super) const MAX_PIECE: usize = 64 * 1024;

/// A response body that keeps its request under way, and its HTTP/2 stream informed.
#[derive(Debug)]
pub(crate) struct Busy<B> {
    body: B,
    /// What of the piece before is not handed over yet.
    rest: Bytes,
    handed: Option<Arc<Handed>>,
    _under_way: UnderWay,
}

impl<B> Busy<B> {
    /// The head goes out with this: from now on something is there to be sent.
    pub(crate) fn new(body: B, under_way: UnderWay) -> Self {
        let handed = Handed::current();
        if let Some(handed) = &handed {
            handed.begin(false);
        }
        Self { body, rest: Bytes::new(), handed, _under_way: under_way }
    }

    /// What of a piece may be handed over now; the rest waits until that is taken.
    fn hand_over(&mut self, mut piece: Bytes, is_copied: bool) -> Frame<Bytes> {
        let now = match piece.len() {
            small @ ..=SMALL_PIECE => small,
            most @ ..=MAX_PIECE => most - 1,
            _ => MAX_PIECE,
        };
        self.rest = piece.split_off(now);
        let is_copied = is_copied || self.rest.len() > 1;
        Frame::data(if is_copied { Bytes::copy_from_slice(&piece) } else { piece })
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Busy<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let rest = std::mem::take(&mut self.rest);
        let is_behind = !rest.is_empty();
        let polled = if is_behind {
            Poll::Ready(Some(Ok(self.hand_over(rest, true))))
        } else {
            Pin::new(&mut self.body).poll_frame(cx).map_ok(|frame| match frame.into_data() {
                Ok(piece) => self.hand_over(piece, false),
                Err(frame) => frame,
            })
        };
        if let Some(handed) = &self.handed {
            // Asking for more in vain says that what went before is on its way.
            if polled.is_ready() { handed.begin(is_behind) } else { handed.end() }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
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
    fn pieces_go_so_that_no_part_keeps_much_and_the_end_waits_for_what_goes_before() {
        let mib = 1 << 20;
        for (size, wanted) in [
            (0, vec![]),
            (1, vec![1]),
            (SMALL_PIECE, vec![SMALL_PIECE]),
            (SMALL_PIECE + 1, vec![SMALL_PIECE, 1]),
            (MAX_PIECE, vec![MAX_PIECE - 1, 1]),
            (MAX_PIECE + 7, vec![MAX_PIECE, 7]),
            (mib, [vec![MAX_PIECE; 15], vec![MAX_PIECE - 1, 1]].concat()),
        ] {
            let whole: Bytes = (0..=u8::MAX).cycle().take(size).collect();
            let place = whole.as_ptr_range();
            let activity = Activity::new();
            let mut body = Busy::new(Full::new(whole.clone()), activity.begin());
            let (mut sizes, mut together) = (Vec::new(), Vec::new());
            while !body.is_end_stream() {
                let polled = Pin::new(&mut body).poll_frame(&mut Context::from_waker(Waker::noop()));
                let Poll::Ready(Some(Ok(frame))) = polled else { unreachable!() };
                let piece = frame.into_data().unwrap();
                let is_part = place.contains(&piece.as_ptr());
                assert!(!is_part || size <= MAX_PIECE, "a part of {size} bytes keeps them all");
                sizes.push(piece.len());
                together.extend_from_slice(&piece);
            }
            assert_eq!((sizes, together), (wanted, whole.to_vec()));
            drop(body);
            assert!(activity.idle_since().is_some());
        }
    }
}
