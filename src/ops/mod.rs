//! Health, readiness and metrics, on a listener of their own: never on the public one (threat P10).

mod accept;
mod readiness;
mod status;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Serialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::audit;
use crate::config::resource::split_authority;
use crate::detection::Detection;
use crate::live::{Generation, Live};
use crate::metrics::{
    AuditReading, CONTENT_TYPE, ConfigReading, DetectionReading, IssuerReading, PLAIN_TYPE, Readings, plain,
};

use crate::telemetry::lost_lines;
use accept::quality;
use readiness::Readiness;
use status::Status;

/// Pages of other origins get nothing of this into their memory (Fetch, Cross-Origin-Resource-Policy).
const CORP: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
/// Probes and scrapers are few; more is a mistake or an attack.
const MAX_CONNECTIONS: usize = 64;
/// A whole visit.
const VISIT_TIME: Duration = Duration::from_secs(10);
/// After a failed accept.
const ACCEPT_BACK_OFF: Duration = Duration::from_millis(100);

/// What the operations listener answers from.
#[derive(Debug)]
pub(crate) struct Ops {
    /// The configuration in force, and what it holds and counts.
    pub(crate) live: Arc<Live>,
    /// The gateway is about to stop.
    pub(crate) draining: CancellationToken,
    /// The listener is given up.
    pub(crate) stop: CancellationToken,
}

impl Ops {
    /// Serves until it is dropped; it goes on while the gateway drains.
    pub(crate) async fn serve(self: Arc<Self>, listener: TcpListener) {
        let mut visits = JoinSet::new();
        let mut open = VecDeque::<AbortHandle>::new();
        loop {
            while visits.try_join_next().is_some() {}
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = self.stop.cancelled() => break,
            };
            match accepted {
                Ok((stream, _)) => {
                    open.retain(|visit| !visit.is_finished());
                    // A visit takes milliseconds: the oldest of so many has stalled, and must not keep a probe waiting.
                    if open.len() >= MAX_CONNECTIONS
                        && let Some(oldest) = open.pop_front()
                    {
                        oldest.abort();
                    }
                    open.push_back(visits.spawn(Arc::clone(&self).visit(stream)));
                }
                Err(error) => {
                    tracing::warn!(event = "accept.failed", %error, "operations listener");
                    tokio::time::sleep(ACCEPT_BACK_OFF).await;
                }
            }
        }
        while visits.join_next().await.is_some() {}
    }

    async fn visit(self: Arc<Self>, stream: TcpStream) {
        let service = service_fn(move |request: Request<Incoming>| {
            let response = self.answer(&request);
            async move { Ok::<_, Infallible>(response) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .keep_alive(false)
            .serve_connection(TokioIo::new(stream), service);
        match tokio::time::timeout(VISIT_TIME, connection).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(event = "connection.ended", %error, "operations listener"),
            Err(_) => tracing::debug!(event = "connection.ended", "operations listener: too slow"),
        }
    }

    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return json(StatusCode::METHOD_NOT_ALLOWED, &serde_json::json!({ "error": "method_not_allowed" }));
        }
        match request.uri().path() {
            "/healthz" => json(StatusCode::OK, &serde_json::json!({ "status": "ok" })),
            "/readyz" => {
                let generation = self.live.current();
                let readiness = Readiness::new(&generation, self.draining.is_cancelled());
                let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
                json(status, &readiness)
            }
            "/metrics" => self.metrics(&self.live.current(), accepted(request.headers())),
            "/status" => self.status(request),
            _ => json(StatusCode::NOT_FOUND, &serde_json::json!({ "error": "not_found" })),
        }
    }

    fn status(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if !is_own_name(request) {
            return json(StatusCode::MISDIRECTED_REQUEST, &serde_json::json!({ "error": "misdirected_request" }));
        }
        let generation = self.live.current();
        let status = Status::new(&self.live, &generation, self.draining.is_cancelled());
        let accepted = accepted(request.headers());
        // Programs that take anything get what programs read.
        let wants_page = quality(accepted, "text/html") > quality(accepted, "application/json");
        let mut response = if wants_page {
            respond(StatusCode::OK, "text/html; charset=utf-8", status::page(&status))
        } else {
            json(StatusCode::OK, &status)
        };
        let headers = response.headers_mut();
        headers.insert(header::VARY, HeaderValue::from_static("accept"));
        headers.insert(header::CONTENT_SECURITY_POLICY, status::policy());
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        response
    }

    fn metrics(&self, generation: &Generation, accepted: &str) -> Response<Full<Bytes>> {
        let statuses = generation.issuers.iter().map(|(name, store)| (name, store.status()));
        let issuers = statuses.map(|(name, status)| IssuerReading {
            name,
            ready: status.ready,
            keys: status.keys,
            key_age: status.age,
            fetch_failures: status.failures,
        });
        let reloads = self.live.reloads();
        let config = ConfigReading {
            since: generation.since,
            taken: reloads.taken,
            refused: reloads.refused,
            successful: reloads.last_refusal.is_none(),
        };
        let audit = AuditReading {
            log_lines_lost: lost_lines(),
            telemetry_failures: generation
                .handler
                .witnesses
                .exporter
                .as_ref()
                .map_or(0, |exporter| exporter.failures()),
            ..generation.handler.witnesses.audit.as_ref().map(|audit| reading(audit.status())).unwrap_or_default()
        };
        let readings = Readings {
            revocations: generation.handler.revocations.len(),
            audit,
            detection: suspicious(&generation.handler.witnesses.detection),
            config,
            ready: Readiness::new(generation, self.draining.is_cancelled()).ready,
            issuers: issuers.collect(),
            buffered_bytes: generation.handler.budgets.in_use(),
            verified_tokens: generation.handler.authenticator.verified_tokens(),
            certificate_expires: generation.tls.as_ref().and_then(|tls| tls.expires),
        };
        match generation.handler.metrics.encode(&readings) {
            Ok(text) if wants_plain(accepted) => respond(StatusCode::OK, PLAIN_TYPE, plain(&text)),
            Ok(text) => respond(StatusCode::OK, CONTENT_TYPE, text),
            Err(_) => json(StatusCode::INTERNAL_SERVER_ERROR, &serde_json::json!({ "error": "internal_error" })),
        }
    }
}

fn suspicious(detection: &Detection) -> DetectionReading {
    let suspicious = detection.totals().map(|(pattern, count)| (pattern.reason(), count)).collect();
    DetectionReading { suspicious, blocked: detection.blocked(Instant::now()) }
}

fn reading(status: audit::Status) -> AuditReading {
    let audit::Status { written, lost, waiting, failing } = status;
    AuditReading { written, lost, waiting, failing, ..AuditReading::default() }
}

fn accepted(headers: &HeaderMap) -> &str {
    headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or("*/*")
}

fn wants_plain(accepted: &str) -> bool {
    quality(accepted, "text/plain") > quality(accepted, "application/openmetrics-text")
}

/// A page of another site that has this address under its own name (DNS rebinding) must not read what is here: names are
/// refused, but for `localhost`. Addresses are what nobody else's page can be at.
fn is_own_name(request: &Request<Incoming>) -> bool {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).and_then(split_authority);
    let Some((host, _)) = host else { return false };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok()
}

fn json(status: StatusCode, value: &impl Serialize) -> Response<Full<Bytes>> {
    respond(status, "application/json", serde_json::to_vec(value).unwrap_or_default())
}

fn respond(status: StatusCode, media_type: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CORP, HeaderValue::from_static("same-origin"));
    response
}
