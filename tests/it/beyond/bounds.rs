//! Rule 7: every queue, map, cache, buffer and wait has a limit.

use std::time::{Duration, Instant};

use tokio::io::AsyncReadExt;

use crate::http2::{PSEUDO, post};
use crate::support::client::Handshake;
use crate::support::http2::{Outcome, RawHttp2};
use crate::support::{PATH, log, mint, start, start_with};

/// Half a second for a whole answer; clients may take nothing for longer than that.
const HURRIED: &str = "routes = [{ name = \"notes\", timeouts = { total = \"500ms\", response = \"500ms\" } }]";

/// A client that takes a large answer in drops never takes nothing, and the upstream is never slow: the answer's time is over all
/// the same.
#[tokio::test]
async fn x7a_answer_that_a_client_takes_in_drops_ends_with_its_time() {
    let (issuer, mut upstream, gateway) = start_with(HURRIED).await;
    upstream.streams_with("content-type: application/json\r\n");
    let id = mint::unique();
    let client = gateway.client().bearer(issuer.mint().claim("jti", id.clone()));
    let mut reader = client.tls(Handshake::default().config().into(), "mcp.example.com").await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut reader, &client.text("POST", PATH)).await.unwrap();
    let stream = upstream.stream().await;
    let filling = async {
        let piece = " ".repeat(64 * 1024);
        while stream.try_send(&piece).await {}
    };
    let start = Instant::now();
    let dripping = async {
        let mut drop = [0; 16 * 1024];
        while reader.read(&mut drop).await.is_ok_and(|taken| taken > 0) && start.elapsed() < Duration::from_secs(8) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::join!(filling, dripping);
    assert!(start.elapsed() < Duration::from_secs(6), "{:?}", start.elapsed());
    assert_eq!(log::of_token(&id).await.text("reason"), "upstream.total");
}

/// HPACK bomb (CVE-2016-1544): one long field in the dynamic table, then thousands of references of one byte each.
#[tokio::test]
async fn x7b_head_that_grows_when_it_is_decoded_is_refused() {
    let (issuer, upstream, gateway) = start().await;
    let mut connection = RawHttp2::connect(&gateway.client()).await;
    connection.repeated_field(&PSEUDO, "x-bomb", &"x".repeat(3900), 12_000).await;
    let outcome = connection.outcome(1).await;
    let refused = matches!(outcome, Outcome::Reset(_) | Outcome::GoAway(_) | Outcome::Answered(431) | Outcome::Closed);
    assert!(refused, "{outcome:?}");
    assert!(upstream.received().is_empty());
    gateway.accepts("beside it", issuer.mint()).await;
}

/// An upstream that never comes to the point: interim answers, fields and lines without end.
#[tokio::test]
async fn x7c_answer_without_an_end_to_its_head_gets_502_or_504() {
    let (issuer, upstream, gateway) = start_with(HURRIED).await;
    for (what, bytes) in [
        ("interim answers", "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n".repeat(20_000)),
        ("interim answers of another kind", "HTTP/1.1 199 X\r\n\r\n".repeat(50_000)),
        ("many fields", format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(5_000))),
        ("a long field", format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(2 << 20))),
        ("a long reason", format!("HTTP/1.1 200 {}\r\n\r\n", "y".repeat(2 << 20))),
        ("blank lines", "\r\n".repeat(1 << 20)),
    ] {
        println!("case: {what}");
        upstream.answers_bytes(bytes);
        let start = Instant::now();
        let reply = gateway.client().bearer(issuer.mint()).post(PATH).await;
        let line = reply.log().await;
        assert!([502, 504].contains(&reply.status()), "{} {line:?}", reply.status());
        assert!(line.text("reason").starts_with("upstream."), "{line:?}");
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    }
    upstream.answers(200, crate::support::upstream::ANSWER);
    gateway.accepts("afterwards", issuer.mint()).await;
}

/// Frames that carry nothing cost nothing to send: a body of them makes no progress, however many come.
#[tokio::test]
async fn x7d_body_of_empty_frames_makes_no_progress() {
    let (issuer, upstream, gateway) = start_with("listen.limits = { body_timeout = \"400ms\" }").await;
    let bearer = format!("Bearer {}", issuer.mint());
    let common = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let fields: Vec<_> = post().into_iter().chain(common).collect();
    let mut connection = RawHttp2::connect(&gateway.client()).await;
    let stream = connection.head(&fields, false).await;
    let start = Instant::now();
    let flooding = async {
        while start.elapsed() < Duration::from_millis(1500) {
            for _ in 0..100 {
                connection.data(stream, b"", false).await;
            }
            tokio::task::yield_now().await;
        }
    };
    let honest = async {
        for _ in 0..5 {
            gateway.accepts("beside the flood", issuer.mint()).await;
        }
    };
    tokio::join!(flooding, honest);
    let outcome = connection.outcome(stream).await;
    assert!(matches!(outcome, Outcome::Answered(408) | Outcome::Reset(_) | Outcome::GoAway(_)), "{outcome:?}");
    assert_eq!(upstream.received().len(), 5);
}
