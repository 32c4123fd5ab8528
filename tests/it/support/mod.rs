//! The four actors of every test: [`Issuer`], [`Upstream`], [`Gateway`] and [`Client`], and what they are made of.

pub(crate) mod client;
pub(crate) mod gateway;
pub(crate) mod http2;
pub(crate) mod issuer;
pub(crate) mod keys;
pub(crate) mod log;
pub(crate) mod mint;
pub(crate) mod names;
pub(crate) mod pki;
pub(crate) mod place;
pub(crate) mod process;
pub(crate) mod raw;
pub(crate) mod reply;
pub(crate) mod scrape;
pub(crate) mod traffic;
pub(crate) mod upstream;
pub(crate) mod wire;

pub(crate) use client::Client;
pub(crate) use gateway::Gateway;
pub(crate) use issuer::Issuer;
pub(crate) use mint::Mint;
pub(crate) use process::Process;
pub(crate) use reply::Reply;
pub(crate) use upstream::Upstream;

use std::time::{Duration, Instant};

/// The path of the resource that tests use unless told otherwise.
pub(crate) const PATH: &str = "/notes/mcp";

/// An issuer, an upstream and a ready gateway between them.
pub(crate) async fn start() -> (Issuer, Upstream, Gateway) {
    start_with("").await
}

/// The same with changes to the configuration, see [`Gateway::start_with`].
pub(crate) async fn start_with(changes: &str) -> (Issuer, Upstream, Gateway) {
    let (issuer, upstream) = (Issuer::start().await, Upstream::start().await);
    let gateway = Gateway::start_with(&issuer, &upstream, changes).await;
    (issuer, upstream, gateway)
}

/// No step of a test may take longer; a test that needs this long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Polls until `look` finds something; panics with `what` when it never does.
pub(crate) async fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Asks until an answer is as wanted; panics with `what` when none ever is.
pub(crate) async fn eventually_reply(what: &str, ask: impl AsyncFnMut() -> Option<Reply>) -> Reply {
    eventually_value(what, ask).await
}

/// Asks until there is something; panics with `what` when there never is.
pub(crate) async fn eventually_value<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let asking = async {
        loop {
            if let Some(found) = ask().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    within(what, asking).await
}

/// Waits for `step`, at most [`PATIENCE`].
pub(crate) async fn within<T>(what: &str, step: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, step).await {
        Ok(done) => done,
        Err(elapsed) => panic!("{what}: {elapsed}"),
    }
}
