//! A record as a span: OpenTelemetry's semantic conventions for MCP and HTTP, and a few words of our own. No subject, no token.

use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

use crate::mcp::Era;
use crate::metrics::known_method;
use crate::record::Record;

/// The gateway's own span, which the upstream was told of.
pub(super) fn of(record: &Record<'_>) -> SpanData {
    let trace = record.trace;
    let (trace_id, span_id) = (TraceId::from(trace.trace_id()), SpanId::from(trace.span_id()));
    SpanData {
        span_context: SpanContext::new(trace_id, span_id, TraceFlags::SAMPLED, false, TraceState::NONE),
        parent_span_id: trace.parent_id().map_or(SpanId::INVALID, SpanId::from),
        parent_span_is_remote: trace.parent_id().is_some(),
        span_kind: SpanKind::Server,
        name: name(record).into(),
        start_time: record.began,
        end_time: record.began + record.time,
        attributes: attributes(record),
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: status(record),
        instrumentation_scope: InstrumentationScope::builder("portcullis")
            .with_version(env!("CARGO_PKG_VERSION"))
            .build(),
    }
}

/// `{mcp.method.name} {target}`; targets are tools and prompts, for URIs are without number.
fn name(record: &Record<'_>) -> String {
    let Some(method) = record.mcp_method.map(known_method) else {
        return record.http_method.to_owned();
    };
    match record.mcp_name.filter(|_| matches!(method, "tools/call" | "prompts/get")) {
        Some(target) => format!("{method} {target}"),
        None => method.to_owned(),
    }
}

/// OpenTelemetry, HTTP server spans: refusals are the client's errors, not the server's.
fn status(record: &Record<'_>) -> Status {
    let failed = record.status.is_none_or(|status| status.is_server_error()) || record.event == "broken_off";
    if failed { Status::error(record.reason.unwrap_or("failed")) } else { Status::Unset }
}

fn attributes(record: &Record<'_>) -> Vec<KeyValue> {
    let milliseconds = |time: std::time::Duration| time.as_secs_f64() * 1e3;
    let tool = record.mcp_name.filter(|_| record.mcp_method == Some("tools/call"));
    let prompt = record.mcp_name.filter(|_| record.mcp_method == Some("prompts/get"));
    let uri = record.mcp_name.filter(|_| record.mcp_method.is_some_and(|method| method.starts_with("resources/")));
    let known = [
        Some(KeyValue::new("http.request.method", record.http_method.to_owned())),
        Some(KeyValue::new("url.path", record.path.to_owned())),
        record.status.map(|status| KeyValue::new("http.response.status_code", i64::from(status.as_u16()))),
        Some(KeyValue::new("client.address", record.address().to_string())),
        Some(KeyValue::new("network.peer.address", record.peer.ip_text.clone())),
        record.mcp_method.map(|method| KeyValue::new("mcp.method.name", method.to_owned())),
        tool.map(|tool| KeyValue::new("gen_ai.tool.name", tool.to_owned())),
        tool.map(|_| KeyValue::new("gen_ai.operation.name", "execute_tool")),
        prompt.map(|prompt| KeyValue::new("gen_ai.prompt.name", prompt.to_owned())),
        uri.map(|uri| KeyValue::new("mcp.resource.uri", uri.to_owned())),
        record.reason.map(|reason| KeyValue::new("error.type", reason)),
        Some(KeyValue::new("portcullis.outcome", record.event)),
        Some(KeyValue::new("portcullis.request_id", record.request_id.to_owned())),
        record.route.map(|route| KeyValue::new("portcullis.route", route.to_owned())),
        record.era.map(|era| KeyValue::new("portcullis.era", Era::as_str(era))),
        record.gateway_time.map(|time| KeyValue::new("portcullis.gateway_ms", milliseconds(time))),
        record.upstream_time.map(|time| KeyValue::new("portcullis.upstream_ms", milliseconds(time))),
    ];
    known.into_iter().flatten().collect()
}
