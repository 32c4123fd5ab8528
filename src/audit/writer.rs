//! The thread that writes the audit stream: in order, whole lines, again and again until the sink takes them.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::chain::{self, Digest, Link};
use super::line;
use super::sink::{Last, Sink};
use crate::config::watching::Chain;
use crate::spool::{Batch, Spool};

/// After a failure: soon enough to go on as soon as there is room again.
const RETRY: Duration = Duration::from_millis(250);
/// A failure that lasts is told again after this.
const REPEAT: Duration = Duration::from_mins(1);

/// What both sides know.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) written: AtomicU64,
    pub(super) lost: AtomicU64,
    /// Lost since the last line that said so.
    pub(super) untold: AtomicU64,
    pub(super) failing: AtomicBool,
    pub(super) reopen: AtomicBool,
}

pub(super) struct Writer {
    sink: Sink,
    link: Option<Link>,
    /// Number and digest of the last line.
    last: (u64, Digest),
    state: Arc<State>,
    /// Whole lines, but for a first one of which a part is written already.
    pending: Vec<u8>,
    /// The last byte that was written ends no line.
    is_mid_line: bool,
    told: Option<Instant>,
}

impl Writer {
    pub(super) fn new(sink: Sink, last: &Last, setting: &Chain, state: Arc<State>) -> Self {
        let at = last.link.unwrap_or((0, Digest::NOTHING));
        let link = Link::new(setting);
        let mut writer = Self { sink, link, last: at, state, pending: Vec::new(), is_mid_line: false, told: None };
        writer.open(last);
        writer
    }

    /// Until nobody can ask any more, and all is written.
    pub(super) fn run(mut self, spool: &Spool) {
        self.write_all(spool);
        let mut batch = Batch::default();
        while spool.take(&mut batch) {
            // What is added is JSON text: it has no line ends of its own.
            let (mut begin, lines) = (0, &batch.lines);
            for end in memchr::memchr_iter(b'\n', lines) {
                self.add(lines.get(begin..end).unwrap_or_default());
                begin = end + 1;
            }
            self.write_all(spool);
            self.state.written.fetch_add(batch.count as u64, Ordering::Relaxed);
            self.look_at_flags();
            self.write_all(spool);
            spool.written(&mut batch);
        }
    }

    /// The first line in this place.
    fn open(&mut self, last: &Last) {
        if last.torn {
            self.pending.push(b'\n');
        }
        let previous = self.link.is_some().then_some(self.last.1);
        let mut object = Vec::new();
        line::of_opening(last.torn, previous.as_ref().map(Digest::as_str), &mut object);
        self.add(&object);
    }

    fn add(&mut self, object: &[u8]) {
        // Asked first: to change what others look at costs more, and nearly always there is nothing.
        let lost = match self.state.untold.load(Ordering::Relaxed) {
            0 => 0,
            _ => self.state.untold.swap(0, Ordering::Relaxed),
        };
        let open = object.strip_suffix(b"}").unwrap_or(object);
        let telling = (lost > 0).then(|| [open, format!(",\"lost\":{lost}}}").as_bytes()].concat());
        let object = telling.as_deref().unwrap_or(object);
        match &self.link {
            None => self.pending.extend_from_slice(object),
            Some(link) => {
                let digest = chain::chained(link, object, self.last.0 + 1, &self.last.1, &mut self.pending);
                self.last = (self.last.0 + 1, digest);
            }
        }
        self.pending.push(b'\n');
    }

    /// Writes what is pending, however long it takes; but a sink that fails is given up once the configuration has another one.
    fn write_all(&mut self, spool: &Spool) {
        // What is written goes away at the end: some sinks take one line at a time.
        let mut done = 0;
        while let Some(rest @ [_, ..]) = self.pending.get(done..) {
            if self.state.failing.load(Ordering::Relaxed) && spool.is_closed() {
                let lost = memchr::memchr_iter(b'\n', rest).count();
                tracing::error!(event = "audit.failed", lost, "the old audit stream took no records to its end");
                break;
            }
            match self.sink.write(rest) {
                Ok(0) => self.failed(&io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    let gone = rest.get(..written).unwrap_or(rest);
                    self.is_mid_line = gone.last() != Some(&b'\n');
                    done += gone.len();
                    if self.state.failing.swap(false, Ordering::Relaxed) {
                        self.told = None;
                        tracing::info!(event = "audit.recovered", "the audit stream takes records again");
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => self.failed(&error),
            }
        }
        self.pending.clear();
    }

    fn failed(&mut self, error: &io::Error) {
        self.state.failing.store(true, Ordering::Relaxed);
        if self.told.is_none_or(|told| told.elapsed() >= REPEAT) {
            self.told = Some(Instant::now());
            tracing::error!(event = "audit.failed", %error, "the audit stream takes no records");
        }
        std::thread::sleep(RETRY);
        // A file that was moved away may have been what failed; what is written of a line goes on where it is.
        if !self.is_mid_line {
            self.look_at_flags();
        }
    }

    fn look_at_flags(&mut self) {
        if !self.state.reopen.swap(false, Ordering::AcqRel) {
            return;
        }
        match self.sink.reopen() {
            Ok(None) => {}
            Ok(Some(last)) => {
                // Lines that wait were chained already: the opening line comes after them.
                self.open(&last);
            }
            Err(error) => {
                tracing::error!(event = "audit.failed", %error, "the audit file cannot be opened again; the old one is written on");
            }
        }
    }
}
