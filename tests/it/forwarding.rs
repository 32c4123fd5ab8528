//! What goes upstream and what comes back, field by field.

use crate::support::client::CALL;
use crate::support::raw::post_head;
use crate::support::{Gateway, Issuer, PATH, Upstream, start, start_with};

#[tokio::test]
async fn number_1_hop_by_hop_fields_are_removed_both_ways() {
    let (issuer, upstream, gateway) = start().await;
    upstream.answers_with(200, &[("Connection", "x-back"), ("X-Back", "1")], "{}");
    let client = gateway.client().header("Connection", "x-there").header("X-There", "1");
    let reply = client.bearer(issuer.mint()).post(PATH).await;
    upstream.only().assert_only(&[]);
    assert_eq!(reply.header("x-back"), None);
}

#[tokio::test]
async fn number_2_credentials_are_removed() {
    let (issuer, upstream, gateway) = start().await;
    let fields = [
        ("DPoP", "eyJ"),
        ("Cookie", "session=1"),
        ("Client-Cert", ":MIIB:"),
        ("Client-Cert-Chain", ":MIIB:"),
        ("client_cert", ":MIIB:"),
    ];
    let client = fields.iter().fold(gateway.client(), |client, (name, value)| client.header(name, value));
    client.bearer(issuer.mint()).post(PATH).await.assert_served();
    upstream.only().assert_only(&[]);
}

