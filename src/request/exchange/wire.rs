//! A connection to an upstream, and what was read from it and not used.

use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::{fmt, io};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::io::poll_read_buf;

use crate::deadline::Deadline;

/// Most that is read at a time: what a client does not take is held once for each open answer (threat D23).
const READ_BUFFER: usize = 64 * 1024;
/// What is read at a time while little comes: on the stack, so that a connection that is silent holds nothing.
pub(super) const SMALL_READ: usize = 8 * 1024;

/// TCP, with TLS or without.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Io for T {}

/// A connection of any kind.
pub(crate) type Stream = Box<dyn Io>;

/// See the module.
pub(crate) struct Wire {
    pub(super) stream: Stream,
    pub(super) inbox: Bytes,
    /// There is more to read than a small reading takes.
    pub(super) comes_fast: bool,
    /// One timer, for one request after another.
    pub(super) deadline: Deadline,
}

impl Wire {
    pub(crate) fn new(stream: Stream) -> Self {
        Self { stream, inbox: Bytes::new(), comes_fast: false, deadline: Deadline::default() }
    }

    /// Nothing has come that nobody asked for, the end neither. Waits for nothing.
    pub(crate) fn is_quiet(&mut self) -> bool {
        let (mut byte, mut cx) = ([0], Context::from_waker(Waker::noop()));
        self.inbox.is_empty()
            && Pin::new(&mut self.stream).poll_read(&mut cx, &mut ReadBuf::new(&mut byte)).is_pending()
    }

    /// Adds what comes next to the inbox; false at the end.
    pub(super) fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let more = ready!(self.poll_read(cx))?;
        let has_come = !more.is_empty();
        if self.inbox.is_empty() {
            self.inbox = more;
        } else {
            let mut both = BytesMut::from(std::mem::take(&mut self.inbox));
            both.extend_from_slice(&more);
            self.inbox = both.freeze();
        }
        Poll::Ready(Ok(has_come))
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        if !self.comes_fast {
            let mut room = [const { MaybeUninit::uninit() }; SMALL_READ];
            let mut room = ReadBuf::uninit(&mut room);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut room))?;
            self.comes_fast = room.remaining() == 0;
            return Poll::Ready(Ok(Bytes::copy_from_slice(room.filled())));
        }
        let mut room = BytesMut::with_capacity(READ_BUFFER);
        let read = ready!(poll_read_buf(Pin::new(&mut self.stream), cx, &mut room))?;
        self.comes_fast = read > SMALL_READ;
        // Little must not keep much room.
        Poll::Ready(Ok(if self.comes_fast { room.freeze() } else { Bytes::copy_from_slice(&room) }))
    }
}

impl Drop for Wire {
    /// RFC 8446 §6.1: whoever speaks TLS is told. What does not go at once does not go.
    fn drop(&mut self) {
        _ = Pin::new(&mut self.stream).poll_shutdown(&mut Context::from_waker(Waker::noop()));
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").field("inbox", &self.inbox.len()).finish_non_exhaustive()
    }
}
