//! The response to a refused request, in one of two shapes (decision 0004): OAuth's, or JSON-RPC's once the body is looked at.

use http::StatusCode;
use http::header;

use crate::mcp::RequestId;
use crate::mcp::reader::Fault as BodyFault;
use crate::names::TenantId;
use crate::oauth::challenge::Challenges;
use crate::text::Object;

use super::super::body::ReplyBody;
use super::super::reply::Reply;
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
    pub(crate) fn reply(&self, asker: &Asker<'_>) -> Reply {
        let mut reply = Reply::new(self.status(), ReplyBody::fixed(self.body(asker)));
        let lines = &mut reply.lines;
        lines.push_lines("content-type: application/json\r\ncache-control: no-store\r\n");
        if let Some(challenge) = asker.challenges.and_then(|challenges| self.challenge(challenges, asker.tenant)) {
            lines.push(&header::WWW_AUTHENTICATE, &challenge);
        }
        if let Some(wait) = self.retry_after() {
            lines.push_text(&header::RETRY_AFTER, &[itoa::Buffer::new().format(whole_seconds(wait))]);
        }
        if let Self::Method { allow } = self {
            lines.push_text(&header::ALLOW, &[allow]);
        }
        reply.is_last = matches!(self, Self::Http(_) | Self::BodyFraming | Self::BodyTimeout);
        reply
    }

    /// The shape that OAuth clients show, or the `error` of the one that MCP clients show, which holds it (JSON-RPC 2.0 §5.1).
    fn body(&self, asker: &Asker<'_>) -> Vec<u8> {
        let mut body = Vec::with_capacity(ROOM);
        let plain = |object: &mut Object<'_>| {
            object.word("error", self.face().1);
            object.shown("error_description", self.description());
            object.word("request_id", asker.request_id);
        };
        let mut object = Object::begin(&mut body);
        if asker.inspected || self.is_json_rpc() {
            object.word("jsonrpc", "2.0");
            // The id is JSON text already, repeated as it was written (JSON-RPC 2.0 §5).
            object.written("id", asker.id.map_or("null", RequestId::as_json));
            object.object("error", |error| {
                error.number("code", self.json_rpc_code());
                error.shown("message", self.description());
                error.object("data", plain);
            });
        } else {
            plain(&mut object);
        }
        object.end();
        body
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

/// Longer than most bodies.
const ROOM: usize = 256;
