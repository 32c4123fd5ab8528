//! HTTP/2 on one connection: limits, idle time, graceful end.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::header::CONTENT_LENGTH;
use http::{Method, Request};
use http_body::Body as _;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::config::Limits;
use crate::head::Head;
use crate::head::judge::judge_decoded;
use crate::request::incoming::Incoming;
use crate::request::provenance::Peer;

use super::activity::{Activity, Busy, SMALL_PIECE};
use super::broken::BrokenLast;
use super::stream::Streams;
use super::{Connections, END_TIME};

/// HTTP/2: an idle connection is asked whether it is still there, and has so long to say so.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// HTTP/2: the library asks for more of an answer while it holds less than this, and holds as much of one that we have ended.
const MAX_SEND_BUFFER: usize = SMALL_PIECE;

impl Connections {
    /// HTTP/2, chosen by ALPN; the library's own limits against resets, floods and bombs, and ours.
    pub(super) async fn serve_http2<S>(self: &Arc<Self>, stream: S, limits: &Limits, peer: Peer)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let activity = Activity::new();
        let (this, begun) = (Arc::clone(self), Arc::clone(&activity));
        let service = service_fn(move |request: Request<hyper::body::Incoming>| {
            let (this, peer, under_way) = (Arc::clone(&this), peer.clone(), begun.begin());
            async move {
                let judged = judge_decoded(&request);
                let (head, body) = Head::decoded(request);
                let mut reply = match judged {
                    Err(fault) => this.live.handler().fault(&peer, &head, fault),
                    Ok(()) => this.live.handler().handle(&peer, &head, Incoming::Http2(body)).await,
                };
                // The library tells the length of what it sends.
                if let (&Method::HEAD, Some(length)) = (&head.method, reply.body.size_hint().exact()) {
                    reply.lines.push_text(&CONTENT_LENGTH, &[itoa::Buffer::new().format(length)]);
                }
                Ok::<_, Infallible>(
                    reply.decoded().map(|body| Busy::new(BrokenLast::new(body), &head.method, under_way)),
                )
            }
        });
        let streams = Streams { tasks: self.tasks.clone(), patience: limits.write_timeout };
        // Pinned where it is made: each move would keep room of its own in every connection's task.
        let mut connection = pin!(
            http2::Builder::new(streams)
                .timer(TokioTimer::new())
                .max_concurrent_streams(limits.streams_per_connection)
                .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
                .max_send_buf_size(MAX_SEND_BUFFER)
                .keep_alive_interval(PING_INTERVAL)
                .keep_alive_timeout(PING_TIMEOUT)
                .serve_connection(TokioIo::new(stream), service)
        );
        tokio::select! {
            ended = connection.as_mut() => return log_end(ended),
            () = self.stop.cancelled() => {}
            () = Self::idle_for(limits.idle_timeout, &activity) => {}
        }
        connection.as_mut().graceful_shutdown();
        // A request that came while the end was on its way may finish; afterwards nothing holds the connection.
        tokio::select! {
            ended = connection => log_end(ended),
            () = Self::idle_for(END_TIME, &activity) => {}
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
