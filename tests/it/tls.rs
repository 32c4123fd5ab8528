//! TLS of the public listener: versions, protocols, resumption, client certificates, names (threats D3, O6).

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::client::Resumption;
use rustls::{HandshakeKind, SupportedProtocolVersion, version};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::client::Handshake;
use crate::support::pki::{Pki, foreign, pki};
use crate::support::{Gateway, Issuer, PATH, Upstream, start, start_with, within};

/// TLS 1.2 alone and TLS 1.3 alone.
const EACH_VERSION: [&[&SupportedProtocolVersion]; 2] = [&[&version::TLS12], &[&version::TLS13]];

#[tokio::test]
async fn o6_tls_1_2_and_1_3_are_spoken() {
    let (issuer, _upstream, gateway) = start().await;
    for versions in EACH_VERSION {
        let mut connection = gateway.handshake(Handshake { versions, ..Handshake::default() }).await.unwrap();
        connection.send(&gateway.client().bearer(issuer.mint()), "POST", PATH).await.assert_served();
    }
}

#[tokio::test]
async fn o6_older_versions_are_refused() {
    let (_issuer, _upstream, gateway) = start().await;
    for minor in [0, 1, 2] {
        let mut stream = gateway.client().tcp().await;
        stream.write_all(&client_hello(minor)).await.unwrap();
        let mut answer = Vec::new();
        within("an alert", stream.read_to_end(&mut answer)).await.unwrap_or_default();
        // 0x15: an alert, not 0x16: a handshake message.
        assert_eq!(answer.first().copied().unwrap_or(0x15), 0x15, "SSL 3.{minor}: {answer:x?}");
    }
}

/// A hello of SSL 3.0, TLS 1.0 or TLS 1.1 with two ciphers of their time and no extensions.
fn client_hello(minor: u8) -> Vec<u8> {
    let mut hello = vec![3, minor];
    hello.extend([7; 32]);
    hello.extend([0, 0, 4, 0, 0x2f, 0xc0, 0x13, 1, 0]);
    let length = u8::try_from(hello.len()).unwrap();
    let mut record = vec![0x16, 3, minor, 0, length + 4, 1, 0, 0, length];
    record.extend(hello);
    record
}

#[tokio::test]
async fn alpn_chooses_http2_where_both_speak_it() {
    let (_issuer, _upstream, gateway) = start().await;
    let cases: [(&'static [&'static str], Option<&str>); 4] = [
        (&["h2", "http/1.1"], Some("h2")),
        (&["http/1.1", "h2"], Some("h2")),
        (&["http/1.1"], Some("http/1.1")),
        (&[], None),
    ];
    for (protocols, wanted) in cases {
        let config = Handshake { protocols, ..Handshake::default() }.config();
        let stream = gateway.client().tls(Arc::new(config), "mcp.example.com").await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), wanted.map(str::as_bytes));
    }
}

#[tokio::test]
async fn unknown_protocols_are_refused() {
    let (_issuer, _upstream, gateway) = start().await;
    for protocols in [&["spdy/3"][..], &["http/0.9", "imap"], &["h2c"]] {
        assert!(gateway.handshake(Handshake { protocols, ..Handshake::default() }).await.is_err(), "{protocols:?}");
    }
}

#[tokio::test]
async fn connection_without_alpn_speaks_http_1() {
    let (issuer, _upstream, gateway) = start().await;
    let mut connection = gateway.handshake(Handshake { protocols: &[], ..Handshake::default() }).await.unwrap();
    connection.send(&gateway.client().bearer(issuer.mint()), "POST", PATH).await.assert_served();
}

#[tokio::test]
async fn sessions_are_resumed() {
    let (issuer, _upstream, gateway) = start().await;
    for versions in EACH_VERSION {
        let mut config = Handshake { versions, ..Handshake::default() }.config();
        config.resumption = Resumption::in_memory_sessions(8);
        let config = Arc::new(config);
        let mut kinds = Vec::new();
        for _ in 0..2 {
            let mut stream = gateway.client().tls(config.clone(), "mcp.example.com").await.unwrap();
            // TLS 1.3 tickets come with the first answer.
            stream.write_all(&gateway.client().bearer(issuer.mint()).text("POST", PATH)).await.unwrap();
            let mut byte = [0];
            within("an answer", stream.read_exact(&mut byte)).await.unwrap();
            kinds.push(stream.get_ref().1.handshake_kind().unwrap());
        }
        assert_eq!(kinds[1], HandshakeKind::Resumed, "{versions:?}: {kinds:?}");
    }
}

#[tokio::test]
async fn o6_early_data_is_not_accepted() {
    let (issuer, _upstream, gateway) = start().await;
    let mut config = Handshake::default().config();
    config.enable_early_data = true;
    let config = Arc::new(config);
    for _ in 0..2 {
        let mut stream = gateway.client().tls(config.clone(), "mcp.example.com").await.unwrap();
        assert!(!stream.get_ref().1.is_early_data_accepted());
        assert!(stream.get_mut().1.early_data().is_none());
        stream.write_all(&gateway.client().bearer(issuer.mint()).text("POST", PATH)).await.unwrap();
        let mut byte = [0];
        within("an answer", stream.read_exact(&mut byte)).await.unwrap();
    }
}

async fn asking_for_certificates(mode: &str) -> (Issuer, Upstream, Gateway) {
    start_with(&format!("listen.tls = {{ client_ca = \"ca.pem\", client_certificates = \"{mode}\" }}")).await
}

