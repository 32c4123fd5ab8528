//! A record as a line of the log; refusals that repeat are counted, and said once a second.

use std::borrow::Cow;
use std::collections::HashMap;
use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use quick_cache::DefaultHashBuilder;

use crate::audit::Subjects;
use crate::config::Log;
use crate::mcp::Era;
use crate::names::{ClientId, TenantId};
use crate::record::Record;

use super::audit::clip;
use crate::network::network_of;

/// The first refusal of a kind is written at once, those after it together once this is over (threats: once a second).
const PAUSE: Duration = Duration::from_secs(1);
/// Kinds that are counted at a time; others are written one by one.
const MAX_KINDS: usize = 4096;

/// What one peer was refused for.
type Kind = (IpAddr, &'static str);

/// See the module.
#[derive(Debug)]
pub(crate) struct RequestLog {
    /// Every refusal has its line, without counting repeats.
    every_refusal: AtomicBool,
    /// What was served to its end has a line too.
    served: AtomicBool,
    /// When each kind was last written, and how many came since.
    /// Hashed under a key, as fast as may be: the table is small, and nobody sees its hashes.
    repeats: Mutex<HashMap<Kind, (Instant, u64), DefaultHashBuilder>>,
}

impl RequestLog {
    pub(crate) fn new(settings: Log) -> Self {
        let (every_refusal, served) = (settings.every_refusal.into(), settings.served.into());
        Self { every_refusal, served, repeats: Mutex::default() }
    }

    /// After a reload.
    pub(crate) fn follow(&self, settings: Log) {
        self.every_refusal.store(settings.every_refusal, Ordering::Relaxed);
        self.served.store(settings.served, Ordering::Relaxed);
    }

    /// One event per request, in fixed fields.
    pub(crate) fn write(&self, record: &Record<'_>, subjects: &Subjects) {
        let is_written = match (record.event, record.reason) {
            ("refused", Some(reason)) if !self.every_refusal.load(Ordering::Relaxed) => {
                self.is_first((network_of(record.address()), reason), record.ended)
            }
            // A stream that ended with its token was served too, but has a reason.
            ("served", None) => self.served.load(Ordering::Relaxed),
            _ => true,
        };
        if is_written {
            write(record, subjects);
        }
    }

    /// A connection that is closed before its first request.
    pub(crate) fn connection(&self, reason: &'static str, peer: SocketAddr, error: Option<&(dyn Error + 'static)>) {
        if self.every_refusal.load(Ordering::Relaxed) || self.is_first((network_of(peer.ip()), reason), Instant::now())
        {
            tracing::info!(event = "refused", reason, peer = %peer, error, "connection refused");
        }
    }

    /// Writes what was counted and whose second is over. To be called about once a second.
    pub(crate) fn flush(&self, now: Instant) {
        for ((peer, reason), repeated) in self.over(now) {
            tracing::info!(
                target: "portcullis::request",
                event = "refused",
                reason,
                peer = %peer,
                repeated,
                "as often again within a second"
            );
        }
    }

    fn over(&self, now: Instant) -> Vec<(Kind, u64)> {
        let mut over = Vec::new();
        let mut repeats = self.repeats.lock().unwrap_or_else(PoisonError::into_inner);
        repeats.retain(|kind, (since, count)| {
            if now.saturating_duration_since(*since) < PAUSE {
                return true;
            }
            over.extend((*count > 0).then_some((*kind, *count)));
            (*since, *count) = (now, 0);
            over.last().is_some_and(|(last, _)| last == kind)
        });
        over
    }

    fn is_first(&self, kind: Kind, now: Instant) -> bool {
        let mut repeats = self.repeats.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, count)) = repeats.get_mut(&kind) {
            *count += 1;
            return false;
        }
        if repeats.len() < MAX_KINDS {
            repeats.insert(kind, (now, 0));
        }
        true
    }
}

fn write(record: &Record<'_>, subjects: &Subjects) {
    let identity = record.identity;
    let subject: Option<Cow<'_, str>> = identity.and_then(|identity| subjects.of(identity));
    tracing::info!(
        target: "portcullis::request",
        event = record.event,
        status = record.status.map(|status| status.as_u16()),
        reason = record.reason,
        detail = record.detail,
        request_id = record.request_id,
        trace_id = record.trace.trace_id_text(),
        peer = record.peer.text.as_str(),
        client_address = record.client_address_text().as_deref(),
        route = record.route,
        method = record.http_method,
        path = record.path,
        iss = identity.map(|identity| clip(identity.issuer().as_str())),
        sub = subject.as_deref().map(clip),
        client_id = identity.and_then(|identity| identity.client()).map(ClientId::as_str).map(clip),
        tenant = identity.and_then(|identity| identity.tenant()).map(TenantId::as_str).map(clip),
        jti = identity.and_then(|identity| identity.token_id()).map(clip),
        era = record.era.map(Era::as_str),
        mcp_method = record.mcp_method,
        mcp_name = record.mcp_name,
        rule = record.rule,
        received_bytes = record.received_bytes,
        sent_bytes = record.sent_bytes,
        upstream_ms = record.upstream_time.map(millis),
        duration_ms = millis(record.time),
    );
}

fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::LogFormat;

    fn counting() -> RequestLog {
        let (format, level) = (LogFormat::Json, tracing::Level::INFO);
        RequestLog::new(Log { format, level, every_refusal: false, served: true })
    }

    #[test]
    fn repeats_of_one_reason_from_one_peer_are_counted_and_said_once_a_second() {
        let (log, start) = (counting(), Instant::now());
        let kind = |last: u8, reason| (IpAddr::from([192, 0, 2, last]), reason);
        assert!(log.is_first(kind(1, "token.exp"), start));
        assert!(!log.is_first(kind(1, "token.exp"), start) && !log.is_first(kind(1, "token.exp"), start));
        assert!(log.is_first(kind(1, "token.aud"), start), "another reason");
        assert!(log.is_first(kind(2, "token.exp"), start), "another peer");
        assert_eq!(log.over(start + PAUSE / 2), []);
        assert_eq!(log.over(start + PAUSE), [(kind(1, "token.exp"), 2)]);
        assert!(!log.is_first(kind(1, "token.exp"), start + PAUSE), "they go on, so they are still counted");
        assert!(log.is_first(kind(2, "token.exp"), start + PAUSE));
        assert_eq!(log.over(start + PAUSE * 2), [(kind(1, "token.exp"), 1)]);
        assert_eq!(log.over(start + PAUSE * 3), []);
        assert!(log.repeats.lock().unwrap().is_empty(), "nothing is remembered of what is over");
    }

    #[test]
    fn times_are_milliseconds_to_the_microsecond() {
        let said = |nanos| millis(Duration::from_nanos(nanos)).to_string();
        assert_eq!([0, 1_234_499, 2_000_000_500].map(said), ["0", "1.234", "2000.001"]);
    }

    #[test]
    fn peers_without_end_are_not_remembered() {
        let log = counting();
        for number in 0..100_000_u32 {
            assert!(log.is_first((IpAddr::from(number.to_be_bytes()), "token.exp"), Instant::now()));
        }
        assert_eq!(log.repeats.lock().unwrap().len(), MAX_KINDS);
    }
}
