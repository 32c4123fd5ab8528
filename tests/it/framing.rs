//! HTTP/1.1 heads and bodies that could be read in two ways (threats F1 to F16), as exact bytes.

use crate::support::client::CALL;
use crate::support::{Gateway, Issuer, PATH, Upstream, start};

/// A POST with a good token and these lines; what follows the empty line is up to the caller.
fn head(issuer: &Issuer, lines: &str) -> String {
    format!(
        "POST {PATH} HTTP/1.1\r\nHost: mcp.example.com\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\n{lines}\r\n",
        issuer.mint()
    )
}

/// Asserts that these bytes get this refusal, that the connection ends, and that nothing went upstream.
async fn refused(gateway: &Gateway, bytes: impl AsRef<[u8]>, status: u16, reason: &str) {
    println!("case: {:?}", String::from_utf8_lossy(bytes.as_ref()));
    let code = match status {
        400 => "bad_request",
        414 => "uri_too_long",
        431 => "request_header_fields_too_large",
        501 => "not_implemented",
        505 => "http_version_not_supported",
        other => panic!("no such refusal: {other}"),
    };
    let mut connection = gateway.connect().await;
    let reply = connection.exchange(bytes).await;
    reply.assert_refused(status, code, reason).await;
    assert_eq!(reply.header("connection"), Some("close"));
    connection.assert_closed().await;
}

#[tokio::test]
async fn f1_content_length_beside_transfer_encoding_gets_400() {
    let (issuer, _upstream, gateway) = start().await;
    for lines in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 5\r\n",
    ] {
        refused(&gateway, head(&issuer, lines) + "0\r\n\r\n", 400, "http.framing").await;
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
        let bytes = head(&issuer, &format!("Transfer-Encoding: {value}\r\n")) + "0\r\n\r\n";
        refused(&gateway, bytes, 501, "http.framing").await;
    }
    for lines in [
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n",
    ] {
        refused(&gateway, head(&issuer, lines) + "0\r\n\r\n", 400, "http.framing").await;
    }
    refused(&gateway, head(&issuer, "Transfer-Encoding: \u{b}chunked\r\n") + "0\r\n\r\n", 400, "http.syntax").await;
}

#[tokio::test]
async fn f2_chunked_in_any_letter_case_is_served() {
    let (issuer, upstream, gateway) = start().await;
    for value in ["chunked", "Chunked", "CHUNKED", "  chunked  "] {
        let body = format!("{:x}\r\n{CALL}\r\n0\r\n\r\n", CALL.len());
        let bytes = head(&issuer, &format!("Transfer-Encoding: {value}\r\n")) + &body;
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
        refused(&gateway, head(&issuer, lines) + "hello", 400, "http.framing").await;
    }
    refused(&gateway, head(&issuer, "Content-Length : 5\r\n") + "hello", 400, "http.syntax").await;
}

#[tokio::test]
async fn f4_equal_content_lengths_are_refused_or_served_once() {
    let (issuer, upstream, gateway) = start().await;
    let length = format!("Content-Length: {}\r\n", CALL.len());
    let reply = gateway.connect().await.exchange(head(&issuer, &length.repeat(2)) + CALL).await;
    assert!([200, 400].contains(&reply.status()), "{}", reply.status());
    let bodies: Vec<_> = upstream.received().into_iter().map(|request| request.body).collect();
    assert!(bodies.is_empty() || bodies == [CALL.as_bytes()]);
}

#[tokio::test]
async fn f5_malformed_chunks_get_400_and_are_never_complete_upstream() {
    let (issuer, upstream, gateway) = start().await;
    for body in [
        "0x5\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
        "5 \r\nhello\r\n0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "5\r\nhelloXX0\r\n\r\n",
        "g\r\nhello\r\n0\r\n\r\n",
        "\r\nhello\r\n0\r\n\r\n",
        "5,5\r\nhello\r\n0\r\n\r\n",
        "fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        "10000000000000005\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r\n0\r\nfold\r\n\r\n",
        "5\r\nhello\r\n0\r\n x: y\r\n\r\n",
        "5\r\nhello\r\n0\r\nx : y\r\n\r\n",
        "5\r\nhello\r\n0\n\r\n",
        "5;a\nb\r\nhello\r\n0\r\n\r\n",
        "5;a\rb\r\nhello\r\n0\r\n\r\n",
    ] {
        println!("case: {body:?}");
        malformed_body(&gateway, &issuer, body).await;
    }
    assert!(upstream.received().iter().all(|request| !request.complete), "{:?}", upstream.received());
}

/// Asserts that this chunked body gets 400 and ends the connection.
async fn malformed_body(gateway: &Gateway, issuer: &Issuer, body: &str) {
    let mut connection = gateway.connect().await;
    let reply = connection.exchange(head(issuer, "Transfer-Encoding: chunked\r\n") + body).await;
    reply.assert_failed(400, "bad_request", "http.framing").await;
    connection.assert_closed().await;
}

