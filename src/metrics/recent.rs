//! Refusals of the last hour by minute: for `/status`, which shows what happens now.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::names::RouteName;

const MINUTE: Duration = Duration::from_mins(1);
/// An hour.
const MINUTES: usize = 60;

/// Route, if one was found, and reason: both from fixed sets, which bounds the table.
type Kind = (Option<RouteName>, &'static str);

/// See the module.
#[derive(Debug)]
pub(crate) struct Recent {
    started: Instant,
    minutes: Mutex<Minutes>,
}

#[derive(Debug)]
struct Minutes {
    /// The newest one, counted from the start.
    newest: u64,
    /// By minute, each in its place until an hour later another one takes it.
    counts: [HashMap<Kind, u64>; MINUTES],
}

/// Refusals of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusals {
    pub(crate) route: Option<RouteName>,
    pub(crate) reason: &'static str,
    pub(crate) last_5_minutes: u64,
    pub(crate) last_hour: u64,
}

impl Recent {
    pub(super) fn new(started: Instant) -> Self {
        let minutes = Minutes { newest: 0, counts: std::array::from_fn(|_| HashMap::new()) };
        Self { started, minutes: Mutex::new(minutes) }
    }

    /// One more.
    pub(super) fn refused(&self, route: Option<&RouteName>, reason: &'static str, now: Instant) {
        let mut minutes = self.until(now);
        let at = minutes.newest;
        if let Some(minute) = minutes.at(at) {
            *minute.entry((route.cloned(), reason)).or_insert(0) += 1;
        }
    }

    /// The most frequent of the last minutes first.
    pub(crate) fn refusals(&self, now: Instant) -> Vec<Refusals> {
        let mut minutes = self.until(now);
        let newest = minutes.newest;
        let mut found: HashMap<Kind, (u64, u64)> = HashMap::new();
        for age in 0..MINUTES as u64 {
            let Some(minute) = newest.checked_sub(age).and_then(|minute| minutes.at(minute)) else { break };
            for (kind, count) in minute {
                let (last_5, last_hour) = found.entry(kind.clone()).or_default();
                *last_5 += if age < 5 { *count } else { 0 };
                *last_hour += *count;
            }
        }
        let kinds = found.into_iter().map(|((route, reason), (last_5_minutes, last_hour))| Refusals {
            route,
            reason,
            last_5_minutes,
            last_hour,
        });
        let mut kinds: Vec<_> = kinds.collect();
        let order = |kind: &Refusals| {
            let route = kind.route.as_ref().map(|route| route.as_str().to_owned());
            (std::cmp::Reverse((kind.last_5_minutes, kind.last_hour)), route, kind.reason)
        };
        kinds.sort_by_key(order);
        kinds
    }

    /// Empties the minutes that have passed.
    fn until(&self, now: Instant) -> std::sync::MutexGuard<'_, Minutes> {
        let now = now.saturating_duration_since(self.started).as_secs() / MINUTE.as_secs();
        let mut minutes = self.minutes.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = now.saturating_sub(minutes.newest).min(MINUTES as u64);
        for age in 0..passed {
            if let Some(minute) = minutes.at(now - age) {
                minute.clear();
            }
        }
        minutes.newest = minutes.newest.max(now);
        minutes
    }
}

impl Minutes {
    fn at(&mut self, minute: u64) -> Option<&mut HashMap<Kind, u64>> {
        self.counts.get_mut(usize::try_from(minute % MINUTES as u64).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_counted_by_minute_and_forgotten_after_an_hour() {
        let start = Instant::now();
        let (recent, notes) = (Recent::new(start), RouteName::parse("notes").unwrap());
        let seen = |minutes: u32| {
            let found = recent.refusals(start + MINUTE * minutes);
            found.into_iter().map(|kind| (kind.reason, kind.last_5_minutes, kind.last_hour)).collect::<Vec<_>>()
        };
        recent.refused(Some(&notes), "token.exp", start);
        recent.refused(None, "route.none", start);
        recent.refused(Some(&notes), "token.exp", start + MINUTE * 4);
        assert_eq!(seen(4), [("token.exp", 2, 2), ("route.none", 1, 1)]);
        assert_eq!(seen(5), [("token.exp", 1, 2), ("route.none", 0, 1)]);
        assert_eq!(seen(59), [("token.exp", 0, 2), ("route.none", 0, 1)]);
        assert_eq!(seen(60), [("token.exp", 0, 1)]);
        assert_eq!(seen(64), []);
        recent.refused(Some(&notes), "token.exp", start + MINUTE * 1000);
        assert_eq!(seen(1000), [("token.exp", 1, 1)]);
    }
}
