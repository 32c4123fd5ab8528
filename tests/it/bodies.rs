//! What a body may be: read whole, read strictly, answered with its id, forwarded byte for byte (threats M1 to M13, D23).

use serde_json::{Value, json};

use crate::support::client::{CALL, Connection};
use crate::support::raw::{post_head, post_head_with};
use crate::support::{Gateway, Issuer, PATH, Reply, start, start_with};

/// Posts a body with a good token.
async fn post(gateway: &Gateway, issuer: &Issuer, body: impl Into<Vec<u8>>) -> Reply {
    gateway.client().bearer(issuer.mint()).body(body).post(PATH).await
}

/// Asserts that each of these bodies gets 400 with this JSON-RPC code and id, and that nothing went upstream.
async fn refused(bodies: &[&[u8]], code: i32, reason: &str, id: Value) {
    let (issuer, _upstream, gateway) = start().await;
    assert!(!bodies.is_empty());
    for body in bodies {
        println!("case: {}", String::from_utf8_lossy(body.get(..body.len().min(300)).unwrap()));
        let reply = post(&gateway, &issuer, *body).await;
        reply.assert_refused(400, "bad_request", reason).await;
        let answer = reply.json();
        assert_eq!((&answer["error"]["code"], &answer["id"]), (&json!(code), &id));
    }
    // The same gateway still serves.
    post(&gateway, &issuer, CALL).await.assert_served();
}

#[tokio::test]
async fn m1_bodies_that_are_no_json_get_parse_error() {
    let bodies: [&[u8]; 12] = [
        b"",
        b" ",
        b"hello",
        b"{",
        b"{\"jsonrpc\":\"2.0\"",
        b"{\"jsonrpc\":\"2.0\",\"method\":\"ping\"",
        b"{'jsonrpc':'2.0'}",
        b"{\"jsonrpc\":\"2.0\",}",
        b"{\"jsonrpc\":\"2.0\",\"method\":\"ping\"} x",
        b"{\"jsonrpc\":\"2.0\",\"method\":\"ping\"}{}",
        b"{\"jsonrpc\":\"2.0\",\"x\":01}",
        b"{\"jsonrpc\":\"2.0\",\"x\":\"\x01\"}",
    ];
    refused(&bodies, -32700, "mcp.parse", Value::Null).await;
    let after_id: &[u8] = br#"{"jsonrpc":"2.0","id":"seven","method":"tools/call","params":{"#;
    refused(&[after_id], -32700, "mcp.parse", json!("seven")).await;
}

#[tokio::test]
async fn m2_bodies_that_are_no_plain_utf_8_get_parse_error() {
    let utf_16: Vec<u8> = CALL.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let utf_16_be: Vec<u8> = CALL.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let with_mark = [b"\xef\xbb\xbf", CALL.as_bytes()].concat();
    let utf_32: Vec<u8> = CALL.chars().flat_map(|c| u32::from(c).to_le_bytes()).collect();
    let utf_32_be: Vec<u8> = CALL.chars().flat_map(|c| u32::from(c).to_be_bytes()).collect();
    let bodies: [&[u8]; 6] = [&with_mark, &utf_16, &utf_16_be, &utf_32, &utf_32_be, b"\xff\xfe{\0}\0"];
    refused(&bodies, -32700, "mcp.encoding", Value::Null).await;
    let after_id = b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"params\":{\"x\":\"\xc3\x28\"}}";
    let overlong = b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"params\":{\"x\":\"\xc0\xaf\"}}";
    let surrogate = b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"params\":{\"x\":\"\xed\xa0\x80\"}}";
    // A piece is judged as text before it is read as JSON, so its id may be unknown; nothing is forwarded either way.
    let (issuer, _upstream, gateway) = start().await;
    for body in [&after_id[..], overlong, surrogate] {
        let reply = post(&gateway, &issuer, body).await;
        reply.assert_refused(400, "bad_request", "mcp.encoding").await;
        assert_eq!(reply.json()["error"]["code"], -32700);
    }
}

#[tokio::test]
async fn m4_batches_are_refused_whatever_their_length() {
    let many = format!("[{}]", [CALL; 200].join(","));
    let one = format!("[{CALL}]");
    refused(&[b"[]", one.as_bytes(), many.as_bytes(), b"[[]]", b"[1]"], -32600, "mcp.batch", Value::Null).await;
}

