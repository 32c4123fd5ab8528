//! Which fields of a client reach the upstream, and what they can do there (threats H1 to H14).

use crate::support::upstream::Received;
use crate::support::{Issuer, PATH, start, start_with};

/// The identity of the default token, each field once.
#[track_caller]
fn assert_identity(received: &Received, issuer: &Issuer) {
    assert_eq!(received.field("x-auth-subject"), Some("alice"));
    assert_eq!(received.field("x-auth-client"), Some("client-1"));
    assert_eq!(received.field("x-auth-tenant"), Some("acme"));
    assert_eq!(received.field("x-auth-scopes"), Some("mcp:tools"));
    assert_eq!(received.field("x-auth-issuer"), Some(issuer.url().as_str()));
}

/// Sends the fields with a good token over both versions of HTTP; nothing of them may arrive.
async fn arrives_clean(fields: &[(&str, &str)]) {
    println!("case: {fields:?}");
    let (issuer, upstream, gateway) = start().await;
    for http2 in [false, true] {
        let client = if http2 { gateway.client().http2() } else { gateway.client() };
        let add = |client: crate::support::Client, (name, value): &(&str, &str)| {
            let name = if http2 { name.to_lowercase() } else { (*name).to_owned() };
            client.header(&name, value)
        };
        let client = fields.iter().fold(client, add);
        client.bearer(issuer.mint()).post(PATH).await.assert_served();
        let received = upstream.received().pop().unwrap();
        received.assert_only(&[]);
        assert_identity(&received, &issuer);
    }
}

#[tokio::test]
async fn identity_is_stated_by_default() {
    let changes = r#"routes = [{ name = "notes", identity = "!nothing" }]"#;
    let (issuer, upstream, gateway) = start_with(changes).await;
    gateway.accepts("no [routes.identity]", issuer.mint()).await;
    let received = upstream.only();
    received.assert_only(&[]);
    assert_identity(&received, &issuer);
}

#[tokio::test]
async fn h1_identity_fields_of_a_client_are_overwritten() {
    arrives_clean(&[("x-auth-subject", "mallory")]).await;
    arrives_clean(&[("X-Auth-Subject", "mallory"), ("X-AUTH-TENANT", "other"), ("x-Auth-Scopes", "mcp:admin")]).await;
    arrives_clean(&[("x-auth-tenant", "other"), ("x-auth-tenant", "third"), ("X-Auth-Tenant", "acme")]).await;
    arrives_clean(&[("x-auth-role", "admin"), ("x-auth-email", "root@example.com"), ("X-Auth-", "x")]).await;
    arrives_clean(&[("x-auth-issuer", ""), ("x-auth-client", "")]).await;
}

#[tokio::test]
async fn h1_identity_fields_are_dropped_where_the_token_has_no_value() {
    let (issuer, upstream, gateway) = start().await;
    let client = gateway.client().header("x-auth-tenant", "other").header("x-auth-email", "root@example.com");
    client.bearer(issuer.mint().without("tenant")).post(PATH).await.assert_served();
    let received = upstream.only();
    assert!(received.fields.all("x-auth-tenant").is_empty());
    assert!(received.fields.all("x-auth-email").is_empty());
}

#[tokio::test]
async fn h2_identity_fields_with_underscores_are_dropped() {
    arrives_clean(&[("x_auth_subject", "mallory"), ("X_Auth_Tenant", "other")]).await;
    arrives_clean(&[("x-auth_subject", "mallory"), ("x_auth-tenant", "other"), ("X_AUTH-SCOPES", "mcp:admin")]).await;
    arrives_clean(&[("x.auth.subject", "mallory"), ("x_auth_role", "admin")]).await;
}

#[tokio::test]
async fn h4_nominated_identity_fields_still_arrive() {
    let (issuer, upstream, gateway) = start().await;
    let connection = "close, x-auth-subject, X-Auth-Tenant, x-auth-client, x-auth-scopes, x-auth-issuer, x-forwarded-for, \
                      forwarded, via, traceparent, host, x-request-id, content-type, authorization";
    let client = gateway.client().header("Connection", connection).header("X-Auth-Subject", "mallory");
    client.bearer(issuer.mint()).post(PATH).await.assert_served();
    let received = upstream.only();
    assert_identity(&received, &issuer);
    for name in ["x-forwarded-for", "forwarded", "via", "traceparent", "host", "x-request-id"] {
        assert!(received.field(name).is_some(), "{name} is gone");
    }
}

#[tokio::test]
async fn h4_nominated_lengths_do_not_break_the_framing() {
    let (issuer, upstream, gateway) = start().await;
    let client = gateway.client().header("Connection", "content-length, transfer-encoding");
    client.bearer(issuer.mint()).post(PATH).await.assert_served();
    let received = upstream.only();
    assert_eq!(received.body, crate::support::client::CALL.as_bytes());
    assert!(received.complete);
}