/// True when a handshake with this client certificate leads to an answer.
async fn is_answered(gateway: &Gateway, issuer: &Issuer, identity: Option<&'static Pki>) -> bool {
    let Ok(mut connection) = gateway.handshake(Handshake { identity, ..Handshake::default() }).await else {
        return false;
    };
    // TLS 1.3: the client learns only afterwards that its certificate was refused.
    connection.write(gateway.client().bearer(issuer.mint()).text("POST", PATH)).await;
    let answer = connection.until_answered_or_closed().await;
    answer.starts_with(b"HTTP/1.1 200")
}

#[tokio::test]
async fn required_client_certificate_is_checked() {
    let (issuer, upstream, gateway) = asking_for_certificates("required").await;
    assert!(is_answered(&gateway, &issuer, Some(pki())).await);
    assert!(!is_answered(&gateway, &issuer, None).await);
    assert!(!is_answered(&gateway, &issuer, Some(foreign())).await);
    assert_eq!(upstream.received().len(), 1);
}

#[tokio::test]
async fn optional_client_certificate_is_checked_when_shown() {
    let (issuer, upstream, gateway) = asking_for_certificates("optional").await;
    assert!(is_answered(&gateway, &issuer, Some(pki())).await);
    assert!(is_answered(&gateway, &issuer, None).await);
    assert!(!is_answered(&gateway, &issuer, Some(foreign())).await);
    assert_eq!(upstream.received().len(), 2);
}

#[tokio::test]
async fn client_certificate_replaces_no_token() {
    let (_issuer, _upstream, gateway) = asking_for_certificates("required").await;
    let handshake = Handshake { identity: Some(pki()), ..Handshake::default() };
    let mut connection = gateway.handshake(handshake).await.unwrap();
    let reply = connection.send(&gateway.client(), "POST", PATH).await;
    reply.assert_refused(401, "unauthorized", "auth.missing").await;
}

#[tokio::test]
async fn authority_that_is_not_the_handshakes_gets_421() {
    let changes = r#"routes = [{ name = "notes", authorities = ["other.example.net"] }]"#;
    let (issuer, _upstream, gateway) = start_with(changes).await;
    let client = || gateway.client().bearer(issuer.mint());
    client().host("other.example.net").server_name("other.example.net").post(PATH).await.assert_served();
    for client in [client(), client().http2()] {
        let reply = client.clone().server_name("unknown.example.com").post(PATH).await;
        reply.assert_refused(421, "misdirected_request", "host.unknown | host.sni").await;
        let reply = client.host("unknown.example.com").post(PATH).await;
        reply.assert_refused(421, "misdirected_request", "host.unknown").await;
    }
}

#[tokio::test]
async fn handshake_by_address_names_no_server_and_is_served() {
    let (issuer, _upstream, gateway) = start().await;
    gateway.client().server_name("127.0.0.1").bearer(issuer.mint()).post(PATH).await.assert_served();
}

const IMPATIENT: &str = "listen.limits.tls_timeout = \"300ms\"";

#[tokio::test]
async fn d3_silent_connection_is_closed_after_the_handshake_timeout() {
    let (_issuer, _upstream, gateway) = start_with(IMPATIENT).await;
    let start = Instant::now();
    let mut stream = gateway.client().tcp().await;
    let mut bytes = Vec::new();
    within("the end", stream.read_to_end(&mut bytes)).await.unwrap_or_default();
    assert!((Duration::from_millis(250)..Duration::from_secs(4)).contains(&start.elapsed()), "{:?}", start.elapsed());
}

#[tokio::test]
async fn d3_handshake_that_drips_is_closed_after_the_handshake_timeout() {
    let (_issuer, _upstream, gateway) = start_with(IMPATIENT).await;
    let (mut read, mut write) = gateway.client().tcp().await.into_split();
    let start = Instant::now();
    let dripping = async {
        for byte in client_hello(3).into_iter().cycle() {
            if write.write_all(&[byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let mut bytes = Vec::new();
    let ended = async { read.read_to_end(&mut bytes).await.unwrap_or_default() };
    within("the end", async {
        tokio::select! { _ = ended => {}, () = dripping => {} }
    })
    .await;
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
}

#[tokio::test]
async fn plain_text_on_the_tls_listener_gets_no_answer() {
    let (issuer, upstream, gateway) = start().await;
    let mut stream = gateway.client().tcp().await;
    stream.write_all(&gateway.client().bearer(issuer.mint()).text("POST", PATH)).await.unwrap();
    let mut answer = Vec::new();
    within("the end", stream.read_to_end(&mut answer)).await.unwrap_or_default();
    assert!(!answer.starts_with(b"HTTP"), "{}", String::from_utf8_lossy(&answer));
    assert!(upstream.received().is_empty());
}

#[tokio::test]
async fn plain_text_listener_serves_where_the_configuration_says_so() {
    let changes = r#"
        [listen]
        tls = "!nothing"
        insecure_plaintext = true
        trusted_proxies = ["127.0.0.1"]
    "#;
    let (issuer, upstream, gateway) = start_with(changes).await;
    let client = || gateway.client().bearer(issuer.mint());
    client()
        .header("x-forwarded-proto", "https")
        .header("x-forwarded-for", "203.0.113.7")
        .post(PATH)
        .await
        .assert_served();
    assert_eq!(upstream.only().field("x-forwarded-proto"), Some("https"));
}
