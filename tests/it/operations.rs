//! What a caller may do, operation by operation: the answers of the policy, and what operations cost.

use serde_json::{Value, json};

use crate::support::reply::METADATA_URL;
use crate::support::{Gateway, Issuer, Mint, PATH, Reply, Upstream, start_with};

/// A route with this policy, and whatever else.
fn policy(text: &str) -> String {
    format!("[[routes]]\nname = \"notes\"\n[routes.policy]\n{text}")
}

fn body(method: &str, params: &Value) -> String {
    json!({"jsonrpc": "2.0", "id": "q-1", "method": method, "params": params}).to_string()
}

async fn ask(gateway: &Gateway, token: Mint, method: &str, params: Value) -> Reply {
    gateway.client().bearer(token).body(body(method, &params)).post(PATH).await
}

async fn call(gateway: &Gateway, token: Mint, tool: &str) -> Reply {
    ask(gateway, token, "tools/call", json!({"name": tool})).await
}

/// Asserts a 403 that asks for these scopes, in JSON-RPC with the id.
async fn assert_asks_for(reply: &Reply, scope: &str) {
    assert_eq!(reply.status(), 403, "{}", reply.text());
    let challenge = reply.challenge();
    assert_eq!((challenge.error(), challenge.get("scope")), (Some("insufficient_scope"), Some(scope)));
    assert_eq!(challenge.get("resource_metadata"), Some(METADATA_URL));
    assert!(challenge.get("error_description").is_some());
    let answer = reply.json();
    assert_eq!((&answer["id"], &answer["error"]["data"]["error"]), (&json!("q-1"), &json!("insufficient_scope")));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert_eq!(reply.log().await.text("reason"), "authz.scope");
}

/// Asserts a 403 that no other token would help against.
async fn assert_denied(reply: &Reply, reason: &str) {
    reply.assert_refused(403, "forbidden", reason).await;
    assert_eq!(reply.json()["id"], "q-1");
}

const RULES: &str = r#"
    default = "allow"
    implies = { "mcp:admin" = ["mcp:write"], "mcp:write" = ["mcp:read"], "mcp:all" = ["mcp:tools", "mcp:admin"] }
    rules = [
      { tools = ["delete_*"], scopes = ["mcp:admin"] },
      { tools = ["write", "edit"], scopes = ["mcp:write", "mcp:tools"] },
      { tools = ["secret"], tenants = ["globex"] },
      { prompts = ["internal*"], deny = true },
      { resources = ["file:///private/*"], clients = ["client-9"] },
      { methods = ["logging/*"], tenants = ["acme"], deny = true },
      { methods = ["sampling/x"], claims = { department = ["ops", "dev"] } },
    ]
"#;

#[tokio::test]
async fn a_rule_may_name_the_issuer_among_its_claims() {
    let issuer = Issuer::start().await;
    for (iss, status) in [(issuer.url(), 200), ("https://other.example.com".into(), 403)] {
        let rule = format!("default = \"deny\"\nrules = [{{ tools = [\"x\"], claims = {{ iss = \"{iss}\" }} }}]");
        let upstream = Upstream::start().await;
        let gateway = Gateway::start_with(&issuer, &upstream, &policy(&rule)).await;
        assert_eq!(call(&gateway, issuer.mint(), "x").await.status(), status, "{iss}");
        assert_eq!(upstream.received().len(), usize::from(status == 200));
    }
}

#[tokio::test]
async fn c17_missing_scope_of_an_operation_is_asked_for_with_all_that_it_needs() {
    let (issuer, upstream, gateway) = start_with(&policy(RULES)).await;
    assert_asks_for(&call(&gateway, issuer.mint(), "delete_note").await, "mcp:tools mcp:admin").await;
    // The route's scopes first, none twice; the same request gets the same challenge.
    for _ in 0..2 {
        assert_asks_for(&call(&gateway, issuer.mint(), "edit").await, "mcp:tools mcp:write").await;
    }
    assert!(upstream.received().is_empty());
    call(&gateway, issuer.mint(), "other").await.assert_served();
    call(&gateway, issuer.mint().claim("scope", "mcp:tools mcp:write"), "edit").await.assert_served();
}

