//! Event streams and large bodies: frame by frame, with back-pressure, and an end that everybody feels (threats M23 to M25).

use std::time::{Duration, Instant};

use crate::support::client::CALL;
use crate::support::raw::post_head;
use crate::support::{Client, Gateway, Issuer, PATH, Upstream, start, start_with};

/// A client of each version of HTTP with a good token.
fn both(gateway: &Gateway, issuer: &Issuer) -> [Client; 2] {
    let client = gateway.client().bearer(issuer.mint());
    [client.clone(), client.http2()]
}

#[tokio::test]
async fn m24_events_pass_one_by_one_and_unchanged() {
    let (issuer, mut upstream, gateway) = start().await;
    upstream.streams();
    for method in ["GET", "POST"] {
        for client in both(&gateway, &issuer) {
            let mut reply = client.header("accept-encoding", "gzip, br").open(method, PATH).await;
            let stream = upstream.stream().await;
            assert_eq!(reply.head.status(), 200);
            assert_eq!(reply.head.fields.get("content-type"), Some("text/event-stream"));
            assert_eq!(reply.head.fields.get("x-accel-buffering"), Some("no"));
            assert_eq!(reply.head.fields.get("content-length"), None);
            assert_eq!(reply.head.fields.get("content-encoding"), None);
            for event in [
                "id: 1\ndata:\n\n",
                ": a comment\n\n",
                "retry: 500\r\n\r\n",
                "event: x\ndata: {\"a\":",
                "1}\n\n",
                "data: \u{fc}\n\n",
            ] {
                stream.send(event).await;
                // Each arrives before the next is sent.
                assert_eq!(reply.next().await.as_deref(), Some(event));
            }
            stream.end().await;
            assert_eq!(reply.next().await, None);
        }
    }
}

#[tokio::test]
async fn m24_head_of_a_stream_arrives_before_its_first_event() {
    let (issuer, mut upstream, gateway) = start().await;
    upstream.streams_with("content-type: text/event-stream; charset=utf-8\r\nmcp-session-id: s-1\r\n");
    for client in both(&gateway, &issuer) {
        let reply = client.open("GET", PATH).await;
        let _silent = upstream.stream().await;
        assert!(reply.head.fields.get("mcp-session-id").is_some());
    }
}

#[tokio::test]
async fn m24_field_against_buffering_is_not_overwritten() {
    let (issuer, mut upstream, gateway) = start().await;
    upstream.streams_with("content-type: text/event-stream\r\nx-accel-buffering: yes\r\n");
    let reply = gateway.client().bearer(issuer.mint()).open("GET", PATH).await;
    let _stream = upstream.stream().await;
    assert_eq!(reply.head.fields.get("x-accel-buffering"), Some("yes"));
}

#[tokio::test]
async fn m25_client_that_leaves_a_stream_is_felt_upstream_within_a_second() {
    let (issuer, mut upstream, gateway) = start().await;
    upstream.streams();
    for client in both(&gateway, &issuer) {
        let mut reply = client.open("POST", PATH).await;
        let stream = upstream.stream().await;
        stream.send("data: 1\n\n").await;
        reply.next().await;
        let id = reply.head.fields.get("x-request-id").unwrap().to_owned();
        let left = Instant::now();
        drop(reply);
        stream.gone().await;
        assert!(left.elapsed() < Duration::from_secs(1), "{:?}", left.elapsed());
        let line = crate::support::log::of_request(&id).await;
        assert_eq!(line.text("reason"), "stream.client_gone");
    }
}

#[tokio::test]
async fn m25_client_that_leaves_is_felt_behind_a_further_request() {
    let (issuer, mut upstream, gateway) = start().await;
    upstream.streams();
    let text = gateway.client().bearer(issuer.mint()).text("POST", PATH);
    for further in [&text[..], &text[..20]] {
        let mut connection = gateway.connect().await;
        connection.write(&text).await;
        let stream = upstream.stream().await;
        connection.write(further).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        drop(connection);
        stream.gone().await;
    }
}

