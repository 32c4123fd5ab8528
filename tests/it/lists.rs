//! Lists without what a policy hides from the caller, byte for byte, wherever they come: JSON, events, resumed streams (threat M22).

use serde_json::{Value, json};

use crate::support::{self, Client, Gateway, Issuer, PATH, Upstream, log, start, start_with, upstream};

/// Tools whose name begins with `delete_` need a scope of their own; the resources of a folder are nobody's.
const POLICY: &str = r#"
    [[routes]]
    name = "notes"
    [routes.policy]
    default = "allow"
    rules = [
      { tools = ["delete_*"], scopes = ["mcp:admin"] },
      { resources = ["file:///private/*"], deny = true },
    ]
"#;

/// As no serializer would write it: blanks, escapes, numbers, unknown members.
const PAGE: &str = "{\"id\" :1e0,\t\"result\": { \"nextCursor\":\"\\u0065\\/\", \"tools\" : [ {\"name\":\"delete_all\",\"n\":1} , \
    {\"name\":\"add\",\"inputSchema\":{\"minimum\":1.0E+2,\"type\":\"object\"}} ,\n {\"name\":\"d\\u0065lete_one\"} ], \
    \"_meta\":{\"tools\":[{\"name\":\"delete_all\"}]}}, \"jsonrpc\":\"2.0\", \"x\":null} ";
/// What is left of it for a caller without the scope.
const SHORT: &str = "{\"id\" :1e0,\t\"result\": { \"nextCursor\":\"\\u0065\\/\", \"tools\" : [ \
    {\"name\":\"add\",\"inputSchema\":{\"minimum\":1.0E+2,\"type\":\"object\"}} ], \
    \"_meta\":{\"tools\":[{\"name\":\"delete_all\"}]}}, \"jsonrpc\":\"2.0\", \"x\":null} ";

const JSON: (&str, &str) = ("content-type", "application/json");
const EVENTS: (&str, &str) = ("content-type", "text/event-stream");

async fn start_hiding() -> (Issuer, Upstream, Gateway) {
    start_with(POLICY).await
}

/// Clients of both versions of HTTP whose token lacks the scope.
fn limited(gateway: &Gateway, issuer: &Issuer) -> [Client; 2] {
    let client = gateway.client().bearer(issuer.mint());
    [client.clone(), client.http2()]
}

/// A client whose token has it.
fn admin(gateway: &Gateway, issuer: &Issuer) -> Client {
    gateway.client().bearer(issuer.mint().claim("scope", "mcp:tools mcp:admin"))
}

/// The answer to a `tools/list` with these entries.
fn tools(names: &[&str]) -> String {
    let tools: Vec<Value> = names.iter().map(|name| json!({"name": name})).collect();
    json!({"jsonrpc": "2.0", "id": 1, "result": {"tools": tools}}).to_string()
}

/// Asserts that this answer of the upstream is refused, and that nothing of it gets through.
async fn assert_unread(gateway: &Gateway, issuer: &Issuer, what: &str) {
    println!("case: {what}");
    for client in limited(gateway, issuer) {
        let reply = client.post(PATH).await;
        reply.assert_failed(502, "bad_gateway", "upstream.list").await;
        assert_eq!(reply.json()["id"], 1);
        assert!(!reply.text().contains("delete_"), "{}", reply.text());
        assert_eq!(reply.header("content-encoding"), None);
    }
}

#[tokio::test]
async fn m22_hidden_tools_are_absent_in_json_on_every_page_and_all_else_stays() {
    let (issuer, upstream, gateway) = start_hiding().await;
    let fields = [JSON, ("etag", "\"1\""), ("x-other", "stays"), ("content-encoding", "identity")];
    upstream.answers_with(200, &fields, PAGE);
    for page in [json!({}), json!({"cursor": "e/"})] {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": page}).to_string();
        for client in limited(&gateway, &issuer) {
            let reply = client.body(body.as_str()).post(PATH).await;
            assert_eq!((reply.status(), reply.complete, reply.text().as_str()), (200, true, SHORT));
            assert_eq!(reply.header("content-length"), Some(SHORT.len().to_string().as_str()));
            assert_eq!((reply.header("etag"), reply.header("x-other")), (None, Some("stays")));
        }
    }
    let reply = admin(&gateway, &issuer).post(PATH).await;
    assert_eq!((reply.text().as_str(), reply.header("etag")), (PAGE, Some("\"1\"")));
    assert!(upstream.received().iter().all(|request| request.field("accept-encoding") == Some("identity")));
}

