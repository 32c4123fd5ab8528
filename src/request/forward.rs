//! Permit + request → the upstream's response. The only place that speaks to upstreams.

use std::sync::Arc;
use std::time::Duration;

use http::header::{self, HeaderValue};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Method, Request, Response, StatusCode, Uri};
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::capture_connection;
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::config::{Timeouts, Upstream};
use crate::revocations::Revocations;
use crate::trust::{self, TrustError};

use super::audit::Audit;
use super::authorize::Permit;
use super::body::ReplyBody;
use super::budget::Budget;
use super::connect::{ConnectTimedOut, TimedConnector};
use super::edit::{Unread, Watch};
use super::outgoing::outgoing;
use super::provenance::Provenance;
use super::reject::{Rejection, UpstreamFailure};
use super::returning::Returning;
use super::route::Route;
use super::session::Sessions;
use super::upload::{Upload, UploadState};

/// An unused connection to an upstream is closed after this.
const POOL_IDLE: Duration = Duration::from_secs(30);
/// Unused connections that are kept for one upstream.
const POOL_CONNECTIONS: usize = 64;
/// Requests under way at one upstream; each holds at most one connection.
const MAX_CONCURRENT: usize = 4096;

/// The connections to one route's MCP server.
#[derive(Debug)]
pub(crate) struct UpstreamClient {
    origin: Origin,
    client: Client<TimedConnector, Upload>,
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

/// What the gateway as a whole adds to one forwarding.
#[derive(Debug)]
pub(crate) struct Surroundings<'a> {
    pub(crate) provenance: &'a Provenance,
    pub(crate) ending: &'a StreamEnds,
    pub(crate) sessions: &'a Arc<Sessions>,
    pub(crate) budget: &'a Budget,
    pub(crate) revocations: &'a Arc<Revocations>,
}

/// When event streams are ended because the gateway stops.
#[derive(Debug, Clone, Default)]
pub(crate) struct StreamEnds {
    /// Streams that only listen (`GET`, `subscriptions/listen`) end as soon as the gateway stops: their clients resume elsewhere.
    pub(crate) listening: CancellationToken,
    /// Streams that answer a request may finish until the grace time is over.
    pub(crate) answering: CancellationToken,
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
        let connector = TimedConnector::new(trust::client_tls(upstream.ca.as_deref())?, upstream.timeouts.connect);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .pool_idle_timeout(POOL_IDLE)
            .pool_max_idle_per_host(POOL_CONNECTIONS)
            .set_host(false)
            .build(connector);
        let authority = upstream.url.authority().map_or("", http::uri::Authority::as_str);
        Ok(Self {
            origin,
            client,
            url: upstream.url.clone(),
            messages: upstream.messages.clone(),
            host: HeaderValue::from_str(authority).unwrap_or(HeaderValue::from_static("")),
            timeouts: upstream.timeouts.clone(),
            capacity: Arc::new(Semaphore::new(MAX_CONCURRENT)),
        })
    }

    /// Where a request goes: the configured URL, with the client's query byte for byte (threat P6).
    pub(crate) fn target(&self, method: &Method, query: Option<&str>) -> Uri {
        let base = self.messages.as_ref().filter(|_| method == Method::POST).unwrap_or(&self.url);
        let Some(query) = query else { return base.clone() };
        let mut parts = base.clone().into_parts();
        let joined = PathAndQuery::try_from(format!("{}?{query}", base.path()));
        parts.path_and_query = joined.ok().or(parts.path_and_query);
        Uri::from_parts(parts).unwrap_or_else(|_| base.clone())
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
    pub(crate) fn host(&self) -> HeaderValue {
        self.host.clone()
    }

    /// Sends, and waits for the head.
    async fn send(&self, mut request: Request<Upload>, upload: &UploadState) -> Result<Response<Incoming>, Failed> {
        let connection = capture_connection(&mut request);
        let answer = tokio::select! {
            answer = self.client.request(request) => answer,
            () = upload.overdue(self.timeouts.response) => return Err((UpstreamFailure::ResponseTimeout, None)),
        };
        if answer.as_ref().is_ok_and(is_ambiguous) {
            // Threat F16: whoever writes such answers may have written more than one reading of this one.
            if let Some(connected) = &*connection.connection_metadata() {
                connected.poison();
            }
            return Err((UpstreamFailure::Protocol, None));
        }
        answer.map_err(|error| (classify(&error), Some(error)))
    }
}

