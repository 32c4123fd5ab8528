//! Exchanges with upstreams of every kind, most of them written down as the pieces in which they come.

mod answers;
mod sending;

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::super::upload::{Outbox, Upload};
use super::{AnswerBody, Exchange, Fault, Head, Home, Http1Body, Unanswered, Wire};

const PATIENCE: Duration = Duration::from_secs(10);

/// Where free connections go.
#[derive(Debug, Default)]
struct Kept(Mutex<Vec<Wire>>);

impl Home for Kept {
    fn give_back(&self, wire: Wire) {
        self.0.lock().unwrap().push(wire);
    }
}

impl Kept {
    fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

/// An upstream that takes everything and answers in these pieces.
struct Script {
    pieces: VecDeque<Bytes>,
    /// Then the connection ends.
    ends: bool,
    /// Before each piece it lets the reader wait once.
    has_waited: bool,
    /// The other end has said that it is done.
    is_told: Arc<AtomicBool>,
}

impl Script {
    fn new<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, ends: bool) -> Self {
        let pieces = pieces.into_iter().filter(|piece| !piece.is_empty()).map(Bytes::copy_from_slice).collect();
        Self { pieces, ends, has_waited: true, is_told: Arc::default() }
    }
}

impl AsyncRead for Script {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, room: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !std::mem::replace(&mut self.has_waited, true) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let ends = self.ends;
        let Some(piece) = self.pieces.front_mut() else {
            return if ends { Poll::Ready(Ok(())) } else { Poll::Pending };
        };
        room.put_slice(&piece.split_to(piece.len().min(room.remaining())));
        if piece.is_empty() {
            self.pieces.pop_front();
            self.has_waited = false;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Script {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.is_told.store(true, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

/// Asks with this body and waits for the head.
async fn ask(wire: Wire, pieces: Vec<Bytes>, kept: &Arc<Kept>) -> Result<(Head, AnswerBody), Unanswered> {
    let mut exchange =
        Exchange::new(wire, Outbox::new(b"GET / HTTP/1.1\r\n\r\n".to_vec(), Upload::of(pieces)), PATIENCE);
    let mut head = poll_fn(|cx| exchange.poll(cx)).await?;
    let (wire, unsent) = exchange.into_parts();
    let home = Arc::clone(kept);
    let body = Http1Body::new(wire, &mut head, unsent, home);
    Ok((head, AnswerBody::Http1(body)))
}

/// What came of an exchange: the status, the fields, the body or that it broke off, and whether the connection is kept.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    status: u16,
    fields: Vec<(String, String)>,
    body: Option<Vec<u8>>,
    kept: bool,
}

async fn read(script: Script) -> Result<Seen, Fault> {
    let kept = Arc::new(Kept::default());
    let (head, body) = match ask(Wire::new(Box::new(script)), Vec::new(), &kept).await {
        Ok(answered) => answered,
        Err(Unanswered::Failed(fault)) => return Err(fault),
        Err(Unanswered::Late) => panic!("late"),
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let fields = head.fields.iter().map(|(name, value)| (text(name), text(value))).collect();
    let body = body.collect().await.ok().map(|body| body.to_bytes().to_vec());
    Ok(Seen { status: head.status.as_u16(), fields, body, kept: kept.count() == 1 })
}
