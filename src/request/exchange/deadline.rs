//! A time that may be put off again and again. A timer runs only while somebody waits, and is set anew only when it rings too early.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::time::{Instant, Sleep};

/// See the module.
#[derive(Debug)]
pub(crate) struct Deadline {
    at: Instant,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Deadline {
    pub(crate) fn new() -> Self {
        Self { at: Instant::now(), timer: None }
    }

    /// From now on it is then.
    pub(crate) fn set(&mut self, at: Instant) {
        self.at = at;
    }

    /// Somebody had to wait.
    #[cfg(test)]
    pub(super) fn was_awaited(&self) -> bool {
        self.timer.is_some()
    }

    /// Ready when the time has come.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(self.at)));
        if timer.deadline() > self.at {
            timer.as_mut().reset(self.at);
        }
        loop {
            ready!(timer.as_mut().poll(cx));
            if timer.deadline() >= self.at {
                return Poll::Ready(());
            }
            timer.as_mut().reset(self.at);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn it_comes_when_it_was_last_set_to_however_often_that_changed() {
        let (begun, mut deadline) = (Instant::now(), Deadline::new());
        deadline.set(begun + 10 * SECOND);
        assert!(!deadline.was_awaited(), "nobody waits yet");
        for (at, later) in [(5, 20), (15, 30), (25, 29)] {
            let waits = tokio::time::timeout_at(begun + at * SECOND, poll_fn(|cx| deadline.poll(cx)));
            assert!(waits.await.is_err(), "too early at {at}");
            deadline.set(begun + later * SECOND);
        }
        poll_fn(|cx| deadline.poll(cx)).await;
        assert_eq!(begun.elapsed(), 29 * SECOND);
    }
}
