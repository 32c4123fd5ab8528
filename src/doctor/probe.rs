//! One HTTP request and what came back: bounded in time and size, no redirects followed, no proxy of the environment.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, SystemTime};

use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, StatusCode};
use reqwest::redirect;
use serde_json::{Map, Value};
use tokio::time::Instant;
use url::Url;

use crate::trust::{self, TrustError, client_tls};

/// One step: a person waits for it.
pub(super) const TIMEOUT: Duration = Duration::from_secs(5);
/// Larger than every document that is asked for.
const MAX_BODY_BYTES: usize = 512 * 1024;

/// Sends the doctor's requests.
pub(super) struct Client(reqwest::Client);

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
    /// `connect` is where a host's connections go instead of where its name leads.
    pub(super) fn new(ca: Option<&Path>, connect: Option<(&str, SocketAddr)>) -> Result<Self, TrustError> {
        let mut client = reqwest::Client::builder()
            .tls_backend_preconfigured(client_tls(ca)?)
            .http1_only()
            .redirect(redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .connect_timeout(TIMEOUT)
            .timeout(TIMEOUT)
            .user_agent(concat!("portcullis-doctor/", env!("CARGO_PKG_VERSION")));
        if let Some((host, address)) = connect {
            client = client.resolve(host, address);
        }
        Ok(Self(client.build()?))
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
        let told = |why: reqwest::Error| trust::chain(&why.without_url());
        let response = self.0.request(method, url.clone()).headers(headers).body(body).send().await.map_err(told)?;
        let ahead = response.headers().get(header::DATE).and_then(|date| ahead(date, SystemTime::now()));
        let (status, headers) = (response.status(), response.headers().clone());
        Ok(Answer { status, body: read(response, is_stream(&headers)).await?, headers, ahead })
    }
}

/// An event stream does not end: its first event is enough.
async fn read(mut response: reqwest::Response, is_stream: bool) -> Result<Vec<u8>, String> {
    let (mut body, end) = (Vec::new(), Instant::now() + TIMEOUT);
    loop {
        let next = tokio::time::timeout_at(end, response.chunk()).await;
        let Ok(Ok(Some(chunk))) = next else {
            let failed = next.is_err() || next.is_ok_and(|read| read.is_err());
            return if failed && !is_stream { Err("the answer breaks off".into()) } else { Ok(body) };
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
