//! An address that its server may leave and come back to; nobody else gets it meanwhile.

use std::net::SocketAddr;
use std::pin::Pin;

use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinSet;

type Serving = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A server's address.
pub(crate) struct Place {
    pub(crate) address: SocketAddr,
    serve: Box<dyn Fn(TcpListener) -> Serving + Send + Sync>,
    tasks: JoinSet<()>,
    /// Bound, but not listening: connections are refused.
    held: Option<TcpSocket>,
}

impl Place {
    /// Serves until it is dropped or closed.
    pub(crate) fn open<F: Future<Output = ()> + Send + 'static>(
        listener: TcpListener,
        serve: impl Fn(TcpListener) -> F + Send + Sync + 'static,
    ) -> Self {
        let address = listener.local_addr().unwrap();
        let serve = Box::new(move |listener| -> Serving { Box::pin(serve(listener)) });
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener));
        Self { address, serve, tasks, held: None }
    }

    /// Ends every connection and refuses new ones.
    pub(crate) async fn close(&mut self) {
        self.tasks.shutdown().await;
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(self.address).unwrap();
        self.held = Some(socket);
    }

    /// Serves again.
    pub(crate) fn open_again(&mut self) {
        let listener = self.held.take().unwrap().listen(1024).unwrap();
        self.tasks.spawn((self.serve)(listener));
    }
}
