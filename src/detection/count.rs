//! Counts per key and window, in bounded memory.

use std::time::{Duration, Instant};

use quick_cache::sync::{Cache, EntryAction, EntryResult};

/// Keys that are counted at a time; over it the longest unused are forgotten.
const MAX_KEYS: usize = 100_000;

/// See the module.
#[derive(Debug)]
pub(super) struct Counts {
    window: Duration,
    counts: Cache<u64, Count>,
}

#[derive(Debug, Clone, Copy)]
struct Count {
    since: Instant,
    count: u32,
}

impl Counts {
    pub(super) fn new(window: Duration) -> Self {
        Self { window, counts: Cache::new(MAX_KEYS) }
    }

    /// The count, when this one reaches the threshold: once per window.
    pub(super) fn one_more(&self, key: u64, threshold: u32, now: Instant) -> Option<u32> {
        let entry = self.counts.entry(&key, None, |_, count: &mut Count| {
            if now.saturating_duration_since(count.since) >= self.window {
                *count = Count { since: now, count: 0 };
            }
            count.count = count.count.saturating_add(1);
            EntryAction::Retain(count.count)
        });
        let count = match entry {
            EntryResult::Retained(count) => count,
            EntryResult::Vacant(place) => {
                // An error says that somebody was faster: one less, nothing worse.
                place.insert(Count { since: now, count: 1 }).ok();
                1
            }
            EntryResult::Removed(..) | EntryResult::Replaced(..) | EntryResult::Timeout => return None,
        };
        (count == threshold).then_some(count)
    }

    pub(super) fn forget(&self, key: u64) {
        self.counts.remove(&key);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.counts.len()
    }
}
