//! Rejection → response: the only place that writes 4xx and 5xx.

use std::time::Duration;

use http::header::{self, HeaderValue};
use http::{Method, Response, StatusCode};
use serde::Serialize;

use crate::names::TenantId;
use crate::oauth::challenge::{ChallengeError, Challenges, INSUFFICIENT_SCOPE};
use crate::token::{BearerError, TokenError};

use super::body::ReplyBody;

/// The methods of an MCP route (MCP Streamable HTTP), for `Allow`.
pub(crate) const ALLOW: &str = "GET, POST, DELETE";

/// What is wrong with a request's head or framing (RFC 9112). The connection ends after the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    /// Lengths that could be read in two ways, or a malformed body.
    #[error("ambiguous or malformed message framing")]
    Framing,
    /// A transfer coding that is not `chunked`.
    #[error("a transfer coding that is not supported")]
    Coding,
    /// A head that is no head.
    #[error("malformed request head")]
    Syntax,
    /// `Host` missing, repeated or no host.
    #[error("the host must be named once and be a host")]
    Host,
    /// Neither HTTP/1.0 nor HTTP/1.1.
    #[error("an HTTP version that is not supported")]
    Version,
    /// The head is over its limit.
    #[error("request header fields too large")]
    HeadSize,
    /// The request target is over its limit.
    #[error("request target too long")]
    TargetSize,
    /// The head did not come in time.
    #[error("the request head did not arrive in time")]
    HeadTimeout,
}

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
    /// As many requests under way as the route allows.
    #[error("the MCP server is at its capacity")]
    Capacity,
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
    /// The token lacks a scope of the route.
    #[error("{INSUFFICIENT_SCOPE}")]
    Scope,
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

/// One refusal's three faces: status for HTTP, code for the client's program, reason for the log.
struct Face(StatusCode, &'static str, &'static str);

impl Rejection {
    /// The translation: exhaustive, and nowhere else.
    fn face(&self) -> Face {
        use StatusCode as S;
        match self {
            Self::Http(fault) => fault_face(*fault),
            Self::UnknownAuthority => Face(S::MISDIRECTED_REQUEST, "misdirected_request", "host.unknown"),
            Self::NoRoute { reason } => Face(S::NOT_FOUND, "not_found", reason),
            Self::ForeignOrigin => Face(S::FORBIDDEN, "forbidden", "mcp.origin"),
            Self::Method { .. } => Face(S::METHOD_NOT_ALLOWED, "method_not_allowed", "route.method"),
            Self::Bearer(error) => bearer_face(*error),
            Self::Token(TokenError::Tenant) => Face(S::FORBIDDEN, "forbidden", TokenError::Tenant.reason()),
            Self::Token(error) => Face(S::UNAUTHORIZED, "invalid_token", error.reason()),
            Self::KeysUnavailable { .. } => Face(S::SERVICE_UNAVAILABLE, "temporarily_unavailable", "jwks.unavailable"),
            Self::TooManyFailures { .. } => Face(S::TOO_MANY_REQUESTS, "too_many_requests", "auth.failures"),
            Self::Scope => Face(S::FORBIDDEN, "insufficient_scope", "authz.scope"),
            Self::RateLimit { .. } => Face(S::TOO_MANY_REQUESTS, "too_many_requests", "limit.rate"),
            Self::StreamLimit { .. } => Face(S::TOO_MANY_REQUESTS, "too_many_requests", "limit.streams"),
            Self::MediaType => Face(S::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", "mcp.type"),
            Self::UnexpectedBody => Face(S::BAD_REQUEST, "bad_request", "mcp.body"),
            Self::BodySize => Face(S::PAYLOAD_TOO_LARGE, "content_too_large", "mcp.size"),
            Self::BodyTimeout => Face(S::REQUEST_TIMEOUT, "request_timeout", "conn.body_timeout"),
            Self::BodyFraming => Face(S::BAD_REQUEST, "bad_request", "http.framing"),
            Self::Loop => Face(S::LOOP_DETECTED, "loop_detected", "route.loop"),
            Self::Upstream(failure) => upstream_face(*failure),
            Self::Internal => Face(S::INTERNAL_SERVER_ERROR, "internal_error", "panic"),
        }
    }

    /// The HTTP status.
    pub(crate) fn status(&self) -> StatusCode {
        self.face().0
    }

    /// The log's word: fixed, one per cause.
    pub(crate) fn reason(&self) -> &'static str {
        self.face().2
    }

    fn description(&self) -> String {
        if let Self::Token(error) = self { error.description().to_owned() } else { self.to_string() }
    }

