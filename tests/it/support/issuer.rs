//! The authorization server: serves its metadata and keys over loopback, well or badly, and counts who asks.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::keys::{self, Key};
use super::mint::Mint;
use super::place::Place;
use super::wire::read_head;
use super::{PATIENCE, eventually};

/// The resource that tokens are minted for unless told otherwise.
pub(crate) const RESOURCE: &str = "https://mcp.example.com/notes/mcp";

/// A running issuer; gone when dropped.
pub(crate) struct Issuer {
    url: String,
    place: Place,
    shared: Arc<Shared>,
}

struct Shared {
    metadata: Mutex<Value>,
    keys: Mutex<Vec<Value>>,
    manner: Mutex<Manner>,
    /// Metadata is served like the keys, well or badly.
    wholly: AtomicBool,
    targets: Mutex<Vec<String>>,
}

/// How the key set is served.
#[derive(Clone)]
pub(crate) enum Manner {
    /// As it should be.
    Well,
    /// As it should be, with this further field.
    WithField(String),
    /// These very bytes, then the connection closes.
    Bytes(Vec<u8>),
    /// The connection closes at once.
    Gone,
    /// The request is taken and nothing comes.
    Silent,
    /// One byte at a time, without an end.
    Dribbling,
    /// A set that never ends.
    Endless,
    /// These very bytes, then the connection is reset.
    Resets(Vec<u8>),
}

impl Issuer {
    /// Starts on a free port with one RSA, one P-256 and one Ed25519 key.
    pub(crate) async fn start() -> Self {
        Self::start_as(|address| format!("http://{address}")).await
    }

    /// The same under the URL that this gives for its address.
    pub(crate) async fn start_as(url: impl FnOnce(SocketAddr) -> String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = url(listener.local_addr().unwrap());
        let metadata = json!({
            "issuer": url,
            "jwks_uri": format!("{url}/jwks"),
            "authorization_endpoint": format!("{url}/authorize"),
            "token_endpoint": format!("{url}/token"),
            "response_types_supported": ["code"],
        });
        let shared = Arc::new(Shared {
            metadata: Mutex::new(metadata),
            keys: Mutex::new([keys::rsa(), keys::ec(), keys::ed()].map(Key::jwk).into()),
            manner: Mutex::new(Manner::Well),
            targets: Mutex::default(),
            wholly: AtomicBool::new(false),
        });
        let served = shared.clone();
        Self { url, place: Place::open(listener, move |listener| accept(listener, served.clone())), shared }
    }

    /// Nobody is there any more: connections end, and new ones are refused.
    pub(crate) async fn kill(&mut self) {
        self.place.close().await;
    }

    /// It is there again.
    pub(crate) fn restart(&mut self) {
        self.place.open_again();
    }

    /// The issuer identifier.
    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }

    /// Host and port.
    pub(crate) fn authority(&self) -> String {
        self.place.address.to_string()
    }

    /// A good token for [`RESOURCE`].
    pub(crate) fn mint(&self) -> Mint {
        Mint::new(&self.url(), RESOURCE)
    }

    /// A good token for another resource.
    pub(crate) fn mint_for(&self, resource: &str) -> Mint {
        Mint::new(&self.url(), resource)
    }

    /// From now on these are the keys.
    pub(crate) fn publish(&self, keys: impl Into<Vec<Value>>) {
        *self.shared.keys.lock().unwrap() = keys.into();
    }

    /// From now on keys are served in this manner.
    pub(crate) fn serves(&self, manner: Manner) {
        *self.shared.manner.lock().unwrap() = manner;
    }

    /// From now on keys and metadata are served in this manner.
    pub(crate) fn serves_all(&self, manner: Manner) {
        self.serves(manner);
        self.shared.wholly.store(true, Ordering::Relaxed);
    }

    /// Changes one member of the metadata.
    pub(crate) fn claims_to_be(&self, name: &str, value: impl Into<Value>) {
        self.shared.metadata.lock().unwrap()[name] = value.into();
    }

    /// Every request target so far.
    pub(crate) fn targets(&self) -> Vec<String> {
        self.shared.targets.lock().unwrap().clone()
    }

    /// How often keys were asked for.
    pub(crate) fn fetches(&self) -> usize {
        self.targets().iter().filter(|target| *target == "/jwks").count()
    }

    /// Waits until keys were asked for more than this often.
    pub(crate) async fn fetched_more_than(&self, times: usize) {
        eventually("a fetch of keys", || (self.fetches() > times).then_some(())).await;
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        connections.spawn(serve(BufReader::new(stream), shared.clone()));
    }
}

async fn serve(mut stream: BufReader<TcpStream>, shared: Arc<Shared>) {
    while let Some(head) = read_head(&mut stream).await {
        let target = head.start.split(' ').nth(1).unwrap().to_owned();
        shared.targets.lock().unwrap().push(target.clone());
        let manner = shared.manner.lock().unwrap().clone();
        let (status, body) = match target.as_str() {
            "/jwks" => {
                let keys = shared.keys.lock().unwrap().clone();
                (200, json!({ "keys": keys }))
            }
            "/.well-known/oauth-authorization-server" | "/.well-known/openid-configuration" => {
                (200, shared.metadata.lock().unwrap().clone())
            }
            _ => (404, json!({})),
        };
        let field = match manner {
            Manner::WithField(field) => field + "\r\n",
            Manner::Well => String::new(),
            Manner::Bytes(_)
            | Manner::Gone
            | Manner::Silent
            | Manner::Dribbling
            | Manner::Endless
            | Manner::Resets(_) => {
                if target == "/jwks" || shared.wholly.load(Ordering::Relaxed) {
                    return misbehave(&mut stream, manner).await;
                }
                String::new()
            }
        };
        let body = body.to_string();
        let answer = format!(
            "HTTP/1.1 {status} Told\r\ncontent-type: application/json\r\n{field}content-length: {}\r\n\r\n{body}",
            body.len()
        );
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn misbehave(stream: &mut BufReader<TcpStream>, manner: Manner) {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    let (mut piece, wait) = match manner {
        Manner::Bytes(bytes) => {
            stream.write_all(&bytes).await.unwrap_or_default();
            return stream.shutdown().await.unwrap_or_default();
        }
        Manner::Resets(bytes) => {
            stream.write_all(&bytes).await.unwrap_or_default();
            return stream.get_ref().set_zero_linger().unwrap_or_default();
        }
        Manner::Silent => return tokio::time::sleep(PATIENCE * 6).await,
        Manner::Dribbling => ("1\r\n \r\n".to_owned(), std::time::Duration::from_millis(20)),
        Manner::Endless => (format!("4000\r\n{}\r\n", " ".repeat(0x4000)), std::time::Duration::ZERO),
        Manner::Gone | Manner::Well | Manner::WithField(_) => return,
    };
    piece.insert_str(0, head);
    while stream.write_all(piece.as_bytes()).await.is_ok() {
        tokio::time::sleep(wait).await;
        piece = piece.split_off(piece.find(head).map_or(0, |at| at + head.len()));
    }
}
