//! What the siege shares with the tests in `tests/it`: the issuer, keys, tokens, certificates, and the running binary.

#[path = "../it/support/mod.rs"]
mod shared;

pub(crate) use shared::http2::block;
pub(crate) use shared::{Issuer, Process, keys, mint, process, wire};

use std::time::{Duration, Instant};

/// No single step may take longer; one that does has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Polls until `look` finds something; panics with `what` when it never does.
pub(crate) async fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits for `step`, at most [`PATIENCE`].
pub(crate) async fn within<T>(what: &str, step: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, step).await {
        Ok(done) => done,
        Err(elapsed) => panic!("{what}: {elapsed}"),
    }
}
