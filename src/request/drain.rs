//! Reads on after a refusal, so that the client sees the answer: a bounded amount for a bounded time.

use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::Incoming;

/// A client that has more than this under way loses its connection.
pub(crate) const MAX_DRAINED_BYTES: usize = 256 * 1024;
/// Longer than a round trip around the world, and short enough to be no way of holding connections.
pub(crate) const MAX_DRAIN_TIME: Duration = Duration::from_secs(2);

/// Reads and forgets.
pub(crate) async fn drain(mut body: Incoming) {
    let reading = async {
        let mut left = MAX_DRAINED_BYTES;
        while let Some(Ok(frame)) = body.frame().await {
            let Some(rest) = left.checked_sub(frame.data_ref().map_or(0, bytes::Bytes::len)) else { break };
            left = rest;
        }
    };
    // Over time is as good as done: the body is dropped either way.
    tokio::time::timeout(MAX_DRAIN_TIME, reading).await.unwrap_or_default();
}
