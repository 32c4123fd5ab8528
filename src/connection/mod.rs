//! One client connection: accept → TLS → HTTP.

pub(crate) mod accept;
mod activity;
mod broken;
mod gathered;
mod http1;
mod http2;
mod stall;
mod stream;

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::live::{Generation, Live};
use crate::request::provenance::Peer;

use accept::Caps;
use gathered::Gathered;
use stall::Stall;

/// A connection that was asked to end has so long to do so.
const END_TIME: Duration = Duration::from_secs(5);

/// What all connections share.
pub(crate) struct Connections {
    pub(crate) live: Arc<Live>,
    pub(crate) caps: Arc<Caps>,
    pub(crate) tasks: TaskTracker,
    /// No new connections on this listener; open ones finish what they have.
    pub(crate) stop: CancellationToken,
    /// The grace time is over.
    pub(crate) kill: CancellationToken,
}

impl Connections {
    /// One connection from its first byte to its last.
    pub(crate) async fn serve(self: &Arc<Self>, stream: TcpStream, address: SocketAddr, generation: &Generation) {
        let limits = &generation.listen.limits;
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(event = "connection.ended", %error);
            return; // the peer is gone already
        }
        let stream = Stall::new(stream, limits.write_timeout);
        let Some(tls) = &generation.tls else {
            let peer = Peer { address: Arc::new(address.into()), secure: false, server_name: None };
            return Box::pin(self.serve_http1(stream, limits, peer)).await;
        };
        let shaking_hands = tokio::time::timeout(limits.tls_timeout, Box::pin(tls.acceptor.accept(stream)));
        let stream = tokio::select! {
            shaken = shaking_hands => shaken,
            () = self.stop.cancelled() => return,
        };
        let stream = match stream {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return self.refused("conn.tls", address, Some(&error)),
            Err(_) => return self.refused("conn.tls_timeout", address, None),
        };
        let session = stream.get_ref().1;
        let is_http2 = session.alpn_protocol() == Some(b"h2");
        let server_name = session.server_name().map(|name| Arc::from(name.to_ascii_lowercase()));
        let peer = Peer { address: Arc::new(address.into()), secure: true, server_name };
        // Boxed: each kind of connection takes its own room only.
        if is_http2 {
            Gathered::new(Box::pin(self.serve_http2(stream, limits, peer))).await;
        } else {
            Box::pin(self.serve_http1(stream, limits, peer)).await;
        }
    }

    /// Tells of a connection that is closed before its first request.
    fn refused(&self, reason: &'static str, peer: SocketAddr, error: Option<&(dyn Error + 'static)>) {
        let handler = self.live.handler();
        handler.metrics.connection_refused(reason);
        handler.witnesses.log.connection(reason, peer, error);
    }
}
