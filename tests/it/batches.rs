//! Arrays of messages (2025-03-26), where a route takes them: every member is decided on by itself.

use serde_json::{Value, json};

use crate::support::{Gateway, Issuer, PATH, Reply, Upstream, start_with};

/// A route that takes batches, with a rule and a limit.
const BATCHES: &str = r#"
    [[routes]]
    name = "notes"
    batches = true
    policy = { default = "allow", rules = [{ tools = ["delete_*"], scopes = ["mcp:admin"] }, { methods = ["logging/*"], deny = true }] }
    limits = [{ per = ["client"], requests = 60, window = "1h", burst = 10 }]
"#;

fn call(id: u64, tool: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": tool}})
}

async fn post(gateway: &Gateway, issuer: &Issuer, batch: Value) -> Reply {
    gateway.client().bearer(issuer.mint()).body(batch.to_string()).post(PATH).await
}

#[tokio::test]
async fn batch_of_allowed_members_is_forwarded_byte_for_byte() {
    let (issuer, upstream, gateway) = start_with(BATCHES).await;
    let batch = json!([
        call(1, "add"),
        {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {}},
        {"jsonrpc": "2.0", "id": "s", "result": {}},
    ]);
    let reply = post(&gateway, &issuer, batch.clone()).await;
    reply.assert_served();
    assert_eq!(reply.log().await.text("mcp_name"), "add");
    assert_eq!(upstream.only().body, batch.to_string().as_bytes());
}

#[tokio::test]
async fn one_refusal_refuses_the_batch_with_the_members_id() {
    let (issuer, _upstream, gateway) = start_with(BATCHES).await;
    let reply = post(&gateway, &issuer, json!([call(1, "add"), call(2, "delete_note"), call(3, "add")])).await;
    assert_eq!(reply.status(), 403);
    assert_eq!(
        (&reply.json()["id"], &reply.json()["error"]["data"]["error"]),
        (&json!(2), &json!("insufficient_scope"))
    );
    assert_eq!(reply.challenge().get("scope"), Some("mcp:tools mcp:admin"));
    let line = reply.log().await;
    assert_eq!((line.text("mcp_name"), line.text("reason")), ("delete_note".into(), "authz.scope".into()));
    assert!(!line.text("rule").is_empty());
    let level = json!({"jsonrpc": "2.0", "id": 9, "method": "logging/setLevel", "params": {}});
    let reply = post(&gateway, &issuer, json!([call(1, "add"), level])).await;
    reply.assert_refused(403, "forbidden", "authz.method").await;
    assert_eq!(reply.json()["id"], 9);
    // Without an id it is a notification, and judged no less.
    let silent = json!({"jsonrpc": "2.0", "method": "tools/call", "params": {"name": "delete_note"}});
    assert_eq!(post(&gateway, &issuer, json!([silent])).await.status(), 403);
}

#[tokio::test]
async fn members_are_charged_one_by_one() {
    let (issuer, _upstream, gateway) = start_with(BATCHES).await;
    let reply = post(&gateway, &issuer, json!([call(1, "a"), call(2, "b"), call(3, "c")])).await;
    assert_eq!(reply.header("ratelimit"), Some("\"client\";r=7"));
    let many: Vec<Value> = (0..9).map(|id| call(id, "a")).collect();
    let reply = post(&gateway, &issuer, many.into()).await;
    reply.assert_refused(429, "too_many_requests", "limit.rate").await;
    let unpayable: Vec<Value> = (0..50).map(|id| call(id, "a")).collect();
    let reply = post(&gateway, &issuer, unpayable.into()).await;
    reply.assert_refused(429, "too_many_requests", "limit.rate").await;
}

#[tokio::test]
async fn m4_batches_stay_bounded_and_flat() {
    let (issuer, _upstream, gateway) = start_with(BATCHES).await;
    let ping = json!({"jsonrpc": "2.0", "method": "notifications/x"});
    for batch in [json!([]), json!([[ping]]), Value::Array(vec![ping.clone(); 101])] {
        let reply = post(&gateway, &issuer, batch).await;
        reply.assert_refused(400, "bad_request", "mcp.batch").await;
        assert_eq!((&reply.json()["error"]["code"], &reply.json()["id"]), (&json!(-32600), &Value::Null));
    }
    post(&gateway, &issuer, json!([7])).await.assert_refused(400, "bad_request", "mcp.shape").await;
}

/// Posts a batch of this member under this version.
async fn under(gateway: &Gateway, issuer: &Issuer, version: &str, member: Value) -> Reply {
    let client = gateway.client().bearer(issuer.mint()).header("mcp-protocol-version", version);
    client.body(json!([member]).to_string()).post(PATH).await
}

#[tokio::test]
async fn m4_batches_of_other_revisions_are_refused() {
    let (issuer, upstream, gateway) = start_with(BATCHES).await;
    for version in ["2024-11-05", "2025-06-18", "2025-11-25", "2026-07-28", "9999-01-01", "bogus"] {
        let reply = under(&gateway, &issuer, version, call(1, "add")).await;
        let reasons = if version < "2026" { "mcp.batch" } else { "mcp.batch | mcp.mirror" };
        reply.assert_refused(400, "bad_request", reasons).await;
    }
    under(&gateway, &issuer, "2025-03-26", call(1, "add")).await.assert_served();
    let mut modern = call(1, "add");
    modern["params"]["_meta"] = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28"});
    let reply = post(&gateway, &issuer, json!([modern])).await;
    reply.assert_refused(400, "bad_request", "mcp.mirror").await;
    assert_eq!(upstream.received().len(), 1);
}

/// The suite's base configuration takes none.
#[tokio::test]
async fn m4_batches_are_off_unless_asked_for() {
    let (issuer, upstream): (Issuer, Upstream) = (Issuer::start().await, Upstream::start().await);
    let gateway = Gateway::start_with(&issuer, &upstream, "").await;
    let reply = under(&gateway, &issuer, "2025-03-26", call(1, "add")).await;
    reply.assert_refused(400, "bad_request", "mcp.batch").await;
}
