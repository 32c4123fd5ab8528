//! What the log says about an issuer's keys: every change once, a lasting failure once a minute.

use std::collections::HashSet;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::fetch::FetchError;
use super::jwks::SkippedKey;
use crate::names::Issuer;

/// A failure that lasts is told again after this.
const REPEAT: Duration = Duration::from_mins(1);

/// What has been told already.
#[derive(Debug, Default)]
pub(super) struct Report {
    failing: Option<(&'static str, Instant)>,
    skipped: HashSet<SkippedName>,
}

/// `kid` and reason.
type SkippedName = (Option<String>, &'static str);

impl Report {
    /// Warns when the failure is new, of another kind, or was last told a minute ago.
    pub(super) fn failed(&mut self, issuer: &Issuer, error: &FetchError, retry_in: Duration, now: Instant) {
        let reason = error.reason();
        let told = self.failing.is_some_and(|(last, at)| last == reason && now.duration_since(at) < REPEAT);
        if told {
            debug!(event = "jwks.fetch_failed", %issuer, reason, %error, ?retry_in);
            return;
        }
        warn!(event = "jwks.fetch_failed", %issuer, reason, %error, ?retry_in, "keys could not be fetched");
        self.failing = Some((reason, now));
    }

    /// Tells of changed keys, of the end of an outage, and of each key that cannot be used.
    pub(super) fn fetched(&mut self, issuer: &Issuer, keys: usize, changed: bool, skipped: &[SkippedKey]) {
        if changed {
            info!(event = "jwks.updated", %issuer, keys, "keys changed");
        } else if self.failing.is_some() {
            info!(event = "jwks.recovered", %issuer, keys, "keys can be fetched again");
        }
        self.failing = None;
        for key in self.not_yet_told(skipped) {
            let kid = key.kid.as_deref().unwrap_or("");
            warn!(event = "jwks.key_skipped", %issuer, kid = kid.escape_debug().to_string(), reason = key.reason, "a key cannot be used");
        }
    }

    /// Remembers just the keys of the newest set: as many as one set may hold.
    fn not_yet_told<'a>(&mut self, skipped: &'a [SkippedKey]) -> Vec<&'a SkippedKey> {
        let name = |key: &SkippedKey| (key.kid.clone(), key.reason);
        let new = skipped.iter().filter(|key| !self.skipped.contains(&name(key))).collect();
        self.skipped = skipped.iter().map(name).collect();
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_cannot_be_used_is_told_once() {
        let key = |kid: &str| SkippedKey { kid: Some(kid.into()), reason: "key.weak" };
        let mut report = Report::default();
        assert_eq!(report.not_yet_told(&[key("a"), key("b")]).len(), 2);
        assert_eq!(report.not_yet_told(&[key("a"), key("b"), key("c")]), [&key("c")]);
        assert!(report.not_yet_told(&[]).is_empty());
        assert_eq!(report.not_yet_told(&[key("a")]), [&key("a")]);
    }

    #[test]
    fn a_lasting_failure_is_told_once_a_minute_and_a_new_kind_at_once() {
        let issuer = Issuer::parse("https://idp.test").unwrap();
        let mut report = Report::default();
        let start = Instant::now();
        let mut at = |seconds: u64, error: &FetchError| {
            report.failed(&issuer, error, Duration::ZERO, start + Duration::from_secs(seconds));
            report.failing.unwrap().1.duration_since(start).as_secs()
        };
        let timeout = FetchError::Timeout(Duration::from_secs(5));
        assert_eq!(at(0, &timeout), 0);
        assert_eq!(at(59, &timeout), 0);
        assert_eq!(at(60, &timeout), 60);
        assert_eq!(at(61, &FetchError::NoDiscovery), 61);
        report.fetched(&issuer, 1, false, &[]);
        assert!(report.failing.is_none());
    }
}
