//! `/status`: how the gateway is, for people as one page and for machines as JSON. No secret, no subject, no token.

mod page;

use std::time::{Duration, Instant, SystemTime};

use jiff::Timestamp;
use serde::Serialize;

use crate::live::{Generation, Live};
use crate::request::route::Route;

use super::readiness::Readiness;

pub(super) use page::{page, policy};

/// Share of a cap from which on it is at its edge, in percent.
const EDGE: u64 = 80;

/// The whole answer.
#[derive(Serialize)]
pub(super) struct Status<'a> {
    version: &'static str,
    now: Timestamp,
    started: Timestamp,
    config: Config<'a>,
    listen: Listen,
    #[serde(flatten)]
    readiness: Readiness<'a>,
    resources: Vec<Protected<'a>>,
    /// The most frequent of the last 5 minutes first.
    refusals: Vec<Refusals>,
    caps: Vec<Cap>,
    suspicious: Vec<Suspicious>,
    blocked: Blocked,
    revocations: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    audit: Option<Audit>,
    log_lines_lost: usize,
}

#[derive(Serialize)]
struct Config<'a> {
    digest: &'a str,
    generation: u64,
    since: Timestamp,
    taken: u64,
    refused: u64,
    /// While nothing was taken since.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_refusal: Option<Refusal>,
}

#[derive(Serialize)]
struct Refusal {
    at: Timestamp,
    mistakes: Vec<String>,
}

#[derive(Serialize)]
struct Listen {
    address: String,
    admin: String,
    tls: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate_expires: Option<Timestamp>,
}

/// What a route protects.
#[derive(Serialize)]
struct Protected<'a> {
    route: &'a str,
    resource: String,
    upstream: String,
    issuers: Vec<&'a str>,
    event_streams: i64,
}

#[derive(Serialize)]
struct Refusals {
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<String>,
    reason: &'static str,
    last_5_minutes: u64,
    last_hour: u64,
}

/// Something bounded, and how much of it is used.
#[derive(Serialize)]
struct Cap {
    name: &'static str,
    used: u64,
    most: u64,
    at_edge: bool,
}

#[derive(Serialize)]
struct Suspicious {
    at: Timestamp,
    reason: &'static str,
    address: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
}

#[derive(Serialize)]
struct Blocked {
    addresses: usize,
    clients: usize,
}

#[derive(Serialize)]
struct Audit {
    written: u64,
    lost: u64,
    waiting: usize,
    failing: bool,
}

impl<'a> Status<'a> {
    /// As it is now.
    pub(super) fn new(live: &Live, generation: &'a Generation, draining: bool) -> Self {
        let handler = &generation.handler;
        let (metrics, now) = (&handler.metrics, Instant::now());
        let witnesses = &handler.witnesses;
        let (addresses, clients) = witnesses.detection.blocked(now);
        let refusals = metrics.recent().refusals(now).into_iter().map(|kind| Refusals {
            route: kind.route.map(|route| route.to_string()),
            reason: kind.reason,
            last_5_minutes: kind.last_5_minutes,
            last_hour: kind.last_hour,
        });
        let suspicious = witnesses.detection.recent().into_iter().map(|seen| Suspicious {
            at: timestamp(seen.at),
            reason: seen.pattern.reason(),
            address: seen.address.to_string(),
            client_id: seen.client,
        });
        let audit = witnesses.audit.as_ref().map(|audit| {
            let crate::audit::Status { written, lost, waiting, failing } = audit.status();
            Audit { written, lost, waiting, failing }
        });
        Self {
            version: env!("CARGO_PKG_VERSION"),
            now: timestamp(SystemTime::now()),
            started: timestamp(SystemTime::now() - metrics.uptime(now)),
            config: Config::new(live, generation),
            listen: Listen::new(generation),
            readiness: Readiness::new(generation, draining),
            resources: handler.routes.all().iter().map(|route| Protected::new(route, generation)).collect(),
            refusals: refusals.collect(),
            caps: caps(generation),
            suspicious: suspicious.collect(),
            blocked: Blocked { addresses, clients },
            revocations: handler.revocations.len(),
            audit,
            log_lines_lost: crate::telemetry::lost_lines(),
        }
    }
}

impl<'a> Config<'a> {
    fn new(live: &Live, generation: &'a Generation) -> Self {
        let reloads = live.reloads();
        Self {
            digest: &generation.digest,
            generation: generation.number,
            since: timestamp(generation.since),
            taken: reloads.taken,
            refused: reloads.refused,
            last_refusal: reloads.last_refusal.map(|(at, mistakes)| Refusal { at: timestamp(at), mistakes }),
        }
    }
}

impl Listen {
    fn new(generation: &Generation) -> Self {
        let expires = generation.tls.as_ref().and_then(|tls| tls.expires);
        Self {
            address: generation.listen.address.to_string(),
            admin: generation.admin.to_string(),
            tls: generation.tls.is_some(),
            certificate_expires: expires.and_then(|seconds| Timestamp::from_second(seconds).ok()),
        }
    }
}

impl<'a> Protected<'a> {
    fn new(route: &'a Route, generation: &'a Generation) -> Self {
        let issuers = route.config.issuers.iter().filter_map(|index| generation.issuers.get(*index));
        Self {
            route: route.config.name.as_str(),
            resource: route.config.resource.to_string(),
            upstream: route.config.upstream.url.to_string(),
            issuers: issuers.map(|(name, _)| name.as_str()).collect(),
            event_streams: route.series.event_streams(),
        }
    }
}

fn caps(generation: &Generation) -> Vec<Cap> {
    let (handler, limits) = (&generation.handler, &generation.listen.limits);
    let cap = |name, used: u64, most: u64| Cap { name, used, most, at_edge: used * 100 >= most * EDGE };
    let number = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let mut caps = vec![
        cap("connections", handler.metrics.open_connections(), number(limits.connections)),
        cap("buffered_bytes", number(handler.budgets.in_use()), limits.buffered_bytes),
        cap("verified_tokens", number(handler.authenticator.verified_tokens()), number(crate::request::MAX_TOKENS)),
    ];
    if let Some(audit) = &handler.witnesses.audit {
        let most = generation.watching.0.as_ref().map_or(0, |audit| audit.queue);
        caps.push(cap("audit_queue", number(audit.status().waiting), number(most)));
    }
    caps
}

/// To the second: nobody reads more.
fn timestamp(time: SystemTime) -> Timestamp {
    let time = Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH);
    time.round(jiff::Unit::Second).unwrap_or(time)
}

/// `3 d 4 h`, `12 min`: the two largest units.
fn ago(time: Duration) -> String {
    let seconds = time.as_secs();
    match (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}