#[tokio::test]
async fn number_3_forwarded_fields_are_the_gateways() {
    let (issuer, upstream, gateway) = start().await;
    gateway.accepts("", issuer.mint()).await;
    let received = upstream.only();
    assert_eq!(received.field("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(received.field("x-forwarded-proto"), Some("https"));
    assert_eq!(received.field("x-forwarded-host"), Some("mcp.example.com"));
}

#[tokio::test]
async fn number_4_host_is_the_upstreams_and_origin_is_dropped() {
    let (issuer, upstream, gateway) =
        start_with(r#"routes = [{ name = "notes", origins = ["https://app.example.com"] }]"#).await;
    let client = gateway.client().header("origin", "https://app.example.com");
    client.bearer(issuer.mint()).post(PATH).await.assert_served();
    let received = upstream.only();
    received.assert_only(&[]);
    assert_eq!(received.field("host"), Some(upstream.authority().as_str()));
}

#[tokio::test]
async fn number_5_identity_is_the_tokens_in_visible_ascii() {
    let (issuer, upstream, gateway) = start().await;
    let mint =
        issuer.mint().claim("sub", "auth0|a%b c").claim("email", "a@example.com").claim("scope", "mcp:tools a:b");
    gateway.accepts("", mint).await;
    let received = upstream.only();
    received.assert_only(&["x-auth-email"]);
    assert_eq!(received.field("x-auth-subject"), Some("auth0|a%25b%20c"));
    assert_eq!(received.field("x-auth-email"), Some("a@example.com"));
    assert_eq!(received.field("x-auth-scopes"), Some("mcp:tools a:b"));
}

#[tokio::test]
async fn number_5_client_id_may_be_a_url() {
    let (issuer, upstream, gateway) = start().await;
    let client = "https://client.example.com/metadata.json?x=1,2";
    gateway.accepts("", issuer.mint().claim("client_id", client)).await;
    assert_eq!(upstream.only().field("x-auth-client"), Some(client));
}

#[tokio::test]
async fn number_6_redirect_is_not_followed() {
    let (issuer, upstream, gateway) = start().await;
    let elsewhere = Upstream::start().await;
    for status in [301, 302, 303, 307, 308] {
        upstream.answers_with(status, &[("location", &elsewhere.url())], "");
        let reply = gateway.client().bearer(issuer.mint()).post(PATH).await;
        reply.assert_failed(502, "bad_gateway", "upstream.redirect").await;
        assert_eq!(reply.header("location"), None);
    }
    assert!(elsewhere.received().is_empty());
}

#[tokio::test]
async fn number_7_via_names_the_gateway() {
    let (issuer, upstream, gateway) = start().await;
    gateway.accepts("", issuer.mint()).await;
    gateway.client().http2().bearer(issuer.mint()).post(PATH).await.assert_served();
    let client = gateway.client().header("via", "1.1 other");
    client.bearer(issuer.mint()).post(PATH).await.assert_served();
    let via = |at: usize| upstream.received()[at].fields.all("via").join(", ");
    assert_eq!((via(0).as_str(), via(2).as_str()), ("1.1 portcullis", "1.1 other, 1.1 portcullis"));
    assert!(via(1).ends_with(" portcullis"), "{}", via(1));
}

#[tokio::test]
async fn number_7_loop_gets_508() {
    let (issuer, _upstream, gateway) = start().await;
    for via in ["1.1 portcullis", "1.0 other, 1.1 portcullis (x)", "2 portcullis", "1.1 other,1.1  portcullis"] {
        let reply = gateway.client().bearer(issuer.mint()).header("via", via).post(PATH).await;
        reply.assert_refused(508, "loop_detected", "route.loop").await;
    }
    let named_alike = gateway.client().bearer(issuer.mint()).header("via", "1.1 portcullis2");
    named_alike.post(PATH).await.assert_served();
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

#[tokio::test]
async fn number_8_valid_trace_is_continued() {
    let (issuer, upstream, gateway) = start().await;
    let client = gateway.client().header("traceparent", &format!("00-{TRACE}-00f067aa0ba902b7-01"));
    client.header("tracestate", "a=1").bearer(issuer.mint()).post(PATH).await.assert_served();
    let received = upstream.only();
    received.assert_only(&["tracestate"]);
    assert_eq!(received.field("tracestate"), Some("a=1"));
    let parent = received.field("traceparent").unwrap();
    assert!(parent.starts_with(&format!("00-{TRACE}-")) && parent.ends_with("-01"), "{parent}");
    assert!(!parent.contains("00f067aa0ba902b7"), "{parent}");
}

#[tokio::test]
async fn number_8_invalid_or_doubled_trace_is_begun_anew() {
    let (issuer, upstream, gateway) = start().await;
    let good = format!("00-{TRACE}-00f067aa0ba902b7-01");
    for values in [
        vec!["x".to_owned()],
        vec![format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32))],
        vec![format!("00-{TRACE}-{}-01", "0".repeat(16))],
        vec![format!("ff-{TRACE}-00f067aa0ba902b7-01")],
        vec![good.to_uppercase()],
        vec![format!("{good}-x")],
        vec![good.clone(), good.replace("4b", "5b")],
    ] {
        println!("case: {values:?}");
        let client = values.iter().fold(gateway.client(), |client, value| client.header("traceparent", value));
        client.header("tracestate", "a=1").bearer(issuer.mint()).post(PATH).await.assert_served();
        let received = upstream.received().pop().unwrap();
        received.assert_only(&[]);
        let parts: Vec<_> = received.field("traceparent").unwrap().split('-').map(str::len).collect();
        assert_eq!(parts, [2, 32, 16, 2]);
        assert!(!received.field("traceparent").unwrap().to_lowercase().contains(TRACE));
    }
}

#[tokio::test]
async fn number_8_baggage_is_dropped() {
    let (issuer, upstream, gateway) = start().await;
    let client = gateway.client().header("baggage", "tenant=other");
    client.bearer(issuer.mint()).post(PATH).await.assert_served();
    upstream.only().assert_only(&[]);
}

#[tokio::test]
async fn number_9_body_is_forwarded_byte_for_byte() {
    let (issuer, upstream, gateway) = start().await;
    let odd = "\r\n {\"jsonrpc\" :\"2.0\",\t\"id\":1e0,\"method\":\"tools/list\",\"params\":{\"\\u0061\":\"é\\/\",\"n\":1.000}} \n";
    let large = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"x","params":{{"x":"{}"}}}}"#, "y".repeat(1 << 20));
    for body in [CALL, odd, &large] {
        for client in [gateway.client(), gateway.client().http2()] {
            client.bearer(issuer.mint()).body(body).post(PATH).await.assert_served();
            let received = upstream.received().pop().unwrap();
            assert!(received.body == body.as_bytes() && received.complete);
        }
    }
}

#[tokio::test]
async fn number_9_framing_is_made_new() {
    let (issuer, upstream, gateway) = start().await;
    let mut connection = gateway.connect().await;
    let head = post_head(&issuer, "Transfer-Encoding: chunked\r\nTrailer: x-auth-subject\r\n");
    let (first, second) = CALL.split_at(7);
    let chunks =
        format!("7;ext=1\r\n{first}\r\n{:X}\r\n{second}\r\n0\r\nx-auth-subject: mallory\r\n\r\n", second.len());
    connection.exchange(head + &chunks).await.assert_served();
    let received = upstream.only();
    // The strict reader of the upstream takes no extensions and no trailers.
    assert!(received.complete);
    assert_eq!(received.body, CALL.as_bytes());
    assert_eq!(received.field("x-auth-subject"), Some("alice"));
}

#[tokio::test]
async fn fields_of_mcp_are_forwarded() {
    let (issuer, upstream, gateway) = start().await;
    let fields =
        [("mcp-protocol-version", "2025-11-25"), ("mcp-later", "x"), ("accept-language", "de"), ("user-agent", "test")];
    let client = fields.iter().fold(gateway.client(), |client, (name, value)| client.header(name, value));
    client.bearer(issuer.mint()).post(PATH).await.assert_served();
    let received = upstream.only();
    let names: Vec<_> = fields.iter().map(|(name, _)| *name).collect();
    received.assert_only(&names);
    assert!(fields.iter().all(|(name, value)| received.field(name) == Some(value)));
}

