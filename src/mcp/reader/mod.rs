//! Body → messages, read without ambiguity: strict JSON all through, and no member that decides stands twice.
//!
//! One pass over the bytes as they arrive. What any lenient parser might read in another way is refused, so that the upstream
//! cannot understand something else than what was judged (threat M5).

mod collector;
mod draft;
mod json;
mod member;
#[cfg(test)]
mod tests;

use super::message::{Message, RequestId};
use collector::{Collector, Place};
use json::Stream;

/// Deepest nesting of a body (threat M10).
pub const MAX_DEPTH: u32 = 64;

/// Reads one body, piece by piece as it arrives; nothing of it is copied but the few texts that decide.
#[derive(Debug)]
pub struct Reader {
    stream: Stream,
    collector: Collector,
    /// What was wrong: nothing makes it good again.
    fault: Option<Fault>,
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
        Self { stream: Stream::default(), collector: Collector::new(batches), fault: None }
    }

    /// Takes the next bytes.
    pub fn feed(&mut self, piece: &[u8]) -> Result<(), Unreadable> {
        let read = match self.fault {
            Some(fault) => Err(fault),
            None => self.stream.feed(piece, &mut self.collector),
        };
        read.map_err(|fault| self.unreadable(fault))
    }

    /// The end of the body.
    pub fn finish(mut self) -> Result<Body, Unreadable> {
        self.feed(b"")?;
        self.stream.finish(&mut self.collector).map_err(|fault| self.unreadable(fault))?;
        self.collector.body().ok_or(Unreadable { fault: Fault::Syntax, id: None })
    }

    fn unreadable(&mut self, fault: Fault) -> Unreadable {
        self.fault = Some(fault);
        Unreadable { fault, id: self.collector.id().cloned() }
    }
}
