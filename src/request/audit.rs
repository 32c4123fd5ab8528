//! One record per request, written and counted however the request ends. Never a token, never a body, never a query.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use http::{Method, StatusCode, Uri};

use crate::audit::Allowed;
use crate::head::Head;
use crate::mcp::{Era, Operation, Target};
use crate::metrics::{Ended, Open, RouteSeries};
use crate::names::RouteName;
use crate::network::PeerAddress;
use crate::record::Record;
use crate::text::Hex;
use crate::token::Identity;
use crate::trace::Trace;

use super::provenance::Peer;
use super::reject::Rejection;
use super::relay::{Over, RelayError};
use super::reply::Reply;
use super::route::Route;
use super::witnesses::Witnesses;

/// Longest text of a client that a record holds (threats: 256 bytes).
const MAX_TEXT_BYTES: usize = 256;

/// The record of one request. Dropping it writes it.
#[derive(Debug)]
pub(crate) struct Audit(Box<Known>);

#[derive(Debug)]
struct Known {
    began: SystemTime,
    started: Instant,
    witnesses: Arc<Witnesses>,
    trace: Trace,
    /// Counts the record, and what it says.
    series: Arc<RouteSeries>,
    _under_way: Open,
    request_id: Hex,
    peer: Arc<PeerAddress>,
    client_address: Option<IpAddr>,
    method: Method,
    uri: Uri,
    route: Option<RouteName>,
    identity: Option<Arc<Identity>>,
    asked: Option<Told>,
    era: Option<Era>,
    rule: Option<usize>,
    rejection: Option<Rejection>,
    detail: Option<String>,
    is_foreign_session: bool,
    is_off_hours: bool,
    status: Option<StatusCode>,
    /// Until the request went upstream.
    gateway: Option<Duration>,
    /// From there to the head of the answer.
    upstream: Option<Duration>,
    is_event_stream: bool,
    received: u64,
    sent: u64,
    end: End,
}

/// What is told of an operation: no more than that is kept, for an open stream keeps its record.
#[derive(Debug)]
struct Told {
    method: Box<str>,
    name: Option<Box<str>>,
}

impl Told {
    fn of(operation: &Operation, target: usize) -> Self {
        let name = operation.targets.get(target).map(|target| clip(&target.name).into());
        Self { method: clip(&operation.method).into(), name }
    }
}

/// How it ended when it was not refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Whole,
    /// An event stream whose token was over.
    Over(Over),
    ClientGone,
    Broken(RelayError),
}

impl Audit {
    /// Begins with what the head tells. Dropped before [`Audit::finish`], it says that the client left early.
    /// `series` counts what is addressed to no route.
    pub(crate) fn begin(peer: &Peer, request: &Head, series: &Arc<RouteSeries>, witnesses: &Arc<Witnesses>) -> Self {
        let mut trace = Trace::begin(&request.fields);
        if let Some(exporter) = &witnesses.exporter {
            exporter.sample(&mut trace);
        }
        Self(Box::new(Known {
            began: SystemTime::now(),
            started: Instant::now(),
            witnesses: Arc::clone(witnesses),
            trace,
            _under_way: series.request(),
            series: Arc::clone(series),
            request_id: Hex::of(fastrand::u128(..)),
            peer: Arc::clone(&peer.address),
            client_address: None,
            method: request.method.clone(),
            uri: request.uri.clone(),
            route: None,
            identity: None,
            asked: None,
            era: None,
            rule: None,
            rejection: None,
            detail: None,
            is_foreign_session: false,
            is_off_hours: false,
            status: None,
            gateway: None,
            upstream: None,
            is_event_stream: false,
            received: 0,
            sent: 0,
            end: End::ClientGone,
        }))
    }

    /// The request's id: in the record, in the response, upstream.
    pub(crate) fn request_id(&self) -> &str {
        self.0.request_id.as_str()
    }

    /// When it began: for all that is judged by the time before its body is read.
    pub(crate) fn started(&self) -> Instant {
        self.0.started
    }

    /// The other end of its connection.
    pub(crate) fn peer(&self) -> &PeerAddress {
        &self.0.peer
    }

    /// The trace that it belongs to.
    pub(crate) fn trace(&self) -> &Trace {
        &self.0.trace
    }

    /// The route that was found, and the client's address as far as proxies are believed.
    pub(crate) fn route(&mut self, route: &Route, client: IpAddr) {
        self.0.route = Some(route.config.name.clone());
        self.0.series = Arc::clone(&route.series);
        self.0.client_address = Some(client);
        self.0.is_off_hours = route.config.hours.as_ref().is_some_and(|hours| !hours.hold(self.0.began));
    }

    /// Who it is.
    pub(crate) fn identity(&mut self, identity: &Arc<Identity>) {
        self.0.identity = Some(Arc::clone(identity));
    }

    /// What was read of the request: the era that head and body agree on, and the size of the body.
    pub(crate) fn asked(&mut self, era: Era, bytes: u64) {
        (self.0.era, self.0.received) = (Some(era), bytes);
    }

    /// What is asked for; of several things the one that decided, by its index; and the rule, by its line in the configuration.
    pub(crate) fn decided(&mut self, operation: &Operation, target: usize, rule: Option<usize>) {
        self.0.asked = Some(Told::of(operation, target));
        self.0.rule = rule;
    }

    /// There is an audit stream, which is told of more than the record.
    pub(crate) fn has_stream(&self) -> bool {
        self.0.witnesses.audit.is_some()
    }

