//! Stands between the socket and the HTTP/1 library: only judged heads pass.
//!
//! A head that is refused is replaced by a harmless one, and the place of that request on the connection is noted: so the
//! refusal takes the one way that every answer takes, with its body, its record and its request id.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use crate::chunked::Chunked;
use crate::request::reject::Fault;

use super::activity::Activity;
use super::head::{self, Framing, MAX_REQUEST_LINE_BYTES};

/// One read from the socket: a whole TLS record.
const READ_BYTES: usize = 16 * 1024;
/// What the HTTP library sees of a refused head; it is never forwarded.
const STAND_IN: &[u8] = b"GET / HTTP/1.1\r\nhost: refused\r\nconnection: close\r\n\r\n";

/// The refused head of a connection, if there was one: its place in the row of requests, and why.
#[derive(Debug, Default)]
pub(crate) struct Refused(OnceLock<(u64, Fault)>);

impl Refused {
    /// Why the request at this place (from 0) was refused.
    pub(crate) fn at(&self, place: u64) -> Option<Fault> {
        self.0.get().filter(|(refused, _)| *refused == place).map(|(_, fault)| *fault)
    }
}

/// The bounds of a head.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HeadBounds {
    pub(crate) bytes: usize,
    pub(crate) time: Duration,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Guard<S> {
    stream: S,
    bounds: HeadBounds,
    refused: Arc<Refused>,
    activity: Arc<Activity>,
    /// Heads that were let through or replaced.
    heads: u64,
    /// Read from the socket and not yet handed on.
    buffer: BytesMut,
    /// So much of the buffer has been judged and may be handed on.
    released: usize,
    /// So much of an unfinished head has been searched for its end: a head that drips in is not searched anew for each drop.
    searched: usize,
    place: Place,
    /// Runs from the first byte of a head to its last.
    timer: Option<Pin<Box<Sleep>>>,
}

/// What the next byte of the buffer behind `released` belongs to.
#[derive(Debug)]
enum Place {
    Head,
    Body(u64),
    Chunks(Chunked),
    /// A body broke: said once, behind what of it was good.
    Broken,
    /// A head was refused, or a broken body was reported: nothing of this connection is read any more.
    Over,
}

impl<S: AsyncRead + Unpin> Guard<S> {
    pub(crate) fn new(stream: S, bounds: HeadBounds, refused: Arc<Refused>, activity: Arc<Activity>) -> Self {
        Self {
            stream,
            bounds,
            refused,
            activity,
            heads: 0,
            buffer: BytesMut::new(),
            released: 0,
            searched: 0,
            place: Place::Head,
            timer: None,
        }
    }

    /// Judges what is in the buffer; afterwards either something is released or more must be read.
    fn judge(&mut self) {
        while self.released < self.buffer.len() {
            let fresh = self.buffer.get(self.released..).unwrap_or_default();
            match &mut self.place {
                Place::Broken | Place::Over => return,
                Place::Body(left) => {
                    let here = usize::try_from(*left).unwrap_or(usize::MAX).min(fresh.len());
                    *left -= here as u64;
                    self.released += here;
                    if *left == 0 {
                        self.place = Place::Head;
                    }
                }
                Place::Chunks(chunks) => match chunks.advance(fresh) {
                    Ok(length) => {
                        self.released += length;
                        if chunks.is_ended() {
                            self.place = Place::Head;
                        }
                    }
                    Err(_) => self.place = Place::Broken,
                },
                // One request at a time: see `poll_end`.
                Place::Head if self.released > 0 => return,
                Place::Head => {
                    if !self.judge_head() {
                        return;
                    }
                }
            }
        }
    }

