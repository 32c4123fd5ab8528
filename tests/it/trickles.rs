//! HTTP/2 connections that say little or nothing (threats D1, D3, D4, D5). Waits are configured short.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::http2::{PSEUDO, post};
use crate::support::http2::{Outcome, RawHttp2};
use crate::support::{PATH, start_with, within};

/// Longer than every wait configured here, shorter than every default.
const SOON: Duration = Duration::from_secs(6);

const IMPATIENT: &str = "listen.limits = { idle_timeout = \"400ms\", body_timeout = \"400ms\" }";

#[tokio::test]
async fn d3_connection_that_agrees_on_http2_and_falls_silent_is_closed() {
    let (_issuer, _upstream, gateway) = start_with(IMPATIENT).await;
    for said in ["", "PRI * HTTP/2.0\r\n\r\nSM\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let start = Instant::now();
        let mut stream = gateway.client().handshake_http2().await;
        stream.write_all(said.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        within("the end", stream.read_to_end(&mut bytes)).await.unwrap_or_default();
        assert!((Duration::from_millis(350)..SOON + SOON).contains(&start.elapsed()), "{said:?} {:?}", start.elapsed());
    }
}

#[tokio::test]
async fn d1_http2_head_that_never_ends_is_closed_whatever_trickles_in() {
    let (_issuer, upstream, gateway) = start_with(IMPATIENT).await;
    let mut connection = RawHttp2::connect(&gateway.client()).await;
    let start = Instant::now();
    let stream = connection.half_head(&PSEUDO).await;
    for _ in 0..20 {
        connection.more_head(stream, &[("x", "y")]).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // Whoever is told that the connection goes away (error code 0) is cut off soon after.
    let outcome = connection.outcome(stream).await;
    assert!(matches!(outcome, Outcome::Closed | Outcome::GoAway(_)), "{outcome:?}");
    assert!(start.elapsed() < SOON + SOON, "{:?}", start.elapsed());
    assert!(upstream.received().is_empty());
}

#[tokio::test]
async fn d4_http2_body_that_trickles_gets_408() {
    let (issuer, upstream, gateway) = start_with(IMPATIENT).await;
    let bearer = format!("Bearer {}", issuer.mint());
    let common = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let fields: Vec<_> = post().into_iter().chain(common).collect();
    let mut connection = RawHttp2::connect(&gateway.client()).await;
    let stream = connection.head(&fields, false).await;
    let start = Instant::now();
    for _ in 0..30 {
        connection.data(stream, b" ", false).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(connection.outcome(stream).await, Outcome::Answered(408));
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    assert!(upstream.received().is_empty());
}

#[tokio::test]
async fn d5_http2_body_is_not_awaited_without_a_good_token() {
    let (issuer, upstream, gateway) = start_with("").await;
    let forged = format!("Bearer {}", issuer.mint().expired());
    let start = Instant::now();
    for fields in [post().to_vec(), post().into_iter().chain([("authorization", forged.as_str())]).collect()] {
        let mut connection = RawHttp2::connect(&gateway.client()).await;
        let stream = connection.head(&fields, false).await;
        assert_eq!(connection.outcome(stream).await, Outcome::Answered(401));
        // The connection is as good as before.
        let bearer = format!("Bearer {}", issuer.mint());
        let good: Vec<_> = PSEUDO.into_iter().chain([("authorization", bearer.as_str())]).collect();
        assert_eq!(connection.request(&good).await, Outcome::Answered(200));
    }
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    assert_eq!(upstream.received().len(), 2);
    assert!(upstream.received().iter().all(|request| request.method == "GET" && request.target == "/mcp"), "{PATH}");
}
