//! The floor: what hyper and tokio-rustls cost by themselves, and what a minimal check on top of them costs.

mod check;

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http::Uri;
use http::uri::{Authority, Scheme};
use http_body_util::{Either, Empty};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

pub(crate) use check::Check;
use check::Checks;

use crate::process::Plan;
use crate::scene::{Scene, own};

type Body = Either<Incoming, Empty<Bytes>>;

pub(crate) fn plan(check: Check, port: u16, scene: &Scene) -> Plan {
    let upstream = format!("127.0.0.1:{}", scene.upstream);
    own(vec!["floor".to_owned(), check.word().to_owned(), port.to_string(), upstream, scene.folder()])
}

/// What every request needs.
struct Proxy {
    checks: Checks,
    client: Client<HttpConnector, Incoming>,
    upstream: Authority,
}

pub(crate) fn run(check: &str, port: &str, upstream: &str, folder: &Path) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let proxy = Proxy {
        checks: Checks::new(Check::from_word(check), folder),
        client: Client::builder(TokioExecutor::new()).build(connector),
        upstream: upstream.parse().expect("an authority"),
    };
    runtime.block_on(serve(port, Arc::new(proxy), acceptor(folder)));
}

fn acceptor(folder: &Path) -> TlsAcceptor {
    let chain = CertificateDer::pem_file_iter(folder.join("tls.crt")).expect("a file");
    let key = PrivateKeyDer::from_pem_file(folder.join("tls.key")).expect("a key");
    let chain = chain.map(|one| one.expect("PEM")).collect();
    let mut tls = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).expect("a pair");
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    tls.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new().expect("a ticketer");
    TlsAcceptor::from(Arc::new(tls))
}

async fn serve(port: &str, proxy: Arc<Proxy>, acceptor: TlsAcceptor) {
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await.expect("a free port");
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        stream.set_nodelay(true).unwrap_or_default();
        let (acceptor, proxy) = (acceptor.clone(), Arc::clone(&proxy));
        tokio::spawn(async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            let handle = service_fn(|request| {
                let proxy = Arc::clone(&proxy);
                async move { Ok::<_, Infallible>(proxy.handle(request).await) }
            });
            let stream = TokioIo::new(stream);
            if h2 {
                http2::Builder::new(TokioExecutor::new()).serve_connection(stream, handle).await.unwrap_or_default();
            } else {
                http1::Builder::new().serve_connection(stream, handle).await.unwrap_or_default();
            }
        });
    }
}

impl Proxy {
    async fn handle(&self, mut request: Request<Incoming>) -> Response<Body> {
        if !self.checks.pass(request.headers()) {
            return empty(StatusCode::UNAUTHORIZED);
        }
        let mut parts = request.uri().clone().into_parts();
        (parts.scheme, parts.authority) = (Some(Scheme::HTTP), Some(self.upstream.clone()));
        *request.uri_mut() = Uri::from_parts(parts).expect("a target");
        *request.version_mut() = http::Version::HTTP_11;
        let response = self.client.request(request).await;
        response.map_or_else(|_| empty(StatusCode::BAD_GATEWAY), |response| response.map(Either::Left))
    }
}

fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Either::Right(Empty::new()));
    *response.status_mut() = status;
    response
}
