//! One connection to a gateway.

use std::io;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::scene::Scene;

pub(crate) type Stream = TlsStream<TcpStream>;

pub(crate) async fn dial(port: u16, tls: Arc<ClientConfig>) -> io::Result<Stream> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    let name = ServerName::try_from(Scene::host()).expect("a name");
    TlsConnector::from(tls).connect(name, stream).await
}
