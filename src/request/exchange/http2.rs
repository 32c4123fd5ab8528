//! Requests over an HTTP/2 connection that many share; the protocol is the library's.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::header::HOST;
use http::uri::PathAndQuery;
use http::{Request, Uri, Version};
use http_body::{Body, Frame, SizeHint};
use hyper::client::conn::http2;
use hyper::rt::Executor as _;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::time::Instant;

use crate::head::Fields;

use super::super::pool::{self, Answer};
use super::super::upload::Upload;
use super::{AnswerBody, Fault, Stream, Unanswered};

/// Requests that one connection carries at a time: as many as every server should allow (RFC 9113 §6.5.2). Over it another one is
/// opened, so that nobody waits for what others have open.
pub(crate) const MAX_STREAMS: u32 = 100;
/// What may come of one answer before it is taken; and of all together, so that those whose clients take nothing hold up no other.
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = MAX_STREAMS * STREAM_WINDOW;
/// Whether an upstream that owes answers is still there is asked so often, and it has so long to say so (RFC 9113 §6.7).
const PING_EVERY: Duration = Duration::from_secs(20);
const PING_PATIENCE: Duration = Duration::from_secs(10);

/// One connection; each clone is a request's.
#[derive(Debug, Clone)]
pub(crate) struct Sender {
    requests: http2::SendRequest<Flow>,
    /// Held by the pool, and by each request until its answer has ended.
    streams: Arc<()>,
}

impl Sender {
    /// It lives.
    pub(crate) fn is_ready(&self) -> bool {
        self.requests.is_ready()
    }

    /// No request is under way on it, if the pool asks.
    pub(crate) fn is_unused(&self) -> bool {
        Arc::strong_count(&self.streams) == 1
    }

    /// It lives, and carries fewer requests than it may, if the pool asks.
    pub(crate) fn has_place(&self) -> bool {
        self.is_ready() && Arc::strong_count(&self.streams) <= MAX_STREAMS as usize
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.streams, &other.streams)
    }
}

/// The connection's own frames go on in a task of its own.
pub(crate) async fn handshake(stream: Stream) -> Result<Sender, Fault> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder.timer(TokioTimer::new()).keep_alive_interval(PING_EVERY).keep_alive_timeout(PING_PATIENCE);
    builder.initial_stream_window_size(STREAM_WINDOW).initial_connection_window_size(CONNECTION_WINDOW);
    let (requests, connection) = builder.handshake(TokioIo::new(stream)).await?;
    // What went wrong with a connection, its requests have been told.
    TokioExecutor::new().execute(connection.map(|_| ()));
    Ok(Sender { requests, streams: Arc::default() })
}

/// Waits for the answer. What the connection did not take comes back as it was.
pub(crate) async fn send(
    sender: &mut Sender,
    place: &Uri,
    (head, upload): pool::Request,
    patience: Duration,
) -> Result<Answer, pool::Unsent> {
    let taken = Arc::new(Taken(Mutex::new(Instant::now())));
    let mut request = Request::new(Flow::new(upload, Arc::clone(&taken)));
    *request.method_mut() = head.method.clone();
    *request.headers_mut() = head.lines.clone().into_map();
    // RFC 9113 §8.3.1: the authority stands in a pseudo-field.
    request.headers_mut().remove(HOST);
    *request.uri_mut() = absolute(place, &head.target);
    *request.version_mut() = Version::HTTP_2;
    let sent = tokio::select! {
        biased; // an answer that is there is no late one
        sent = sender.requests.try_send_request(request) => sent,
        () = taken.overdue(patience) => return Err((None, Unanswered::Late)),
    };
    match sent {
        Ok(response) => {
            let (parts, body) = response.into_parts();
            let (status, fields) = (parts.status, Fields::from(&parts.headers));
            Ok(Answer { status, fields, body: AnswerBody::Http2 { body, _place: sender.clone() } })
        }
        Err(mut unsent) => {
            let untaken = unsent.take_message().map(|untaken| (head, untaken.into_body().into_upload()));
            Err((untaken, Unanswered::Failed(Fault::Http2(unsent.into_error()))))
        }
    }
}

fn absolute(place: &Uri, target: &PathAndQuery) -> Uri {
    let mut parts = place.clone().into_parts();
    parts.path_and_query = Some(target.clone());
    Uri::from_parts(parts).unwrap_or_else(|_| place.clone())
}

/// When the connection last took something of a request's body.
#[derive(Debug)]
struct Taken(Mutex<Instant>);

