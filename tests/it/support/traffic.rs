//! An honest client that asks again and again while a test breaks things, and what it sees.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::client::{Connection, Http2};
use super::{Client, Reply, eventually_value, upstream};

/// Between two requests.
const PAUSE: Duration = Duration::from_millis(5);

/// A client in a loop; gone when dropped.
pub(crate) struct Traffic {
    seen: Arc<Mutex<Vec<Seen>>>,
    tasks: JoinSet<()>,
}

/// A connection that is kept.
enum Open {
    Http1(Connection),
    Http2(Http2),
}

impl Open {
    async fn to(client: &Client) -> Self {
        if client.is_http2() { Self::Http2(client.connect_http2().await) } else { Self::Http1(client.connect().await) }
    }
}

/// One answer.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    begun: Instant,
    pub(crate) took: Duration,
    pub(crate) status: u16,
    /// The body came to its proper end.
    pub(crate) complete: bool,
    /// A refusal's code.
    pub(crate) code: Option<String>,
    pub(crate) retry_after: Option<u64>,
    pub(crate) text: String,
}

impl Seen {
    /// The upstream's own answer, whole.
    pub(crate) fn is_served(&self) -> bool {
        self.status == 200 && self.complete && self.text == upstream::ANSWER
    }

    /// A whole refusal with this status, code and reason to come back later or not.
    pub(crate) fn is_refused(&self, status: u16, code: &str) -> bool {
        let may_wait = self.retry_after.is_some_and(|seconds| seconds > 0);
        self.status == status && self.complete && self.code.as_deref() == Some(code) && (status != 503 || may_wait)
    }

    /// Broken off, so that nobody takes it for whole.
    pub(crate) fn is_broken(&self) -> bool {
        self.status == 200 && !self.complete
    }

    fn of(begun: Instant, reply: &Reply) -> Self {
        let (status, took) = (reply.status(), begun.elapsed());
        let code = (status >= 400).then(|| reply.refusal()["error"].as_str().unwrap().to_owned());
        let retry_after = reply.header("retry-after").map(|seconds| seconds.parse().unwrap());
        let seen = Self { begun, took, status, complete: reply.complete, code, retry_after, text: reply.text() };
        // Whatever breaks, no client ever takes a part for the whole.
        assert!(seen.is_served() || seen.is_broken() || seen.code.is_some(), "{seen:?}");
        seen
    }
}

impl Traffic {
    /// Begins to post what this gives for the number of each request, over a connection that is kept.
    pub(crate) fn of(path: &str, client: impl Fn(usize) -> Client + Send + 'static) -> Self {
        let (seen, path) = (Arc::new(Mutex::new(Vec::new())), path.to_owned());
        let (told, mut tasks) = (Arc::clone(&seen), JoinSet::new());
        tasks.spawn(async move {
            let mut connection = None;
            for number in 0.. {
                let (client, begun) = (client(number), Instant::now());
                let mut open = match connection.take() {
                    Some(open) => open,
                    None => Open::to(&client).await,
                };
                let reply = match &mut open {
                    Open::Http1(connection) => connection.send(&client, "POST", &path).await,
                    Open::Http2(connection) => connection.send(&client, "POST", &path).await,
                };
                let told_to_close = reply.header("connection").is_some_and(|value| value == "close");
                connection = (reply.complete && !told_to_close).then_some(open);
                told.lock().unwrap().push(Seen::of(begun, &reply));
                tokio::time::sleep(PAUSE).await;
            }
        });
        Self { seen, tasks }
    }

    /// Waits until an answer to a request from now on is as wanted; gives it, and how long that took.
    pub(crate) async fn sees(&mut self, what: &str, wanted: impl Fn(&Seen) -> bool) -> (Seen, Duration) {
        let start = Instant::now();
        let seen = self.look(what, |seen| seen.iter().find(|seen| seen.begun >= start && wanted(seen)).cloned()).await;
        (seen, start.elapsed())
    }

    /// Asserts that the next answers, to so many requests from now on, are all as wanted.
    pub(crate) async fn sees_only(&mut self, times: usize, what: &str, wanted: impl Fn(&Seen) -> bool) -> Vec<Seen> {
        let start = Instant::now();
        let enough = |seen: &[Seen]| {
            let found: Vec<_> = seen.iter().filter(|seen| seen.begun >= start).take(times).cloned().collect();
            let other = found.iter().find(|seen| !wanted(seen));
            assert!(other.is_none(), "{what}: {other:?}");
            (found.len() == times).then_some(found)
        };
        self.look(what, enough).await
    }

    /// Ends it; asserts that every answer from the first on was served, at once.
    pub(crate) fn was_always_served(self, most: Duration) {
        let seen = self.seen.lock().unwrap();
        assert!(seen.len() > 5, "only {} requests", seen.len());
        let other = seen.iter().find(|seen| !seen.is_served() || seen.took > most);
        assert!(other.is_none(), "{other:?} among {}", seen.len());
    }

    async fn look<T>(&mut self, what: &str, look: impl Fn(&[Seen]) -> Option<T>) -> T {
        let (seen, tasks) = (&self.seen, &mut self.tasks);
        eventually_value(what, async || {
            if let Some(ended) = tasks.try_join_next() {
                ended.unwrap();
            }
            look(&seen.lock().unwrap())
        })
        .await
    }
}