#[tokio::test]
async fn m5_members_that_decide_and_stand_twice_are_refused() {
    let bodies = [
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call","params":{"name":"x"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","met\u0068od":"tools/call","params":{"name":"x"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","Method":"tools/call","params":{"name":"x"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","name":"b"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","NAME":"b"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"},"params":{"name":"b"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"},"param\u017f":{"name":"b"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"a:b","uri":"a:c"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":{},"_meta":{}}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2025-11-25","io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tasks/get","params":{"taskId":"a","taskId":"b"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{"ref":{"type":"ref/prompt","name":"a","name":"b"}}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"resources/subscribe","params":{"__proto__":{"uri":"a:b"}}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"notifications":{"__pro\u0074o__":{}}}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{},"__proto__":{"method":"ping"}}"#,
    ];
    let bodies: Vec<&[u8]> = bodies.iter().map(|body| body.as_bytes()).collect();
    refused(&bodies, -32600, "mcp.duplicate", json!(1)).await;
    // Which of two ids an answer should carry is nothing to guess.
    let (issuer, _upstream, gateway) = start().await;
    let reply = post(&gateway, &issuer, r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#).await;
    reply.assert_refused(400, "bad_request", "mcp.duplicate").await;
    assert_eq!(reply.json()["error"]["code"], -32600);
}

#[tokio::test]
async fn m8_bodies_of_another_shape_are_refused() {
    let with_id = [
        r#"{"id":1,"method":"ping"}"#,
        r#"{"id":1,"jsonrpc":"1.0","method":"ping"}"#,
        r#"{"id":1,"jsonrpc":2.0,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":7}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":null}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":""}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":["delete"]}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":"x"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":7}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":["a"]}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"uri":"x"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"name":"x"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{}}"#,
        r#"{"jsonrpc":"2.0","id":1}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":7}}"#,
    ];
    let with_id: Vec<&[u8]> = with_id.iter().map(|body| body.as_bytes()).collect();
    refused(&with_id, -32600, "mcp.shape", json!(1)).await;
    let without_id = [
        "1",
        "\"ping\"",
        "null",
        "{}",
        r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":true,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","result":{}}"#,
    ];
    let without_id: Vec<&[u8]> = without_id.iter().map(|body| body.as_bytes()).collect();
    refused(&without_id, -32600, "mcp.shape", Value::Null).await;
}

#[tokio::test]
async fn m9_body_that_is_judged_is_forwarded_byte_for_byte() {
    let (issuer, upstream, gateway) = start().await;
    let odd = concat!(
        " {\t\"params\" : {\"arguments\":{\"n\":1.0e+2,\"n\":-0,\"deep\":[[[{}]]]},\"name\":\"a\\u0064d\"},\r\n",
        "\"method\":\"tools\\/call\",\"id\":\"\\u00e9\",\"jsonrpc\":\"2.0\",\"x\":\"ü\"}\n"
    );
    for client in [gateway.client(), gateway.client().http2()] {
        let reply = client.bearer(issuer.mint()).body(odd).post(PATH).await;
        reply.assert_served();
        let line = reply.log().await;
        assert_eq!((line.text("mcp_method"), line.text("mcp_name")), ("tools/call".into(), "add".into()));
        assert_eq!(upstream.received().last().unwrap().body, odd.as_bytes());
    }
    let large = format!("{}{}", CALL, " ".repeat(3 << 20));
    post(&gateway, &issuer, large.as_str()).await.assert_served();
    assert_eq!(upstream.received().last().unwrap().body, large.as_bytes());
}

#[tokio::test]
async fn m9_body_in_many_chunks_is_forwarded_whole() {
    let (issuer, upstream, gateway) = start().await;
    let chunks = CALL.chars().map(|c| format!("1\r\n{c}\r\n")).collect::<Vec<_>>().concat();
    let mut connection = gateway.connect().await;
    let reply = connection.exchange(post_head(&issuer, "Transfer-Encoding: chunked\r\n") + &chunks + "0\r\n\r\n").await;
    reply.assert_served();
    assert_eq!(upstream.only().body, CALL.as_bytes());
}

