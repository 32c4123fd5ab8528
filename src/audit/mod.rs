//! The audit stream: one JSON object per decision, written by a thread of its own, so that nobody waits for it (docs/audit.md).

mod chain;
mod line;
mod sink;
mod subject;
#[cfg(test)]
mod tests;
mod verify;
mod writer;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::config::AuditConfig;
use crate::config::watching::OnFailure;
use crate::record::Record;
use crate::spool::{Spool, with_line};

pub(crate) use line::{Allowed, Event};
use sink::Sink;
pub(crate) use subject::{CLEAR, Subjects};
pub use verify::{Break, Chained, Verifier};
use writer::{State, Writer};

/// Why the stream cannot be opened. The text names the sink.
#[derive(Debug, thiserror::Error)]
#[error("audit: {sink}: {source}")]
pub(crate) struct OpenError {
    sink: String,
    source: std::io::Error,
}

/// The stream.
#[derive(Debug)]
pub(crate) struct AuditLog {
    queue: Arc<Queue>,
    state: Arc<State>,
    subjects: Subjects,
    on_failure: OnFailure,
    /// So many may wait in all.
    most: usize,
}

/// Records that wait; the thread that writes them ends when nobody can add any more.
#[derive(Debug)]
struct Queue(Arc<Spool>);

impl Drop for Queue {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// The part of the queue that requests under way may still fill when new ones are refused: a quarter.
const RESERVE_PART: usize = 4;

/// How the stream is, for metrics and `/status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) written: u64,
    pub(crate) lost: u64,
    pub(crate) waiting: usize,
    pub(crate) failing: bool,
}

impl AuditLog {
    /// Goes on with the thread and the sink of the old one where they are the same; else opens another one. A chain has one
    /// writer: so the kind of chain of a file in use cannot change.
    pub(crate) fn like(old: Option<(&AuditConfig, &Arc<Self>)>, config: &AuditConfig) -> Result<Self, OpenError> {
        let Some((before, log)) = old.filter(|(before, _)| before.sink == config.sink) else {
            return Self::open(config);
        };
        if before.chain != config.chain {
            let why = "the chain of a stream in use changes with another file, or with the next start";
            return Err(OpenError { sink: Sink::name(&config.sink), source: std::io::Error::other(why) });
        }
        Ok(Self {
            queue: Arc::clone(&log.queue),
            state: Arc::clone(&log.state),
            subjects: Subjects::new(&config.subjects),
            on_failure: config.on_failure,
            most: config.queue,
        })
    }

    /// Opens the sink and starts the thread that writes to it.
    pub(crate) fn open(config: &AuditConfig) -> Result<Self, OpenError> {
        let failed = |source| OpenError { sink: Sink::name(&config.sink), source };
        let (sink, last) = Sink::open(&config.sink, &config.chain).map_err(failed)?;
        let spool = Arc::new(Spool::new(config.queue));
        let queue = Arc::new(Queue(Arc::clone(&spool)));
        let state = Arc::new(State::default());
        let writer = Writer::new(sink, &last, &config.chain, Arc::clone(&state));
        std::thread::Builder::new().name("audit".into()).spawn(move || writer.run(&spool)).map_err(failed)?;
        let (subjects, on_failure) = (Subjects::new(&config.subjects), config.on_failure);
        Ok(Self { queue, state, subjects, on_failure, most: config.queue })
    }

    /// True while records cannot be written and requests are to be refused for it (threat O9).
    pub(crate) fn refuses(&self) -> bool {
        let is_bad = || self.state.failing.load(Ordering::Relaxed) || self.queue.0.waiting() >= self.most_waiting();
        self.on_failure == OnFailure::Deny && is_bad()
    }

    /// One request has ended.
    pub(crate) fn ended(&self, record: &Record<'_>) {
        with_line(|line| {
            line::of_request(record, &self.subjects, line);
            self.write(line, self.room(record.gateway_time.is_some()))
        });
    }

    /// One of several things is about to go upstream. False when that cannot be told, and so must not be.
    pub(crate) fn allowed(&self, allowed: &Allowed<'_>) -> bool {
        with_line(|line| {
            line::of_allowed(allowed, &self.subjects, line);
            self.write(line, self.room(false)) || self.on_failure != OnFailure::Deny
        })
    }

    /// Something happened that is no request.
    pub(crate) fn event(&self, event: &Event<'_>) {
        with_line(|line| {
            line::of_event(event, &self.subjects, line);
            self.write(line, usize::MAX)
        });
    }

    /// It is the one in force now, and not the one before whose queue it shares.
    pub(crate) fn take_over(&self) {
        self.queue.0.hold_at_most(self.most);
    }

    /// Opens the file again: it was rotated.
    pub(crate) fn reopen(&self) {
        self.state.reopen.store(true, Ordering::Release);
        self.queue.0.wake();
    }

    /// What records, and the log beside them, say of subjects.
    pub(crate) fn subjects(&self) -> &Subjects {
        &self.subjects
    }

    /// How it is.
    pub(crate) fn status(&self) -> Status {
        let State { written, lost, failing, .. } = &*self.state;
        Status {
            written: written.load(Ordering::Relaxed),
            lost: lost.load(Ordering::Relaxed),
            waiting: self.queue.0.waiting(),
            failing: failing.load(Ordering::Relaxed),
        }
    }

    /// Waits until everything is written, but not longer than this. Blocks.
    pub(crate) fn flush(&self, most: Duration) -> bool {
        self.queue.0.ask().recv_timeout(most).is_ok()
    }

    /// So many may wait before new requests are refused; the rest of the queue is for the ends of those that went upstream.
    fn most_waiting(&self) -> usize {
        self.most - self.most / RESERVE_PART
    }

    /// How many may wait beside the record of a request. A flood of refusals must not push out the ends of what went upstream.
    fn room(&self, went_upstream: bool) -> usize {
        if went_upstream || self.on_failure != OnFailure::Deny { usize::MAX } else { self.most_waiting() }
    }

    fn write(&self, line: &[u8], room: usize) -> bool {
        let is_taken = self.queue.0.push_among(line, room);
        if !is_taken {
            self.state.lost.fetch_add(1, Ordering::Relaxed);
            self.state.untold.fetch_add(1, Ordering::Relaxed);
        }
        is_taken
    }
}
