//! Rule 6: refuse early: head before body, address limits before signatures, signatures before bodies.

use std::time::Instant;

use crate::support::client::CALL;
use crate::support::keys;
use crate::support::raw::post_head;
use crate::support::{PATH, start, within};

/// Far more than is read of a refused body, and than the sockets on the way hold.
const FLOOD: usize = 64 << 20;

/// The refusal does not wait for the body, and the body is not read for ever.
#[tokio::test]
async fn x6a_endless_body_of_a_refused_request_is_cut_off() {
    let (issuer, upstream, gateway) = start().await;
    let head = post_head(&issuer, "Transfer-Encoding: chunked\r\n").replace("Authorization", "X-Authorization");
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
    let mut stream = gateway
        .client()
        .tls(crate::support::client::Handshake::default().config().into(), "mcp.example.com")
        .await
        .unwrap();
    let start = Instant::now();
    let mut sent = 0;
    within("the end", async {
        use tokio::io::AsyncWriteExt;
        stream.write_all(head.as_bytes()).await.unwrap();
        while sent < FLOOD && stream.write_all(chunk.as_bytes()).await.is_ok() {
            sent += chunk.len();
        }
    })
    .await;
    assert!(sent < FLOOD, "all {sent} bytes were taken within {:?}", start.elapsed());
    assert!(upstream.received().is_empty());
}

/// What is wrong with a token without any key is found before somebody looks for the key: such tokens make nobody fetch.
#[tokio::test]
async fn x6b_token_that_no_key_could_save_asks_for_no_key() {
    let (issuer, _upstream, gateway) = start().await;
    let before = issuer.fetches();
    let unknown = || issuer.mint().key(keys::other_rsa());
    for (token, reason) in [
        (unknown().expired(), "token.exp"),
        (unknown().claim("aud", "https://elsewhere.example"), "token.aud"),
        (unknown().claim("iss", "https://elsewhere.example"), "token.iss"),
        (unknown().claim("nbf", crate::support::mint::now() + 3600), "token.nbf"),
        (unknown().header("typ", "dpop+jwt"), "token.typ"),
        (unknown().header("alg", "HS256"), "token.alg"),
        (unknown().header("crit", serde_json::json!(["x"])), "token.crit"),
        (unknown().without("sub"), "token.sub"),
        (unknown().claim("cnf", serde_json::json!({"jkt": "x"})), "token.cnf"),
    ] {
        gateway.refuses(reason, token, reason).await;
    }
    assert_eq!(issuer.fetches(), before);
    gateway.refuses("the one that a key could save", unknown(), "token.kid").await;
    issuer.fetched_more_than(before).await;
}

/// Bodies of refused streams take part of the connection's window: it must come back, or refused streams would end the good ones.
#[tokio::test]
async fn x6c_bodies_of_refused_http2_streams_leave_the_window_to_others() {
    let (issuer, upstream, gateway) = start().await;
    let refused = gateway.client().bearer(issuer.mint().expired()).body(" ".repeat(200_000));
    let good = gateway.client().bearer(issuer.mint()).body(CALL.to_owned() + &" ".repeat(200_000));
    let mut connection = gateway.connect_http2().await;
    for _ in 0..30 {
        let answer = within("a refusal", connection.call(&refused, "POST", PATH)).await;
        assert!(answer.is_ok_and(|answer| answer.status() == 401));
    }
    connection.send(&good, "POST", PATH).await.assert_served();
    assert_eq!(upstream.received().len(), 1);
}
