//! The protected-resource metadata document (RFC 9728; threats R3, R4).

use serde_json::json;

use crate::support::gateway::{TENANT_IN_PATH, route};
use crate::support::{Gateway, Issuer, Upstream, start, start_with};

const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";
const DOCUMENT: &str = "/.well-known/oauth-protected-resource/notes/mcp";

#[tokio::test]
async fn r3_document_says_what_clients_need_without_a_token() {
    let (issuer, upstream, gateway) = start().await;
    for client in [gateway.client(), gateway.client().http2()] {
        let reply = client.get(DOCUMENT).await;
        assert_eq!(reply.status(), 200);
        assert_eq!(reply.header("content-type"), Some("application/json"));
        assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
        let cache = reply.header("cache-control").unwrap();
        assert!(cache.starts_with("public, max-age="), "{cache}");
        let wanted = json!({
            "resource": "https://mcp.example.com/notes/mcp",
            "authorization_servers": [issuer.url()],
            "bearer_methods_supported": ["header"],
            "scopes_supported": ["mcp:tools"],
        });
        let mut document = reply.json();
        document.as_object_mut().unwrap().remove("resource_name");
        assert_eq!(document, wanted);
        assert_eq!(reply.log().await.text("event"), "served");
    }
    assert!(upstream.received().is_empty());
}

#[tokio::test]
async fn r3_head_has_the_fields_and_no_body() {
    let (_issuer, _upstream, gateway) = start().await;
    let length = gateway.client().get(DOCUMENT).await.body.len().to_string();
    for client in [gateway.client(), gateway.client().http2()] {
        let reply = client.request("HEAD", DOCUMENT).await;
        assert_eq!((reply.status(), reply.body.len()), (200, 0));
        assert_eq!(reply.header("content-length"), Some(length.as_str()));
    }
}

#[tokio::test]
async fn r3_other_methods_get_405() {
    let (_issuer, _upstream, gateway) = start().await;
    for method in ["POST", "DELETE", "PUT"] {
        let reply = gateway.client().request(method, DOCUMENT).await;
        reply.assert_refused(405, "method_not_allowed", "route.method").await;
        assert!(reply.header("allow").unwrap().contains("GET"));
    }
}

#[tokio::test]
async fn r3_unknown_documents_get_404() {
    let (_issuer, _upstream, gateway) = start().await;
    for target in [
        format!("{WELL_KNOWN}/notes"),
        format!("{WELL_KNOWN}/notes/mcp/x"),
        format!("{WELL_KNOWN}/other"),
        format!("{WELL_KNOWN}//notes/mcp"),
        format!("{WELL_KNOWN}/notes%2fmcp"),
        format!("{WELL_KNOWN}x"),
        format!("/notes/mcp{WELL_KNOWN}"),
        "/.well-known/".into(),
    ] {
        let reply = gateway.client().get(&target).await;
        reply.assert_refused(404, "not_found", "route.none | route.path").await;
    }
}

#[tokio::test]
async fn r3_further_members_are_as_configured() {
    let changes = r#"
        [[routes]]
        name = "notes"
        [routes.metadata]
        resource_name = "Notes"
        resource_documentation = "https://docs.example.com/notes"
        resource_policy_uri = "https://docs.example.com/policy"
        resource_tos_uri = "https://docs.example.com/tos"
        scopes_supported = ["mcp:tools", "mcp:more"]
        max_age = "2m"
    "#;
    let (_issuer, _upstream, gateway) = start_with(changes).await;
    let reply = gateway.client().get(DOCUMENT).await;
    let document = reply.json();
    assert_eq!(document["resource_name"], "Notes");
    assert_eq!(document["resource_documentation"], "https://docs.example.com/notes");
    assert_eq!(document["resource_policy_uri"], "https://docs.example.com/policy");
    assert_eq!(document["resource_tos_uri"], "https://docs.example.com/tos");
    assert_eq!(document["scopes_supported"], json!(["mcp:tools", "mcp:more"]));
    assert_eq!(reply.header("cache-control"), Some("public, max-age=120"));
}

#[tokio::test]
async fn r4_forged_host_fields_change_nothing() {
    let (issuer, _upstream, gateway) = start().await;
    let honest = gateway.client().get(DOCUMENT).await.json();
    let forged = || {
        let client = gateway.client().header("x-forwarded-host", "evil.example");
        let client = client.header("forwarded", "host=evil.example;proto=http");
        client.header("x-forwarded-proto", "http").header("x-original-host", "evil.example")
    };
    assert_eq!(forged().get(DOCUMENT).await.json(), honest);
    let reply = forged().post("/notes/mcp").await;
    reply.assert_refused(401, "unauthorized", "auth.missing").await;
    forged().bearer(issuer.mint()).post("/notes/mcp").await.assert_served();
}

#[tokio::test]
async fn r4_unknown_host_gets_421() {
    let (_issuer, _upstream, gateway) = start().await;
    for client in [gateway.client(), gateway.client().http2()] {
        let reply = client.host("evil.example").get(DOCUMENT).await;
        reply.assert_refused(421, "misdirected_request", "host.unknown").await;
    }
}

#[tokio::test]
async fn root_document_is_served_where_the_authority_has_one_route() {
    let (_issuer, _upstream, gateway) = start().await;
    let reply = gateway.client().get(WELL_KNOWN).await;
    assert_eq!(reply.status(), 200);
    assert_eq!(reply.json(), gateway.client().get(DOCUMENT).await.json());
}

#[tokio::test]
async fn root_document_is_not_served_where_the_authority_has_two_routes() {
    let (issuer, upstream) = (Issuer::start().await, Upstream::start().await);
    let changes = route("files", "https://mcp.example.com/files/mcp", &upstream, &["files:read"]);
    let gateway = Gateway::start_with(&issuer, &upstream, &changes).await;
    let reply = gateway.client().get(WELL_KNOWN).await;
    reply.assert_refused(404, "not_found", "route.none").await;
    let files = gateway.client().get(&format!("{WELL_KNOWN}/files/mcp")).await.json();
    assert_eq!(files["resource"], "https://mcp.example.com/files/mcp");
    assert_eq!(files["scopes_supported"], json!(["files:read"]));
}

#[tokio::test]
async fn document_of_a_tenant_is_served_for_any_good_tenant() {
    let changes = TENANT_IN_PATH;
    let (_issuer, _upstream, gateway) = start_with(changes).await;
    for tenant in ["acme", "umbrella", "a.b-c_d"] {
        let document = gateway.client().get(&format!("{WELL_KNOWN}/{tenant}/mcp")).await.json();
        assert_eq!(document["resource"], format!("https://mcp.example.com/{tenant}/mcp"));
    }
    for target in ["/../mcp", "/a%20b/mcp", "/a/b/mcp", "//mcp", "/mcp", ""] {
        let reply = gateway.client().get(&format!("{WELL_KNOWN}{target}")).await;
        reply.assert_refused(404, "not_found", "route.none | route.path").await;
    }
}
