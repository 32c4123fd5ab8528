//! What one line of the audit stream says: docs/audit.schema.json as code. What is unknown is left out.

use std::net::IpAddr;
use std::time::SystemTime;

use crate::mcp::Era;
use crate::names::{ClientId, Scope, TenantId};
use crate::record::Record;
use crate::text::{Object, members};
use crate::token::{Caller, Kind};

use super::subject::Subjects;

/// Of the schema: grows when a field changes its meaning or goes; new fields may come at any time.
const VERSION: u8 = 1;

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

/// Some of the things that a request asks for, and may have.
#[derive(Debug)]
pub(crate) struct Allowed<'a> {
    pub(crate) at: SystemTime,
    pub(crate) request_id: &'a str,
    pub(crate) route: Option<&'a str>,
    pub(crate) caller: Option<&'a Caller>,
    pub(crate) method: &'a str,
    /// What it names, and the rule that decided on that, by its line in the configuration. Nothing has one entry too.
    pub(crate) named: &'a [(Option<&'a str>, Option<usize>)],
}

/// One decision on one request.
pub(super) fn of_request(record: &Record<'_>, subjects: &Subjects, line: &mut Vec<u8>) {
    let mut object = begin(line, record.began, "request");
    object.word("outcome", record.event);
    if let Some(reason) = record.reason {
        object.word("reason", reason);
    }
    text(&mut object, "detail", record.detail);
    object.word("request_id", record.request_id);
    object.word("trace_id", record.trace.trace_id_text());
    object.word("peer", &record.peer.ip_text);
    object.word("client_address", record.client_address_text().as_deref().unwrap_or(&record.peer.ip_text));
    text(&mut object, "route", record.route);
    object.text("http_method", record.http_method);
    object.text("path", record.path);
    if let Some(identity) = record.identity {
        match identity.recorded(subjects.number(), |caller| members(|object| who(object, caller, subjects))) {
            Some(written) => object.members(written),
            None => who(&mut object, identity, subjects),
        }
    }
    text(&mut object, "era", record.era.map(Era::as_str));
    text(&mut object, "mcp_method", record.mcp_method);
    text(&mut object, "mcp_name", record.mcp_name);
    if let Some(rule) = record.rule {
        object.number("rule", rule);
    }
    text(&mut object, "scopes_asked", record.scopes_asked);
    if let Some(status) = record.status {
        object.number("status", status.as_u16());
    }
    object.number("received_bytes", record.received_bytes);
    object.number("sent_bytes", record.sent_bytes);
    for (name, time) in [("gateway_ms", record.gateway_time), ("upstream_ms", record.upstream_time)] {
        if let Some(time) = time {
            object.millis(name, time);
        }
    }
    object.millis("duration_ms", record.time);
    object.end();
}

pub(super) fn of_allowed(allowed: &Allowed<'_>, subjects: &Subjects, line: &mut Vec<u8>) {
    let mut object = begin(line, allowed.at, "allowed");
    object.word("request_id", allowed.request_id);
    text(&mut object, "route", allowed.route);
    if let Some(caller) = allowed.caller {
        who(&mut object, caller, subjects);
    }
    object.text("mcp_method", allowed.method);
    object.objects("named", allowed.named, |object, (name, rule)| {
        text(object, "mcp_name", *name);
        if let Some(rule) = rule {
            object.number("rule", *rule);
        }
    });
    object.end();
}

pub(super) fn of_event(event: &Event<'_>, subjects: &Subjects, line: &mut Vec<u8>) {
    let mut object = begin(line, event.at, event.word);
    text(&mut object, "reason", event.reason);
    if let Some(address) = event.address {
        object.shown("client_address", address);
    }
    text(&mut object, "route", event.route);
    if let Some(caller) = event.caller {
        who(&mut object, caller, subjects);
    }
    if let Some(count) = event.count {
        object.number("count", count);
    }
    object.end();
}

/// The stream begins in this place: at a start, after a rotation. `torn`: the last line before had no end, whatever wrote it
/// was cut off.
pub(super) fn of_opening(torn: bool, previous: Option<&str>, line: &mut Vec<u8>) {
    let mut object = begin(line, SystemTime::now(), "audit.opened");
    object.text("version", env!("CARGO_PKG_VERSION"));
    object.truth("torn", torn);
    text(&mut object, "previous", previous);
    object.end();
}

fn begin<'a>(line: &'a mut Vec<u8>, time: SystemTime, event: &str) -> Object<'a> {
    let mut object = Object::begin(line);
    object.number("v", VERSION);
    // Microseconds tell the order within one gateway.
    object.time("time", time);
    object.word("event", event);
    object
}

fn text(object: &mut Object<'_>, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        object.text(name, value);
    }
}

/// A verified caller.
fn who(object: &mut Object<'_>, caller: &Caller, subjects: &Subjects) {
    object.text("issuer", caller.issuer().as_str());
    text(object, "subject", subjects.of(caller).as_deref());
    object.text(
        "subject_kind",
        match caller.kind() {
            Kind::User => "user",
            Kind::Service => "service",
        },
    );
    text(object, "client_id", caller.client().map(ClientId::as_str));
    text(object, "tenant", caller.tenant().map(TenantId::as_str));
    // As in its token.
    object.texts("scopes", caller.scopes().iter().map(Scope::as_str));
    text(object, "jti", caller.token_id());
}
