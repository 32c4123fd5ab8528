//! Which route answers, by authority and path, and what is checked before what.

use crate::support::client::CALL;
use crate::support::gateway::route;
use crate::support::raw::post_head;
use crate::support::{Gateway, Issuer, PATH, Upstream, start, start_with};

const METADATA: &str = "https://mcp.example.com/.well-known/oauth-protected-resource";

#[tokio::test]
async fn authority_that_is_not_configured_gets_421() {
    let (issuer, _upstream, gateway) = start().await;
    for authority in [
        "example.com",
        "evil.example",
        "mcp.example.com:8443",
        "mcp.example.com:80",
        "mcp.example.com.evil.example",
        "xmcp.example.com",
        "127.0.0.1",
        "localhost",
        "[::1]",
    ] {
        println!("case: {authority}");
        for client in [gateway.client(), gateway.client().http2()] {
            let reply = client.bearer(issuer.mint()).host(authority).post(PATH).await;
            reply.assert_refused(421, "misdirected_request", "host.unknown").await;
        }
    }
}

#[tokio::test]
async fn host_with_a_final_dot_is_another_host() {
    let (issuer, upstream, gateway) = start().await;
    let reply = gateway.client().bearer(issuer.mint()).host("mcp.example.com.").post(PATH).await;
    assert!([400, 421].contains(&reply.status()), "{}", reply.status());
    assert!(upstream.received().is_empty());
}

#[tokio::test]
async fn host_is_compared_without_case_and_default_port() {
    let (issuer, _upstream, gateway) = start().await;
    for authority in ["MCP.Example.COM", "mcp.example.com:443"] {
        gateway.client().bearer(issuer.mint()).host(authority).post(PATH).await.assert_served();
        gateway.client().http2().bearer(issuer.mint()).host(authority).post(PATH).await.assert_served();
    }
}

#[tokio::test]
async fn further_authorities_address_the_same_route() {
    let changes = r#"routes = [{ name = "notes", authorities = ["notes.example.com:8443"] }]"#;
    let (issuer, _upstream, gateway) = start_with(changes).await;
    let client = || gateway.client().host("notes.example.com:8443").server_name("notes.example.com");
    client().bearer(issuer.mint()).post(PATH).await.assert_served();
    // Challenge and metadata name the resource, whatever name was used.
    client().post(PATH).await.assert_refused(401, "unauthorized", "auth.missing").await;
    let other_name = issuer.mint_for("https://notes.example.com:8443/notes/mcp");
    let reply = client().bearer(other_name).post(PATH).await;
    reply.assert_refused(401, "invalid_token", "token.aud").await;
}

/// Routes `notes` and `files` on one authority, each with an upstream of its own.
async fn two_routes() -> (Issuer, [Upstream; 2], Gateway) {
    let (issuer, notes, files) = (Issuer::start().await, Upstream::start().await, Upstream::start().await);
    let changes = route("files", "https://mcp.example.com/files/mcp", &files, &["files:read"]);
    let gateway = Gateway::start_with(&issuer, &notes, &changes).await;
    (issuer, [notes, files], gateway)
}

#[tokio::test]
async fn each_route_has_its_own_upstream_audience_and_scopes() {
    let (issuer, [notes, files], gateway) = two_routes().await;
    gateway.client().bearer(issuer.mint()).post(PATH).await.assert_served();
    let for_files = || issuer.mint_for("https://mcp.example.com/files/mcp");
    let reply = gateway.client().bearer(for_files().claim("scope", "files:read")).post("/files/mcp").await;
    assert_eq!(reply.status(), 200);
    assert_eq!((notes.received().len(), files.received().len()), (1, 1));
    let url = format!("{METADATA}/files/mcp");
    let reply = gateway.client().bearer(for_files()).post("/files/mcp").await.of_resource(&url, "files:read");
    reply.assert_refused(403, "insufficient_scope", "authz.scope").await;
    assert_eq!(files.received().len(), 1);
}

#[tokio::test]
async fn token_of_one_route_gets_401_on_another() {
    let (issuer, [_notes, files], gateway) = two_routes().await;
    let token = issuer.mint().claim("scope", "mcp:tools files:read").to_string();
    gateway.accepts("where it belongs", &token).await;
    let url = format!("{METADATA}/files/mcp");
    let reply = gateway.client().bearer(&token).post("/files/mcp").await.of_resource(&url, "files:read");
    reply.assert_refused(401, "invalid_token", "token.aud").await;
    assert!(files.received().is_empty());
}

