//! The way to the collector: one HTTP client with every bound set, and how it went.

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry::KeyValue;
use opentelemetry_otlp::{MetricExporter, Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider, Temporality};
use opentelemetry_sdk::trace::SpanData;
use reqwest::blocking::Client;

use crate::config::TelemetryConfig;
use crate::trust::client_tls;

use super::ExportError;

/// A failure that lasts is told again after this.
const REPEAT: Duration = Duration::from_mins(1);

/// How deliveries went.
#[derive(Debug, Default)]
pub(super) struct Health {
    failures: AtomicU64,
    /// When a failure was last told, while it lasts.
    told: Mutex<Option<Instant>>,
}

pub(super) fn client(config: &TelemetryConfig) -> Result<Client, ExportError> {
    let tls = client_tls(config.ca.as_deref()).map_err(|why| ExportError(why.to_string()))?;
    let client = Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .referer(false)
        .timeout(config.timeout)
        .user_agent(concat!("portcullis/", env!("CARGO_PKG_VERSION")));
    client.build().map_err(|why| ExportError(why.to_string()))
}

/// Who sends: `OTEL_RESOURCE_ATTRIBUTES` too, which the SDK reads; what the configuration says wins.
pub(super) fn resource(config: &TelemetryConfig) -> Resource {
    let own = config.attributes.iter().map(|(name, value)| KeyValue::new(name.clone(), value.clone()));
    Resource::builder()
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_service_name(config.service_name.clone())
        .with_attributes(own)
        .build()
}

pub(super) fn spans(
    config: &TelemetryConfig,
    client: Client,
    health: Arc<Health>,
) -> Result<impl opentelemetry_sdk::trace::SpanExporter + use<>, ExportError> {
    let exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(address(config, "v1/traces"))
        .with_timeout(config.timeout)
        .with_headers(headers(config))
        .with_http_client(client)
        .build();
    Ok(Watched(exporter.map_err(|why| ExportError(why.to_string()))?, health))
}

pub(super) fn metrics(
    config: &TelemetryConfig,
    client: Client,
    health: Arc<Health>,
    resource: Resource,
) -> Result<SdkMeterProvider, ExportError> {
    let exporter = MetricExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(address(config, "v1/metrics"))
        .with_timeout(config.timeout)
        .with_headers(headers(config))
        .with_http_client(client)
        .build();
    let exporter = Watched(exporter.map_err(|why| ExportError(why.to_string()))?, health);
    let reader = PeriodicReader::builder(exporter).with_interval(config.interval).build();
    Ok(SdkMeterProvider::builder().with_resource(resource).with_reader(reader).build())
}

fn address(config: &TelemetryConfig, path: &str) -> String {
    format!("{}/{path}", config.endpoint.as_str().trim_end_matches('/'))
}

fn headers(config: &TelemetryConfig) -> HashMap<String, String> {
    let text = |(name, value): &(http::HeaderName, http::HeaderValue)| {
        // The exporter takes values in percent encoding, as the variables have them.
        let value = percent_encoding::utf8_percent_encode(value.to_str().ok()?, percent_encoding::NON_ALPHANUMERIC);
        Some((name.to_string(), value.to_string()))
    };
    config.headers.iter().filter_map(text).collect()
}

/// An exporter whose failures are counted, and told once a minute.
#[derive(Debug)]
struct Watched<E>(E, Arc<Health>);

impl<E: opentelemetry_sdk::trace::SpanExporter> opentelemetry_sdk::trace::SpanExporter for Watched<E> {
    fn export(&self, batch: Vec<SpanData>) -> impl Future<Output = OTelSdkResult> + Send {
        let sent = self.0.export(batch);
        async move { self.1.watch(sent.await) }
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.0.set_resource(resource);
    }
}

impl<E: PushMetricExporter> PushMetricExporter for Watched<E> {
    fn export(&self, metrics: &ResourceMetrics) -> impl Future<Output = OTelSdkResult> + Send {
        let sent = self.0.export(metrics);
        async move { self.1.watch(sent.await) }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.0.temporality()
    }
}

impl Health {
    /// Deliveries that failed.
    pub(super) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    fn watch(&self, sent: OTelSdkResult) -> OTelSdkResult {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        match &sent {
            Ok(()) => {
                if told.take().is_some() {
                    tracing::info!(event = "telemetry.recovered", "the collector can be reached again");
                }
            }
            Err(error) => {
                self.failures.fetch_add(1, Ordering::Relaxed);
                if told.is_none_or(|told| told.elapsed() >= REPEAT) {
                    *told = Some(Instant::now());
                    tracing::warn!(event = "telemetry.failed", %error, "the collector takes nothing");
                }
            }
        }
        sent
    }
}
