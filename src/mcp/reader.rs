//! Body → messages, read without ambiguity.

use super::message::{Message, RequestId};

/// Deepest nesting of a body (threat M10).
pub const MAX_DEPTH: u32 = 64;

/// Reads one body, piece by piece as it arrives; nothing of it is copied but the few texts that decide.
#[derive(Debug)]
pub struct Reader {
    batches: bool,
    bytes: Vec<u8>,
}

/// What a body holds.
#[derive(Debug, PartialEq, Eq)]
pub enum Body {
    /// One message.
    One(Message),
    /// 2025-03-26: an array of at least one and at most [`MAX_BATCH`](super::message::MAX_BATCH).
    Batch(Vec<Message>),
}

impl Body {
    /// The messages, in order.
    pub fn messages(&self) -> &[Message] {
        match self {
            Self::One(message) => std::slice::from_ref(message),
            Self::Batch(messages) => messages,
        }
    }
}

/// Why a body cannot be judged, and whose answer says so where that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// What is wrong.
    pub fault: Fault,
    /// The id of the request, when it stood before the fault.
    pub id: Option<RequestId>,
}

/// What is wrong with a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Fault {
    /// Not JSON: truncated, followed by more, or malformed (RFC 8259).
    #[error("the body is not JSON")]
    Syntax,
    /// Not UTF-8, or a byte order mark.
    #[error("the body is not UTF-8 without a byte order mark")]
    Encoding,
    /// A member that decides stands twice, or in another spelling that lenient readers take for it.
    #[error("a member that decides stands twice, or in a spelling of its own")]
    Duplicate,
    /// Not the shape of a JSON-RPC message of MCP.
    #[error("the body is not a JSON-RPC message of MCP")]
    Shape,
    /// Over [`MAX_DEPTH`], or a name that is too long.
    #[error("the body is nested too deep, or names something too long")]
    Bounds,
    /// A batch where none is taken, an empty or a too long one.
    #[error("batches are not accepted here")]
    Batch,
}

impl Reader {
    /// `batches`: arrays of messages are taken too.
    pub fn new(batches: bool) -> Self {
        Self { batches, bytes: Vec::new() }
    }

    /// Takes the next bytes.
    pub fn feed(&mut self, piece: &[u8]) -> Result<(), Unreadable> {
        self.bytes.extend_from_slice(piece);
        Ok(())
    }

    /// The end of the body.
    pub fn finish(self) -> Result<Body, Unreadable> {
        let fault = |fault| Unreadable { fault, id: None };
        let value: serde_json::Value = serde_json::from_slice(&self.bytes).map_err(|_| fault(Fault::Syntax))?;
        match value {
            serde_json::Value::Array(items) if self.batches => {
                Ok(Body::Batch(items.iter().map(message).collect::<Option<_>>().ok_or(fault(Fault::Shape))?))
            }
            serde_json::Value::Array(_) => Err(fault(Fault::Batch)),
            value => message(&value).map(Body::One).ok_or(fault(Fault::Shape)),
        }
    }
}

fn message(value: &serde_json::Value) -> Option<Message> {
    let id = value.get("id").and_then(|id| RequestId::from_json(&id.to_string()));
    let Some(method) = value.get("method") else {
        return Some(Message { id, content: super::Content::Response, claim: None });
    };
    let method = method.as_str()?;
    let params = value.get("params");
    let named = super::message::naming_of(method).and_then(|naming| {
        let name = params?.get(naming.member)?.as_str()?.into();
        Some(super::Target { kind: naming.kind, name })
    });
    let claim =
        params.and_then(|p| p.get("_meta")?.get("io.modelcontextprotocol/protocolVersion")?.as_str()).map(Into::into);
    let operation = super::Operation { method: method.into(), targets: named.into_iter().collect() };
    let content =
        if id.is_some() { super::Content::Request(operation) } else { super::Content::Notification(operation) };
    Some(Message { id, content, claim })
}