#[tokio::test]
async fn m22_hidden_tools_are_absent_in_what_a_task_brings() {
    let (issuer, upstream, gateway) = start_hiding().await;
    upstream.answers_with(200, &[JSON], &tools(&["delete_all", "add"]));
    for method in ["tasks/result", "tasks/get"] {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": {"taskId": "1"}}).to_string();
        for client in limited(&gateway, &issuer) {
            let reply = client.body(body.as_str()).post(PATH).await;
            assert_eq!((reply.status(), reply.text().as_str()), (200, tools(&["add"]).as_str()), "{method}");
        }
    }
}

#[tokio::test]
async fn m22_hidden_tools_are_absent_in_events_and_all_else_stays() {
    let (issuer, mut upstream, gateway) = start_hiding().await;
    upstream.streams_with("content-type: text/event-stream\r\nx-other: stays\r\n");
    for client in limited(&gateway, &issuer) {
        let mut reply = client.open("POST", PATH).await;
        let stream = upstream.stream().await;
        assert_eq!(reply.head.fields.get("x-other"), Some("stays"));
        let list =
            |page: &str| format!("id: 7\r\n: hi\r\ndata: {}\r\nretry: 5\r\n\r\n", page.replace('\n', "\r\ndata: "));
        let (page, short) = (list(PAGE), list(SHORT));
        for (sent, wanted) in [
            ("id: 1\ndata:\n\n", "id: 1\ndata:\n\n"),
            (": a comment\n\n", ": a comment\n\n"),
            ("event: ping\ndata: no JSON\n\n", "event: ping\ndata: no JSON\n\n"),
            (&page, &short),
            ("data: {\"jsonrpc\":\"2.0\",\"method\":\"x\"}\n\n", "data: {\"jsonrpc\":\"2.0\",\"method\":\"x\"}\n\n"),
        ] {
            stream.send(sent).await;
            // Each arrives before the next is sent.
            assert_eq!(reply.next().await.as_deref(), Some(wanted));
        }
        let (begin, end) = page.split_at(100);
        stream.send(begin).await;
        stream.send(end).await;
        assert_eq!(reply.next().await, Some(short));
        stream.end().await;
        assert_eq!(reply.next().await, None);
    }
}

#[tokio::test]
async fn m22_hidden_tools_are_absent_in_whole_event_streams() {
    let (issuer, upstream, gateway) = start_hiding().await;
    for end in ["\n\n", "\n", ""] {
        upstream.answers_with(200, &[EVENTS], &format!("data: {}{end}", tools(&["delete_all", "add"])));
        for client in limited(&gateway, &issuer) {
            let reply = client.post(PATH).await;
            assert!(reply.complete, "{:?}", reply.head);
            assert_eq!(reply.text(), format!("data: {}{end}", tools(&["add"])));
        }
    }
}

#[tokio::test]
async fn m22_list_with_nothing_left_is_empty() {
    let (issuer, upstream, gateway) = start_hiding().await;
    upstream.answers(200, &tools(&["delete_all", "delete_one"]));
    for client in limited(&gateway, &issuer) {
        assert_eq!(client.post(PATH).await.text(), tools(&[]));
    }
}

#[tokio::test]
async fn m22_lists_of_other_kinds_follow_their_own_rules() {
    let (issuer, upstream, gateway) = start_hiding().await;
    let ask = async |method: &str, answer: Value| {
        upstream.answers(200, &answer.to_string());
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": {"uri": "file:///a"}}).to_string();
        gateway.client().bearer(issuer.mint()).body(body).post(PATH).await.json()["result"].clone()
    };
    let entries =
        json!([{"name": "delete_all", "uri": "file:///private/a"}, {"name": "delete_one", "uri": "file:///b"}]);
    let resources = ask("resources/list", json!({"result": {"resources": entries}})).await;
    assert_eq!(resources, json!({"resources": [{"name": "delete_one", "uri": "file:///b"}]}));
    // SEP-2640: what is in a folder is a list of resources too.
    let mut folder = json!({"resources": entries});
    folder["resources"][0]["mimeType"] = json!("inode/directory");
    assert_eq!(ask("resources/directory/read", json!({"result": folder})).await, resources);
    let prompts = json!({"prompts": [{"name": "delete_all"}]});
    assert_eq!(ask("prompts/list", json!({"result": prompts})).await, prompts);
}

