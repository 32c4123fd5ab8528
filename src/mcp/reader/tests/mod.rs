//! The reader against tables of bodies. Each body is read whole and byte by byte: the cut never changes the verdict.

mod grammar;
mod messages;
mod properties;

use super::{Body, Fault, MAX_DEPTH, Reader, Unreadable};
use crate::mcp::message::{Content, Message, TargetKind};

/// Reads a body in pieces of this many bytes.
fn in_pieces(body: &[u8], size: usize, batches: bool) -> Result<Body, Unreadable> {
    let mut reader = Reader::new(batches);
    for piece in body.chunks(size) {
        reader.feed(piece)?;
    }
    reader.finish()
}

/// Reads a body whole, and asserts that cuts do not matter.
fn read_with(body: &[u8], batches: bool) -> Result<Body, Unreadable> {
    let whole = in_pieces(body, usize::MAX, batches);
    for size in [1, 2, 3, 7] {
        assert_eq!(in_pieces(body, size, batches), whole, "{size} bytes at a time: {}", body.escape_ascii());
    }
    whole
}

fn read(body: impl AsRef<[u8]>) -> Result<Body, Unreadable> {
    read_with(body.as_ref(), false)
}

/// The one message of a body that is accepted.
fn message(body: impl AsRef<[u8]>) -> Message {
    match read(&body) {
        Ok(Body::One(message)) => message,
        other => panic!("{}: {other:?}", body.as_ref().escape_ascii()),
    }
}

/// The fault of a body that is refused.
fn fault(body: impl AsRef<[u8]>) -> Fault {
    let body = body.as_ref();
    read(body).expect_err(&body.escape_ascii().to_string()).fault
}

/// A message's method and what it names.
fn named(body: &str) -> (String, Vec<(TargetKind, String)>) {
    let message = message(body);
    let operation = message.operation().unwrap();
    let targets = operation.targets.iter().map(|target| (target.kind, target.name.to_string()));
    (operation.method.to_string(), targets.collect())
}

fn is_request(message: &Message) -> bool {
    matches!(message.content, Content::Request(_))
}
