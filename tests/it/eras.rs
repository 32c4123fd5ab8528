//! Both eras on one route: what head and body must agree on, what each era may carry (threats M14 to M18).

use serde_json::{Value, json};

use crate::support::client::CALL;
use crate::support::{Client, Gateway, Issuer, PATH, Reply, start, start_with};

const VERSION: &str = "2026-07-28";
const CLAIM: &str = "io.modelcontextprotocol/protocolVersion";

/// A modern request of this method, with these params.
fn modern(method: &str, params: Value) -> Value {
    let mut params = params;
    params["_meta"] = json!({CLAIM: VERSION});
    json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params})
}

fn call(tool: &str) -> Value {
    modern("tools/call", json!({"name": tool}))
}

/// A client with a good token that sends these fields and this body.
fn client(gateway: &Gateway, issuer: &Issuer, fields: &[(&str, &str)], body: &Value) -> Client {
    let client = gateway.client().bearer(issuer.mint()).body(body.to_string());
    fields.iter().fold(client, |client, (name, value)| client.header(name, value))
}

const GOOD: [(&str, &str); 3] = [("mcp-protocol-version", VERSION), ("mcp-method", "tools/call"), ("mcp-name", "add")];

/// [`GOOD`] with one field changed, or left out.
fn changed(name: &str, value: Option<&'static str>) -> Vec<(&'static str, &'static str)> {
    GOOD.into_iter().filter_map(|(n, v)| Some((n, if n == name { value? } else { v }))).collect()
}

#[tokio::test]
async fn m14_modern_request_whose_fields_repeat_the_body_is_served() {
    let (issuer, upstream, gateway) = start().await;
    for http2 in [false, true] {
        let client = client(&gateway, &issuer, &GOOD, &call("add"));
        if http2 { client.http2() } else { client }.post(PATH).await.assert_served();
    }
    let received = upstream.received();
    for (name, value) in GOOD {
        assert_eq!(received[1].field(name), Some(value));
    }
    assert_eq!(received[1].body, call("add").to_string().as_bytes());
}

#[tokio::test]
async fn m14_missing_or_different_fields_get_header_mismatch() {
    let (issuer, _upstream, gateway) = start().await;
    let mut cases = Vec::new();
    for (name, _) in GOOD {
        cases.push((changed(name, None), call("add")));
    }
    for (name, value) in [
        ("mcp-method", "tools/list"),
        ("mcp-method", "Tools/Call"),
        ("mcp-method", ""),
        ("mcp-name", "delete"),
        ("mcp-name", "ADD"),
        ("mcp-name", "add,delete"),
        ("mcp-name", ""),
        ("mcp-name", "=?base64?ZGVsZXRl?="),
        ("mcp-name", "=?base64?YWRk"),
        ("mcp-name", "=?base64?Y?="),
        ("mcp-name", "=?BASE64?YWRk?="),
        ("mcp-protocol-version", "2026-07-29"),
        ("mcp-protocol-version", "2025-11-25"),
        ("mcp-protocol-version", "bogus"),
    ] {
        cases.push((changed(name, Some(value)), call("add")));
    }
    for (name, value) in GOOD {
        cases.push(([&GOOD[..], &[(name, value)]].concat(), call("add")));
        cases.push(([&GOOD[..], &[(name, "x")]].concat(), call("add")));
    }
    let read = modern("resources/read", json!({"uri": "note://1"}));
    cases.push((changed("mcp-method", Some("resources/read")), read.clone()));
    let task = modern("tasks/get", json!({"taskId": "t-1"}));
    cases.push((changed("mcp-method", Some("tasks/get")), task));
    let handshake = json!({"jsonrpc": "2.0", "id": 7, "method": "initialize", "params": {}});
    cases.push((vec![("mcp-protocol-version", VERSION), ("mcp-method", "initialize")], handshake));
    for (fields, body) in cases {
        println!("case: {fields:?} {body}");
        let reply = client(&gateway, &issuer, &fields, &body).post(PATH).await;
        reply.assert_refused(400, "bad_request", "mcp.mirror").await;
        assert_eq!(reply.json()["error"]["code"], -32020);
        // A repeated version is refused on the head, before an id was read.
        let id = &reply.json()["id"];
        assert!(*id == 7 || (id.is_null() && fields.len() > 3), "{id}");
    }
    let fields = [("mcp-protocol-version", VERSION), ("mcp-method", "resources/read"), ("mcp-name", "note://1")];
    client(&gateway, &issuer, &fields, &read).post(PATH).await.assert_served();
}

#[tokio::test]
async fn m17_base64_form_that_decodes_to_the_body_is_served() {
    let (issuer, upstream, gateway) = start().await;
    for (name, encoded) in [
        ("add", "=?base64?YWRk?="),
        ("größe", "=?base64?Z3LDtsOfZQ==?="),
        ("=?base64?x?=", "=?base64?PT9iYXNlNjQ/eD89?="),
    ] {
        let fields = [GOOD[0], GOOD[1], ("mcp-name", encoded)];
        client(&gateway, &issuer, &fields, &call(name)).post(PATH).await.assert_served();
        assert_eq!(upstream.received().last().unwrap().field("mcp-name"), Some(encoded), "as it came");
    }
}

