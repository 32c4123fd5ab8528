//! Lines on their way to a thread that writes them: whoever adds one waits for nobody, and wakes nobody while more may come.
//!
//! Waking a thread costs more than the request that it is told of. So the writer lets lines gather for a moment and takes them
//! all at once; it is woken before only when many wait, or when somebody asks.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long lines gather: nobody who reads them notices.
const GATHER: Duration = Duration::from_millis(20);
/// When this part of all that may wait does, the writer is woken at once.
const HASTE_PART: usize = 4;
/// And when so many bytes do: more would no longer be in the processor's caches when they are written, and hold up whoever shares the
/// processor with the writer; much less, and a flood of refusals would wake it every few of them.
const HASTE_BYTES: usize = 256 * 1024;
/// Room that is kept for the next lines; what a flood took is given back.
const KEPT_BYTES: usize = 2 * HASTE_BYTES;

/// See the module.
#[derive(Debug)]
pub(crate) struct Spool {
    /// Lines that may wait, those in the writer's hands among them.
    most: AtomicUsize,
    state: Mutex<State>,
    filled: Condvar,
}

#[derive(Debug, Default)]
struct State {
    batch: Batch,
    /// Taken, and not yet written.
    in_hand: usize,
    is_writer_asleep: bool,
    is_closed: bool,
}

/// What the writer takes at a time.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// Whole lines, each with its end.
    pub(crate) lines: Vec<u8>,
    /// How many.
    pub(crate) count: usize,
    /// Who wants to be told once they are written.
    asked: Vec<SyncSender<()>>,
    is_woken: bool,
}

impl Spool {
    pub(crate) fn new(most: usize) -> Self {
        Self { most: most.into(), state: Mutex::default(), filled: Condvar::new() }
    }

    /// So many may wait from now on; those that wait already stay.
    pub(crate) fn hold_at_most(&self, most: usize) {
        self.most.store(most, Ordering::Relaxed);
    }

    fn most(&self) -> usize {
        self.most.load(Ordering::Relaxed)
    }

    /// Adds a line, without its end; false when too many wait.
    pub(crate) fn push(&self, line: &[u8]) -> bool {
        self.push_among(line, usize::MAX)
    }

    /// The same, while fewer than these wait.
    pub(crate) fn push_among(&self, line: &[u8], most: usize) -> bool {
        let mut state = self.state();
        if state.waiting() >= most.min(self.most()) {
            return false;
        }
        state.batch.lines.extend_from_slice(line);
        state.batch.lines.push(b'\n');
        state.batch.count += 1;
        let is_urgent = state.batch.count == 1 || state.is_pressing(self.most());
        let wakes = is_urgent && std::mem::take(&mut state.is_writer_asleep);
        // Not before: a writer that wakes at once would only wait for the lock.
        drop(state);
        if wakes {
            self.filled.notify_one();
        }
        true
    }

    /// Lines that nobody has written yet.
    pub(crate) fn waiting(&self) -> usize {
        self.state().waiting()
    }

    /// The writer looks up now.
    pub(crate) fn wake(&self) {
        self.state().batch.is_woken = true;
        self.filled.notify_one();
    }

    /// Tells when everything so far is written.
    pub(crate) fn ask(&self) -> Receiver<()> {
        let (told, written) = sync_channel(1);
        self.state().batch.asked.push(told);
        self.filled.notify_one();
        written
    }

    /// Nobody adds any more.
    pub(crate) fn close(&self) {
        self.state().is_closed = true;
        self.filled.notify_one();
    }

