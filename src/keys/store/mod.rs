//! The keys of one issuer: what is in force, and the loop that keeps it so.

mod origin;
mod turn;

#[cfg(test)]
mod tests;

use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use quick_cache::sync::Cache;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::info;
use url::Url;

use crate::config::{IssuerConfig, KeyRules};
use crate::keys::fetch::{FetchError, Fetched, Source};
use crate::keys::jwks::KeySet;
use crate::keys::pace;
use crate::keys::report::Report;
use crate::names::Issuer;
use crate::trust::TrustError;
pub(crate) use origin::Origin;
use turn::{Due, Turn};

/// Longest wait of a request for new keys (threat K14: answered within a second).
const MAX_WAIT: Duration = Duration::from_millis(800);
/// Key ids that were looked for in vain, until the next fetch.
const MAX_ABSENT: usize = 1024;

/// The keys of one issuer. Reading them takes no lock; fetching them is [`KeyStore::run`]'s business alone.
#[derive(Debug)]
pub(crate) struct KeyStore {
    /// Tells stores of this process apart.
    number: u64,
    origin: Origin,
    /// The issuer is in no configuration any more.
    retired: CancellationToken,
    issuer: Issuer,
    rules: KeyRules,
    source: Source,
    current: ArcSwapOption<Keys>,
    turn: Mutex<Turn>,
    asked: Notify,
    finished: watch::Sender<()>,
    absent: Cache<u64, Instant>,
    hasher: RandomState,
}

/// The keys as one fetch found them.
#[derive(Debug)]
pub(crate) struct Keys {
    /// The usable ones.
    pub(crate) set: KeySet,
    /// When the issuer said so: the start of the fetch, on the monotonic clock (threat O11).
    confirmed: Instant,
}

/// There are no keys to judge a token by: never fetched, too old, or none usable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unavailable {
    /// When asking again makes sense.
    pub(crate) retry_after: Duration,
}

/// For readiness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Status {
    /// Tokens of this issuer can be judged.
    pub(crate) ready: bool,
    /// Usable keys.
    pub(crate) keys: usize,
    /// Time since the issuer confirmed them; `None`: never.
    pub(crate) age: Option<Duration>,
    /// Why the last fetch failed; `None`: it did not.
    pub(crate) last_error: Option<&'static str>,
    /// Fetches that failed since the start.
    pub(crate) failures: u64,
}

impl KeyStore {
    /// Without keys; [`KeyStore::run`] fetches them.
    pub(crate) fn new(config: &IssuerConfig, origin: Origin) -> Result<Self, TrustError> {
        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        Ok(Self {
            number: NUMBERS.fetch_add(1, Ordering::Relaxed),
            origin,
            retired: CancellationToken::new(),
            issuer: config.issuer.clone(),
            rules: config.keys.clone(),
            source: Source::new(config)?,
            current: ArcSwapOption::empty(),
            turn: Mutex::new(Turn::first(Instant::now())),
            asked: Notify::new(),
            finished: watch::Sender::new(()),
            absent: Cache::new(MAX_ABSENT),
            hasher: RandomState::new(),
        })
    }

    /// The keys in force.
    pub(crate) fn current(&self) -> Result<Arc<Keys>, Unavailable> {
        self.current.load_full().filter(|keys| self.serves(keys)).ok_or_else(|| self.unavailable(Instant::now()))
    }

    /// Asks for newer keys than those `tried`, because a token names a key that is not among them (`absent`) or its
    /// signature does not verify. True when there are newer ones now and looking again is worth it.
    ///
    /// Waits only for a fetch that is under way or may start now, and never long. During the cool-down the answer is no at
    /// once, and one fetch happens when it ends, however many asked (threats K14, K15, D19).
    pub(crate) async fn refetch(&self, tried: &Arc<Keys>, absent: Option<&str>) -> bool {
        let absent = absent.map(|kid| (kid, self.hasher.hash_one(kid)));
        if absent.is_some_and(|(_, hash)| self.is_absent(hash)) {
            return false;
        }
        // Before looking whether a fetch is under way, so that its end cannot be missed.
        let mut finished = self.finished.subscribe();
        if self.ask(Instant::now()) {
            // How the wait ends does not matter: what counts is whether the keys are others now.
            drop(timeout(MAX_WAIT, finished.changed()).await);
        }
        let Some(newer) = self.current.load_full().filter(|keys| !Arc::ptr_eq(keys, tried)) else {
            return false;
        };
        if let Some((kid, hash)) = absent
            && !newer.set.knows(kid)
        {
            self.absent.insert(hash, newer.confirmed + self.rules.cool_down);
        }
        true
    }

    /// Fetches until told to stop: at once, then as cache headers say, sooner when asked, with back-off after failures.
    pub(crate) async fn run(self: Arc<Self>, stop: CancellationToken) {
        // Stopping in the middle of a fetch leaves nothing half done.
        tokio::select! {
            () = self.keep_fresh() => {}
            () = stop.cancelled() => {}
            () = self.retired.cancelled() => {}
        }
    }

