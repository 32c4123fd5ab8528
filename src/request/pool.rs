//! The connections to one upstream, kept for the next request while they are good: HTTP/1.1, or one of HTTP/2 where TLS agreed on it.
//!
//! One place to go, so no table of them; an answer that has ended leaves its connection ready, so no task waits for that. What
//! libraries do for any number of places costs a tenth of a request.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use http::header::HOST;
use http::uri::PathAndQuery;
use http::{Request, Response, Uri, Version};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::rt::Executor as _;
use hyper_util::client::legacy::connect::Connection as _;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::connect::{ConnectError, Connector};
use super::upload::Upload;

/// An unused connection to an upstream is closed after this.
const IDLE: Duration = Duration::from_secs(30);
/// Unused connections that are kept for one upstream.
const MAX_IDLE: usize = 64;
/// HTTP/1 answers are read in pieces of at most this, and their heads must fit: what a client does not take is held once for
/// each open answer (threat D23), and the library's own 400 KiB are a gigabyte for a thousand.
const READ_BUFFER: usize = 64 * 1024;

/// Why a request got no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    /// There is no connection.
    #[error("no connection to the upstream")]
    Connect(#[source] ConnectError),
    /// It broke, or what came over it was no answer.
    #[error("the exchange with the upstream failed")]
    Exchange(#[source] hyper::Error),
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Pool {
    connector: Connector,
    /// Scheme and authority.
    place: Uri,
    idle: Mutex<Vec<Idle>>,
    /// Carries any number of requests at a time.
    shared: Mutex<Option<http2::SendRequest<Upload>>>,
}

#[derive(Debug)]
struct Idle {
    sender: http1::SendRequest<Upload>,
    since: Instant,
}

/// The connection that an answer comes over; goes back when it is dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    sender: Option<http1::SendRequest<Upload>>,
    pool: Arc<Pool>,
}

enum Sender {
    Http1(http1::SendRequest<Upload>),
    Http2(http2::SendRequest<Upload>),
}

impl Pool {
    pub(crate) fn new(connector: Connector, place: Uri) -> Arc<Self> {
        Arc::new(Self { connector, place, idle: Mutex::default(), shared: Mutex::default() })
    }

    /// Sends over a connection that is there, or a new one, and waits for the head of the answer. A request that a dying
    /// connection did not take is sent over another one; one that the upstream may have seen never is.
    pub(crate) async fn send(
        self: &Arc<Self>,
        target: PathAndQuery,
        mut request: Request<Upload>,
    ) -> Result<(Response<Incoming>, Lease), SendError> {
        *request.uri_mut() = Uri::from(target);
        loop {
            let (sender, is_new) = match self.take() {
                Some(sender) => (sender, false),
                // Boxed: the rare way must not make room for itself in every request.
                None => (Box::pin(self.connect()).await?, true),
            };
            let (sent, sender) = match sender {
                Sender::Http1(mut sender) => (sender.try_send_request(request).await, Some(sender)),
                Sender::Http2(mut sender) => (sender.try_send_request(self.for_http2(request)).await, None),
            };
            match sent {
                Ok(response) => return Ok((response, Lease { sender, pool: Arc::clone(self) })),
                Err(mut unsent) => match unsent.take_message().filter(|_| !is_new) {
                    Some(untaken) => request = untaken,
                    None => return Err(SendError::Exchange(unsent.into_error())),
                },
            }
        }
    }

    /// Closes what nobody has used for a while. To be called now and then.
    pub(crate) fn shed(&self, now: Instant) {
        let mut idle = lock(&self.idle);
        idle.retain(|kept| !kept.sender.is_closed() && now.saturating_duration_since(kept.since) < IDLE);
    }

    /// The connection that was used last: what is left over at the end grows old.
    fn take(&self) -> Option<Sender> {
        let shared = lock(&self.shared).clone().filter(http2::SendRequest::is_ready);
        if let Some(shared) = shared {
            return Some(Sender::Http2(shared));
        }
        let mut idle = lock(&self.idle);
        let at = idle.iter().rposition(|kept| kept.sender.is_ready())?;
        Some(Sender::Http1(idle.remove(at).sender))
    }

    async fn connect(&self) -> Result<Sender, SendError> {
        let stream = self.connector.connect(self.place.clone()).await.map_err(SendError::Connect)?;
        if stream.connected().is_negotiated_h2() {
            let mut builder = http2::Builder::new(TokioExecutor::new());
            let (sender, connection) =
                builder.timer(TokioTimer::new()).handshake(stream).await.map_err(SendError::Exchange)?;
            TokioExecutor::new().execute(connection.map(forget));
            *lock(&self.shared) = Some(sender.clone());
            return Ok(Sender::Http2(sender));
        }
        let mut builder = http1::Builder::new();
        let shaking = builder.max_buf_size(READ_BUFFER).handshake(stream);
        let (sender, connection) = shaking.await.map_err(SendError::Exchange)?;
        TokioExecutor::new().execute(connection.map(forget));
        Ok(Sender::Http1(sender))
    }

    /// RFC 9113 §8.3.1: the authority stands in a pseudo-field.
    fn for_http2(&self, mut request: Request<Upload>) -> Request<Upload> {
        let mut parts = self.place.clone().into_parts();
        parts.path_and_query = request.uri().path_and_query().cloned();
        *request.uri_mut() = Uri::from_parts(parts).unwrap_or_else(|_| self.place.clone());
        *request.version_mut() = Version::HTTP_2;
        request.headers_mut().remove(HOST);
        request
    }

    fn give_back(&self, sender: http1::SendRequest<Upload>) {
        let mut idle = lock(&self.idle);
        if idle.len() >= MAX_IDLE {
            // What a client that left has broken off is not free yet, and may never be: it must not take the place of good ones.
            idle.retain(|kept| kept.sender.is_ready());
        }
        if !sender.is_closed() && idle.len() < MAX_IDLE {
            idle.push(Idle { sender, since: Instant::now() });
        }
    }
}

/// What went wrong with a connection, its request has been told.
fn forget(_: hyper::Result<()>) {}

impl Lease {
    /// The connection carries nothing any more.
    pub(crate) fn spoil(mut self) {
        self.sender = None;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(sender) = self.sender.take() {
            self.pool.give_back(sender);
        }
    }
}

fn lock<T>(of: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use hyper_util::rt::TokioIo;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
    use tokio::task::JoinSet;

    use super::*;
    use crate::request::receive::Received;

    fn pool() -> Arc<Pool> {
        let tls = crate::trust::client_tls(None).unwrap();
        Pool::new(Connector::new(tls, Duration::from_secs(1)), Uri::from_static("http://127.0.0.1:9"))
    }

    fn idle(pool: &Pool) -> usize {
        lock(&pool.idle).len()
    }

    /// A connection, the task that drives it, and the upstream's end of it.
    async fn connection() -> (http1::SendRequest<Upload>, JoinSet<()>, DuplexStream) {
        let (near, far) = tokio::io::duplex(64);
        let (mut sender, connection) = http1::handshake(TokioIo::new(near)).await.unwrap();
        let mut driver = JoinSet::new();
        driver.spawn(connection.map(forget));
        sender.ready().await.unwrap();
        (sender, driver, far)
    }

    #[tokio::test]
    async fn idle_connections_are_bounded_and_closed_in_time() {
        let pool = pool();
        let mut ends = Vec::new();
        for _ in 0..=MAX_IDLE {
            let (sender, driver, far) = connection().await;
            pool.give_back(sender);
            ends.push((driver, far));
        }
        assert_eq!(idle(&pool), MAX_IDLE);
        pool.shed(Instant::now());
        assert_eq!(idle(&pool), MAX_IDLE);
        pool.shed(Instant::now() + IDLE);
        assert_eq!(idle(&pool), 0);
    }

    #[tokio::test]
    async fn what_is_not_free_makes_way_for_what_is() {
        let pool = pool();
        let mut ends = Vec::new();
        for _ in 0..MAX_IDLE {
            // Driven by nobody, like one whose answer was broken off: not free, and not closed.
            let (near, far) = tokio::io::duplex(64);
            let (sender, connection) = http1::handshake(TokioIo::new(near)).await.unwrap();
            pool.give_back(sender);
            ends.push((connection, far));
        }
        assert!(idle(&pool) == MAX_IDLE && pool.take().is_none());
        let (sender, _driver, _far) = connection().await;
        pool.give_back(sender);
        assert!(idle(&pool) == 1 && pool.take().is_some());
    }

    /// An upstream that answers each connection's first request.
    async fn answering(answers: usize) -> (Uri, JoinSet<()>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let place = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            for _ in 0..answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                assert!(stream.read(&mut [0; 1024]).await.unwrap() > 0);
                stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
            }
        });
        (place, serving)
    }

    fn request() -> Request<Upload> {
        let mut request = Request::new(Upload::new(Received::default()).0);
        request.headers_mut().insert(HOST, http::HeaderValue::from_static("h"));
        request
    }

    const TARGET: PathAndQuery = PathAndQuery::from_static("/mcp");

    #[tokio::test]
    async fn what_a_dying_connection_did_not_take_goes_over_a_new_one_once() {
        for answers in [1, 0] {
            let (place, _serving) = answering(answers).await;
            let pool = Pool::new(
                Connector::new(crate::trust::client_tls_towards(Some("http"), None).unwrap(), Duration::from_secs(1)),
                place,
            );
            let (near, _far) = tokio::io::duplex(64);
            let (mut sender, connection) = http1::handshake(TokioIo::new(near)).await.unwrap();
            let mut connection = Box::pin(connection);
            tokio::select! {
                _ = &mut connection => unreachable!("nobody has closed it"),
                ready = sender.ready() => ready.unwrap(),
            }
            pool.give_back(sender);
            let mut sending = Box::pin(pool.send(TARGET, request()));
            assert!((&mut sending).now_or_never().is_none(), "the request waits to be taken");
            drop(connection);
            let sent = sending.await;
            assert_eq!(sent.map(|(response, _)| response.status().as_u16()).ok(), (answers == 1).then_some(204));
        }
    }

    #[tokio::test]
    async fn a_request_that_the_upstream_may_have_seen_is_never_repeated() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let place = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let pool = Pool::new(
            Connector::new(crate::trust::client_tls_towards(Some("http"), None).unwrap(), Duration::from_secs(1)),
            place,
        );
        let cutting = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            assert!(stream.read(&mut [0; 1024]).await.unwrap() > 0);
            drop(stream);
            tokio::time::timeout(Duration::from_millis(200), listener.accept()).await
        };
        let (sent, again) = tokio::join!(pool.send(TARGET, request()), cutting);
        assert!(matches!(sent, Err(SendError::Exchange(_))) && again.is_err());
    }

    #[tokio::test]
    async fn a_connection_that_the_upstream_closed_is_not_kept() {
        let pool = pool();
        for was_idle in [true, false] {
            let (sender, mut driver, far) = connection().await;
            if was_idle {
                pool.give_back(sender);
                assert_eq!(idle(&pool), 1);
                drop(far);
                driver.join_next().await;
                pool.shed(Instant::now());
            } else {
                drop(far);
                driver.join_next().await;
                pool.give_back(sender);
            }
            assert_eq!(idle(&pool), 0, "{was_idle}");
        }
    }
}
