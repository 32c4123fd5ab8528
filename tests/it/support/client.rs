//! The client: whole requests over HTTP/1.1 or HTTP/2, connections that are kept, exact bytes, streamed answers.

use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, SupportedProtocolVersion};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::pki::pki;
use super::wire::{Fields, Head, Length, Piece, read_head};
use super::{Reply, upstream, within};

/// A harmless MCP request.
pub(crate) const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}"#;

/// A request in the making, and where it goes.
#[derive(Clone)]
pub(crate) struct Client {
    address: SocketAddr,
    secure: bool,
    upstream: Arc<upstream::Shared>,
    authority: String,
    server_name: String,
    fields: Vec<(String, String)>,
    body: Option<Vec<u8>>,
    http2: bool,
}

/// What a TLS handshake offers.
#[derive(Clone)]
pub(crate) struct Handshake {
    pub(crate) versions: &'static [&'static SupportedProtocolVersion],
    pub(crate) protocols: &'static [&'static str],
    pub(crate) server_name: String,
    /// Whose client certificate is shown.
    pub(crate) identity: Option<&'static super::pki::Pki>,
}

impl Default for Handshake {
    fn default() -> Self {
        Self {
            versions: rustls::ALL_VERSIONS,
            protocols: &["http/1.1"],
            server_name: "mcp.example.com".into(),
            identity: None,
        }
    }
}

impl Handshake {
    /// The settings of a TLS client that trusts our authority.
    pub(crate) fn config(&self) -> ClientConfig {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(self.versions)
            .unwrap()
            .with_root_certificates(pki().roots());
        let mut config = match self.identity {
            None => builder.with_no_client_auth(),
            Some(pki) => {
                let (chain, key) = pki.client_identity();
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        };
        config.alpn_protocols = self.protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        config
    }
}

impl Client {
    pub(crate) fn new(address: SocketAddr, secure: bool, upstream: Arc<upstream::Shared>) -> Self {
        Self {
            address,
            secure,
            upstream,
            authority: "mcp.example.com".into(),
            server_name: "mcp.example.com".into(),
            fields: Vec::new(),
            body: None,
            http2: false,
        }
    }

    /// Adds `Authorization: Bearer …`.
    pub(crate) fn bearer(self, token: impl Display) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// Adds a field, as written.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.into(), value.into()));
        self
    }

    /// Sends another `Host` (HTTP/2: `:authority`).
    pub(crate) fn host(mut self, authority: &str) -> Self {
        self.authority = authority.into();
        self
    }

    /// Names another server in the TLS handshake.
    pub(crate) fn server_name(mut self, name: &str) -> Self {
        self.server_name = name.into();
        self
    }

    /// Sends this body instead of [`CALL`].
    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Speaks HTTP/2.
    pub(crate) fn http2(mut self) -> Self {
        self.http2 = true;
        self
    }

    pub(crate) fn is_http2(&self) -> bool {
        self.http2
    }

    /// POST, with [`CALL`] unless another body was given.
    pub(crate) async fn post(self, target: &str) -> Reply {
        self.request("POST", target).await
    }

    /// GET.
    pub(crate) async fn get(self, target: &str) -> Reply {
        self.request("GET", target).await
    }

    /// One request on a connection of its own.
    pub(crate) async fn request(self, method: &str, target: &str) -> Reply {
        if self.http2 {
            self.connect_http2().await.send(&self, method, target).await
        } else {
            self.connect().await.send(&self, method, target).await
        }
    }

    /// One request whose answer is read piece by piece.
    pub(crate) async fn open(self, method: &str, target: &str) -> Streaming {
        if self.http2 {
            let mut connection = self.connect_http2().await;
            let response = within("a head", connection.call(&self, method, target)).await.unwrap();
            let (parts, body) = response.into_parts();
            let (head, body) = (head_of(&parts), StreamBody::Http2 { body, _connection: connection });
            return Streaming { head, body };
        }
        let mut connection = self.connect().await;
        connection.write(self.text(method, target)).await;
        let head = connection.head().await;
        let length = Length::of_response(&head);
        let body = StreamBody::Http1(Box::new(connection), length);
        Streaming { head, body }
    }

    /// The request as HTTP/1.1 text.
    pub(crate) fn text(&self, method: &str, target: &str) -> Vec<u8> {
        let mut text = format!("{method} {target} HTTP/1.1\r\nHost: {}\r\n", self.authority);
        let body = self.body_for(method);
        for (name, value) in self.fields_for(method) {
            text += &[&name, ": ", &value, "\r\n"].concat();
        }
        if method == "POST" || !body.is_empty() {
            text += &["Content-Length: ", &body.len().to_string(), "\r\n"].concat();
        }
        let mut text = (text + "\r\n").into_bytes();
        text.extend(body);
        text
    }

