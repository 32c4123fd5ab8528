//! HTTP/1 and HTTP/2 on one connection: limits, idle time, graceful end.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::config::Limits;
use crate::request::body::ReplyBody;
use crate::request::provenance::Peer;

use super::Connections;
use super::activity::{Activity, Busy};
use super::guard::{Guard, HeadBounds, Refused};
use super::stream::Streams;

/// HTTP/2: an idle connection is asked whether it is still there, and has so long to say so.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// HTTP/2: small frames keep many streams fair; unsent data per stream stays bounded.
const MAX_SEND_BUFFER: usize = 64 * 1024;
/// A connection that was asked to end has so long to do so.
const END_TIME: Duration = Duration::from_secs(5);

/// A hyper connection, whatever its protocol.
trait Conversation: Future<Output = hyper::Result<()>> {
    fn end_gracefully(self: Pin<&mut Self>);
}

impl<S, I, B> Conversation for http1::Connection<I, S>
where
    http1::Connection<I, S>: Future<Output = hyper::Result<()>>,
    S: hyper::service::HttpService<Incoming, ResBody = B>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
    B: http_body::Body + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn end_gracefully(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<S, I, B, E> Conversation for http2::Connection<I, S, E>
where
    http2::Connection<I, S, E>: Future<Output = hyper::Result<()>>,
    S: hyper::service::HttpService<Incoming, ResBody = B>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
    B: http_body::Body + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    E: hyper::rt::bounds::Http2ServerConnExec<S::Future, B>,
{
    fn end_gracefully(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl Connections {
    /// HTTP/1.1 and 1.0: each head is judged before the library sees it.
    pub(super) async fn serve_http1<S>(self: &Arc<Self>, stream: S, limits: &Limits, peer: Peer)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let refused = Arc::new(Refused::default());
        let bounds = HeadBounds { bytes: limits.header_bytes, time: limits.header_timeout };
        let activity = Activity::new();
        let guard = Guard::new(stream, bounds, Arc::clone(&refused), Arc::clone(&activity));
        let (this, begun, place) = (Arc::clone(self), Arc::clone(&activity), AtomicU64::new(0));
        let service = service_fn(move |request| {
            let fault = refused.at(place.fetch_add(1, Ordering::Relaxed));
            let (this, peer, under_way) = (Arc::clone(&this), peer.clone(), begun.begin());
            async move {
                let response = match fault {
                    Some(fault) => this.live.handler().fault(&peer, &request, fault),
                    None => this.live.handler().handle(&peer, request).await,
                };
                Ok::<_, Infallible>(response.map(|body| Busy::new(body, under_way)))
            }
        });
        // Pinned where it is made: each move would keep room of its own in every connection's task.
        let connection = std::pin::pin!(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(None) // the guard has a stricter one
                .max_headers(super::head::MAX_FIELDS)
                .max_header_size(limits.header_bytes)
                .max_buf_size(limits.header_bytes.max(MAX_SEND_BUFFER) * 2)
                .serve_connection(TokioIo::new(guard), service)
        );
        self.converse(connection, &activity, limits.idle_timeout).await;
    }

    /// HTTP/2, chosen by ALPN; the library's own limits against resets, floods and bombs, and ours.
    pub(super) async fn serve_http2<S>(self: &Arc<Self>, stream: S, limits: &Limits, peer: Peer)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let activity = Activity::new();
        let (this, begun) = (Arc::clone(self), Arc::clone(&activity));
        let service = service_fn(move |request: Request<Incoming>| {
            let (this, peer, under_way) = (Arc::clone(&this), peer.clone(), begun.begin());
            async move {
                let response: Response<ReplyBody> = match super::head::judge_decoded(&request) {
                    Err(fault) => this.live.handler().fault(&peer, &request, fault),
                    Ok(()) => this.live.handler().handle(&peer, request).await,
                };
                Ok::<_, Infallible>(response.map(|body| Busy::new(body, under_way)))
            }
        });
        let connection = std::pin::pin!(
            http2::Builder::new(Streams { tasks: self.tasks.clone(), patience: limits.write_timeout })
                .timer(TokioTimer::new())
                .max_concurrent_streams(limits.streams_per_connection)
                .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
                .max_send_buf_size(MAX_SEND_BUFFER)
                .keep_alive_interval(PING_INTERVAL)
                .keep_alive_timeout(PING_TIMEOUT)
                .serve_connection(TokioIo::new(stream), service)
        );
        self.converse(connection, &activity, limits.idle_timeout).await;
    }

    /// Until the connection ends, stays idle too long, or the gateway stops.
    async fn converse(&self, mut connection: Pin<&mut impl Conversation>, activity: &Activity, idle_timeout: Duration) {
        tokio::select! {
            ended = connection.as_mut() => return log_end(ended),
            () = self.stop.cancelled() => {}
            () = Self::idle_for(idle_timeout, activity) => {}
        }
        connection.as_mut().end_gracefully();
        // A request that came while the end was on its way may finish; afterwards nothing holds the connection.
        tokio::select! {
            ended = connection => log_end(ended),
            () = Self::idle_for(END_TIME, activity) => {}
            () = self.kill.cancelled() => {}
        }
    }

    /// Ready when nothing has been under way for so long, counted from now at the earliest.
    async fn idle_for(patience: Duration, activity: &Activity) {
        let asked = tokio::time::Instant::now();
        loop {
            let now = tokio::time::Instant::now();
            let rest = activity
                .idle_since()
                .map_or(patience, |since| (since.max(asked) + patience).saturating_duration_since(now));
            if rest.is_zero() {
                return;
            }
            tokio::time::sleep(rest).await;
        }
    }
}

/// Clients leave in all kinds of ways; each request has its own record, so this is for debugging only.
fn log_end(ended: hyper::Result<()>) {
    if let Err(error) = ended {
        tracing::debug!(event = "connection.ended", %error);
    }
}
