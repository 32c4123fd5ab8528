//! A record as a line of the log.

use std::time::Duration;

use crate::mcp::Era;
use crate::names::{ClientId, TenantId};
use crate::record::Record;

use super::audit::clip;

/// One event per request, in fixed fields.
pub(crate) fn write(record: &Record<'_>) {
    let identity = record.identity;
    tracing::info!(
        target: "portcullis::request",
        event = record.event,
        status = record.status.map(|status| status.as_u16()),
        reason = record.reason,
        detail = record.detail,
        request_id = record.request_id,
        trace_id = format!("{:032x}", record.trace.trace_id()),
        peer = %record.peer,
        client_address = record.client_address.map(tracing::field::display),
        route = record.route,
        method = record.http_method,
        path = record.path,
        iss = identity.map(|identity| clip(identity.issuer().as_str())),
        sub = identity.map(|identity| clip(identity.subject().as_str())),
        client_id = identity.and_then(|identity| identity.client()).map(ClientId::as_str).map(clip),
        tenant = identity.and_then(|identity| identity.tenant()).map(TenantId::as_str).map(clip),
        jti = identity.and_then(|identity| identity.token_id()).map(clip),
        era = record.era.map(Era::as_str),
        mcp_method = record.mcp_method,
        mcp_name = record.mcp_name,
        rule = record.rule,
        sent_bytes = record.sent_bytes,
        upstream_ms = record.upstream_time.map(millis),
        duration_ms = millis(record.time),
    );
}

fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}
