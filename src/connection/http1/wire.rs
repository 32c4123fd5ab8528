//! What comes over an HTTP/1 connection: heads, bodies, and the client's end.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes, BytesMut};
use http::header::EXPECT;
use memchr::memmem::Finder;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;
use tokio_util::io::poll_read_buf;

use crate::chunked::Chunked;
use crate::deadline::Deadline;
use crate::head::judge::{Framing, MAX_REQUEST_LINE_BYTES, judge};
use crate::head::{Fault, Head};
use crate::request::incoming::{Broken, Source};

use super::HeadBounds;

/// One read from the socket: a whole TLS record.
const READ_BYTES: usize = 16 * 1024;

/// Made once: making it costs as much as looking.
static END_OF_HEAD: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\r\n\r\n"));

/// RFC 9110 §15.2.1.
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// See the module. A connection that waits holds no buffer.
#[derive(Debug)]
pub(super) struct Wire<S> {
    pub(super) stream: S,
    bounds: HeadBounds,
    /// Read from the socket, and of no head or body yet.
    input: BytesMut,
    /// So much of an unfinished head has been searched for its end: a head that drips in is not searched anew for each drop.
    searched: usize,
    /// It has begun, and its time with it: once, whatever empty lines come before it.
    has_begun: bool,
    body: Rest,
    /// What is still to be said to a client that waits to be asked for its body.
    invitation: &'static [u8],
    /// Until then the next head must begin; and once it has begun, it must be whole.
    deadline: Deadline,
}

/// What is still to come of a body.
#[derive(Debug)]
enum Rest {
    Length(u64),
    Chunks(Chunked),
    Broken,
}

/// What a client says next.
#[derive(Debug)]
pub(super) enum Next {
    Request(Head),
    Refused(Fault),
    /// Nothing more: it has left, or was silent for too long.
    End,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(super) fn new(stream: S, bounds: HeadBounds) -> Self {
        let (input, deadline) = (BytesMut::new(), Deadline::default());
        Self { stream, bounds, input, searched: 0, has_begun: false, body: Rest::Length(0), invitation: &[], deadline }
    }

    /// The next head must have begun by then.
    pub(super) fn expect_head(&mut self, idle_until: Instant) {
        self.has_begun = false;
        self.deadline.set(Some(idle_until));
    }

    /// Nothing of a next request is there.
    pub(super) fn is_idle(&self) -> bool {
        self.input.is_empty()
    }

    /// A head in work must be whole by then, if it had more time.
    pub(super) fn hurry(&mut self, until: Instant) {
        let due = self.deadline.due();
        self.deadline.set(Some(due.map_or(until, |due| due.min(until))));
    }

