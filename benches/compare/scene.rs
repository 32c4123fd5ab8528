//! What every gateway needs: certificates, an issuer's key set and tokens, an upstream.

use std::fs;
use std::net::TcpListener as StdListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Tokens in turn: fewer than the gateway remembers.
const TOKENS: usize = 10_000;
/// Of a token, in seconds: longer than a run.
const LIFE: u64 = 36_000;
const HOST: &str = "mcp.example.com";

pub(crate) struct Scene {
    folder: TempDir,
    pub(crate) issuer: String,
    pub(crate) upstream: u16,
    /// Good ones, each of another caller.
    pub(crate) tokens: Vec<String>,
    pub(crate) expired: String,
    pub(crate) forged: String,
    pub(crate) tls: Arc<ClientConfig>,
    server: Child,
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.server.kill().unwrap_or_default();
        self.server.wait().map(drop).unwrap_or_default();
    }
}

impl Scene {
    pub(crate) fn set(runtime: &tokio::runtime::Runtime) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed([HOST.to_owned()]).expect("a certificate");
        let (certificate, key) = (cert.pem(), signing_key.serialize_pem());
        let signer = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key");
        let issuer_port = free_port();
        let issuer = format!("http://127.0.0.1:{issuer_port}");
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("written");
        write("tls.crt", &certificate);
        write("tls.key", &key);
        write("both.pem", &format!("{certificate}{key}"));
        write("issuer.pem", &public_pem(&signer));
        serve_keys(runtime, issuer_port, &signer);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs();
        let mint = |number: usize, exp: u64| mint(&signer, &issuer, number, exp);
        let tokens: Vec<String> = (0..TOKENS).map(|number| mint(number, now + LIFE)).collect();
        let forged = tokens.first().expect("one").rsplit_once('.').map(|(message, signature)| {
            let other: String = signature.chars().rev().skip(4).chain(signature.chars().take(4)).collect();
            format!("{message}.{other}")
        });
        let upstream = free_port();
        Self {
            expired: mint(0, now - LIFE),
            forged: forged.expect("three parts"),
            tokens,
            issuer,
            upstream,
            tls: client(&certificate),
            server: own(&["upstream", &upstream.to_string()]),
            folder,
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn host() -> &'static str {
        HOST
    }
}

/// This program again, in another part.
pub(crate) fn own(arguments: &[&str]) -> Child {
    pinned(std::env::current_exe().expect("a program"))
        .args(arguments)
        .stdout(Stdio::null())
        .spawn()
        .expect("it starts")
}

/// On the first core where that can be asked for; the load takes the others.
pub(crate) fn pinned(program: PathBuf) -> Command {
    if !Command::new("taskset").arg("-V").stdout(Stdio::null()).status().is_ok_and(|status| status.success()) {
        return Command::new(program);
    }
    let mut command = Command::new("taskset");
    command.args(["-c", "0"]).arg(program);
    command
}

pub(crate) fn free_port() -> u16 {
    StdListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port").port()
}

fn mint(signer: &RsaKeyPair, issuer: &str, number: usize, exp: u64) -> String {
    let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = part(&json!({"alg": "RS256", "typ": "at+jwt", "kid": "bench"}));
    let claims = part(&json!({
        "iss": issuer, "aud": format!("https://{HOST}/mcp"), "sub": format!("user-{number}"), "client_id": "bench",
        "scope": "mcp:tools mcp:read", "tenant": "acme", "jti": format!("id-{number}"), "iat": exp - LIFE - 60, "exp": exp,
    }));
    let message = format!("{header}.{claims}");
    let mut signature = vec![0; signer.public_modulus_len()];
    signer.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature).expect("signed");
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn public_pem(signer: &RsaKeyPair) -> String {
    let der: PublicKeyX509Der<'_> = signer.public_key().as_der().expect("a key");
    let text = STANDARD.encode(der.as_ref());
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).expect("ASCII")).collect();
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
}

/// Metadata and key set, to whoever asks.
fn serve_keys(runtime: &tokio::runtime::Runtime, port: u16, signer: &RsaKeyPair) {
    let public = signer.public_key().as_ref();
    // RFC 8017 A.1.1: two headers, a zero byte, 256 bytes of modulus, then the exponent 65537.
    let n = URL_SAFE_NO_PAD.encode(public.get(9..265).expect("2048 bits"));
    let keys = json!({"keys": [{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "bench", "n": n, "e": "AQAB"}]});
    let body = keys.to_string();
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    runtime.spawn(async move {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.expect("a free port");
        while let Ok((mut stream, _)) = listener.accept().await {
            stream.read(&mut [0; 4096]).await.map(drop).unwrap_or_default();
            stream.write_all(answer.as_bytes()).await.unwrap_or_default();
        }
    });
}

fn client(certificate: &str) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(certificate.as_bytes()).expect("PEM")).expect("an anchor");
    Arc::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
}

/// Until something listens there.
pub(crate) fn wait_for(port: u16) {
    let end = std::time::Instant::now() + Duration::from_secs(10);
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(std::time::Instant::now() < end, "nobody listens on {port}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
