//! Rule 1: parse once, refuse what is ambiguous, forward what was judged.

use crate::http2::{PSEUDO, request};
use crate::support::client::CALL;
use crate::support::http2::Outcome;
use crate::support::raw::post_head;
use crate::support::{PATH, start};

/// The library takes targets of HTTP/2 that HTTP/1.1 has no words for; the upstream speaks HTTP/1.1.
#[tokio::test]
async fn x1a_http2_targets_that_no_request_line_can_hold_never_go_upstream() {
    let (issuer, upstream, gateway) = start().await;
    for query in ["é", "\u{feff}", "\u{85}", "a\u{2028}b", "a\tb", "a b", "\u{7f}", "\u{1}"] {
        let path = format!("{PATH}?q={query}");
        let pseudo = PSEUDO.map(|field| if field.0 == ":path" { (":path", path.as_str()) } else { field });
        let outcome = request(&gateway, &issuer, &pseudo, &[]).await;
        outcome.assert_malformed(&format!("{query:?}"));
    }
    assert!(upstream.received().is_empty(), "{:?}", upstream.received());
}

/// The library drops a fragment before anybody sees it: so nothing of one may reach the upstream or the choice of a route.
#[tokio::test]
async fn x1a_fragments_of_http2_targets_lead_nowhere() {
    let (issuer, upstream, gateway) = start().await;
    for (path, outcome) in [
        ("/notes/mcp#/../admin", Outcome::Answered(200)),
        ("/notes/mcp?a=1#?b=2", Outcome::Answered(200)),
        ("/#/notes/mcp", Outcome::Answered(404)),
    ] {
        let pseudo = PSEUDO.map(|field| if field.0 == ":path" { (":path", path) } else { field });
        assert_eq!(request(&gateway, &issuer, &pseudo, &[]).await, outcome, "{path}");
    }
    let targets: Vec<_> = upstream.received().into_iter().map(|request| request.target).collect();
    assert_eq!(targets, ["/mcp", "/mcp?a=1"]);
}

/// What was judged goes on: a client that has the judged field removed on the way would have its request read in another way.
#[tokio::test]
async fn x1b_nominating_what_was_judged_does_not_take_it_away() {
    let (issuer, upstream, gateway) = start().await;
    let nominated = "close, mcp-protocol-version, Mcp-Method, mcp-name, mcp-param-region, content-type";
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#;
    let modern = [
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "tools/call"),
        ("mcp-name", "echo"),
        ("mcp-param-region", "eu"),
        ("content-type", "application/json"),
    ];
    let client = gateway.client().bearer(issuer.mint()).header("connection", nominated).body(body);
    let client = modern.iter().fold(client, |client, (name, value)| client.header(name, value));
    client.post(PATH).await.assert_served();
    let received = upstream.only();
    for (name, value) in modern {
        assert_eq!(received.field(name), Some(value), "{name}");
    }
    assert_eq!(received.field("connection"), None);
}

/// Trailers stand where no head was judged: what they say reaches nobody, and what looks like a request is none.
#[tokio::test]
async fn x1c_trailers_say_nothing_and_begin_no_request() {
    let (issuer, upstream, gateway) = start().await;
    let hidden = "GET /notes/mcp HTTP/1.1: x\r\nHost: mcp.example.com";
    let trailers = ["X-Auth-Subject: mallory\r\nAuthorization: Bearer x", "Content-Length: 5\r\nTransfer-Encoding: x"];
    for trailer in trailers {
        let head = post_head(&issuer, "Transfer-Encoding: chunked\r\nTrailer: x-auth-subject\r\n");
        let body = format!("{:x}\r\n{CALL}\r\n0\r\n{trailer}\r\n\r\n", CALL.len());
        let mut connection = gateway.connect().await;
        connection.exchange(head + &body).await.assert_served();
        connection.send(&gateway.client().bearer(issuer.mint()), "POST", PATH).await.assert_served();
    }
    let before = upstream.received().len();
    let head = post_head(&issuer, "Transfer-Encoding: chunked\r\n");
    let mut connection = gateway.connect().await;
    let reply = connection.exchange(format!("{head}{:x}\r\n{CALL}\r\n0\r\n{hidden}\r\n\r\n", CALL.len())).await;
    assert_eq!(reply.status(), 400);
    connection.assert_closed().await;
    assert_eq!(upstream.received().len(), before);
    for received in upstream.received() {
        let named = received.fields.names();
        assert!(named.iter().all(|name| name != "trailer" && name != "authorization"), "{named:?}");
        assert_eq!(received.field("x-auth-subject"), Some("alice"));
        assert_eq!(received.body, CALL.as_bytes());
    }
}