#[tokio::test]
async fn m22_list_that_differs_per_caller_is_private_for_every_caller() {
    let (issuer, upstream, gateway) = start_hiding().await;
    for (answer, wanted) in [
        (r#"{"result":{"tools":[],"ttlMs":5}}"#, r#"{"result":{"cacheScope":"private","tools":[],"ttlMs":5}}"#),
        (
            r#"{"result":{"cacheScope":"public","ttlMs":5,"tools":[]}}"#,
            r#"{"result":{"cacheScope":"private","ttlMs":5,"tools":[]}}"#,
        ),
        (r#"{"result":{"tools":[]}}"#, r#"{"result":{"tools":[]}}"#),
    ] {
        upstream.answers(200, answer);
        let [one, two] = limited(&gateway, &issuer);
        for client in [one, two, admin(&gateway, &issuer)] {
            assert_eq!(client.post(PATH).await.text(), wanted);
        }
    }
}

#[tokio::test]
async fn m22_list_that_cannot_be_read_gets_502_and_nothing_of_it_leaks() {
    let (issuer, upstream, gateway) = start_hiding().await;
    let list = tools(&["delete_all"]);
    for body in [
        "",
        "{",
        "no JSON: delete_all",
        &format!("\u{feff}{list}"),
        &format!("{list}{list}"),
        &list.replace("\"result\"", "\"result\":{},\"result\""),
        &list.replace("\"result\"", "\"Result\""),
        &list.replace("\"name\"", "\"name\":\"add\",\"name\""),
        &list.replace("\"name\"", "\"title\""),
        &list.replace("[{", "{\"a\":{").replace("}]", "}}"),
    ] {
        assert_ne!(body, list);
        upstream.answers_bytes(format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n{}0\r\n\r\n",
            if body.is_empty() { String::new() } else { format!("{:x}\r\n{body}\r\n", body.len()) }
        ));
        assert_unread(&gateway, &issuer, body).await;
    }
    for fields in [
        &[JSON, ("content-encoding", "gzip")][..],
        &[EVENTS, ("content-encoding", "br")],
        &[("content-type", "text/plain")],
        &[("content-type", "application/json; charset=utf-16")],
        &[JSON, ("content-type", "text/plain")],
        &[],
    ] {
        upstream.answers_with(200, fields, &list);
        assert_unread(&gateway, &issuer, &format!("{fields:?}")).await;
    }
    upstream.answers_with(206, &[JSON], &list);
    assert_unread(&gateway, &issuer, "a part").await;
}

#[tokio::test]
async fn m22_list_over_the_bound_gets_502() {
    let (issuer, upstream, gateway) = start_hiding().await;
    let list = tools(&["delete_all"]);
    let padded = |bytes: usize| list.clone() + &" ".repeat(bytes - list.len());
    upstream.answers(200, &padded((16 << 20) + 1));
    assert_unread(&gateway, &issuer, "a length over the bound").await;
    let chunk = padded(9 << 20);
    let chunks = format!("{:x}\r\n{chunk}\r\n", chunk.len()).repeat(2);
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    upstream.answers_bytes_and_closes(format!("{head}{chunks}0\r\n\r\n"));
    assert_unread(&gateway, &issuer, "chunks over the bound").await;
    upstream.answers(200, &padded(16 << 20));
    let reply = gateway.client().bearer(issuer.mint()).post(PATH).await;
    assert_eq!((reply.status(), reply.complete), (200, true), "at the bound it passes");
}

#[tokio::test]
async fn m22_lists_held_over_the_common_budget_get_503() {
    let (issuer, upstream, gateway) =
        start_with(&format!("listen.limits = {{ body_bytes = \"64KiB\", buffered_bytes = \"1MiB\" }}\n{POLICY}")).await;
    let list = tools(&["add"]);
    upstream.answers(200, &(list.clone() + &" ".repeat(2 << 20)));
    let reply = gateway.client().bearer(issuer.mint()).post(PATH).await;
    reply.assert_failed(503, "temporarily_unavailable", "limit.memory").await;
    upstream.answers(200, &list);
    assert_eq!(gateway.client().bearer(issuer.mint()).post(PATH).await.text(), list);
}

#[tokio::test]
async fn d23_lists_that_nobody_reads_stay_in_their_callers_budget() {
    for media_type in [JSON, EVENTS] {
        println!("case: {media_type:?}");
        let limits = "listen.limits = { body_bytes = \"64KiB\", buffered_bytes = \"64MiB\" }";
        let (issuer, upstream, gateway) = start_with(&format!("{limits}\n{POLICY}")).await;
        let list = tools(&[&"x".repeat(15 << 20)]);
        let text = if media_type == JSON { list } else { format!("data: {list}\n\n") };
        upstream.answers_with(200, &[media_type], &text);
        let unread = gateway.client().bearer(issuer.mint()).open("POST", PATH).await;
        let over = async || {
            let reply = gateway.client().bearer(issuer.mint()).post(PATH).await;
            (reply.status() == 503 || !reply.complete).then_some(reply)
        };
        support::eventually_reply("a full budget", over).await;
        drop(unread);
        let served = async || Some(gateway.client().bearer(issuer.mint()).post(PATH).await).filter(|r| r.complete);
        assert_eq!(support::eventually_reply("a free budget", served).await.text().len(), text.len());
    }
}

#[tokio::test]
async fn m22_list_that_breaks_off_gets_502() {
    let (issuer, upstream, gateway) = start_hiding().await;
    let list = tools(&["add"]);
    let head =
        format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", list.len() + 1);
    upstream.answers_bytes_and_closes(head + &list);
    let reply = gateway.client().bearer(issuer.mint()).post(PATH).await;
    reply.assert_failed(502, "bad_gateway", "upstream.protocol").await;
}

#[tokio::test]
async fn m22_resumed_stream_brings_shortened_lists_and_breaks_on_what_cannot_be_read() {
    let (issuer, mut upstream, gateway) = start_hiding().await;
    upstream.streams();
    for client in limited(&gateway, &issuer) {
        let mut reply = client.open("GET", PATH).await;
        let stream = upstream.stream().await;
        stream.send(&format!("id: 2\ndata: {}\n\n", tools(&["delete_all", "add"]))).await;
        assert_eq!(reply.next().await, Some(format!("id: 2\ndata: {}\n\n", tools(&["add"]))));
        stream.try_send(&format!("data: {}x\n\n", tools(&["delete_all"]))).await;
        assert!(!reply.ends_well().await);
        let line = log::of_request(reply.head.fields.get("x-request-id").unwrap()).await;
        assert_eq!((line.text("event").as_str(), line.text("reason").as_str()), ("broken_off", "upstream.list"));
    }
}

#[tokio::test]
async fn m22_stream_of_the_older_transport_brings_shortened_lists() {
    let (issuer, mut upstream) = (Issuer::start().await, Upstream::start().await);
    let messages = format!("upstream_messages = \"http://{}/messages\"", upstream.authority());
    let changes = POLICY.replace("name = \"notes\"", &format!("name = \"notes\"\n{messages}"));
    let gateway = Gateway::start_with(&issuer, &upstream, &changes).await;
    upstream.streams();
    let mut reply = gateway.client().bearer(issuer.mint()).open("GET", PATH).await;
    let stream = upstream.stream().await;
    stream.send("event: endpoint\ndata: /messages?session=1\n\n").await;
    assert!(reply.next().await.unwrap().starts_with("event: endpoint\ndata: /notes/mcp?sessionId="));
    stream.send(&format!("event: message\ndata: {}\n\n", tools(&["delete_all", "add"]))).await;
    assert_eq!(reply.next().await, Some(format!("event: message\ndata: {}\n\n", tools(&["add"]))));
}

#[tokio::test]
async fn m22_answers_of_a_batch_are_shortened_one_by_one() {
    let policy = POLICY.replace("name = \"notes\"", "name = \"notes\"\nbatches = true");
    let (issuer, upstream, gateway) = start_with(&policy).await;
    let both = |names: &[&str]| format!("[ {} , {{\"id\":2,\"error\":{{}}}},{}]", tools(names), tools(names));
    upstream.answers(200, &both(&["delete_all", "add"]));
    let body = format!("[{},{}]", crate::support::client::CALL, r#"{"jsonrpc":"2.0","id":2,"method":"ping"}"#);
    let reply = gateway.client().bearer(issuer.mint()).body(body).post(PATH).await;
    assert_eq!(reply.text(), both(&["add"]));
}

#[tokio::test]
async fn m22_answers_that_say_all_by_their_status_lose_what_cannot_be_read() {
    let (issuer, upstream, gateway) = start_hiding().await;
    let list = tools(&["delete_all"]);
    let text = ("content-type", "text/plain");
    for (status, field) in [(202, text), (404, text), (405, text), (500, ("content-encoding", "gzip")), (400, JSON)] {
        upstream.answers_with(status, &[field], &format!("{list} and more"));
        for client in limited(&gateway, &issuer) {
            for reply in [client.clone().post(PATH).await, client.get(PATH).await] {
                assert_eq!((reply.status(), reply.complete, reply.text().as_str()), (status, true, ""));
                assert_eq!((reply.header("content-type"), reply.header("content-encoding")), (None, None));
            }
        }
    }
    let error = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"no"}}"#;
    for (status, body) in [(404, error), (400, error), (202, "")] {
        upstream.answers(status, body);
        for client in limited(&gateway, &issuer) {
            let reply = client.post(PATH).await;
            assert_eq!((reply.status(), reply.text().as_str()), (status, body));
            assert_eq!(reply.header("content-type"), Some("application/json"));
        }
    }
    upstream.answers(404, &list);
    assert_eq!(gateway.client().bearer(issuer.mint()).post(PATH).await.text(), tools(&[]));
}

