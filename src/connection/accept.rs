//! The accept loop: connection caps, back-off when the system has no more to give.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::request::counted::{Counted, Place};
use crate::request::provenance::network_of;

use super::Connections;

/// After `EMFILE` and the like: long enough for something to be freed, short enough not to be noticed.
const ACCEPT_BACK_OFF: Duration = Duration::from_millis(100);

/// Counts open connections, in all and per address.
#[derive(Debug)]
pub(crate) struct Caps {
    all: Arc<Semaphore>,
    per_address: Counted<IpAddr>,
}

/// One counted connection.
#[derive(Debug)]
pub(crate) struct Slot {
    _address: Place<IpAddr>,
    _all: OwnedSemaphorePermit,
}

impl Caps {
    pub(crate) fn new(all: usize, per_address: usize) -> Self {
        let all = Arc::new(Semaphore::new(all.min(Semaphore::MAX_PERMITS)));
        Self { all, per_address: Counted::new(per_address) }
    }

    /// A place for a connection from this address (IPv6: its /64), if there is one.
    pub(crate) fn take(&self, address: IpAddr) -> Option<Slot> {
        let all = Arc::clone(&self.all).try_acquire_owned().ok()?;
        Some(Slot { _address: self.per_address.take(network_of(address))?, _all: all })
    }
}

/// Accepts until the gateway stops.
pub(crate) async fn accept(listener: TcpListener, connections: Arc<Connections>) {
    let limits = &connections.limits;
    let caps = Caps::new(limits.connections, limits.connections_per_address);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = connections.stop.cancelled() => return,
        };
        match accepted {
            Ok((stream, address)) => begin(&connections, &caps, stream, address),
            Err(error) => {
                tracing::warn!(event = "accept.failed", %error, "cannot accept connections; trying again");
                tokio::time::sleep(ACCEPT_BACK_OFF).await;
            }
        }
    }
}

fn begin(connections: &Arc<Connections>, caps: &Caps, stream: TcpStream, address: SocketAddr) {
    let Some(slot) = caps.take(address.ip()) else {
        let reason = connections.refused("conn.limit");
        tracing::info!(event = "refused", reason, peer = %address, "connection refused");
        return; // dropped: closed at once (threat D6)
    };
    let open = connections.live.handler().metrics.open_connection();
    let connections = Arc::clone(connections);
    connections.tasks.clone().spawn(async move {
        connections.serve(stream, address).await;
        drop((slot, open));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d6_caps_count_per_address_and_in_all_and_give_back() {
        let caps = Caps::new(3, 2);
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let held = [caps.take(address("2001:db8::1")).unwrap(), caps.take(address("2001:db8::2")).unwrap()];
        assert!(caps.take(address("2001:db8::3")).is_none(), "one /64 is one address");
        let other = caps.take(address("192.0.2.1")).unwrap();
        assert!(caps.take(address("192.0.2.2")).is_none(), "three in all");
        drop((held, other));
        assert!(caps.take(address("2001:db8::3")).is_some());
        assert!(caps.per_address.is_empty(), "nothing is remembered of the gone");
    }
}