    fn body_for(&self, method: &str) -> Vec<u8> {
        let default = if method == "POST" { CALL } else { "" };
        self.body.clone().unwrap_or(default.into())
    }

    fn fields_for(&self, method: &str) -> Vec<(String, String)> {
        let mut fields = self.fields.clone();
        let has = |name: &str| self.fields.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
        if method == "POST" && !has("content-type") {
            fields.push(("content-type".into(), "application/json".into()));
        }
        if !has("accept") {
            fields.push(("accept".into(), "application/json, text/event-stream".into()));
        }
        fields
    }

    /// An HTTP/1.1 connection.
    pub(crate) async fn connect(&self) -> Connection {
        let server_name = self.server_name.clone();
        let handshake = Handshake { server_name, ..Handshake::default() };
        self.handshake(handshake).await.unwrap()
    }

    /// An HTTP/2 connection.
    pub(crate) async fn connect_http2(&self) -> Http2 {
        self.connect_http2_by(&http2::Builder::new(TokioExecutor::new())).await
    }

    /// The same, with settings of its own.
    pub(crate) async fn connect_http2_by(&self, builder: &http2::Builder<TokioExecutor>) -> Http2 {
        let io: Box<dyn Socket> =
            if self.secure { Box::new(self.handshake_http2().await) } else { Box::new(self.tcp().await) };
        let shaking = builder.handshake(TokioIo::new(io));
        let (sender, driver) = within("an HTTP/2 preface", shaking).await.unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async { driver.await.unwrap_or_default() });
        Http2 { sender, upstream: self.upstream.clone(), _tasks: tasks }
    }

    /// A TLS stream that has agreed on HTTP/2.
    pub(crate) async fn handshake_http2(&self) -> TlsStream<TcpStream> {
        let handshake = Handshake { protocols: &["h2"], server_name: self.server_name.clone(), ..Handshake::default() };
        let stream = self.tls(Arc::new(handshake.config()), &handshake.server_name).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        stream
    }

    /// A connection after a handshake with these properties; plain when the gateway speaks plain text.
    pub(crate) async fn handshake(&self, handshake: Handshake) -> io::Result<Connection> {
        let stream: Box<dyn Socket> = if self.secure {
            Box::new(self.tls(Arc::new(handshake.config()), &handshake.server_name).await?)
        } else {
            Box::new(self.tcp().await)
        };
        Ok(Connection { stream: BufReader::new(stream), upstream: self.upstream.clone() })
    }

    /// A TLS stream with these settings.
    pub(crate) async fn tls(&self, config: Arc<ClientConfig>, name: &str) -> io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let connecting = TlsConnector::from(config).connect(name, self.tcp().await);
        within("a handshake", connecting).await
    }

    /// A bare connection.
    pub(crate) async fn tcp(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }
}

/// TLS or plain.
pub(crate) trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Socket for S {}

/// One HTTP/1.1 connection.
pub(crate) struct Connection {
    stream: BufReader<Box<dyn Socket>>,
    upstream: Arc<upstream::Shared>,
}

impl Connection {
    /// Sends one request and reads the whole answer.
    pub(crate) async fn send(&mut self, client: &Client, method: &str, target: &str) -> Reply {
        let before = self.upstream.received().len();
        self.write(client.text(method, target)).await;
        self.reply_since(method, before).await
    }

    /// Sends exact bytes and reads the whole answer.
    pub(crate) async fn exchange(&mut self, bytes: impl AsRef<[u8]>) -> Reply {
        let before = self.upstream.received().len();
        self.write(bytes).await;
        self.reply_since("", before).await
    }

