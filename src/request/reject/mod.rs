//! Rejection → response: the only place that writes 4xx and 5xx.

mod answer;
mod face;

use std::sync::Arc;
use std::time::Duration;

use http::header::HeaderValue;
use http::{Method, StatusCode};

use crate::head::Fault;
use crate::mcp::mirror::Mismatch;
use crate::mcp::reader::Fault as BodyFault;
use crate::mcp::{Era, TargetKind};
use crate::names::TenantId;
use crate::oauth::challenge::{ChallengeError, Challenges, INSUFFICIENT_SCOPE};
use crate::token::{BearerError, TokenError};

pub(crate) use answer::Asker;

/// The methods of an MCP route (MCP Streamable HTTP), for `Allow`.
pub(crate) const ALLOW: &str = "GET, POST, DELETE";

/// Modern revisions have `POST` alone.
const MODERN_ALLOW: &str = "POST";

/// What went wrong between the gateway and an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UpstreamFailure {
    /// No connection.
    #[error("the MCP server cannot be reached")]
    Unreachable,
    /// No connection in time.
    #[error("the MCP server did not accept a connection in time")]
    ConnectTimeout,
    /// An answer that is no HTTP, or a connection that broke.
    #[error("the MCP server gave no usable answer")]
    Protocol,
    /// No answer in time.
    #[error("the MCP server did not answer in time")]
    ResponseTimeout,
    /// It asked the gateway itself for credentials.
    #[error("the MCP server refused the gateway's own credentials")]
    Unauthorized,
    /// It redirected; redirects are not followed.
    #[error("the MCP server answered with a redirect")]
    Redirect,
    /// A session id that is none, or two of them.
    #[error("the MCP server gave no usable session id")]
    Session,
    /// As many requests under way as the route allows.
    #[error("the MCP server is at its capacity")]
    Capacity,
    /// An answer that may hold a list that the caller must not see whole, and that cannot be read without doubt.
    #[error("the MCP server gave a list that cannot be read")]
    List,
}

