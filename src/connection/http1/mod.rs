//! HTTP/1.1 and 1.0 on one connection: one request after the other, each judged before anything acts on it.
//!
//! Of our own, for what is judged must be what is acted on: a library that reads a head a second time may read another one, and costs
//! as much again ([decision 0012](../../../docs/decisions/0012-http1-of-our-own.md)).

mod date;
mod sending;
#[cfg(test)]
mod tests;
mod wire;

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures_util::poll;
use http::Version;
use http::header::CONNECTION;
use http_body::Body;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, timeout};
use tokio_util::sync::WaitForCancellationFuture;

use crate::config::Limits;
use crate::head::Head;
use crate::request::drain::{MAX_DRAIN_TIME, MAX_DRAINED_BYTES};
use crate::request::incoming::Incoming;
use crate::request::provenance::Peer;
use crate::request::reply::Reply;

use super::{Connections, END_TIME};
use sending::{Asked, Sending};
use wire::{Next, Wire, lock};

/// The bounds of a head.
#[derive(Debug, Clone, Copy)]
pub(super) struct HeadBounds {
    pub(super) bytes: usize,
    pub(super) time: Duration,
}

/// What becomes of a connection after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    /// The next request may come.
    Goes,
    /// It ends in order.
    Ends,
    /// So it does, and its client is not there any more, or was silent.
    Left,
    /// It is cut off: what went out is not whole, or nobody is there to take it.
    Breaks,
}

impl Connections {
    /// From the first head to the last answer.
    pub(super) async fn serve_http1<S>(self: &Arc<Self>, stream: S, limits: &Limits, peer: Peer)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let bounds = HeadBounds { bytes: limits.header_bytes, time: limits.header_timeout };
        let mut wire = Mutex::new(Wire::new(stream, bounds));
        // Made once for the connection: each would be entered in a list that all connections share.
        let mut stop = pin!(self.stop.cancelled());
        let serving = async {
            loop {
                let own = wire.get_mut().unwrap_or_else(PoisonError::into_inner);
                own.expect_head(Instant::now() + limits.idle_timeout);
                let after = match next(own, stop.as_mut()).await {
                    Next::Request(head) => self.exchange(&mut wire, head, &peer).await,
                    Next::Refused(fault) => {
                        let reply = self.live.handler().fault(&peer, &Head::unreadable(), fault);
                        let asked = Asked { is_head: false, version: Version::HTTP_11, is_last: true };
                        send(own, Sending::new(reply, asked)).await
                    }
                    Next::End => After::Left,
                };
                if after != After::Goes {
                    return after;
                }
            }
        };
        let after = tokio::select! {
            biased;
            after = serving => after,
            () = self.kill.cancelled() => return,
        };
        let mut wire = wire.into_inner().unwrap_or_else(PoisonError::into_inner);
        if after == After::Ends || after == After::Left {
            // Over time is as good as done: the socket is closed either way.
            timeout(MAX_DRAIN_TIME, close(&mut wire, after == After::Ends)).await.unwrap_or_default();
        }
    }

    /// One request and its answer. The client's end is felt while both are under way.
    async fn exchange<S>(&self, wire: &mut Mutex<Wire<S>>, head: Head, peer: &Peer) -> After
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        // RFC 9112 §9.6: the client names `close`. HTTP/1.0 ends anyway.
        let is_last = head.fields.names_in(&CONNECTION, b"close");
        let mut asked = Asked::new(&head.method, head.version, is_last);
        let Some(reply) = self.answer(wire, &head, peer).await else { return After::Breaks };
        drop(head); // an open stream keeps none
        let own = wire.get_mut().unwrap_or_else(PoisonError::into_inner);
        let is_unread = !own.body_is_over();
        // A client that waits to be asked for its body may send it or not: nobody could tell it from the next head.
        let cannot_be_read = own.waits_for_invitation() || own.rest_of_body() > MAX_DRAINED_BYTES as u64;
        asked.is_last |= self.stop.is_cancelled() || (is_unread && cannot_be_read);
        let after = send(own, Sending::new(reply, asked)).await;
        if after != After::Goes || !is_unread {
            return after;
        }
        // What is left of a refused body is read, so that the next request is found behind it. Most of it is there.
        let mut draining = pin!(own.drain(MAX_DRAINED_BYTES));
        let is_drained = match poll!(draining.as_mut()) {
            Poll::Ready(drained) => drained,
            Poll::Pending => timeout(MAX_DRAIN_TIME, draining).await.unwrap_or(false),
        };
        if is_drained { After::Goes } else { After::Ends }
    }

    /// `None`: the client has left before.
    async fn answer<S>(&self, wire: &Mutex<Wire<S>>, head: &Head, peer: &Peer) -> Option<Reply>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let handler = self.live.handler();
        let mut answering = pin!(handler.handle(peer, head, Incoming::Http1(wire)));
        poll_fn(|cx| match answering.as_mut().poll(cx) {
            Poll::Ready(reply) => Poll::Ready(Some(reply)),
            Poll::Pending => lock(wire).poll_gone(cx).map(|()| None),
        })
        .await
    }
}

/// The next head; none once the gateway stops.
async fn next<S>(wire: &mut Wire<S>, mut stop: Pin<&mut WaitForCancellationFuture<'_>>) -> Next
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut stops = false;
    poll_fn(|cx| {
        if let Poll::Ready(next) = wire.poll_next(cx) {
            return Poll::Ready(next);
        }
        if !stops && stop.as_mut().poll(cx).is_ready() {
            stops = true;
            // A request that was on its way may come, but not for long.
            wire.hurry(Instant::now() + if wire.is_idle() { Duration::ZERO } else { END_TIME });
            return wire.poll_next(cx);
        }
        Poll::Pending
    })
    .await
}

async fn send<S, B>(wire: &mut Wire<S>, mut sending: Sending<B>) -> After
where
    S: AsyncRead + AsyncWrite + Unpin,
    B: Body<Data = Bytes> + Unpin,
{
    let sent: io::Result<()> = poll_fn(|cx| sending.poll(cx, wire)).await;
    match sent {
        Ok(()) if sending.is_last => After::Ends,
        Ok(()) => After::Goes,
        Err(_) => After::Breaks,
    }
}

/// Says that nothing more comes. After an answer it reads on for a moment: closing on unread bytes could destroy the answer on its way.
async fn close<S>(wire: &mut Wire<S>, is_answered: bool)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if wire.stream.shutdown().await.is_ok() && is_answered {
        wire.drain_all(MAX_DRAINED_BYTES).await;
    }
}
