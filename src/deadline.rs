//! A moment after which something is late, at the cost of a timer only for whoever waits for it.
//!
//! Timers of the runtime are set under a lock. Most waits end before anything is late, so the timer is set at the first wait and left
//! running: when it fires for a moment that is not meant any more, it is set for the one that is.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::time::{Instant, Sleep};

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Deadline {
    due: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Deadline {
    /// From now on this moment counts; `None`: nothing can be late.
    pub(crate) fn set(&mut self, due: Option<Instant>) {
        self.due = due;
    }

    /// The moment that counts.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Somebody had to wait.
    #[cfg(test)]
    pub(crate) fn was_awaited(&self) -> bool {
        self.timer.is_some()
    }

    /// Ready once it has passed.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(due) = self.due else { return Poll::Pending };
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
        if timer.deadline() > due {
            timer.as_mut().reset(due);
        }
        loop {
            ready!(timer.as_mut().poll(cx));
            if timer.deadline() >= due {
                return Poll::Ready(());
            }
            timer.as_mut().reset(due);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use super::*;

    /// After how many seconds it is late.
    async fn late(deadline: &mut Deadline) -> u64 {
        let since = Instant::now();
        poll_fn(|cx| deadline.poll(cx)).await;
        since.elapsed().as_secs()
    }

    fn seconds(count: u64) -> Instant {
        Instant::now() + Duration::from_secs(count)
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_moment_that_was_said_last_counts() {
        let mut deadline = Deadline::default();
        deadline.set(Some(seconds(10)));
        assert!(!deadline.was_awaited() && deadline.due() == Some(seconds(10)), "nobody waits yet");
        assert_eq!(late(&mut deadline).await, 10);
        for (before, then) in [(60, 10), (10, 60), (10, 10)] {
            deadline.set(Some(seconds(before)));
            assert!(futures_util::poll!(poll_fn(|cx| deadline.poll(cx))).is_pending());
            deadline.set(Some(seconds(then)));
            assert_eq!(late(&mut deadline).await, then, "{before}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_moment_nothing_is_ever_late() {
        let mut deadline = Deadline::default();
        deadline.set(Some(seconds(1)));
        deadline.set(None);
        let waiting = poll_fn(|cx| deadline.poll(cx));
        assert!(tokio::time::timeout(Duration::from_hours(1), waiting).await.is_err());
    }
}