#[tokio::test]
async fn h6_hop_by_hop_fields_end_at_the_gateway() {
    let (issuer, upstream, gateway) = start().await;
    let fields = [
        ("Connection", "keep-alive, X-Hop"),
        ("Connection", "x-other-hop"),
        ("X-Hop", "1"),
        ("x-other-hop", "1"),
        ("Keep-Alive", "timeout=5"),
        ("TE", "trailers"),
        ("Trailer", "X-Sum"),
        ("Proxy-Authorization", "Basic eDp5"),
        ("Proxy-Authenticate", "Basic"),
        ("Proxy-Connection", "keep-alive"),
        ("Upgrade", "websocket"),
    ];
    let client = fields.iter().fold(gateway.client(), |client, (name, value)| client.header(name, value));
    client.bearer(issuer.mint()).post(PATH).await.assert_served();
    upstream.only().assert_only(&[]);
}

#[tokio::test]
async fn h6_hop_by_hop_fields_of_an_upstream_end_at_the_gateway() {
    let (issuer, upstream, gateway) = start().await;
    let fields = [
        ("Connection", "keep-alive, X-Hop"),
        ("X-Hop", "1"),
        ("Keep-Alive", "timeout=5"),
        ("Proxy-Authenticate", "Basic"),
        ("Proxy-Connection", "keep-alive"),
        ("Trailer", "X-Sum"),
        ("Upgrade", "h2c"),
        ("X-Kept", "1"),
    ];
    upstream.answers_with(200, &fields, "{}");
    let reply = gateway.client().http2().bearer(issuer.mint()).post(PATH).await;
    assert_eq!(reply.header("x-kept"), Some("1"));
    let mut names = reply.fields().names();
    names.retain(|name| name != "date");
    assert_eq!(names, ["content-length", "x-kept", "x-request-id"]);
}

