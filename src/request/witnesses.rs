//! Who is told of every request that has ended, and what they have against one that comes.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crate::audit::{AuditLog, CLEAR, Event};
use crate::detection::{Detection, Suspicion};
use crate::names::ClientId;
use crate::record::Record;
use crate::telemetry::Exporter;
use crate::token::Caller;

use super::audit::clip;
use super::log::RequestLog;
use super::reject::Rejection;

/// See the module. Metrics are counted by the route's own series.
#[derive(Debug)]
pub(crate) struct Witnesses {
    pub(crate) log: Arc<RequestLog>,
    pub(crate) audit: Option<Arc<AuditLog>>,
    pub(crate) exporter: Option<Arc<Exporter>>,
    pub(crate) detection: Arc<Detection>,
}

impl Witnesses {
    /// Whether a request from this address may be judged at all.
    pub(crate) fn hear_address(&self, address: IpAddr, now: Instant) -> Result<(), Rejection> {
        if self.audit.as_ref().is_some_and(|audit| audit.refuses()) {
            return Err(Rejection::Unrecorded);
        }
        let blocked = self.detection.blocks_address(address, now);
        blocked.map_or(Ok(()), |retry_after| Err(Rejection::Blocked { client: false, retry_after }))
    }

    /// Lets everything that waits go out, but takes no longer than this for each. Blocks.
    pub(crate) fn close(&self, most: Duration) {
        if let Some(audit) = &self.audit {
            audit.flush(most);
        }
        if let Some(exporter) = &self.exporter {
            exporter.close(most);
        }
    }

    fn suspects(&self, suspicion: &Suspicion<'_>) {
        let Suspicion { pattern, address, caller, route, count, blocked } = suspicion;
        tracing::warn!(
            event = "suspicious",
            reason = pattern.reason(),
            client_address = %address,
            iss = caller.map(|caller| caller.issuer().as_str()),
            client_id = caller.and_then(Caller::client).map(ClientId::as_str).map(clip),
            route,
            count,
            blocked_s = blocked.map(|time| time.as_secs()),
        );
        if let Some(audit) = &self.audit {
            let (at, reason, address) = (SystemTime::now(), Some(pattern.reason()), Some(*address));
            let (caller, route, count) = (*caller, *route, Some(*count));
            audit.event(&Event { at, word: "suspicious", reason, address, caller, route, count });
        }
    }

    /// Whether this verified caller may go on.
    pub(crate) fn hear_caller(&self, caller: &Caller, now: Instant) -> Result<(), Rejection> {
        let blocked = self.detection.blocks_client(caller, now);
        blocked.map_or(Ok(()), |retry_after| Err(Rejection::Blocked { client: true, retry_after }))
    }

    /// One request has ended.
    pub(crate) fn ended(&self, record: &Record<'_>) {
        self.log.write(record, self.audit.as_ref().map_or(&CLEAR, |audit| audit.subjects()));
        if let Some(audit) = &self.audit {
            audit.ended(record);
        }
        self.detection.ended(record, |suspicion| self.suspects(suspicion));
        if let Some(exporter) = &self.exporter {
            exporter.ended(record);
        }
    }
}
