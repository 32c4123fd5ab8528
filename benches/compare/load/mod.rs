//! The load: connections that ask again and again, until the turn is over.

mod dial;
mod http1;
mod http2;

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use tokio::task::JoinSet;

pub(crate) use dial::dial;
pub(crate) use http1::{Answers, request};

use crate::gateways::Gateway;
use crate::scene::Scene;
use crate::upstream::LARGE;
use crate::work::{Bodies, MIB, Over, Sends, Work};

/// Which requests are asked for in one turn, and until when.
pub(crate) struct Turn {
    next: AtomicU32,
    last: u32,
    length: Duration,
}

impl Turn {
    pub(crate) fn new(numbers: Range<u32>, length: Duration) -> Self {
        Self { next: AtomicU32::new(numbers.start), last: numbers.end, length }
    }
}

/// A turn that has begun.
struct Running {
    turn: Turn,
    end: Instant,
    asks: Asks,
}

impl Running {
    /// Number of the next request. Nothing when the turn is over.
    fn next(&self) -> Option<usize> {
        let number = self.turn.next.fetch_add(1, Ordering::Relaxed);
        (number < self.turn.last && Instant::now() < self.end).then_some(number as usize)
    }
}

/// What is asked, and how it has to be answered.
struct Asks {
    gateway: &'static str,
    tokens: Vec<Option<String>>,
    body: String,
    status: u16,
    /// An answer has at least so many bytes.
    least: usize,
}

impl Asks {
    fn token(&self, number: usize) -> Option<&str> {
        self.tokens.get(number % self.tokens.len())?.as_deref()
    }

    fn check(&self, answer: &io::Result<(u16, usize)>) {
        let good = answer.as_ref().is_ok_and(|(status, bytes)| *status == self.status && *bytes >= self.least);
        assert!(good, "{}: {answer:?} is not {} with {} bytes", self.gateway, self.status, self.least);
    }
}

/// Connections that are ready to be used.
pub(crate) enum Connections {
    Http1(Vec<dial::Stream>),
    Http2(Vec<http2::Connection>),
    /// Each request opens one; those of each element share the tickets of earlier sessions.
    None(Vec<Arc<ClientConfig>>),
}

pub(crate) async fn connect(work: &Work, port: u16, scene: &Scene) -> Connections {
    let (mut http1, mut http2, mut none) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..work.connections {
        match work.over {
            Over::Http1 => http1.push(dial(port, scene.tls(b"http/1.1", false)).await.expect("a connection")),
            Over::Http2 => http2.push(http2::Connection::open(port, scene.tls(b"h2", false)).await),
            Over::NewConnection => none.push(scene.tls(b"http/1.1", false)),
            Over::ResumedConnection => none.push(scene.tls(b"http/1.1", true)),
        }
    }
    match work.over {
        Over::Http1 => Connections::Http1(http1),
        Over::Http2 => Connections::Http2(http2),
        Over::NewConnection | Over::ResumedConnection => Connections::None(none),
    }
}

/// One turn. How long each request took.
pub(crate) async fn run(
    work: &Work,
    gateway: &Gateway,
    connections: Connections,
    turn: Turn,
    scene: &Scene,
) -> Vec<Duration> {
    let end = Instant::now() + turn.length;
    let running = Arc::new(Running { turn, end, asks: asks(work, gateway, scene) });
    let port = gateway.port;
    let mut tasks = JoinSet::new();
    match connections {
        Connections::Http1(all) => all.into_iter().for_each(|stream| {
            tasks.spawn(http1::ask(port, scene.tls(b"http/1.1", false), stream, Arc::clone(&running)));
        }),
        Connections::Http2(all) => all.into_iter().for_each(|connection| {
            tasks.spawn(connection.ask(Arc::clone(&running)));
        }),
        Connections::None(all) => all.into_iter().for_each(|tls| {
            let resumes = work.over == Over::ResumedConnection;
            tasks.spawn(http1::ask_anew(port, tls, resumes, Arc::clone(&running)));
        }),
    }
    let mut waits = Vec::new();
    while let Some(done) = tasks.join_next().await {
        waits.extend(done.expect("every request is answered"));
    }
    waits
}

fn asks(work: &Work, gateway: &Gateway, scene: &Scene) -> Asks {
    let (bad, good) =
        (|token: &String| vec![Some(token.clone())], |all: &[String]| all.iter().cloned().map(Some).collect());
    let tokens = &scene.tokens;
    let tokens = match work.sends {
        Sends::One => good(tokens.rs256.get(..1).expect("some")),
        Sends::Each | Sends::FirstRs256 => good(&tokens.rs256),
        Sends::FirstEs256 => good(&tokens.es256),
        Sends::FirstEdDsa => good(&tokens.eddsa),
        Sends::Missing => vec![None],
        Sends::Malformed => bad(&tokens.malformed),
        Sends::Expired => bad(&tokens.expired),
        Sends::Forged => bad(&tokens.forged),
        Sends::UnknownKey => bad(&tokens.unknown_key),
        Sends::ForeignIssuer => bad(&tokens.foreign_issuer),
        Sends::ForeignAudience => bad(&tokens.foreign_audience),
    };
    let (body, least) = match work.bodies {
        Bodies::Small => (call("search", "gateways between clients and servers"), 0),
        Bodies::Down => (call(LARGE, "gateways"), MIB),
        Bodies::Up => (call("search", &"QUJDREVGR0hJSktMTU5P".repeat(MIB / 20)), 0),
    };
    Asks { gateway: gateway.kind.name(), tokens, body, status: gateway.kind.answers(work.sends), least }
}

/// A call of this tool.
pub(crate) fn call(tool: &str, query: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{tool}","arguments":{{"query":"{query}","limit":10,"exact":false}}}}}}"#
    )
}

/// One good request over a connection of its own; the status.
pub(crate) async fn ask_once(port: u16, tls: &Arc<ClientConfig>, scene: &Scene) -> io::Result<u16> {
    let mut stream = dial(port, Arc::clone(tls)).await?;
    let request = request(scene.tokens.rs256.first().map(String::as_str), &call("search", "anything"));
    Answers::default().exchange(&mut stream, &request).await.map(|(status, _)| status)
}
