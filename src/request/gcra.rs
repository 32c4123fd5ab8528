//! Rates that fill up again with time (GCRA), by key, in bounded memory (threat D21).

use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::counted::ByHash;

/// Locks are held for one map operation; this many of them let cores work side by side.
const SHARDS: usize = 16;
/// The bits of a key that choose its shard: the table in it goes by the lowest and the highest ones.
const SHARD_SHIFT: u32 = 32;

/// Theoretical arrival times by key, in nanoseconds since the start; a key is a keyed hash of what is counted.
#[derive(Debug)]
pub(crate) struct Rates {
    started: Instant,
    /// What one unit takes, and what may be taken at once beyond the first one.
    unit: u64,
    tolerance: u64,
    shards: [Mutex<ByHash<u64>>; SHARDS],
    capacity_per_shard: usize,
}

/// Why nothing was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spent {
    /// There is enough again after this.
    For(Duration),
    /// There is never so much at once.
    Unpayable,
}

impl Rates {
    /// One unit more in every `interval`, up to `burst`; holds about `capacity` keys.
    pub(crate) fn new(interval: Duration, burst: NonZeroU32, capacity: usize, started: Instant) -> Self {
        let unit = nanoseconds(interval).max(1);
        Self {
            started,
            unit,
            tolerance: unit.saturating_mul(u64::from(burst.get() - 1)),
            shards: std::array::from_fn(|_| Mutex::default()),
            capacity_per_shard: capacity.div_ceil(SHARDS).max(1),
        }
    }

    /// Takes so many units, all or nothing; gives what is left.
    pub(crate) fn take(&self, key: u64, units: NonZeroU32, now: Instant) -> Result<u32, Spent> {
        let more = self.unit.saturating_mul(u64::from(units.get() - 1));
        if more > self.tolerance {
            return Err(Spent::Unpayable);
        }
        let now = nanoseconds(now.saturating_duration_since(self.started));
        let at = usize::try_from((key >> SHARD_SHIFT) % SHARDS as u64).unwrap_or(0);
        let shard = self.shards.get(at).ok_or(Spent::Unpayable)?;
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        let known = shard.get_mut(&key);
        let arrival = known.as_deref().map_or(now, |arrival| now.max(*arrival));
        let earliest = arrival.saturating_add(more).saturating_sub(self.tolerance);
        if now < earliest {
            return Err(Spent::For(Duration::from_nanos(earliest - now)));
        }
        let next = arrival.saturating_add(self.unit).saturating_add(more);
        if let Some(known) = known {
            *known = next;
        } else {
            if shard.len() >= self.capacity_per_shard {
                shed(&mut shard);
            }
            shard.insert(key, next);
        }
        let left = (now.saturating_add(self.tolerance).saturating_add(self.unit)).saturating_sub(next) / self.unit;
        Ok(u32::try_from(left).unwrap_or(u32::MAX))
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner).len()).sum()
    }
}

