//! What becomes of an HTTP/1.1 connection after an answer: another request, or an end in order (RFC 9112 §9.6).

use crate::lifecycle::begin_shut_down;
use crate::support::client::{CALL, Connection};
use crate::support::raw::post_head;
use crate::support::{PATH, start, start_with, within};

/// What is read of a refused body, so that the connection can be kept.
const MAX_DRAINED_BYTES: usize = 256 * 1024;

/// The head of a POST without a token.
fn bare_head(lines: &str) -> String {
    format!("POST {PATH} HTTP/1.1\r\nHost: mcp.example.com\r\nContent-Type: application/json\r\n{lines}\r\n")
}

/// The connection asked this, without a token; is it kept?
async fn is_kept(connection: &mut Connection, lines: &str) -> bool {
    let reply = connection.exchange(bare_head(lines)).await;
    reply.assert_refused(401, "unauthorized", "auth.missing").await;
    assert!([None, Some("close")].contains(&reply.header("connection")));
    reply.header("connection").is_none()
}

#[tokio::test]
async fn after_its_last_answer_a_connection_ends_in_order() {
    let (issuer, _upstream, gateway) = start().await;
    let mut connection = gateway.connect().await;
    let lines = format!("Connection: close\r\nContent-Length: {}\r\nAccept: */*\r\n", CALL.len());
    let reply = connection.exchange(post_head(&issuer, &lines) + CALL).await;
    reply.assert_served();
    assert_eq!(reply.header("connection"), Some("close"));
    connection.assert_ends_in_order().await;
}

#[tokio::test]
async fn an_idle_connection_ends_in_order() {
    let (issuer, _upstream, gateway) = start_with("listen.limits = { idle_timeout = \"200ms\" }").await;
    let mut connection = gateway.connect().await;
    connection.send(&gateway.client().bearer(issuer.mint()), "POST", PATH).await.assert_served();
    connection.assert_ends_in_order().await;
}

#[tokio::test]
async fn a_refused_body_is_read_to_its_end_while_it_is_small() {
    let (issuer, _upstream, gateway) = start().await;
    let mut connection = gateway.connect().await;
    assert!(is_kept(&mut connection, &format!("Content-Length: {MAX_DRAINED_BYTES}\r\n")).await);
    connection.write(vec![b' '; MAX_DRAINED_BYTES]).await;
    connection.send(&gateway.client().bearer(issuer.mint()), "POST", PATH).await.assert_served();

    for length in [MAX_DRAINED_BYTES + 1, 16 * MAX_DRAINED_BYTES] {
        let mut connection = gateway.connect().await;
        assert!(!is_kept(&mut connection, &format!("Content-Length: {length}\r\n")).await, "{length}");
        connection.assert_ends_in_order().await;
    }
}

#[tokio::test]
async fn a_refused_body_that_waits_to_be_asked_for_ends_the_connection() {
    let (_issuer, _upstream, gateway) = start().await;
    let mut connection = gateway.connect().await;
    assert!(!is_kept(&mut connection, "Expect: 100-continue\r\nContent-Length: 5\r\n").await);
    connection.assert_ends_in_order().await;
}

#[tokio::test]
async fn what_follows_the_last_request_is_none() {
    let (issuer, upstream, gateway) = start().await;
    let more = post_head(&issuer, &format!("Content-Length: {}\r\nAccept: */*\r\n", CALL.len())) + CALL;
    for body in ["", "12345"] {
        let last = bare_head(&format!("Connection: close\r\nContent-Length: {}\r\n", body.len()));
        let mut connection = gateway.connect().await;
        connection.write([&last, body, &more].concat()).await;
        let reply = connection.reply().await;
        assert_eq!((reply.status(), reply.header("connection")), (401, Some("close")));
        connection.assert_ends_in_order().await;
    }
    assert!(upstream.received().is_empty());
}

#[tokio::test]
async fn what_was_on_its_way_when_the_last_answer_came_is_read() {
    let (_issuer, _upstream, gateway) = start().await;
    let mut connection = gateway.connect().await;
    assert!(!is_kept(&mut connection, "Connection: close\r\nContent-Length: 200000\r\n").await);
    connection.assert_ends_in_order().await;
    // Closing on it would be answered by a reset, which can destroy the answer before a client has read it.
    for _ in 0..5 {
        assert!(connection.takes(vec![b' '; 40_000]).await, "a reset instead of an ear");
    }
}

#[tokio::test]
async fn o7_requests_under_way_are_answered_and_their_connections_end() {
    let (issuer, upstream, gateway) = start_with("listen.shutdown_grace = \"9s\"").await;
    let client = gateway.client().bearer(issuer.mint());
    let text = client.text("POST", PATH);
    let (mut in_its_head, mut in_its_body, mut idle) =
        (gateway.connect().await, gateway.connect().await, gateway.connect().await);
    let (some, most) = (text.split_at(20), text.split_at(text.len() - 20));
    in_its_head.write(some.0).await;
    in_its_body.write(most.0).await;
    // What came before this has been read.
    idle.send(&client, "POST", PATH).await.assert_served();
    let mut ending = begin_shut_down(gateway);
    idle.assert_closed().await;
    for (mut connection, rest) in [(in_its_head, some.1), (in_its_body, most.1)] {
        let reply = connection.exchange(rest).await;
        reply.assert_served();
        assert_eq!(reply.header("connection"), Some("close"));
        connection.assert_ends_in_order().await;
    }
    assert_eq!(upstream.received().len(), 3);
    let all_ended = within("the end", ending.join_next()).await.unwrap().unwrap();
    assert!(all_ended, "nothing was cut off");
}
