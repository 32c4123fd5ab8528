//! Health, readiness and metrics, on a listener of their own: never on the public one (threat P10).

mod readiness;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Serialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::audit;
use crate::detection::Detection;
use crate::live::{Generation, Live};
use crate::metrics::{AuditReading, CONTENT_TYPE, ConfigReading, DetectionReading, IssuerReading, Readings};

use crate::telemetry::lost_lines;
use readiness::Readiness;

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
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let mut visits = JoinSet::new();
        loop {
            while visits.try_join_next().is_some() {}
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = self.stop.cancelled() => break,
            };
            match accepted {
                Ok((stream, _)) => {
                    let ops = Arc::clone(&self);
                    visits.spawn(async move {
                        ops.visit(stream).await;
                        drop(place);
                    });
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
            let response = self.answer(request.method(), request.uri().path());
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

    fn answer(&self, method: &Method, path: &str) -> Response<Full<Bytes>> {
        if !matches!(*method, Method::GET | Method::HEAD) {
            return json(StatusCode::METHOD_NOT_ALLOWED, &serde_json::json!({ "error": "method_not_allowed" }));
        }
        match path {
            "/healthz" => json(StatusCode::OK, &serde_json::json!({ "status": "ok" })),
            "/readyz" => {
                let generation = self.live.current();
                let readiness = Readiness::new(&generation, self.draining.is_cancelled());
                let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
                json(status, &readiness)
            }
            "/metrics" => self.metrics(&self.live.current()),
            _ => json(StatusCode::NOT_FOUND, &serde_json::json!({ "error": "not_found" })),
        }
    }

    fn metrics(&self, generation: &Generation) -> Response<Full<Bytes>> {
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
    AuditReading { written, lost, waiting, failing, log_lines_lost: 0 }
}

fn json(status: StatusCode, value: &impl Serialize) -> Response<Full<Bytes>> {
    respond(status, "application/json", serde_json::to_vec(value).unwrap_or_default())
}

fn respond(status: StatusCode, media_type: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