#[tokio::test]
async fn get_and_delete_have_no_body_upstream() {
    let (issuer, upstream, gateway) = start().await;
    for method in ["GET", "DELETE"] {
        gateway.client().bearer(issuer.mint()).request(method, PATH).await.assert_served();
        let received = upstream.received().pop().unwrap();
        assert!(received.complete && received.body.is_empty());
        assert_eq!(received.field("transfer-encoding"), None);
    }
}

#[tokio::test]
async fn answers_of_the_upstream_pass_unchanged() {
    let (issuer, upstream, gateway) = start().await;
    for status in [200, 201, 202, 400, 403, 404, 405, 406, 409, 422, 429, 500, 503] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"error":{{"code":-32602,"message":"{status}"}}}}"#);
        let fields =
            [("content-type", "application/json"), ("mcp-session-id", "s-1"), ("x-more", "1"), ("server", "theirs")];
        upstream.answers_with(status, &fields, &body);
        let reply = gateway.client().bearer(issuer.mint()).post(PATH).await;
        assert_eq!((reply.status(), reply.text()), (status, body));
        assert!(reply.complete);
        assert_eq!(reply.header("x-more"), Some("1"));
        assert!(reply.header("mcp-session-id").is_some());
        assert!(reply.header("x-request-id").is_some());
    }
}

#[tokio::test]
async fn accepted_without_a_body_passes() {
    let (issuer, upstream, gateway) = start().await;
    for answer in ["HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n", "HTTP/1.1 204 No Content\r\n\r\n"] {
        upstream.answers_bytes(answer);
        let reply = gateway.client().bearer(issuer.mint()).post(PATH).await;
        assert!([202, 204].contains(&reply.status()));
        assert!(reply.complete && reply.body.is_empty());
    }
}

#[tokio::test]
async fn upstreams_own_401_becomes_502() {
    let (issuer, upstream, gateway) = start().await;
    upstream.answers_with(401, &[("www-authenticate", "Bearer realm=\"theirs\"")], "{\"secret\":1}");
    let reply = gateway.client().bearer(issuer.mint()).post(PATH).await;
    reply.assert_failed(502, "bad_gateway", "upstream.unauthorized").await;
    assert_eq!(reply.header("www-authenticate"), None);
    assert!(!reply.text().contains("secret"));
}

#[tokio::test]
async fn upstreams_cookies_and_cors_are_removed() {
    let (issuer, upstream, gateway) = start().await;
    let fields = [
        ("set-cookie", "a=1"),
        ("access-control-allow-origin", "*"),
        ("access-control-allow-credentials", "true"),
        ("x-request-id", "theirs"),
        ("x-kept", "1"),
    ];
    upstream.answers_with(200, &fields, "{}");
    let reply = gateway.client().bearer(issuer.mint()).post(PATH).await;
    assert_eq!(reply.header("x-kept"), Some("1"));
    let names = reply.fields().names();
    assert!(!names.iter().any(|name| name == "set-cookie" || name.starts_with("access-control-")), "{names:?}");
    assert_ne!(reply.header("x-request-id"), Some("theirs"));
}

#[tokio::test]
async fn upstream_that_refuses_connections_gets_502() {
    let issuer = Issuer::start().await;
    let upstream = Upstream::start().await;
    let changes = format!(r#"routes = [{{ name = "notes", upstream = "{}" }}]"#, Upstream::nowhere().await);
    let gateway = Gateway::start_with(&issuer, &upstream, &changes).await;
    let reply = gateway.client().bearer(issuer.mint()).post(PATH).await;
    reply.assert_failed(502, "bad_gateway", "upstream.unreachable").await;
    assert!(!reply.text().contains("127.0.0.1"), "{}", reply.text());
}

#[tokio::test]
async fn request_that_may_have_been_seen_is_not_sent_again() {
    let (issuer, upstream, gateway) = start().await;
    gateway.accepts("opens a connection", issuer.mint()).await;
    upstream.answers_bytes_and_closes("");
    let reply = gateway.client().bearer(issuer.mint()).post(PATH).await;
    reply.assert_failed(502, "bad_gateway", "upstream.protocol").await;
    assert_eq!(upstream.received().len(), 2);
}

#[tokio::test]
async fn upstream_connections_are_reused() {
    let (issuer, upstream, gateway) = start().await;
    for _ in 0..5 {
        gateway.accepts("", issuer.mint()).await;
    }
    assert_eq!(upstream.connections(), 1);
}
