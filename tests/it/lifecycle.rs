//! Start, health, and an end that lets everybody finish (threats K21, O7).

use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::support::issuer::Manner;
use crate::support::{Gateway, Issuer, PATH, Upstream, eventually, start_with, within};

fn grace(time: &str) -> String {
    format!("listen.shutdown_grace = \"{time}\"")
}

/// Begins the drain beside the test.
pub(crate) fn begin_shut_down(gateway: Gateway) -> JoinSet<bool> {
    let mut ending = JoinSet::new();
    ending.spawn(gateway.shut_down());
    ending
}

#[tokio::test]
async fn healthz_says_yes_while_issuers_are_gone_and_readyz_says_which() {
    let (issuer, upstream) = (Issuer::start().await, Upstream::start().await);
    issuer.serves(Manner::Gone);
    let gateway = Gateway::launch_with(&issuer, &upstream, "").await;
    assert_eq!(gateway.admin().get("/healthz").await.status(), 200);
    let reply = gateway.admin().get("/readyz").await;
    assert_eq!(reply.status(), 503);
    let body = reply.json();
    assert_eq!(body["ready"], false);
    assert_eq!(body["issuers"][0]["name"], "corp");
    assert_eq!(body["issuers"][0]["ready"], false);
    issuer.serves(Manner::Well);
    gateway.ready().await;
    assert_eq!(gateway.admin().get("/readyz").await.json()["ready"], true);
}

#[tokio::test]
async fn start_does_not_wait_for_a_silent_issuer() {
    let (issuer, upstream) = (Issuer::start().await, Upstream::start().await);
    issuer.serves(Manner::Silent);
    let start = Instant::now();
    let gateway = Gateway::launch_with(&issuer, &upstream, "").await;
    assert_eq!(gateway.admin().get("/healthz").await.status(), 200);
    gateway.client().post(PATH).await.assert_refused(401, "unauthorized", "auth.missing").await;
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
}

#[tokio::test]
async fn admin_listener_serves_nothing_else() {
    let (issuer, upstream, gateway) = start_with("").await;
    for target in [PATH, "/", "/.well-known/oauth-protected-resource/notes/mcp", "/debug", "/healthz/x"] {
        assert_eq!(gateway.admin().bearer(issuer.mint()).get(target).await.status(), 404, "{target}");
    }
    assert_eq!(gateway.admin().post("/healthz").await.status(), 405);
    assert!(upstream.received().is_empty());
}

#[tokio::test]
async fn o7_running_request_is_finished() {
    let (issuer, mut upstream, gateway) = start_with(&grace("5s")).await;
    upstream.streams_with("content-type: application/json\r\n");
    let mut reply = gateway.client().bearer(issuer.mint()).open("POST", PATH).await;
    let stream = upstream.stream().await;
    stream.send("{\"a\":").await;
    assert_eq!(reply.next().await.as_deref(), Some("{\"a\":"));
    let admin = gateway.admin();
    let mut ending = begin_shut_down(gateway);
    while admin.clone().get("/readyz").await.status() != 503 {}
    stream.send("1}").await;
    stream.end().await;
    assert_eq!(reply.next().await.as_deref(), Some("1}"));
    assert_eq!(reply.next().await, None);
    drop(reply);
    assert!(within("the end", ending.join_next()).await.unwrap().unwrap());
}

