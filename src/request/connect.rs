//! Connections to upstreams: TCP, TLS where the URL says so, all within one bound.

use std::time::Duration;

use http::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tower_service::Service as _;

use super::lookup::Lookups;

/// A connection.
pub(crate) type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    /// It was not there in time, TLS included.
    #[error("no connection within {0:?}")]
    TimedOut(Duration),
    /// Nobody is there, or somebody else.
    #[error(transparent)]
    Failed(Box<dyn std::error::Error + Send + Sync>),
}

/// Connects within a bound.
#[derive(Debug)]
pub(crate) struct Connector {
    inner: HttpsConnector<HttpConnector<Lookups>>,
    patience: Duration,
}

impl Connector {
    pub(crate) fn new(tls: ClientConfig, patience: Duration) -> Self {
        let mut http = HttpConnector::new_with_resolver(Lookups::new());
        http.enforce_http(false);
        http.set_nodelay(true);
        let inner = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_all_versions()
            .wrap_connector(http);
        Self { inner, patience }
    }

    /// To the place that the URL names; always ready.
    pub(crate) async fn connect(&self, place: Uri) -> Result<Stream, ConnectError> {
        let connecting = self.inner.clone().call(place);
        let connected = tokio::time::timeout(self.patience, connecting).await;
        connected.map_err(|_| ConnectError::TimedOut(self.patience))?.map_err(ConnectError::Failed)
    }
}
