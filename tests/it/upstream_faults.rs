//! Answers of an upstream that are no answers (threats F11, F16).

use crate::support::log;
use crate::support::mint::unique;
use crate::support::{PATH, eventually, start};

#[tokio::test]
async fn f11_switching_protocols_of_an_upstream_is_a_fault() {
    let (issuer, upstream, gateway) = start().await;
    upstream.answers_bytes("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
    let reply = gateway.client().bearer(issuer.mint()).post(PATH).await;
    reply.assert_failed(502, "bad_gateway", "upstream.protocol").await;
}

/// What no upstream may answer.
const BAD_ANSWERS: [(&str, &str); 7] = [
    ("two lengths", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}"),
    ("no status", "HTTP/1.1 OK\r\ncontent-length: 2\r\n\r\n{}"),
    ("status of two digits", "HTTP/1.1 20 OK\r\ncontent-length: 2\r\n\r\n{}"),
    ("another protocol", "SSH-2.0-OpenSSH_9.6\r\n\r\n"),
    ("bare NUL", "HTTP/1.1 200 OK\r\nx: a\0b\r\ncontent-length: 2\r\n\r\n{}"),
    ("no colon", "HTTP/1.1 200 OK\r\nx\r\ncontent-length: 2\r\n\r\n{}"),
    ("negative length", "HTTP/1.1 200 OK\r\ncontent-length: -2\r\n\r\n{}"),
];

#[tokio::test]
async fn f16_answer_with_both_lengths_gets_502() {
    let both = "content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
    malformed_answer("both lengths", &format!("HTTP/1.1 200 OK\r\n{both}")).await;
}

#[tokio::test]
async fn f16_answer_with_an_unknown_transfer_coding_gets_502() {
    let (issuer, upstream, gateway) = start().await;
    upstream.answers_bytes_and_closes("HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n{}");
    let reply = gateway.client().bearer(issuer.mint()).post(PATH).await;
    reply.assert_failed(502, "bad_gateway", "upstream.protocol").await;
}

#[tokio::test]
async fn f16_malformed_answer_gets_502() {
    for (what, bytes) in BAD_ANSWERS {
        malformed_answer(what, bytes).await;
    }
}

/// Asserts that this answer of the upstream gets 502, and that its connection is not used again.
async fn malformed_answer(what: &str, bytes: &str) {
    println!("case: {what}");
    let (issuer, upstream, gateway) = start().await;
    upstream.answers_bytes(bytes);
    let reply = gateway.client().bearer(issuer.mint()).post(PATH).await;
    reply.assert_failed(502, "bad_gateway", "upstream.protocol").await;
    upstream.answers(200, crate::support::upstream::ANSWER);
    gateway.accepts("afterwards", issuer.mint()).await;
    let received = upstream.received();
    assert_ne!(received[0].connection, received[1].connection);
}

#[tokio::test]
async fn f16_bytes_left_over_never_answer_the_next_request() {
    let (issuer, upstream, gateway) = start().await;
    let stray = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nstray";
    upstream.answers_bytes(format!("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{{}}{stray}"));
    let reply = gateway.client().bearer(issuer.mint()).post(PATH).await;
    assert!([200, 502].contains(&reply.status()));
    upstream.answers(200, crate::support::upstream::ANSWER);
    gateway.accepts("afterwards", issuer.mint()).await;
    let received = upstream.received();
    assert_ne!(received[0].connection, received[1].connection);
}

#[tokio::test]
async fn f16_answer_cut_off_in_its_body_is_never_whole() {
    let (issuer, upstream, gateway) = start().await;
    for (framing, body, goes_out) in [
        ("content-length: 100", "{\"half\":", "{\"half\":"),
        ("transfer-encoding: chunked", "8\r\n{\"half\":\r\n", "8\r\n{\"half\":\r\n"),
        ("transfer-encoding: chunked", "0x8\r\n{\"half\":\r\n0\r\n\r\n", ""),
    ] {
        upstream.answers_bytes_and_closes(format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n{body}"));
        let mut connection = gateway.connect().await;
        let id = unique();
        let client = gateway.client().bearer(issuer.mint().claim("jti", id.clone()));
        connection.write(client.text("POST", PATH)).await;
        let answer = String::from_utf8(connection.until_closed().await).unwrap();
        let (head, came) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains(framing), "{answer}");
        assert_eq!(came, goes_out, "what came before the fault goes out, and no end");
        let line = log::of_token(&id).await;
        assert!(line.text("reason").starts_with("upstream."), "{line:?}");
    }
}

/// How many connections to this port of this machine their far end has closed, and the near one has not.
#[cfg(target_os = "linux")]
fn half_closed(port: &str) -> usize {
    let wanted = format!("0100007F:{:04X} 08", port.parse::<u16>().unwrap());
    let table = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
    table.lines().filter(|line| line.contains(&wanted)).count()
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn idle_connection_that_the_upstream_closes_is_closed_without_a_request() {
    let (issuer, mut upstream, gateway) = start().await;
    gateway.client().bearer(issuer.mint()).post(PATH).await.assert_served();
    let authority = upstream.authority();
    let port = authority.rsplit(':').next().unwrap();
    upstream.kill().await;
    eventually("its end", || (half_closed(port) == 0).then_some(())).await;
    assert_eq!(upstream.received().len(), 1);
}