#[tokio::test]
async fn requests_behind_a_stream_wait_for_its_end() {
    let (issuer, mut upstream, gateway) = start_with("listen.limits = { header_timeout = \"100ms\" }").await;
    upstream.streams();
    let text = gateway.client().bearer(issuer.mint()).text("POST", PATH);
    let mut connection = gateway.connect().await;
    connection.write(text.repeat(40)).await;
    for _ in 0..40 {
        let stream = upstream.stream().await;
        tokio::time::sleep(Duration::from_millis(10)).await;
        stream.send("data: 1\n\n").await;
        stream.end().await;
        assert_eq!(connection.reply().await.text(), "data: 1\n\n");
    }
}

#[tokio::test]
async fn m25_client_that_leaves_before_the_answer_is_felt_upstream() {
    let (issuer, upstream, gateway) = start().await;
    upstream.never_answers();
    let mut connection = gateway.connect().await;
    connection.write(gateway.client().bearer(issuer.mint()).text("POST", PATH)).await;
    upstream.until("the request is there", |request| request.complete).await;
    drop(connection);
    upstream.until("the client's end is felt", |request| request.gone).await;
}

#[tokio::test]
async fn m25_reset_http2_stream_is_felt_upstream_and_the_connection_goes_on() {
    let (issuer, upstream, gateway) = start().await;
    upstream.never_answers();
    let mut connection = gateway.connect_http2().await;
    let client = gateway.client().bearer(issuer.mint());
    let call = connection.call(&client, "POST", PATH);
    let left = tokio::time::timeout(Duration::from_millis(300), call).await;
    assert!(left.is_err(), "it was answered");
    upstream.until("the reset is felt", |request| request.gone).await;
    upstream.answers(200, crate::support::upstream::ANSWER);
    connection.send(&client, "POST", PATH).await.assert_served();
}

#[tokio::test]
async fn stream_that_breaks_off_upstream_breaks_off_for_the_client() {
    let (issuer, mut upstream, gateway) = start().await;
    upstream.streams();
    for client in both(&gateway, &issuer) {
        let mut reply = client.open("GET", PATH).await;
        let stream = upstream.stream().await;
        stream.send("data: half\n").await;
        assert_eq!(reply.next().await.as_deref(), Some("data: half\n"));
        stream.cut().await;
        assert!(!reply.ends_well().await);
        let id = reply.head.fields.get("x-request-id").unwrap();
        let line = crate::support::log::of_request(id).await;
        assert_eq!(line.text("reason"), "upstream.protocol");
    }
}

#[tokio::test]
async fn client_that_does_not_read_stops_the_upstream() {
    let (issuer, mut upstream, gateway) = start().await;
    upstream.streams();
    for client in both(&gateway, &issuer) {
        let reply = client.open("GET", PATH).await;
        let stream = upstream.stream().await;
        let most = 64 << 20;
        let taken = stream.fill(most).await;
        assert!(taken < most / 2, "{taken} bytes were taken for a client that reads nothing");
        drop(reply);
    }
}

#[tokio::test]
async fn stream_that_nobody_reads_does_not_block_its_neighbours() {
    let (issuer, mut upstream, gateway) = start().await;
    upstream.streams();
    let mut connection = gateway.connect_http2().await;
    let client = gateway.client().bearer(issuer.mint());
    let _unread = connection.call(&client, "GET", PATH).await.unwrap();
    let stream = upstream.stream().await;
    stream.fill(8 << 20).await;
    upstream.answers(200, crate::support::upstream::ANSWER);
    for _ in 0..3 {
        connection.send(&client, "POST", PATH).await.assert_served();
    }
}

