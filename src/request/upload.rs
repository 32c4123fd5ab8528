//! A request on its way upstream: its head's lines, and behind them the very pieces of the body that came.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Method;
use http::uri::PathAndQuery;
use tokio::io::AsyncWrite;

use crate::head::Lines;

use super::budget::Held;
use super::receive::Received;

/// A body of at most this is copied behind its head: the system is called once, with one buffer.
const SMALL_BODY: usize = 16 * 1024;
/// Pieces that are written at a time.
const MAX_SLICES: usize = 64;
/// Most heads are shorter, with a small body behind them.
const ROOM_FOR_HEAD: usize = 1536;

/// A body that is all there.
#[derive(Debug, Default)]
pub(crate) struct Upload {
    pub(super) pieces: Vec<Bytes>,
    pub(super) length: u64,
    /// Its part of the budget, until it is sent.
    _held: Held,
}

impl Upload {
    pub(crate) fn new(body: Received) -> Self {
        let (mut pieces, length, held) = body.into_pieces();
        // An empty one would look like the end to whoever writes.
        pieces.retain(|piece| !piece.is_empty());
        Self { pieces, length, _held: held }
    }

    #[cfg(test)]
    pub(super) fn of(pieces: Vec<Bytes>) -> Self {
        let length = pieces.iter().map(|piece| piece.len() as u64).sum();
        Self { pieces, length, _held: Held::default() }
    }
}

/// A request's head on its way upstream.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) method: Method,
    pub(crate) target: PathAndQuery,
    /// All fields but the body's length, `Host` among them, behind the request line of HTTP/1.1.
    pub(crate) lines: Lines,
}

/// A head whose bytes are lent to whoever sends them.
#[derive(Debug)]
pub(super) struct Lent {
    head: Outgoing,
    length: usize,
}

impl Outgoing {
    /// A head without fields.
    pub(crate) fn new(method: Method, target: PathAndQuery) -> Self {
        // RFC 9112 §3.
        let lines = Lines::behind(&[method.as_str(), " ", target.as_str(), " HTTP/1.1"], ROOM_FOR_HEAD);
        Self { method, target, lines }
    }

    /// The whole head, and room for a small body. The body's length is the gateway's own.
    pub(super) fn lend(mut self, length: u64) -> (Vec<u8>, Lent) {
        let mut front = self.lines.take_message();
        let lent = Lent { length: front.len(), head: self };
        // RFC 9110 §8.6: of a method that has a body, also when there is none.
        if length > 0 || lent.head.method == Method::POST {
            for part in ["content-length: ", itoa::Buffer::new().format(length), "\r\n"] {
                front.extend_from_slice(part.as_bytes());
            }
        }
        front.extend_from_slice(b"\r\n");
        (front, lent)
    }
}

impl Lent {
    /// As it was: not one byte of it was sent.
    pub(super) fn back(mut self, front: Vec<u8>) -> Outgoing {
        self.head.lines.put_back(front, self.length);
        self.head
    }
}

/// What the upstream has taken of a request, and what not.
#[derive(Debug)]
pub(super) struct Outbox {
    /// The head, and a small body.
    front: Vec<u8>,
    upload: Upload,
    /// Which part goes next: the front, then the pieces that are not in it; and how much of it is gone.
    at: usize,
    parts: usize,
    offset: usize,
    sent: u64,
}

impl Outbox {
    pub(super) fn new(mut front: Vec<u8>, upload: Upload) -> Self {
        let is_small = upload.length <= SMALL_BODY as u64;
        if is_small {
            upload.pieces.iter().for_each(|piece| front.extend_from_slice(piece));
        }
        let parts = if is_small { 1 } else { 1 + upload.pieces.len() };
        Self { front, upload, at: 0, parts, offset: 0, sent: 0 }
    }

    /// Bytes that the connection has taken.
    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    /// Nobody can have seen any of it.
    pub(super) fn is_untouched(&self) -> bool {
        self.sent == 0
    }

    /// The head and the body of a request that is untouched.
    pub(super) fn into_parts(self) -> (Vec<u8>, Upload) {
        (self.front, self.upload)
    }