    /// Ends [`KeyStore::run`]: no configuration names the issuer any more.
    pub(crate) fn retire(&self) {
        self.retired.cancel();
    }

    /// Where its keys come from.
    pub(crate) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Tells stores of this process apart.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// For readiness.
    pub(crate) fn status(&self) -> Status {
        let keys = self.current.load();
        let turn = self.turn();
        Status {
            ready: keys.as_ref().is_some_and(|keys| self.serves(keys)),
            keys: keys.as_ref().map_or(0, |keys| keys.set.len()),
            age: keys.as_ref().map(|keys| keys.confirmed.elapsed()),
            last_error: turn.last_error,
            failures: turn.failures,
        }
    }

    async fn keep_fresh(&self) {
        let mut report = Report::default();
        let mut failures = 0;
        let mut found_at = None;
        loop {
            let started = self.begin();
            let wait = match self.source.fetch(found_at.as_ref()).await {
                Ok(fetched) => {
                    failures = 0;
                    found_at = Some(fetched.found_at.clone());
                    self.accept(fetched, started, &mut report)
                }
                Err(error) => {
                    failures += 1;
                    found_at = None;
                    self.keep_old(&error, failures, &mut report)
                }
            };
            self.end(wait);
            found_at = self.next_turn(found_at).await;
        }
    }

    /// Waits for the next fetch. A planned one starts from discovery, one that requests wait for goes straight to the keys.
    async fn next_turn(&self, found_at: Option<Url>) -> Option<Url> {
        match self.due().await {
            Due::Planned => None,
            Due::Asked => {
                info!(event = "jwks.refetch", issuer = %self.issuer, "a token asks for keys that are not there");
                found_at
            }
        }
    }

    async fn due(&self) -> Due {
        loop {
            let (at, why) = self.turn().next(self.rules.cool_down);
            tokio::select! {
                biased;
                () = sleep_until(at) => return why,
                () = self.asked.notified() => {} // look again at when
            }
        }
    }

    fn accept(&self, fetched: Fetched, confirmed: Instant, report: &mut Report) -> Duration {
        let set = fetched.parsed.keys;
        let fresh_for = if set.is_empty() {
            self.rules.cool_down // nothing works until there are keys again
        } else {
            fetched.fresh_for
        };
        let changed = self.current.load().as_ref().is_none_or(|old| !old.set.same_as(&set));
        report.fetched(&self.issuer, set.len(), changed, &fetched.parsed.skipped);
        self.current.store(Some(Arc::new(Keys { set, confirmed })));
        self.absent.clear();
        self.turn().last_error = None;
        pace::jittered(fresh_for, self.random())
    }

    /// The old keys stay in force, up to `max_stale` (threat K16).
    fn keep_old(&self, error: &FetchError, failures: u32, report: &mut Report) -> Duration {
        let wait = pace::back_off(failures, self.random());
        report.failed(&self.issuer, error, wait, Instant::now());
        let mut turn = self.turn();
        turn.last_error = Some(error.reason());
        turn.failures += 1;
        wait
    }

    fn serves(&self, keys: &Keys) -> bool {
        !keys.set.is_empty() && keys.confirmed.elapsed() <= self.rules.max_stale
    }

    fn is_absent(&self, hash: u64) -> bool {
        self.absent.get(&hash).is_some_and(|until| Instant::now() < until)
    }

    /// Somebody needs keys: the next fetch comes when the cool-down ends, even where back-off says later.
    fn unavailable(&self, now: Instant) -> Unavailable {
        self.ask(now);
        Unavailable { retry_after: self.turn().retry_after(self.rules.cool_down, now) }
    }

    /// True when waiting makes sense: a fetch is under way, or nothing keeps the loop from starting one now.
    fn ask(&self, now: Instant) -> bool {
        let mut turn = self.turn();
        if turn.in_flight {
            return true;
        }
        // Once is enough: a flood of tokens with bad signatures shall not wake the loop for each of them.
        if !std::mem::replace(&mut turn.wanted, true) {
            self.asked.notify_one();
        }
        turn.cool_down_end(self.rules.cool_down).is_none_or(|end| end <= now)
    }

    /// Key ids that are not asked for again for now.
    #[cfg(test)]
    pub(crate) fn looked_for_in_vain(&self) -> usize {
        self.absent.len()
    }

    fn begin(&self) -> Instant {
        let now = Instant::now();
        let mut turn = self.turn();
        turn.in_flight = true;
        turn.wanted = false;
        turn.started = Some(now);
        now
    }

    /// After the keys were stored: who finds no fetch under way finds its result.
    fn end(&self, wait: Duration) {
        let mut turn = self.turn();
        turn.in_flight = false;
        turn.planned = Instant::now() + wait;
        drop(turn);
        self.finished.send_replace(());
    }

    fn turn(&self) -> MutexGuard<'_, Turn> {
        // No code under this lock can leave it half written.
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn random(&self) -> u64 {
        self.hasher.hash_one(Instant::now())
    }
}
