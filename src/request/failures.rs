//! How many refused tokens one address may present: a budget that fills up again with time (GCRA).

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use quick_cache::sync::{Cache, EntryAction, EntryResult};
use tokio::time::Instant;

use crate::network::network_of;

/// Networks that are remembered; over it the longest idle ones are forgotten.
const MAX_NETWORKS: usize = 100_000;

/// The budget of every address. Only networks that failed lately take memory.
#[derive(Debug)]
pub(crate) struct FailureBudget {
    /// What it was made of.
    made_of: (NonZeroU32, Duration),
    /// Whole budget, and the time in which it fills up again, in nanoseconds.
    window: u64,
    /// What one failure takes of it.
    cost: u64,
    /// Where the debts' clock starts (monotonic, threat O11).
    started: Instant,
    /// When each network's debt is paid.
    debts: Cache<IpAddr, u64>,
}

impl FailureBudget {
    /// `failures` at once, and as many again in every `window`.
    pub(crate) fn new(failures: NonZeroU32, window: Duration, started: Instant) -> Self {
        let made_of = (failures, window);
        let window = nanoseconds(window).max(1);
        Self {
            made_of,
            window,
            cost: (window / u64::from(failures.get())).max(1),
            started,
            debts: Cache::new(MAX_NETWORKS),
        }
    }

    /// True when it is of this size.
    pub(crate) fn is(&self, failures: NonZeroU32, window: Duration) -> bool {
        self.made_of == (failures, window)
    }

    /// Whether the address has budget left; if not, after what time it has again.
    pub(crate) fn check(&self, peer: IpAddr, now: Instant) -> Result<(), Duration> {
        let Some(paid_at) = self.debts.get(&network_of(peer)) else {
            return Ok(());
        };
        let limit = self.clock(now).saturating_add(self.window);
        match paid_at.saturating_add(self.cost).saturating_sub(limit) {
            0 => Ok(()),
            missing => Err(Duration::from_nanos(missing)),
        }
    }

    /// Takes one failure off the address's budget.
    pub(crate) fn charge(&self, peer: IpAddr, now: Instant) {
        let now = self.clock(now);
        // Requests that were let in together cannot push the debt over the whole budget.
        let add = |paid_at: u64| paid_at.max(now).saturating_add(self.cost).min(now.saturating_add(self.window));
        let entry = self.debts.entry(&network_of(peer), None, |_, paid_at| {
            *paid_at = add(*paid_at);
            EntryAction::Retain(())
        });
        if let EntryResult::Vacant(place) = entry {
            // An error says that somebody was faster: one failure less, nothing worse.
            place.insert(add(0)).ok();
        }
    }

    fn clock(&self, now: Instant) -> u64 {
        nanoseconds(now.saturating_duration_since(self.started))
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn budget(failures: u32, window: u64) -> (FailureBudget, Instant) {
        let start = Instant::now();
        let failures = NonZeroU32::new(failures).unwrap();
        (FailureBudget::new(failures, Duration::from_secs(window), start), start)
    }

    #[test]
    fn d20_a_spent_budget_fills_up_again_with_time() {
        let (budget, start) = budget(10, 60);
        let peer = address("192.0.2.1");
        for _ in 0..10 {
            assert_eq!(budget.check(peer, start), Ok(()));
            budget.charge(peer, start);
        }
        assert_eq!(budget.check(peer, start), Err(Duration::from_secs(6)));
        assert_eq!(budget.check(address("192.0.2.2"), start), Ok(()), "a neighbour's budget is its own");

        let later = start + Duration::from_secs(6);
        assert_eq!(budget.check(peer, later), Ok(()));
        budget.charge(peer, later);
        assert_eq!(budget.check(peer, later), Err(Duration::from_secs(6)));
        assert_eq!(budget.check(peer, start + Duration::from_secs(66)), Ok(()));
    }

    #[test]
    fn a_budget_is_only_that_of_its_own_size() {
        let (budget, _) = budget(10, 60);
        let is = |failures, window| budget.is(NonZeroU32::new(failures).unwrap(), Duration::from_secs(window));
        assert!(is(10, 60) && !is(11, 60) && !is(10, 61) && !is(11, 61));
    }

    #[test]
    fn failures_of_requests_let_in_together_cost_no_more_than_the_whole_budget() {
        let (budget, start) = budget(10, 60);
        let peer = address("192.0.2.1");
        for _ in 0..1000 {
            budget.charge(peer, start);
        }
        assert_eq!(budget.check(peer, start), Err(Duration::from_secs(6)));
    }

    #[test]
    fn ipv6_senders_count_by_their_network_and_mapped_ipv4_as_ipv4() {
        assert_eq!(network_of(address("2001:db8:1:2:3:4:5:6")), address("2001:db8:1:2::"));
        assert_eq!(network_of(address("2001:db8:1:2::")), network_of(address("2001:db8:1:2:ffff::1")));
        assert_ne!(network_of(address("2001:db8:1:2::1")), network_of(address("2001:db8:1:3::1")));
        assert_eq!(network_of(address("::ffff:192.0.2.1")), address("192.0.2.1"));
        assert_eq!(network_of(address("192.0.2.1")), address("192.0.2.1"));
    }

    #[test]
    fn d21_a_million_addresses_hold_under_256_bytes_for_each_that_is_remembered() {
        let mut budget = None;
        let mut charge = |from: u128, count: u128| {
            allocation_counter::measure(|| {
                let (budget, start) = budget.get_or_insert_with(|| self::budget(10, 60));
                for number in from..from + count {
                    budget.charge(IpAddr::from((number << 64).to_be_bytes()), *start);
                }
            })
        };
        let (first, second) = (charge(0, 1_000_000), charge(1_000_000, 300_000));
        assert!(first.bytes_max < 256 * MAX_NETWORKS as u64, "{first:?}");
        assert!(first.bytes_current.unsigned_abs() > 24 * MAX_NETWORKS as u64, "the test sees what is held: {first:?}");
        // A table may come to its last size late. Without a bound, 1.3 million entries would take twice this at the least.
        let held = (first.bytes_current + second.bytes_current).unsigned_abs();
        assert!(held < 256 * MAX_NETWORKS as u64, "more add nothing: {first:?} {second:?}");
    }

    #[test]
    fn d21_memory_is_bounded_whatever_the_number_of_addresses() {
        let (budget, start) = budget(10, 60);
        for number in 0..150_000_u32 {
            budget.charge(IpAddr::from(number.to_be_bytes()), start);
        }
        assert!(budget.debts.len() <= MAX_NETWORKS);
        assert!(budget.debts.memory_used().total() < 16 * 1024 * 1024, "{:?}", budget.debts.memory_used());
    }
}
