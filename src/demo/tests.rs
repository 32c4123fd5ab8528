//! The demo as a whole, and the sample server without a gateway in front.

use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::server::{NotesServer, PATH};
use super::*;

#[tokio::test]
async fn every_step_of_the_round_trip_holds() {
    let mut out = Vec::new();
    let outcome = run(true, &mut out).await;
    let text = String::from_utf8(out).unwrap();
    assert!(outcome.is_ok(), "{outcome:?}\n{text}");
    assert_eq!(text.matches('✓').count(), 13, "{text}");
    assert!(!text.contains('✗') && text.contains("x-auth-subject: alice@acme"), "{text}");
    assert!(!text.contains("globex"), "the forged tenant was shown: {text}");
    // A JWT has two dots and its header starts so; only its beginning may be shown.
    assert!(text.split_whitespace().all(|word| !word.starts_with("eyJ") || word.ends_with('…')), "{text}");
}

#[tokio::test]
async fn an_open_gate_is_noticed() {
    let (_server, url) = notes().await;
    let mut out = Vec::new();
    let outcome = round_trip(&client(), &url, &mut Report::new(&mut out)).await;
    let refused = outcome.err().map(|error| error.to_string());
    assert_eq!(refused.as_deref(), Some("call without a token: expected 401, got 200 OK"));
    let text = String::from_utf8(out).unwrap();
    assert_eq!(text, "  ✗ call without a token       expected 401, got 200 OK\n");
}

#[tokio::test]
async fn the_sample_server_reports_whatever_identity_it_was_sent() {
    let (_server, url) = notes().await;
    let whoami = json!({ "name": "whoami", "arguments": {} });
    let nobody = call(&url, &whoami, &[]).await;
    assert!(text(&nobody).starts_with("nobody"), "{nobody:?}");
    let alice = call(&url, &whoami, &[("x-auth-subject", "alice"), ("x-other", "y")]).await;
    assert_eq!(text(&alice), "x-auth-subject: alice");
}

#[tokio::test]
async fn the_sample_server_keeps_notes_and_refuses_long_ones() {
    let (_server, url) = notes().await;
    let add = |note: &str| json!({ "name": "add_note", "arguments": { "text": note } });
    let list = json!({ "name": "list_notes", "arguments": {} });
    assert_eq!(text(&call(&url, &list, &[]).await), "no notes yet");
    assert_eq!(text(&call(&url, &add("one"), &[]).await), "1 notes");
    let long = call(&url, &add(&"x".repeat(1001)), &[]).await;
    assert_eq!(long.last().unwrap()["error"]["code"], -32602);
    assert_eq!(text(&call(&url, &list, &[]).await), "one");
}

#[tokio::test]
async fn counting_reports_each_step() {
    let (_server, url) = notes().await;
    let count = json!({ "name": "count", "arguments": { "steps": 2 }, "_meta": { "progressToken": "t" } });
    let messages = call(&url, &count, &[]).await;
    let steps: Vec<_> = messages.iter().filter_map(|message| message["params"]["progress"].as_f64()).collect();
    assert_eq!(steps, [1.0, 2.0], "{messages:?}");
    assert_eq!(text(&messages), "counted to 2");
}

async fn notes() -> (NotesServer, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = NotesServer::start(listener).unwrap();
    let url = format!("http://{}{PATH}", server.address());
    (server, url)
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// Calls a tool as a modern client does, without a session; every message of the answer.
async fn call(url: &str, params: &Value, headers: &[(&str, &str)]) -> Vec<Value> {
    let mut params = params.clone();
    params["_meta"]["io.modelcontextprotocol/protocolVersion"] = "2026-07-28".into();
    params["_meta"]["io.modelcontextprotocol/clientInfo"] = json!({ "name": "test", "version": "1" });
    params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({});
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
    let mut request = client()
        .post(url)
        .header("content-type", "application/json")
        .header("accept", "application/json, text/event-stream")
        .header("mcp-protocol-version", "2026-07-28")
        .header("mcp-method", "tools/call")
        .header("mcp-name", params["name"].as_str().unwrap());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body = request.body(message.to_string()).send().await.unwrap().text().await.unwrap();
    let data = body.lines().filter_map(|line| line.strip_prefix("data:").or(line.starts_with('{').then_some(line)));
    data.filter_map(|data| serde_json::from_str(data).ok()).collect()
}

/// What the tool said in the end.
fn text(messages: &[Value]) -> &str {
    let last = messages.last().unwrap();
    last["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{last}"))
}
