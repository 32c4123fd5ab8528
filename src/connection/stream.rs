//! One HTTP/2 stream whose client must keep taking what is answered: a window that stays closed too long ends the stream.
//!
//! HTTP/1 needs none of this: there a full socket says the same, and [`Stall`](super::stall::Stall) sees it. A closed HTTP/2
//! window stops the library from asking the body for more, so neither body nor socket notices; the stream's own task does.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
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

/// Streams of one connection that may end because their client takes nothing; then it ends as a whole. What they had to send stays in
/// the library's hands until then, up to its buffer for a stream each.
const MAX_STALLED: usize = 8;

/// How many have.
#[derive(Debug, Default)]
pub(crate) struct Stalled {
    count: AtomicUsize,
    too_many: CancellationToken,
}

impl Stalled {
    /// Waits for more than a connection may have.
    pub(crate) async fn too_many(&self) {
        self.too_many.cancelled().await;
    }

    fn one_more(&self) {
        if self.count.fetch_add(1, Ordering::Relaxed) + 1 >= MAX_STALLED {
            self.too_many.cancel();
        }
    }
}

/// Spawns the streams of a connection through the gateway's tracker, each under watch.
#[derive(Debug, Clone)]
pub(crate) struct Streams {
    pub(crate) tasks: TaskTracker,
    pub(crate) patience: Duration,
    pub(crate) stalled: Arc<Stalled>,
}

impl<F> hyper::rt::Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let (handed, late, stalled) = (Arc::default(), Deadline::default(), Arc::clone(&self.stalled));
        self.tasks.spawn(Watched { stream, handed, seen: 0, patience: self.patience, late, stalled });
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
        stalled: Arc<Stalled>,
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
        ready!(this.late.poll(cx));
        this.stalled.one_more();
        Poll::Ready(())
    }
}
