//! Bearer token + keys → [`Identity`].

#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use http::Uri;
use tokio::time::Instant;

use super::failures::FailureBudget;
use super::reject::Rejection;
use super::verified::{Fingerprint, Scene, Verified, VerifiedTokens};
use crate::config::{Config, IssuerConfig, RouteConfig};
use crate::head::Fields;
use crate::keys::{KeyStore, Keys, Origin, Unavailable};
use crate::names::TenantId;
use crate::token::bearer::bearer;
use crate::token::verify::{Checked, Expectations, Unverified};
use crate::token::{Identity, TokenError};
use crate::trust::TrustError;

/// Why authentication cannot be set up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SetUpError {
    #[error("issuer {issuer}: {error}")]
    Trust { issuer: String, error: TrustError },
    #[error("the system gives no random numbers")]
    Random,
}

/// Judges the credentials of every request.
#[derive(Debug)]
pub(crate) struct Authenticator {
    /// One per issuer of the configuration, in its order.
    stores: Vec<Arc<KeyStore>>,
    /// Per route of the configuration: whose tokens it takes.
    routes: Vec<Gate>,
    verified: Arc<VerifiedTokens>,
    failures: Arc<FailureBudget>,
}

/// Whose tokens one route takes.
#[derive(Debug)]
struct Gate {
    scene: Scene,
    trusted: Vec<Trusted>,
}

/// One issuer as one route sees it.
#[derive(Debug)]
struct Trusted {
    expect: Expectations,
    store: Arc<KeyStore>,
}

/// A token as one request presents it.
#[derive(Debug, Clone, Copy)]
struct Presented<'a> {
    token: &'a str,
    tenant: Option<&'a TenantId>,
    /// Seconds since 1970: wall time is for claims only (threat O11).
    now: u64,
}

impl Authenticator {
    /// Computes what no request changes. New stores are empty until somebody runs them; those of issuers that are the
    /// same in `before`, and the tokens that were verified on what is the same, stay.
    pub(crate) fn new(config: &Config, before: Option<&Self>) -> Result<Self, SetUpError> {
        let store = |issuer: &IssuerConfig| -> Result<Arc<KeyStore>, SetUpError> {
            let trust = |error| SetUpError::Trust { issuer: issuer.name.clone(), error };
            let origin = Origin::of(issuer).map_err(trust)?;
            let kept = before.and_then(|before| before.stores.iter().find(|store| *store.origin() == origin));
            kept.map_or_else(
                || KeyStore::new(issuer, origin).map(Arc::new).map_err(trust),
                |store| Ok(Arc::clone(store)),
            )
        };
        let stores: Vec<_> = config.issuers.iter().map(store).collect::<Result<_, _>>()?;
        let limits = &config.listen.limits;
        let (most, window) = (limits.failures_per_address, limits.failure_window);
        let failures = before.map(|before| &before.failures).filter(|kept| kept.is(most, window));
        let verified = match before {
            Some(before) => Arc::clone(&before.verified),
            None => Arc::new(VerifiedTokens::new().map_err(|_| SetUpError::Random)?),
        };
        Ok(Self {
            routes: config
                .routes
                .iter()
                .map(|route| gate(route, &config.issuers, &stores, &verified))
                .collect::<Result<_, _>>()?,
            stores,
            verified,
            failures: failures.map_or_else(|| Arc::new(FailureBudget::new(most, window, Instant::now())), Arc::clone),
        })
    }

    /// For the server, which runs them, and for readiness.
    pub(crate) fn stores(&self) -> &[Arc<KeyStore>] {
        &self.stores
    }

    /// Tokens that were verified and are remembered.
    pub(crate) fn verified_tokens(&self) -> usize {
        self.verified.len()
    }

    /// Who sends this request. `route` is the index in the configuration, `tenant` what the URL names, `peer` the client.
    ///
    /// Tokens verified before pass even when the address has spent its budget: a neighbour behind the same address
    /// translation cannot lock anybody out.
    pub(crate) async fn authenticate(
        &self,
        route: usize,
        tenant: Option<&TenantId>,
        peer: IpAddr,
        fields: &Fields,
        uri: &Uri,
    ) -> Result<Arc<Identity>, Rejection> {
        let presented = Presented { token: bearer(fields, uri)?, tenant, now: seconds_since_1970() };
        let gate = self.routes.get(route).ok_or(TokenError::Issuer)?;
        let fingerprint = gate.scene.fingerprint(tenant, presented.token);
        // The library has no reason to refuse; if it did, nothing could be told apart.
        let fingerprint = fingerprint.map_err(|_| Rejection::Internal)?;
        if let Some(identity) = self.recall(&fingerprint, presented.now)? {
            return Ok(identity);
        }
        self.failures.check(peer, Instant::now()).map_err(|retry_after| Rejection::TooManyFailures { retry_after })?;
        let mut failure = Failure { budget: &self.failures, of: Some(peer) };
        // Boxed: most tokens were verified before, and their requests need no room for this.
        let outcome = Box::pin(verify(gate, &presented)).await;
        failure.of = outcome.as_ref().err().filter(|refusal| counts_as_failure(refusal)).map(|_| peer);
        drop(failure);
        let verified = outcome?;
        let identity = Arc::clone(&verified.identity);
        self.verified.insert(fingerprint, verified);
        Ok(identity)
    }

