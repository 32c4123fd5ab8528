//! One plain HTTP service of the demo on its own listener: started, addressed, stopped.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// How long open requests may go on once the service is told to stop.
const GRACE: Duration = Duration::from_secs(2);

/// A service that runs until it is shut down or dropped.
#[derive(Debug)]
pub(super) struct Serving {
    address: SocketAddr,
    tasks: TaskTracker,
    stop: DropGuard,
}

impl Serving {
    /// Serves `router` on `listener`; `stop` is also what ends the router's own streams.
    pub(super) fn start(listener: TcpListener, router: Router, stop: CancellationToken) -> std::io::Result<Self> {
        let address = listener.local_addr()?;
        let tasks = TaskTracker::new();
        let stopped = stop.clone();
        tasks.spawn(async move {
            let served = axum::serve(listener, router).with_graceful_shutdown(stopped.cancelled_owned());
            if let Err(error) = served.await {
                tracing::warn!(%error, "a demo service ended");
            }
        });
        tasks.close();
        let stop = stop.drop_guard();
        Ok(Self { address, tasks, stop })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops accepting and waits for open requests, at most for a grace time.
    pub(super) async fn shut_down(self) {
        drop(self.stop);
        if tokio::time::timeout(GRACE, self.tasks.wait()).await.is_err() {
            tracing::debug!(address = %self.address, "a demo service was cut off");
        }
    }
}
