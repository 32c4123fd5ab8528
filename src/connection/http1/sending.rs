//! An answer on its way to an HTTP/1 client: what is there goes out at once, and together where it came together.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Method, StatusCode, Version};
use http_body::{Body, Frame};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::request::body::ReplyBody;
use crate::request::reply::Reply;

use super::date;
use super::wire::Wire;

/// What goes out together is copied together up to here: about one TLS record. Larger pieces go as they are.
const TOGETHER: usize = 16 * 1024;
/// What an answer that waits for more keeps of its buffer.
const KEPT: usize = 1024;

/// What of a request decides how it is answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) is_head: bool,
    pub(super) version: Version,
    /// The client, or this connection, ends after the answer.
    pub(super) is_last: bool,
}

impl Asked {
    pub(super) fn new(method: &Method, version: Version, is_last: bool) -> Self {
        Self { is_head: *method == Method::HEAD, version, is_last }
    }
}

/// How the client finds the end of a body (RFC 9112 §6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    /// By the head alone.
    Bodiless,
    /// After so many more bytes.
    Length(u64),
    Chunked,
    /// Where the connection ends.
    Close,
}

/// What is still to come from a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rest {
    More,
    /// It is whole.
    Nothing,
    /// It broke off: what came before goes out, then the connection ends, so that the client does not take it for whole.
    Fault,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Sending<B = ReplyBody> {
    out: Vec<u8>,
    /// So much of it has gone.
    gone: usize,
    /// Goes behind it, without a copy.
    large: Bytes,
    body: B,
    framing: Framing,
    rest: Rest,
    /// The connection ends after it.
    pub(super) is_last: bool,
}

impl<B: Body<Data = Bytes> + Unpin> Sending<B> {
    /// Head and body become bytes.
    pub(super) fn new(reply: Reply<B>, asked: Asked) -> Self {
        let framing = framing(reply.status, &reply.body, asked);
        let is_last = asked.is_last || asked.version != Version::HTTP_11 || framing == Framing::Close || reply.is_last;
        let lines = (framing, length(&reply, framing, asked.is_head));
        let (has_date, body) = (reply.has_date, reply.body);
        let mut out = reply.lines.into_message();
        write_own(&mut out, lines, has_date);
        if is_last {
            out.extend_from_slice(b"connection: close\r\n");
        }
        out.extend_from_slice(b"\r\n");
        let rest = if framing == Framing::Bodiless { Rest::Nothing } else { Rest::More };
        Self { out, gone: 0, large: Bytes::new(), body, framing, rest, is_last }
    }