    /// True once nobody adds any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.state().is_closed
    }

    /// For the writer: what has gathered, into an empty batch. Waits until there is something; false when there never will be.
    pub(crate) fn take(&self, batch: &mut Batch) -> bool {
        let mut state = self.state();
        while state.batch.is_empty() {
            if state.is_closed {
                return false;
            }
            state.is_writer_asleep = true;
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if !state.is_pressing(self.most()) {
            state.is_writer_asleep = true;
            let waited = self.filled.wait_timeout_while(state, GATHER, |state| !state.is_pressing(self.most()));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.is_writer_asleep = false;
        state.in_hand = state.batch.count;
        std::mem::swap(batch, &mut state.batch);
        true
    }

    /// For the writer: the lines of this batch are written, and who asked is told.
    pub(crate) fn written(&self, batch: &mut Batch) {
        self.state().in_hand = 0;
        for asked in batch.asked.drain(..) {
            // Whoever asked may have given up.
            asked.send(()).unwrap_or_default();
        }
        batch.lines.clear();
        batch.lines.shrink_to(KEPT_BYTES);
        (batch.count, batch.is_woken) = (0, false);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn waiting(&self) -> usize {
        self.batch.count + self.in_hand
    }

    /// More lines than may gather, or somebody who waits.
    fn is_pressing(&self, most: usize) -> bool {
        let is_asked = self.batch.is_woken || !self.batch.asked.is_empty() || self.is_closed;
        is_asked || self.batch.count >= most.div_ceil(HASTE_PART) || self.batch.lines.len() >= HASTE_BYTES
    }
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.count == 0 && self.asked.is_empty() && !self.is_woken
    }
}

thread_local! {
    static LINE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Lends room for one line, empty, so that no line costs an allocation.
pub(crate) fn with_line<T>(write: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    // Taken, not borrowed: whoever writes a line may cause another one to be written.
    let mut line = LINE.take();
    line.clear();
    let outcome = write(&mut line);
    line.shrink_to(KEPT_BYTES);
    LINE.set(line);
    outcome
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    /// A writer that hands on what it takes; it ends with the receiver.
    fn writer(spool: &Arc<Spool>) -> Receiver<Vec<u8>> {
        let (written, lines) = sync_channel(0);
        let spool = Arc::clone(spool);
        std::thread::spawn(move || {
            let mut batch = Batch::default();
            while spool.take(&mut batch) {
                if written.send(batch.lines.clone()).is_err() {
                    return;
                }
                spool.written(&mut batch);
            }
        });
        lines
    }

    #[test]
    fn lines_that_come_together_are_written_together_in_order() {
        let spool = Arc::new(Spool::new(100));
        for line in ["a", "b", "c"] {
            assert!(spool.push(line.as_bytes()));
        }
        let lines = writer(&spool);
        assert_eq!(lines.recv_timeout(PATIENCE).unwrap(), b"a\nb\nc\n");
        assert!(spool.push(b"d"), "one that comes to an idle writer is written without anybody asking");
        assert_eq!(lines.recv_timeout(PATIENCE).unwrap(), b"d\n");
    }

    #[test]
    fn no_more_wait_than_may_those_in_hand_among_them() {
        let spool = Spool::new(3);
        let mut batch = Batch::default();
        assert!((0..3).all(|_| spool.push(b"x")) && !spool.push(b"x"));
        assert!(spool.take(&mut batch));
        assert!(!spool.push(b"x") && spool.waiting() == 3, "the writer has them still");
        spool.written(&mut batch);
        assert!(spool.push(b"x") && spool.waiting() == 1);
    }

    #[test]
    fn who_asks_is_told_when_all_before_is_written() {
        let spool = Arc::new(Spool::new(10));
        spool.push(b"x");
        let told = spool.ask();
        let lines = writer(&spool);
        assert_eq!(lines.recv_timeout(PATIENCE).unwrap(), b"x\n");
        told.recv_timeout(PATIENCE).unwrap();
        assert_eq!(spool.waiting(), 0);
    }

    #[test]
    fn what_waits_at_the_end_is_written_before_the_writer_ends() {
        let spool = Spool::new(10);
        let mut batch = Batch::default();
        spool.push(b"x");
        spool.close();
        assert!(spool.take(&mut batch) && batch.lines == b"x\n");
        spool.written(&mut batch);
        assert!(!spool.take(&mut batch));
    }

    #[test]
    fn room_that_a_flood_took_is_given_back() {
        let spool = Spool::new(10);
        let mut batch = Batch::default();
        spool.push(&vec![b'x'; 16 * KEPT_BYTES]);
        assert!(spool.take(&mut batch));
        spool.written(&mut batch);
        assert!(batch.lines.capacity() <= KEPT_BYTES, "{}", batch.lines.capacity());
    }
}