#[tokio::test]
async fn h8_forwarded_fields_of_a_client_are_replaced() {
    let (issuer, upstream, gateway) = start().await;
    let fields = [
        ("X-Forwarded-For", "203.0.113.7"),
        ("x-forwarded-for", "10.0.0.1"),
        ("X-Forwarded-Host", "evil.example"),
        ("X-Forwarded-Proto", "http"),
        ("X-Forwarded-Port", "80"),
        ("X-Forwarded-Prefix", "/admin"),
        ("X-Forwarded-User", "root"),
        ("X_Forwarded_For", "203.0.113.7"),
        ("Forwarded", "for=203.0.113.7;host=evil.example;proto=http"),
        ("X-Real-IP", "203.0.113.7"),
        ("X_Real_IP", "203.0.113.7"),
    ];
    let client = fields.iter().fold(gateway.client(), |client, (name, value)| client.header(name, value));
    client.bearer(issuer.mint()).post(PATH).await.assert_served();
    let received = upstream.only();
    received.assert_only(&[]);
    assert_eq!(received.field("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(received.field("x-forwarded-host"), Some("mcp.example.com"));
    assert_eq!(received.field("x-forwarded-proto"), Some("https"));
    let forwarded = received.field("forwarded").unwrap().replace('"', "");
    let mut pairs: Vec<_> = forwarded.split(';').collect();
    pairs.sort_unstable();
    assert_eq!(pairs, ["for=127.0.0.1", "host=mcp.example.com", "proto=https"]);
}

#[tokio::test]
async fn h8_forwarded_fields_of_a_trusted_proxy_are_kept() {
    let (issuer, upstream, gateway) = start_with(r#"listen.trusted_proxies = ["127.0.0.0/8"]"#).await;
    let client = gateway.client().header("X-Forwarded-For", "1.2.3.4, 203.0.113.7").header("X-Forwarded-Host", "evil");
    client.bearer(issuer.mint()).post(PATH).await.assert_served();
    let received = upstream.only();
    received.assert_only(&[]);
    // What stands before the first address that is no trusted proxy is hearsay.
    assert_eq!(received.field("x-forwarded-for"), Some("203.0.113.7, 127.0.0.1"));
    assert_eq!(received.field("x-forwarded-host"), Some("mcp.example.com"));
    let forwarded = received.field("forwarded").unwrap();
    assert!(forwarded.starts_with("for=203.0.113.7, for=127.0.0.1;"), "{forwarded}");
}

#[tokio::test]
async fn h8_ipv6_of_a_trusted_proxy_is_quoted() {
    let (issuer, upstream, gateway) = start_with(r#"listen.trusted_proxies = ["127.0.0.1"]"#).await;
    let client = gateway.client().header("Forwarded", r#"for="[2001:db8::1]:4711";proto=https"#);
    client.bearer(issuer.mint()).post(PATH).await.assert_served();
    let forwarded = upstream.only().field("forwarded").unwrap().to_owned();
    assert!(forwarded.starts_with(r#"for="[2001:db8::1]", for=127.0.0.1;"#), "{forwarded}");
}

/// Fields by which some servers take another target or method than the request's own.
const SECOND_OPINIONS: [(&str, &str); 8] = [
    ("X-Original-URL", "/admin"),
    ("X-Rewrite-URL", "/admin"),
    ("X-Forwarded-Uri", "/admin"),
    ("X-Forwarded-Method", "DELETE"),
    ("X-HTTP-Method", "DELETE"),
    ("X-HTTP-Method-Override", "DELETE"),
    ("X-Method-Override", "DELETE"),
    ("X_HTTP_Method_Override", "DELETE"),
];

#[tokio::test]
async fn h9_fields_with_another_target_or_method_are_dropped() {
    let (issuer, upstream, gateway) = start().await;
    let add = |client: crate::support::Client, (name, value): &(&str, &str)| client.header(name, value);
    let client = SECOND_OPINIONS.iter().fold(gateway.client(), add);
    client.bearer(issuer.mint()).post(PATH).await.assert_served();
    let received = upstream.only();
    received.assert_only(&[]);
    assert_eq!((received.method.as_str(), received.target.as_str()), ("POST", "/mcp"));
}

#[tokio::test]
async fn h9_fields_with_another_target_neither_route_nor_let_in() {
    let (issuer, _upstream, gateway) = start().await;
    for name in ["X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Uri", "X-Forwarded-Path"] {
        let reply = gateway.client().header(name, PATH).bearer(issuer.mint()).post("/nowhere").await;
        reply.assert_refused(404, "not_found", "route.none").await;
        let public = "/.well-known/oauth-protected-resource/notes/mcp";
        let reply = gateway.client().header(name, public).post(PATH).await;
        reply.assert_refused(401, "unauthorized", "auth.missing").await;
    }
    let reply = gateway.client().header("X-HTTP-Method-Override", "OPTIONS").post(PATH).await;
    reply.assert_refused(401, "unauthorized", "auth.missing").await;
}

#[tokio::test]
async fn h11_clients_token_never_goes_upstream() {
    let (issuer, upstream, gateway) = start().await;
    let token = issuer.mint().to_string();
    for client in [gateway.client(), gateway.client().http2()] {
        client.bearer(&token).post(PATH).await.assert_served();
    }
    for received in upstream.received() {
        received.assert_only(&[]);
        assert!(!format!("{received:?}").contains(&token));
    }
}

#[tokio::test]
async fn h11_gateways_own_credential_goes_upstream() {
    let changes = r#"
        [[routes]]
        name = "notes"
        upstream_headers = { "authorization" = "Bearer own-secret", "x-api-key" = "key" }
    "#;
    let (issuer, upstream, gateway) = start_with(changes).await;
    let client = gateway.client().header("x-api-key", "the client's");
    client.bearer(issuer.mint()).post(PATH).await.assert_served();
    let received = upstream.only();
    received.assert_only(&["authorization", "x-api-key"]);
    assert_eq!(received.field("authorization"), Some("Bearer own-secret"));
    assert_eq!(received.field("x-api-key"), Some("key"));
}

#[tokio::test]
async fn h13_proxy_field_is_dropped() {
    arrives_clean(&[("Proxy", "http://evil.example:8080")]).await;
}

#[tokio::test]
async fn h14_requests_on_one_connection_are_judged_alone() {
    let (issuer, upstream, gateway) = start().await;
    let mut connection = gateway.connect().await;
    let as_subject = |subject: &str| gateway.client().bearer(issuer.mint().claim("sub", subject));
    connection.send(&as_subject("alice"), "POST", PATH).await.assert_served();
    connection.send(&as_subject("bob"), "POST", PATH).await.assert_served();
    let reply = connection.send(&gateway.client(), "POST", PATH).await;
    reply.assert_refused(401, "unauthorized", "auth.missing").await;
    let expired = gateway.client().bearer(issuer.mint().expired());
    let reply = connection.send(&expired, "POST", PATH).await;
    reply.assert_refused(401, "invalid_token", "token.exp").await;
    connection.send(&as_subject("carol"), "POST", PATH).await.assert_served();
    let subjects: Vec<_> =
        upstream.received().iter().map(|received| received.field("x-auth-subject").unwrap().to_owned()).collect();
    assert_eq!(subjects, ["alice", "bob", "carol"]);
}

#[tokio::test]
async fn h14_streams_of_one_http2_connection_are_judged_alone() {
    let (issuer, upstream, gateway) = start().await;
    let mut connection = gateway.connect_http2().await;
    let good = gateway.client().bearer(issuer.mint());
    connection.send(&good, "POST", PATH).await.assert_served();
    let reply = connection.send(&gateway.client(), "POST", PATH).await;
    reply.assert_refused(401, "unauthorized", "auth.missing").await;
    let other = gateway.client().bearer(issuer.mint().claim("sub", "bob"));
    connection.send(&other, "POST", PATH).await.assert_served();
    assert_eq!(upstream.received()[1].field("x-auth-subject"), Some("bob"));
}
