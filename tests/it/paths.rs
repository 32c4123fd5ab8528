//! Which targets and methods reach a route (threats P1 to P10).

use crate::support::{Gateway, Issuer, PATH, Upstream, start, start_with};

/// Asserts that a target leads nowhere, with a good token and without one, in both versions of HTTP.
async fn leads_nowhere(gateway: &Gateway, issuer: &Issuer, target: &str) {
    println!("case: {target}");
    let with_token = gateway.client().bearer(issuer.mint());
    for client in [gateway.client(), with_token.clone(), with_token.http2()] {
        let reply = client.post(target).await;
        reply.assert_refused(404, "not_found", "route.none | route.path").await;
    }
}

#[tokio::test]
async fn p1_targets_that_are_no_route_get_404() {
    let (issuer, _upstream, gateway) = start().await;
    for target in [
        "/",
        "/mcp",
        "/notes",
        "/notes/",
        "/notes/mcp/x",
        "/notes/mcpx",
        "/notes/mc",
        "/x/notes/mcp",
        "/notes/mcp.json",
        "/notes/mcp;x=y",
        "/notes/mcp,",
        "/favicon.ico",
        "/.well-known/openid-configuration",
        "/.well-known/oauth-authorization-server",
        "/.well-known/oauth-authorization-server/notes/mcp",
    ] {
        leads_nowhere(&gateway, &issuer, target).await;
    }
}

#[tokio::test]
async fn p2_deviating_spellings_of_a_path_get_404() {
    let (issuer, _upstream, gateway) = start().await;
    for target in [
        "/./notes/mcp",
        "/notes/./mcp",
        "/x/../notes/mcp",
        "/notes/mcp/.",
        "/notes/mcp/..",
        "/notes/x/../mcp",
        "//notes/mcp",
        "/notes//mcp",
        "/notes/mcp//",
        "/Notes/mcp",
        "/notes/MCP",
        "/notes\\mcp",
    ] {
        leads_nowhere(&gateway, &issuer, target).await;
    }
}

#[tokio::test]
async fn p1_fragment_in_a_target_is_refused() {
    let (issuer, upstream, gateway) = start().await;
    // RFC 9112 §3.2: no form of a target has a fragment. Serving what stands before it would be a repair.
    for target in ["/notes/mcp#", "/notes/mcp#x", "/notes/mcp?q#x", "/notes/mcp#/../x"] {
        println!("case: {target}");
        let client = gateway.client().bearer(issuer.mint());
        let reply = gateway.connect().await.exchange(client.text("POST", target)).await;
        assert!([400, 404].contains(&reply.status()), "{}", reply.status());
    }
    assert!(upstream.received().is_empty());
}

#[tokio::test]
async fn p2_one_trailing_slash_is_the_same_route() {
    let (issuer, upstream, gateway) = start().await;
    let reply = gateway.client().bearer(issuer.mint()).post("/notes/mcp/?q").await;
    reply.assert_served();
    assert_eq!(upstream.only().target, "/mcp?q");
    let reply = gateway.client().post("/notes/mcp/").await;
    reply.assert_refused(401, "unauthorized", "auth.missing").await;
}

#[tokio::test]
async fn p3_percent_escapes_in_a_path_get_404() {
    let (issuer, _upstream, gateway) = start().await;
    for target in [
        "/%6eotes/mcp",
        "/notes/mc%70",
        "/notes%2fmcp",
        "/notes%2Fmcp",
        "/notes%5cmcp",
        "/%2e/notes/mcp",
        "/x/%2e%2e/notes/mcp",
        "/notes/mcp%00",
        "/notes/mcp%0d%0ax:y",
        "/notes/mcp%20",
        "/notes/mcp%2f",
        "/notes/mcp%3fx",
        "/notes/mcp%23",
        "/notes/mcp%",
        "/notes/mcp%zz",
        "/notes/mcp%252f",
        "/notes/mcp%c0%af",
    ] {
        leads_nowhere(&gateway, &issuer, target).await;
    }
}

