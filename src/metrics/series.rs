//! The series of one route, made once: a request looks up no more than how it ended, and that by few facts.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::StatusCode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;

use crate::mcp::Era;
use crate::names::RouteName;

use super::Metrics;
use super::known::Known;
use super::labels::{Decision, OperationLabels, RequestLabels, RouteLabel};
use super::methods::known;
use super::recent::RouteRecent;

/// See the module.
#[derive(Debug)]
pub(crate) struct RouteSeries {
    label: RouteLabel,
    requests: Family<RequestLabels, Counter>,
    operations: Family<OperationLabels, Counter>,
    request_time: Histogram,
    gateway_time: Histogram,
    upstream_time: Histogram,
    stream_time: Histogram,
    response_bytes: Counter,
    streams: Gauge,
    under_way: Gauge,
    recent: Arc<RouteRecent>,
    known_requests: Known<Ending>,
    known_operations: Known<(&'static str, Decision)>,
}

/// What selects the counter of a request, beside the route.
#[derive(Debug, PartialEq, Eq)]
struct Ending {
    era: Option<Era>,
    status: Option<StatusCode>,
    outcome: &'static str,
    reason: &'static str,
}

/// How a request ended: what its record in the log says.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) era: Option<Era>,
    pub(crate) status: Option<StatusCode>,
    /// The record's `event`.
    pub(crate) outcome: &'static str,
    /// The record's `reason`; empty when it has none.
    pub(crate) reason: &'static str,
    pub(crate) is_event_stream: bool,
    pub(crate) at: Instant,
    /// All of it.
    pub(crate) time: Duration,
    /// Until it went upstream.
    pub(crate) gateway: Option<Duration>,
    /// Until the upstream's answer began.
    pub(crate) upstream: Option<Duration>,
}

/// One more of something that is open; one less when it is dropped.
#[derive(Debug)]
pub(crate) struct Open(Gauge);

impl RouteSeries {
    pub(super) fn new(of: &Metrics, name: Option<&RouteName>) -> Self {
        let label = RouteLabel::of(name);
        Self {
            requests: of.requests.clone(),
            operations: of.operations.clone(),
            request_time: of.request_times.get_or_create_owned(&label),
            gateway_time: of.gateway_times.get_or_create_owned(&label),
            upstream_time: of.upstream_times.get_or_create_owned(&label),
            stream_time: of.stream_times.get_or_create_owned(&label),
            response_bytes: of.response_bytes.get_or_create_owned(&label),
            streams: of.streams.get_or_create_owned(&label),
            under_way: of.under_way.clone(),
            recent: of.recent.of(name),
            known_requests: Known::new(),
            known_operations: Known::new(),
            label,
        }
    }

    /// A request has begun; it is under way until the value is dropped.
    pub(crate) fn request(&self) -> Open {
        Open::one_more(&self.under_way)
    }

    /// An event stream is open until the value is dropped.
    pub(crate) fn event_stream(&self) -> Open {
        Open::one_more(&self.streams)
    }

    /// How many event streams are open.
    pub(crate) fn event_streams(&self) -> i64 {
        self.streams.get()
    }

    /// Bytes of a response body go out.
    pub(crate) fn sent(&self, bytes: usize) {
        self.response_bytes.inc_by(bytes as u64);
    }

    /// The rules decided on an operation with this method.
    pub(crate) fn decided(&self, method: &str, decision: Decision) {
        let method = known(method);
        let find = || self.operations.get_or_create_owned(&self.label.operation(method, decision));
        self.known_operations.count((method, decision), method.len(), find);
    }

    /// A request has ended.
    pub(crate) fn ended(&self, ended: &Ended) {
        let Ended { era, status, outcome, reason, .. } = *ended;
        let find = || self.requests.get_or_create_owned(&self.label.request(era, status, outcome, reason));
        let start = reason.len() + usize::from(status.map_or(0, |status| status.as_u16()));
        self.known_requests.count(Ending { era, status, outcome, reason }, start, find);
        if outcome == "refused" {
            self.recent.refused(reason, ended.at);
        }
        let whole = if ended.is_event_stream { &self.stream_time } else { &self.request_time };
        whole.observe(ended.time.as_secs_f64());
        for (histogram, time) in [(&self.gateway_time, ended.gateway), (&self.upstream_time, ended.upstream)] {
            if let Some(time) = time {
                histogram.observe(time.as_secs_f64());
            }
        }
    }
}

impl Open {
    pub(super) fn one_more(of: &Gauge) -> Self {
        of.inc();
        Self(of.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}
