//! Every wait has an end (threats D1, D4, D24). Waits are configured short; assertions leave room for a busy machine.

use std::time::{Duration, Instant};

use http_body_util::BodyExt as _;
use hyper::client::conn::http2;
use hyper_util::rt::TokioExecutor;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};

use crate::support::client::CALL;
use crate::support::gateway::route;
use crate::support::log;
use crate::support::raw::post_head;
use crate::support::{Gateway, Issuer, PATH, Upstream, start_with};

/// Longer than every wait configured here, shorter than every default.
const SOON: Duration = Duration::from_secs(4);

fn limits(text: &str) -> String {
    format!("listen.limits = {{ {text} }}")
}

fn timeouts(text: &str) -> String {
    format!("routes = [{{ name = \"notes\", timeouts = {{ {text} }} }}]")
}

#[tokio::test]
async fn d1_half_sent_head_gets_408() {
    let (_issuer, upstream, gateway) = start_with(&limits("header_timeout = \"300ms\"")).await;
    let start = Instant::now();
    let mut connection = gateway.connect().await;
    let reply = connection.exchange(format!("POST {PATH} HTTP/1.1\r\nHost: mcp.exa")).await;
    reply.assert_refused(408, "request_timeout", "conn.head_timeout").await;
    connection.assert_closed().await;
    assert!((Duration::from_millis(250)..SOON).contains(&start.elapsed()), "{:?}", start.elapsed());
    assert!(upstream.received().is_empty());
}