impl Taken {
    /// Waits until the upstream has let this time pass: without taking more of the body, or after all of it. One timer, however
    /// often it takes some.
    async fn overdue(&self, patience: Duration) {
        let mut due = self.last() + patience;
        loop {
            tokio::time::sleep_until(due).await;
            let later = self.last() + patience;
            if later <= due {
                return;
            }
            due = later;
        }
    }

    fn last(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }
}

/// What is given at a time, as large as a frame: the library takes a whole piece, and sends it as the upstream's window allows.
const MAX_FRAME_BYTES: usize = 16 * 1024;

/// A body as the library takes it.
#[derive(Debug)]
pub(crate) struct Flow {
    upload: Upload,
    rest: VecDeque<Bytes>,
    left: u64,
    taken: Arc<Taken>,
}

impl Flow {
    fn new(upload: Upload, taken: Arc<Taken>) -> Self {
        let (rest, left) = (upload.pieces.iter().cloned().collect(), upload.length);
        Self { upload, rest, left, taken }
    }

    fn into_upload(self) -> Upload {
        self.upload
    }
}

impl Body for Flow {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.taken.note();
        let Some(piece) = self.rest.front_mut() else { return Poll::Ready(None) };
        let frame = piece.split_to(piece.len().min(MAX_FRAME_BYTES));
        if piece.is_empty() {
            self.rest.pop_front();
        }
        self.left -= frame.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(frame))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;
    use tokio::time::{sleep, timeout};

    use super::super::super::upload::Outgoing;
    use super::*;

    #[tokio::test]
    async fn a_request_names_its_place_once_and_its_body_goes_both_ways() {
        let (near, far) = tokio::io::duplex(8 * 1024);
        let mut serving = tokio::task::JoinSet::new();
        serving.spawn(async move {
            let echo = hyper::service::service_fn(|request: Request<hyper::body::Incoming>| async {
                assert_eq!((request.uri().to_string().as_str(), request.headers().len()), ("http://h:1/x?q", 1));
                Ok::<_, Infallible>(http::Response::new(request.into_body()))
            });
            let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            builder.serve_connection(TokioIo::new(far), echo).await.unwrap_or_default();
        });
        let mut sender = handshake(Box::new(near)).await.unwrap();
        let whole: Vec<u8> = (0_u8..=250).cycle().take(200_000).collect();
        let mut head = Outgoing::new(http::Method::POST, PathAndQuery::from_static("/x?q"));
        head.lines.push_text(&HOST, &["h:1"]);
        let (place, upload) = (Uri::from_static("http://h:1/mcp"), Upload::of(vec![whole.clone().into()]));
        let sending = send(&mut sender, &place, (head, upload), Duration::from_secs(5));
        let answer = sending.await.unwrap().body.collect().await.unwrap();
        assert!(answer.to_bytes() == whole);
    }

    #[tokio::test]
    async fn a_body_goes_as_it_came_and_its_length_is_known() {
        let pieces = vec![Bytes::from_static(b"ab"), vec![b'c'; MAX_FRAME_BYTES + 1].into()];
        let whole = pieces.concat();
        let flow = Flow::new(Upload::of(pieces), Arc::new(Taken(Mutex::new(Instant::now()))));
        assert_eq!(flow.size_hint().exact(), Some(whole.len() as u64));
        let mut flow = std::pin::pin!(flow);
        let mut taken = Vec::new();
        while let Some(frame) = flow.frame().await {
            taken.push(frame.unwrap().into_data().unwrap());
        }
        assert_eq!(taken.iter().map(Bytes::len).collect::<Vec<_>>(), [2, MAX_FRAME_BYTES, 1]);
        assert!(flow.is_end_stream() && taken.concat() == whole);
    }

    /// After how many seconds an upstream is overdue that takes something so many times, each six seconds after the one before.
    async fn overdue(times: u64) -> u64 {
        let since = Instant::now();
        let taken = Taken(Mutex::new(since));
        let noting = async {
            for _ in 0..times {
                sleep(Duration::from_secs(6)).await;
                taken.note();
            }
        };
        let waits = async {
            timeout(Duration::from_mins(5), taken.overdue(Duration::from_secs(10))).await.unwrap();
            since.elapsed().as_secs()
        };
        tokio::join!(waits, noting).0
    }

    #[tokio::test(start_paused = true)]
    async fn an_upstream_is_overdue_when_it_has_taken_nothing_for_too_long() {
        assert_eq!(overdue(0).await, 10);
        assert_eq!(overdue(1).await, 16);
        assert_eq!(overdue(3).await, 28);
    }
}