#[tokio::test]
async fn f5_body_that_turns_out_malformed_later_gets_400() {
    let (issuer, upstream, gateway) = start().await;
    let mut connection = gateway.connect().await;
    connection.write(head(&issuer, "Transfer-Encoding: chunked\r\n") + "5\r\nhello\r\n").await;
    upstream.until("the body begins", |request| !request.body.is_empty()).await;
    let reply = connection.exchange("x\r\n").await;
    reply.assert_failed(400, "bad_request", "http.framing").await;
    connection.assert_closed().await;
    upstream.until("the request is broken off", |request| request.gone && !request.complete).await;
}

#[tokio::test]
async fn f7_chunk_extensions_are_not_forwarded() {
    let (issuer, upstream, gateway) = start().await;
    let body = format!("{:x};a=b;c=\"d e\";f\r\n{CALL}\r\n0;last\r\n\r\n", CALL.len());
    let reply = gateway.connect().await.exchange(head(&issuer, "Transfer-Encoding: chunked\r\n") + &body).await;
    reply.assert_served();
    // The upstream's strict reader takes an extension for a broken body.
    let received = upstream.only();
    assert!(received.complete && received.body == CALL.as_bytes());
}

#[tokio::test]
async fn f7_chunk_extensions_over_16_kib_get_400() {
    let (issuer, upstream, gateway) = start().await;
    let one_long = format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(17 * 1024));
    let many_short = "1;xxxxxxxxxxxxxxx\r\na\r\n".repeat(1200) + "0\r\n\r\n";
    for body in [one_long, many_short] {
        malformed_body(&gateway, &issuer, &body).await;
    }
    assert!(upstream.received().iter().all(|request| !request.complete));
}

#[tokio::test]
async fn f8_malformed_heads_get_400() {
    let (issuer, _upstream, gateway) = start().await;
    for lines in [
        "X-A: a\nX-B: b\r\n",
        "X-A: a\rX-B: b\r\n",
        "X-A: a\r\r\n",
        "X-A: a\0b\r\n",
        "X\0A: a\r\n",
        "X-A: a\r\n folded\r\n",
        "X-A: a\r\n\tfolded\r\n",
        "X-A : a\r\n",
        "X-A\t: a\r\n",
        "X-A\r\n",
        ": a\r\n",
        "X A: a\r\n",
        "X(A): a\r\n",
        "X-Ä: a\r\n",
        "X-A: a\u{7f}\r\n",
        "X-A: a\u{1}\r\n",
    ] {
        refused(&gateway, head(&issuer, lines), 400, "http.syntax").await;
    }
}

#[tokio::test]
async fn f8_malformed_request_lines_get_400() {
    let (_issuer, _upstream, gateway) = start().await;
    let rest = "\r\nHost: mcp.example.com\r\n\r\n";
    for line in [
        "GET  /notes/mcp HTTP/1.1",
        "GET /notes/mcp  HTTP/1.1",
        "GET\t/notes/mcp HTTP/1.1",
        "GET /notes/mcp HTTP/1.1 ",
        " GET /notes/mcp HTTP/1.1",
        "GET /notes/mcp x HTTP/1.1",
        "GET /notes\u{0}/mcp HTTP/1.1",
        "G(T /notes/mcp HTTP/1.1",
        "/notes/mcp HTTP/1.1",
        "GET /notes/mcp",
        "GET /nötes/mcp HTTP/1.1",
        "GET",
    ] {
        refused(&gateway, format!("{line}{rest}"), 400, "http.syntax | http.version").await;
    }
    refused(&gateway, "GET /notes/mcp HTTP/1.1\nHost: mcp.example.com\n\n", 400, "http.syntax").await;
    refused(&gateway, "GET /notes/mcp HTTP/1.1\r\n Host: mcp.example.com\r\n\r\n", 400, "http.syntax").await;
    refused(&gateway, "\u{16}\u{3}\u{1} HTTP/1.1\r\n\r\n", 400, "http.syntax").await;
}