#[tokio::test]
async fn p5_public_path_never_leads_to_a_route() {
    let (_issuer, upstream, gateway) = start().await;
    let document = "/.well-known/oauth-protected-resource";
    for target in [
        format!("{document}/notes/mcp/../../../notes/mcp"),
        format!("{document}/..%2f..{PATH}"),
        format!("{document}//{PATH}"),
        format!("{document}/../../notes/mcp"),
        format!("{document}/notes/mcp/..;{PATH}"),
        format!("/healthz/..{PATH}"),
        format!("/healthz/%2e%2e{PATH}"),
        format!("{PATH}/..{document}/notes/mcp"),
    ] {
        println!("case: {target}");
        let reply = gateway.client().post(&target).await;
        assert!([401, 404, 405].contains(&reply.status()), "{}", reply.status());
        let reply = gateway.client().get(&target).await;
        assert!([401, 404].contains(&reply.status()), "{}", reply.status());
    }
    assert!(upstream.received().is_empty());
}

#[tokio::test]
async fn p6_query_is_forwarded_byte_for_byte() {
    let (issuer, upstream, gateway) = start().await;
    let queries = ["", "a=b", "a=%2F..%2f&b=%00&&=;?/", "sessionId=1%0d%0a", "a?b", "/../x", "path=/other&host=x"];
    for query in queries {
        let target = format!("{PATH}?{query}");
        gateway.client().bearer(issuer.mint()).post(&target).await.assert_served();
        gateway.client().bearer(issuer.mint()).http2().post(&target).await.assert_served();
    }
    let targets: Vec<_> = upstream.received().into_iter().map(|request| request.target).collect();
    let wanted: Vec<_> = queries.iter().flat_map(|query| [format!("/mcp?{query}"), format!("/mcp?{query}")]).collect();
    assert_eq!(targets, wanted);
}

#[tokio::test]
async fn p7_absolute_form_of_a_route_is_served() {
    let (issuer, upstream, gateway) = start().await;
    let target = "https://mcp.example.com/notes/mcp?q";
    gateway.client().bearer(issuer.mint()).post(target).await.assert_served();
    assert_eq!(upstream.only().target, "/mcp?q");
}

#[tokio::test]
async fn p7_absolute_form_beats_host() {
    let (issuer, _upstream, gateway) = start().await;
    let client = gateway.client().bearer(issuer.mint()).host("other.example.com");
    let reply = client.post("https://mcp.example.com/notes/mcp").await;
    // RFC 9112 §3.2.2 lets the target win; a refusal is as good.
    assert!([200, 400, 421].contains(&reply.status()), "{}", reply.status());
    let client = gateway.client().bearer(issuer.mint());
    let reply = client.post("https://other.example.com/notes/mcp").await;
    reply.assert_refused(421, "misdirected_request", "host.unknown").await;
}

#[tokio::test]
async fn p7_never_a_forward_proxy() {
    let (issuer, upstream, gateway) = start().await;
    let other = Upstream::start().await;
    for target in [
        other.url(),
        format!("http://{}/notes/mcp", other.authority()),
        upstream.url(),
        "http://mcp.example.com@evil.example/notes/mcp".into(),
        "ftp://mcp.example.com/notes/mcp".into(),
    ] {
        println!("case: {target}");
        let reply = gateway.client().bearer(issuer.mint()).post(&target).await;
        assert!([400, 404, 421].contains(&reply.status()), "{}", reply.status());
    }
    assert!(upstream.received().is_empty() && other.received().is_empty());
    assert_eq!((upstream.connections(), other.connections()), (0, 0));
}

#[tokio::test]
async fn p7_absolute_form_names_the_scheme_of_the_listener() {
    let plain_text = "[listen]\ntls = \"!nothing\"\ninsecure_plaintext = true";
    let (issuer, upstream, gateway) = start_with(plain_text).await;
    let target = |scheme: &str| format!("{scheme}://mcp.example.com/notes/mcp");
    for scheme in ["http", "https"] {
        gateway.client().bearer(issuer.mint()).post(&target(scheme)).await.assert_served();
    }
    for scheme in ["ftp", "ws", "httpx"] {
        let reply = gateway.client().bearer(issuer.mint()).post(&target(scheme)).await;
        reply.assert_refused(404, "not_found", "route.form").await;
    }
    assert_eq!(upstream.received().len(), 2);
}

