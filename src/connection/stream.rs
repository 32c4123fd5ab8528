//! One HTTP/2 stream whose client must keep taking what is answered: a window that stays closed too long ends the stream.
//!
//! HTTP/1 needs none of this: there a full socket says the same, and [`Stall`](super::stall::Stall) sees it. A closed HTTP/2
//! window stops the library from asking the body for more, so neither body nor socket notices; the stream's own task does.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::deadline::Deadline;

tokio::task_local! {
    /// The stream in whose task this code runs.
    static CURRENT: Arc<Handed>;
}

/// Whether something waits to be sent (the lowest bit), above a count of changes: so it is seen that something else waits now.
#[derive(Debug, Default)]
pub(crate) struct Handed(AtomicU64);

impl Handed {
    /// That of the stream in whose task this is called; `None` outside HTTP/2.
    pub(crate) fn current() -> Option<Arc<Self>> {
        CURRENT.try_with(Arc::clone).ok()
    }

    /// Something was handed over to be sent.
    pub(crate) fn begin(&self) {
        self.change(WAITS);
    }

    /// It has gone out: there is nothing to send now.
    pub(crate) fn end(&self) {
        self.change(0);
    }

    /// Only the stream's own task does this.
    fn change(&self, waits: u64) {
        let next = (self.state() & !WAITS).wrapping_add(2) | waits;
        self.0.store(next, Ordering::Relaxed);
    }

    fn state(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

const WAITS: u64 = 1;

/// Spawns the streams of a connection through the gateway's tracker, each under watch.
#[derive(Debug, Clone)]
pub(crate) struct Streams {
    pub(crate) tasks: TaskTracker,
    pub(crate) patience: Duration,
}

impl<F> hyper::rt::Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let (handed, late) = (Arc::default(), Deadline::default());
        self.tasks.spawn(Watched { stream, handed, seen: 0, patience: self.patience, late });
    }
}

pin_project! {
    /// Ends early, and so resets its stream, when the client takes nothing for too long.
    struct Watched<F> {
        #[pin]
        stream: F,
        handed: Arc<Handed>,
        // The state when this last waited.
        seen: u64,
        patience: Duration,
        late: Deadline,
    }
}

impl<F: Future<Output = ()>> Future for Watched<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        if CURRENT.sync_scope(Arc::clone(this.handed), || this.stream.poll(cx)).is_ready() {
            return Poll::Ready(());
        }
        // Only who waits reads the clock: most streams have nothing to send, or are over at once.
        let state = this.handed.state();
        if std::mem::replace(this.seen, state) != state {
            this.late.set((state & WAITS != 0).then(|| Instant::now() + *this.patience));
        }
        this.late.poll(cx)
    }
}
