//! The two listeners, each replaced without a moment in which nobody listens.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::connection::accept::Caps;
use crate::connection::{Connections, accept};
use crate::live::Live;
use crate::ops::Ops;

use super::build::Lasting;
use super::{StartError, bind};

/// One listener.
#[derive(Debug)]
struct Front {
    /// As configured.
    asked: SocketAddr,
    /// As it is.
    bound: SocketAddr,
    /// Nothing more is accepted on it.
    stop: CancellationToken,
}

/// The public listener and the operations listener.
#[derive(Debug)]
pub(super) struct Fronts {
    both: Mutex<[Option<Front>; 2]>,
    live: Arc<Live>,
    lasting: Lasting,
    caps: Arc<Caps>,
    pub(super) draining: CancellationToken,
    pub(super) stop: CancellationToken,
    pub(super) kill: CancellationToken,
    /// Goes on while the gateway drains, and ends with it.
    operations: Mutex<JoinSet<()>>,
}

/// Sockets that were bound for a configuration that is not in force yet; `None`: the one there is stays.
pub(super) type Bound = [Option<(TcpListener, SocketAddr)>; 2];

/// The keys of the two addresses.
const KEYS: [&str; 2] = ["listen.address", "admin.address"];

impl Fronts {
    pub(super) fn new(live: Arc<Live>, lasting: Lasting) -> Self {
        Self {
            both: Mutex::default(),
            live,
            lasting,
            caps: Arc::new(Caps::new()),
            draining: CancellationToken::new(),
            stop: CancellationToken::new(),
            kill: CancellationToken::new(),
            operations: Mutex::default(),
        }
    }

    /// Binds what is not bound yet of these addresses.
    pub(super) fn bind(&self, addresses: [SocketAddr; 2]) -> Result<Bound, StartError> {
        let mut bound = [None, None];
        for (((place, address), key), asked) in bound.iter_mut().zip(addresses).zip(KEYS).zip(self.asked()) {
            if asked != Some(address) {
                let socket = bind(key, address)?;
                *place = Some(located(socket, key, address)?);
            }
        }
        Ok(bound)
    }

    /// Listens on these sockets, and gives up those that they replace: what is open there may finish.
    pub(super) fn open(&self, sockets: Bound, addresses: [SocketAddr; 2]) {
        let [public, admin] = sockets;
        let [public_address, admin_address] = addresses;
        if let Some((socket, bound)) = public {
            let front = Front { asked: public_address, bound, stop: self.stop.child_token() };
            let connections = Arc::new(Connections {
                live: Arc::clone(&self.live),
                caps: Arc::clone(&self.caps),
                tasks: self.lasting.tasks.clone(),
                stop: front.stop.clone(),
                kill: self.kill.clone(),
            });
            self.lasting.tasks.spawn(accept::accept(socket, connections));
            self.put(0, front);
        }
        if let Some((socket, bound)) = admin {
            let front = Front { asked: admin_address, bound, stop: CancellationToken::new() };
            let ops = Ops { live: Arc::clone(&self.live), draining: self.draining.clone(), stop: front.stop.clone() };
            self.operations().spawn(Arc::new(ops).serve(socket));
            self.put(1, front);
        }
    }

    /// The bound address of the public listener (0) or the operations listener (1).
    pub(super) fn address(&self, which: usize) -> Option<SocketAddr> {
        self.fronts().get(which)?.as_ref().map(|front| front.bound)
    }

    /// Cuts the operations listener off.
    pub(super) async fn end_operations(&self) {
        let mut operations = std::mem::take(&mut *self.operations());
        operations.shutdown().await;
    }

    fn put(&self, which: usize, front: Front) {
        let mut fronts = self.fronts();
        if let Some(replaced) = fronts.get_mut(which).and_then(|place| place.replace(front)) {
            replaced.stop.cancel();
        }
    }

    fn asked(&self) -> [Option<SocketAddr>; 2] {
        let asked = |front: &Option<Front>| front.as_ref().map(|front| front.asked);
        let fronts = self.fronts();
        let [public, admin] = &*fronts;
        [asked(public), asked(admin)]
    }

    fn fronts(&self) -> MutexGuard<'_, [Option<Front>; 2]> {
        self.both.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn operations(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.operations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// With its address, which may differ from what was asked for.
pub(super) fn located(
    socket: TcpListener,
    key: &'static str,
    address: SocketAddr,
) -> Result<(TcpListener, SocketAddr), StartError> {
    let bound = socket.local_addr().map_err(|source| StartError::Listen { key, address, source })?;
    Ok((socket, bound))
}