#[tokio::test]
async fn nothing_of_a_request_passes_before_its_body_is_whole() {
    let (issuer, upstream, gateway) = start().await;
    let mut connection = gateway.connect().await;
    let head = post_head(&issuer, &format!("Content-Length: {}\r\n", CALL.len()));
    connection.write(head + &CALL[..10]).await;
    gateway.accepts("beside it", issuer.mint()).await;
    assert_eq!(upstream.received().len(), 1);
    assert_eq!(connection.exchange(&CALL[10..]).await.status(), 200);
    assert_eq!(upstream.received()[1].body, CALL.as_bytes());
}

#[tokio::test]
async fn large_answer_arrives_whole() {
    let (issuer, upstream, gateway) = start().await;
    let body = format!("{{\"x\":\"{}\"}}", "y".repeat(8 << 20));
    upstream.answers(200, &body);
    for client in both(&gateway, &issuer) {
        let reply = client.post(PATH).await;
        assert!(reply.complete && reply.body == body.as_bytes());
    }
}

#[tokio::test]
async fn many_streams_run_side_by_side() {
    let (issuer, mut upstream, gateway) = start().await;
    upstream.streams();
    let mut open = Vec::new();
    for _ in 0..50 {
        let reply = gateway.client().bearer(issuer.mint()).open("GET", PATH).await;
        open.push((reply, upstream.stream().await));
    }
    for (number, (reply, stream)) in open.iter_mut().enumerate() {
        let event = format!("data: {number}\n\n");
        stream.send(&event).await;
        assert_eq!(reply.next().await, Some(event));
    }
}

