//! What the gateway counts and how scrapers see it: the name, labels and unit of every metric (docs/metrics.md).
//!
//! Nothing global: the server makes one [`Metrics`] and hands it down. No label ever holds a text that a client chose:
//! values are names of the configuration, words of the gateway's own, and statuses that HTTP knows.

mod audit;
mod detection;
mod known;
mod labels;
mod methods;
mod plain;
mod process;
mod readings;
mod recent;
mod series;

use std::sync::Arc;
use std::time::{Duration, Instant};

use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use crate::names::RouteName;

pub(crate) use audit::AuditReading;
pub(crate) use detection::DetectionReading;
pub(crate) use labels::Decision;
use labels::{OperationLabels, ReasonLabel, RequestLabels, RouteLabel};
pub(crate) use methods::known as known_method;
pub(crate) use plain::{PLAIN_TYPE, plain};
use process::Process;
pub(crate) use readings::{ConfigReading, IssuerReading, Readings};
use recent::Recent;
pub(crate) use series::{Ended, Open, RouteSeries};

/// What [`Metrics::encode`] gives: `OpenMetrics` 1.0.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Seconds that a whole request takes: from a refusal to a tool that works for minutes.
const REQUEST_BUCKETS: [f64; 16] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];
/// Seconds until a request goes upstream: the gateway's own work takes under a millisecond, the rest is the body.
const GATEWAY_BUCKETS: [f64; 12] = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0];
/// Seconds that an event stream stays open: tokens live for minutes to a day.
const STREAM_BUCKETS: [f64; 9] = [1.0, 10.0, 60.0, 300.0, 900.0, 1800.0, 3600.0, 14_400.0, 86_400.0];

/// Times by route.
type Times = Family<RouteLabel, Histogram, fn() -> Histogram>;

/// Everything that is counted while it happens. What can be read when somebody asks is in [`Readings`].
#[derive(Debug)]
pub(crate) struct Metrics {
    requests: Family<RequestLabels, Counter>,
    operations: Family<OperationLabels, Counter>,
    request_times: Times,
    gateway_times: Times,
    upstream_times: Times,
    stream_times: Times,
    response_bytes: Family<RouteLabel, Counter>,
    streams: Family<RouteLabel, Gauge>,
    under_way: Gauge,
    connections: Gauge,
    connections_refused: Family<ReasonLabel, Counter>,
    process: Process,
    started: Instant,
    recent: Recent,
}

impl Metrics {
    /// All at zero. The process is taken to start now.
    pub(crate) fn new() -> Self {
        Self {
            requests: Family::default(),
            operations: Family::default(),
            request_times: Times::new_with_constructor(|| Histogram::new(REQUEST_BUCKETS)),
            gateway_times: Times::new_with_constructor(|| Histogram::new(GATEWAY_BUCKETS)),
            upstream_times: Times::new_with_constructor(|| Histogram::new(REQUEST_BUCKETS)),
            stream_times: Times::new_with_constructor(|| Histogram::new(STREAM_BUCKETS)),
            response_bytes: Family::default(),
            streams: Family::default(),
            under_way: Gauge::default(),
            connections: Gauge::default(),
            connections_refused: Family::default(),
            process: Process::started_now(),
            started: Instant::now(),
            recent: Recent::new(Instant::now()),
        }
    }

    /// The series of one route, there from the start; `None`: of what is addressed to no route.
    pub(crate) fn route(&self, name: Option<&RouteName>) -> Arc<RouteSeries> {
        Arc::new(RouteSeries::new(self, name))
    }

    /// Refusals of the last hour.
    pub(crate) fn recent(&self) -> &Recent {
        &self.recent
    }

    /// Since the start.
    pub(crate) fn uptime(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.started)
    }

    /// How many connections are open.
    pub(crate) fn open_connections(&self) -> u64 {
        u64::try_from(self.connections.get()).unwrap_or(0)
    }

    /// One more connection is open, until the value is dropped.
    pub(crate) fn open_connection(&self) -> Open {
        Open::one_more(&self.connections)
    }

    /// A connection was closed before its first request; `reason` is the log's word.
    pub(crate) fn connection_refused(&self, reason: &'static str) {
        self.connections_refused.get_or_create(&ReasonLabel { reason }).inc();
    }

    /// Everything as text of [`CONTENT_TYPE`].
    pub(crate) fn encode(&self, readings: &Readings<'_>) -> Result<String, std::fmt::Error> {
        let mut registry = Registry::default();
        self.register_requests(&mut registry);
        self.register_connections(&mut registry);
        readings.register(&mut registry);
        self.process.register(&mut registry);
        let mut encoded = String::new();
        text::encode(&mut encoded, &registry)?;
        Ok(encoded)
    }

    fn register_requests(&self, to: &mut Registry) {
        to.register("portcullis_requests", "Requests that have ended, as the log's records say", self.requests.clone());
        to.register(
            "portcullis_operations",
            "Operations of MCP that the rules decided on; a batch has several",
            self.operations.clone(),
        );
        let times = [
            (
                "portcullis_request_duration",
                "From a request's head to the end of its answer, event streams aside",
                &self.request_times,
            ),
            (
                "portcullis_gateway_duration",
                "From a request's head until it goes upstream, the reading of its body included",
                &self.gateway_times,
            ),
            (
                "portcullis_upstream_duration",
                "From the request upstream to the head of the upstream's answer",
                &self.upstream_times,
            ),
            (
                "portcullis_stream_duration",
                "From the request of an event stream to the stream's end",
                &self.stream_times,
            ),
        ];
        for (name, help, family) in times {
            to.register_with_unit(name, help, Unit::Seconds, family.clone());
        }
        let help = "Bytes of response bodies that went out";
        to.register_with_unit("portcullis_response", help, Unit::Bytes, self.response_bytes.clone());
    }

    fn register_connections(&self, to: &mut Registry) {
        to.register("portcullis_requests_under_way", "Requests whose answer has not ended", self.under_way.clone());
        to.register("portcullis_event_streams", "Event streams that are open", self.streams.clone());
        to.register("portcullis_connections", "Connections that are open", self.connections.clone());
        to.register(
            "portcullis_connections_refused",
            "Connections that were closed before their first request",
            self.connections_refused.clone(),
        );
        to.register("portcullis_build", "The version that runs", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
    }
}
