//! What each refusal is: its HTTP status, its code for programs, its reason for the log. Exhaustive, and nowhere else.

use http::StatusCode;

use crate::head::Fault;
use crate::mcp::TargetKind;
use crate::mcp::reader::Fault as BodyFault;
use crate::token::{BearerError, TokenError};

use super::{Rejection, UpstreamFailure};

/// One refusal's three faces: status for HTTP, code for the client's program, reason for the log.
pub(super) struct Face(pub(super) StatusCode, pub(super) &'static str, pub(super) &'static str);

impl Rejection {
    /// The translation: exhaustive, and nowhere else.
    pub(super) fn face(&self) -> Face {
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
            Self::Blocked { client: false, .. } => Face(S::TOO_MANY_REQUESTS, "too_many_requests", "block.address"),
            Self::Blocked { client: true, .. } => Face(S::TOO_MANY_REQUESTS, "too_many_requests", "block.client"),
            Self::Unrecorded => Face(S::SERVICE_UNAVAILABLE, "temporarily_unavailable", "audit.failed"),
            Self::Scope(_) => Face(S::FORBIDDEN, "insufficient_scope", "authz.scope"),
            Self::Denied(kind) => Face(S::FORBIDDEN, "forbidden", denied_reason(*kind)),
            Self::Session => Face(S::NOT_FOUND, "not_found", "mcp.session"),
            Self::RateLimit { .. } => Face(S::TOO_MANY_REQUESTS, "too_many_requests", "limit.rate"),
            Self::StreamLimit { .. } => Face(S::TOO_MANY_REQUESTS, "too_many_requests", "limit.streams"),
            Self::MediaType => Face(S::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", "mcp.type"),
            Self::UnexpectedBody => Face(S::BAD_REQUEST, "bad_request", "mcp.body"),
            Self::BodySize => Face(S::PAYLOAD_TOO_LARGE, "content_too_large", "mcp.size"),
            Self::BodyTimeout => Face(S::REQUEST_TIMEOUT, "request_timeout", "conn.body_timeout"),
            Self::BodyFraming => Face(S::BAD_REQUEST, "bad_request", "http.framing"),
            Self::Body(fault) => Face(S::BAD_REQUEST, "bad_request", body_reason(*fault)),
            Self::Mirror(_) => Face(S::BAD_REQUEST, "bad_request", "mcp.mirror"),
            Self::AmbiguousUri => Face(S::BAD_REQUEST, "bad_request", "mcp.uri"),
            Self::Memory => Face(S::SERVICE_UNAVAILABLE, "temporarily_unavailable", "limit.memory"),
            Self::Loop => Face(S::LOOP_DETECTED, "loop_detected", "route.loop"),
            Self::Upstream(failure) => upstream_face(*failure),
            Self::Internal => Face(S::INTERNAL_SERVER_ERROR, "internal_error", "panic"),
        }
    }
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
        UpstreamFailure::Session => Face(S::BAD_GATEWAY, "bad_gateway", "upstream.session"),
        UpstreamFailure::Capacity => Face(S::SERVICE_UNAVAILABLE, "temporarily_unavailable", "upstream.capacity"),
        UpstreamFailure::List => Face(S::BAD_GATEWAY, "bad_gateway", "upstream.list"),
    }
}

fn body_reason(fault: BodyFault) -> &'static str {
    match fault {
        BodyFault::Syntax => "mcp.parse",
        BodyFault::Encoding => "mcp.encoding",
        BodyFault::Duplicate => "mcp.duplicate",
        BodyFault::Shape => "mcp.shape",
        BodyFault::Bounds => "mcp.size",
        BodyFault::Batch => "mcp.batch",
    }
}

fn denied_reason(kind: Option<TargetKind>) -> &'static str {
    match kind {
        Some(TargetKind::Tool) => "authz.tool",
        Some(TargetKind::Prompt) => "authz.prompt",
        Some(TargetKind::Resource) => "authz.resource",
        Some(TargetKind::Task) => "authz.task",
        None => "authz.method",
    }
}