    /// These things, each with its rule, are some of several that may go upstream. False when it cannot be told, and so must not.
    pub(crate) fn allowed(&self, method: &str, things: &[(Option<&Target>, Option<usize>)]) -> bool {
        let Known { witnesses, request_id, route, identity, .. } = &*self.0;
        let Some(log) = &witnesses.audit else { return true };
        let named: Vec<_> =
            things.iter().map(|(target, rule)| (target.map(|target| clip(&target.name)), *rule)).collect();
        log.allowed(&Allowed {
            at: SystemTime::now(),
            request_id: request_id.as_str(),
            route: route.as_ref().map(RouteName::as_str),
            caller: identity.as_deref().map(|identity| &**identity),
            method: clip(method),
            named: &named,
        })
    }

    /// What the operator should know beyond the reason; no secret, no text of the client.
    pub(crate) fn detail(&mut self, detail: impl std::fmt::Display) {
        self.0.detail = Some(clip(&detail.to_string()).to_owned());
    }

    /// The session is another caller's.
    pub(crate) fn foreign_session(&mut self) {
        self.0.is_foreign_session = true;
    }

    /// It goes upstream.
    pub(crate) fn upstream_asked(&mut self) {
        self.0.gateway = Some(self.0.started.elapsed());
    }

    /// The upstream's head came.
    pub(crate) fn upstream_answered(&mut self) {
        self.0.upstream = self.0.gateway.map(|gateway| self.0.started.elapsed().saturating_sub(gateway));
    }

    /// Refused.
    pub(crate) fn refused(&mut self, rejection: Rejection) {
        self.0.rejection = Some(rejection);
    }

    /// Goes with the response body; the record is written when that is gone.
    pub(crate) fn finish(mut self, mut reply: Reply) -> Reply {
        self.0.status = Some(reply.status);
        self.0.end = End::Whole;
        self.0.is_event_stream = reply.body.is_event_stream();
        reply.body.set_audit(self);
        reply
    }

    /// Bytes of the response body that went out.
    pub(crate) fn sent(&mut self, bytes: usize) {
        self.0.sent += bytes as u64;
        self.0.series.sent(bytes);
    }

    /// The response body broke.
    pub(crate) fn broken(&mut self, error: RelayError) {
        self.0.end = End::Broken(error);
    }

    /// The stream was ended with its token.
    pub(crate) fn over(&mut self, over: Over) {
        self.0.end = End::Over(over);
    }

    /// The client left before the body's end.
    pub(crate) fn client_gone(&mut self) {
        if self.0.end == End::Whole {
            self.0.end = End::ClientGone;
        }
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        let record = self.0.told();
        self.0.count(&record);
        self.0.witnesses.ended(&record);
    }
}

impl Known {
    fn told(&self) -> Record<'_> {
        let ended = Instant::now();
        let reason = match (&self.rejection, self.end) {
            (Some(rejection), _) => Some(rejection.reason()),
            (None, End::Whole) => None,
            (None, End::Over(Over::Expired)) => Some("stream.expired"),
            (None, End::Over(Over::Revoked)) => Some("stream.revoked"),
            (None, End::ClientGone) => Some("stream.client_gone"),
            (None, End::Broken(error)) => Some(error.reason()),
        };
        let event = match (&self.rejection, self.end) {
            (Some(_), _) => "refused",
            (None, End::Whole | End::Over(_)) => "served",
            (None, End::ClientGone | End::Broken(_)) => "broken_off",
        };
        Record {
            began: self.began,
            event,
            reason,
            detail: self.detail.as_deref(),
            request_id: self.request_id.as_str(),
            trace: &self.trace,
            peer: &self.peer,
            client_address: self.client_address,
            route: self.route.as_ref().map(RouteName::as_str),
            http_method: clip(self.method.as_str()),
            path: clip(self.uri.path()),
            identity: self.identity.as_deref(),
            era: self.era,
            mcp_method: self.asked.as_ref().map(|asked| &*asked.method),
            mcp_name: self.asked.as_ref().and_then(|asked| asked.name.as_deref()),
            rule: self.rule,
            scopes_asked: self.rejection.as_ref().and_then(Rejection::scopes_asked),
            is_foreign_session: self.is_foreign_session,
            is_off_hours: self.is_off_hours,
            status: self.status,
            is_event_stream: self.is_event_stream,
            received_bytes: self.received,
            sent_bytes: self.sent,
            gateway_time: self.gateway,
            upstream_time: self.upstream,
            time: ended.saturating_duration_since(self.started),
            ended,
        }
    }

    fn count(&self, record: &Record<'_>) {
        self.series.ended(&Ended {
            era: record.era,
            status: record.status,
            outcome: record.event,
            reason: record.reason.unwrap_or(""),
            is_event_stream: record.is_event_stream,
            at: record.ended,
            time: record.time,
            gateway: record.gateway_time,
            upstream: record.upstream_time,
        });
    }
}

pub(super) fn clip(text: &str) -> &str {
    text.get(..text.floor_char_boundary(MAX_TEXT_BYTES)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mcp::TargetKind;

    #[test]
    fn no_more_is_kept_of_an_operation_than_is_told() {
        let target = |name: &str| Target { kind: TargetKind::Resource, name: name.into() };
        let targets = (0..256).map(|_| target(&"é".repeat(2048))).collect();
        let told = Told::of(&Operation { method: "subscriptions/listen".into(), targets }, 255);
        assert_eq!((&*told.method, told.name.as_deref()), ("subscriptions/listen", Some(&*"é".repeat(128))));
    }

    #[test]
    fn long_texts_are_clipped_between_characters() {
        assert_eq!(clip("short"), "short");
        let long = "é".repeat(200);
        assert_eq!(clip(&long).len(), 256);
        assert_eq!(clip(&format!("a{long}")).len(), 255);
    }
}
