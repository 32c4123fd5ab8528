//! A new configuration while everything runs: all of it or none, and nobody notices (threats O1, O2, O5).

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::support::client::Handshake;
use crate::support::gateway::NOTHING;
use crate::support::pki::Pki;
use crate::support::upstream::ANSWER;
use crate::support::{Gateway, PATH, Upstream, eventually_value, log, start, start_with, within};

const TAKEN: (&str, &[(&str, &str)]) = ("portcullis_config_reloads_total", &[("outcome", "taken")]);
const REFUSED: (&str, &[(&str, &str)]) = ("portcullis_config_reloads_total", &[("outcome", "refused")]);

async fn counted(gateway: &Gateway, (name, labels): (&str, &[(&str, &str)])) -> Option<f64> {
    gateway.metric(name, labels).await
}

/// The one route with these keys.
fn notes(keys: &str) -> String {
    format!("routes = [{{ name = \"notes\", {keys} }}]")
}

#[tokio::test]
async fn o1_new_requests_see_the_new_configuration() {
    let (issuer, upstream, gateway) = start().await;
    let token = issuer.mint().to_string();
    gateway.accepts("before", &token).await;

    assert!(gateway.reload(&notes("scopes = [\"mcp:tools\", \"mcp:more\"]")).await);
    let reply = gateway.client().bearer(&token).post(PATH).await;
    assert_eq!((reply.status(), reply.challenge().error()), (403, Some("insufficient_scope")));

    assert!(gateway.reload(&notes("resource = \"https://mcp.example.com/other\"")).await);
    let reply = gateway.client().bearer(&token).post(PATH).await;
    assert_eq!(reply.status(), 404, "the route is gone from here");
    gateway.refuses_at("/other", &token).await;
    assert_eq!(upstream.received().len(), 1);

    assert!(gateway.reload("").await);
    gateway.accepts("as before", &token).await;
    assert_eq!((counted(&gateway, TAKEN).await, counted(&gateway, REFUSED).await), (Some(3.0), Some(0.0)));
}

impl Gateway {
    /// Asserts that the verified token of another route is refused here.
    async fn refuses_at(&self, path: &str, token: &str) {
        let reply = self.client().bearer(token).post(path).await;
        assert_eq!((reply.status(), reply.challenge().error()), (401, Some("invalid_token")), "{}", reply.text());
    }
}

#[tokio::test]
async fn o1_requests_and_streams_under_load_lose_nothing() {
    const RELOADS: usize = 24;
    const CLIENTS: usize = 4;
    let (issuer, mut streaming) = (crate::support::Issuer::start().await, Upstream::start().await);
    let plain = Upstream::start().await;
    let more = crate::support::gateway::route("plain", "https://mcp.example.com/plain", &plain, &[]);
    let gateway = Arc::new(Gateway::start_with(&issuer, &streaming, &more).await);
    streaming.streams();
    let client = gateway.client().bearer(issuer.mint());
    let (mut first, mut second) = (client.clone().open("GET", PATH).await, client.http2().open("POST", PATH).await);
    let streams = [streaming.stream().await, streaming.stream().await];

    let (done, mut clients) = (Arc::new(AtomicBool::new(false)), JoinSet::new());
    for number in 0..CLIENTS {
        let (gateway, done) = (Arc::clone(&gateway), Arc::clone(&done));
        let client = gateway.client().bearer(issuer.mint_for("https://mcp.example.com/plain"));
        clients.spawn(async move {
            let (mut served, mut h1, mut h2) = (0_usize, None, None);
            if number % 2 == 0 {
                h1 = Some(gateway.connect().await);
            } else {
                h2 = Some(gateway.connect_http2().await);
            }
            while !done.load(Ordering::Relaxed) {
                let reply = match (&mut h1, &mut h2) {
                    (Some(h1), _) => h1.send(&client, "POST", "/plain").await,
                    (_, Some(h2)) => h2.send(&client, "POST", "/plain").await,
                    _ => unreachable!(),
                };
                assert_eq!(reply.status(), 200, "{}", reply.text());
                served += 1;
            }
            served
        });
    }
    for round in 0..RELOADS {
        let origins = format!("origins = [\"https://app{round}.example.com\"]");
        assert!(gateway.reload(&format!("{more}\n{}", named(&origins))).await);
        for (stream, reply) in streams.iter().zip([&mut first, &mut second]) {
            let event = format!("data: {round}\n\n");
            stream.send(&event).await;
            assert_eq!(reply.next().await.as_deref(), Some(event.as_str()));
        }
    }
    done.store(true, Ordering::Relaxed);
    let mut served = 0;
    while let Some(count) = within("a client", clients.join_next()).await {
        served += count.unwrap();
    }
    assert!(served > RELOADS, "{served} requests");
    assert_eq!(plain.received().len(), served, "each was forwarded once");
    for (stream, mut reply) in streams.into_iter().zip([first, second]) {
        stream.end().await;
        assert_eq!(reply.next().await, None);
    }
}

