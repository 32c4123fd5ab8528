//! What an identity may do on a route: first by its token alone ([`Entitled`]), then by operation ([`Permit`]).

use std::sync::Arc;

use crate::names::Scope;
use crate::token::Identity;

use super::admit::Admission;
use super::inspect::Operation;
use super::reject::Rejection;

/// Proves that the token has every scope that any operation of the route needs.
#[derive(Debug)]
pub(crate) struct Entitled {
    identity: Arc<Identity>,
}

/// Proves that this identity may do this operation on this route.
#[derive(Debug)]
pub(crate) struct Permit {
    admission: Admission,
    _operation: Operation,
}

/// Digest §1 step 6: what the claims alone decide, before anything is charged.
pub(crate) fn entitle(identity: Arc<Identity>, scopes: &[Scope]) -> Result<Entitled, Rejection> {
    let has = |scope| identity.scopes().contains(scope);
    scopes.iter().all(has).then_some(Entitled { identity }).ok_or(Rejection::Scope)
}

/// Digest §1 step 10. Rules per operation come here; without rules every operation of an admitted identity is permitted.
pub(crate) fn authorize(admission: Admission, operation: Operation) -> Permit {
    Permit { admission, _operation: operation }
}

impl Entitled {
    /// Whose token it is.
    pub(crate) fn identity(&self) -> &Arc<Identity> {
        &self.identity
    }
}

impl Permit {
    /// Who may.
    pub(crate) fn identity(&self) -> &Arc<Identity> {
        self.admission.identity()
    }

    /// The admission, for the response body to hold.
    pub(crate) fn into_admission(self) -> Admission {
        self.admission
    }
}
