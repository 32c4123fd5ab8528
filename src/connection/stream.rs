//! One HTTP/2 stream whose client must keep taking what is answered: a window that stays closed too long ends the stream.
//!
//! HTTP/1 needs none of this: there a full socket says the same, and [`Stall`](super::stall::Stall) sees it. A closed HTTP/2
//! window stops the library from asking the body for more, so neither body nor socket notices; the stream's own task does.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};
use tokio_util::task::TaskTracker;

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
        let watched =
            Watched { stream: Box::pin(stream), handed: Arc::default(), patience: self.patience, timer: None };
        self.tasks.spawn(watched);
    }
}

/// Ends early, and so resets its stream, when the client takes nothing for too long.
struct Watched<F> {
    stream: Pin<Box<F>>,
    handed: Arc<Handed>,
    patience: Duration,
    timer: Option<Pin<Box<Sleep>>>,
}

impl<F: Future<Output = ()>> Future for Watched<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        if CURRENT.sync_scope(Arc::clone(&this.handed), || this.stream.as_mut().poll(cx)).is_ready() {
            return Poll::Ready(());
        }
        let Some(since) = this.handed.since() else {
            this.timer = None;
            return Poll::Pending;
        };
        let at = since + this.patience;
        let timer = this.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
        if timer.deadline() != at {
            timer.as_mut().reset(at);
        }
        timer.as_mut().poll(cx)
    }
}