#[tokio::test]
async fn scopes_imply_others_for_rules_and_for_the_route() {
    let (issuer, _upstream, gateway) = start_with(&policy(RULES)).await;
    call(&gateway, issuer.mint().claim("scope", "mcp:tools mcp:admin"), "edit").await.assert_served();
    let all = || issuer.mint().claim("scope", "mcp:all");
    call(&gateway, all(), "delete_note").await.assert_served();
    call(&gateway, all(), "other").await.assert_served();
    // Not the other way round.
    let reply = call(&gateway, issuer.mint().claim("scope", "mcp:tools mcp:write"), "delete_note").await;
    assert_asks_for(&reply, "mcp:tools mcp:admin").await;
}

#[tokio::test]
async fn m22_denied_operations_get_403_that_no_new_token_would_change() {
    let (issuer, upstream, gateway) = start_with(&policy(RULES)).await;
    assert_denied(&call(&gateway, issuer.mint(), "secret").await, "authz.tool").await;
    assert_denied(&ask(&gateway, issuer.mint(), "prompts/get", json!({"name": "internal-1"})).await, "authz.prompt")
        .await;
    let complete =
        json!({"ref": {"type": "ref/prompt", "name": "internal-1"}, "argument": {"name": "a", "value": "b"}});
    assert_denied(&ask(&gateway, issuer.mint(), "completion/complete", complete).await, "authz.prompt").await;
    for method in ["resources/read", "resources/subscribe", "resources/unsubscribe", "resources/directory/read"] {
        let uri = json!({"uri": "file:///private/a"});
        assert_denied(&ask(&gateway, issuer.mint(), method, uri).await, "authz.resource").await;
    }
    assert_denied(&ask(&gateway, issuer.mint(), "logging/setLevel", json!({"level": "info"})).await, "authz.method")
        .await;
    assert_denied(&ask(&gateway, issuer.mint(), "sampling/x", json!({})).await, "authz.method").await;
    assert!(upstream.received().is_empty());
}

#[tokio::test]
async fn conditions_are_met_by_whoever_fits_them() {
    let (issuer, _upstream, gateway) = start_with(&policy(RULES)).await;
    call(&gateway, issuer.mint().claim("tenant", "globex"), "secret").await.assert_served();
    let read = json!({"uri": "file:///private/a"});
    ask(&gateway, issuer.mint().claim("client_id", "client-9"), "resources/read", read).await.assert_served();
    let level = json!({"level": "info"});
    ask(&gateway, issuer.mint().claim("tenant", "globex"), "logging/setLevel", level).await.assert_served();
    for department in [json!("ops"), json!(["hr", "dev"])] {
        ask(&gateway, issuer.mint().claim("department", department), "sampling/x", json!({})).await.assert_served();
    }
    for department in [json!("opsdev"), json!(["hr"]), json!({"ops": 1}), json!("OPS")] {
        let reply = ask(&gateway, issuer.mint().claim("department", department), "sampling/x", json!({})).await;
        assert_denied(&reply, "authz.method").await;
    }
}

#[tokio::test]
async fn uris_with_two_spellings_are_refused_where_rules_name_resources() {
    let (issuer, upstream, gateway) = start_with(&policy(RULES)).await;
    for uri in [
        "file:///public/../private/a",
        "file:///public/%2e%2e/private/a",
        "file:///%70rivate/a",
        "file:///private%2Fa",
        "FILE:///private/a",
        "file:////private/a",
        "file:///./private/a",
        "file:\\\\\\private\\a",
        "file:///Private/a",
        "file:///PRIVATE/a%20b",
    ] {
        println!("case: {uri}");
        let reply = ask(&gateway, issuer.mint(), "resources/read", json!({ "uri": uri })).await;
        reply.assert_refused(400, "bad_request", "mcp.uri").await;
    }
    assert!(upstream.received().is_empty());
    for uri in ["file:///public/a b.txt", "note://ä/x?y=1", "file:///private", "note://Alice/X%20y"] {
        ask(&gateway, issuer.mint(), "resources/read", json!({ "uri": uri })).await.assert_served();
    }
}