    /// Writes as much as the connection takes; ready when that was all.
    pub(super) fn poll_write(
        &mut self,
        stream: &mut (impl AsyncWrite + Unpin),
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while self.at < self.parts {
            let written = if self.at + 1 == self.parts {
                ready!(Pin::new(&mut *stream).poll_write(cx, self.part(self.at)))?
            } else {
                let mut slices = [IoSlice::new(&[]); MAX_SLICES];
                let count = self.parts.min(self.at + MAX_SLICES) - self.at;
                slices.iter_mut().zip(self.at..self.parts).for_each(|(slice, at)| *slice = IoSlice::new(self.part(at)));
                ready!(Pin::new(&mut *stream).poll_write_vectored(cx, slices.get(..count).unwrap_or_default()))?
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(written);
        }
        // It is gone: so is its part of the budget.
        self.upload = Upload::default();
        Pin::new(stream).poll_flush(cx)
    }

    /// What is left of a part.
    fn part(&self, at: usize) -> &[u8] {
        let whole = match at.checked_sub(1) {
            None => Some(&self.front[..]),
            Some(piece) => self.upload.pieces.get(piece).map(Bytes::as_ref),
        };
        let gone = if at == self.at { self.offset } else { 0 };
        whole.and_then(|whole| whole.get(gone..)).unwrap_or_default()
    }

    fn advance(&mut self, mut written: usize) {
        self.sent += written as u64;
        while self.at < self.parts && written >= self.part(self.at).len() {
            written -= self.part(self.at).len();
            (self.at, self.offset) = (self.at + 1, 0);
        }
        self.offset += written;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use proptest::prelude::*;
    use tokio::io::AsyncReadExt as _;

    use super::*;

    /// A body in pieces of these sizes.
    fn upload(sizes: &[usize]) -> (Upload, Vec<u8>) {
        let bytes: Vec<u8> = (0..sizes.iter().sum()).map(|at| u8::try_from(at % 251).unwrap()).collect();
        let mut rest = Bytes::from(bytes.clone());
        (Upload::of(sizes.iter().map(|size| rest.split_to(*size)).collect()), bytes)
    }

    proptest! {
        #[test]
        fn the_upstream_gets_the_bytes_that_came_however_it_takes_them(
            sizes in proptest::collection::vec(1_usize..9_000, 0..150),
            room in 1_usize..100_000,
        ) {
            let (upload, body) = upload(&sizes);
            let (mut near, mut far) = tokio::io::duplex(room);
            let mut outbox = Outbox::new(b"head".to_vec(), upload);
            let mut taken = Vec::new();
            loop {
                let written = std::future::poll_fn(|cx| outbox.poll_write(&mut near, cx)).now_or_never();
                let mut bytes = vec![0; room];
                let count = far.read(&mut bytes).now_or_never().unwrap().unwrap();
                taken.extend_from_slice(&bytes[..count]);
                if written.is_some() {
                    break;
                }
            }
            prop_assert_eq!(outbox.sent(), taken.len() as u64);
            prop_assert!(outbox.into_parts().1.pieces.is_empty(), "what is sent is not held");
            prop_assert_eq!(taken, [b"head", &body[..]].concat());
        }
    }

    #[test]
    fn a_head_is_lines_with_the_bodys_own_length() {
        let head = |method| {
            let mut head = Outgoing::new(method, PathAndQuery::from_static("/mcp?q=1"));
            head.lines.push_judged(b"host", b"h");
            head.lines.push_judged(b"x-a", b"\xe9");
            head
        };
        let of = |method: &str, length: &str| {
            let first = format!("{method} /mcp?q=1 HTTP/1.1\r\nhost: h\r\nx-a: ");
            [first.as_bytes(), b"\xe9\r\n", length.as_bytes(), b"\r\n"].concat()
        };
        assert_eq!(head(Method::POST).lend(12).0, of("POST", "content-length: 12\r\n"));
        assert_eq!(head(Method::POST).lend(0).0, of("POST", "content-length: 0\r\n"));
        assert_eq!(head(Method::GET).lend(0).0, of("GET", ""));
        let (mut front, lent) = head(Method::POST).lend(2);
        front.extend_from_slice(b"{}");
        assert_eq!(lent.back(front).lend(3).0, of("POST", "content-length: 3\r\n"), "as if it had not been lent");
    }
}