    /// Design §4: what is refused once the body is looked at answers in the shape of JSON-RPC.
    fn json_rpc_code(&self) -> Option<i32> {
        const INVALID_REQUEST: i32 = -32600;
        const INTERNAL_ERROR: i32 = -32603;
        match self {
            Self::MediaType | Self::UnexpectedBody | Self::BodySize | Self::BodyTimeout | Self::BodyFraming => {
                Some(INVALID_REQUEST)
            }
            Self::Upstream(_) | Self::Loop | Self::Internal => Some(INTERNAL_ERROR),
            Self::Http(_)
            | Self::UnknownAuthority
            | Self::NoRoute { .. }
            | Self::ForeignOrigin
            | Self::Method { .. }
            | Self::Bearer(_)
            | Self::Token(_)
            | Self::KeysUnavailable { .. }
            | Self::TooManyFailures { .. }
            | Self::Scope
            | Self::RateLimit { .. }
            | Self::StreamLimit { .. } => None,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        /// A server at its capacity is worth asking again soon.
        const CAPACITY_RETRY: Duration = Duration::from_secs(1);
        if let Self::KeysUnavailable { retry_after }
        | Self::TooManyFailures { retry_after }
        | Self::RateLimit { retry_after }
        | Self::StreamLimit { retry_after } = self
        {
            return Some(*retry_after);
        }
        (*self == Self::Upstream(UpstreamFailure::Capacity)).then_some(CAPACITY_RETRY)
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
        if *self == Self::Scope {
            return Some(challenges.error(ChallengeError::InsufficientScope(challenges.scope()), tenant));
        }
        // Digest §2: a tenant that may not come in gets no challenge; another token of this caller would not help.
        let Self::Token(error) = self else { return None };
        let invalid = *error != TokenError::Tenant;
        invalid.then(|| challenges.error(ChallengeError::InvalidToken(error.description()), tenant))
    }

    /// The response. `challenges` are the route's, where one was found; `tenant` is what its URL names.
    pub(crate) fn response(
        &self,
        request_id: &str,
        challenges: Option<&Challenges>,
        tenant: Option<&TenantId>,
    ) -> Response<ReplyBody> {
        let mut response = Response::new(ReplyBody::fixed(self.body(request_id)));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(challenge) = challenges.and_then(|challenges| self.challenge(challenges, tenant)) {
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        if let Some(wait) = self.retry_after() {
            headers.insert(header::RETRY_AFTER, whole_seconds(wait).into());
        }
        if let Self::Method { allow } = self {
            headers.insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        if matches!(self, Self::Http(_) | Self::BodyFraming | Self::BodyTimeout) {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    fn body(&self, request_id: &str) -> Vec<u8> {
        let description = self.description();
        let plain = Plain { error: self.face().1, error_description: &description, request_id };
        let body = match self.json_rpc_code() {
            None => serde_json::to_vec(&plain),
            Some(code) => {
                let error = RpcError { code, message: &description, data: plain };
                serde_json::to_vec(&Rpc { jsonrpc: "2.0", id: None, error })
            }
        };
        body.unwrap_or_default() // structs of strings always serialize
    }
}

/// The shape that OAuth clients show.
#[derive(Serialize)]
struct Plain<'a> {
    error: &'static str,
    error_description: &'a str,
    request_id: &'a str,
}

/// The shape that MCP clients show (JSON-RPC 2.0 §5.1). The id is not read before inspection exists.
#[derive(Serialize)]
struct Rpc<'a> {
    jsonrpc: &'static str,
    id: Option<()>,
    error: RpcError<'a>,
}

#[derive(Serialize)]
struct RpcError<'a> {
    code: i32,
    message: &'a str,
    data: Plain<'a>,
}

fn fault_face(fault: Fault) -> Face {
    use StatusCode as S;
    match fault {
        Fault::Framing => Face(S::BAD_REQUEST, "bad_request", "http.framing"),
        Fault::Coding => Face(S::NOT_IMPLEMENTED, "not_implemented", "http.framing"),
        Fault::Syntax => Face(S::BAD_REQUEST, "bad_request", "http.syntax"),
        Fault::Host => Face(S::BAD_REQUEST, "bad_request", "http.host"),
        Fault::Version => Face(S::HTTP_VERSION_NOT_SUPPORTED, "http_version_not_supported", "http.version"),
        Fault::HeadSize => {
            Face(S::REQUEST_HEADER_FIELDS_TOO_LARGE, "request_header_fields_too_large", "http.head_size")
        }
        Fault::TargetSize => Face(S::URI_TOO_LONG, "uri_too_long", "http.head_size"),
        Fault::HeadTimeout => Face(S::REQUEST_TIMEOUT, "request_timeout", "conn.head_timeout"),
    }
}

fn bearer_face(error: BearerError) -> Face {
    use StatusCode as S;
    match error {
        BearerError::Missing => Face(S::UNAUTHORIZED, "unauthorized", "auth.missing"),
        BearerError::Scheme => Face(S::UNAUTHORIZED, "unauthorized", "auth.scheme"),
        BearerError::Multiple => Face(S::BAD_REQUEST, "invalid_request", "auth.multiple"),
        BearerError::Malformed => Face(S::BAD_REQUEST, "invalid_request", "auth.malformed"),
        BearerError::InQuery => Face(S::BAD_REQUEST, "invalid_request", "auth.query"),
    }
}

fn upstream_face(failure: UpstreamFailure) -> Face {
    use StatusCode as S;
    match failure {
        UpstreamFailure::Unreachable => Face(S::BAD_GATEWAY, "bad_gateway", "upstream.unreachable"),
        UpstreamFailure::ConnectTimeout => Face(S::GATEWAY_TIMEOUT, "gateway_timeout", "upstream.connect_timeout"),
        UpstreamFailure::Protocol => Face(S::BAD_GATEWAY, "bad_gateway", "upstream.protocol"),
        UpstreamFailure::ResponseTimeout => Face(S::GATEWAY_TIMEOUT, "gateway_timeout", "upstream.timeout"),
        UpstreamFailure::Unauthorized => Face(S::BAD_GATEWAY, "bad_gateway", "upstream.unauthorized"),
        UpstreamFailure::Redirect => Face(S::BAD_GATEWAY, "bad_gateway", "upstream.redirect"),
        UpstreamFailure::Capacity => Face(S::SERVICE_UNAVAILABLE, "temporarily_unavailable", "upstream.capacity"),
    }
}

/// `Retry-After` in whole seconds, rounded up (digest §9): never earlier than it would help, never zero.
pub(crate) fn whole_seconds(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

/// The method is one that an MCP route has.
pub(crate) fn allowed_on_route(method: &Method) -> Result<(), Rejection> {
    let known = [Method::GET, Method::POST, Method::DELETE].contains(method);
    known.then_some(()).ok_or(Rejection::Method { allow: ALLOW })
}