#[tokio::test]
async fn first_rule_that_matches_decides_and_the_default_does_otherwise() {
    let rules = r#"
        default = "deny"
        rules = [{ methods = ["initialize", "ping", "notifications/*", "*/list"] }, { tools = ["add"] }, { tools = ["add"], deny = true }]
    "#;
    let (issuer, upstream, gateway) = start_with(&policy(rules)).await;
    for method in ["initialize", "ping", "tools/list", "resources/templates/list", "notifications/initialized"] {
        ask(&gateway, issuer.mint(), method, json!({})).await.assert_served();
    }
    call(&gateway, issuer.mint(), "add").await.assert_served();
    let served = upstream.received().len();
    assert_denied(&call(&gateway, issuer.mint(), "Add").await, "authz.tool").await;
    assert_denied(&ask(&gateway, issuer.mint(), "resources/read", json!({"uri": "a:b"})).await, "authz.resource").await;
    // What has no id is judged no less: a careless server may act on it.
    let silent = json!({"jsonrpc": "2.0", "method": "tools/call", "params": {"name": "delete"}}).to_string();
    let reply = gateway.client().bearer(issuer.mint()).body(silent).post(PATH).await;
    reply.assert_refused(403, "forbidden", "authz.tool").await;
    assert!(reply.json()["id"].is_null());
    assert_eq!(upstream.received().len(), served);
}

#[tokio::test]
async fn listening_to_a_hidden_resource_is_denied() {
    let (issuer, upstream, gateway) = start_with(&policy(RULES)).await;
    let listen = |uris: &[&str]| {
        let claim = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28"});
        body("subscriptions/listen", &json!({"_meta": claim, "notifications": {"resourceSubscriptions": uris}}))
    };
    let client = |issuer: &Issuer, body: String| {
        let client = gateway.client().bearer(issuer.mint()).body(body);
        client.header("mcp-protocol-version", "2026-07-28").header("mcp-method", "subscriptions/listen")
    };
    let reply = client(&issuer, listen(&["file:///public/a", "file:///private/a"])).post(PATH).await;
    assert_denied(&reply, "authz.resource").await;
    assert!(upstream.received().is_empty());
    client(&issuer, listen(&["file:///public/a"])).post(PATH).await.assert_served();
}

/// SEP-2663: a listener is told what `tasks/get` would say.
#[tokio::test]
async fn listening_to_a_task_is_judged_like_asking_for_it() {
    let rules = r#"{ methods = ["subscriptions/listen"] }, { methods = ["tasks/*"], scopes = ["mcp:tasks"] }"#;
    let (issuer, upstream, gateway) =
        start_with(&format!("routes = [{{ name = \"notes\", policy = {{ default = \"deny\", rules = [{rules}] }} }}]"))
            .await;
    let claim = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28"});
    let wanted = json!({"resourceSubscriptions": ["note://a"], "taskIds": ["t-1"]});
    let body = body("subscriptions/listen", &json!({"_meta": claim, "notifications": wanted}));
    let client = gateway.client().header("mcp-protocol-version", "2026-07-28");
    let client = client.header("mcp-method", "subscriptions/listen").body(body);
    let reply = client.clone().bearer(issuer.mint()).post(PATH).await;
    assert_eq!((reply.status(), reply.challenge().get("scope")), (403, Some("mcp:tools mcp:tasks")));
    let line = reply.log().await;
    assert_eq!((line.text("reason"), line.text("mcp_name")), ("authz.scope".into(), "t-1".into()));
    assert!(upstream.received().is_empty());
    client.bearer(issuer.mint().claim("scope", "mcp:tools mcp:tasks")).post(PATH).await.assert_served();
}

