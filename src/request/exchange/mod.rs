//! One request and its answer over an HTTP/1.1 connection to an upstream (RFC 9112), driven by whoever waits for the answer: no task,
//! no channel, and no buffer while nothing comes.
//!
//! Answers are read strictly: what could be read in two ways is no answer (threat F16).

mod body;
mod head;
pub(super) mod http2;
#[cfg(test)]
mod tests;
mod wire;

use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

use http::StatusCode;
use tokio::time::Instant;

use crate::head::judge::MAX_FIELDS;

use super::upload::Outbox;
pub(crate) use body::AnswerBody;
pub(super) use body::{Home, Http1Body};
pub(super) use head::Head;
pub(super) use wire::{Stream, Wire};

/// Longest head of an answer.
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// Interim answers (RFC 9110 §15.2) before the one that counts.
const MAX_INTERIM: usize = 8;

/// Why an exchange failed. Fixed words: what an upstream wrote stays out of the record.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("the connection broke")]
    Broken(#[from] io::Error),
    #[error("the connection ended before the answer did")]
    Cut,
    #[error("an answer came before anything was asked")]
    Unasked,
    #[error("the answer is not HTTP/1.1")]
    StatusLine,
    #[error("a line of the answer's head does not end with CRLF")]
    Line,
    #[error("the answer has a malformed field")]
    Field,
    #[error("the answer has more than {} fields", MAX_FIELDS)]
    Fields,
    #[error("the answer's head is over {} KiB", MAX_HEAD_BYTES / 1024)]
    HeadSize,
    #[error("the answer's length has more than one reading")]
    Length,
    #[error("more than {MAX_INTERIM} interim answers")]
    Interim,
    #[error("the upstream switches protocols")]
    Switches,
    #[error("the answer's chunks are malformed")]
    Chunks,
    #[error("HTTP/2")]
    Http2(#[from] hyper::Error),
}

/// A request under way.
#[derive(Debug)]
pub(super) struct Exchange {
    wire: Wire,
    outbox: Outbox,
    patience: Duration,
    sending: Sending,
    interim: usize,
    /// Where the first line of the head begins that is not whole.
    line: usize,
}

#[derive(Debug)]
enum Sending {
    Begins,
    GoesOn,
    Done,
    /// An answer may be there all the same.
    Broken(io::Error),
}

/// How an exchange ends before there is an answer.
#[derive(Debug)]
pub(super) enum Unanswered {
    Failed(Fault),
    /// The upstream took nothing for too long, or did not answer in time after it had all.
    Late,
}

impl Exchange {
    pub(super) fn new(mut wire: Wire, outbox: Outbox, patience: Duration) -> Self {
        wire.comes_fast = false;
        Self { wire, outbox, patience, sending: Sending::Begins, interim: 0, line: 0 }
    }

    /// Sends what the upstream takes, and gives the head of its answer.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Head, Unanswered>> {
        self.send(cx);
        match self.poll_head(cx) {
            Poll::Ready(head) => Poll::Ready(head.map_err(|fault| Unanswered::Failed(self.cause(fault)))),
            Poll::Pending => self.wire.deadline.poll(cx).map(|()| Err(Unanswered::Late)),
        }
    }

    /// The response's time counts from when the upstream last took something of the request.
    fn send(&mut self, cx: &mut Context<'_>) {
        let before = match self.sending {
            Sending::Begins => None,
            Sending::GoesOn => Some(self.outbox.sent()),
            Sending::Done | Sending::Broken(_) => return,
        };
        self.sending = match self.outbox.poll_write(&mut self.wire.stream, cx) {
            Poll::Ready(Ok(())) => Sending::Done,
            Poll::Ready(Err(error)) => Sending::Broken(error),
            Poll::Pending => Sending::GoesOn,
        };
        if before != Some(self.outbox.sent()) || matches!(self.sending, Sending::Done) {
            self.wire.deadline.set(Some(Instant::now() + self.patience));
        }
    }

    /// RFC 9110 §10.1.1, §15.2: a client must be able to read interim answers, whatever it asked.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<Head, Fault>> {
        loop {
            if let Some(head) = self.take_head()? {
                match head.status {
                    _ if self.outbox.is_untouched() => return Poll::Ready(Err(Fault::Unasked)),
                    StatusCode::SWITCHING_PROTOCOLS => return Poll::Ready(Err(Fault::Switches)),
                    status if !status.is_informational() => return Poll::Ready(Ok(head)),
                    _ if self.interim == MAX_INTERIM => return Poll::Ready(Err(Fault::Interim)),
                    _ => self.interim += 1,
                }
            } else if !std::task::ready!(self.wire.poll_more(cx))? {
                return Poll::Ready(Err(Fault::Cut));
            }
        }
    }

    fn take_head(&mut self) -> Result<Option<Head>, Fault> {
        let Some(end) = head::end(&self.wire.inbox, &mut self.line)? else { return Ok(None) };
        self.line = 0;
        let head = self.wire.inbox.split_to(end);
        head::parse(&head).map(Some)
    }

    /// What broke first is the cause.
    fn cause(&mut self, fault: Fault) -> Fault {
        if !matches!((&self.sending, &fault), (Sending::Broken(_), Fault::Cut | Fault::Broken(_))) {
            return fault;
        }
        match std::mem::replace(&mut self.sending, Sending::GoesOn) {
            Sending::Broken(error) => Fault::Broken(error),
            Sending::Begins | Sending::GoesOn | Sending::Done => fault,
        }
    }

    /// The connection has not taken one byte of the request.
    pub(super) fn is_untouched(&self) -> bool {
        self.outbox.is_untouched()
    }

    /// The connection, and what of the request is not sent.
    pub(super) fn into_parts(self) -> (Wire, Option<Outbox>) {
        (self.wire, (!matches!(self.sending, Sending::Done)).then_some(self.outbox))
    }
}
