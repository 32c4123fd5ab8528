//! Starts and stops everything: listeners, background tasks, drain.

use std::net::SocketAddr;

use tokio::net::TcpListener;

use crate::config::Config;

/// Why the gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A listener, certificate or trust anchor could not be had; the text says which and why.
    #[error("{0}")]
    Resource(String),
}

/// Bound sockets: tests and `demo` bind them first, to know their ports.
#[derive(Debug)]
pub struct Listeners {
    /// The public listener.
    pub public: TcpListener,
    /// `/healthz`, `/readyz`.
    pub admin: TcpListener,
}

impl Listeners {
    /// Binds what the configuration names.
    pub async fn bind(config: &Config) -> Result<Self, StartError> {
        let bind = async |address: SocketAddr, key: &str| {
            TcpListener::bind(address)
                .await
                .map_err(|e| StartError::Resource(format!("{key}: cannot listen on {address}: {e}")))
        };
        Ok(Self {
            public: bind(config.listen.address, "listen.address").await?,
            admin: bind(config.admin, "admin.address").await?,
        })
    }
}

/// A running gateway.
#[derive(Debug)]
pub struct Gateway {
    address: SocketAddr,
    admin: SocketAddr,
}

impl Gateway {
    /// Starts serving. Returns once connections are accepted; issuers are never waited for.
    pub async fn start(_config: Config, _listeners: Listeners) -> Result<Self, StartError> {
        Err(StartError::Resource("STUB: the core replaces this".into()))
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where `/healthz` and `/readyz` are.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin
    }

    /// Stops accepting, lets requests finish within `listen.shutdown_grace`, ends the rest.
    pub async fn shut_down(self) {}
}
