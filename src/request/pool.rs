//! The connections to one upstream, kept for the next request while they are good: HTTP/1.1, or one of HTTP/2 where TLS agreed on it.
//!
//! One place to go, so no table of them; an unused connection has no task: it is looked at when it is taken.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use http::{StatusCode, Uri};
use tokio::task::coop::unconstrained;

use super::connect::{ConnectError, Connected, Connector};
use crate::head::Fields;

use super::exchange::{AnswerBody, Exchange, Fault, Head, Home, Http1Body, Unanswered, Wire, http2};
use super::upload::{Outbox, Outgoing, Upload};

/// An unused connection to an upstream is closed after this.
const IDLE: Duration = Duration::from_secs(30);
/// Unused connections that are kept for one upstream: as many as were busy a moment ago where callers are many, for making a new one
/// for a request costs as much as the request. Each holds a socket and hardly any memory.
const MAX_IDLE: usize = 1024;

/// All of a request.
pub(super) type Request = (Outgoing, Upload);

/// What an upstream answers.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) fields: Fields,
    pub(crate) body: AnswerBody,
}

/// Why a request got no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    /// There is no connection.
    #[error("no connection to the upstream")]
    Connect(#[source] ConnectError),
    /// It broke, or what came over it was no answer.
    #[error("the exchange with the upstream failed")]
    Exchange(#[source] Fault),
    /// The upstream took the request, or stopped taking it, and was silent for too long.
    #[error("the upstream did not answer in time")]
    Late,
}

impl From<Unanswered> for SendError {
    fn from(unanswered: Unanswered) -> Self {
        match unanswered {
            Unanswered::Failed(fault) => Self::Exchange(fault),
            Unanswered::Late => Self::Late,
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Pool {
    connector: Connector,
    /// Scheme and authority.
    place: Uri,
    /// For an answer, once the upstream takes no more of its request.
    patience: Duration,
    idle: Mutex<Vec<Idle>>,
    /// HTTP/2: each for many requests at a time.
    shared: Mutex<Vec<http2::Sender>>,
}

#[derive(Debug)]
struct Idle {
    wire: Wire,
    since: Instant,
}

/// A request that got no answer; with it, when the connection did not take one byte of it.
pub(super) type Unsent = (Option<Request>, Unanswered);

enum Link {
    Http1(Wire),
    Http2(http2::Sender),
}

impl Pool {
    pub(crate) fn new(connector: Connector, place: Uri, patience: Duration) -> Arc<Self> {
        Arc::new(Self { connector, place, patience, idle: Mutex::default(), shared: Mutex::default() })
    }

    /// Sends over a connection that is there, or a new one, and waits for the head of the answer. A request that a dying
    /// connection did not take is sent over another one; one that the upstream may have seen never is.
    pub(crate) async fn send(self: &Arc<Self>, head: Outgoing, upload: Upload) -> Result<Answer, SendError> {
        let mut request = (head, upload);
        // As if its turn had just begun: a look that is put off would take a connection for good that is not.
        while let Some(link) = unconstrained(poll_fn(|_| Poll::Ready(self.take()))).await {
            match self.over(link, request).await {
                Ok(answer) => return Ok(answer),
                Err((Some(untaken), _)) => request = untaken,
                Err((None, unanswered)) => return Err(unanswered.into()),
            }
        }
        // Boxed: the rare way must not make room for itself in every request.
        let link = Box::pin(self.connect()).await?;
        self.over(link, request).await.map_err(|(_, unanswered)| unanswered.into())
    }

    async fn over(self: &Arc<Self>, link: Link, request: Request) -> Result<Answer, Unsent> {
        match link {
            Link::Http1(wire) => self.over_http1(wire, request).await,
            Link::Http2(sender) => Box::pin(self.over_http2(sender, request)).await,
        }
    }

    async fn over_http2(&self, mut sender: http2::Sender, request: Request) -> Result<Answer, Unsent> {
        let sent = http2::send(&mut sender, &self.place, request, self.patience).await;
        if matches!(sent, Err((_, Unanswered::Late))) {
            // Perhaps nobody is there any more. What it owes to others may still come.
            lock(&self.shared).retain(|shared| !shared.is_same(&sender));
        }
        sent
    }

    async fn over_http1(self: &Arc<Self>, wire: Wire, (head, upload): Request) -> Result<Answer, Unsent> {
        let (front, lent) = head.lend(upload.length);
        let mut exchange = Exchange::new(wire, Outbox::new(front, upload), self.patience);
        let answered = poll_fn(|cx| exchange.poll(cx)).await;
        let is_untaken = matches!(answered, Err(Unanswered::Failed(_))) && exchange.is_untouched();
        let (wire, unsent) = exchange.into_parts();
        match answered {
            Ok(head) => Ok(self.answer(wire, head, unsent)),
            Err(unanswered) => {
                let untaken = unsent.filter(|_| is_untaken).map(|outbox| {
                    let (front, upload) = outbox.into_parts();
                    (lent.back(front), upload)
                });
                Err((untaken, unanswered))
            }
        }
    }

    fn answer(self: &Arc<Self>, wire: Wire, mut head: Head, unsent: Option<Outbox>) -> Answer {
        let home = Arc::clone(self);
        let body = AnswerBody::Http1(Http1Body::new(wire, &mut head, unsent, home));
        Answer { status: head.status, fields: head.fields, body }
    }

    /// Closes what nobody has used for a while, and what the upstream has closed. To be called now and then.
    pub(crate) fn shed(&self, now: Instant) {
        let mut idle = lock(&self.idle);
        idle.retain_mut(|kept| now.saturating_duration_since(kept.since) < IDLE && kept.wire.is_quiet());
        drop(idle);
        let (mut shared, mut is_first) = (lock(&self.shared), true);
        shared.retain(|shared| shared.is_ready() && (std::mem::take(&mut is_first) || !shared.is_unused()));
    }

    /// The connection that was used last: what is left over at the end grows old.
    fn take(&self) -> Option<Link> {
        if let Some(shared) = lock(&self.shared).iter().find(|shared| shared.has_place()) {
            return Some(Link::Http2(shared.clone()));
        }
        let mut idle = lock(&self.idle);
        std::iter::from_fn(|| idle.pop())
            .map(|kept| kept.wire)
            .find_map(|mut wire| wire.is_quiet().then_some(wire))
            .map(Link::Http1)
    }

    async fn connect(&self) -> Result<Link, SendError> {
        let Connected { stream, is_http2 } =
            self.connector.connect(self.place.clone()).await.map_err(SendError::Connect)?;
        if !is_http2 {
            return Ok(Link::Http1(Wire::new(stream)));
        }
        let sender = http2::handshake(stream).await.map_err(SendError::Exchange)?;
        let mut shared = lock(&self.shared);
        shared.retain(http2::Sender::is_ready);
        // Of those that were opened at a time, only what is needed stays.
        if !shared.iter().any(http2::Sender::has_place) {
            shared.push(sender.clone());
        }
        Ok(Link::Http2(sender))
    }
}

impl Home for Pool {
    fn give_back(&self, wire: Wire) {
        let mut idle = lock(&self.idle);
        if idle.len() < MAX_IDLE {
            idle.push(Idle { wire, since: Instant::now() });
        }
    }
}

fn lock<T>(of: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures_util::FutureExt as _;
    use http::Method;
    use http::header::HOST;
    use http::uri::PathAndQuery;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::time::timeout;

    use super::*;

    const ANSWER: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";

    fn pool(place: &str) -> Arc<Pool> {
        let tls = crate::trust::client_tls_towards(Some("http"), None).unwrap();
        let wait = Duration::from_secs(5);
        Pool::new(Connector::new(tls, wait), place.parse().unwrap(), wait)
    }

    fn nowhere() -> Arc<Pool> {
        pool("http://127.0.0.1:9")
    }

    async fn somewhere() -> (Arc<Pool>, TcpListener) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        (pool(&format!("http://{}", listener.local_addr().unwrap())), listener)
    }

    /// A connection that is unused, and the upstream's end of it.
    fn keep(pool: &Pool, room: usize) -> DuplexStream {
        let (near, far) = tokio::io::duplex(room);
        pool.give_back(Wire::new(Box::new(near)));
        far
    }

    fn idle(pool: &Pool) -> usize {
        lock(&pool.idle).len()
    }

    fn head() -> Outgoing {
        let mut head = Outgoing::new(Method::GET, PathAndQuery::from_static("/mcp"));
        head.lines.push_text(&HOST, &["h"]);
        head
    }

    fn body() -> Upload {
        Upload::of(vec![Bytes::from_static(b"{}")])
    }

    /// What comes of a connection's first request.
    async fn received(from: &mut TcpStream) -> String {
        let mut bytes = [0; 1024];
        let count = from.read(&mut bytes).await.unwrap();
        String::from_utf8(bytes[..count].to_vec()).unwrap()
    }

    /// The status, from an upstream that takes one connection and answers on it; and the request as it came there.
    async fn served(pool: &Arc<Pool>, listener: &TcpListener) -> (u16, String) {
        let serving = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let received = received(&mut stream).await;
            stream.write_all(ANSWER).await.unwrap();
            received
        };
        let (sent, received) = tokio::join!(pool.send(head(), body()), serving);
        (sent.unwrap().status.as_u16(), received)
    }

    #[tokio::test]
    async fn idle_connections_are_bounded_and_closed_in_time() {
        let pool = nowhere();
        let _ends: Vec<_> = (0..=MAX_IDLE).map(|_| keep(&pool, 64)).collect();
        assert_eq!(idle(&pool), MAX_IDLE);
        pool.shed(Instant::now());
        assert_eq!(idle(&pool), MAX_IDLE);
        pool.shed(Instant::now() + IDLE);
        assert_eq!(idle(&pool), 0);
    }

    #[tokio::test]
    async fn f16_connections_that_ended_or_say_what_nobody_asked_are_not_used() {
        let (pool, listener) = somewhere().await;
        let mut stray = keep(&pool, 64);
        stray.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        drop(keep(&pool, 64));
        assert_eq!(served(&pool, &listener).await.0, 204);
        assert_eq!(idle(&pool), 1, "the new one");
        lock(&pool.idle).clear();
        let (_alive, mut stray) = (keep(&pool, 64), keep(&pool, 64));
        stray.write_all(b"x").await.unwrap();
        drop(keep(&pool, 64));
        assert_eq!(idle(&pool), 3);
        pool.shed(Instant::now());
        assert_eq!(idle(&pool), 1);
    }

    #[tokio::test]
    async fn the_connection_that_was_used_last_is_used_next() {
        let (pool, listener) = somewhere().await;
        let mut old = keep(&pool, 1024);
        assert_eq!(idle(&pool), 1);
        let mut newest = keep(&pool, 1024);
        for _ in 0..2 {
            let serving = async {
                assert!(newest.read(&mut [0; 1024]).await.unwrap() > 0);
                newest.write_all(ANSWER).await.unwrap();
            };
            let (sent, ()) = tokio::join!(pool.send(head(), body()), serving);
            assert!(sent.is_ok() && idle(&pool) == 2);
        }
        assert!(old.read(&mut [0; 1]).now_or_never().is_none() && listener.accept().now_or_never().is_none());
    }

    #[tokio::test]
    async fn what_a_dying_connection_did_not_take_goes_over_a_new_one_once() {
        let (pool, listener) = somewhere().await;
        // Full: not one byte of a request goes into it.
        let (mut near, far) = tokio::io::duplex(1);
        near.write_all(b"x").await.unwrap();
        pool.give_back(Wire::new(Box::new(near)));
        let mut sending = Box::pin(pool.send(head(), body()));
        assert!((&mut sending).now_or_never().is_none(), "the request waits to be taken");
        drop(far);
        let cutting = async { received(&mut listener.accept().await.unwrap().0).await };
        let (sent, request) = tokio::join!(sending, cutting);
        assert_eq!(request, "GET /mcp HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\n\r\n{}", "as it was");
        assert!(matches!(sent, Err(SendError::Exchange(_))), "the new one is the last");
        assert!(timeout(Duration::from_millis(200), listener.accept()).await.is_err());
    }

    #[tokio::test]
    async fn a_request_that_the_upstream_may_have_seen_is_never_repeated() {
        let (pool, listener) = somewhere().await;
        for is_reused in [false, true] {
            let mut far = is_reused.then(|| keep(&pool, 8));
            let cutting = async {
                match &mut far {
                    Some(far) => assert_eq!(far.read(&mut [0; 8]).await.unwrap(), 8),
                    None => assert!(received(&mut listener.accept().await.unwrap().0).await.starts_with("GET /mcp ")),
                }
                drop(far);
                timeout(Duration::from_millis(200), listener.accept()).await
            };
            let (sent, again) = tokio::join!(pool.send(head(), body()), cutting);
            assert!(matches!(sent, Err(SendError::Exchange(_))) && again.is_err(), "{is_reused}");
        }
    }

    #[tokio::test]
    async fn d6_streams_beyond_what_one_http2_connection_carries_wait_for_nobody() {
        let pool = nowhere();
        let (near, _far) = tokio::io::duplex(1024);
        let sender = http2::handshake(Box::new(near)).await.unwrap();
        lock(&pool.shared).push(sender);
        let mut open: Vec<_> = (0..http2::MAX_STREAMS).map(|_| pool.take()).collect();
        assert!(open.iter().all(|link| matches!(link, Some(Link::Http2(_)))) && pool.take().is_none());
        open.pop();
        assert!(matches!(pool.take(), Some(Link::Http2(_))), "one has ended");

        let (near, _far) = tokio::io::duplex(1024);
        let another = http2::handshake(Box::new(near)).await.unwrap();
        lock(&pool.shared).push(another.clone());
        pool.shed(Instant::now());
        assert_eq!(lock(&pool.shared).len(), 2, "both are in use");
        drop((open, another));
        pool.shed(Instant::now());
        assert_eq!(lock(&pool.shared).len(), 1, "one is kept");
    }

    #[tokio::test(start_paused = true)]
    async fn an_http2_connection_that_answers_too_late_is_not_asked_again() {
        let pool = nowhere();
        let (near, _far) = tokio::io::duplex(64 * 1024);
        let sender = http2::handshake(Box::new(near)).await.unwrap();
        lock(&pool.shared).push(sender);
        assert!(matches!(pool.send(head(), body()).await, Err(SendError::Late)));
        assert!(lock(&pool.shared).is_empty());
    }

    #[tokio::test]
    async fn what_http2_did_not_take_goes_over_http1_with_its_host() {
        let (pool, listener) = somewhere().await;
        let (near, far) = tokio::io::duplex(1024);
        let sender = http2::handshake(Box::new(near)).await.unwrap();
        lock(&pool.shared).push(sender);
        // Its task has not seen it yet.
        drop(far);
        let (status, received) = served(&pool, &listener).await;
        assert_eq!((status, received.as_str()), (204, "GET /mcp HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\n\r\n{}"));
    }
}
