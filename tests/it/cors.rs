//! Browsers: which origins come in, preflights, and what their scripts may read (threats P9, M19).

use crate::support::{Gateway, Issuer, PATH, Upstream, start, start_with};

const APP: &str = "https://app.example.com";
const DOCUMENT: &str = "/.well-known/oauth-protected-resource/notes/mcp";

async fn with_app() -> (Issuer, Upstream, Gateway) {
    start_with(&format!("routes = [{{ name = \"notes\", origins = [\"{APP}\"] }}]")).await
}

/// The names of a comma-separated field, lower case.
fn names(value: Option<&str>) -> Vec<String> {
    value.unwrap().split(',').map(|name| name.trim().to_ascii_lowercase()).collect()
}

#[tokio::test]
async fn p9_preflight_of_a_listed_origin_gets_204() {
    let (_issuer, upstream, gateway) = with_app().await;
    for client in [gateway.client(), gateway.client().http2()] {
        let client = client.header("origin", APP).header("access-control-request-method", "POST");
        let client = client.header("access-control-request-headers", "authorization,mcp-param-city,x-other");
        let reply = client.request("OPTIONS", PATH).await;
        assert_eq!((reply.status(), reply.body.len()), (204, 0));
        assert_eq!(reply.header("access-control-allow-origin"), Some(APP));
        assert_eq!(reply.header("access-control-allow-credentials"), None);
        assert_eq!(names(reply.header("access-control-allow-methods")), ["get", "post", "delete"]);
        let allowed = names(reply.header("access-control-allow-headers"));
        for name in [
            "authorization",
            "content-type",
            "accept",
            "mcp-protocol-version",
            "mcp-session-id",
            "last-event-id",
            "mcp-method",
            "mcp-name",
            "dpop",
            "traceparent",
            "tracestate",
            "mcp-param-city",
        ] {
            assert!(allowed.iter().any(|other| other == name), "{name} in {allowed:?}");
        }
        assert!(!allowed.contains(&"x-other".to_owned()) && !allowed.contains(&"*".to_owned()));
        assert!(names(reply.header("vary")).contains(&"origin".to_owned()));
    }
    assert!(upstream.received().is_empty());
}

/// Origins that only look like [`APP`].
const FOREIGN: [&str; 14] = [
    "https://evil.example",
    "https://app.example.com.evil.example",
    "https://xapp.example.com",
    "https://app.example.co",
    "https://app.example.com:8443",
    "https://app.example.com:443",
    "http://app.example.com",
    "https://APP.example.com",
    "https://app.example.com/",
    "https://app.example.com ,https://evil.example",
    "app.example.com",
    "null",
    "*",
    "https://mcp.example.com",
];

#[tokio::test]
async fn p9_preflight_of_another_origin_gets_403() {
    let (_issuer, _upstream, gateway) = with_app().await;
    for origin in FOREIGN {
        println!("case: {origin}");
        let client = gateway.client().header("origin", origin).header("access-control-request-method", "POST");
        let reply = client.request("OPTIONS", PATH).await;
        reply.assert_refused(403, "forbidden", "mcp.origin").await;
        assert_eq!(reply.header("access-control-allow-origin"), None);
    }
}

#[tokio::test]
async fn m19_request_of_another_origin_gets_403() {
    let (issuer, _upstream, gateway) = with_app().await;
    for origin in FOREIGN {
        println!("case: {origin}");
        for method in ["GET", "POST", "DELETE", "OPTIONS"] {
            let client = gateway.client().header("origin", origin).bearer(issuer.mint());
            let reply = client.request(method, PATH).await;
            reply.assert_refused(403, "forbidden", "mcp.origin").await;
            assert_eq!(reply.header("access-control-allow-origin"), None);
        }
    }
}

#[tokio::test]
async fn m19_two_origins_get_403() {
    let (issuer, _upstream, gateway) = with_app().await;
    for (first, second) in [(APP, "https://evil.example"), ("https://evil.example", APP), (APP, APP), (APP, "")] {
        println!("case: {first} {second}");
        let client = gateway.client().header("origin", first).header("origin", second);
        let reply = client.bearer(issuer.mint()).post(PATH).await;
        reply.assert_refused(403, "forbidden", "mcp.origin").await;
    }
}

#[tokio::test]
async fn m19_without_listed_origins_none_comes_in() {
    let (issuer, _upstream, gateway) = start().await;
    for origin in [APP, "null", "", "https://mcp.example.com"] {
        let reply = gateway.client().header("origin", origin).bearer(issuer.mint()).post(PATH).await;
        reply.assert_refused(403, "forbidden", "mcp.origin").await;
    }
    gateway.accepts("no origin", issuer.mint()).await;
}

#[tokio::test]
async fn answers_are_readable_for_a_listed_origin() {
    let (issuer, _upstream, gateway) = with_app().await;
    let client = || gateway.client().header("origin", APP);
    for reply in [
        client().bearer(issuer.mint()).post(PATH).await,
        client().post(PATH).await,
        client().bearer(issuer.mint().claim("scope", "x")).post(PATH).await,
    ] {
        assert_eq!(reply.header("access-control-allow-origin"), Some(APP));
        assert_eq!(reply.header("access-control-allow-credentials"), None);
        let exposed = names(reply.header("access-control-expose-headers"));
        for name in [
            "www-authenticate",
            "mcp-session-id",
            "mcp-protocol-version",
            "dpop-nonce",
            "retry-after",
            "ratelimit",
            "ratelimit-policy",
        ] {
            assert!(exposed.iter().any(|other| other == name), "{name} in {exposed:?}");
        }
        assert!(names(reply.header("vary")).contains(&"origin".to_owned()));
    }
}

#[tokio::test]
async fn answers_without_an_origin_vary_all_the_same() {
    let (issuer, _upstream, gateway) = with_app().await;
    let reply = gateway.client().bearer(issuer.mint()).post(PATH).await;
    reply.assert_served();
    assert_eq!(reply.header("access-control-allow-origin"), None);
    assert!(names(reply.header("vary")).contains(&"origin".to_owned()));
}

#[tokio::test]
async fn document_is_readable_for_every_origin() {
    let (_issuer, _upstream, gateway) = start().await;
    for origin in [APP, "https://evil.example", "null"] {
        let reply = gateway.client().header("origin", origin).get(DOCUMENT).await;
        assert_eq!(reply.status(), 200);
        assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
        let preflight = gateway.client().header("origin", origin).header("access-control-request-method", "GET");
        let preflight = preflight.header("access-control-request-headers", "mcp-protocol-version");
        let reply = preflight.request("OPTIONS", DOCUMENT).await;
        assert_eq!(reply.status(), 204);
        assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
        assert!(names(reply.header("access-control-allow-headers")).contains(&"mcp-protocol-version".to_owned()));
    }
}

#[tokio::test]
async fn options_that_is_no_preflight_is_a_method_like_others() {
    let (issuer, _upstream, gateway) = with_app().await;
    let reply = gateway.client().header("origin", APP).request("OPTIONS", PATH).await;
    reply.assert_refused(401, "unauthorized", "auth.missing").await;
    let client = gateway.client().header("access-control-request-method", "POST").bearer(issuer.mint());
    let reply = client.request("OPTIONS", PATH).await;
    reply.assert_refused(405, "method_not_allowed", "route.method").await;
}
