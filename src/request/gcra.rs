//! A bounded store for `governor`'s GCRA: its own keyed store grows until it is told to shed (threat D21).

use std::sync::{Mutex, PoisonError};

use governor::nanos::Nanos;
use governor::state::StateStore;

use super::counted::ByHash;

/// Locks are held for one map operation; this many of them let cores work side by side.
const SHARDS: usize = 16;
/// The bits of a key that choose its shard.
const SHARD_SHIFT: u32 = 40;

/// Arrival times by key, at most `capacity` of them; a key is a keyed hash of what is counted.
#[derive(Debug)]
pub(crate) struct BoundedStore {
    shards: [Mutex<ByHash<Nanos>>; SHARDS],
    capacity_per_shard: usize,
}

impl BoundedStore {
    /// Holds about `capacity` keys.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { shards: std::array::from_fn(|_| Mutex::default()), capacity_per_shard: capacity.div_ceil(SHARDS).max(1) }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner).len()).sum()
    }
}

impl StateStore for BoundedStore {
    type Key = u64;

    fn measure_and_replace<T, F, E>(&self, key: &u64, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        // Not by the bits that the tables go by.
        let at = usize::try_from((*key >> SHARD_SHIFT) % SHARDS as u64).unwrap_or(0);
        let Some(shard) = self.shards.get(at) else { return decide(None).map(|(outcome, _)| outcome) };
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        let known = shard.get(key).copied();
        let (outcome, next) = decide(known)?;
        if known.is_none() && shard.len() >= self.capacity_per_shard {
            shed(&mut shard);
        }
        shard.insert(*key, next);
        Ok(outcome)
    }
}

/// Drops the eighth of the keys whose theoretical arrival time is the oldest: idle keys first, then those that used least.
fn shed(shard: &mut ByHash<Nanos>) {
    let mut times: Vec<Nanos> = shard.values().copied().collect();
    let eighth = times.len() / 8;
    let (_, &mut limit, _) = times.select_nth_unstable(eighth);
    shard.retain(|_, time| *time > limit);
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use governor::clock::FakeRelativeClock;
    use governor::middleware::NoOpMiddleware;
    use governor::{Quota, RateLimiter};

    use super::*;

    #[test]
    fn d21_many_keys_do_not_grow_the_store_and_busy_keys_stay_limited() {
        let quota = Quota::per_minute(NonZeroU32::new(2).unwrap());
        let clock = FakeRelativeClock::default();
        let limiter: RateLimiter<u64, BoundedStore, FakeRelativeClock, NoOpMiddleware<_>> =
            RateLimiter::new(quota, BoundedStore::new(1600), clock);
        let busy = u64::MAX;
        for key in 0..100_000 {
            assert!(limiter.check_key(&key).is_ok());
            if key % 50 == 0 {
                while limiter.check_key(&busy).is_ok() {}
            }
        }
        // A key that used its burst has the newest time of all, so it is not the one that is dropped.
        assert!(limiter.check_key(&busy).is_err());
    }

    /// 16 bytes an entry, in tables that are between half and twice full, and once more of both while one grows.
    #[test]
    fn d21_a_million_keys_hold_under_128_bytes_for_each_that_is_remembered() {
        const KEYS: usize = 100_000;
        let quota = Quota::per_minute(NonZeroU32::new(2).unwrap());
        let mut limiter: Option<RateLimiter<u64, BoundedStore, FakeRelativeClock, NoOpMiddleware<_>>> = None;
        let mut keys = |from: u64, count: u64| {
            allocation_counter::measure(|| {
                let limiter = limiter.get_or_insert_with(|| {
                    RateLimiter::new(quota, BoundedStore::new(KEYS), FakeRelativeClock::default())
                });
                for key in from..from + count {
                    // Spread as hashes are.
                    assert!(limiter.check_key(&key.wrapping_mul(0x9e37_79b9_7f4a_7c15)).is_ok());
                }
            })
        };
        let (first, second) = (keys(0, 1_000_000), keys(1_000_000, 1_000_000));
        assert!(first.bytes_max < 128 * KEYS as u64, "{first:?}");
        assert!(first.bytes_current.unsigned_abs() > 16 * KEYS as u64, "the test sees what is held: {first:?}");
        // A shard's table may double in the second wave only: what counts is what both hold together.
        let both = first.bytes_current + second.bytes_current;
        assert!(both.unsigned_abs() < 128 * KEYS as u64, "more add nothing: {second:?}");
    }

    #[test]
    fn the_store_never_holds_more_than_its_capacity() {
        let store = BoundedStore::new(160);
        for key in 0..10_000u64 {
            let stored: Result<(), ()> = store.measure_and_replace(&key, |_| Ok(((), Nanos::from(key))));
            assert!(stored.is_ok() && store.len() <= 160);
        }
    }

    #[test]
    fn d21_the_idlest_eighth_gives_way_at_once_and_the_busiest_stay() {
        let store = BoundedStore::new(SHARDS * 80);
        // All of one shard. True where the key was known.
        let arrive = |key: u64| {
            let decide = |known: Option<Nanos>| Ok::<_, ()>((known.is_some(), Nanos::from(key)));
            store.measure_and_replace(&key, decide).unwrap()
        };
        assert!((0..80).all(|key| !arrive(key)) && store.len() == 80);
        assert!(!arrive(80));
        assert_eq!(store.len(), 70);
        assert!((11..=80).all(arrive));
        assert!((0..=10).all(|key| !arrive(key)));
    }
}