/// Drops the eighth of the keys whose theoretical arrival time is the oldest: idle keys first, then those that used least.
fn shed(shard: &mut ByHash<u64>) {
    let mut times: Vec<u64> = shard.values().copied().collect();
    let eighth = times.len() / 8;
    let (_, &mut limit, _) = times.select_nth_unstable(eighth);
    shard.retain(|_, time| *time > limit);
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn units(units: u32) -> NonZeroU32 {
        NonZeroU32::new(units).unwrap()
    }

    /// Two at once, and one more every 30 seconds.
    fn two_per_minute(capacity: usize) -> (Rates, Instant) {
        let start = Instant::now();
        (Rates::new(30 * SECOND, units(2), capacity, start), start)
    }

    /// Spread as hashes are.
    fn hash(key: u64) -> u64 {
        key.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    #[test]
    fn a_rate_fills_up_again_with_time_and_says_what_is_left() {
        let start = Instant::now();
        let rates = Rates::new(SECOND, units(3), 160, start);
        let take = |cost, seconds| rates.take(7, units(cost), start + SECOND * seconds);
        assert_eq!([take(1, 0), take(1, 0), take(1, 0)], [Ok(2), Ok(1), Ok(0)]);
        assert_eq!(take(1, 0), Err(Spent::For(SECOND)), "and nothing is taken");
        assert_eq!(take(2, 1), Err(Spent::For(SECOND)), "all or nothing");
        assert_eq!([take(1, 1), take(2, 3)], [Ok(0), Ok(0)]);
        assert_eq!([take(1, 100), take(2, 100)], [Ok(2), Ok(0)], "never more than the burst");
        assert_eq!(rates.take(8, units(3), start), Ok(0), "another key has its own");
        assert_eq!(rates.take(9, units(4), start), Err(Spent::Unpayable));
    }

    #[test]
    fn a_request_that_began_before_another_takes_no_less() {
        let start = Instant::now();
        let rates = Rates::new(SECOND, units(2), 160, start);
        assert_eq!(rates.take(7, units(2), start + SECOND * 9), Ok(0));
        assert_eq!(rates.take(7, units(1), start + SECOND * 8), Err(Spent::For(2 * SECOND)));
    }

    #[test]
    fn d21_many_keys_do_not_grow_the_store_and_busy_keys_stay_limited() {
        let (rates, now) = two_per_minute(1600);
        let busy = u64::MAX;
        for key in 0..100_000 {
            assert!(rates.take(hash(key), units(1), now).is_ok());
            if key % 50 == 0 {
                while rates.take(busy, units(1), now).is_ok() {}
            }
        }
        // A key that used its burst has the newest time of all, so it is not the one that is dropped.
        assert!(rates.take(busy, units(1), now).is_err());
    }

    /// 16 bytes an entry, in tables that are between half and twice full, and once more of both while one grows.
    #[test]
    fn d21_a_million_keys_hold_under_128_bytes_for_each_that_is_remembered() {
        const KEYS: usize = 100_000;
        let mut rates = None;
        let mut keys = |from: u64, count: u64| {
            allocation_counter::measure(|| {
                let (rates, now) = rates.get_or_insert_with(|| two_per_minute(KEYS));
                for key in from..from + count {
                    assert!(rates.take(hash(key), units(1), *now).is_ok());
                }
            })
        };
        let (first, second) = (keys(0, 1_000_000), keys(1_000_000, 300_000));
        assert!(first.bytes_max < 128 * KEYS as u64, "{first:?}");
        assert!(first.bytes_current.unsigned_abs() > 16 * KEYS as u64, "the test sees what is held: {first:?}");
        // A table may come to its last size late. Without a bound, 1.3 million entries would take over twice this.
        let held = (first.bytes_current + second.bytes_current).unsigned_abs();
        assert!(held < 128 * KEYS as u64, "more add nothing: {first:?} {second:?}");
    }

    #[test]
    fn no_more_keys_are_held_than_the_capacity() {
        let (rates, now) = two_per_minute(160);
        for key in 0..10_000 {
            assert!(rates.take(hash(key), units(1), now).is_ok() && rates.len() <= 160);
        }
    }

    #[test]
    fn d21_the_idlest_eighth_gives_way_at_once_and_the_busiest_stay() {
        let (rates, start) = two_per_minute(SHARDS * 80);
        // All of one shard, and none of them idle long enough to have its burst again.
        let arrive = |key: u32| rates.take(u64::from(key), units(1), start + Duration::from_millis(1) * key).unwrap();
        let is_known = |key: u32| rates.shards[0].lock().unwrap().contains_key(&u64::from(key));
        (0..80).for_each(|key| _ = arrive(key));
        assert_eq!(rates.len(), 80);
        arrive(80);
        assert_eq!(rates.len(), 70);
        assert!((11..=80).all(is_known));
        assert!(!(0..=10).any(is_known));
    }
}
