//! Bearer token + keys → [`Identity`].

#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use http::{HeaderMap, Uri};
use tokio::time::Instant;

use super::failures::FailureBudget;
use super::reject::Rejection;
use super::verified::{Fingerprint, Verified, VerifiedTokens};
use crate::config::{Config, IssuerConfig, RouteConfig};
use crate::keys::{KeyStore, Keys, Unavailable};
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
    routes: Vec<Vec<Trusted>>,
    verified: VerifiedTokens,
    failures: FailureBudget,
}

/// One issuer as one route sees it.
#[derive(Debug)]
struct Trusted {
    expect: Expectations,
    /// Index of the issuer's key store.
    store: usize,
}

/// A token as one request presents it.
#[derive(Debug, Clone, Copy)]
struct Presented<'a> {
    token: &'a str,
    route: usize,
    tenant: Option<&'a TenantId>,
    /// Seconds since 1970: wall time is for claims only (threat O11).
    now: u64,
}

impl Authenticator {
    /// Computes what no request changes. The stores are empty until somebody runs them.
    pub(crate) fn new(config: &Config) -> Result<Self, SetUpError> {
        let store = |issuer: &IssuerConfig| {
            KeyStore::new(issuer)
                .map(Arc::new)
                .map_err(|error| SetUpError::Trust { issuer: issuer.name.clone(), error })
        };
        let limits = &config.listen.limits;
        Ok(Self {
            stores: config.issuers.iter().map(store).collect::<Result<_, _>>()?,
            routes: config.routes.iter().map(|route| trusted(route, &config.issuers)).collect(),
            verified: VerifiedTokens::new().map_err(|_| SetUpError::Random)?,
            failures: FailureBudget::new(limits.failures_per_address, limits.failure_window, Instant::now()),
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
        headers: &HeaderMap,
        uri: &Uri,
    ) -> Result<Arc<Identity>, Rejection> {
        let presented = Presented { token: bearer(headers, uri)?, route, tenant, now: seconds_since_1970() };
        let fingerprint = self.verified.fingerprint(route, tenant, presented.token);
        if let Some(identity) = self.recall(&fingerprint, presented.now)? {
            return Ok(identity);
        }
        self.failures.check(peer, Instant::now()).map_err(|retry_after| Rejection::TooManyFailures { retry_after })?;
        let verified = self.verify(&presented).await.inspect_err(|refusal| {
            if counts_as_failure(refusal) {
                self.failures.charge(peer, Instant::now());
            }
        })?;
        let identity = Arc::clone(&verified.identity);
        self.verified.insert(fingerprint, verified);
        Ok(identity)
    }

    /// The identity of a token that was verified before, if its time and its key still stand (threats C23, K23).
    fn recall(&self, fingerprint: &Fingerprint, now: u64) -> Result<Option<Arc<Identity>>, Rejection> {
        let Some(Verified { identity, store }) = self.verified.get(fingerprint) else {
            return Ok(None);
        };
        let keys = self.store(store)?.current()?;
        if now < identity.expires_at() && keys.set.contains(identity.key()) {
            return Ok(Some(identity));
        }
        self.verified.forget(fingerprint);
        Ok(None)
    }

    /// Verifies a token; once more if its key was missing or did not fit and newer keys could be had.
    async fn verify(&self, presented: &Presented<'_>) -> Result<Verified, Rejection> {
        let (checked, index) = self.check(presented)?;
        let store = self.store(index)?;
        let keys = store.current()?;
        let absent = checked.key_id().filter(|kid| !keys.set.knows(kid)).map(str::to_owned);
        let identity = match verify_with(checked, &keys) {
            // An unknown key, or one that was replaced under its old name (development servers do that).
            Err(refusal @ (TokenError::KeyId | TokenError::Signature)) => {
                if !store.refetch(&keys, absent.as_deref()).await {
                    return Err(refusal.into());
                }
                let (checked, _) = self.check(presented)?;
                verify_with(checked, &*store.current()?)?
            }
            outcome => outcome?,
        };
        Ok(Verified { identity: Arc::new(identity), store: index })
    }

    /// Everything that needs no key: whose token it claims to be, and whether that issuer's rules let it in here.
    fn check<'a>(&self, presented: &Presented<'a>) -> Result<(Checked<'a>, usize), TokenError> {
        let unverified = Unverified::read(presented.token)?;
        let trusted = self.routes.get(presented.route).map_or(&[][..], Vec::as_slice);
        let trusted = trusted
            .iter()
            .find(|trusted| unverified.issuer() == Some(trusted.expect.issuer.as_str()))
            .ok_or(TokenError::Issuer)?;
        let checked = unverified.check(&trusted.expect, presented.tenant, presented.now)?;
        Ok((checked, trusted.store))
    }

    fn store(&self, index: usize) -> Result<&Arc<KeyStore>, TokenError> {
        self.stores.get(index).ok_or(TokenError::Issuer)
    }
}

impl From<Unavailable> for Rejection {
    fn from(Unavailable { retry_after }: Unavailable) -> Self {
        Self::KeysUnavailable { retry_after }
    }
}

fn trusted(route: &RouteConfig, issuers: &[IssuerConfig]) -> Vec<Trusted> {
    let of_route = route.issuers.iter();
    of_route
        .filter_map(|&store| Some(Trusted { expect: Expectations::new(route, issuers.get(store)?), store }))
        .collect()
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
