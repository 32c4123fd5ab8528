//! Identity + quotas → [`Admission`]: within its rates, its open streams counted.

use std::cmp::Reverse;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::{Quota, RateLimiter};
use http::{HeaderName, HeaderValue};

use crate::config::{Limit, LimitKey, Quota as QuotaRule};
use crate::head::Lines;
use crate::token::Identity;

use super::authorize::Entitled;
use super::counted::{AsItIs, Counted, Place};
use super::gcra::BoundedStore;
use super::reject::{Rejection, whole_seconds};

/// Identities that one limit remembers; idle ones are dropped first.
const MAX_KEYS: usize = 100_000;
/// Requests and streams that one subject may have open, through whatever clients, where the route does not say.
const DEFAULT_STREAMS: NonZeroU32 = NonZeroU32::new(1000).unwrap();
/// When a caller at its limit of open streams may try again: nobody knows when one of them ends.
const STREAM_RETRY: Duration = Duration::from_secs(1);

const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Proves that its owner is within quota. Held until the response body ends: then its streams are free again.
#[derive(Debug)]
pub(crate) struct Admission {
    entitled: Entitled,
    _streams: Vec<Place<u64, AsItIs>>,
}

impl Admission {
    /// Who was admitted.
    pub(crate) fn identity(&self) -> &Arc<Identity> {
        self.entitled.identity()
    }
}

/// What one request's operations cost, beyond the one that every request costs at once.
#[derive(Debug, Default)]
pub(crate) struct Charge<'a> {
    /// In all, for limits that do not name a tool.
    cost: u32,
    /// For each tool that is called.
    tools: Vec<(&'a str, NonZeroU32)>,
}

impl<'a> Charge<'a> {
    /// One more operation.
    pub(crate) fn add(&mut self, cost: NonZeroU32, tool: Option<&'a str>) {
        self.cost = self.cost.saturating_add(cost.get());
        self.tools.extend(tool.map(|tool| (tool, cost)));
    }
}

/// What a caller is told about its rates, on every answer of a route that has limits.
#[derive(Debug, Default)]
pub(crate) struct RateFields {
    policy: Option<HeaderValue>,
    /// Of each limit that was charged: its name, what is left, when it is refilled.
    states: Vec<(Arc<str>, u32, Option<Duration>)>,
}

impl RateFields {
    /// Appends to what an upstream says of its own limits; never replaces it.
    pub(crate) fn write(&self, lines: &mut Lines) {
        let mut states = String::with_capacity(ROOM_FOR_STATE * self.states.len());
        for (name, left, wait) in &self.states {
            let separator = if states.is_empty() { "\"" } else { ", \"" };
            states.extend([separator, name, "\";r=", itoa::Buffer::new().format(*left)]);
            if let Some(wait) = wait {
                states.extend([";t=", itoa::Buffer::new().format(whole_seconds(*wait))]);
            }
        }
        if let Some(policy) = &self.policy {
            lines.push(&RATELIMIT_POLICY, policy);
        }
        if !states.is_empty() {
            lines.push_text(&RATELIMIT, &[&states]);
        }
    }

    /// A limit that is charged again says its newest state.
    fn tell(&mut self, name: &Arc<str>, left: u32, wait: Option<Duration>) {
        self.states.retain(|(other, ..)| other != name);
        self.states.push((Arc::clone(name), left, wait));
    }
}

/// Of one limit in `RateLimit`, rarely more.
const ROOM_FOR_STATE: usize = 40;

/// The limits of one route, compiled.
#[derive(Debug)]
pub(crate) struct RouteLimits {
    /// The narrowest first.
    rates: Vec<Arc<Rate>>,
    streams: Vec<Arc<Streams>>,
    /// `RateLimit-Policy` never changes.
    policy: Option<HeaderValue>,
    hasher: KeyHasher,
}

#[derive(Debug)]
struct Rate {
    name: Arc<str>,
    /// What it was made of.
    limit: Limit,
    window: Duration,
    limiter: RateLimiter<u64, BoundedStore, DefaultClock, StateInformationMiddleware>,
}

impl Rate {
    fn new(limit: &Limit, quota: Quota, window: Duration) -> Self {
        let limiter = RateLimiter::new(quota, BoundedStore::new(MAX_KEYS), DefaultClock::default());
        Self { name: name_of(&limit.per).into(), limit: limit.clone(), window, limiter }
    }

