//! Recognises suspicious behaviour by what requests were refused for, says so, and may refuse it for a while (docs/detection.md).
//!
//! What counts against a client or a caller was verified: nobody can bring another one into suspicion with a token that he made.

mod count;
mod pattern;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use quick_cache::sync::Cache;

use crate::config::DetectionConfig;
use crate::network::network_of;
use crate::record::Record;
use crate::token::Caller;

use count::Counts;
pub(crate) use pattern::Pattern;
use pattern::{Against, Sign};

/// Addresses and clients that are blocked at a time; over it the longest unused are forgotten.
const MAX_BLOCKED: usize = 100_000;
/// What `/status` shows.
const MAX_RECENT: usize = 50;

/// See the module.
#[derive(Debug)]
pub(crate) struct Detection {
    rules: DetectionConfig,
    counts: Counts,
    /// Whether anybody was asked for more scopes yet: served requests look no further before.
    step_ups: AtomicBool,
    /// Until when, by address and by the hash of a client.
    addresses: Cache<IpAddr, Instant>,
    clients: Cache<u64, Instant>,
    hasher: RandomState,
    totals: [AtomicU64; Pattern::ALL.len()],
    recent: Mutex<VecDeque<Seen>>,
}

/// Behaviour that crossed a threshold.
#[derive(Debug)]
pub(crate) struct Suspicion<'a> {
    pub(crate) pattern: Pattern,
    pub(crate) address: IpAddr,
    /// Who it was, where that was verified.
    pub(crate) caller: Option<&'a Caller>,
    pub(crate) route: Option<&'a str>,
    pub(crate) count: u32,
    /// For how long it is refused now.
    pub(crate) blocked: Option<Duration>,
}

/// One that `/status` shows: no subject.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) at: SystemTime,
    pub(crate) pattern: Pattern,
    pub(crate) address: IpAddr,
    pub(crate) client: Option<String>,
}

impl Detection {
    /// Nothing was seen yet.
    pub(crate) fn new(rules: &DetectionConfig) -> Self {
        Self {
            counts: Counts::new(rules.window),
            rules: rules.clone(),
            step_ups: AtomicBool::new(false),
            addresses: Cache::new(MAX_BLOCKED),
            clients: Cache::new(MAX_BLOCKED),
            hasher: RandomState::new(),
            totals: Default::default(),
            recent: Mutex::default(),
        }
    }

    /// For how long requests from this address are refused.
    pub(crate) fn blocks_address(&self, address: IpAddr, now: Instant) -> Option<Duration> {
        self.rules.block.addresses.then(|| self.addresses.get(&network_of(address))).flatten().and_then(left(now))
    }

    /// For how long requests of this verified caller's client are refused.
    pub(crate) fn blocks_client(&self, caller: &Caller, now: Instant) -> Option<Duration> {
        self.rules.block.clients.then(|| self.clients.get(&self.client(caller))).flatten().and_then(left(now))
    }

    /// One request has ended; `tell` hears what it made suspicious.
    pub(crate) fn ended<'a>(&self, record: &'a Record<'_>, mut tell: impl FnMut(&Suspicion<'a>)) {
        let now = record.ended;
        let caller = record.identity.map(|identity| -> &Caller { identity });
        if record.event == "served"
            && self.step_ups.load(Ordering::Relaxed)
            && let Some(caller) = caller
        {
            self.counts.forget(self.key(Pattern::StepUps, record, caller));
        }
        for sign in Sign::of(record) {
            let key = match (sign.against, caller) {
                (Against::Address, _) => self.hash(sign.pattern, network_of(record.address())),
                (Against::Client | Against::Caller, Some(caller)) => self.key(sign.pattern, record, caller),
                (Against::Client | Against::Caller, None) => continue,
            };
            if sign.pattern == Pattern::StepUps {
                self.step_ups.store(true, Ordering::Relaxed);
            }
            if let Some(count) = self.counts.one_more(key, sign.pattern.threshold(&self.rules), now) {
                let caller = caller.filter(|_| sign.against != Against::Address);
                let blocked = self.block(sign.against, record.address(), caller, now);
                if blocked.is_some() {
                    self.counts.forget(key); // it may end before the window does
                }
                let (pattern, address, route) = (sign.pattern, record.address(), record.route);
                let suspicion = Suspicion { pattern, address, caller, route, count, blocked };
                self.remember(&suspicion);
                tell(&suspicion);
            }
        }
    }

    /// How often each pattern was seen.
    pub(crate) fn totals(&self) -> impl Iterator<Item = (Pattern, u64)> {
        Pattern::ALL.into_iter().zip(&self.totals).map(|(pattern, total)| (pattern, total.load(Ordering::Relaxed)))
    }

    /// Addresses and clients that are refused at the moment.
    pub(crate) fn blocked(&self, now: Instant) -> (usize, usize) {
        let addresses = self.addresses.iter().filter(|(_, until)| *until > now).count();
        (addresses, self.clients.iter().filter(|(_, until)| *until > now).count())
    }

    /// The last ones, newest first.
    pub(crate) fn recent(&self) -> Vec<Seen> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner).iter().rev().cloned().collect()
    }

    fn block(&self, against: Against, address: IpAddr, caller: Option<&Caller>, now: Instant) -> Option<Duration> {
        let (rules, until) = (&self.rules.block, now + self.rules.block.time);
        match (against, caller) {
            (Against::Address, _) if rules.addresses => {
                let address = network_of(address);
                if self.rules.never_block.iter().any(|network| network.contains(&address)) {
                    return None;
                }
                self.addresses.insert(address, until);
            }
            (Against::Client, Some(caller)) if rules.clients => self.clients.insert(self.client(caller), until),
            (Against::Address | Against::Client | Against::Caller, _) => return None,
        }
        Some(rules.time)
    }

    fn remember(&self, suspicion: &Suspicion<'_>) {
        let Suspicion { pattern, address, caller, .. } = suspicion;
        if let Some(total) = self.totals.get(pattern.index()) {
            total.fetch_add(1, Ordering::Relaxed);
        }
        let client = caller.and_then(Caller::client).map(ToString::to_string);
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.push_back(Seen { at: SystemTime::now(), pattern: *pattern, address: *address, client });
        if recent.len() > MAX_RECENT {
            recent.pop_front();
        }
    }

    fn key(&self, pattern: Pattern, record: &Record<'_>, caller: &Caller) -> u64 {
        match pattern {
            Pattern::FailuresClient => self.hash(pattern, self.client(caller)),
            Pattern::OffHours => self.hash(pattern, (record.route, caller.issuer(), caller.kind(), caller.subject())),
            Pattern::FailuresAddress
            | Pattern::UnknownKeys
            | Pattern::ForeignTenants
            | Pattern::ForeignSessions
            | Pattern::StepUps => {
                self.hash(pattern, (caller.issuer(), caller.kind(), caller.subject(), caller.client()))
            }
        }
    }

    fn client(&self, caller: &Caller) -> u64 {
        self.hasher.hash_one((caller.issuer(), caller.client()))
    }

    /// Keyed, so that nobody can choose what collides.
    fn hash(&self, pattern: Pattern, who: impl std::hash::Hash) -> u64 {
        self.hasher.hash_one((pattern.index(), who))
    }
}

fn left(now: Instant) -> impl Fn(Instant) -> Option<Duration> {
    move |until| until.checked_duration_since(now).filter(|left| !left.is_zero())
}
