//! Starts and stops everything: listeners, background tasks, drain.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::audit::AuditLog;
use crate::config::Config;
use crate::connection::{Connections, accept, tls};
use crate::detection::Detection;
use crate::live::{Generation, Live};
use crate::metrics::Metrics;
use crate::ops::Ops;
use crate::request::Handler;
use crate::request::authenticate::Authenticator;
use crate::request::budget::Budgets;
use crate::request::forward::StreamEnds;
use crate::request::route::Routes;
use crate::request::session::Sessions;
use crate::request::witnesses::Witnesses;
use crate::revocations::Revocations;
use crate::telemetry::Exporter;

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
    /// `/healthz`, `/readyz`, `/metrics`.
    pub admin: TcpListener,
}

impl Listeners {
    /// Binds what the configuration names.
    pub async fn bind(config: &Config) -> Result<Self, StartError> {
        let public = bind("listen.address", config.listen.address).await?;
        Ok(Self { public, admin: bind("admin.address", config.admin).await? })
    }
}

async fn bind(key: &'static str, address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|source| StartError::Listen { key, address, source })
}

/// A running gateway.
#[derive(Debug)]
pub struct Gateway {
    address: SocketAddr,
    admin: SocketAddr,
    delay: Duration,
    grace: Duration,
    tasks: TaskTracker,
    /// Not ready any more; everything else goes on.
    draining: CancellationToken,
    stop: CancellationToken,
    kill: CancellationToken,
    stream_ends: StreamEnds,
    /// Goes on while the gateway drains, and ends with it.
    operations: JoinSet<()>,
}

impl Gateway {
    /// Starts serving. Returns once connections are accepted; issuers are never waited for.
    #[expect(clippy::unused_async, reason = "it spawns, so it must be called inside a runtime")]
    pub async fn start(config: Config, listeners: Listeners) -> Result<Self, StartError> {
        let unusable = |error: &dyn std::error::Error| StartError::Unusable(error.to_string());
        let local = |key, listener: &TcpListener, address| {
            listener.local_addr().map_err(|source| StartError::Listen { key, address, source })
        };
        let address = local("listen.address", &listeners.public, config.listen.address)?;
        let admin = local("admin.address", &listeners.admin, config.admin)?;
        let tls = config.listen.tls.as_ref().map(tls::server_config).transpose().map_err(|error| unusable(&error))?;
        let certificate_expires = config.listen.tls.as_ref().and_then(tls::expires);
        let authenticator = Authenticator::new(&config).map_err(|error| unusable(&error))?;
        let names = config.issuers.iter().map(|issuer| issuer.name.clone());
        let issuers: Vec<_> = names.zip(authenticator.stores().iter().cloned()).collect();

        let (tasks, stop, kill) = (TaskTracker::new(), CancellationToken::new(), CancellationToken::new());
        for (_, store) in &issuers {
            tasks.spawn(Arc::clone(store).run(stop.clone()));
        }
        for route in &config.routes {
            let (resource, upstream) = (&route.resource, &route.upstream.url);
            tracing::info!(event = "route", route = route.name.as_str(), %resource, %upstream);
        }
        let stream_ends = StreamEnds::default();
        let metrics = Arc::new(Metrics::new());
        let served = config.routes.iter().map(|route| (route.name.clone(), route.issuers.clone())).collect();
        let witnesses = Arc::new(Witnesses {
            audit: config.audit.as_ref().map(AuditLog::open).transpose().map_err(|error| unusable(&error))?,
            exporter: config.telemetry.as_ref().map(Exporter::start),
            detection: Detection::new(&config.detection),
        });
        let revocations = Revocations::load(config.revocations.as_deref()).map_err(|error| unusable(&error))?;
        let handler = Arc::new(Handler {
            routes: Routes::new(config.routes, config.issuers, &metrics).map_err(|error| unusable(&error))?,
            authenticator,
            limits: config.listen.limits.clone(),
            trusted_proxies: config.listen.trusted_proxies,
            stream_ends: stream_ends.clone(),
            sessions: Arc::new(Sessions::new(&config.session_keys).map_err(|error| unusable(&error))?),
            budgets: Budgets::new(&config.listen.limits),
            unrouted: metrics.route(None),
            metrics,
            witnesses,
            revocations: Arc::new(revocations),
            tasks: tasks.clone(),
        });
        let live = Arc::new(Live::new(Generation {
            number: 1,
            since: SystemTime::now(),
            digest: config.digest,
            handler,
            issuers,
            routes: served,
            certificate_expires,
        }));
        let connections = Arc::new(Connections {
            live: Arc::clone(&live),
            limits: config.listen.limits,
            tls: tls.map(|tls| TlsAcceptor::from(Arc::new(tls))),
            tasks: tasks.clone(),
            stop: stop.clone(),
            kill: kill.clone(),
        });
        tasks.spawn(accept::accept(listeners.public, connections));
        let (mut operations, draining) = (JoinSet::new(), CancellationToken::new());
        operations.spawn(Arc::new(Ops { live, draining: draining.clone() }).serve(listeners.admin));
        tracing::info!(event = "started", version = env!("CARGO_PKG_VERSION"), %address, %admin);
        let (delay, grace) = (config.listen.shutdown_delay, config.listen.shutdown_grace);
        Ok(Self { address, admin, delay, grace, tasks, draining, stop, kill, stream_ends, operations })
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where `/healthz`, `/readyz` and `/metrics` are.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin
    }

    /// Says that it is not ready, goes on for `listen.shutdown_delay`, stops accepting, lets requests finish within
    /// `listen.shutdown_grace`, ends the rest. True when all had finished by then.
    pub async fn shut_down(mut self) -> bool {
        tracing::info!(event = "shutdown.started", delay_s = self.delay.as_secs(), grace_s = self.grace.as_secs());
        self.draining.cancel();
        tokio::time::sleep(self.delay).await;
        self.stop.cancel();
        self.stream_ends.listening.cancel();
        self.tasks.close();
        let mut all_ended = tokio::time::timeout(self.grace, self.tasks.wait()).await.is_ok();
        if !all_ended {
            // Streams end as streams end; what is left then is cut off.
            self.stream_ends.answering.cancel();
            all_ended = tokio::time::timeout(LAST_WORDS, self.tasks.wait()).await.is_ok();
        }
        self.kill.cancel();
        tokio::time::timeout(LAST_WORDS, self.tasks.wait()).await.unwrap_or_default();
        self.operations.shutdown().await;
        tracing::info!(event = "shutdown.finished", all_ended);
        all_ended
    }
}