    /// Ready when all has gone out. An error when it cannot, or when the client has left.
    pub(super) fn poll<S>(&mut self, cx: &mut Context<'_>, wire: &mut Wire<S>) -> Poll<io::Result<()>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        loop {
            self.gather(cx)?;
            if !self.has_bytes() {
                ready!(Pin::new(&mut wire.stream).poll_flush(cx))?;
                return match self.rest {
                    Rest::Nothing => Poll::Ready(Ok(())),
                    Rest::Fault => Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                    Rest::More => wire.poll_gone(cx).map(|()| Err(io::ErrorKind::ConnectionReset.into())),
                };
            }
            ready!(self.poll_write(cx, wire))?;
        }
    }

    fn has_bytes(&self) -> bool {
        self.gone < self.out.len() || !self.large.is_empty()
    }

    fn poll_write<S>(&mut self, cx: &mut Context<'_>, wire: &mut Wire<S>) -> Poll<io::Result<()>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let stream = Pin::new(&mut wire.stream);
        let rest = self.out.get(self.gone..).unwrap_or_default();
        if rest.is_empty() {
            let written = ready!(stream.poll_write(cx, &self.large))?;
            drop(self.large.split_to(written.min(self.large.len())));
            return taken(written);
        }
        let written = ready!(stream.poll_write(cx, rest))?;
        self.gone += written;
        if self.gone >= self.out.len() {
            self.out.clear();
            self.out.shrink_to(KEPT);
            self.gone = 0;
        }
        taken(written)
    }

    /// Takes what the body has, as much as goes out together.
    fn gather(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        while self.rest == Rest::More && self.large.is_empty() && self.out.len() < TOGETHER {
            match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Some(Err(_))) => self.rest = Rest::Fault,
                Poll::Ready(Some(Ok(frame))) => self.frame(frame)?,
                Poll::Ready(None) => self.end(),
            }
        }
        Ok(())
    }

    fn frame(&mut self, frame: Frame<Bytes>) -> io::Result<()> {
        let data = frame.into_data().unwrap_or_default();
        match &mut self.framing {
            Framing::Length(left) => {
                let Some(rest) = left.checked_sub(data.len() as u64) else {
                    // More than it said would be read as the next answer.
                    self.rest = Rest::Fault;
                    return Ok(());
                };
                *left = rest;
                self.push(data);
            }
            Framing::Chunked if data.is_empty() => {}
            Framing::Chunked => {
                io::Write::write_fmt(&mut self.out, format_args!("{:x}\r\n", data.len()))?;
                // A small one goes with what frames it.
                if self.out.len() + data.len() < TOGETHER {
                    self.out.extend_from_slice(&data);
                    self.out.extend_from_slice(b"\r\n");
                } else {
                    self.large = [&data, &b"\r\n"[..]].concat().into();
                }
            }
            Framing::Close => self.push(data),
            Framing::Bodiless => {}
        }
        if self.body.is_end_stream() {
            self.end();
        }
        Ok(())
    }

    fn push(&mut self, data: Bytes) {
        if self.out.len() + data.len() < TOGETHER {
            self.out.extend_from_slice(&data);
        } else {
            self.large = data;
        }
    }

    fn end(&mut self) {
        self.rest = Rest::Nothing;
        match self.framing {
            Framing::Length(1..) => self.rest = Rest::Fault,
            Framing::Chunked if self.large.is_empty() => self.out.extend_from_slice(LAST_CHUNK),
            Framing::Chunked => self.large = [&self.large, LAST_CHUNK].concat().into(),
            Framing::Bodiless | Framing::Length(0) | Framing::Close => {}
        }
    }
}

const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// A socket that takes nothing takes nothing more.
fn taken(written: usize) -> Poll<io::Result<()>> {
    Poll::Ready(if written == 0 { Err(io::ErrorKind::WriteZero.into()) } else { Ok(()) })
}

fn framing(status: StatusCode, body: &impl Body, asked: Asked) -> Framing {
    let length = body.size_hint().exact();
    if asked.is_head || is_bodiless(status) {
        return Framing::Bodiless;
    }
    match length {
        Some(length) => Framing::Length(length),
        None if asked.version == Version::HTTP_11 => Framing::Chunked,
        None => Framing::Close,
    }
}

/// RFC 9110 §15.3.5, §15.4.5.
fn is_bodiless(status: StatusCode) -> bool {
    status.is_informational() || status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED
}

/// What the head says of the body's length.
fn length(reply: &Reply<impl Body>, framing: Framing, is_head: bool) -> Option<u64> {
    match framing {
        Framing::Length(length) => Some(length),
        // RFC 9110 §8.6: what a GET would have; nothing where there never is a body.
        Framing::Bodiless if is_head && !is_bodiless(reply.status) => reply.body.size_hint().exact(),
        Framing::Bodiless | Framing::Chunked | Framing::Close => None,
    }
}

/// The fields that are this side's business alone.
fn write_own(out: &mut Vec<u8>, (framing, length): (Framing, Option<u64>), has_date: bool) {
    // RFC 9110 §6.6.1.
    if !has_date {
        date::write(out);
    }
    if let Some(length) = length {
        for part in ["content-length: ", itoa::Buffer::new().format(length), "\r\n"] {
            out.extend_from_slice(part.as_bytes());
        }
    }
    if framing == Framing::Chunked {
        out.extend_from_slice(b"transfer-encoding: chunked\r\n");
    }
}
