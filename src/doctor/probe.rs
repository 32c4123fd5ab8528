//! One HTTP request and what came back: bounded in time and size, no redirects followed, no proxy of the environment.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use serde_json::{Map, Value};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use url::{Position, Url};

use crate::trust::{TrustError, chain, client_tls};

/// One step: a person waits for it.
pub(super) const TIMEOUT: Duration = Duration::from_secs(5);
/// Larger than every document that is asked for.
const MAX_BODY_BYTES: usize = 512 * 1024;
const AGENT: HeaderValue = HeaderValue::from_static(concat!("portcullis-doctor/", env!("CARGO_PKG_VERSION")));

/// Sends the doctor's requests, each on a connection of its own.
pub(super) struct Client {
    tls: TlsConnector,
    connect: Option<SocketAddr>,
}

/// What came back.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// All of it, or an event stream's beginning.
    pub(super) body: Vec<u8>,
    /// How far the sender's clock is ahead, in seconds, when it says its time. As exact as the `Date` field: to a second.
    pub(super) ahead: Option<i64>,
}

impl Client {
    /// `connect` is where connections go instead of where the URL leads.
    pub(super) fn new(ca: Option<&Path>, connect: Option<SocketAddr>) -> Result<Self, TrustError> {
        Ok(Self { tls: TlsConnector::from(Arc::new(client_tls(ca)?)), connect })
    }

    pub(super) async fn get(&self, url: &Url, accept: &'static str) -> Result<Answer, String> {
        let headers = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(accept))]);
        self.send(Method::GET, url, headers, String::new()).await
    }

    /// The answer, or why there is none.
    pub(super) async fn send(
        &self,
        method: Method,
        url: &Url,
        headers: HeaderMap,
        body: String,
    ) -> Result<Answer, String> {
        // The connection ends with this.
        let mut connection = JoinSet::new();
        let asked = self.ask(&mut connection, method, url, headers, body);
        let response = timeout(TIMEOUT, asked).await.map_err(|_| "no answer in 5 s".to_owned())??;
        let ahead = response.headers().get(header::DATE).and_then(|date| ahead(date, SystemTime::now()));
        let (status, headers) = (response.status(), response.headers().clone());
        Ok(Answer { status, body: read(response, is_stream(&headers)).await?, headers, ahead })
    }

    async fn ask(
        &self,
        connection: &mut JoinSet<()>,
        method: Method,
        url: &Url,
        headers: HeaderMap,
        body: String,
    ) -> Result<Response<Incoming>, String> {
        let wrong = |_| "a URL that cannot be asked".to_owned();
        let mut request = Request::new(Full::new(Bytes::from(body)));
        *request.method_mut() = method;
        *request.uri_mut() = url[Position::BeforePath..Position::AfterQuery].parse().map_err(wrong)?;
        *request.headers_mut() = headers;
        let host = HeaderValue::from_str(&url[Position::BeforeHost..Position::AfterPort]);
        request.headers_mut().insert(header::HOST, host.map_err(|_| "a host that cannot be asked")?);
        request.headers_mut().insert(header::USER_AGENT, AGENT);
        let name = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let port = url.port_or_known_default().unwrap_or_default();
        let stream = match self.connect {
            Some(address) => TcpStream::connect(address).await,
            None => TcpStream::connect((name.as_str(), port)).await,
        };
        let stream = stream.map_err(|why| why.to_string())?;
        if url.scheme() != "https" {
            return exchange(connection, stream, request).await;
        }
        let name = ServerName::try_from(name).map_err(|_| "a host that no certificate can name")?;
        let stream = self.tls.connect(name, stream).await.map_err(|why| why.to_string())?;
        exchange(connection, stream, request).await
    }
}

async fn exchange<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    connection: &mut JoinSet<()>,
    stream: S,
    request: Request<Full<Bytes>>,
) -> Result<Response<Incoming>, String> {
    let (mut sender, driver) = http1::handshake(TokioIo::new(stream)).await.map_err(|why| chain(&why))?;
    // Its failure is the request's too.
    connection.spawn(async move { driver.await.unwrap_or_default() });
    sender.send_request(request).await.map_err(|why| chain(&why))
}

/// An event stream does not end: its first event is enough.
async fn read(response: Response<Incoming>, is_stream: bool) -> Result<Vec<u8>, String> {
    let (mut source, mut body, end) = (response.into_body(), Vec::new(), Instant::now() + TIMEOUT);
    loop {
        let chunk = match timeout_at(end, source.frame()).await {
            Ok(Some(Ok(frame))) => frame.into_data().unwrap_or_default(),
            Ok(None) => return Ok(body),
            Ok(Some(Err(_))) | Err(_) if is_stream => return Ok(body),
            Ok(Some(Err(_))) | Err(_) => return Err("the answer breaks off".into()),
        };
        if chunk.len() > MAX_BODY_BYTES - body.len() {
            return Err(format!("the answer is longer than {MAX_BODY_BYTES} bytes"));
        }
        body.extend_from_slice(&chunk);
        if is_stream && holds_event(&String::from_utf8_lossy(&body)) {
            return Ok(body);
        }
    }
}

/// True when a whole event with data is there; servers prime a stream with one that has none.
fn holds_event(text: &str) -> bool {
    let text = text.replace("\r\n", "\n");
    let Some((whole, _)) = text.rsplit_once("\n\n") else { return false };
    whole.lines().filter_map(|line| line.strip_prefix("data:")).any(|data| !data.trim().is_empty())
}

fn is_stream(headers: &HeaderMap) -> bool {
    media_type(headers) == "text/event-stream"
}

fn media_type(headers: &HeaderMap) -> &str {
    let whole = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    whole.split(';').next().unwrap_or_default().trim()
}

fn ahead(date: &HeaderValue, now: SystemTime) -> Option<i64> {
    let theirs = httpdate::parse_http_date(date.to_str().ok()?).ok()?;
    let seconds = |span: Duration| i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
    Some(theirs.duration_since(now).map_or_else(|behind| -seconds(behind.duration()), seconds))
}

impl Answer {
    pub(super) fn is_stream(&self) -> bool {
        is_stream(&self.headers)
    }

    pub(super) fn media_type(&self) -> &str {
        media_type(&self.headers)
    }

    /// A header field, when it is text.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The JSON object that the body is.
    pub(super) fn object(&self) -> Option<Map<String, Value>> {
        serde_json::from_slice(&self.body).ok()
    }

    /// The first JSON-RPC message of the answer, in either of the forms of Streamable HTTP.
    pub(super) fn message(&self) -> Option<Map<String, Value>> {
        if !self.is_stream() {
            return self.object();
        }
        let text = String::from_utf8_lossy(&self.body);
        text.lines()
            .filter_map(|line| line.strip_prefix("data:"))
            .find_map(|data| serde_json::from_str(data.trim()).ok())
    }
}
