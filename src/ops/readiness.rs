//! What `/readyz` says: whether requests should come here, per issuer and route, and why not.

use serde::Serialize;

use crate::keys::Status;
use crate::live::Generation;

/// The whole answer. Ready: every issuer has keys in force, and the gateway is not stopping.
#[derive(Serialize)]
pub(super) struct Readiness<'a> {
    pub(super) ready: bool,
    pub(super) draining: bool,
    pub(super) issuers: Vec<Issuer<'a>>,
    pub(super) routes: Vec<Route<'a>>,
}

#[derive(Serialize)]
pub(super) struct Issuer<'a> {
    pub(super) name: &'a str,
    pub(super) ready: bool,
    /// Why it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<&'static str>,
    pub(super) keys: usize,
    pub(super) key_age_seconds: Option<u64>,
    /// Why the last fetch failed; tokens may be judged all the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) last_error: Option<&'static str>,
}

#[derive(Serialize)]
pub(super) struct Route<'a> {
    pub(super) name: &'a str,
    ready: bool,
    /// What tokens of those issuers are refused with.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    /// Those that are not ready.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) waits_for: Vec<&'a str>,
}

impl<'a> Readiness<'a> {
    /// As it is now.
    pub(super) fn new(generation: &'a Generation, draining: bool) -> Self {
        let issuers: Vec<_> =
            generation.issuers.iter().map(|(name, store)| Issuer::new(name, &store.status())).collect();
        let routes =
            generation.routes.iter().map(|(name, trusted)| Route::new(name.as_str(), trusted, &issuers)).collect();
        Self { ready: !draining && issuers.iter().all(|issuer| issuer.ready), draining, issuers, routes }
    }
}

impl<'a> Issuer<'a> {
    fn new(name: &'a str, status: &Status) -> Self {
        let key_age_seconds = status.age.map(|age| age.as_secs());
        let reason = (!status.ready).then(|| why_not(status));
        let (ready, keys, last_error) = (status.ready, status.keys, status.last_error);
        Self { name, ready, reason, keys, key_age_seconds, last_error }
    }
}

/// The log's word when the last fetch failed.
fn why_not(status: &Status) -> &'static str {
    let of_success = match (status.age, status.keys) {
        (None, _) => "jwks.not_fetched",
        (Some(_), 0) => "jwks.no_usable_key",
        (Some(_), _) => "jwks.too_old",
    };
    status.last_error.unwrap_or(of_success)
}

impl<'a> Route<'a> {
    /// Ready when every issuer whose tokens it takes is.
    fn new(name: &'a str, trusted: &[usize], issuers: &[Issuer<'a>]) -> Self {
        let missing = trusted.iter().filter_map(|&index| issuers.get(index)).filter(|issuer| !issuer.ready);
        let waits_for: Vec<_> = missing.map(|issuer| issuer.name).collect();
        let ready = waits_for.is_empty();
        Self { name, ready, reason: (!ready).then_some("jwks.unavailable"), waits_for }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn issuer_says_why_it_is_not_ready() {
        let status = |age: Option<u64>, keys, last_error| Status {
            ready: false,
            keys,
            age: age.map(Duration::from_secs),
            last_error,
            failures: 0,
        };
        assert_eq!(why_not(&status(None, 0, None)), "jwks.not_fetched");
        assert_eq!(why_not(&status(Some(1), 0, None)), "jwks.no_usable_key");
        assert_eq!(why_not(&status(Some(1), 2, None)), "jwks.too_old");
        assert_eq!(why_not(&status(Some(1), 2, Some("jwks.redirect"))), "jwks.redirect");
        let ready = Status { ready: true, ..status(Some(1), 2, Some("jwks.redirect")) };
        let issuer = Issuer::new("corp", &ready);
        assert_eq!((issuer.reason, issuer.last_error), (None, Some("jwks.redirect")));
    }
}
