//! The accept loop: connection caps, back-off when the system has no more to give.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};

use crate::config::Limits;
use crate::network::network_of;
use crate::request::counted::{Counted, Place};

use super::Connections;

/// After `EMFILE` and the like: long enough for something to be freed, short enough not to be noticed.
const ACCEPT_BACK_OFF: Duration = Duration::from_millis(100);

/// Counts open connections, in all and per address.
#[derive(Debug)]
pub(crate) struct Caps {
    all: Arc<AtomicUsize>,
    per_address: Counted<IpAddr>,
}

/// One counted connection.
#[derive(Debug)]
pub(crate) struct Slot {
    _address: Place<IpAddr>,
    all: Arc<AtomicUsize>,
}

impl Caps {
    /// None is open.
    pub(crate) fn new() -> Self {
        Self { all: Arc::default(), per_address: Counted::new() }
    }

    /// A place for a connection from this address (IPv6: its /64), if there is one within these limits.
    pub(crate) fn take(&self, address: IpAddr, limits: &Limits) -> Option<Slot> {
        let place = self.per_address.take(network_of(address), limits.connections_per_address)?;
        let one_more = |open: usize| (open < limits.connections).then_some(open + 1);
        self.all.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).ok()?;
        Some(Slot { _address: place, all: Arc::clone(&self.all) })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.all.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Accepts until the listener is given up.
pub(crate) async fn accept(listener: TcpListener, connections: Arc<Connections>) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = connections.stop.cancelled() => return,
        };
        match accepted {
            Ok((stream, address)) => begin(&connections, stream, address),
            Err(error) => {
                tracing::warn!(event = "accept.failed", %error, "cannot accept connections; trying again");
                tokio::time::sleep(ACCEPT_BACK_OFF).await;
            }
        }
    }
}

fn begin(connections: &Arc<Connections>, stream: TcpStream, address: SocketAddr) {
    let generation = connections.live.current();
    let Some(slot) = connections.caps.take(address.ip(), &generation.listen.limits) else {
        connections.refused("conn.limit", address, None);
        return; // dropped: closed at once (threat D6)
    };
    let open = generation.handler.metrics.open_connection();
    let connections = Arc::clone(connections);
    connections.tasks.clone().spawn(async move {
        connections.serve(stream, address, &generation).await;
        drop((slot, open));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d6_caps_count_per_address_and_in_all_and_give_back() {
        let caps = Caps::new();
        let take = |address: &str, all, per_address| {
            let limits = Limits { connections: all, connections_per_address: per_address, ..Limits::least() };
            caps.take(address.parse().unwrap(), &limits)
        };
        let held = [take("2001:db8::1", 3, 2).unwrap(), take("2001:db8::2", 3, 2).unwrap()];
        assert!(take("2001:db8::3", 3, 2).is_none(), "one /64 is one address");
        let other = take("192.0.2.1", 3, 2).unwrap();
        assert!(take("192.0.2.2", 3, 2).is_none(), "three in all");
        drop(take("192.0.2.2", 4, 2).expect("limits that were raised count at once"));
        assert!(take("192.0.2.2", 2, 2).is_none(), "and so do those that were lowered");
        drop((held, other));
        assert!(take("2001:db8::3", 3, 2).is_some());
        assert!(caps.per_address.is_empty(), "nothing is remembered of the gone");
    }
}