#[tokio::test]
async fn d1_head_that_drips_gets_408_whatever_trickles_in() {
    let (_issuer, _upstream, gateway) = start_with(&limits("header_timeout = \"500ms\"")).await;
    let start = Instant::now();
    let mut connection = gateway.connect().await;
    connection.write(format!("POST {PATH} HTTP/1.1\r\n")).await;
    for _ in 0..30 {
        connection.write("x: y\r\n").await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let reply = connection.reply().await;
    assert_eq!(reply.status(), 408);
    assert_eq!(reply.log().await.text("reason"), "conn.head_timeout");
    assert!(start.elapsed() < SOON);
}

#[tokio::test]
async fn d1_second_head_on_a_connection_is_timed_too() {
    let (issuer, _upstream, gateway) = start_with(&limits("header_timeout = \"300ms\"")).await;
    let mut connection = gateway.connect().await;
    connection.send(&gateway.client().bearer(issuer.mint()), "POST", PATH).await.assert_served();
    let reply = connection.exchange("GET / HT").await;
    reply.assert_refused(408, "request_timeout", "conn.head_timeout").await;
    connection.assert_closed().await;
}

#[tokio::test]
async fn idle_connections_are_closed() {
    let (issuer, _upstream, gateway) = start_with(&limits("idle_timeout = \"300ms\"")).await;
    let client = gateway.client().bearer(issuer.mint());
    let start = Instant::now();
    let mut fresh = gateway.connect().await;
    fresh.assert_closed().await;
    let mut used = gateway.connect().await;
    used.send(&client, "POST", PATH).await.assert_served();
    used.assert_closed().await;
    let mut http2 = gateway.connect_http2().await;
    http2.send(&client, "POST", PATH).await.assert_served();
    http2.closed().await;
    assert!(start.elapsed() < 3 * SOON, "{:?}", start.elapsed());
}

#[tokio::test]
async fn connection_with_an_open_stream_is_not_idle() {
    let (issuer, mut upstream, gateway) = start_with(&limits("idle_timeout = \"200ms\"")).await;
    upstream.streams();
    for client in [gateway.client(), gateway.client().http2()] {
        let mut reply = client.bearer(issuer.mint()).open("GET", PATH).await;
        let stream = upstream.stream().await;
        tokio::time::sleep(Duration::from_millis(700)).await;
        stream.send("data: still here\n\n").await;
        assert_eq!(reply.next().await.as_deref(), Some("data: still here\n\n"));
    }
}

#[tokio::test]
async fn d4_body_that_stalls_gets_408() {
    let (issuer, upstream, gateway) = start_with(&limits("body_timeout = \"300ms\"")).await;
    let mut connection = gateway.connect().await;
    let start = Instant::now();
    let reply = connection.exchange(post_head(&issuer, "Content-Length: 1000\r\n") + "{\"half\":").await;
    reply.assert_refused(408, "request_timeout", "conn.body_timeout").await;
    connection.assert_closed().await;
    assert!((Duration::from_millis(250)..SOON).contains(&start.elapsed()), "{:?}", start.elapsed());
    assert!(upstream.received().is_empty());
}

#[tokio::test]
async fn d4_body_that_trickles_gets_408() {
    let (issuer, upstream, gateway) = start_with(&limits("body_timeout = \"500ms\"")).await;
    let mut connection = gateway.connect().await;
    connection.write(post_head(&issuer, "Content-Length: 100000\r\n")).await;
    let start = Instant::now();
    for _ in 0..60 {
        connection.write(" ").await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let reply = connection.reply().await;
    assert_eq!(reply.status(), 408);
    assert_eq!(reply.log().await.text("reason"), "conn.body_timeout");
    assert!(start.elapsed() < SOON + Duration::from_secs(3));
    assert!(upstream.received().is_empty());
}

#[tokio::test]
async fn d4_http2_body_that_stalls_is_refused() {
    use crate::support::http2::{Outcome, RawHttp2};
    let (issuer, upstream, gateway) = start_with(&limits("body_timeout = \"300ms\"")).await;
    let bearer = format!("Bearer {}", issuer.mint());
    let fields = [
        (":method", "POST"),
        (":scheme", "https"),
        (":authority", "mcp.example.com"),
        (":path", PATH),
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
    ];
    let mut connection = RawHttp2::connect(&gateway.client()).await;
    let stream = connection.head(&fields, false).await;
    connection.data(stream, b"{", false).await;
    let outcome = connection.outcome(stream).await;
    assert!(matches!(outcome, Outcome::Answered(408) | Outcome::Reset(_)), "{outcome:?}");
    assert!(upstream.received().is_empty());
}

#[tokio::test]
async fn d5_body_is_not_awaited_without_a_good_token() {
    let (issuer, _upstream, gateway) = start_with("").await;
    let start = Instant::now();
    let mut connection = gateway.connect().await;
    let head = post_head(&issuer, "Content-Length: 1000\r\n").replace("Authorization", "X-Not-Authorization");
    let reply = connection.exchange(head).await;
    reply.assert_refused(401, "unauthorized", "auth.missing").await;
    assert!(start.elapsed() < SOON);
}

#[tokio::test]
async fn client_that_takes_nothing_is_cut_off() {
    let (issuer, mut upstream, gateway) = start_with(&limits("write_timeout = \"500ms\"")).await;
    upstream.streams();
    let mut connection = gateway.connect().await;
    connection.write(gateway.client().bearer(issuer.mint()).text("GET", PATH)).await;
    let stream = upstream.stream().await;
    stream.fill(64 << 20).await;
    stream.gone().await;
}

#[tokio::test]
async fn http2_client_that_opens_no_window_is_cut_off() {
    let (issuer, mut upstream, gateway) = start_with(&limits("write_timeout = \"500ms\"")).await;
    upstream.streams();
    let mut connection = gateway.connect_http2().await;
    let client = gateway.client().bearer(issuer.mint());
    // The connection's own task keeps reading frames; the body is never taken, so no window opens.
    let _unread = connection.call(&client, "GET", PATH).await.unwrap();
    let stream = upstream.stream().await;
    stream.fill(64 << 20).await;
    stream.gone().await;
}

/// The library begins with a whole piece when the window has room for one byte.
#[tokio::test]
async fn d4_http2_client_that_takes_one_byte_of_an_answer_is_cut_off() {
    let (issuer, upstream, gateway) = start_with(&limits("write_timeout = \"500ms\"")).await;
    let client = gateway.client().bearer(issuer.mint());
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder.initial_stream_window_size(1);
    let mut connection = client.connect_http2_by(&builder).await;
    for size in [5 * 1024, 64 * 1024, 1024 * 1024] {
        upstream.answers(200, &"a".repeat(size));
        let answer = connection.call(&client, "POST", PATH).await.unwrap();
        let id = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
        log::of_request(&id).await; // its stream has ended
        answer.into_body().collect().await.unwrap_err();
    }
    upstream.answers(200, "");
    assert_eq!(connection.call(&client, "POST", PATH).await.unwrap().status(), 200, "the connection goes on");
}

#[tokio::test]
async fn d24_upstream_that_never_answers_gets_504() {
    let (issuer, upstream, gateway) = start_with(&timeouts("response = \"300ms\"")).await;
    upstream.never_answers();
    let start = Instant::now();
    let reply = gateway.client().bearer(issuer.mint()).post(PATH).await;
    reply.assert_failed(504, "gateway_timeout", "upstream.timeout").await;
    assert!((Duration::from_millis(250)..SOON).contains(&start.elapsed()), "{:?}", start.elapsed());
    upstream.until("the request is given up", |request| request.gone).await;
}

#[tokio::test]
async fn d24_time_to_send_a_body_is_no_time_of_the_upstream() {
    let (issuer, upstream, gateway) = start_with(&timeouts("response = \"400ms\"")).await;
    let mut connection = gateway.connect().await;
    connection.write(post_head(&issuer, &format!("Content-Length: {}\r\n", CALL.len())) + &CALL[..5]).await;
    tokio::time::sleep(Duration::from_millis(900)).await;
    assert!(upstream.received().is_empty());
    assert_eq!(connection.exchange(&CALL[5..]).await.status(), 200);
}

/// An address that takes no more connections: its queue is full, and what waits in it is never accepted.
async fn full_queue() -> (String, Vec<TcpStream>, tokio::net::TcpListener) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    while let Ok(Ok(stream)) = tokio::time::timeout(Duration::from_millis(300), TcpStream::connect(address)).await {
        waiting.push(stream);
    }
    (format!("http://{address}/mcp"), waiting, listener)
}

#[tokio::test]
async fn d24_upstream_that_takes_no_connection_gets_504() {
    let (issuer, upstream) = (Issuer::start().await, Upstream::start().await);
    let (url, _waiting, _listener) = full_queue().await;
    let changes =
        format!("routes = [{{ name = \"notes\", upstream = \"{url}\", timeouts = {{ connect = \"300ms\" }} }}]");
    let gateway = Gateway::start_with(&issuer, &upstream, &changes).await;
    let start = Instant::now();
    let reply = gateway.client().bearer(issuer.mint()).post(PATH).await;
    reply.assert_failed(504, "gateway_timeout", "upstream.connect_timeout").await;
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
}

#[tokio::test]
async fn d24_stream_that_falls_silent_breaks_off() {
    let (issuer, mut upstream, gateway) = start_with(&timeouts("idle = \"300ms\"")).await;
    upstream.streams();
    for client in [gateway.client(), gateway.client().http2()] {
        let mut reply = client.bearer(issuer.mint()).open("GET", PATH).await;
        let stream = upstream.stream().await;
        for _ in 0..4 {
            stream.send(":\n\n").await;
            assert_eq!(reply.next().await.as_deref(), Some(":\n\n"));
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert!(!reply.ends_well().await);
        stream.gone().await;
        let line = crate::support::log::of_request(reply.head.fields.get("x-request-id").unwrap()).await;
        assert_eq!(line.text("reason"), "upstream.idle");
    }
}

#[tokio::test]
async fn d24_plain_answer_that_takes_too_long_breaks_off() {
    let (issuer, mut upstream, gateway) = start_with(&timeouts("total = \"500ms\"")).await;
    upstream.streams_with("content-type: application/json\r\n");
    let mut reply = gateway.client().bearer(issuer.mint()).open("POST", PATH).await;
    let stream = upstream.stream().await;
    let start = Instant::now();
    while stream.try_send(" ").await {
        assert!(start.elapsed() < SOON, "it goes on");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(!reply.ends_well().await);
    let line = crate::support::log::of_request(reply.head.fields.get("x-request-id").unwrap()).await;
    assert_eq!(line.text("reason"), "upstream.total");
}

#[tokio::test]
async fn event_stream_has_no_total_time() {
    let (issuer, mut upstream, gateway) = start_with(&timeouts("total = \"300ms\"")).await;
    upstream.streams();
    let mut reply = gateway.client().bearer(issuer.mint()).open("POST", PATH).await;
    let stream = upstream.stream().await;
    for _ in 0..8 {
        stream.send(":\n\n").await;
        assert_eq!(reply.next().await.as_deref(), Some(":\n\n"));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    stream.end().await;
    assert_eq!(reply.next().await, None);
}

#[tokio::test]
async fn d24_one_bad_upstream_does_not_hold_up_others() {
    let (issuer, bad, good) = (Issuer::start().await, Upstream::start().await, Upstream::start().await);
    let changes = route("good", "https://mcp.example.com/good/mcp", &good, &[]);
    let gateway = Gateway::start_with(&issuer, &bad, &changes).await;
    bad.never_answers();
    let mut stuck = Vec::new();
    for _ in 0..20 {
        let mut connection = gateway.connect().await;
        connection.write(gateway.client().bearer(issuer.mint()).text("POST", PATH)).await;
        stuck.push(connection);
    }
    bad.until("all are stuck", |_| bad.received().len() == 20).await;
    let start = Instant::now();
    let reply = gateway.client().bearer(issuer.mint_for("https://mcp.example.com/good/mcp")).post("/good/mcp").await;
    assert_eq!(reply.status(), 200);
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}

#[tokio::test]
async fn slow_plain_connection_does_not_hold_up_others() {
    let (issuer, _upstream, gateway) = start_with("").await;
    let mut slow = Vec::new();
    for _ in 0..50 {
        let mut stream = gateway.client().tcp().await;
        stream.write_all(&[0x16]).await.unwrap();
        slow.push(stream);
    }
    gateway.accepts("beside them", issuer.mint()).await;
}

#[tokio::test]
async fn d24_upstream_that_takes_no_body_gets_504() {
    let (issuer, upstream) = (Issuer::start().await, Upstream::start().await);
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let deaf = socket.listen(8).unwrap();
    let changes = format!(
        "listen.limits = {{ body_bytes = \"32MiB\" }}\n\
         routes = [{{ name = \"notes\", upstream = \"http://{}/mcp\", timeouts = {{ response = \"400ms\" }} }}]",
        deaf.local_addr().unwrap()
    );
    let gateway = Gateway::start_with(&issuer, &upstream, &changes).await;
    let start = Instant::now();
    let client = gateway.client().bearer(issuer.mint()).body(CALL.to_owned() + &" ".repeat(16 << 20));
    let mut connection = client.connect_http2().await;
    let call = connection.send(&client, "POST", PATH);
    let reply = tokio::time::timeout(2 * SOON, call).await.expect("an answer");
    assert_eq!(reply.status(), 504);
    assert_eq!(reply.log().await.text("reason"), "upstream.timeout");
    assert!((Duration::from_millis(350)..2 * SOON).contains(&start.elapsed()), "{:?}", start.elapsed());
}