/// Why a request is answered by the gateway itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Rejection {
    /// See [`Fault`].
    #[error("{0}")]
    Http(Fault),
    /// The authority is no route's.
    #[error("this host is not served here")]
    UnknownAuthority,
    /// The path is no route's.
    #[error("there is nothing at this path")]
    NoRoute { reason: &'static str },
    /// `Origin` is not on the route's list.
    #[error("this origin may not use this resource")]
    ForeignOrigin,
    /// `CONNECT`, or a method that the place does not have.
    #[error("this method is not allowed here")]
    Method { allow: &'static str },
    /// The credentials could not be read.
    #[error("{0}")]
    Bearer(#[from] BearerError),
    /// The token is not valid here.
    #[error("{0}")]
    Token(#[from] TokenError),
    /// No keys of the token's issuer can be had.
    #[error("the token cannot be checked at the moment")]
    KeysUnavailable { retry_after: Duration },
    /// Too many failed authentications from this address.
    #[error("too many failed authentications from this address")]
    TooManyFailures { retry_after: Duration },
    /// The address, or the verified client, is blocked for a while: its behaviour was suspicious.
    #[error("too many suspicious requests")]
    Blocked { client: bool, retry_after: Duration },
    /// The audit stream takes no records, and requests without one are refused (threat O9).
    #[error("requests cannot be recorded at the moment")]
    Unrecorded,
    /// The token lacks a scope; these are all that the operation needs.
    #[error("{INSUFFICIENT_SCOPE}")]
    Scope(Arc<str>),
    /// A rule denies it; another token of this caller would not help.
    #[error("this caller may not do this here")]
    Denied(Option<TargetKind>),
    /// The id of no session, or of another caller's.
    #[error("there is no such session")]
    Session,
    /// Over a rate limit; the fields say which.
    #[error("too many requests")]
    RateLimit { retry_after: Duration },
    /// Over a limit of open streams.
    #[error("too many open streams")]
    StreamLimit { retry_after: Duration },
    /// Not `application/json`, or encoded.
    #[error("the body must be application/json in UTF-8 without content coding")]
    MediaType,
    /// A body on a method that has none here.
    #[error("this method takes no body")]
    UnexpectedBody,
    /// The body is over the limit.
    #[error("the body is too large")]
    BodySize,
    /// The body came too slowly.
    #[error("the body did not arrive in time")]
    BodyTimeout,
    /// The body's framing broke while it was read.
    #[error("the body is malformed")]
    BodyFraming,
    /// The body cannot be judged; see [`BodyFault`].
    #[error("{0}")]
    Body(BodyFault),
    /// Header fields and body do not say the same.
    #[error("{0}")]
    Mirror(#[from] Mismatch),
    /// A resource's URI that servers could read as another one.
    #[error("the resource's URI has a spelling that could be read as another one")]
    AmbiguousUri,
    /// All bodies together are over their limit.
    #[error("too many requests are being read at the moment")]
    Memory,
    /// The request has been through this gateway before.
    #[error("the request has passed this gateway before")]
    Loop,
    /// See [`UpstreamFailure`].
    #[error("{0}")]
    Upstream(UpstreamFailure),
    /// A bug; the log has the rest.
    #[error("the gateway could not answer this request")]
    Internal,
}

/// What the client is told, in words; of a token no more than it may know.
struct Description<'a>(&'a Rejection);

impl std::fmt::Display for Description<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Rejection::Token(error) = self.0 { f.write_str(error.description()) } else { self.0.fmt(f) }
    }
}

impl Rejection {
    /// The HTTP status.
    pub(crate) fn status(&self) -> StatusCode {
        self.face().0
    }

    /// The log's word: fixed, one per cause.
    pub(crate) fn reason(&self) -> &'static str {
        self.face().2
    }

    /// All scopes that a step-up challenge asks for.
    pub(crate) fn scopes_asked(&self) -> Option<&str> {
        if let Self::Scope(scopes) = self { Some(scopes) } else { None }
    }

    fn description(&self) -> Description<'_> {
        Description(self)
    }

    fn retry_after(&self) -> Option<Duration> {
        /// A server at its capacity is worth asking again soon.
        const CAPACITY_RETRY: Duration = Duration::from_secs(1);
        if let Self::KeysUnavailable { retry_after }
        | Self::TooManyFailures { retry_after }
        | Self::Blocked { retry_after, .. }
        | Self::RateLimit { retry_after }
        | Self::StreamLimit { retry_after } = self
        {
            return Some(*retry_after);
        }
        matches!(self, Self::Memory | Self::Unrecorded | Self::Upstream(UpstreamFailure::Capacity))
            .then_some(CAPACITY_RETRY)
    }

    fn challenge(&self, challenges: &Challenges, tenant: Option<&TenantId>) -> Option<HeaderValue> {
        if let Self::Bearer(error) = self {
            return Some(match error {
                BearerError::Missing | BearerError::Scheme => challenges.plain(tenant),
                BearerError::Multiple | BearerError::Malformed | BearerError::InQuery => {
                    challenges.error(ChallengeError::InvalidRequest, tenant)
                }
            });
        }
        if let Self::Scope(scope) = self {
            return Some(challenges.error(ChallengeError::InsufficientScope(scope), tenant));
        }
        // RFC 6750 §3.1 has no code for this: a tenant that may not come in gets no challenge; another token of this caller would not help.
        let Self::Token(error) = self else { return None };
        let invalid = *error != TokenError::Tenant;
        invalid.then(|| challenges.error(ChallengeError::InvalidToken(error.description()), tenant))
    }
}

/// `Retry-After` in whole seconds (RFC 9110 §10.2.3), rounded up: never earlier than it would help, never zero.
pub(crate) fn whole_seconds(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

/// The method is one that an MCP route has in this era.
pub(crate) fn allowed_on_route(method: &Method, era: Era) -> Result<(), Rejection> {
    let (known, allow) = match era {
        Era::Legacy => ([Method::GET, Method::POST, Method::DELETE].contains(method), ALLOW),
        Era::Modern => (*method == Method::POST, MODERN_ALLOW),
    };
    known.then_some(()).ok_or(Rejection::Method { allow })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_told_in_whole_seconds_and_never_too_short() {
        for (milliseconds, told) in [(0, 1), (1, 1), (999, 1), (1000, 1), (1001, 2), (2000, 2), (2500, 3)] {
            assert_eq!(whole_seconds(Duration::from_millis(milliseconds)), told, "{milliseconds}");
        }
    }

    #[test]
    fn each_era_has_its_own_methods() {
        for method in [Method::GET, Method::POST, Method::DELETE, Method::HEAD, Method::PUT, Method::TRACE] {
            let is_post = method == Method::POST;
            let legacy = is_post || method == Method::GET || method == Method::DELETE;
            let refused = |allow| Err(Rejection::Method { allow });
            let allowed = allowed_on_route(&method, Era::Legacy);
            assert_eq!(allowed, if legacy { Ok(()) } else { refused("GET, POST, DELETE") }, "{method}");
            let allowed = allowed_on_route(&method, Era::Modern);
            assert_eq!(allowed, if is_post { Ok(()) } else { refused("POST") }, "{method}");
        }
    }
}