    /// False when the head is not whole yet.
    fn judge_head(&mut self) -> bool {
        self.skip_empty_lines();
        let fresh = self.buffer.get(self.released..).unwrap_or_default();
        if fresh.is_empty() {
            return false;
        }
        let unsearched = self.searched.saturating_sub(3).min(fresh.len());
        let tail = fresh.get(unsearched..).unwrap_or_default();
        let end = memchr::memmem::find(tail, b"\r\n\r\n").map(|at| unsearched + at + 4);
        let verdict = match end {
            Some(end) if end > self.bounds.bytes => Err(too_long(fresh)),
            Some(end) => head::judge(fresh.get(..end).unwrap_or_default()).map(|framing| (end, framing)),
            None if fresh.len() > self.bounds.bytes || line_is_too_long(fresh) => Err(too_long(fresh)),
            // Bare line feeds would let a head look unfinished for ever; an empty line of them is no line end here.
            None if memchr::memmem::find(tail, b"\n\n").is_some() => Err(Fault::Syntax),
            None => {
                self.searched = fresh.len();
                return false;
            }
        };
        self.searched = 0;
        match verdict {
            Ok((end, framing)) => {
                self.released += end;
                self.heads += 1;
                self.timer = None;
                self.place = match framing {
                    Framing::Length(0) => Place::Head,
                    Framing::Length(length) => Place::Body(length),
                    Framing::Chunked => Place::Chunks(Chunked::new()),
                };
            }
            Err(fault) => self.refuse(fault),
        }
        true
    }

    /// RFC 9112 §2.2: empty lines before a request line are ignored.
    fn skip_empty_lines(&mut self) {
        while self.released == 0 && self.buffer.starts_with(b"\r\n") {
            self.buffer.advance(2);
            self.timer = None;
        }
    }

    fn refuse(&mut self, fault: Fault) {
        self.buffer.truncate(self.released);
        self.buffer.extend_from_slice(STAND_IN);
        self.released = self.buffer.len();
        self.place = Place::Over;
        self.timer = None;
        // Only one head per connection is ever refused: afterwards nothing is read.
        self.refused.0.get_or_init(|| (self.heads, fault));
    }

    /// Ready when bytes or the end of the stream came, or when the head took too long.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if self.is_inside_head() {
            let time = self.bounds.time;
            let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(time)));
            if timer.as_mut().poll(cx).is_ready() {
                self.refuse(Fault::HeadTimeout);
                return Poll::Ready(Ok(true));
            }
        }
        self.poll_socket(cx)
    }

    /// While a request is under way, further ones wait here: the library would look for the client's end no more once it has
    /// bytes of them, and a client that left would hold its stream (threat M25).
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.buffer.len() < self.bounds.bytes {
            if !ready!(self.poll_socket(cx))? {
                return Poll::Ready(Ok(()));
            }
        }
        Poll::Pending // the activity wakes
    }

    /// Inside a body of known length nothing is to be judged: its bytes go on without a stop in the buffer.
    fn poll_body(&mut self, cx: &mut Context<'_>, left: u64, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut space = [const { MaybeUninit::uninit() }; READ_BYTES];
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(out.remaining()).min(READ_BYTES);
        let mut read = ReadBuf::uninit(space.get_mut(..most).unwrap_or_default());
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut read))?;
        out.put_slice(read.filled());
        let left = left - read.filled().len() as u64;
        self.place = if left == 0 { Place::Head } else { Place::Body(left) };
        Poll::Ready(Ok(()))
    }

    fn poll_socket(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let mut space = [const { MaybeUninit::uninit() }; READ_BYTES];
        let mut read = ReadBuf::uninit(&mut space);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut read))?;
        self.buffer.extend_from_slice(read.filled());
        Poll::Ready(Ok(!read.filled().is_empty()))
    }

    fn is_inside_head(&self) -> bool {
        matches!(self.place, Place::Head) && self.buffer.len() > self.released
    }
}

/// 414 when the request line alone is too long, 431 otherwise.
fn too_long(head: &[u8]) -> Fault {
    if line_is_too_long(head) { Fault::TargetSize } else { Fault::HeadSize }
}

fn line_is_too_long(head: &[u8]) -> bool {
    let line = head.get(..MAX_REQUEST_LINE_BYTES).filter(|line| head.len() > line.len());
    line.is_some_and(|line| memchr::memchr(b'\n', line).is_none())
}

