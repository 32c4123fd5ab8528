//! `/status`: one address, a page for people and JSON for machines, and nothing of it for anybody else.

use serde_json::{Value, json};

use crate::support::{Gateway, PATH, start, start_with};

const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

async fn status(gateway: &Gateway) -> Value {
    let reply = gateway.admin().get("/status").await;
    assert_eq!((reply.status(), reply.header("content-type")), (200, Some("application/json")));
    reply.json()
}

async fn page(gateway: &Gateway) -> String {
    let reply = gateway.admin().header("accept", BROWSER).get("/status").await;
    assert_eq!((reply.status(), reply.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert_eq!(reply.header("vary"), Some("accept"));
    assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(reply.header("cross-origin-resource-policy"), Some("same-origin"));
    let policy = reply.header("content-security-policy").unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-") && policy.contains("frame-ancestors 'none'"));
    let text = reply.text();
    for foreign in ["<script", "src=", "href=", "url(", "@import", "style=", "onload"] {
        assert!(!text.contains(foreign), "{foreign} in {text}");
    }
    text
}

#[tokio::test]
async fn machines_get_what_is_configured_and_how_it_is() {
    let (issuer, upstream, gateway) = start_with("[audit]\nsink = \"file\"\nfile = \"audit.jsonl\"").await;
    gateway.accepts("a request", issuer.mint()).await;
    for _ in 0..3 {
        gateway.client().post(PATH).await;
    }
    gateway.client().get("/nowhere").await;
    let status = status(&gateway).await;
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!((&status["ready"], &status["draining"]), (&json!(true), &json!(false)));
    assert_eq!(status["config"]["generation"], 1);
    assert_eq!(status["config"]["digest"].as_str().unwrap().len(), 12);
    assert_eq!(status["listen"]["tls"], true);
    assert!(status["listen"]["certificate_expires"].is_string());
    assert_eq!(status["issuers"][0]["name"], "corp");
    let route = &status["resources"][0];
    assert_eq!((&route["route"], &route["issuers"]), (&json!("notes"), &json!(["corp"])));
    assert_eq!(route["resource"], "https://mcp.example.com/notes/mcp");
    assert_eq!(route["upstream"], upstream.url());
    assert_eq!(
        status["refusals"],
        json!([
            { "route": "notes", "reason": "auth.missing", "last_5_minutes": 3, "last_hour": 3 },
            { "reason": "route.none", "last_5_minutes": 1, "last_hour": 1 }
        ])
    );
    let caps: Vec<&str> = status["caps"].as_array().unwrap().iter().map(|cap| cap["name"].as_str().unwrap()).collect();
    assert_eq!(caps, ["connections", "buffered_bytes", "verified_tokens", "audit_queue"]);
    assert_eq!(status["caps"][2], json!({ "name": "verified_tokens", "used": 1, "most": 20000, "at_edge": false }));
    assert_eq!(status["audit"]["failing"], false);
    let text = status.to_string();
    assert!(!text.contains("eyJ") && !text.contains("user-1"), "no token, no subject: {text}");
}

#[tokio::test]
async fn people_get_a_page_without_anything_from_elsewhere() {
    let (_issuer, _upstream, gateway) = start().await;
    gateway.client().post(PATH).await;
    let page = page(&gateway).await;
    for text in ["<title>Portcullis: ready</title>", "https://mcp.example.com/notes/mcp", "auth.missing", "corp"] {
        assert!(page.contains(text), "{text} in {page}");
    }
}

#[tokio::test]
async fn o2_refused_configuration_is_shown_with_its_mistakes_escaped() {
    let (_issuer, _upstream, gateway) = start().await;
    assert!(!gateway.reload("\"<script>alert(1)</script>\" = 1").await);
    let status = status(&gateway).await;
    assert_eq!((&status["config"]["taken"], &status["config"]["refused"]), (&json!(0), &json!(1)));
    let mistake = status["config"]["last_refusal"]["mistakes"][0].as_str().unwrap();
    assert!(mistake.contains("<script>") && mistake.contains("unknown key"), "{mistake}");
    let page = page(&gateway).await;
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "{page}");
    assert!(gateway.reload("").await);
    let after = self::status(&gateway).await;
    assert_eq!((&after["config"]["generation"], after["config"].get("last_refusal")), (&json!(2), None));
}

#[tokio::test]
async fn p10_page_is_on_the_operations_listener_alone_and_for_its_own_names() {
    let (_issuer, _upstream, gateway) = start().await;
    assert_eq!(gateway.client().get("/status").await.status(), 404);
    for (host, wanted) in [
        ("localhost:9090", 200),
        ("127.0.0.1:1", 200),
        ("[::1]:9090", 200),
        ("10.1.2.3", 200),
        ("rebound.example.com:9090", 421),
        ("localhost.example.com", 421),
        ("127.0.0.1.example.com", 421),
    ] {
        assert_eq!(gateway.admin().host(host).get("/status").await.status(), wanted, "{host}");
    }
    assert_eq!(gateway.admin().host("portcullis:9090").get("/metrics").await.status(), 200, "scrapers have names");
    assert_eq!(gateway.admin().post("/status").await.status(), 405);
}

#[tokio::test]
async fn metrics_come_in_the_format_that_is_asked_for() {
    let (_issuer, _upstream, gateway) = start().await;
    gateway.client().post(PATH).await;
    let prometheus = "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
    for (accept, open) in
        [(prometheus, true), ("*/*", true), ("text/plain", false), ("text/plain;version=0.0.4", false)]
    {
        let reply = gateway.admin().header("accept", accept).get("/metrics").await;
        let text = reply.text();
        assert_eq!(reply.header("content-type").unwrap().starts_with("application/openmetrics-text"), open, "{accept}");
        assert_eq!(text.ends_with("# EOF\n"), open, "{accept}");
        assert_eq!(text.contains("# TYPE portcullis_requests_total counter"), !open, "{accept}");
        assert!(text.contains("portcullis_requests_total{route=\"notes\""), "{accept}");
    }
}
