//! An issuer for tests: serves what it is told, counts who asks, mints tokens.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::config::{Algorithm, ClaimPath, ClaimRules, IssuerConfig, KeyRules, TokenRules};
use crate::names::Issuer;

/// What is served at a path.
#[derive(Clone)]
pub(crate) enum Answer {
    /// These bytes, then the end of the connection.
    Raw(String),
    /// The same, once the semaphore has a permit to take.
    Held(Arc<Semaphore>, String),
    /// A good head, then bytes without end.
    Endless,
    /// A good head, then a byte now and then.
    Dribble,
}

/// 200 with JSON.
pub(crate) fn ok(body: &Value) -> Answer {
    Answer::Raw(http(200, "content-type: application/json\r\n", &body.to_string()))
}

/// A whole response.
pub(crate) fn http(status: u16, fields: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n{fields}\r\n{body}")
}

pub(crate) struct TestIssuer {
    pub(crate) address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    _tasks: JoinSet<()>,
}

#[derive(Default)]
struct Shared {
    answers: HashMap<String, Answer>,
    hits: Vec<String>,
}

impl TestIssuer {
    /// Answers 404 until told otherwise.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::<Mutex<Shared>>::default();
        let mut tasks = JoinSet::new();
        let state = Arc::clone(&shared);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.spawn(serve(stream, Arc::clone(&state)));
            }
        });
        Self { address, shared, _tasks: tasks }
    }

    /// With these keys at `/jwks`.
    pub(crate) async fn with_keys(keys: &[&TestKey]) -> Self {
        let issuer = Self::start().await;
        issuer.publish(keys);
        issuer
    }

    pub(crate) fn publish(&self, keys: &[&TestKey]) {
        self.answer("/jwks", ok(&set(keys)));
    }

    pub(crate) fn answer(&self, path: &str, answer: Answer) {
        self.shared.lock().unwrap().answers.insert(path.into(), answer);
    }

    /// Paths in the order in which they were asked for.
    pub(crate) fn hits(&self) -> Vec<String> {
        self.shared.lock().unwrap().hits.clone()
    }

    pub(crate) fn issuer(&self, path: &str) -> Issuer {
        Issuer::parse(&format!("http://{}{path}", self.address)).unwrap()
    }

    /// Keys at `/jwks`, a long cool-down, and fast enough for tests.
    pub(crate) fn config(&self) -> IssuerConfig {
        config(self.issuer(""), Some(&format!("http://{}/jwks", self.address)))
    }
}

pub(crate) fn config(issuer: Issuer, jwks_uri: Option<&str>) -> IssuerConfig {
    let path = |text: &str| ClaimPath { text: text.into() };
    IssuerConfig {
        name: "test".into(),
        issuer,
        jwks_uri: jwks_uri.map(|uri| uri.parse().unwrap()),
        ca: None,
        insecure_http: true,
        profile: "generic",
        rules: TokenRules {
            algorithms: vec![Algorithm::EdDsa, Algorithm::Es256],
            token_types: vec!["at+jwt".into()],
            leeway: Duration::ZERO,
            strict: false,
            client_required: false,
            tenants: Vec::new(),
            claims: ClaimRules {
                subject: vec![path("sub")],
                client: vec![path("client_id")],
                scopes: vec![path("scope")],
                scopes_may_be_array: false,
                tenant: Some(path("tid")),
                require: Vec::new(),
                audience_when_absent: None,
            },
        },
        keys: KeyRules {
            cool_down: Duration::from_hours(1),
            max_age: Duration::from_hours(2),
            max_stale: Duration::from_hours(24),
            timeout: Duration::from_secs(5),
        },
    }
}

/// A key set document.
pub(crate) fn set(keys: &[&TestKey]) -> Value {
    json!({ "keys": keys.iter().map(|key| key.jwk()).collect::<Vec<_>>() })
}

pub(crate) struct TestKey {
    kid: &'static str,
    pair: Ed25519KeyPair,
}

impl TestKey {
    pub(crate) fn new(kid: &'static str) -> Self {
        let pair = Ed25519KeyPair::generate().unwrap();
        Self { kid, pair }
    }

    pub(crate) fn jwk(&self) -> Value {
        let x = BASE64.encode(self.pair.public_key());
        json!({ "kty": "OKP", "crv": "Ed25519", "kid": self.kid, "x": x })
    }

    pub(crate) fn sign(&self, claims: &Value) -> String {
        let header = json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": self.kid });
        let message = [header.to_string(), claims.to_string()].map(|part| BASE64.encode(part)).join(".");
        let signature = BASE64.encode(self.pair.sign(message.as_bytes()));
        format!("{message}.{signature}")
    }
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// Waits for a condition that must come true.
pub(crate) async fn eventually(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..2000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("never: {what}");
}

async fn serve(mut stream: TcpStream, shared: Arc<Mutex<Shared>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        head.push(byte);
    }
    let head = String::from_utf8(head).unwrap();
    let path = head.split(' ').nth(1).unwrap().to_owned();
    let answer = {
        let mut shared = shared.lock().unwrap();
        shared.hits.push(path.clone());
        shared.answers.get(&path).cloned()
    };
    // The client may leave at any point.
    let _left = write(&mut stream, answer).await;
}

async fn write(stream: &mut TcpStream, answer: Option<Answer>) -> std::io::Result<()> {
    const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    match answer {
        None => stream.write_all(http(404, "", "").as_bytes()).await,
        Some(Answer::Raw(text)) => stream.write_all(text.as_bytes()).await,
        Some(Answer::Held(gate, text)) => {
            gate.acquire().await.unwrap().forget();
            stream.write_all(text.as_bytes()).await
        }
        Some(Answer::Endless) => {
            stream.write_all(HEAD).await?;
            // No multiple of it is a limit: that is passed over, never met.
            let chunk = format!("fff\r\n{}\r\n", " ".repeat(0xfff));
            loop {
                stream.write_all(chunk.as_bytes()).await?;
            }
        }
        Some(Answer::Dribble) => {
            stream.write_all(HEAD).await?;
            loop {
                stream.write_all(b"1\r\n \r\n").await?;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}