#[tokio::test]
async fn p7_asterisk_authority_form_and_connect_are_refused() {
    let (issuer, upstream, gateway) = start().await;
    let authority = upstream.authority();
    for (method, target) in [
        ("OPTIONS", "*"),
        ("POST", "*"),
        ("CONNECT", "mcp.example.com:443"),
        ("CONNECT", authority.as_str()),
        ("CONNECT", PATH),
        ("POST", "mcp.example.com:443"),
        ("GET", "notes/mcp"),
        ("POST", ""),
    ] {
        println!("case: {method} {target}");
        let client = gateway.client().bearer(issuer.mint());
        let reply = gateway.connect().await.exchange(client.text(method, target)).await;
        assert!([400, 404, 405, 421].contains(&reply.status()), "{}", reply.status());
        assert!(upstream.received().is_empty());
        assert_eq!(reply.log().await.text("event"), "refused");
    }
    assert_eq!(upstream.connections(), 0);
}

#[tokio::test]
async fn p8_other_methods_get_401_without_a_token_and_405_with_one() {
    let (issuer, _upstream, gateway) = start().await;
    for method in ["HEAD", "OPTIONS", "PUT", "PATCH", "TRACE", "BREW", "post", "PROPFIND", "PURGE"] {
        println!("case: {method}");
        let refused = gateway.client().request(method, PATH).await;
        assert_eq!(refused.status(), 401, "{}", refused.text());
        assert!(refused.challenge().error().is_none());
        let reply = gateway.client().header("x-secret", "echo").bearer(issuer.mint()).request(method, PATH).await;
        assert_eq!(reply.status(), 405);
        assert_eq!(reply.header("allow"), Some("GET, POST, DELETE"));
        assert!(!reply.text().contains("echo"));
        if method != "HEAD" {
            reply.assert_refused(405, "method_not_allowed", "route.method").await;
        }
    }
}

#[tokio::test]
async fn p8_methods_of_mcp_are_forwarded() {
    let (issuer, upstream, gateway) = start().await;
    for method in ["POST", "GET", "DELETE"] {
        gateway.client().bearer(issuer.mint()).request(method, PATH).await.assert_served();
        assert_eq!(upstream.received().last().unwrap().method, method);
    }
}

#[tokio::test]
async fn p10_operators_paths_are_not_on_the_public_listener() {
    let (issuer, _upstream, gateway) = start().await;
    for target in ["/metrics", "/debug", "/config", "/reload", "/healthz", "/readyz", "/status", "/admin"] {
        println!("case: {target}");
        let client = gateway.client().bearer(issuer.mint());
        let reply = client.get(target).await;
        reply.assert_refused(404, "not_found", "route.none | route.path").await;
    }
}

#[tokio::test]
async fn resource_at_the_root_of_its_host_is_a_route() {
    let changes = r#"routes = [{ name = "notes", resource = "https://mcp.example.com" }]"#;
    let (issuer, upstream, gateway) = start_with(changes).await;
    let mint = issuer.mint_for("https://mcp.example.com");
    gateway.client().bearer(&mint).post("/").await.assert_served();
    assert_eq!(upstream.only().target, "/mcp");
    let slash = issuer.mint_for("https://mcp.example.com/");
    gateway.client().bearer(slash).post("/").await.assert_served();
    let reply = gateway.client().bearer(&mint).post("/notes/mcp").await;
    reply.assert_refused(404, "not_found", "route.none | route.path").await;
}

#[tokio::test]
async fn p7_authority_form_is_no_root_path() {
    let changes = r#"routes = [{ name = "notes", resource = "https://mcp.example.com" }]"#;
    let (issuer, upstream, gateway) = start_with(changes).await;
    for target in ["mcp.example.com:443", "mcp.example.com"] {
        let client = gateway.client().bearer(issuer.mint_for("https://mcp.example.com"));
        let reply = gateway.connect().await.exchange(client.text("POST", target)).await;
        reply.assert_refused(404, "not_found", "route.form").await;
    }
    assert!(upstream.received().is_empty());
}
