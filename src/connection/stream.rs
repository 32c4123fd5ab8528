//! One HTTP/2 stream whose client must keep taking what is answered: a window that stays closed too long ends the stream.
//!
//! HTTP/1 needs none of this: there a full socket says the same, and [`Stall`](super::stall::Stall) sees it. A closed HTTP/2
//! window stops the library from asking the body for more, so neither body nor socket notices; the stream's own task does.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
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

/// Since when something has been handed over to be sent and nothing more was asked for; `None` while there is nothing to send.
#[derive(Debug, Default)]
pub(crate) struct Handed(Mutex<Option<Instant>>);

impl Handed {
    /// That of the stream in whose task this is called; `None` outside HTTP/2.
    pub(crate) fn current() -> Option<Arc<Self>> {
        CURRENT.try_with(Arc::clone).ok()
    }

    /// Something was handed over to be sent.
    pub(crate) fn begin(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// It has gone out: there is nothing to send now.
    pub(crate) fn end(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn since(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

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
        self.tasks.spawn(Watched { stream, handed, patience: self.patience, late });
    }
}

pin_project! {
    /// Ends early, and so resets its stream, when the client takes nothing for too long.
    struct Watched<F> {
        #[pin]
        stream: F,
        handed: Arc<Handed>,
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
        this.late.set(this.handed.since().map(|since| since + *this.patience));
        this.late.poll(cx)
    }
}