#[tokio::test]
async fn m22_other_answers_of_the_route_pass_untouched() {
    let (issuer, upstream, gateway) = start_hiding().await;
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"add"}}"#;
    let fields = [("content-type", "text/plain"), ("content-encoding", "gzip"), ("etag", "\"1\"")];
    upstream.answers_with(200, &fields, "delete_all");
    let client = gateway.client().bearer(issuer.mint()).header("accept-encoding", "gzip");
    let reply = client.clone().body(body).post(PATH).await;
    assert_eq!((reply.text().as_str(), reply.header("content-encoding")), ("delete_all", Some("gzip")));
    assert_eq!(reply.header("etag"), Some("\"1\""));
    assert_eq!(upstream.only().field("accept-encoding"), Some("gzip"));
}

#[tokio::test]
async fn m22_list_that_comes_as_another_requests_answer_of_the_session_is_shortened() {
    let (issuer, mut upstream, gateway) = start_hiding().await;
    let session = ("mcp-session-id", "s-1");
    upstream.answers_with(200, &[JSON, session], upstream::ANSWER);
    let id = gateway.client().bearer(issuer.mint()).post(PATH).await.header("mcp-session-id").unwrap().to_owned();
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"add"}}"#;
    let client = gateway.client().bearer(issuer.mint()).header("mcp-session-id", &id).body(body);
    upstream.answers_with(200, &[JSON], &tools(&["delete_all", "add"]));
    assert_eq!(client.clone().post(PATH).await.text(), tools(&["add"]));
    upstream.streams();
    let mut reply = client.open("POST", PATH).await;
    let stream = upstream.stream().await;
    stream.send(&format!("data: {}\n\n", tools(&["delete_all", "add"]))).await;
    assert_eq!(reply.next().await, Some(format!("data: {}\n\n", tools(&["add"]))));
    stream.end().await;
}

