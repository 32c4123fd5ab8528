//! Refusals of the last hour by minute: for `/status`, which shows what happens now.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::names::RouteName;

const MINUTE: Duration = Duration::from_mins(1);
/// An hour.
const MINUTES: usize = 60;

/// See the module.
#[derive(Debug)]
pub(crate) struct Recent {
    started: Instant,
    /// Names of the configuration, and none: that bounds the table.
    routes: Mutex<HashMap<Option<RouteName>, Arc<RouteRecent>>>,
}

/// Those of one route, or of what is addressed to none.
#[derive(Debug)]
pub(super) struct RouteRecent {
    started: Instant,
    minutes: Mutex<Minutes>,
}

#[derive(Debug)]
struct Minutes {
    /// The newest one, counted from the start.
    newest: u64,
    /// By minute, each in its place until an hour later another one takes it. Reasons are few, in a minute even fewer.
    counts: [Vec<(&'static str, u64)>; MINUTES],
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
        Self { started, routes: Mutex::default() }
    }

    /// A route's, the same over reloads.
    pub(super) fn of(&self, route: Option<&RouteName>) -> Arc<RouteRecent> {
        let mut routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || {
            let minutes = Minutes { newest: 0, counts: std::array::from_fn(|_| Vec::new()) };
            Arc::new(RouteRecent { started: self.started, minutes: Mutex::new(minutes) })
        };
        Arc::clone(routes.entry(route.cloned()).or_insert_with(new))
    }

    /// The most frequent of the last minutes first.
    pub(crate) fn refusals(&self, now: Instant) -> Vec<Refusals> {
        let routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut kinds: Vec<_> = routes.iter().flat_map(|(name, route)| route.refusals(name.as_ref(), now)).collect();
        let order = |kind: &Refusals| {
            let route = kind.route.as_ref().map(|route| route.as_str().to_owned());
            (std::cmp::Reverse((kind.last_5_minutes, kind.last_hour)), route, kind.reason)
        };
        kinds.sort_by_key(order);
        kinds
    }
}

impl RouteRecent {
    /// One more.
    pub(super) fn refused(&self, reason: &'static str, now: Instant) {
        let mut minutes = self.until(now);
        let at = minutes.newest;
        let Some(minute) = minutes.at(at) else { return };
        match minute.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, count)) => *count += 1,
            None => minute.push((reason, 1)),
        }
    }

    fn refusals(&self, name: Option<&RouteName>, now: Instant) -> Vec<Refusals> {
        let mut minutes = self.until(now);
        let newest = minutes.newest;
        let mut found: HashMap<&'static str, (u64, u64)> = HashMap::new();
        for age in 0..MINUTES as u64 {
            let Some(minute) = newest.checked_sub(age).and_then(|minute| minutes.at(minute)) else { break };
            for (reason, count) in minute {
                let (last_5, last_hour) = found.entry(reason).or_default();
                *last_5 += if age < 5 { *count } else { 0 };
                *last_hour += *count;
            }
        }
        let kinds = found.into_iter().map(|(reason, (last_5_minutes, last_hour))| Refusals {
            route: name.cloned(),
            reason,
            last_5_minutes,
            last_hour,
        });
        kinds.collect()
    }

    /// Empties the minutes that have passed.
    fn until(&self, now: Instant) -> MutexGuard<'_, Minutes> {
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
    fn at(&mut self, minute: u64) -> Option<&mut Vec<(&'static str, u64)>> {
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
        let (of_notes, of_none) = (recent.of(Some(&notes)), recent.of(None));
        of_notes.refused("token.exp", start);
        of_none.refused("route.none", start);
        recent.of(Some(&notes)).refused("token.exp", start + MINUTE * 4);
        assert_eq!(seen(4), [("token.exp", 2, 2), ("route.none", 1, 1)]);
        assert_eq!(seen(5), [("token.exp", 1, 2), ("route.none", 0, 1)]);
        assert_eq!(seen(59), [("token.exp", 0, 2), ("route.none", 0, 1)]);
        assert_eq!(seen(60), [("token.exp", 0, 1)]);
        assert_eq!(seen(64), []);
        of_notes.refused("token.exp", start + MINUTE * 1000);
        assert_eq!(seen(1000), [("token.exp", 1, 1)]);
    }
}
