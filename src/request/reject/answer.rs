//! The response to a refused request, in one of two shapes (decision 0004): OAuth's, or JSON-RPC's once the body is looked at.

use http::header::{self, HeaderValue};
use http::{Response, StatusCode};
use serde::Serialize;

use crate::mcp::RequestId;
use crate::mcp::reader::Fault as BodyFault;
use crate::names::TenantId;
use crate::oauth::challenge::Challenges;

use super::super::body::ReplyBody;
use super::{Rejection, whole_seconds};

/// What an answer has to know of the request that it refuses.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asker<'a> {
    /// The gateway's own id of the request.
    pub(crate) request_id: &'a str,
    /// The challenges of its route, where one was found.
    pub(crate) challenges: Option<&'a Challenges>,
    /// The tenant that its URL names.
    pub(crate) tenant: Option<&'a TenantId>,
    /// Its body was looked at.
    pub(crate) inspected: bool,
    /// Its JSON-RPC id, where one was read.
    pub(crate) id: Option<&'a RequestId>,
}

impl Rejection {
    /// The response.
    pub(crate) fn response(&self, asker: &Asker<'_>) -> Response<ReplyBody> {
        let mut response = Response::new(ReplyBody::fixed(self.body(asker)));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(challenge) = asker.challenges.and_then(|challenges| self.challenge(challenges, asker.tenant)) {
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

    fn body(&self, asker: &Asker<'_>) -> String {
        let description = self.description();
        let plain = Plain { error: self.face().1, error_description: &description, request_id: asker.request_id };
        if !asker.inspected && !self.is_json_rpc() {
            return to_json(&plain);
        }
        let error = to_json(&RpcError { code: self.json_rpc_code(), message: &description, data: plain });
        // The id is JSON text already, repeated as it was written (JSON-RPC 2.0 §5).
        let id = asker.id.map_or("null", RequestId::as_json);
        format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#)
    }

    /// MCP 2026-07-28: a 400, 404 or 405 that is no JSON-RPC error makes clients of both eras fall back to the older one.
    fn is_json_rpc(&self) -> bool {
        let falls_back = [StatusCode::BAD_REQUEST, StatusCode::NOT_FOUND, StatusCode::METHOD_NOT_ALLOWED];
        falls_back.contains(&self.status()) || *self == Self::Internal
    }

    /// JSON-RPC 2.0 §5.1: from the reserved codes only the standard's own; ours lie outside, one per HTTP status.
    fn json_rpc_code(&self) -> i32 {
        const PARSE_ERROR: i32 = -32700;
        const INVALID_REQUEST: i32 = -32600;
        const INTERNAL_ERROR: i32 = -32603;
        /// MCP 2026-07-28.
        const HEADER_MISMATCH: i32 = -32020;
        const OWN: i32 = -31000;
        if let Self::Body(BodyFault::Syntax | BodyFault::Encoding) = self {
            return PARSE_ERROR;
        }
        if let Self::Mirror(_) = self {
            return HEADER_MISMATCH;
        }
        match self.status().as_u16() {
            400 | 408 | 413 | 415 => INVALID_REQUEST,
            500.. => INTERNAL_ERROR,
            status => OWN - i32::from(status),
        }
    }
}

/// The shape that OAuth clients show.
#[derive(Serialize)]
struct Plain<'a> {
    error: &'static str,
    error_description: &'a str,
    request_id: &'a str,
}

/// The `error` of the shape that MCP clients show (JSON-RPC 2.0 §5.1).
#[derive(Serialize)]
struct RpcError<'a> {
    code: i32,
    message: &'a str,
    data: Plain<'a>,
}

fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default() // structs of strings always serialize
}
