//! The connection side of one route's MCP server: where requests go, how many at a time, and how long they may take.

use std::sync::Arc;
use std::time::Instant;

use http::header::HeaderValue;
use http::uri::PathAndQuery;
use http::{Method, Uri};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::{Timeouts, Upstream};
use crate::trust::{self, TrustError};

use super::connect::{ConnectError, Connector};
use super::pool::{Answer, Pool, SendError};
use super::receive::Received;
use super::reject::UpstreamFailure;
use super::upload::{Outgoing, Upload};

/// Requests under way at one upstream, event streams among them; each holds at most one connection. Linux has some 28,000 ports for
/// connections to one place.
const MAX_CONCURRENT: usize = 20_000;

/// The connections to one route's MCP server.
#[derive(Debug)]
pub(crate) struct UpstreamClient {
    origin: Origin,
    pool: Arc<Pool>,
    url: Uri,
    messages: Option<Uri>,
    host: HeaderValue,
    timeouts: Timeouts,
    capacity: Arc<Semaphore>,
}

/// What a client is made of: two equal ones can use each other's connections.
#[derive(Debug, PartialEq, Eq)]
struct Origin {
    url: Uri,
    messages: Option<Uri>,
    ca: Option<trust::Digest>,
    timeouts: Timeouts,
}

impl Origin {
    fn of(upstream: &Upstream) -> Result<Self, TrustError> {
        let ca = upstream.ca.as_deref().map(trust::digest).transpose()?;
        let (url, messages) = (upstream.url.clone(), upstream.messages.clone());
        Ok(Self { url, messages, ca, timeouts: upstream.timeouts.clone() })
    }
}

impl UpstreamClient {
    /// The one of `before`, with its connections, when nothing has changed; else a new one. Reads the trust anchor; opens nothing.
    pub(crate) fn like(before: Option<&Arc<Self>>, upstream: &Upstream) -> Result<Arc<Self>, TrustError> {
        let origin = Origin::of(upstream)?;
        match before.filter(|before| before.origin == origin) {
            Some(kept) => Ok(Arc::clone(kept)),
            None => Self::new(upstream, origin).map(Arc::new),
        }
    }

    fn new(upstream: &Upstream, origin: Origin) -> Result<Self, TrustError> {
        let tls = trust::client_tls_towards(upstream.url.scheme_str(), upstream.ca.as_deref())?;
        let connector = Connector::new(tls, upstream.timeouts.connect);
        let authority = upstream.url.authority().map_or("", http::uri::Authority::as_str);
        Ok(Self {
            origin,
            pool: Pool::new(connector, upstream.url.clone(), upstream.timeouts.response),
            url: upstream.url.clone(),
            messages: upstream.messages.clone(),
            host: HeaderValue::from_str(authority).unwrap_or(HeaderValue::from_static("")),
            timeouts: upstream.timeouts.clone(),
            capacity: Arc::new(Semaphore::new(MAX_CONCURRENT)),
        })
    }

    /// Where a request goes: the configured path, with the client's query byte for byte (threat P6).
    pub(crate) fn target(&self, method: &Method, query: Option<&str>) -> PathAndQuery {
        let base = self.messages.as_ref().filter(|_| method == Method::POST).unwrap_or(&self.url);
        let joined = query.and_then(|query| PathAndQuery::try_from(format!("{}?{query}", base.path())).ok());
        joined.or_else(|| base.path_and_query().cloned()).unwrap_or(PathAndQuery::from_static("/"))
    }

    /// Where requests go that bring no message.
    pub(crate) fn url(&self) -> &Uri {
        &self.url
    }

    /// Where messages go when that is another place (HTTP+SSE).
    pub(crate) fn messages(&self) -> Option<&Uri> {
        self.messages.as_ref()
    }

    /// How long it may take.
    pub(crate) fn timeouts(&self) -> &Timeouts {
        &self.timeouts
    }

    /// The upstream's own authority: real servers refuse a foreign `Host`.
    pub(crate) fn host(&self) -> &HeaderValue {
        &self.host
    }

    /// A place among the requests under way, if there is one.
    pub(crate) fn slot(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.capacity).try_acquire_owned().ok()
    }

    /// Sends, and waits for the head.
    pub(crate) async fn send(&self, head: Outgoing, body: Received) -> Result<Answer, (UpstreamFailure, SendError)> {
        let answer = self.pool.send(head, Upload::new(body)).await;
        answer.map_err(|error| (classify(&error), error))
    }

    /// Closes connections that nobody has used for a while.
    pub(crate) fn shed(&self, now: Instant) {
        self.pool.shed(now);
    }
}

fn classify(error: &SendError) -> UpstreamFailure {
    match error {
        SendError::Connect(ConnectError::TimedOut(_)) => UpstreamFailure::ConnectTimeout,
        SendError::Connect(ConnectError::Failed(_)) => UpstreamFailure::Unreachable,
        SendError::Exchange(_) => UpstreamFailure::Protocol,
        SendError::Late => UpstreamFailure::ResponseTimeout,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const URL: &str = "http://127.0.0.1:3000/mcp";

    fn upstream(url: &str, seconds: u64) -> Upstream {
        let wait = Duration::from_secs(seconds);
        let timeouts = Timeouts { connect: wait, response: wait, idle: wait, total: wait };
        Upstream { url: url.parse().unwrap(), messages: None, ca: None, headers: Vec::new(), timeouts }
    }

    #[test]
    fn connections_are_kept_over_a_reload_while_the_upstream_is_the_same() {
        let before = UpstreamClient::like(None, &upstream(URL, 1)).unwrap();
        let after = |url, seconds| UpstreamClient::like(Some(&before), &upstream(url, seconds)).unwrap();
        assert!(Arc::ptr_eq(&before, &after(URL, 1)));
        for (url, seconds) in [("http://127.0.0.1:3001/mcp", 1), ("http://127.0.0.1:3000/other", 1), (URL, 2)] {
            let after = after(url, seconds);
            assert!(!Arc::ptr_eq(&before, &after), "{url} {seconds}");
            assert_eq!((after.url().to_string(), after.timeouts().idle.as_secs()), (url.to_owned(), seconds));
        }
    }
}
