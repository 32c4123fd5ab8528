//! Where the keys of one issuer come from: two equal origins give the same keys.

use url::Url;

use crate::config::{IssuerConfig, KeyRules};
use crate::names::Issuer;
use crate::trust::{self, Digest, TrustError};

/// See the module.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    issuer: Issuer,
    jwks_uri: Option<Url>,
    ca: Option<Digest>,
    insecure_http: bool,
    rules: KeyRules,
}

impl Origin {
    /// Reads the trust anchor, for its content counts.
    pub(crate) fn of(config: &IssuerConfig) -> Result<Self, TrustError> {
        Ok(Self {
            issuer: config.issuer.clone(),
            jwks_uri: config.jwks_uri.clone(),
            ca: config.ca.as_deref().map(trust::digest).transpose()?,
            insecure_http: config.insecure_http,
            rules: config.keys.clone(),
        })
    }
}
