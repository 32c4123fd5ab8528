//! One attacker's way in: connections from any loopback address, plain or TLS, and what the gateway says to them.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::authority::authority;
use crate::support::keys::{self, Key};
use crate::support::mint::Mint;
use crate::support::within;

/// The authority of every route.
pub(crate) const HOST: &str = "mcp.example.com";
/// The routes' paths; each has an upstream client of its own.
pub(crate) const PATHS: [&str; 3] = ["/notes/mcp", "/tickets/mcp", "/files/mcp"];

/// Attackers that come at once: as many as may wait to be accepted (of 1024).
const QUEUE: usize = 900;

/// What is attacked, and by whose tokens.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) issuer: String,
    http1: Arc<ClientConfig>,
    http2: Arc<ClientConfig>,
}

impl Target {
    pub(crate) fn new(address: SocketAddr, issuer: String) -> Self {
        let config = |protocol: &str| {
            let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
            let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
            let mut config = builder.with_root_certificates(Arc::clone(&authority().roots)).with_no_client_auth();
            config.alpn_protocols = vec![protocol.into()];
            Arc::new(config)
        };
        Self { address, issuer, http1: config("http/1.1"), http2: config("h2") }
    }

    /// A good token of this subject for one of [`PATHS`], with a cheap signature.
    pub(crate) fn mint(&self, path: &str, subject: &str) -> Mint {
        self.mint_by(keys::ed(), path, subject)
    }

    pub(crate) fn mint_by(&self, key: &'static Key, path: &str, subject: &str) -> Mint {
        let mint = Mint::new(&self.issuer, &format!("https://{HOST}{path}")).key(key);
        mint.claim("sub", subject).claim("client_id", format!("client-of-{subject}"))
    }

    /// A bare connection from this address.
    pub(crate) async fn tcp(&self, from: Ipv4Addr) -> io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((from, 0).into())?;
        let stream = socket.connect(self.address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// The same with less room for what nobody reads.
    pub(crate) async fn narrow(&self, from: Ipv4Addr) -> io::Result<TlsStream<TcpStream>> {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(4096)?;
        socket.bind((from, 0).into())?;
        self.shake(socket.connect(self.address).await?, &self.http1).await
    }

    /// A TLS connection that speaks HTTP/1.1.
    pub(crate) async fn http1(&self, from: Ipv4Addr) -> io::Result<TlsStream<TcpStream>> {
        self.shake(self.tcp(from).await?, &self.http1).await
    }

    /// A TLS connection that has agreed on HTTP/2.
    pub(crate) async fn http2(&self, from: Ipv4Addr) -> io::Result<TlsStream<TcpStream>> {
        self.shake(self.tcp(from).await?, &self.http2).await
    }

    async fn shake(&self, stream: TcpStream, config: &Arc<ClientConfig>) -> io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(HOST).unwrap();
        within("a handshake", TlsConnector::from(Arc::clone(config)).connect(name, stream)).await
    }
}

/// The address of attacker number `n`: never 127.0.0.1, which is the honest clients'.
pub(crate) fn source(n: usize) -> Ipv4Addr {
    let part = |n: usize| u8::try_from(n % 250 + 1).unwrap();
    Ipv4Addr::new(127, 1, part(n / 250), part(n))
}

/// A POST's head with these further lines.
pub(crate) fn post(path: &str, token: impl std::fmt::Display, lines: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\n{lines}\r\n"
    )
}

/// A whole POST.
pub(crate) fn call(path: &str, token: impl std::fmt::Display, body: &str) -> String {
    post(path, token, &format!("Content-Length: {}\r\n", body.len())) + body
}

/// How one attempt ended: the status of the first answer, or 0 for the end of the connection.
pub(crate) async fn verdict(stream: &mut (impl AsyncRead + Unpin)) -> u16 {
    let mut line = [0; 12];
    match within("an answer or the end", stream.read_exact(&mut line)).await {
        Ok(_) => std::str::from_utf8(&line[9..12]).unwrap().parse().unwrap(),
        Err(_) => 0,
    }
}

/// Writes; false when the gateway has closed already.
pub(crate) async fn write(stream: &mut (impl AsyncWrite + Unpin), bytes: impl AsRef<[u8]>) -> bool {
    stream.write_all(bytes.as_ref()).await.is_ok() && stream.flush().await.is_ok()
}

/// Reads until the gateway closes.
pub(crate) async fn until_closed(stream: &mut (impl AsyncRead + Unpin)) {
    let mut rest = [0; 4096];
    let reading = async { while let Ok(1..) = stream.read(&mut rest).await {} };
    within("the connection's end", reading).await;
}

/// So many attackers at the same time; what each came to.
pub(crate) async fn all<F, T>(count: usize, attack: impl Fn(usize) -> F) -> Vec<T>
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    let mut attacks = JoinSet::new();
    for n in 0..count {
        // The system drops what comes faster than the listener's queue is emptied, and its clients wait in vain.
        if n > 0 && n % QUEUE == 0 {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        attacks.spawn(attack(n));
    }
    attacks.join_all().await
}

/// How many of these are one of those.
pub(crate) fn count(verdicts: &[u16], of: &[u16]) -> usize {
    verdicts.iter().filter(|verdict| of.contains(verdict)).count()
}
