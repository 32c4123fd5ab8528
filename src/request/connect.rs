//! Connections to upstreams: TCP, TLS where the URL says so, all within one bound.

use std::time::Duration;

use http::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::{Connection as _, HttpConnector};
use rustls::ClientConfig;
use tower_service::Service as _;

use super::exchange::Stream;
use super::lookup::Lookups;

/// A connection, and what is spoken over it.
pub(crate) struct Connected {
    pub(crate) stream: Stream,
    /// What both sides agreed on (ALPN, RFC 7301).
    pub(crate) is_http2: bool,
}

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
    pub(crate) async fn connect(&self, place: Uri) -> Result<Connected, ConnectError> {
        let connecting = self.inner.clone().call(place);
        let connected = tokio::time::timeout(self.patience, connecting).await;
        let stream = connected.map_err(|_| ConnectError::TimedOut(self.patience))?.map_err(ConnectError::Failed)?;
        let is_http2 = stream.connected().is_negotiated_h2();
        let stream: Stream = match stream {
            MaybeHttpsStream::Http(tcp) => Box::new(tcp.into_inner()),
            MaybeHttpsStream::Https(tls) => Box::new(tls.into_inner()),
        };
        Ok(Connected { stream, is_http2 })
    }
}