#[tokio::test]
async fn f9_missing_doubled_or_malformed_host_gets_400() {
    let (issuer, _upstream, gateway) = start().await;
    let request = |hosts: &str| {
        format!("POST {PATH} HTTP/1.1\r\n{hosts}Authorization: Bearer {}\r\nContent-Length: 0\r\n\r\n", issuer.mint())
    };
    for hosts in [
        "",
        "Host: mcp.example.com\r\nHost: mcp.example.com\r\n",
        "Host: mcp.example.com\r\nHost: evil.example\r\n",
        "Host: \r\n",
        "Host: mcp example com\r\n",
        "Host: mcp.example.com, evil.example\r\n",
        "Host: mcp.example.com/x\r\n",
        "Host: user@mcp.example.com\r\n",
        "Host: https://mcp.example.com\r\n",
        "Host: mcp.example.com:\r\n",
        "Host: mcp.example.com:x\r\n",
        "Host: mcp.example.com:99999\r\n",
        "Host: mcp.example.com:443:443\r\n",
        "Host: [::1\r\n",
        "Host: ::1\r\n",
        "Host: mcp..example.com\r\n",
        "Host: mcp.example.com\\@evil\r\n",
        "Host: mcp.example.com%00\r\n",
    ] {
        refused(&gateway, request(hosts), 400, "http.host").await;
    }
    let absolute = format!("POST https://mcp.example.com{PATH} HTTP/1.1\r\nContent-Length: 0\r\n\r\n");
    refused(&gateway, absolute, 400, "http.host").await;
}

#[tokio::test]
async fn f10_other_versions_are_refused() {
    let (_issuer, _upstream, gateway) = start().await;
    for version in ["HTTP/9.9", "HTTP/2.0", "HTTP/1.2", "HTTP/0.9", "HTTP/1.10", "HTTP/11"] {
        let bytes = format!("GET {PATH} {version}\r\nHost: mcp.example.com\r\n\r\n");
        refused(&gateway, bytes, 505, "http.version").await;
    }
    for version in ["http/1.1", "HTTQ/1.1", "ICAP/1.0"] {
        let bytes = format!("GET {PATH} {version}\r\nHost: mcp.example.com\r\n\r\n");
        refused(&gateway, bytes, 400, "http.syntax | http.version").await;
    }
    refused(&gateway, format!("GET {PATH}\r\n\r\n"), 400, "http.syntax | http.version").await;
}

#[tokio::test]
async fn f10_http_1_0_with_transfer_encoding_gets_400() {
    let (issuer, _upstream, gateway) = start().await;
    let bytes = head(&issuer, "Transfer-Encoding: chunked\r\n").replace("HTTP/1.1", "HTTP/1.0") + "0\r\n\r\n";
    refused(&gateway, bytes, 400, "http.framing | http.version").await;
}

#[tokio::test]
async fn f10_http_1_0_is_served_without_keep_alive() {
    let (issuer, upstream, gateway) = start().await;
    let length = format!("Content-Length: {}\r\n", CALL.len());
    let bytes = head(&issuer, &length).replace("HTTP/1.1", "HTTP/1.0") + CALL;
    let mut connection = gateway.connect().await;
    connection.exchange(bytes).await.assert_served();
    connection.assert_closed().await;
    assert_eq!(upstream.only().version, "HTTP/1.1");
}

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
        let reply = gateway.connect().await.exchange(head(&issuer, &lines) + CALL).await;
        reply.assert_served();
        assert!(reply.informational.is_empty());
        upstream.received().pop().unwrap().assert_only(&[]);
    }
}

