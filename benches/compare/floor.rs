//! The floor: what hyper and tokio-rustls cost by themselves. Ends TLS, passes everything on, and checks nothing.

use std::convert::Infallible;
use std::sync::Arc;

use http::Uri;
use http::uri::{Authority, Scheme};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

type Body = http_body_util::Either<Incoming, http_body_util::Empty<bytes::Bytes>>;

pub(crate) fn run(port: &str, upstream: &str, certificate: &str, key: &str) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    runtime.block_on(serve(port, upstream, certificate, key));
}

async fn serve(port: &str, upstream: &str, certificate: &str, key: &str) {
    let chain = CertificateDer::pem_file_iter(certificate).expect("a file").map(|one| one.expect("PEM")).collect();
    let key = PrivateKeyDer::from_pem_file(key).expect("a key");
    let mut tls = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).expect("a pair");
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    tls.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new().expect("a ticketer");
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client = Client::builder(TokioExecutor::new()).build(connector);
    let upstream: Authority = upstream.parse().expect("an authority");
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await.expect("a free port");
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        stream.set_nodelay(true).unwrap_or_default();
        let (acceptor, client, upstream) = (acceptor.clone(), client.clone(), upstream.clone());
        tokio::spawn(async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let pass = service_fn(|request| pass(request, client.clone(), upstream.clone()));
            let server = auto::Builder::new(TokioExecutor::new());
            server.serve_connection(TokioIo::new(stream), pass).await.unwrap_or_default();
        });
    }
}

async fn pass(
    mut request: Request<Incoming>,
    client: Client<HttpConnector, Incoming>,
    upstream: Authority,
) -> Result<Response<Body>, Infallible> {
    let mut parts = request.uri().clone().into_parts();
    (parts.scheme, parts.authority) = (Some(Scheme::HTTP), Some(upstream));
    *request.uri_mut() = Uri::from_parts(parts).expect("a target");
    *request.version_mut() = http::Version::HTTP_11;
    let Ok(response) = client.request(request).await else {
        let mut failed = Response::new(Body::Right(http_body_util::Empty::new()));
        *failed.status_mut() = StatusCode::BAD_GATEWAY;
        return Ok(failed);
    };
    Ok(response.map(Body::Left))
}