impl<S: AsyncRead + Unpin> AsyncRead for Guard<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.buffer.is_empty()
            && let Place::Body(left) = this.place
        {
            return this.poll_body(cx, left, out);
        }
        while this.released == 0 {
            if matches!(this.place, Place::Head) && !this.activity.is_idle(cx) {
                return this.poll_end(cx);
            }
            this.judge();
            if this.released > 0 {
                break;
            }
            if matches!(this.place, Place::Over) {
                return Poll::Pending; // the answer closes the connection
            }
            if matches!(this.place, Place::Broken) {
                this.place = Place::Over;
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "malformed chunked body")));
            }
            if !ready!(this.poll_more(cx))? {
                return Poll::Ready(Ok(())); // the end of the stream
            }
        }
        let length = this.released.min(out.remaining());
        out.put_slice(this.buffer.get(..length).unwrap_or_default());
        this.buffer.advance(length);
        this.released -= length;
        if this.buffer.is_empty() {
            this.buffer = BytesMut::new(); // an idle connection holds no buffer
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guard<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    use super::*;

    const BOUNDS: HeadBounds = HeadBounds { bytes: 1024, time: Duration::from_secs(10) };

    fn guarded() -> (DuplexStream, Guard<DuplexStream>, Arc<Refused>) {
        let (client, server) = tokio::io::duplex(1 << 20);
        let refused = Arc::new(Refused::default());
        (client, Guard::new(server, BOUNDS, Arc::clone(&refused), Activity::new()), refused)
    }

    async fn read_all(guard: &mut Guard<DuplexStream>, length: usize) -> Vec<u8> {
        let mut read = vec![0; length];
        guard.read_exact(&mut read).await.unwrap();
        read
    }

    #[tokio::test]
    async fn good_requests_pass_byte_for_byte_whatever_the_pieces() {
        let stream = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\nPOST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nGETPOST /c HTTP/1.1\r\n\
                       Host: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nPUT\r\n0\r\n\r\nGET /d HTTP/1.1\r\nHost: h\r\n\r\n";
        // Some reads stop inside a body.
        for piece in [1, 7, 64, 78, stream.len()] {
            let (mut client, mut guard, _) = guarded();
            let writing = async {
                for piece in stream.chunks(piece) {
                    client.write_all(piece).await.unwrap();
                }
            };
            let (read, ()) = tokio::join!(read_all(&mut guard, stream.len()), writing);
            assert_eq!(read, stream, "pieces of {piece}");
            assert_eq!(guard.heads, 4);
        }
    }

    #[tokio::test]
    async fn h14_a_bad_head_behind_good_ones_is_replaced_and_nothing_after_it_is_read() {
        let (mut client, mut guard, refused) = guarded();
        let good = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
        client.write_all(good).await.unwrap();
        client.write_all(b"GET /b HTTP/1.1\r\n\r\nGET /c HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
        let read = read_all(&mut guard, good.len() + STAND_IN.len()).await;
        assert_eq!(read, [&good[..], STAND_IN].concat());
        assert_eq!((refused.at(0), refused.at(1), refused.at(2)), (None, Some(Fault::Host), None));
        let mut more = [0; 1];
        let nothing = tokio::time::timeout(Duration::from_millis(1), guard.read(&mut more)).await;
        assert!(nothing.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn d1_a_head_that_drips_is_refused_after_its_time_whatever_trickles_in() {
        let (mut client, mut guard, refused) = guarded();
        let dripping = async {
            for byte in b"GET / HTTP/1.1\r\nHost: h\r\nx: ".iter().cycle() {
                client.write_all(&[*byte]).await.unwrap();
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        };
        let started = tokio::time::Instant::now();
        tokio::select! {
            read = read_all(&mut guard, STAND_IN.len()) => assert_eq!(read, STAND_IN),
            () = dripping => {}
        }
        assert_eq!((refused.at(0), started.elapsed().as_secs()), (Some(Fault::HeadTimeout), 10));
    }

    #[tokio::test]
    async fn d10_heads_over_their_bounds_are_refused_before_they_are_whole() {
        for (flood, fault) in [(b"a: b\r\n".repeat(200), Fault::HeadSize), (b"\n\n".to_vec(), Fault::Syntax)] {
            let (mut client, mut guard, refused) = guarded();
            client.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n").await.unwrap();
            client.write_all(&flood).await.unwrap();
            assert_eq!(read_all(&mut guard, STAND_IN.len()).await, STAND_IN);
            assert_eq!(refused.at(0), Some(fault));
        }
    }

    #[tokio::test]
    async fn f5_a_malformed_chunk_breaks_the_body_off() {
        let (mut client, mut guard, _) = guarded();
        let head = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
        // In one piece: the head is good, so the library must see it to answer at all.
        client.write_all(&[&head[..], b"0x3\r\nabc\r\n"].concat()).await.unwrap();
        assert_eq!(read_all(&mut guard, head.len()).await, head);
        assert_eq!(guard.read(&mut [0; 16]).await.unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
