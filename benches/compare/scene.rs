//! What every gateway needs: certificates, an issuer with its key set, tokens, an upstream; and the one thread of upstream and load.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::client::Resumption;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::runtime::Runtime;

use crate::issuer::{Issuer, Tokens};
use crate::process::{Plan, free_port};
use crate::upstream;

const HOST: &str = "mcp.example.com";

pub(crate) struct Scene {
    folder: TempDir,
    pub(crate) runtime: Runtime,
    pub(crate) issuer: String,
    pub(crate) issuer_port: u16,
    pub(crate) upstream: u16,
    pub(crate) tokens: Tokens,
    tls: ClientConfig,
}

impl Scene {
    pub(crate) fn set() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let folder = tempfile::tempdir().expect("a folder");
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed([HOST.to_owned()]).expect("a certificate");
        let (certificate, key) = (cert.pem(), signing_key.serialize_pem());
        let issuer_port = free_port();
        let issuer = Issuer::at(issuer_port);
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("written");
        write("tls.crt", &certificate);
        write("tls.key", &key);
        write("both.pem", &format!("{certificate}{key}"));
        let [rsa, ec] = issuer.public_pems();
        write("rsa.pem", &rsa);
        write("ec.pem", &ec);
        write("keys.json", &issuer.key_set());
        write("issuer", &issuer.url);
        serve_keys(&runtime, issuer_port, &issuer.key_set());
        let upstream = free_port();
        upstream::serve(&runtime, upstream);
        Self {
            folder,
            runtime,
            tokens: issuer.mint(),
            issuer: issuer.url,
            issuer_port,
            upstream,
            tls: client(&certificate),
        }
    }

    /// One turn. Until it is over, this thread never sleeps: Linux charges a sender with waking its receiver, and so would charge
    /// a gateway with the waking of load and upstream, a slow one more often than a fast one.
    pub(crate) fn turn<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(async {
            let awake = tokio::spawn(async {
                loop {
                    tokio::task::yield_now().await;
                }
            });
            let done = work.await;
            awake.abort();
            done
        })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn folder(&self) -> String {
        self.folder.path().display().to_string()
    }

    pub(crate) fn host() -> &'static str {
        HOST
    }

    /// The audience of tokens.
    pub(crate) fn resource() -> String {
        format!("https://{HOST}/mcp")
    }

    /// For one client, that speaks this protocol.
    pub(crate) fn tls(&self, protocol: &[u8], resumes: bool) -> Arc<ClientConfig> {
        let mut config = self.tls.clone();
        config.alpn_protocols = vec![protocol.to_vec()];
        config.resumption = if resumes { Resumption::in_memory_sessions(8) } else { Resumption::disabled() };
        Arc::new(config)
    }
}

/// This program again, in another part.
pub(crate) fn own(arguments: Vec<String>) -> Plan {
    Plan { program: std::env::current_exe().expect("a program"), arguments, log: None }
}

/// The same answer to whatever is asked.
fn serve_keys(runtime: &Runtime, port: u16, keys: &str) {
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{keys}",
        keys.len()
    );
    runtime.spawn(async move {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.expect("a free port");
        while let Ok((mut stream, _)) = listener.accept().await {
            stream.read(&mut [0; 4096]).await.map(drop).unwrap_or_default();
            stream.write_all(answer.as_bytes()).await.unwrap_or_default();
        }
    });
}

fn client(certificate: &str) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(certificate.as_bytes()).expect("PEM")).expect("an anchor");
    ClientConfig::builder().with_root_certificates(roots).with_no_client_auth()
}