    /// The next head.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Next> {
        loop {
            if let Some(judged) = self.judge_head() {
                return Poll::Ready(judged.map_or_else(Next::Refused, Next::Request));
            }
            match self.poll_fill(cx) {
                Poll::Ready(Ok(true)) => {}
                Poll::Ready(Ok(false) | Err(_)) => return Poll::Ready(Next::End),
                Poll::Pending => {
                    ready!(self.deadline.poll(cx));
                    return Poll::Ready(if self.is_idle() { Next::End } else { Next::Refused(Fault::HeadTimeout) });
                }
            }
        }
    }

    /// `None` while the head is not whole.
    fn judge_head(&mut self) -> Option<Result<Head, Fault>> {
        // RFC 9112 §2.2: empty lines before a request line are ignored.
        while self.input.starts_with(b"\r\n") {
            self.input.advance(2);
            self.searched = 0;
        }
        if self.input.is_empty() {
            self.input = BytesMut::new();
            return None;
        }
        let unsearched = self.searched.saturating_sub(3).min(self.input.len());
        let tail = self.input.get(unsearched..).unwrap_or_default();
        let end = END_OF_HEAD.find(tail).map(|at| unsearched + at + 4);
        match end {
            Some(end) if end > self.bounds.bytes => Some(Err(too_long(&self.input))),
            Some(end) => Some(self.begin(end)),
            None if self.input.len() > self.bounds.bytes || line_is_too_long(&self.input) => {
                Some(Err(too_long(&self.input)))
            }
            // Bare line feeds would let a head look unfinished for ever; an empty line of them is no line end here.
            None if memchr::memmem::find(tail, b"\n\n").is_some() => Some(Err(Fault::Syntax)),
            None => {
                if !std::mem::replace(&mut self.has_begun, true) {
                    self.deadline.set(Some(Instant::now() + self.bounds.time));
                }
                self.searched = self.input.len();
                None
            }
        }
    }

    fn begin(&mut self, end: usize) -> Result<Head, Fault> {
        self.searched = 0;
        let (head, framing) = judge(self.input.split_to(end))?;
        self.body = match framing {
            Framing::Length(length) => Rest::Length(length),
            Framing::Chunked => Rest::Chunks(Chunked::default()),
        };
        // RFC 9110 §10.1.1: only who has a body waits; HTTP/1.0 knows no such wait. Other expectations are not met, and not refused.
        let waits = head.version == http::Version::HTTP_11 && !self.body_is_over();
        let expects = |value: &[u8]| value.eq_ignore_ascii_case(b"100-continue");
        let waits = waits && head.fields.get(&EXPECT).is_some_and(expects);
        self.invitation = if waits { CONTINUE } else { &[] };
        Ok(head)
    }

    /// All of the body was taken.
    pub(super) fn body_is_over(&self) -> bool {
        match &self.body {
            Rest::Length(left) => *left == 0,
            Rest::Chunks(chunks) => chunks.is_ended(),
            Rest::Broken => false,
        }
    }

    /// How much of the body is still to come, as far as it says.
    pub(super) fn rest_of_body(&self) -> u64 {
        if let Rest::Length(left) = self.body { left } else { 0 }
    }

    /// The client waits to be asked for its body, and was not.
    pub(super) fn waits_for_invitation(&self) -> bool {
        !self.invitation.is_empty() && self.input.is_empty()
    }

    /// The next piece of the body.
    pub(super) fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        loop {
            if self.body_is_over() {
                return Poll::Ready(None);
            }
            if !self.input.is_empty() {
                self.invitation = &[]; // never behind what answers it
            }
            match self.take_body() {
                Ok(Some(piece)) => return Poll::Ready(Some(Ok(piece))),
                Ok(None) if self.body_is_over() => return Poll::Ready(None),
                Ok(None) => {}
                Err(broken) => return Poll::Ready(Some(Err(broken))),
            }
            if ready!(self.poll_invite(cx)).is_err() || !matches!(ready!(self.poll_fill_body(cx)), Ok(true)) {
                self.body = Rest::Broken;
            }
        }
    }

    /// What of the body was read already.
    fn take_body(&mut self) -> Result<Option<Bytes>, Broken> {
        match &mut self.body {
            Rest::Broken => Err(Broken),
            Rest::Length(_) if self.input.is_empty() => Ok(None),
            Rest::Length(left) => {
                let here = usize::try_from(*left).unwrap_or(usize::MAX).min(self.input.len());
                *left -= here as u64;
                Ok(Some(self.input.split_to(here).freeze()))
            }
            Rest::Chunks(chunks) => {
                let taken = chunks.take(&mut self.input);
                taken.map_err(|_| {
                    self.body = Rest::Broken;
                    Broken
                })
            }
        }
    }

    /// RFC 9110 §10.1.1: whoever waits for it is asked for the body when somebody wants it; who sends already is not.
    fn poll_invite(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let was_waiting = self.waits_for_invitation();
        while self.waits_for_invitation() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, self.invitation))?;
            self.invitation = self.invitation.get(written..).unwrap_or_default();
        }
        self.invitation = &[];
        if was_waiting { Pin::new(&mut self.stream).poll_flush(cx) } else { Poll::Ready(Ok(())) }
    }

    /// Straight into a buffer of the body's own: nothing of it is copied.
    fn poll_fill_body(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let Rest::Length(left) = self.body else { return self.poll_fill(cx) };
        let mut piece = BytesMut::with_capacity(usize::try_from(left).unwrap_or(usize::MAX).min(READ_BYTES));
        let read = ready!(poll_read_buf(Pin::new(&mut self.stream), cx, &mut piece))?;
        // What is held counts by its length: little must not keep much room.
        self.input = if piece.len() * 2 < piece.capacity() { BytesMut::from(&*piece) } else { piece };
        Poll::Ready(Ok(read > 0))
    }

    /// While an answer is made or sent: ready when the client has left. What it sends meanwhile waits, bounded like a head.
    pub(super) fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.body_is_over() && self.input.len() < self.bounds.bytes {
            if !matches!(ready!(self.poll_fill(cx)), Ok(true)) {
                return Poll::Ready(());
            }
        }
        Poll::Pending // the answer's end wakes
    }

    /// Reads and forgets so much, at most, of what the client still sends; true when its body came to its end.
    pub(super) async fn drain(&mut self, most: usize) -> bool {
        let mut left = most;
        loop {
            match poll_fn(|cx| self.poll_body(cx)).await {
                None => return true,
                Some(Ok(piece)) if piece.len() <= left => left -= piece.len(),
                Some(_) => return false,
            }
        }
    }

    /// The same of whatever it is, until the client has left.
    pub(super) async fn drain_all(&mut self, most: usize) {
        let mut left = most;
        while left > 0 && matches!(poll_fn(|cx| self.poll_fill(cx)).await, Ok(true)) {
            left = left.saturating_sub(self.input.len());
            self.input.clear();
        }
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let mut space = [const { MaybeUninit::uninit() }; READ_BYTES];
        let mut read = ReadBuf::uninit(&mut space);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut read))?;
        self.input.extend_from_slice(read.filled());
        Poll::Ready(Ok(!read.filled().is_empty()))
    }
}

/// The body, for whoever answers the request; the connection waits for the client's end beside it.
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Source for Mutex<Wire<S>> {
    fn poll_piece(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        lock(self).poll_body(cx)
    }

    fn rest(&self) -> u64 {
        lock(self).rest_of_body()
    }

    fn is_over(&self) -> bool {
        lock(self).body_is_over()
    }
}

/// Never contended: one task has both.
pub(super) fn lock<S>(wire: &Mutex<Wire<S>>) -> MutexGuard<'_, Wire<S>> {
    wire.lock().unwrap_or_else(PoisonError::into_inner)
}

/// 414 when the request line alone is too long, 431 otherwise.
fn too_long(head: &[u8]) -> Fault {
    if line_is_too_long(head) { Fault::TargetSize } else { Fault::HeadSize }
}

/// Behind the longest line stand two more bytes, its end.
fn line_is_too_long(head: &[u8]) -> bool {
    let line = head.get(..MAX_REQUEST_LINE_BYTES + 2);
    line.is_some_and(|line| memchr::memchr(b'\n', line).is_none())
}
