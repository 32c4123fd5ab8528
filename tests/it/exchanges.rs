//! What a client can do with a connection: upgrade, expect, pipeline, leave (threats F11 to F15).

use serde_json::json;

use crate::support::client::CALL;
use crate::support::mint::unique;
use crate::support::raw::{post_head, post_head_with};
use crate::support::{Gateway, Issuer, Upstream, log, start};

#[tokio::test]
async fn f11_upgrade_is_ignored_and_not_forwarded() {
    let (issuer, upstream, gateway) = start().await;
    for (upgrade, more) in [
        ("h2c", "HTTP2-Settings: AAMAAABkAAQAAP__\r\n"),
        ("websocket", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"),
        ("TLS/1.3", ""),
        ("anything", ""),
    ] {
        let names = more.lines().map(|line| line.split(':').next().unwrap());
        let connection: Vec<_> = ["Upgrade"].into_iter().chain(names).collect();
        let length = CALL.len();
        let lines = format!(
            "Connection: {}\r\nUpgrade: {upgrade}\r\n{more}Content-Length: {length}\r\nAccept: */*\r\n",
            connection.join(", ")
        );
        let reply = gateway.connect().await.exchange(post_head(&issuer, &lines) + CALL).await;
        reply.assert_served();
        assert!(reply.informational.is_empty());
        upstream.received().pop().unwrap().assert_only(&[]);
    }
}

#[tokio::test]
async fn f12_refusal_comes_before_100_continue() {
    let (issuer, _upstream, gateway) = start().await;
    let lines = format!("Expect: 100-continue\r\nContent-Length: {}\r\n", CALL.len());
    let bytes = post_head(&issuer, &lines).replace("Authorization: Bearer ", "X-Not-Authorization: ");
    let reply = gateway.connect().await.exchange(bytes).await;
    assert!(reply.informational.is_empty(), "{:?}", reply.informational);
    reply.assert_refused(401, "unauthorized", "auth.missing").await;
    let too_large = post_head(&issuer, "Expect: 100-continue\r\nContent-Length: 99999999\r\n");
    let reply = gateway.connect().await.exchange(too_large).await;
    assert!(reply.informational.is_empty(), "{:?}", reply.informational);
    reply.assert_refused(413, "content_too_large", "mcp.size").await;
}

#[tokio::test]
async fn f12_expected_body_is_asked_for_and_served() {
    let (issuer, upstream, gateway) = start().await;
    let lines = format!("Expect: 100-continue\r\nContent-Length: {}\r\nAccept: */*\r\n", CALL.len());
    let mut connection = gateway.connect().await;
    connection.write(post_head(&issuer, &lines)).await;
    assert_eq!(connection.head().await.status(), 100);
    connection.exchange(CALL).await;
    let received = upstream.only();
    assert!(received.complete && received.body == CALL.as_bytes());
    received.assert_only(&[]);
}

#[tokio::test]
async fn f12_other_expectations_are_refused_or_ignored() {
    let (issuer, upstream, gateway) = start().await;
    let lines = format!("Expect: teapot\r\nContent-Length: {}\r\nAccept: */*\r\n", CALL.len());
    let reply = gateway.connect().await.exchange(post_head(&issuer, &lines) + CALL).await;
    assert!([200, 417].contains(&reply.status()), "{}", reply.status());
    upstream.received().iter().for_each(|received| received.assert_only(&[]));
}

#[tokio::test]
async fn f14_pipelined_requests_are_judged_one_by_one() {
    let (issuer, upstream, gateway) = start().await;
    let length = format!("Content-Length: {}\r\n", CALL.len());
    let good = post_head(&issuer, &length) + CALL;
    let bare = good.replace("Authorization: Bearer ", "X-Not-Authorization: ");
    let mut connection = gateway.connect().await;
    connection.write(format!("{good}{bare}{good}{bare}")).await;
    let statuses = [(); 4].map(|()| 0);
    let mut found = Vec::new();
    for _ in statuses {
        found.push(connection.reply().await.status());
    }
    assert_eq!(found, [200, 401, 200, 401]);
    assert_eq!(upstream.received().len(), 2);
}

#[tokio::test]
async fn f14_malformed_request_behind_a_good_one_gets_400_of_its_own() {
    let (issuer, upstream, gateway) = start().await;
    let length = format!("Content-Length: {}\r\n", CALL.len());
    let good = post_head(&issuer, &length) + CALL;
    let bad = post_head(&issuer, "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n") + "0\r\n\r\n";
    let mut connection = gateway.connect().await;
    connection.write(format!("{good}{bad}{good}")).await;
    assert_eq!(connection.reply().await.status(), 200);
    let reply = connection.reply().await;
    assert_eq!(reply.status(), 400);
    assert_eq!(reply.log().await.text("reason"), "http.framing");
    connection.assert_closed().await;
    assert_eq!(upstream.received().len(), 1);
}

#[tokio::test]
async fn f14_body_that_looks_like_a_request_is_none() {
    let (issuer, upstream, gateway) = start().await;
    let hidden = post_head(&issuer, "Content-Length: 0\r\n");
    let hidden = json!({"jsonrpc": "2.0", "id": 1, "method": "x", "params": {"\r\n\r\n": hidden}}).to_string();
    let outer = post_head(&issuer, &format!("Content-Length: {}\r\n", hidden.len()));
    let mut connection = gateway.connect().await;
    connection.exchange(outer + &hidden).await.assert_served();
    assert_eq!(upstream.only().body, hidden.as_bytes());
}

/// Breaks a request off after these bytes of its body; the upstream must not hear of it.
async fn breaks_off(issuer: &Issuer, upstream: &Upstream, gateway: &Gateway, lines: &str, body: &str) {
    let token = unique();
    let head = post_head_with(issuer.mint().claim("jti", token.clone()), lines);
    let mut connection = gateway.connect().await;
    connection.write(head + body).await;
    drop(connection);
    log::of_token(&token).await;
    assert!(upstream.received().is_empty());
}

#[tokio::test]
async fn f15_request_of_a_client_that_leaves_is_never_completed() {
    let (issuer, upstream, gateway) = start().await;
    breaks_off(&issuer, &upstream, &gateway, "Content-Length: 1000\r\n", "{\"half\":").await;
    breaks_off(&issuer, &upstream, &gateway, "Transfer-Encoding: chunked\r\n", "8\r\n{\"half\":\r\n").await;
    breaks_off(&issuer, &upstream, &gateway, "Transfer-Encoding: chunked\r\n", "8\r\n{\"half\":\r\n0\r\n").await;
}