    /// The identity of a token that was verified before, if its time and its key still stand (threats C23, K23).
    fn recall(&self, fingerprint: &Fingerprint, now: u64) -> Result<Option<Arc<Identity>>, Rejection> {
        let Some(Verified { identity, store }) = self.verified.get(fingerprint) else {
            return Ok(None);
        };
        let keys = store.current()?;
        if now < identity.expires_at() && keys.set.contains(identity.key()) {
            return Ok(Some(identity));
        }
        self.verified.forget(fingerprint);
        Ok(None)
    }
}

/// Charged when it is dropped: with a token that is not good, and for a client that leaves before it is known, or nobody would be charged
/// while an issuer is slow.
struct Failure<'a> {
    budget: &'a FailureBudget,
    of: Option<IpAddr>,
}

impl Drop for Failure<'_> {
    fn drop(&mut self) {
        if let Some(peer) = self.of {
            self.budget.charge(peer, Instant::now());
        }
    }
}

/// An error when the identity's time is over. A body takes its time to come: what was good at its first byte may be over at its last.
pub(crate) fn check_time(identity: &Identity) -> Result<(), TokenError> {
    if seconds_since_1970() < identity.expires_at() { Ok(()) } else { Err(TokenError::Expired) }
}

/// Verifies a token; once more if its key was missing or did not fit and newer keys could be had.
async fn verify(gate: &Gate, presented: &Presented<'_>) -> Result<Verified, Rejection> {
    let (checked, store) = check(gate, presented)?;
    let keys = store.current()?;
    let absent = checked.key_id().filter(|kid| !keys.set.knows(kid)).map(str::to_owned);
    let identity = match verify_with(checked, &keys) {
        // An unknown key, or one that was replaced under its old name (development servers do that).
        Err(refusal @ (TokenError::KeyId | TokenError::Signature)) => {
            if !store.refetch(&keys, absent.as_deref()).await {
                return Err(refusal.into());
            }
            let (checked, _) = check(gate, presented)?;
            verify_with(checked, &*store.current()?)?
        }
        outcome => outcome?,
    };
    Ok(Verified { identity: Arc::new(identity), store: Arc::clone(store) })
}

/// Everything that needs no key: whose token it claims to be, and whether that issuer's rules let it in here.
fn check<'a, 'g>(gate: &'g Gate, presented: &Presented<'a>) -> Result<(Checked<'a>, &'g Arc<KeyStore>), TokenError> {
    let unverified = Unverified::read(presented.token)?;
    let mut trusted = gate.trusted.iter();
    let trusted = trusted
        .find(|trusted| unverified.issuer() == Some(trusted.expect.issuer.as_str()))
        .ok_or(TokenError::Issuer)?;
    let checked = unverified.check(&trusted.expect, presented.tenant, presented.now)?;
    Ok((checked, &trusted.store))
}

impl From<Unavailable> for Rejection {
    fn from(Unavailable { retry_after }: Unavailable) -> Self {
        Self::KeysUnavailable { retry_after }
    }
}

fn gate(
    route: &RouteConfig,
    issuers: &[IssuerConfig],
    stores: &[Arc<KeyStore>],
    verified: &VerifiedTokens,
) -> Result<Gate, SetUpError> {
    let trusted = route.issuers.iter().filter_map(|&index| {
        let expect = Expectations::new(route, issuers.get(index)?);
        Some(Trusted { expect, store: Arc::clone(stores.get(index)?) })
    });
    let trusted: Vec<_> = trusted.collect();
    // All that an expectation holds is in its debug text; a store stands for where the keys come from.
    let described = trusted.iter().map(|trusted| format!("{:?} {}\n", trusted.expect, trusted.store.number()));
    // The fields that tell an upstream who somebody is are remembered with the identity.
    let scene = format!("{}\n{:?}\n{}", route.name, route.identity, described.collect::<String>());
    Ok(Gate { scene: verified.scene(&scene).map_err(|_| SetUpError::Random)?, trusted })
}

fn verify_with(checked: Checked<'_>, keys: &Keys) -> Result<Identity, TokenError> {
    let candidates = keys.set.candidates(checked.key_id(), checked.algorithm());
    checked.verify(&candidates)
}

/// A refused token counts. A good one in the wrong place (tenant) does not, nor does what was no token or was not judged:
/// that costs the gateway nothing and would shut out honest neighbours.
fn counts_as_failure(refusal: &Rejection) -> bool {
    matches!(refusal, Rejection::Token(error) if *error != TokenError::Tenant)
}

fn seconds_since_1970() -> u64 {
    // Under a clock before 1970 every token is expired: fail closed.
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(u64::MAX, |time| time.as_secs())
}
