//! The load: connections that ask again and again. HTTP/1.1 is written and read by hand, to cost little beside what is measured.

use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::scene::Scene;

const BODY: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"search","arguments":{"query":"gateways between clients and servers","limit":10,"exact":false}}}"#;

/// What credentials are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sends {
    One,
    Each,
    Missing,
    Expired,
    Forged,
}

/// How.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    Http1,
    Http2,
    NewConnection,
    ResumedConnection,
}

/// One scenario.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) name: &'static str,
    pub(crate) sends: Sends,
    pub(crate) over: Over,
    /// Of one turn, over all connections.
    pub(crate) requests: u32,
    pub(crate) connections: u32,
}

impl Work {
    pub(crate) const ALL: &[Self] = &[
        Self { name: "one-token", sends: Sends::One, over: Over::Http1, requests: 40_000, connections: 16 },
        Self { name: "many-tokens", sends: Sends::Each, over: Over::Http1, requests: 40_000, connections: 16 },
        Self { name: "http2", sends: Sends::One, over: Over::Http2, requests: 40_000, connections: 16 },
        Self { name: "new-connection", sends: Sends::One, over: Over::NewConnection, requests: 4_000, connections: 8 },
        Self {
            name: "resumed-connection",
            sends: Sends::One,
            over: Over::ResumedConnection,
            requests: 4_000,
            connections: 8,
        },
        Self { name: "missing-token", sends: Sends::Missing, over: Over::Http1, requests: 40_000, connections: 16 },
        Self { name: "expired-token", sends: Sends::Expired, over: Over::Http1, requests: 40_000, connections: 16 },
        Self { name: "forged-token", sends: Sends::Forged, over: Over::Http1, requests: 20_000, connections: 16 },
    ];
}

const STREAMS: u32 = 16;

/// All requests of one turn.
pub(crate) async fn run(work: &'static Work, port: u16, status: u16, scene: &Scene) {
    let mut connections = JoinSet::new();
    let each = work.requests / work.connections;
    for connection in 0..work.connections {
        let tokens: Vec<Option<String>> = (0..each).map(|at| token(work, scene, connection * each + at)).collect();
        let tls = tls(work, scene);
        connections.spawn(async move {
            match work.over {
                Over::Http1 => on_one_connection(port, tls, status, &tokens).await,
                Over::Http2 => over_http2(port, tls, tokens).await,
                Over::NewConnection | Over::ResumedConnection => {
                    for token in &tokens {
                        on_one_connection(port, tls.clone(), status, std::slice::from_ref(token)).await;
                    }
                }
            }
        });
    }
    while let Some(done) = connections.join_next().await {
        done.expect("every request is answered");
    }
}

fn token(work: &Work, scene: &Scene, number: u32) -> Option<String> {
    let number = usize::try_from(number).unwrap_or_default();
    match work.sends {
        Sends::One => scene.tokens.first().cloned(),
        Sends::Each => scene.tokens.get(number % scene.tokens.len()).cloned(),
        Sends::Missing => None,
        Sends::Expired => Some(scene.expired.clone()),
        Sends::Forged => Some(scene.forged.clone()),
    }
}

fn tls(work: &Work, scene: &Scene) -> Arc<ClientConfig> {
    let mut config = ClientConfig::clone(&scene.tls);
    config.alpn_protocols = vec![if work.over == Over::Http2 { b"h2".to_vec() } else { b"http/1.1".to_vec() }];
    let resumes = work.over == Over::ResumedConnection;
    config.resumption = if resumes { Resumption::in_memory_sessions(8) } else { Resumption::disabled() };
    Arc::new(config)
}

async fn dial(port: u16, tls: Arc<ClientConfig>) -> TlsStream<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("it listens");
    stream.set_nodelay(true).expect("a socket");
    let name = ServerName::try_from(Scene::host()).expect("a name");
    TlsConnector::from(tls).connect(name, stream).await.expect("a handshake")
}

async fn on_one_connection(port: u16, tls: Arc<ClientConfig>, wanted: u16, tokens: &[Option<String>]) {
    let mut stream = dial(port, tls).await;
    let mut buffer = vec![0; 16 * 1024];
    for token in tokens {
        let authorization =
            token.as_ref().map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
        let request = format!(
            "POST /mcp HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\naccept: application/json, text/event-stream\r\n\
             {authorization}content-length: {}\r\n\r\n{BODY}",
            Scene::host(),
            BODY.len()
        );
        stream.write_all(request.as_bytes()).await.expect("it takes the request");
        let status = answer(&mut stream, &mut buffer).await;
        assert_eq!(status, wanted);
    }
    stream.shutdown().await.unwrap_or_default();
}

/// Reads one answer to its end; gives its status.
async fn answer(stream: &mut TlsStream<TcpStream>, buffer: &mut [u8]) -> u16 {
    let mut filled = 0;
    loop {
        let read = stream.read(buffer.get_mut(filled..).expect("room")).await.expect("an answer");
        assert!(read > 0, "the connection ends");
        filled += read;
        let seen = buffer.get(..filled).expect("filled");
        let Some(head) = seen.windows(4).position(|end| end == b"\r\n\r\n") else { continue };
        let text = std::str::from_utf8(seen.get(..head).expect("a head")).expect("ASCII").to_ascii_lowercase();
        let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
        let whole = match field("content-length: ") {
            Some(length) => seen.len() >= head + 4 + length.trim().parse::<usize>().expect("a number"),
            None => seen.ends_with(b"0\r\n\r\n"),
        };
        if whole {
            return text.get(9..12).and_then(|status| status.parse().ok()).expect("a status");
        }
    }
}

async fn over_http2(port: u16, tls: Arc<ClientConfig>, tokens: Vec<Option<String>>) {
    let stream = dial(port, tls).await;
    let builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.expect("HTTP/2");
    let connection = tokio::spawn(connection);
    let mut streams = JoinSet::new();
    let tokens = Arc::new(tokens);
    for stream in 0..STREAMS {
        let (mut sender, tokens) = (sender.clone(), Arc::clone(&tokens));
        streams.spawn(async move {
            for token in tokens.iter().skip(stream as usize).step_by(STREAMS as usize) {
                let request = Request::post(format!("https://{}/mcp", Scene::host()))
                    .header("content-type", "application/json")
                    .header("accept", "application/json, text/event-stream")
                    .header("authorization", format!("Bearer {}", token.as_deref().unwrap_or_default()));
                let request = request.body(Full::new(Bytes::from_static(BODY.as_bytes()))).expect("a request");
                let response = sender.send_request(request).await.expect("an answer");
                assert_eq!(response.status().as_u16(), 200);
                response.into_body().collect().await.expect("a body");
            }
        });
    }
    while let Some(done) = streams.join_next().await {
        done.expect("every request is answered");
    }
    drop(sender);
    connection.abort();
}
