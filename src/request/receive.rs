//! The client's request body, whole: bounded in size, in patience, and in what all bodies together may hold.
//!
//! It is read while it arrives and goes upstream as the pieces that came, byte for byte; nothing goes upstream before all of
//! it was judged.

use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::time::Instant;

use crate::config::Limits;

use super::budget::{Budget, Held};
use super::incoming::Incoming;
use super::reject::Rejection;

/// A body slower than this for a whole `body_timeout` is cut off (R.U.D.Y., threat D4).
const MIN_BYTES_PER_SECOND: u64 = 1024;
/// Smaller pieces are joined: a body of single bytes must not cost a slice each.
const SMALL_PIECE: usize = 4 * 1024;

/// A whole body, in the pieces that came.
#[derive(Debug, Default)]
pub(crate) struct Received {
    pieces: Vec<Bytes>,
    /// Small pieces that were joined, behind the others.
    tail: BytesMut,
    length: u64,
    held: Held,
}

impl Received {
    /// Its size.
    pub(crate) fn bytes(&self) -> u64 {
        self.length
    }

    /// The pieces in order, and the part of the budget that they take until they are gone.
    pub(crate) fn into_pieces(mut self) -> (Vec<Bytes>, u64, Held) {
        self.flush();
        (self.pieces, self.length, self.held)
    }

    fn push(&mut self, piece: Bytes) {
        let is_first = self.length == 0;
        self.length += piece.len() as u64;
        if is_first || piece.len() >= SMALL_PIECE {
            self.flush();
            self.pieces.push(piece);
        } else {
            self.tail.extend_from_slice(&piece);
        }
    }

    fn flush(&mut self) {
        if !self.tail.is_empty() {
            self.pieces.push(std::mem::take(&mut self.tail).freeze());
        }
    }
}

/// Reads the body to its end; each piece goes to `judge` as it comes.
pub(crate) async fn receive(
    incoming: &mut Incoming<'_>,
    limits: &Limits,
    budget: &Budget,
    mut judge: impl FnMut(&[u8]) -> Result<(), Rejection>,
) -> Result<Received, Rejection> {
    // The framing's own length, not the header field: HTTP/2 bodies may have none.
    if incoming.rest() > limits.body_bytes {
        return Err(Rejection::BodySize);
    }
    let mut received = Received::default();
    let mut pace = Pace::new(limits.body_timeout);
    while let Some(piece) = pace.wait(incoming.piece()).await? {
        let piece = piece.map_err(|_| Rejection::BodyFraming)?;
        pace.bytes += piece.len() as u64;
        if received.length + piece.len() as u64 > limits.body_bytes {
            return Err(Rejection::BodySize);
        }
        budget.hold(piece.len(), &mut received.held)?;
        judge(&piece)?;
        received.push(piece);
    }
    Ok(received)
}

/// Time spent waiting for the client, and what it has to show for it.
struct Pace {
    patience: Duration,
    waited: Duration,
    bytes: u64,
}

impl Pace {
    fn new(patience: Duration) -> Self {
        Self { patience, waited: Duration::ZERO, bytes: 0 }
    }

    /// Waits for the next frame: never longer than the patience in one wait, nor in all with too little to show for it.
    async fn wait<T>(&mut self, frame: impl Future<Output = T>) -> Result<T, Rejection> {
        let mut frame = std::pin::pin!(frame);
        // What is there already has cost no time: most bodies are.
        if let Poll::Ready(frame) = futures_util::poll!(frame.as_mut()) {
            return Ok(frame);
        }
        self.settle();
        let since = Instant::now();
        let most = if self.is_fast_enough() { self.patience } else { self.patience.saturating_sub(self.waited) };
        let frame = tokio::time::timeout_at(since + most, frame).await.map_err(|_| Rejection::BodyTimeout)?;
        self.waited += since.elapsed();
        self.settle();
        Ok(frame)
    }

    /// A patience that was fast enough is over and done with.
    fn settle(&mut self) {
        if self.waited >= self.patience && self.is_fast_enough() {
            (self.waited, self.bytes) = (Duration::ZERO, 0);
        }
    }

    /// Over a whole patience.
    fn is_fast_enough(&self) -> bool {
        u128::from(self.bytes) * 1000 >= self.patience.as_millis() * u128::from(MIN_BYTES_PER_SECOND)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which piece of a body comes too late, of a client that sends so many bytes so many seconds after those before.
    async fn too_late(pieces: &[(u64, u64)]) -> Option<usize> {
        let mut pace = Pace::new(Duration::from_secs(30));
        for (at, (seconds, bytes)) in pieces.iter().enumerate() {
            match pace.wait(tokio::time::sleep(Duration::from_secs(*seconds))).await {
                Ok(()) => pace.bytes += bytes,
                Err(rejection) => {
                    assert_eq!(rejection, Rejection::BodyTimeout);
                    return Some(at);
                }
            }
        }
        None
    }

    #[tokio::test(start_paused = true)]
    async fn d4_a_body_that_stalls_or_trickles_is_cut_off() {
        assert_eq!(too_late(&[(29, 1)]).await, None);
        assert_eq!(too_late(&[(31, 1)]).await, Some(0));
        assert_eq!(too_late(&[(10, 1), (10, 1), (9, 1), (2, 1)]).await, Some(3));
        assert_eq!(too_late(&[(10, 10_000), (10, 10_000), (9, 10_000), (2, 1)]).await, Some(3));
        assert_eq!(too_late(&[(1, 1 << 20), (31, 1)]).await, Some(1), "what came before excuses no stall");
    }

    #[tokio::test(start_paused = true)]
    async fn d4_a_kibibyte_a_second_is_fast_enough_for_as_long_as_it_lasts() {
        let fast = [(10, 10_240), (10, 10_240), (9, 10_240), (2, 1)];
        assert_eq!(too_late(&fast).await, None);
        assert_eq!(too_late(&[&fast[..], &[(28, 1), (3, 1)]].concat()).await, Some(5));
        assert_eq!(too_late(&[(0, 30_720), (20, 1), (20, 1), (20, 1)]).await, None);
        assert_eq!(too_late(&[(0, 30_720), (20, 1), (20, 1), (20, 1), (11, 1)]).await, Some(4));
    }

    #[test]
    fn small_pieces_are_joined_and_the_body_stays_as_it_came() {
        let sizes = [1, 2, 3, SMALL_PIECE - 1, SMALL_PIECE, 5, SMALL_PIECE + 1, 1];
        let mut received = Received::default();
        let mut body = Vec::new();
        for (number, size) in sizes.into_iter().enumerate() {
            let piece = vec![u8::try_from(number).unwrap(); size];
            body.extend_from_slice(&piece);
            received.push(piece.into());
        }
        assert_eq!(received.bytes(), body.len() as u64);
        let (pieces, length, _held) = received.into_pieces();
        assert_eq!((length, pieces.concat()), (body.len() as u64, body));
        let lengths: Vec<usize> = pieces.iter().map(Bytes::len).collect();
        assert_eq!(lengths, [1, SMALL_PIECE + 4, SMALL_PIECE, 5, SMALL_PIECE + 1, 1]);
    }
}