#[tokio::test]
async fn m22_call_of_a_hidden_tool_gets_403() {
    let (issuer, upstream, gateway) = start_hiding().await;
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"delete_all"}}"#;
    let reply = gateway.client().bearer(issuer.mint()).body(body).post(PATH).await;
    assert_eq!((reply.status(), reply.challenge().error()), (403, Some("insufficient_scope")));
    assert!(upstream.received().is_empty());
    admin(&gateway, &issuer).body(body).post(PATH).await.assert_served();
}

#[tokio::test]
async fn m22_where_nothing_can_be_hidden_lists_pass_untouched_and_unheld() {
    let (issuer, mut upstream, gateway) = start().await;
    for text in [PAGE, "no JSON"] {
        upstream.answers_with(200, &[JSON, ("content-encoding", "x")], text);
        for client in limited(&gateway, &issuer) {
            let reply = client.header("accept-encoding", "x").post(PATH).await;
            assert_eq!((reply.status(), reply.text().as_str()), (200, text));
            assert_eq!(upstream.received().last().unwrap().field("accept-encoding"), Some("x"));
        }
    }
    for (media_type, method) in
        [("application/json", "POST"), ("text/event-stream", "POST"), ("text/event-stream", "GET")]
    {
        upstream.streams_with(&format!("content-type: {media_type}\r\n"));
        for client in limited(&gateway, &issuer) {
            let mut reply = client.open(method, PATH).await;
            let stream = upstream.stream().await;
            for piece in ["data: {\"result\":", "{\"tools\":[", "{}", "\n"] {
                stream.send(piece).await;
                assert_eq!(reply.next().await.as_deref(), Some(piece), "{media_type}");
            }
            stream.end().await;
            assert_eq!(reply.next().await, None);
        }
    }
}