#[tokio::test]
async fn o7_readiness_turns_before_connections_are_refused() {
    let (issuer, _upstream, gateway) = start_with("listen.shutdown_delay = \"1s\"").await;
    let (admin, address) = (gateway.admin(), gateway.address());
    let client = gateway.client().bearer(issuer.mint());
    let start = Instant::now();
    let mut ending = begin_shut_down(gateway);
    while admin.clone().get("/readyz").await.status() != 503 {}
    assert_eq!(admin.get("/readyz").await.json()["draining"], true);
    client.post(PATH).await.assert_served();
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}: nothing was asked in time", start.elapsed());
    within("the end", ending.join_next()).await.unwrap().unwrap();
    assert!(start.elapsed() >= Duration::from_secs(1));
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn o7_new_connections_are_refused_while_it_drains() {
    let (issuer, mut upstream, gateway) = start_with(&grace("5s")).await;
    upstream.streams_with("content-type: application/json\r\n");
    let _reply = gateway.client().bearer(issuer.mint()).open("POST", PATH).await;
    let stream = upstream.stream().await;
    let address = gateway.address();
    let _ending = begin_shut_down(gateway);
    let start = Instant::now();
    while TcpStream::connect(address).await.is_ok() {
        assert!(start.elapsed() < Duration::from_secs(3), "still accepting");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    stream.end().await;
}

#[tokio::test]
async fn o7_idle_connections_are_closed_at_once() {
    let (issuer, _upstream, gateway) = start_with(&grace("9s")).await;
    let client = gateway.client().bearer(issuer.mint());
    let mut http1 = gateway.connect().await;
    http1.send(&client, "POST", PATH).await.assert_served();
    let mut http2 = gateway.connect_http2().await;
    http2.send(&client, "POST", PATH).await.assert_served();
    let start = Instant::now();
    let mut ending = begin_shut_down(gateway);
    http1.assert_closed().await;
    http2.closed().await;
    within("the end", ending.join_next()).await.unwrap().unwrap();
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
}

#[tokio::test]
async fn o7_listening_stream_ends_properly_and_the_gateway_with_it() {
    for http2 in [false, true] {
        println!("case: HTTP/2 {http2}");
        let (issuer, mut upstream, gateway) = start_with(&grace("9s")).await;
        upstream.streams();
        let client = if http2 { gateway.client().http2() } else { gateway.client() };
        let mut reply = client.bearer(issuer.mint()).open("GET", PATH).await;
        let stream = upstream.stream().await;
        stream.send("data: 1\n\n").await;
        assert_eq!(reply.next().await.as_deref(), Some("data: 1\n\n"));
        let start = Instant::now();
        let mut ending = begin_shut_down(gateway);
        assert_eq!(reply.next().await, None);
        drop(reply);
        within("the end", ending.join_next()).await.unwrap().unwrap();
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    }
}

#[tokio::test]
async fn o7_stream_that_answers_a_request_may_finish_and_ends_properly_with_the_grace_time() {
    let (issuer, mut upstream, gateway) = start_with(&grace("1s")).await;
    upstream.streams();
    let mut reply = gateway.client().bearer(issuer.mint()).open("POST", PATH).await;
    let stream = upstream.stream().await;
    let mut ending = begin_shut_down(gateway);
    stream.send("data: 1\n\n").await;
    assert_eq!(reply.next().await.as_deref(), Some("data: 1\n\n"));
    assert_eq!(reply.next().await, None);
    drop(reply);
    within("the end", ending.join_next()).await.unwrap().unwrap();
}

#[tokio::test]
async fn o7_what_does_not_end_is_cut_off_after_the_grace_time() {
    let (issuer, upstream, gateway) = start_with(&grace("500ms")).await;
    upstream.never_answers();
    let mut stuck = gateway.connect().await;
    stuck.write(gateway.client().bearer(issuer.mint()).text("POST", PATH)).await;
    upstream.until("the request is there", |request| request.complete).await;
    let start = Instant::now();
    let mut ending = begin_shut_down(gateway);
    let all_ended = within("the end", ending.join_next()).await.unwrap().unwrap();
    assert!(!all_ended, "the exit status tells");
    assert!(start.elapsed() >= Duration::from_millis(450), "{:?}", start.elapsed());
    assert!(start.elapsed() < Duration::from_secs(6), "{:?}", start.elapsed());
    stuck.assert_closed().await;
    upstream.until("the request is broken off", |request| request.gone).await;
}

#[tokio::test]
async fn o7_health_is_answered_while_it_drains() {
    let (issuer, mut upstream, gateway) = start_with(&grace("5s")).await;
    upstream.streams_with("content-type: application/json\r\n");
    let _reply = gateway.client().bearer(issuer.mint()).open("POST", PATH).await;
    let stream = upstream.stream().await;
    let admin = gateway.admin();
    let _ending = begin_shut_down(gateway);
    let start = Instant::now();
    loop {
        let reply = admin.clone().get("/readyz").await;
        if reply.status() == 503 {
            assert_eq!(reply.json()["draining"], true);
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(3), "still ready");
    }
    assert_eq!(admin.get("/healthz").await.status(), 200);
    stream.end().await;
}

#[tokio::test]
async fn o7_both_listeners_are_free_after_the_end() {
    let (_issuer, _upstream, gateway) = start_with(&grace("1s")).await;
    let address = gateway.address();
    assert!(gateway.shut_down().await);
    eventually("the port is free", || std::net::TcpListener::bind(address).ok()).await;
}