#[tokio::test]
async fn record_names_method_target_era_and_rule() {
    let (issuer, _upstream, gateway) = start_with(&policy(RULES)).await;
    let line = call(&gateway, issuer.mint(), "delete_note").await.log().await;
    let found = ["mcp_method", "mcp_name", "era"].map(|name| line.text(name));
    assert_eq!(found, ["tools/call", "delete_note", "legacy"]);
    assert!(line.text("rule").parse::<u32>().unwrap() > 0);
    let line = call(&gateway, issuer.mint(), "other").await.log().await;
    assert_eq!((line.text("event"), line.text("rule")), ("served".into(), String::new()));
}

#[tokio::test]
async fn d20_limits_by_tool_are_charged_for_calls_of_that_tool_alone() {
    let limits = r#"routes = [{ name = "notes", limits = [{ per = ["client", "tool"], requests = 2, window = "1h", burst = 2 }] }]"#;
    let (issuer, upstream, gateway) = start_with(limits).await;
    for left in ["\"client-tool\";r=1", "\"client-tool\";r=0"] {
        assert_eq!(call(&gateway, issuer.mint(), "add").await.header("ratelimit"), Some(left));
    }
    let reply = call(&gateway, issuer.mint(), "add").await;
    reply.assert_refused(429, "too_many_requests", "limit.rate").await;
    assert_eq!((&reply.json()["id"], &reply.json()["error"]["code"]), (&json!("q-1"), &json!(-31429)));
    assert!(reply.header("retry-after").is_some());
    let free = upstream.received().len();
    call(&gateway, issuer.mint(), "sub").await.assert_served();
    call(&gateway, issuer.mint().claim("client_id", "client-2"), "add").await.assert_served();
    for _ in 0..4 {
        ask(&gateway, issuer.mint(), "tools/list", json!({})).await.assert_served();
    }
    assert_eq!(upstream.received().len(), free + 6);
}

#[tokio::test]
async fn d20_costs_of_rules_are_charged_after_the_body_was_read() {
    let changes = r#"
        [[routes]]
        name = "notes"
        limits = [{ per = ["client"], requests = 60, window = "1h", burst = 10 }, { per = ["tool"], requests = 60, window = "1h", burst = 20 }]
        [routes.policy]
        default = "allow"
        rules = [{ tools = ["dear"], cost = 5 }, { tools = ["denied"], deny = true }]
    "#;
    let (issuer, _upstream, gateway) = start_with(changes).await;
    let reply = call(&gateway, issuer.mint(), "cheap").await;
    assert_eq!(reply.header("ratelimit"), Some("\"client\";r=9, \"tool\";r=19"));
    let reply = call(&gateway, issuer.mint(), "dear").await;
    assert_eq!(reply.header("ratelimit"), Some("\"tool\";r=15, \"client\";r=4"));
    // A denied call costs what every request costs, not what it would have cost.
    assert_eq!(call(&gateway, issuer.mint(), "denied").await.header("ratelimit"), Some("\"client\";r=3"));
    let reply = call(&gateway, issuer.mint(), "dear").await;
    reply.assert_refused(429, "too_many_requests", "limit.rate").await;
    assert!(reply.header("ratelimit").unwrap().starts_with("\"client\";r=0;t="));
}

#[tokio::test]
async fn clients_that_cannot_step_up_are_asked_for_everything_at_first() {
    let rules = format!("step_up = false\n{RULES}");
    let (issuer, _upstream, gateway) = start_with(&policy(&rules)).await;
    let reply = gateway.client().post(PATH).await;
    assert_eq!(reply.challenge().get("scope"), Some("mcp:tools mcp:admin mcp:write"));
    assert_eq!(reply.challenge().error(), None);
    let document = gateway.client().get("/.well-known/oauth-protected-resource/notes/mcp").await.json();
    assert_eq!(document["scopes_supported"], json!(["mcp:tools", "mcp:admin", "mcp:write"]));
    // A later refusal still names what its operation needs.
    assert_asks_for(&call(&gateway, issuer.mint(), "delete_note").await, "mcp:tools mcp:admin").await;
}