#[tokio::test]
async fn routes_of_two_authorities_do_not_mix() {
    let (issuer, upstream) = (Issuer::start().await, Upstream::start().await);
    let changes = route("other", "https://other.example.com/other/mcp", &upstream, &[]);
    let gateway = Gateway::start_with(&issuer, &upstream, &changes).await;
    let other = || gateway.client().host("other.example.com").server_name("other.example.com");
    let mint = issuer.mint_for("https://other.example.com/other/mcp");
    other().bearer(&mint).post("/other/mcp").await.assert_served();
    let reply = other().bearer(issuer.mint()).post(PATH).await;
    reply.assert_refused(404, "not_found", "route.none").await;
    let reply = gateway.client().bearer(mint).post("/other/mcp").await;
    reply.assert_refused(404, "not_found", "route.none").await;
}

#[tokio::test]
async fn checks_are_made_in_their_order() {
    let (issuer, _upstream, gateway) = start().await;
    let bad = || gateway.client().header("origin", "https://evil.example");
    // Authority before path before origin before credentials before method before media type.
    let reply = bad().host("evil.example").request("PUT", "/nowhere").await;
    reply.assert_refused(421, "misdirected_request", "host.unknown").await;
    let reply = bad().request("PUT", "/nowhere").await;
    reply.assert_refused(404, "not_found", "route.none").await;
    let reply = bad().request("PUT", PATH).await;
    reply.assert_refused(403, "forbidden", "mcp.origin").await;
    let reply = gateway.client().request("PUT", PATH).await;
    reply.assert_refused(401, "unauthorized", "auth.missing").await;
    let no_scope = issuer.mint().claim("scope", "other");
    let reply = gateway.client().bearer(&no_scope).request("PUT", PATH).await;
    reply.assert_refused(405, "method_not_allowed", "route.method").await;
    let text = || gateway.client().header("content-type", "text/plain");
    let reply = text().bearer(no_scope).post(PATH).await;
    reply.assert_refused(403, "insufficient_scope", "authz.scope").await;
    let reply = text().bearer(issuer.mint()).post(PATH).await;
    reply.assert_refused(415, "unsupported_media_type", "mcp.type").await;
}

#[tokio::test]
async fn d9_declared_body_over_the_limit_gets_413_unread() {
    let (issuer, _upstream, gateway) = start_with("listen.limits.body_bytes = \"2KiB\"").await;
    for length in ["2049", "1099511627776"] {
        let mut connection = gateway.connect().await;
        let reply = connection.exchange(post_head(&issuer, &format!("Content-Length: {length}\r\n"))).await;
        reply.assert_refused(413, "content_too_large", "mcp.size").await;
        assert_eq!(reply.json()["error"]["code"], -32600);
        connection.assert_closed().await;
    }
    let exact = gateway.client().bearer(issuer.mint()).body(CALL.to_owned() + &" ".repeat(2048 - CALL.len()));
    exact.post(PATH).await.assert_served();
}

#[tokio::test]
async fn d9_endless_chunks_get_413_and_never_go_upstream() {
    let (issuer, _upstream, gateway) = start_with("listen.limits.body_bytes = \"2KiB\"").await;
    // That meet the limit on their way, and that pass over it.
    for size in [0x400, 0x3e8] {
        let mut connection = gateway.connect().await;
        let head = post_head(&issuer, "Transfer-Encoding: chunked\r\n");
        let chunk = format!("{size:x}\r\n{}\r\n", " ".repeat(size));
        let reply = connection.exchange(head + &chunk.repeat(3)).await;
        reply.assert_refused(413, "content_too_large", "mcp.size").await;
        connection.assert_closed().await;
    }
}

#[tokio::test]
async fn refusal_leaves_the_connection_usable() {
    let (issuer, _upstream, gateway) = start().await;
    let mut connection = gateway.connect().await;
    let reply = connection.send(&gateway.client(), "POST", PATH).await;
    reply.assert_refused(401, "unauthorized", "auth.missing").await;
    let client = gateway.client().bearer(issuer.mint());
    connection.send(&client, "POST", PATH).await.assert_served();
}
