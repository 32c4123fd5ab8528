//! Two principals and two tenants against each other, on everything that one of them could take from the other: sessions,
//! streams, resumption, lists, limits.

use serde_json::{Value, json};

use crate::support::client::CALL;
use crate::support::{Client, Gateway, Issuer, Mint, PATH, Upstream, start_with};

/// One route for all tenants; what is hidden and limited depends on who asks.
const SHARED: &str = r#"
    [[routes]]
    name = "notes"
    limits = [
      { per = ["tenant", "subject"], requests = 60, window = "1h", burst = 30 },
      { per = ["subject", "tool"], requests = 60, window = "1h", burst = 2 },
      { per = ["subject"], streams = 2 },
    ]
    [routes.policy]
    default = "allow"
    rules = [
      { tools = ["acme_*"], tenants = ["acme"] },
      { tools = ["alice_*"], subjects = ["alice"] },
      { tools = ["app_*"], clients = ["client-1"] },
    ]
"#;

/// What makes a caller another one than the default (`alice` of `acme` through `client-1`).
type Other = (&'static str, fn(Mint) -> Mint);

const OTHERS: [Other; 3] = [
    ("another subject", |mint| mint.claim("sub", "bob")),
    ("another tenant", |mint| mint.claim("tenant", "globex")),
    ("another client", |mint| mint.claim("client_id", "client-2")),
];

const SESSION: &str = "upstream-session-1";

/// The upstream opens a session; the id that `alice` is given for it.
async fn open_session(gateway: &Gateway, issuer: &Issuer, upstream: &Upstream) -> String {
    let answer = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;
    let head =
        format!("content-type: application/json\r\nmcp-session-id: {SESSION}\r\ncontent-length: {}", answer.len());
    upstream.answers_bytes(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{answer}"));
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {}}).to_string();
    let reply = gateway.client().bearer(issuer.mint()).body(body).post(PATH).await;
    reply.header("mcp-session-id").unwrap().to_owned()
}

fn with_session(gateway: &Gateway, token: Mint, session: &str) -> Client {
    gateway.client().bearer(token).header("mcp-session-id", session)
}

#[tokio::test]
async fn m20_nobody_reaches_a_session_of_another() {
    let (issuer, upstream, gateway) = start_with(SHARED).await;
    let session = open_session(&gateway, &issuer, &upstream).await;
    assert_ne!(session, SESSION);
    for (what, other) in OTHERS {
        for method in ["POST", "GET", "DELETE"] {
            println!("case: {what}, {method}");
            let reply = with_session(&gateway, other(issuer.mint()), &session).request(method, PATH).await;
            reply.assert_refused(404, "not_found", "mcp.session").await;
        }
    }
    with_session(&gateway, issuer.mint(), &session).post(PATH).await;
    assert_eq!(upstream.received().last().unwrap().field("mcp-session-id"), Some(SESSION));
}

#[tokio::test]
async fn m20_nobody_resumes_a_stream_of_another() {
    let (issuer, mut upstream, gateway) = start_with(SHARED).await;
    let session = open_session(&gateway, &issuer, &upstream).await;
    upstream.streams();
    for (what, other) in OTHERS {
        println!("case: {what}");
        let client = with_session(&gateway, other(issuer.mint()), &session).header("last-event-id", "event-5");
        client.get(PATH).await.assert_refused(404, "not_found", "mcp.session").await;
        // Neither with the event's id alone: an upstream that knows it by heart must not be asked.
        let client = gateway.client().bearer(other(issuer.mint())).header("last-event-id", "event-5");
        client.get(PATH).await.assert_refused(404, "not_found", "mcp.session").await;
    }
    let client = with_session(&gateway, issuer.mint(), &session).header("last-event-id", "event-5");
    let _reply = client.open("GET", PATH).await;
    let _stream = upstream.stream().await;
    let received = upstream.received().pop().unwrap();
    assert_eq!((received.field("last-event-id"), received.field("mcp-session-id")), (Some("event-5"), Some(SESSION)));
}

#[tokio::test]
async fn streams_of_one_caller_take_no_place_of_another() {
    let (issuer, mut upstream, gateway) = start_with(SHARED).await;
    upstream.streams();
    let mut open = Vec::new();
    for _ in 0..2 {
        open.push((gateway.client().bearer(issuer.mint()).open("GET", PATH).await, upstream.stream().await));
    }
    let reply = gateway.client().bearer(issuer.mint()).get(PATH).await;
    reply.assert_refused(429, "too_many_requests", "limit.streams").await;
    let bob = gateway.client().bearer(issuer.mint().claim("sub", "bob"));
    open.push((bob.open("GET", PATH).await, upstream.stream().await));
    // A message on one stream is seen on that one alone.
    open[0].1.send("data: \"for the first\"\n\n").await;
    assert_eq!(open[0].0.next().await.as_deref(), Some("data: \"for the first\"\n\n"));
    for (_, stream) in &open[1..] {
        stream.send(":\n\n").await;
    }
    for (reply, _) in &mut open[1..] {
        assert_eq!(reply.next().await.as_deref(), Some(":\n\n"));
    }
}

/// The names of the tools that a caller is shown.
async fn shown(gateway: &Gateway, token: Mint) -> Vec<String> {
    let reply = gateway.client().bearer(token).body(CALL).post(PATH).await;
    assert_eq!(reply.status(), 200, "{}", reply.text());
    let tools = reply.json()["result"]["tools"].clone();
    tools.as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn m22_each_caller_is_shown_what_that_caller_may_call() {
    let (issuer, upstream, gateway) = start_with(SHARED).await;
    let names = ["acme_a", "alice_a", "app_a", "free"];
    let tools: Vec<Value> = names.iter().map(|name| json!({"name": name, "inputSchema": {}})).collect();
    upstream.answers(200, &json!({"jsonrpc": "2.0", "id": 1, "result": {"tools": tools}}).to_string());
    assert_eq!(shown(&gateway, issuer.mint()).await, names);
    let expected = [["acme_a", "app_a", "free"], ["alice_a", "app_a", "free"], ["acme_a", "alice_a", "free"]];
    for ((what, other), expected) in OTHERS.into_iter().zip(expected) {
        // Alice asks in between: nothing of one answer shows in the next.
        assert_eq!(shown(&gateway, other(issuer.mint())).await, expected, "{what}");
        assert_eq!(shown(&gateway, issuer.mint()).await, names);
    }
    for (name, other) in [("alice_a", OTHERS[0].1), ("acme_a", OTHERS[1].1), ("app_a", OTHERS[2].1)] {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name}}).to_string();
        let reply = gateway.client().bearer(other(issuer.mint())).body(body).post(PATH).await;
        reply.assert_refused(403, "forbidden", "authz.tool").await;
    }
}

#[tokio::test]
async fn d20_nobody_spends_what_belongs_to_another() {
    let (issuer, _upstream, gateway) = start_with(SHARED).await;
    let call = |token: Mint| {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "free"}}).to_string();
        gateway.client().bearer(token).body(body).post(PATH)
    };
    for _ in 0..2 {
        call(issuer.mint()).await.assert_served();
    }
    call(issuer.mint()).await.assert_refused(429, "too_many_requests", "limit.rate").await;
    // Alice is one subject, whatever her tenant and client: these limits are hers. Bob has his own.
    call(issuer.mint().claim("tenant", "globex")).await.assert_refused(429, "too_many_requests", "limit.rate").await;
    call(issuer.mint().claim("sub", "bob")).await.assert_served();
}
