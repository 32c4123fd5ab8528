//! When the next fetch is due, and whether somebody waits for it.

use std::time::Duration;

use tokio::time::Instant;

/// What `Retry-After` says while a fetch is under way.
pub(super) const SOON: Duration = Duration::from_secs(1);

/// Whose turn it is: what the loop and those who ask for a fetch tell each other. Held for a few instructions only.
#[derive(Debug)]
pub(super) struct Turn {
    /// A fetch is under way.
    pub(super) in_flight: bool,
    /// When the last fetch of any kind began.
    pub(super) started: Option<Instant>,
    /// Somebody asked for a fetch since then.
    pub(super) wanted: bool,
    /// When the next fetch is due unasked.
    pub(super) planned: Instant,
    /// Why the last fetch failed; `None`: it did not.
    pub(super) last_error: Option<&'static str>,
    /// Fetches that failed since the start.
    pub(super) failures: u64,
}

/// Why a fetch happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// Its time has come.
    Planned,
    /// A request needs keys that are not there.
    Asked,
}

impl Turn {
    /// Nothing happened yet: a fetch is due at once.
    pub(super) fn first(now: Instant) -> Self {
        Self { in_flight: false, started: None, wanted: false, planned: now, last_error: None, failures: 0 }
    }

    pub(super) fn cool_down_end(&self, cool_down: Duration) -> Option<Instant> {
        self.started.map(|started| started + cool_down)
    }

    pub(super) fn next(&self, cool_down: Duration) -> (Instant, Due) {
        let asked = self.cool_down_end(cool_down).filter(|_| self.wanted);
        match asked {
            Some(at) if at < self.planned => (at, Due::Asked),
            _ => (self.planned, Due::Planned),
        }
    }

    pub(super) fn retry_after(&self, cool_down: Duration, now: Instant) -> Duration {
        if self.in_flight {
            return SOON;
        }
        let (at, _) = self.next(cool_down);
        at.saturating_duration_since(now).max(SOON)
    }
}
