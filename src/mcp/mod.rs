//! What MCP messages say: read out of bodies without ambiguity, held against the header fields that repeat them, and edited
//! where a policy hides list entries. Pure: bytes in, facts or edited bytes out.

pub mod list;
mod lookalike;
pub mod message;
pub mod mirror;
pub mod reader;
pub mod sse;

pub use message::{Content, Era, Message, Operation, RequestId, Target, TargetKind};
