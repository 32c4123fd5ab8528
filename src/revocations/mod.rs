//! What is revoked before its time: tokens by `jti`, subject, client, tenant or time of issue.

use std::path::Path;

use crate::token::Identity;

/// Why a list is not taken. The text names the file and the line.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct ListError(pub(crate) String);

/// The list in force.
#[derive(Debug)]
pub(crate) struct Revocations {}

impl Revocations {
    /// Reads the file; without one nothing is revoked.
    pub(crate) fn load(_file: Option<&Path>) -> Result<Self, ListError> {
        Ok(Self {})
    }

    /// True when the token must not be accepted any more.
    pub(crate) fn revokes(&self, _identity: &Identity) -> bool {
        false
    }
}
