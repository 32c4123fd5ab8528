//! What leaves the process about its work: the log, and traces and metrics by OTLP (docs/telemetry.md).

mod collector;
mod instruments;
mod json;
mod log;
mod span;

use std::sync::Arc;
use std::time::Duration;

use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, SpanProcessor as _};

use crate::config::TelemetryConfig;
use crate::record::Record;
use crate::trace::Trace;

use collector::Health;
use instruments::Instruments;
pub(crate) use log::lost_lines;
pub use log::{InitError, LogGuard, init};

/// Why nothing can be sent.
#[derive(Debug, thiserror::Error)]
#[error("telemetry: {0}")]
pub(crate) struct ExportError(String);

/// Sends traces and metrics to a collector, from threads of its own: nobody waits for them, and what does not fit into their
/// queues is lost.
#[derive(Debug)]
pub(crate) struct Exporter {
    /// Traces whose low 63 bits are under this are sampled (`TraceIdRatioBased`).
    sampled_below: u64,
    health: Arc<Health>,
    spans: Option<BatchSpanProcessor>,
    metrics: Option<(SdkMeterProvider, Instruments)>,
}

impl Exporter {
    /// Connects to nothing yet.
    pub(crate) fn start(config: &TelemetryConfig) -> Result<Self, ExportError> {
        // Its HTTP client waits for a thread of its own, which a thread of the runtime must not.
        std::thread::scope(|scope| scope.spawn(|| Self::build(config)).join())
            .unwrap_or_else(|_| Err(ExportError("the exporter cannot be built".into())))
    }

    fn build(config: &TelemetryConfig) -> Result<Self, ExportError> {
        let client = collector::client(config)?;
        let (resource, health) = (collector::resource(config), Arc::new(Health::default()));
        let spans = config.traces.then(|| {
            let exporter = collector::spans(config, client.clone(), Arc::clone(&health))?;
            let mut processor = BatchSpanProcessor::new(exporter, BatchConfigBuilder::default().build());
            processor.set_resource(&resource);
            Ok(processor)
        });
        let metrics = config.metrics.then(|| {
            let provider = collector::metrics(config, client.clone(), Arc::clone(&health), resource.clone())?;
            let instruments = Instruments::new(&provider);
            Ok((provider, instruments))
        });
        Ok(Self {
            sampled_below: threshold(config.sample_ratio),
            spans: spans.transpose()?,
            metrics: metrics.transpose()?,
            health,
        })
    }

    /// Decides whether a trace that begins here is recorded; one that comes from outside has said so itself.
    pub(crate) fn sample(&self, trace: &mut Trace) {
        let is_below = || u64::try_from(trace.trace_id() & u128::from(u64::MAX)).unwrap_or(0) >> 1 < self.sampled_below;
        if self.spans.is_some() && trace.parent_id().is_none() && is_below() {
            trace.sample();
        }
    }

    /// One request has ended.
    pub(crate) fn ended(&self, record: &Record<'_>) {
        if let Some(spans) = self.spans.as_ref().filter(|_| record.trace.is_sampled()) {
            spans.on_end(span::of(record));
        }
        if let Some((_, instruments)) = &self.metrics {
            instruments.record(record);
        }
    }

    /// Deliveries that failed.
    pub(crate) fn failures(&self) -> u64 {
        self.health.failures()
    }

    /// Sends what waits, but takes no longer than this. Blocks.
    pub(crate) fn close(&self, most: Duration) {
        // What failed has been said, or is lost with the process.
        if let Some(spans) = &self.spans {
            drop(spans.shutdown_with_timeout(most));
        }
        if let Some((provider, _)) = &self.metrics {
            drop(provider.shutdown_with_timeout(most));
        }
    }
}

impl Drop for Exporter {
    /// After a reload. The SDK's own end waits for the collector, as no thread of the runtime may.
    fn drop(&mut self) {
        let rest = (self.spans.take(), self.metrics.take());
        drop(std::thread::Builder::new().name("telemetry-end".into()).spawn(move || drop(rest)));
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a ratio between 0 and 1 of 2^63"
)]
fn threshold(ratio: f64) -> u64 {
    (ratio * (1_u64 << 63) as f64) as u64
}