    /// The more, the fewer callers share it.
    fn narrowness(&self) -> u32 {
        let of = |key: &LimitKey| match key {
            LimitKey::Route => 0,
            LimitKey::Tenant | LimitKey::Tool => 1,
            LimitKey::Client => 2,
            LimitKey::Subject => 3,
        };
        self.limit.per.iter().map(of).sum()
    }

    fn names_tool(&self) -> bool {
        self.limit.per.contains(&LimitKey::Tool)
    }
}

impl RouteLimits {
    /// Limits without `streams` get the default one: no caller may open streams without end.
    /// What was counted under a limit that is the same in `before` still counts.
    pub(crate) fn new(limits: &[Limit], before: Option<&Self>) -> Self {
        let hasher = before.map(|before| before.hasher.clone()).unwrap_or_default();
        let mut compiled = Self { rates: Vec::new(), streams: Vec::new(), policy: None, hasher };
        let mut policies = Vec::new();
        for limit in limits {
            match limit.quota {
                QuotaRule::Rate { requests, window, burst } => {
                    policies.push(format!("\"{}\";q={requests};w={}", name_of(&limit.per), whole_seconds(window)));
                    let kept = before.and_then(|before| before.rates.iter().find(|rate| rate.limit == *limit));
                    let made = || Arc::new(Rate::new(limit, quota(requests, window, burst), window));
                    compiled.rates.push(kept.map_or_else(made, Arc::clone));
                }
                QuotaRule::Streams(most) => compiled.streams.push(Streams::like(&limit.per, most, before)),
            }
        }
        if compiled.streams.is_empty() {
            compiled.streams.push(Streams::like(&[LimitKey::Subject], DEFAULT_STREAMS, before));
        }
        // What a narrow limit refuses must not be taken from those who share a wide one.
        compiled.rates.sort_by_key(|rate| Reverse(rate.narrowness()));
        compiled.policy = (!policies.is_empty()).then(|| crate::headers::from_ascii(policies.join(", ")));
        compiled
    }

    /// Charges one request and counts one open stream. `fields` is filled whatever the outcome.
    pub(crate) fn admit(&self, entitled: Entitled, fields: &mut RateFields) -> Result<Admission, Rejection> {
        fields.policy.clone_from(&self.policy);
        // Places come back by themselves when a rate refuses; what was charged would not.
        let permits =
            self.streams.iter().map(|streams| streams.take(self.hasher.key(&streams.per, entitled.identity(), None)));
        let streams = permits.collect::<Option<_>>().ok_or(Rejection::StreamLimit { retry_after: STREAM_RETRY })?;
        let by_head = self.rates().filter(|rate| !rate.names_tool());
        charge(
            by_head.map(|rate| (rate, self.hasher.key(&rate.limit.per, entitled.identity(), None), NonZeroU32::MIN)),
            fields,
        )?;
        Ok(Admission { entitled, _streams: streams })
    }

    fn rates(&self) -> impl Iterator<Item = &Rate> {
        self.rates.iter().map(Arc::as_ref)
    }

    /// Charges what was read from the body: limits by tool, and what rules make dearer than one request.
    pub(crate) fn charge_operations(
        &self,
        admission: &Admission,
        operations: &Charge<'_>,
        fields: &mut RateFields,
    ) -> Result<(), Rejection> {
        let key = |rate: &Rate, tool| self.hasher.key(&rate.limit.per, admission.identity(), tool);
        let by_tool = self.rates().filter(|rate| rate.names_tool());
        let of_tools = by_tool.flat_map(|rate| operations.tools.iter().map(move |&(tool, cost)| (rate, tool, cost)));
        let of_tools = of_tools.map(|(rate, tool, cost)| (rate, key(rate, Some(tool)), cost));
        // The first unit was charged before the body was read.
        let more = NonZeroU32::new(operations.cost.saturating_sub(1));
        let by_head = self.rates().filter(|rate| !rate.names_tool());
        let of_head = by_head.filter_map(|rate| more.map(|more| (rate, key(rate, None), more)));
        charge(of_tools.chain(of_head), fields)
    }
}

/// Charges each of these limits; the first that is over refuses.
fn charge<'a>(
    charges: impl Iterator<Item = (&'a Rate, u64, NonZeroU32)>,
    fields: &mut RateFields,
) -> Result<(), Rejection> {
    for (rate, key, cost) in charges {
        // An operation dearer than the burst cannot be paid for; `check` refuses such rules, batches may add up to one.
        let unpayable = |_| Rejection::RateLimit { retry_after: rate.window };
        match rate.limiter.check_key_n(&key, cost).map_err(unpayable)? {
            Ok(state) => fields.tell(&rate.name, state.remaining_burst_capacity(), None),
            Err(refused) => {
                let wait = refused.wait_time_from(DefaultClock::default().now());
                fields.states.clear();
                fields.tell(&rate.name, 0, Some(wait));
                return Err(Rejection::RateLimit { retry_after: wait });
            }
        }
    }
    Ok(())
}