#[tokio::test]
async fn m18_legacy_request_is_judged_by_its_body_and_gains_nothing_from_fields() {
    let policy = r#"routes = [{ name = "notes", policy = { default = "allow", rules = [{ tools = ["delete"], deny = true }] } }]"#;
    let (issuer, upstream, gateway) = start_with(policy).await;
    let body = |tool| json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": tool}});
    for version in [None, Some("2025-11-25"), Some("2025-03-26"), Some("bogus"), Some("")] {
        let mut fields = vec![("mcp-method", "tools/list"), ("mcp-name", "add"), ("mcp-param-x", "1")];
        fields.extend(version.map(|version| ("mcp-protocol-version", version)));
        let reply = client(&gateway, &issuer, &fields, &body("delete")).post(PATH).await;
        reply.assert_refused(403, "forbidden", "authz.tool").await;
        client(&gateway, &issuer, &fields, &body("add")).post(PATH).await.assert_served();
        let received = upstream.received().pop().unwrap();
        for name in ["mcp-method", "mcp-name", "mcp-param-x"] {
            assert_eq!(received.field(name), None, "{name}");
        }
        assert_eq!(received.field("mcp-protocol-version"), version, "the upstream judges it");
    }
}

#[tokio::test]
async fn m18_body_that_claims_the_modern_era_needs_its_fields() {
    let (issuer, _upstream, gateway) = start().await;
    for fields in [&[][..], &[("mcp-protocol-version", "2025-11-25")], &GOOD[1..]] {
        let reply = client(&gateway, &issuer, fields, &call("add")).post(PATH).await;
        reply.assert_refused(400, "bad_request", "mcp.mirror").await;
    }
}

#[tokio::test]
async fn modern_fields_of_parameters_pass_untouched() {
    let (issuer, upstream, gateway) = start().await;
    let more = [("mcp-param-region", "eu"), ("Mcp-Param-Long_Name", "=?base64?w7w=?=")];
    client(&gateway, &issuer, &[&GOOD[..], &more].concat(), &call("add")).post(PATH).await.assert_served();
    let received = upstream.only();
    for (name, value) in more {
        assert_eq!(received.field(&name.to_ascii_lowercase()), Some(value));
    }
}

#[tokio::test]
async fn modern_requests_are_posts_and_told_so_in_json_rpc() {
    let (issuer, _upstream, gateway) = start().await;
    for method in ["GET", "DELETE"] {
        let client = gateway.client().bearer(issuer.mint()).header("mcp-protocol-version", VERSION);
        let reply = client.request(method, PATH).await;
        reply.assert_refused(405, "method_not_allowed", "route.method").await;
        assert_eq!((reply.header("allow"), &reply.json()["jsonrpc"]), (Some("POST"), &json!("2.0")));
    }
}

#[tokio::test]
async fn refusals_that_clients_could_take_for_the_older_era_are_json_rpc() {
    let (issuer, _upstream, gateway) = start().await;
    let client = || gateway.client().bearer(issuer.mint());
    let replies = [
        client().post("/nowhere").await,
        client().request("PUT", PATH).await,
        client().header("authorization", "Bearer x").post(PATH).await,
        client().header("content-encoding", "gzip").post(PATH).await,
        client().body("{").post(PATH).await,
        client().post("/notes/mcp/%2e").await,
    ];
    let statuses: Vec<u16> = replies.iter().map(Reply::status).collect();
    assert_eq!(statuses, [404, 405, 400, 415, 400, 404]);
    for reply in replies {
        let answer = reply.json();
        assert_eq!((&answer["jsonrpc"], &answer["id"]), (&json!("2.0"), &Value::Null), "{answer}");
        let code = answer["error"]["code"].as_i64().unwrap();
        // JSON-RPC 2.0 §5.1: ours stay out of the reserved range.
        assert!([-32700, -32600].contains(&code) || !(-32768..=-32000).contains(&code), "{code}");
    }
}

#[tokio::test]
async fn answers_of_the_upstream_that_negotiate_pass_untouched() {
    let (issuer, upstream, gateway) = start().await;
    for (status, code) in [(400, -32602), (400, -32021), (400, -32022), (404, -32601)] {
        let answer = json!({"jsonrpc": "2.0", "id": 7, "error": {"code": code, "message": "m", "data": {"x": [1]}}});
        upstream.answers(status, &answer.to_string());
        let reply = client(&gateway, &issuer, &GOOD, &call("add")).post(PATH).await;
        assert_eq!((reply.status(), reply.json()), (status, answer));
    }
    // A modern head whose body makes no claim is the upstream's to answer: it says which members are missing.
    let bare = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "add"}});
    assert_eq!(client(&gateway, &issuer, &GOOD, &bare).post(PATH).await.status(), 404);
}

#[tokio::test]
async fn both_eras_share_a_route_and_a_connection() {
    let (issuer, upstream, gateway) = start().await;
    let mut connection = gateway.connect().await;
    for _ in 0..2 {
        connection.send(&client(&gateway, &issuer, &GOOD, &call("add")), "POST", PATH).await.assert_served();
        connection.send(&gateway.client().bearer(issuer.mint()), "POST", PATH).await.assert_served();
    }
    assert_eq!(upstream.received().last().unwrap().body, CALL.as_bytes());
    assert_eq!(upstream.received().len(), 4);
}