#[tokio::test]
async fn m23_stream_ends_when_its_token_does() {
    let (issuer, mut upstream, gateway) = start_with(r#"issuers = [{ name = "corp", leeway = "0s" }]"#).await;
    upstream.streams();
    let token = issuer.mint().expires_in(Duration::from_secs(2));
    let mut reply = gateway.client().bearer(token).open("GET", PATH).await;
    let stream = upstream.stream().await;
    stream.send("data: 1\n\n").await;
    reply.next().await;
    // Threat M23 allows 15 s; `gone` waits for 10.
    stream.gone().await;
    assert!(reply.ends_well().await, "it broke off");
    let id = reply.head.fields.get("x-request-id").unwrap();
    let line = crate::support::log::of_request(id).await;
    assert_eq!(line.text("reason"), "stream.expired");
}

#[tokio::test]
async fn encoded_stream_of_the_older_transport_gets_502() {
    let (issuer, upstream) = (Issuer::start().await, Upstream::start().await);
    let changes =
        format!(r#"routes = [{{ name = "notes", upstream_messages = "http://{}/messages" }}]"#, upstream.authority());
    let gateway = Gateway::start_with(&issuer, &upstream, &changes).await;
    upstream.answers_with(200, &[("content-type", "text/event-stream"), ("content-encoding", "deflate")], "x");
    let reply = gateway.client().bearer(issuer.mint()).get(PATH).await;
    reply.assert_failed(502, "bad_gateway", "upstream.protocol").await;
}

/// A request for a modern stream of notifications, under this id.
fn listening(client: Client, id: &str) -> Client {
    let claim = r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"#;
    let params = format!(r#"{{"notifications":{{}},"_meta":{claim}}}"#);
    let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"subscriptions/listen","params":{params}}}"#);
    client.header("mcp-protocol-version", "2026-07-28").header("mcp-method", "subscriptions/listen").body(body)
}

/// The event that ends such a stream (MCP 2026-07-28).
fn farewell(id: &str) -> String {
    let meta = format!(r#"{{"io.modelcontextprotocol/subscriptionId":{id}}}"#);
    let result = format!(r#"{{"resultType":"complete","_meta":{meta}}}"#);
    format!("event: message\ndata: {{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{result}}}\n\n")
}

#[tokio::test]
async fn m23_listening_stream_whose_token_ends_is_answered_first() {
    let (issuer, mut upstream, gateway) = start_with(r#"issuers = [{ name = "corp", leeway = "0s" }]"#).await;
    upstream.streams();
    let mut open = Vec::new();
    let client = gateway.client().bearer(issuer.mint().expires_in(Duration::from_secs(2)));
    for client in [client.clone(), client.http2()] {
        let mut reply = listening(client, "\"l\\u0031\"").open("POST", PATH).await;
        let stream = upstream.stream().await;
        stream.send("data: 1\r\n\r\n").await;
        assert_eq!(reply.next().await.as_deref(), Some("data: 1\r\n\r\n"));
        open.push((reply, stream));
    }
    for (mut reply, stream) in open {
        assert_eq!(reply.next().await, Some(farewell("\"l\\u0031\"")));
        assert_eq!(reply.next().await, None);
        stream.gone().await;
        let line = crate::support::log::of_request(reply.head.fields.get("x-request-id").unwrap()).await;
        assert_eq!(line.text("reason"), "stream.expired");
    }
}

#[tokio::test]
async fn o7_listening_streams_are_answered_when_the_gateway_stops_and_do_not_wait_for_its_grace_time() {
    let (issuer, mut upstream, gateway) = start_with("listen.shutdown_grace = \"20s\"").await;
    upstream.streams();
    let mut open = Vec::new();
    for client in both(&gateway, &issuer) {
        open.push((listening(client, "7").open("POST", PATH).await, upstream.stream().await, farewell("7")));
    }
    for client in both(&gateway, &issuer) {
        let mut reply = listening(client, "8").open("POST", PATH).await;
        let stream = upstream.stream().await;
        stream.send("data: half\n").await;
        assert_eq!(reply.next().await.as_deref(), Some("data: half\n"));
        open.push((reply, stream, String::new()));
    }
    let begun = Instant::now();
    let stopping = tokio::task::JoinSet::from_iter([gateway.shut_down()]);
    for (mut reply, _stream, wanted) in open {
        assert_eq!(reply.next().await.unwrap_or_default(), wanted);
        if !wanted.is_empty() {
            assert_eq!(reply.next().await, None);
        }
    }
    stopping.join_all().await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn listening_stream_in_a_coding_ends_without_an_answer() {
    let (issuer, mut upstream, gateway) = start().await;
    upstream.streams_with("content-type: text/event-stream\r\ncontent-encoding: gzip\r\n");
    let mut open = Vec::new();
    for client in both(&gateway, &issuer) {
        let reply = listening(client.header("accept-encoding", "gzip"), "7").open("POST", PATH).await;
        open.push((reply, upstream.stream().await));
    }
    assert!(upstream.received().iter().all(|request| request.field("accept-encoding") == Some("identity")));
    let stopping = tokio::task::JoinSet::from_iter([gateway.shut_down()]);
    for (mut reply, _stream) in open {
        assert_eq!(reply.next().await, None);
    }
    stopping.join_all().await;
}

#[tokio::test]
async fn listening_stream_is_of_no_known_length_for_an_answer_may_follow_it() {
    let (issuer, upstream, gateway) = start().await;
    upstream.answers_with(200, &[("content-type", "text/event-stream")], "data: 1\n\n");
    for client in both(&gateway, &issuer) {
        let reply = client.clone().post(PATH).await;
        assert_eq!((reply.header("content-length"), reply.text().as_str()), (Some("9"), "data: 1\n\n"));
        let reply = listening(client, "7").post(PATH).await;
        assert_eq!((reply.header("content-length"), reply.text().as_str()), (None, "data: 1\n\n"));
    }
}

#[tokio::test]
async fn listening_stream_that_the_upstream_ends_is_not_answered_twice() {
    let (issuer, mut upstream, gateway) = start().await;
    upstream.streams();
    for client in both(&gateway, &issuer) {
        let mut reply = listening(client, "7").open("POST", PATH).await;
        let stream = upstream.stream().await;
        stream.send(&farewell("7")).await;
        stream.end().await;
        assert_eq!(reply.next().await, Some(farewell("7")));
        assert_eq!(reply.next().await, None);
    }
}