/// A call whose arguments are nested so deep that the whole document is `depth` deep.
fn nested(depth: usize) -> String {
    let inner = depth - 2;
    let (open, close) = ("[".repeat(inner), "]".repeat(inner));
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"x","arguments":{open}{close}}}}}"#)
}

#[tokio::test]
async fn m10_nesting_over_64_is_refused_without_harm() {
    let (issuer, _upstream, gateway) = start().await;
    post(&gateway, &issuer, nested(64)).await.assert_served();
    for depth in [65, 1000, 1_000_000] {
        let reply = post(&gateway, &issuer, nested(depth)).await;
        reply.assert_refused(400, "bad_request", "mcp.size").await;
        assert_eq!((&reply.json()["error"]["code"], &reply.json()["id"]), (&json!(-32600), &json!(1)));
    }
    let reply = post(&gateway, &issuer, "[".repeat(4 << 20)).await;
    reply.assert_refused(400, "bad_request", "mcp.batch").await;
}

#[tokio::test]
async fn m10_names_that_are_too_long_are_refused() {
    let (issuer, _upstream, gateway) = start().await;
    let call = |method: &str, name: &str| {
        json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": {"name": name}}).to_string()
    };
    post(&gateway, &issuer, call("tools/call", &"n".repeat(4096))).await.assert_served();
    for body in [call("tools/call", &"n".repeat(4097)), call(&"m".repeat(129), "x")] {
        let reply = post(&gateway, &issuer, body).await;
        reply.assert_refused(400, "bad_request", "mcp.size").await;
        assert_eq!((&reply.json()["error"]["code"], &reply.json()["id"]), (&json!(-32600), &json!(1)));
    }
}

#[tokio::test]
async fn m11_media_types_other_than_json_get_415() {
    let (issuer, _upstream, gateway) = start().await;
    for media_type in [
        "text/plain",
        "text/json",
        "application/jsonx",
        "application/json-rpc",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=utf-16",
        "application/json, text/plain",
        "",
    ] {
        println!("case: {media_type}");
        let client = gateway.client().bearer(issuer.mint()).header("content-type", media_type);
        let reply = client.post(PATH).await;
        reply.assert_refused(415, "unsupported_media_type", "mcp.type").await;
        assert_eq!((&reply.json()["error"]["code"], &reply.json()["id"]), (&json!(-32600), &Value::Null));
    }
    for media_type in
        ["application/json", "Application/JSON", "application/json; charset=utf-8", "application/json;charset=UTF-8"]
    {
        let client = gateway.client().bearer(issuer.mint()).header("content-type", media_type);
        client.post(PATH).await.assert_served();
    }
}

#[tokio::test]
async fn m13_encoded_bodies_get_415_and_are_never_inflated() {
    let (issuer, _upstream, gateway) = start().await;
    for coding in ["gzip", "br", "deflate", "identity, gzip", "zstd", "x"] {
        let client = gateway.client().bearer(issuer.mint()).header("content-encoding", coding);
        client.post(PATH).await.assert_refused(415, "unsupported_media_type", "mcp.type").await;
    }
    gateway.client().bearer(issuer.mint()).header("content-encoding", "identity").post(PATH).await.assert_served();
}

#[tokio::test]
async fn responses_and_notifications_of_clients_pass() {
    let (issuer, upstream, gateway) = start().await;
    for body in [
        r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
        r#"{"jsonrpc":"2.0","id":"server-1","result":{"roots":[]}}"#,
        r#"{"jsonrpc":"2.0","id":4,"error":{"code":-1,"message":"no"}}"#,
        r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"no"}}"#,
    ] {
        post(&gateway, &issuer, body).await.assert_served();
        assert_eq!(upstream.received().last().unwrap().body, body.as_bytes());
    }
}

#[tokio::test]
async fn ids_are_repeated_as_they_were_written() {
    let (issuer, _upstream, gateway) = start().await;
    for id in [r#""a\u0062\"c""#, "0", "-7", "1e3", "123456789012345678901234567890", "\"\""] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":[]}}"#);
        let reply = post(&gateway, &issuer, body).await;
        reply.assert_refused(400, "bad_request", "mcp.shape").await;
        assert!(reply.text().contains(&format!("\"id\":{id},")), "{}", reply.text());
    }
}