/// The first route by its name, in the long form.
fn named(keys: &str) -> String {
    format!("[[routes]]\nname = \"notes\"\n{keys}\n")
}

#[tokio::test]
async fn o2_bad_configuration_leaves_the_old_one_in_force_and_says_why() {
    let (issuer, upstream, gateway) = start().await;
    let busy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = format!("listen.address = \"{}\"", busy.local_addr().unwrap());
    let cases = [
        ("listn = 1", "listn: unknown key"),
        ("listen.tls.certificate = \"nowhere.crt\"", "nowhere.crt"),
        ("listen.tls.key = \"ca.pem\"", "ca.pem"),
        ("listen.tls.client_ca = \"tls.key\"", "tls.key"),
        ("issuers = [{ name = \"corp\", ca = \"nowhere.pem\" }]", "nowhere.pem"),
        (&taken, "listen.address: cannot listen on"),
    ];
    for (round, (changes, why)) in cases.into_iter().enumerate() {
        // Whatever else would change does not.
        let changes = format!(
            "{changes}\n{}",
            if changes.starts_with("issuers") { "" } else { "admin.address = \"127.0.0.1:0\"" }
        );
        assert!(!gateway.reload(&changes).await, "{changes}");
        let line = log::first(why, |line| line.text("event") == "config.rejected" && line.text("detail").contains(why));
        assert!(!line.await.json().is_empty());
        gateway.accepts("the old one", issuer.mint()).await;
        assert_eq!(counted(&gateway, REFUSED).await, Some(f64::from(u32::try_from(round + 1).unwrap())));
        assert_eq!(counted(&gateway, ("portcullis_config_last_reload_successful", &[])).await, Some(0.0));
    }
    assert_eq!(upstream.received().len(), cases.len());
    assert!(gateway.reload("").await);
    assert_eq!(counted(&gateway, ("portcullis_config_last_reload_successful", &[])).await, Some(1.0));
}

#[tokio::test]
async fn keys_verified_tokens_and_counts_survive() {
    let limit = |requests: u32| {
        notes(&format!(
            "limits = [{{ per = [\"client\"], requests = {requests}, window = \"1h\", burst = {requests} }}]"
        ))
    };
    let (issuer, _upstream, gateway) = start_with(&limit(2)).await;
    let token = issuer.mint().to_string();
    gateway.accepts("first", &token).await;
    let fetches = issuer.fetches();
    let changed = limit(2).replace("limits", "origins = [\"https://app.example.com\"], limits");
    assert!(gateway.reload(&changed).await);
    assert_eq!(gateway.metric("portcullis_verified_tokens", &[]).await, Some(1.0));
    assert_eq!(gateway.metric("portcullis_ready", &[]).await, Some(1.0), "keys are there at once");
    gateway.accepts("second", &token).await;
    assert_eq!(gateway.metric("portcullis_verified_tokens", &[]).await, Some(1.0), "no second verification");
    let reply = gateway.client().bearer(&token).post(PATH).await;
    reply.assert_refused(429, "too_many_requests", "limit.rate").await;
    assert_eq!(issuer.fetches(), fetches, "no key was fetched again");

    assert!(gateway.reload(&limit(3)).await, "another limit counts from the start");
    gateway.accepts("under the new limit", &token).await;
}

#[tokio::test]
async fn issuer_that_is_gone_is_asked_no_more_and_its_tokens_are_refused() {
    let (issuer, other) = (crate::support::Issuer::start().await, crate::support::Issuer::start().await);
    let upstream = Upstream::start().await;
    let gateway = Gateway::start_with(&issuer, &upstream, "").await;
    let token = issuer.mint().to_string();
    gateway.accepts("before", &token).await;
    let url = other.url();
    assert!(gateway.reload(&format!("issuers = [{{ name = \"corp\", issuer = \"{url}\" }}]")).await);
    gateway.ready().await;
    gateway.refuses("a token of the former issuer", &token, "token.iss").await;
    gateway.accepts("a token of the new one", other.mint()).await;
}

