//! What one line of the audit stream says: docs/audit.schema.json as types. What is unknown is left out.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use crate::mcp::Era;
use crate::names::{ClientId, Scope, TenantId};
use crate::record::Record;
use crate::token::{Caller, Kind};

use super::subject::Subjects;

/// Of the schema: grows when a field changes its meaning or goes; new fields may come at any time.
const VERSION: u8 = 1;

/// One decision on one request.
#[derive(Serialize)]
struct Decision<'a> {
    v: u8,
    time: Timestamp,
    event: &'static str,
    /// `served`, `refused` or `broken_off`.
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    request_id: &'a str,
    trace_id: TraceId,
    peer: IpAddr,
    client_address: IpAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<&'a str>,
    http_method: &'a str,
    path: &'a str,
    #[serde(flatten)]
    who: Who<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    era: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mcp_method: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mcp_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scopes_asked: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    received_bytes: u64,
    sent_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    gateway_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream_ms: Option<f64>,
    duration_ms: f64,
}

/// A verified caller.
#[derive(Default, Serialize)]
struct Who<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject_kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scopes: Option<Scopes<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<&'a str>,
}

/// Hexadecimal, as in `traceparent`.
struct TraceId(u128);

impl Serialize for TraceId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:032x}", self.0))
    }
}

/// A caller's scopes, space-separated as in its token.
struct Scopes<'a>(&'a Caller);

impl fmt::Display for Scopes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, scope) in self.0.scopes().iter().map(Scope::as_str).enumerate() {
            f.write_str(if at == 0 { "" } else { " " })?;
            f.write_str(scope)?;
        }
        Ok(())
    }
}

impl Serialize for Scopes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Something that is no request.
#[derive(Debug)]
pub(crate) struct Event<'a> {
    pub(crate) at: SystemTime,
    /// The log's word for it.
    pub(crate) word: &'static str,
    pub(crate) reason: Option<&'static str>,
    pub(crate) address: Option<IpAddr>,
    pub(crate) caller: Option<&'a Caller>,
    pub(crate) route: Option<&'a str>,
    pub(crate) count: Option<u32>,
}

#[derive(Serialize)]
struct Other<'a> {
    v: u8,
    time: Timestamp,
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_address: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<&'a str>,
    #[serde(flatten)]
    who: Who<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u32>,
}

/// The stream begins in this place: at a start, after a rotation.
#[derive(Serialize)]
struct Opened<'a> {
    v: u8,
    time: Timestamp,
    event: &'static str,
    version: &'static str,
    /// The last line before had no end: whatever wrote it was cut off.
    torn: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous: Option<&'a str>,
}

pub(super) fn of_request(record: &Record<'_>, subjects: &Subjects, line: &mut Vec<u8>) {
    let decision = Decision {
        v: VERSION,
        time: timestamp(record.began),
        event: "request",
        outcome: record.event,
        reason: record.reason,
        detail: record.detail,
        request_id: record.request_id,
        trace_id: TraceId(record.trace.trace_id()),
        peer: record.peer.ip(),
        client_address: record.address(),
        route: record.route,
        http_method: record.http_method,
        path: record.path,
        who: record.identity.map(|identity| who(identity, subjects)).unwrap_or_default(),
        era: record.era.map(Era::as_str),
        mcp_method: record.mcp_method,
        mcp_name: record.mcp_name,
        rule: record.rule,
        scopes_asked: record.scopes_asked,
        status: record.status.map(|status| status.as_u16()),
        received_bytes: record.received_bytes,
        sent_bytes: record.sent_bytes,
        gateway_ms: record.gateway_time.map(millis),
        upstream_ms: record.upstream_time.map(millis),
        duration_ms: millis(record.time),
    };
    write(&decision, line);
}

pub(super) fn of_event(event: &Event<'_>, subjects: &Subjects, line: &mut Vec<u8>) {
    let other = Other {
        v: VERSION,
        time: timestamp(event.at),
        event: event.word,
        reason: event.reason,
        client_address: event.address,
        route: event.route,
        who: event.caller.map(|caller| who(caller, subjects)).unwrap_or_default(),
        count: event.count,
    };
    write(&other, line);
}

pub(super) fn of_opening(torn: bool, previous: Option<&str>, line: &mut Vec<u8>) {
    let (time, version) = (timestamp(SystemTime::now()), env!("CARGO_PKG_VERSION"));
    write(&Opened { v: VERSION, time, event: "audit.opened", version, torn, previous }, line);
}

fn who<'a>(caller: &'a Caller, subjects: &Subjects) -> Who<'a> {
    Who {
        issuer: Some(caller.issuer().as_str()),
        subject: subjects.of(caller),
        subject_kind: Some(match caller.kind() {
            Kind::User => "user",
            Kind::Service => "service",
        }),
        client_id: caller.client().map(ClientId::as_str),
        tenant: caller.tenant().map(TenantId::as_str),
        scopes: Some(Scopes(caller)),
        jti: caller.token_id(),
    }
}

/// Microseconds tell the order within one gateway.
fn timestamp(time: SystemTime) -> Timestamp {
    let time = Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH);
    time.round(jiff::Unit::Microsecond).unwrap_or(time)
}

fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

/// Strings, numbers and nothing else: this cannot fail.
fn write(object: &impl Serialize, line: &mut Vec<u8>) {
    if serde_json::to_writer(&mut *line, object).is_err() {
        line.clear();
        line.extend_from_slice(b"{}");
    }
}
