//! The metrics that are sent by OTLP, under the names of OpenTelemetry's semantic conventions. Labels as bounded as in `/metrics`.

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Histogram, MeterProvider as _};
use opentelemetry_sdk::metrics::SdkMeterProvider;

use crate::metrics::known_method;
use crate::record::Record;

/// What the conventions recommend for HTTP, in seconds.
const HTTP_BUCKETS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
/// What they recommend for MCP.
const MCP_BUCKETS: [f64; 14] = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0];
/// OpenTelemetry, `http.request.method`: anything else is `_OTHER`.
const METHODS: [&str; 8] = ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"];

/// See the module.
#[derive(Debug)]
pub(super) struct Instruments {
    requests: Histogram<f64>,
    operations: Histogram<f64>,
}

impl Instruments {
    pub(super) fn new(provider: &SdkMeterProvider) -> Self {
        let meter = provider.meter("portcullis");
        let histogram = |name: &'static str, help: &'static str, buckets: &[f64]| {
            meter.f64_histogram(name).with_unit("s").with_description(help).with_boundaries(buckets.to_vec()).build()
        };
        Self {
            requests: histogram("http.server.request.duration", "Duration of HTTP server requests.", &HTTP_BUCKETS),
            operations: histogram(
                "mcp.server.operation.duration",
                "MCP requests as the receiver sees them.",
                &MCP_BUCKETS,
            ),
        }
    }

    /// Event streams last as long as their clients like: they are no durations.
    pub(super) fn record(&self, record: &Record<'_>) {
        if record.is_event_stream {
            return;
        }
        let method = METHODS.iter().find(|method| **method == record.http_method).copied().unwrap_or("_OTHER");
        let common = [
            record.status.map(|status| KeyValue::new("http.response.status_code", i64::from(status.as_u16()))),
            record.reason.map(|reason| KeyValue::new("error.type", reason)),
            record.route.map(|route| KeyValue::new("portcullis.route", route.to_owned())),
        ];
        let common: Vec<KeyValue> = common.into_iter().flatten().collect();
        let with = |more: KeyValue| common.iter().cloned().chain([more]).collect::<Vec<_>>();
        self.requests.record(record.time.as_secs_f64(), &with(KeyValue::new("http.request.method", method)));
        if let Some(method) = record.mcp_method {
            let more = KeyValue::new("mcp.method.name", known_method(method));
            self.operations.record(record.time.as_secs_f64(), &with(more));
        }
    }
}
