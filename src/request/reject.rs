//! Rejection → response: the only place that writes 4xx and 5xx.

use std::time::Duration;

use crate::token::{BearerError, TokenError};

/// Why a request is answered by the gateway itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Rejection {
    /// The credentials could not be read.
    #[error("{0}")]
    Bearer(#[from] BearerError),
    /// The token is not valid here.
    #[error("{0}")]
    Token(#[from] TokenError),
    /// No keys of the token's issuer can be had.
    #[error("no keys of the issuer")]
    KeysUnavailable { retry_after: Duration },
    /// Too many failed authentications from this address.
    #[error("too many failed authentications")]
    TooManyFailures { retry_after: Duration },
}