#[tokio::test]
async fn f11_switching_protocols_of_an_upstream_is_a_fault() {
    let (issuer, upstream, gateway) = start().await;
    upstream.answers_bytes("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
    let reply = gateway.client().bearer(issuer.mint()).post(PATH).await;
    reply.assert_failed(502, "bad_gateway", "upstream.protocol").await;
}

#[tokio::test]
async fn f12_refusal_comes_before_100_continue() {
    let (issuer, _upstream, gateway) = start().await;
    let lines = format!("Expect: 100-continue\r\nContent-Length: {}\r\n", CALL.len());
    let bytes = head(&issuer, &lines).replace("Authorization: Bearer ", "X-Not-Authorization: ");
    let reply = gateway.connect().await.exchange(bytes).await;
    assert!(reply.informational.is_empty(), "{:?}", reply.informational);
    reply.assert_refused(401, "unauthorized", "auth.missing").await;
    let too_large = head(&issuer, "Expect: 100-continue\r\nContent-Length: 99999999\r\n");
    let reply = gateway.connect().await.exchange(too_large).await;
    assert!(reply.informational.is_empty(), "{:?}", reply.informational);
    reply.assert_refused(413, "content_too_large", "mcp.size").await;
}

#[tokio::test]
async fn f12_expected_body_is_asked_for_and_served() {
    let (issuer, upstream, gateway) = start().await;
    let lines = format!("Expect: 100-continue\r\nContent-Length: {}\r\nAccept: */*\r\n", CALL.len());
    let mut connection = gateway.connect().await;
    connection.write(head(&issuer, &lines)).await;
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
    let reply = gateway.connect().await.exchange(head(&issuer, &lines) + CALL).await;
    assert!([200, 417].contains(&reply.status()), "{}", reply.status());
    upstream.received().iter().for_each(|received| received.assert_only(&[]));
}

#[tokio::test]
async fn f14_pipelined_requests_are_judged_one_by_one() {
    let (issuer, upstream, gateway) = start().await;
    let length = format!("Content-Length: {}\r\n", CALL.len());
    let good = head(&issuer, &length) + CALL;
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
    let good = head(&issuer, &length) + CALL;
    let bad = head(&issuer, "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n") + "0\r\n\r\n";
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
    let hidden = head(&issuer, "Content-Length: 0\r\n");
    let outer = head(&issuer, &format!("Content-Length: {}\r\n", hidden.len()));
    let mut connection = gateway.connect().await;
    connection.exchange(outer + &hidden).await.assert_served();
    assert_eq!(upstream.only().body, hidden.as_bytes());
}

/// Breaks a request off after these bytes of its body; the upstream must never see a complete one.
async fn breaks_off(issuer: &Issuer, upstream: &Upstream, gateway: &Gateway, lines: &str, body: &str) {
    let before = upstream.received().len();
    let mut connection = gateway.connect().await;
    connection.write(head(issuer, lines) + body).await;
    upstream.until("the request begins", |_| upstream.received().len() > before).await;
    drop(connection);
    upstream.until("the request is broken off", |_| upstream.received()[before].gone).await;
    assert!(!upstream.received()[before].complete);
}

#[tokio::test]
async fn f15_request_of_a_client_that_leaves_is_never_completed() {
    let (issuer, upstream, gateway) = start().await;
    breaks_off(&issuer, &upstream, &gateway, "Content-Length: 1000\r\n", "{\"half\":").await;
    breaks_off(&issuer, &upstream, &gateway, "Transfer-Encoding: chunked\r\n", "8\r\n{\"half\":\r\n").await;
    breaks_off(&issuer, &upstream, &gateway, "Transfer-Encoding: chunked\r\n", "8\r\n{\"half\":\r\n0\r\n").await;
}

/// What no upstream may answer.
const BAD_ANSWERS: [(&str, &str); 8] = [
    ("two lengths", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}"),
    ("no status", "HTTP/1.1 OK\r\ncontent-length: 2\r\n\r\n{}"),
    ("status of two digits", "HTTP/1.1 20 OK\r\ncontent-length: 2\r\n\r\n{}"),
    ("another protocol", "SSH-2.0-OpenSSH_9.6\r\n\r\n"),
    ("bare NUL", "HTTP/1.1 200 OK\r\nx: a\0b\r\ncontent-length: 2\r\n\r\n{}"),
    ("no colon", "HTTP/1.1 200 OK\r\nx\r\ncontent-length: 2\r\n\r\n{}"),
    ("negative length", "HTTP/1.1 200 OK\r\ncontent-length: -2\r\n\r\n{}"),
    ("unknown coding", "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n{}"),
];

#[tokio::test]
async fn f16_answer_with_both_lengths_gets_502() {
    let both = "content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
    malformed_answer("both lengths", &format!("HTTP/1.1 200 OK\r\n{both}")).await;
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
    let length = format!("Content-Length: {}\r\n", CALL.len());
    for bytes in [
        "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"half\":",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n8\r\n{\"half\":\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0x8\r\n{\"half\":\r\n0\r\n\r\n",
    ] {
        upstream.answers_bytes_and_closes(bytes);
        let mut connection = gateway.connect().await;
        connection.write(head(&issuer, &length) + CALL).await;
        let answer = String::from_utf8(connection.until_closed().await).unwrap();
        let whole = answer.ends_with("\r\n0\r\n\r\n") && !answer.contains(" 502 ");
        assert!(!whole, "{answer}");
        let line = connection.log().await;
        assert!(line.text("reason").starts_with("upstream."), "{line:?}");
    }
}

#[tokio::test]
async fn heads_over_the_limit_get_431() {
    let (issuer, _upstream, gateway) = start().await;
    let long = format!("X-Long: {}\r\n", "x".repeat(33 * 1024));
    refused(&gateway, head(&issuer, &long), 431, "http.head_size").await;
    let many: String = (0..101).map(|i| format!("X-{i}: x\r\n")).collect();
    refused(&gateway, head(&issuer, &many), 431, "http.head_size").await;
    let endless = format!("GET {PATH} HTTP/1.1\r\nHost: mcp.example.com\r\nX: {}", "x".repeat(40 * 1024));
    refused(&gateway, endless, 431, "http.head_size").await;
}

#[tokio::test]
async fn targets_over_8_kib_get_414() {
    let (issuer, _upstream, gateway) = start().await;
    let target = format!("{PATH}?{}", "x".repeat(9 * 1024));
    refused(&gateway, format!("GET {target} HTTP/1.1\r\nHost: mcp.example.com\r\n\r\n"), 414, "http.head_size").await;
    let short_enough = format!("{PATH}?{}", "x".repeat(7 * 1024));
    gateway.client().bearer(issuer.mint()).post(&short_enough).await.assert_served();
}
