//! HTTP/1.1 bodies whose length could be read in two ways (threats F1 to F7), as exact bytes.

use crate::support::client::CALL;
use crate::support::raw::{post_head, refused};
use crate::support::{Gateway, Issuer, start};

#[tokio::test]
async fn f1_content_length_beside_transfer_encoding_gets_400() {
    let (issuer, _upstream, gateway) = start().await;
    for lines in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 5\r\n",
    ] {
        refused(&gateway, post_head(&issuer, lines) + "0\r\n\r\n", 400, "http.framing").await;
    }
}

#[tokio::test]
async fn f2_transfer_encoding_other_than_chunked_is_refused() {
    let (issuer, _upstream, gateway) = start().await;
    for value in [
        "gzip, chunked",
        "chunked, chunked",
        "chunked, gzip",
        "chunked,",
        ",chunked",
        "\"chunked\"",
        "chunked;x=y",
        "gzip",
        "identity",
        "xchunked",
        "chunked\tx",
        "",
    ] {
        let bytes = post_head(&issuer, &format!("Transfer-Encoding: {value}\r\n")) + "0\r\n\r\n";
        refused(&gateway, bytes, 501, "http.framing").await;
    }
    for lines in [
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n",
    ] {
        refused(&gateway, post_head(&issuer, lines) + "0\r\n\r\n", 400, "http.framing").await;
    }
    for value in ["\u{b}chunked", "\u{c}chunked", "chunked\u{c}"] {
        let bytes = post_head(&issuer, &format!("Transfer-Encoding: {value}\r\n")) + "0\r\n\r\n";
        refused(&gateway, bytes, 400, "http.syntax").await;
    }
}

#[tokio::test]
async fn f2_chunked_in_any_letter_case_is_served() {
    let (issuer, upstream, gateway) = start().await;
    for value in ["chunked", "Chunked", "CHUNKED", "  chunked  "] {
        let body = format!("{:x}\r\n{CALL}\r\n0\r\n\r\n", CALL.len());
        let bytes = post_head(&issuer, &format!("Transfer-Encoding: {value}\r\n")) + &body;
        gateway.connect().await.exchange(bytes).await.assert_served();
        assert_eq!(upstream.received().pop().unwrap().body, CALL.as_bytes());
    }
}

#[tokio::test]
async fn f4_malformed_content_length_gets_400() {
    let (issuer, _upstream, gateway) = start().await;
    for lines in [
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length: 5, 6\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: -5\r\n",
        "Content-Length: 0x5\r\n",
        "Content-Length: 5 5\r\n",
        "Content-Length: 5.0\r\n",
        "Content-Length: 1e1\r\n",
        "Content-Length: five\r\n",
        "Content-Length: \r\n",
        "Content-Length: 9223372036854775808\r\n",
        "Content-Length: 18446744073709551616\r\n",
        "Content-Length: 99999999999999999999999999\r\n",
    ] {
        refused(&gateway, post_head(&issuer, lines) + "hello", 400, "http.framing").await;
    }
    refused(&gateway, post_head(&issuer, "Content-Length : 5\r\n") + "hello", 400, "http.syntax").await;
}

#[tokio::test]
async fn f4_equal_content_lengths_are_refused_or_served_once() {
    let (issuer, upstream, gateway) = start().await;
    let length = format!("Content-Length: {}\r\n", CALL.len());
    let reply = gateway.connect().await.exchange(post_head(&issuer, &length.repeat(2)) + CALL).await;
    assert!([200, 400].contains(&reply.status()), "{}", reply.status());
    let bodies: Vec<_> = upstream.received().into_iter().map(|request| request.body).collect();
    assert!(bodies.is_empty() || bodies == [CALL.as_bytes()]);
}

#[tokio::test]
async fn f5_malformed_chunks_get_400_and_are_never_complete_upstream() {
    let (issuer, upstream, gateway) = start().await;
    for body in [
        "0x5\r\n{\"a\":\r\n0\r\n\r\n",
        "+5\r\n{\"a\":\r\n0\r\n\r\n",
        "-5\r\n{\"a\":\r\n0\r\n\r\n",
        " 5\r\n{\"a\":\r\n0\r\n\r\n",
        "5 \r\n{\"a\":\r\n0\r\n\r\n",
        "5\n{\"a\":\r\n0\r\n\r\n",
        "5\r\n{\"a\":\n0\r\n\r\n",
        "5\r\n{\"a\":0\r\n\r\n",
        "5\r\n{\"a\":XX0\r\n\r\n",
        "g\r\n{\"a\":\r\n0\r\n\r\n",
        "\r\n{\"a\":\r\n0\r\n\r\n",
        "5,5\r\n{\"a\":\r\n0\r\n\r\n",
        "fffffffffffffffff\r\n{\"a\":\r\n0\r\n\r\n",
        "10000000000000005\r\n{\"a\":\r\n0\r\n\r\n",
        "5\r\n{\"a\":\r\n0\r\nfold\r\n\r\n",
        "5\r\n{\"a\":\r\n0\r\n x: y\r\n\r\n",
        "5\r\n{\"a\":\r\n0\r\nx : y\r\n\r\n",
        "5\r\n{\"a\":\r\n0\n\r\n",
        "5;a\nb\r\n{\"a\":\r\n0\r\n\r\n",
        "5;a\rb\r\n{\"a\":\r\n0\r\n\r\n",
    ] {
        println!("case: {body:?}");
        malformed_body(&gateway, &issuer, body).await;
    }
    assert!(upstream.received().is_empty(), "{:?}", upstream.received());
}

/// Asserts that this chunked body gets 400 and ends the connection.
async fn malformed_body(gateway: &Gateway, issuer: &Issuer, body: &str) {
    let mut connection = gateway.connect().await;
    let reply = connection.exchange(post_head(issuer, "Transfer-Encoding: chunked\r\n") + body).await;
    reply.assert_refused(400, "bad_request", "http.framing").await;
    connection.assert_closed().await;
}

#[tokio::test]
async fn f5_body_that_turns_out_malformed_later_gets_400() {
    let (issuer, upstream, gateway) = start().await;
    let mut connection = gateway.connect().await;
    connection.write(post_head(&issuer, "Transfer-Encoding: chunked\r\n") + "5\r\n{\"a\":\r\n").await;
    let reply = connection.exchange("x\r\n").await;
    reply.assert_refused(400, "bad_request", "http.framing").await;
    connection.assert_closed().await;
    assert!(upstream.received().is_empty());
}

#[tokio::test]
async fn f7_chunk_extensions_are_not_forwarded() {
    let (issuer, upstream, gateway) = start().await;
    let body = format!("{:x};a=b;c=\"d e\";f\r\n{CALL}\r\n0;last\r\n\r\n", CALL.len());
    let reply = gateway.connect().await.exchange(post_head(&issuer, "Transfer-Encoding: chunked\r\n") + &body).await;
    reply.assert_served();
    // The upstream's strict reader takes an extension for a broken body.
    let received = upstream.only();
    assert!(received.complete && received.body == CALL.as_bytes());
}

#[tokio::test]
async fn f7_chunk_extensions_over_16_kib_get_400() {
    let (issuer, upstream, gateway) = start().await;
    let one_long = format!("5;{}\r\n    1\r\n0\r\n\r\n", "x".repeat(17 * 1024));
    let many_short = "1;xxxxxxxxxxxxxxx\r\n \r\n".repeat(1200) + "0\r\n\r\n";
    for body in [one_long, many_short] {
        malformed_body(&gateway, &issuer, &body).await;
    }
    assert!(upstream.received().iter().all(|request| !request.complete));
}