fn quota(requests: NonZeroU32, window: Duration, burst: NonZeroU32) -> Quota {
    // A window of at least a second and at most 2^32 requests never makes a period of zero nanoseconds... but fail closed.
    Quota::with_period(window / requests.get()).unwrap_or(Quota::per_hour(NonZeroU32::MIN)).allow_burst(burst)
}

fn name_of(per: &[LimitKey]) -> String {
    let name = |key: &LimitKey| match key {
        LimitKey::Tenant => "tenant",
        LimitKey::Client => "client",
        LimitKey::Subject => "subject",
        LimitKey::Tool => "tool",
        LimitKey::Route => "route",
    };
    per.iter().map(name).collect::<Vec<_>>().join("-")
}

/// Turns what is counted into a key; keyed, so that nobody outside can choose identities that collide.
#[derive(Debug, Clone, Default)]
struct KeyHasher(RandomState);

impl KeyHasher {
    /// Verified facts, and the tool that is called; never what a request says of itself.
    fn key(&self, per: &[LimitKey], identity: &Identity, tool: Option<&str>) -> u64 {
        let mut hasher = self.0.build_hasher();
        for key in per {
            match key {
                LimitKey::Tenant => (0u8, identity.tenant()).hash(&mut hasher),
                LimitKey::Client => (1u8, identity.issuer(), identity.client()).hash(&mut hasher),
                LimitKey::Subject => (2u8, identity.issuer(), identity.kind(), identity.subject()).hash(&mut hasher),
                LimitKey::Tool => (4u8, tool).hash(&mut hasher),
                LimitKey::Route => 3u8.hash(&mut hasher),
            }
        }
        hasher.finish()
    }
}

/// Open streams by key; connections bound them.
#[derive(Debug)]
struct Streams {
    per: Vec<LimitKey>,
    most: usize,
    open: Counted<u64, AsItIs>,
}

impl Streams {
    /// The one of `before` that is the same, or a new one.
    fn like(per: &[LimitKey], most: NonZeroU32, before: Option<&RouteLimits>) -> Arc<Self> {
        let most = usize::try_from(most.get()).unwrap_or(usize::MAX);
        let kept = before.and_then(|before| before.streams.iter().find(|old| old.per == per && old.most == most));
        kept.map_or_else(|| Arc::new(Self { per: per.to_vec(), most, open: Counted::new() }), Arc::clone)
    }

    fn take(&self, key: u64) -> Option<Place<u64, AsItIs>> {
        self.open.take(key, self.most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn streams(per: LimitKey, most: u32) -> Limit {
        Limit { per: vec![per], quota: QuotaRule::Streams(NonZeroU32::new(most).unwrap()) }
    }

    fn rate(per: LimitKey, burst: u32) -> Limit {
        let (requests, burst) = (NonZeroU32::new(60).unwrap(), NonZeroU32::new(burst).unwrap());
        Limit { per: vec![per], quota: QuotaRule::Rate { requests, window: Duration::from_mins(1), burst } }
    }

    #[test]
    fn what_was_counted_counts_on_under_the_very_same_limit_alone() {
        let before = RouteLimits::new(&[streams(LimitKey::Client, 5), rate(LimitKey::Client, 5)], None);
        let is_kept = |limit| {
            let after = RouteLimits::new(&[limit], Some(&before));
            let rates = after.rates.first().map(|rate| Arc::ptr_eq(rate, &before.rates[0]));
            rates.unwrap_or_else(|| Arc::ptr_eq(&after.streams[0], &before.streams[0]))
        };
        assert!(is_kept(streams(LimitKey::Client, 5)) && is_kept(rate(LimitKey::Client, 5)));
        for other in [(LimitKey::Client, 6), (LimitKey::Subject, 5), (LimitKey::Subject, 6)] {
            assert!(!is_kept(streams(other.0, other.1)) && !is_kept(rate(other.0, other.1)), "{other:?}");
        }
    }

    #[test]
    fn a_window_is_spread_over_its_requests() {
        let burst = NonZeroU32::new(7).unwrap();
        let quota = quota(NonZeroU32::new(600).unwrap(), Duration::from_mins(1), burst);
        assert_eq!((quota.replenish_interval(), quota.burst_size()), (Duration::from_millis(100), burst));
    }
}