    /// Sends exact bytes. A peer that has already closed is no fault here: the answer tells.
    pub(crate) async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.takes(bytes).await;
    }

    /// Reads one whole answer.
    pub(crate) async fn reply(&mut self) -> Reply {
        let before = self.upstream.received().len();
        self.reply_since("", before).await
    }

    async fn reply_since(&mut self, method: &str, before: usize) -> Reply {
        let mut informational = Vec::new();
        let mut head = self.head().await;
        while head.status() < 200 {
            informational.push(head.status());
            head = self.head().await;
        }
        let mut length = Length::of_response(&head);
        if method == "HEAD" {
            length = Length::Exactly(0);
        }
        let (body, complete) = within("a body", length.rest(&mut self.stream)).await;
        let mut reply = Reply::new(head, body, self.upstream.clone(), before);
        (reply.informational, reply.complete) = (informational, complete);
        reply
    }

    /// Reads a head.
    pub(crate) async fn head(&mut self) -> Head {
        let head = within("a head", read_head(&mut self.stream)).await;
        head.unwrap_or_else(|| panic!("closed without an answer"))
    }

    /// Waits until the gateway closes the connection; panics when it sends something instead.
    pub(crate) async fn assert_closed(&mut self) {
        let mut byte = [0];
        // A reset and a missing close_notify are ends too.
        let read = within("the connection's end", self.stream.read(&mut byte)).await;
        assert!(matches!(read, Ok(0) | Err(_)), "more bytes instead of the end");
    }

    /// The same, and over TLS `close_notify` comes before the end (RFC 8446 §6.1).
    pub(crate) async fn assert_ends_in_order(&mut self) {
        let mut rest = Vec::new();
        let read = within("the connection's end", self.stream.read_to_end(&mut rest)).await;
        assert!(matches!(read, Ok(0)), "{read:?} instead of the end: {}", String::from_utf8_lossy(&rest));
    }

    /// Sends exact bytes; false when nobody takes them any more.
    pub(crate) async fn takes(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).await.is_ok() && self.stream.flush().await.is_ok()
    }

    /// The first bytes that the gateway sends, or none when it closes instead.
    pub(crate) async fn until_answered_or_closed(&mut self) -> Vec<u8> {
        let mut bytes = [0; 12];
        let read = within("an answer or the end", self.stream.read_exact(&mut bytes)).await;
        read.map(|_| bytes.to_vec()).unwrap_or_default()
    }

    /// What the gateway sends until it closes.
    pub(crate) async fn until_closed(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        within("the connection's end", self.stream.read_to_end(&mut bytes)).await.unwrap_or_default();
        bytes
    }
}

/// One HTTP/2 connection.
pub(crate) struct Http2 {
    sender: http2::SendRequest<Full<Bytes>>,
    upstream: Arc<upstream::Shared>,
    _tasks: JoinSet<()>,
}

impl Http2 {
    /// Sends one request and reads the whole answer.
    pub(crate) async fn send(&mut self, client: &Client, method: &str, target: &str) -> Reply {
        let before = self.upstream.received().len();
        let response = within("an answer", self.call(client, method, target)).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = within("a body", body.collect()).await;
        let complete = body.is_ok();
        let bytes = body.map(|body| body.to_bytes().to_vec()).unwrap_or_default();
        let mut reply = Reply::new(head_of(&parts), bytes, self.upstream.clone(), before);
        reply.complete = complete;
        reply
    }

    /// Sends one request; an answer without its body, or how the stream ended.
    pub(crate) async fn call(
        &mut self,
        client: &Client,
        method: &str,
        target: &str,
    ) -> hyper::Result<http::Response<Incoming>> {
        let uri = format!("https://{}{target}", client.authority);
        let mut request = http::Request::builder().method(method).uri(uri);
        for (name, value) in client.fields_for(method) {
            request = request.header(name, value);
        }
        let request = request.body(Full::from(client.body_for(method))).unwrap();
        self.sender.ready().await?;
        self.sender.send_request(request).await
    }

    /// Waits until the gateway has closed the connection.
    pub(crate) async fn closed(&mut self) {
        super::eventually("the connection's end", || self.sender.is_closed().then_some(())).await;
    }
}

fn head_of(parts: &http::response::Parts) -> Head {
    let field = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    Head {
        start: format!("HTTP/2 {}", parts.status.as_u16()),
        fields: Fields(parts.headers.iter().map(field).collect()),
    }
}

/// An answer that is still coming.
pub(crate) struct Streaming {
    pub(crate) head: Head,
    body: StreamBody,
}

enum StreamBody {
    Http1(Box<Connection>, Length),
    Http2 { body: Incoming, _connection: Http2 },
}

impl Streaming {
    /// The next piece of the body as it comes; `None` at its proper end.
    pub(crate) async fn next(&mut self) -> Option<String> {
        loop {
            match self.piece().await {
                // HTTP/2 may end a body with an empty frame.
                Piece::Data(data) if data.is_empty() => {}
                Piece::Data(data) => return Some(String::from_utf8(data).unwrap()),
                Piece::End => return None,
                Piece::Broken => panic!("the answer broke off"),
            }
        }
    }

    /// True when the body ends properly, false when it breaks off; pieces before that are passed over.
    pub(crate) async fn ends_well(&mut self) -> bool {
        loop {
            match self.piece().await {
                Piece::Data(_) => {}
                Piece::End => return true,
                Piece::Broken => return false,
            }
        }
    }

    async fn piece(&mut self) -> Piece {
        let step = async {
            match &mut self.body {
                StreamBody::Http1(connection, length) => length.next(&mut connection.stream).await,
                StreamBody::Http2 { body, .. } => match body.frame().await {
                    None => Piece::End,
                    Some(Err(_)) => Piece::Broken,
                    Some(Ok(frame)) => Piece::Data(frame.into_data().unwrap_or_default().to_vec()),
                },
            }
        };
        within("a piece of the answer", step).await
    }
}
