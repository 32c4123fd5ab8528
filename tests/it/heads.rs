//! HTTP/1.1 heads that are no heads (threats F8 to F10, D10), as exact bytes.

use crate::support::client::CALL;
use crate::support::raw::{post_head, refused};
use crate::support::{PATH, start};

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
        refused(&gateway, post_head(&issuer, lines), 400, "http.syntax").await;
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
    let bytes = post_head(&issuer, "Transfer-Encoding: chunked\r\n").replace("HTTP/1.1", "HTTP/1.0") + "0\r\n\r\n";
    refused(&gateway, bytes, 400, "http.framing | http.version").await;
}

#[tokio::test]
async fn f10_http_1_0_is_served_without_keep_alive() {
    let (issuer, upstream, gateway) = start().await;
    let length = format!("Content-Length: {}\r\n", CALL.len());
    let bytes = post_head(&issuer, &length).replace("HTTP/1.1", "HTTP/1.0") + CALL;
    let mut connection = gateway.connect().await;
    connection.exchange(bytes).await.assert_served();
    connection.assert_closed().await;
    assert_eq!(upstream.only().version, "HTTP/1.1");
}

#[tokio::test]
async fn heads_over_the_limit_get_431() {
    let (issuer, _upstream, gateway) = start().await;
    let long = format!("X-Long: {}\r\n", "x".repeat(33 * 1024));
    refused(&gateway, post_head(&issuer, &long), 431, "http.head_size").await;
    let many = "X-Many: x\r\n".repeat(101);
    refused(&gateway, post_head(&issuer, &many), 431, "http.head_size").await;
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