/// What failed, and what the client library says of it.
type Failed = (UpstreamFailure, Option<ClientError>);

/// Sends the request up and brings the answer back, both streamed.
pub(crate) async fn forward(
    route: &Arc<Route>,
    mut permit: Permit,
    parts: &Parts,
    around: Surroundings<'_>,
    audit: &mut Audit,
) -> Result<Response<ReplyBody>, Rejection> {
    let upstream = &route.upstream;
    let slot = Arc::clone(&upstream.capacity).try_acquire_owned();
    let slot = slot.map_err(|_| Rejection::Upstream(UpstreamFailure::Capacity))?;
    let watch = Watch::new(route, &permit, parts, around.sessions);
    let (upload, state) = Upload::new(permit.take_body());
    let mut request = outgoing(route, &permit, parts, around.provenance, audit, upload);
    watch.ask(request.headers_mut());
    audit.upstream_asked();
    let mut response = match upstream.send(request, &state).await {
        Ok(response) => response,
        Err((failure, error)) => {
            if let Some(error) = error {
                audit.detail(trust::chain(&error));
            }
            return Err(Rejection::Upstream(failure));
        }
    };
    audit.upstream_answered();
    refuse_unusable(response.status(), audit)?;
    around.sessions.seal_answer(route, &permit, &parts.method, &mut response, audit)?;
    let treatment = watch.treatment(&response, around.budget).map_err(|(failure, why): Unread| {
        audit.detail(why);
        Rejection::Upstream(failure)
    })?;
    let is_listening = parts.method == Method::GET || permit.listens().is_some();
    let stopping = if is_listening { &around.ending.listening } else { &around.ending.answering };
    let Surroundings { budget, revocations, .. } = around;
    let returning = Returning { route, permit, slot, stopping, budget, revocations };
    returning.answer(response, treatment).await
}

/// Answers that are about the gateway, not for the client.
fn refuse_unusable(status: StatusCode, audit: &mut Audit) -> Result<(), Rejection> {
    let failure = match status {
        StatusCode::UNAUTHORIZED | StatusCode::PROXY_AUTHENTICATION_REQUIRED => UpstreamFailure::Unauthorized,
        status if status.is_redirection() => UpstreamFailure::Redirect,
        status if status.is_informational() => UpstreamFailure::Protocol,
        _ => return Ok(()),
    };
    audit.detail(format_args!("the upstream answered {status}"));
    Err(Rejection::Upstream(failure))
}

/// RFC 9112 §6.3: an answer whose length could be read in two ways.
fn is_ambiguous<B>(response: &Response<B>) -> bool {
    let mut codings = response.headers().get_all(header::TRANSFER_ENCODING).iter();
    let has_length = response.headers().contains_key(header::CONTENT_LENGTH);
    match (codings.next(), codings.next()) {
        (None, _) => false,
        (Some(coding), None) => has_length || !coding.as_bytes().eq_ignore_ascii_case(b"chunked"),
        (Some(_), Some(_)) => true,
    }
}

fn classify(error: &ClientError) -> UpstreamFailure {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(current) = cause {
        if current.is::<ConnectTimedOut>() {
            return UpstreamFailure::ConnectTimeout;
        }
        cause = current.source();
    }
    if error.is_connect() { UpstreamFailure::Unreachable } else { UpstreamFailure::Protocol }
}
