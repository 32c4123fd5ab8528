//! Last in the row: a task that is woken by what others have done waits until those that are ready have done it too.
//!
//! The runtime runs next what was woken last. So the connection's task would send each answer by itself, with a TLS record and a call
//! of the kernel for it, while the next answers stand ready.

use std::pin::Pin;
use std::task::{Context, Poll};

/// See the module.
#[derive(Debug)]
pub(super) struct Gathered<F> {
    work: F,
    /// It has stepped back since it was woken.
    is_last: bool,
}

impl<F> Gathered<F> {
    pub(super) fn new(work: F) -> Self {
        Self { work, is_last: false }
    }
}

impl<F: Future + Unpin> Future for Gathered<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.is_last = !self.is_last;
        if self.is_last {
            // Whoever wakes himself goes to the end of the row.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Pin::new(&mut self.work).poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::poll_fn;

    use futures_util::future::join;

    use super::*;

    #[tokio::test]
    async fn what_is_ready_comes_before_it() {
        let done = Cell::new(0);
        let seen = Gathered::new(poll_fn(|_| Poll::Ready(done.get())));
        let others = async { done.set(3) };
        assert_eq!(join(seen, others).await.0, 3);
    }

    #[tokio::test]
    async fn it_steps_back_once_each_time() {
        let polls = Cell::new(0);
        let mut work = Gathered::new(poll_fn(|_| {
            polls.set(polls.get() + 1);
            Poll::<()>::Pending
        }));
        let mut poll = || {
            let is_pending = Pin::new(&mut work).poll(&mut Context::from_waker(std::task::Waker::noop())).is_pending();
            (is_pending, polls.get())
        };
        assert_eq!([poll(), poll(), poll(), poll()], [(true, 0), (true, 1), (true, 1), (true, 2)]);
    }
}