#[tokio::test]
async fn a_listener_that_moves_is_there_before_the_old_one_goes() {
    let (issuer, mut upstream, gateway) = start().await;
    let before = gateway.address();
    upstream.streams();
    let mut stream = gateway.client().bearer(issuer.mint()).open("GET", PATH).await;
    let events = upstream.stream().await;

    assert!(gateway.reload("listen.address = \"[::1]:0\"\nadmin.address = \"[::1]:0\"").await);
    let after = gateway.address();
    assert!(after.is_ipv6() && before.is_ipv4());
    assert_eq!(gateway.admin().get("/readyz").await.status(), 200);
    eventually_value("the old listener closes", async || TcpStream::connect(before).await.is_err().then_some(())).await;
    events.send("data: still here\n\n").await;
    assert_eq!(stream.next().await.as_deref(), Some("data: still here\n\n"));
    events.end().await;
    assert_eq!(stream.next().await, None);
    upstream.answers(200, ANSWER);
    gateway.accepts("at the new address", issuer.mint()).await;
}

/// A chain of an authority that the clients of these tests trust: of the kit's own.
fn write(gateway: &Gateway, pki: &Pki) {
    fs::write(gateway.file("tls.crt"), &pki.certificate).unwrap();
    fs::write(gateway.file("tls.key"), &pki.key).unwrap();
}

#[tokio::test]
async fn o5_a_new_certificate_is_used_for_new_handshakes_and_open_connections_go_on() {
    let (issuer, _upstream, gateway) = start().await;
    let client = gateway.client().bearer(issuer.mint());
    let mut open = gateway.connect().await;
    open.send(&client, "POST", PATH).await.assert_served();

    write(&gateway, crate::support::pki::foreign());
    assert!(gateway.reload("").await);
    open.send(&client, "POST", PATH).await.assert_served();
    let refused = gateway.handshake(Handshake::default()).await.map(drop).unwrap_err();
    assert!(refused.to_string().contains("certificate"), "the client sees another certificate: {refused}");

    write(&gateway, crate::support::pki::pki());
    assert!(gateway.reload("").await);
    gateway.accepts("a new connection", issuer.mint()).await;
    open.send(&client, "POST", PATH).await.assert_served();
}

#[tokio::test]
async fn o5_a_dead_or_mismatched_pair_is_refused() {
    let (issuer, _upstream, gateway) = start().await;
    let (key, good) = (rcgen::KeyPair::generate().unwrap(), crate::support::pki::pki());
    let valid = |from: i32, to: i32| {
        let mut params = rcgen::CertificateParams::new(vec!["mcp.example.com".into()]).unwrap();
        (params.not_before, params.not_after) = (rcgen::date_time_ymd(from, 1, 1), rcgen::date_time_ymd(to, 1, 1));
        params.self_signed(&key).unwrap().pem()
    };
    for (certificate, key, why) in [
        (valid(2000, 2001), key.serialize_pem(), "holds a certificate that has expired"),
        (valid(2900, 2901), key.serialize_pem(), "holds a certificate that is not valid yet"),
        (good.certificate.clone(), key.serialize_pem(), "tls.crt"),
    ] {
        fs::write(gateway.file("tls.crt"), certificate).unwrap();
        fs::write(gateway.file("tls.key"), key).unwrap();
        assert!(!gateway.reload("").await, "{why}");
        log::first(why, |line| line.text("event") == "config.rejected" && line.text("detail").contains(why)).await;
        gateway.accepts("the old certificate", issuer.mint()).await;
    }
}

#[tokio::test]
async fn plain_text_and_tls_can_be_exchanged() {
    let (issuer, _upstream, gateway) = start().await;
    gateway.accepts("over TLS", issuer.mint()).await;
    let plain = format!("listen.tls = \"{NOTHING}\"\nlisten.insecure_plaintext = true");
    assert!(gateway.reload(&plain).await);
    let mut plain = TcpStream::connect(gateway.address()).await.unwrap();
    plain.write_all(&gateway.client().bearer(issuer.mint()).text("POST", PATH)).await.unwrap();
    let mut answer = [0; 12];
    within("an answer", plain.read_exact(&mut answer)).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    assert!(gateway.reload("").await);
    gateway.accepts("over TLS again", issuer.mint()).await;
}