/// A call of 500 KiB.
fn half_of_it() -> String {
    format!("{}{}", CALL, " ".repeat(500 << 10))
}

/// Asserts that 700 KiB that stall, and this body, are together too much for a MiB; what stalls.
async fn spend_budget(gateway: &Gateway, issuer: &Issuer, whole: &str) -> Option<Connection> {
    let (head, most) = (post_head(issuer, &format!("Content-Length: {}\r\n", 1 << 20)), " ".repeat(700 << 10));
    let mut stalled = None;
    // Whichever comes second is refused; asked again until that is not the one that is held.
    let reply = crate::support::eventually_reply("the budget is spent", async || {
        let mut connection = gateway.connect().await;
        connection.write(format!("{head}{most}")).await;
        stalled = Some(connection);
        let reply = post(gateway, issuer, whole).await;
        (reply.status() == 503).then_some(reply)
    })
    .await;
    reply.assert_failed(503, "temporarily_unavailable", "limit.memory").await;
    assert_eq!(reply.header("retry-after"), Some("1"));
    assert_eq!(reply.json()["error"]["code"], -32603);
    stalled
}

#[tokio::test]
async fn d23_what_one_caller_holds_leaves_room_for_others() {
    let limits = r#"listen.limits = { body_bytes = "1MiB", buffered_bytes = "4MiB", body_timeout = "20s" }"#;
    let (issuer, _upstream, gateway) = start_with(limits).await;
    let whole = half_of_it();
    let _stalled = spend_budget(&gateway, &issuer, whole.as_str()).await;
    // 1024 shares: of these callers at most one could have the same by chance.
    let others = ["bob", "carol", "dave"].map(|name| gateway.client().bearer(issuer.mint().claim("sub", name)));
    let mut served = 0;
    for client in others {
        served += u32::from(client.body(whole.as_str()).post(PATH).await.status() == 200);
    }
    assert!(served >= 2, "{served}");
}

/// Where clients register themselves, one person comes through as many as are wanted.
#[tokio::test]
async fn d23_what_one_person_holds_through_many_clients_leaves_room_for_others() {
    let limits = r#"listen.limits = { body_bytes = "1MiB", buffered_bytes = "4MiB", body_timeout = "20s" }"#;
    let (issuer, _upstream, gateway) = start_with(limits).await;
    let most = " ".repeat(1000 << 10);
    // The share is spent, and stays so while the bodies stall. Two that come at a time may refuse each other: so one by one.
    let small = issuer.mint().claim("client_id", "another");
    let mut stalled = Vec::new();
    crate::support::eventually_reply("the person's share is spent", async || {
        let token = issuer.mint().claim("client_id", format!("client-{}", stalled.len()));
        let head = post_head_with(token, &format!("Content-Length: {}\r\n", 1 << 20));
        let mut connection = gateway.connect().await;
        connection.write(format!("{head}{most}")).await;
        stalled.push(connection);
        let reply = gateway.client().bearer(small.clone()).body(half_of_it()).post(PATH).await;
        (reply.status() == 503).then_some(reply)
    })
    .await;
    // 1024 shares: at most one of these callers could have the same by chance.
    let mut served = 0;
    for name in ["bob", "carol", "dave"] {
        let client = gateway.client().bearer(issuer.mint().claim("sub", name));
        served += u32::from(client.body(half_of_it()).post(PATH).await.status() == 200);
    }
    assert!(served >= 2, "{served}");
}

#[tokio::test]
async fn d23_bodies_over_the_common_budget_get_503_and_others_go_on() {
    let limits = r#"listen.limits = { body_bytes = "1MiB", buffered_bytes = "1MiB", body_timeout = "20s" }"#;
    let (issuer, upstream, gateway) = start_with(limits).await;
    let whole = half_of_it();
    let stalled = spend_budget(&gateway, &issuer, whole.as_str()).await;
    gateway.accepts("a small one beside them", issuer.mint()).await;
    drop(stalled);
    crate::support::eventually_reply("the budget is free again", async || {
        let reply = post(&gateway, &issuer, whole.as_str()).await;
        (reply.status() == 200).then_some(reply)
    })
    .await;
    assert!(upstream.received().iter().all(|request| request.complete));
}
