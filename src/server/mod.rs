//! Starts and stops everything: listeners, background tasks, drain; replaces the configuration in between.

mod build;
mod fronts;
mod reload;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpSocket};
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::live::{Generation, Live};
use crate::metrics::Metrics;
use crate::request::forward::StreamEnds;
use crate::request::log::RequestLog;

use crate::revocations::Revocations;

use build::{Lasting, build, load};
use fronts::{Fronts, located};
pub use reload::Followed;

/// Connections that the system keeps until they are accepted, if its own bound (`somaxconn`) is no lower. The library's 128 are
/// full after a burst: then the system lets clients in that nobody ever hears (threat D6).
const BACKLOG: u32 = 4096;
/// How often refusals that were only counted are said.
const TELL_REPEATS: Duration = Duration::from_secs(1);
/// After the grace time: for streams to say that they end, and for the last bytes to go out.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Why the gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A certificate or a trust anchor could not be had; the text says which and why.
    #[error("{0}")]
    Unusable(String),
    /// An address could not be bound.
    #[error("{key}: cannot listen on {address}: {source}")]
    Listen {
        /// The key in the configuration.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
}

/// Bound sockets: tests and `demo` bind them first, to know their ports.
#[derive(Debug)]
pub struct Listeners {
    /// The public listener.
    pub public: TcpListener,
    /// `/healthz`, `/readyz`, `/metrics`, `/status`.
    pub admin: TcpListener,
}

impl Listeners {
    /// Binds what the configuration names.
    #[expect(clippy::unused_async, reason = "sockets belong to the runtime that this is awaited in")]
    pub async fn bind(config: &Config) -> Result<Self, StartError> {
        let public = bind("listen.address", config.listen.address)?;
        Ok(Self { public, admin: bind("admin.address", config.admin)? })
    }
}

fn bind(key: &'static str, address: SocketAddr) -> Result<TcpListener, StartError> {
    let listen = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // A restart must not wait for connections that ended a minute ago.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    listen().map_err(|source| StartError::Listen { key, address, source })
}

/// A running gateway.
#[derive(Debug)]
pub struct Gateway(Arc<Running>);

#[derive(Debug)]
struct Running {
    live: Arc<Live>,
    lasting: Lasting,
    fronts: Fronts,
    /// One at a time replaces the configuration.
    reloading: tokio::sync::Mutex<()>,
}

impl Gateway {
    /// Starts serving. Returns once connections are accepted; issuers are never waited for.
    #[expect(clippy::unused_async, reason = "it spawns, so it must be called inside a runtime")]
    pub async fn start(config: Config, listeners: Listeners) -> Result<Self, StartError> {
        let (metrics, tasks) = (Arc::new(Metrics::new()), TaskTracker::new());
        let log = Arc::new(RequestLog::new(config.log));
        let lasting = Lasting {
            metrics,
            tasks,
            stream_ends: StreamEnds::default(),
            log,
            revocations: Arc::new(Revocations::new()),
        };
        let revoked = load(&config)?;
        let asked = [config.listen.address, config.admin];
        let sockets = [
            Some(located(listeners.public, "listen.address", config.listen.address)?),
            Some(located(listeners.admin, "admin.address", config.admin)?),
        ];
        let generation = build(config, None, &lasting)?;
        lasting.revocations.replace(revoked);
        let live = Arc::new(Live::new(generation));
        let fronts = Fronts::new(Arc::clone(&live), lasting.clone());
        let running = Arc::new(Running { live, lasting, fronts, reloading: tokio::sync::Mutex::default() });
        let generation = running.live.current();
        running.begin(&generation, None);
        running.lasting.tasks.spawn(Arc::clone(&running).tidy());
        running.fronts.open(sockets, asked);
        let gateway = Self(running);
        let (address, admin) = (gateway.address(), gateway.admin_address());
        tracing::info!(event = "started", version = env!("CARGO_PKG_VERSION"), %address, %admin, config = generation.digest);
        Ok(gateway)
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.0.fronts.address(0).unwrap_or_else(|| self.0.live.current().listen.address)
    }

    /// Where `/healthz`, `/readyz`, `/metrics` and `/status` are.
    pub fn admin_address(&self) -> SocketAddr {
        self.0.fronts.address(1).unwrap_or_else(|| self.0.live.current().admin)
    }

    /// Says that it is not ready, goes on for `listen.shutdown_delay`, stops accepting, lets requests finish within
    /// `listen.shutdown_grace`, ends the rest. True when all had finished by then.
    pub async fn shut_down(self) -> bool {
        let Running { live, lasting, fronts, .. } = &*self.0;
        let generation = live.current();
        let (delay, grace) = (generation.listen.shutdown_delay, generation.listen.shutdown_grace);
        tracing::info!(event = "shutdown.started", delay_s = delay.as_secs(), grace_s = grace.as_secs());
        fronts.draining.cancel();
        tokio::time::sleep(delay).await;
        fronts.stop.cancel();
        lasting.stream_ends.listening.cancel();
        lasting.tasks.close();
        let mut all_ended = tokio::time::timeout(grace, lasting.tasks.wait()).await.is_ok();
        if !all_ended {
            // Streams end as streams end; what is left then is cut off.
            lasting.stream_ends.answering.cancel();
            all_ended = tokio::time::timeout(LAST_WORDS, lasting.tasks.wait()).await.is_ok();
        }
        fronts.kill.cancel();
        tokio::time::timeout(LAST_WORDS, lasting.tasks.wait()).await.unwrap_or_default();
        fronts.end_operations().await;
        lasting.log.flush(Instant::now() + TELL_REPEATS);
        // Off the runtime: they may block, and what they wait for is not waited for longer than this.
        let witnesses = Arc::clone(&live.current().handler.witnesses);
        tokio::task::spawn_blocking(move || witnesses.close(LAST_WORDS)).await.unwrap_or_default();
        tracing::info!(event = "shutdown.finished", all_ended);
        all_ended
    }
}

impl Running {
    /// Every second: tells the log of refusals that came again and again, and closes connections to upstreams that nobody uses.
    async fn tidy(self: Arc<Self>) {
        while self.fronts.stop.run_until_cancelled(tokio::time::sleep(TELL_REPEATS)).await.is_some() {
            let now = Instant::now();
            self.lasting.log.flush(now);
            self.live.current().handler.routes.all().iter().for_each(|route| route.upstream.shed(now));
        }
    }

    /// Starts what a generation has that `before` had not, and ends what it has not any more.
    fn begin(&self, generation: &Generation, before: Option<&Generation>) {
        let had = |store| before.is_some_and(|before| before.issuers.iter().any(|(_, old)| Arc::ptr_eq(old, store)));
        for (_, store) in generation.issuers.iter().filter(|(_, store)| !had(store)) {
            self.lasting.tasks.spawn(Arc::clone(store).run(self.fronts.stop.clone()));
        }
        let gone = before.iter().flat_map(|before| &before.issuers);
        for (_, store) in gone.filter(|(_, old)| !generation.issuers.iter().any(|(_, new)| Arc::ptr_eq(old, new))) {
            store.retire();
        }
        for route in generation.handler.routes.all() {
            let (resource, upstream) = (&route.config.resource, &route.config.upstream.url);
            tracing::info!(event = "route", route = route.config.name.as_str(), %resource, %upstream);
        }
        if let Some(tls) = &generation.tls {
            tls.warn_of_end(std::time::SystemTime::now());
        }
    }
}
