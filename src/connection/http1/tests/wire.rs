//! Heads and bodies as they come: in pieces, too slowly, too long, not at all.

use std::future::poll_fn;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt as _, poll};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

use super::super::wire::{Next, Wire};
use super::super::*;
use crate::head::Fault;
use crate::head::judge::MAX_REQUEST_LINE_BYTES;
use crate::request::incoming::{Broken, Incoming};

const BOUNDS: HeadBounds = HeadBounds { bytes: 1024, time: Duration::from_secs(10) };

fn connected(bounds: HeadBounds) -> (DuplexStream, Wire<DuplexStream>) {
    let (client, server) = tokio::io::duplex(1 << 20);
    let mut wire = Wire::new(server, bounds);
    wire.expect_head(Instant::now() + Duration::from_mins(1));
    (client, wire)
}

async fn next(wire: &mut Wire<DuplexStream>) -> Next {
    poll_fn(|cx| wire.poll_next(cx)).await
}

async fn fault(wire: &mut Wire<DuplexStream>) -> Option<Fault> {
    if let Next::Refused(fault) = next(wire).await { Some(fault) } else { None }
}

async fn piece(wire: &mut Wire<DuplexStream>) -> Option<Result<Bytes, Broken>> {
    poll_fn(|cx| wire.poll_body(cx)).await
}

/// A request and its body, as one text.
async fn request(wire: &mut Wire<DuplexStream>) -> String {
    let Next::Request(head) = next(wire).await else { return "no request".to_owned() };
    let mut body = Vec::new();
    while let Some(piece) = piece(wire).await {
        body.extend_from_slice(&piece.unwrap());
    }
    format!("{} {} {}", head.method, head.uri, String::from_utf8(body).unwrap())
}

#[tokio::test]
async fn f14_requests_are_read_whatever_the_pieces() {
    let stream = b"\r\nGET /a HTTP/1.1\r\nHost: h\r\n\r\nPOST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nGET\r\n\r\nPOST /c HTTP/1.1\r\n\
                   Host: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nPUT\r\n0\r\n\r\nGET /d HTTP/1.1\r\nHost: h\r\n\r\n";
    for size in [1, 2, 3, 7, 64, 78, stream.len()] {
        let (mut client, mut wire) = connected(BOUNDS);
        let writing = async {
            for piece in stream.chunks(size) {
                client.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
        };
        let reading = async {
            [request(&mut wire).await, request(&mut wire).await, request(&mut wire).await, request(&mut wire).await]
        };
        let (read, ()) = tokio::join!(reading, writing);
        assert_eq!(read, ["GET /a ", "POST /b GET", "POST /c PUT", "GET /d "], "pieces of {size}");
        drop(client);
        assert!(matches!(next(&mut wire).await, Next::End));
    }
}

#[tokio::test]
async fn what_is_read_of_a_head_is_what_stands_there() {
    let (mut client, mut wire) = connected(BOUNDS);
    client.write_all(b"POST http://h:1/a?b HTTP/1.0\r\nHOST:\t h \r\nX-A_b:c: d\t\r\nx-empty:\r\n\r\n").await.unwrap();
    let Next::Request(head) = next(&mut wire).await else { panic!("a request") };
    assert_eq!((head.version, head.uri.to_string()), (Version::HTTP_10, "http://h:1/a?b".to_owned()));
    let fields: Vec<_> = head.fields.iter().collect();
    assert_eq!(fields, [(&b"host"[..], &b"h"[..]), (b"x-a_b", b"c: d"), (b"x-empty", b"")]);
}

#[tokio::test]
async fn h14_a_bad_head_behind_a_good_one_is_refused() {
    let (mut client, mut wire) = connected(BOUNDS);
    client.write_all(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\nGET /b HTTP/1.1\r\n\r\n").await.unwrap();
    assert_eq!(request(&mut wire).await, "GET /a ");
    assert_eq!(fault(&mut wire).await, Some(Fault::Host));
}

#[tokio::test(start_paused = true)]
async fn d1_a_head_that_drips_is_refused_after_its_time_whatever_trickles_in() {
    for drips in [&b"GET / HTTP/1.1\r\nHost: h\r\nx: yyyyyyyyyy"[..], b"\r\n\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1"] {
        let (mut client, mut wire) = connected(BOUNDS);
        let dripping = async {
            for byte in drips {
                client.write_all(&[*byte]).await.unwrap();
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            std::future::pending::<()>().await;
        };
        let started = Instant::now();
        tokio::select! {
            // Where an empty line has just come to its end, nothing of a head is there to be refused.
            next = next(&mut wire) => assert!(matches!(next, Next::Refused(Fault::HeadTimeout) | Next::End)),
            () = dripping => {}
        }
        assert_eq!(started.elapsed(), BOUNDS.time);
    }
}

#[tokio::test(start_paused = true)]
async fn d1_empty_lines_in_pieces_give_a_head_no_more_time() {
    let (mut client, mut wire) = connected(BOUNDS);
    let started = Instant::now();
    let dripping = async {
        client.write_all(b"\r").await.unwrap();
        loop {
            tokio::time::sleep(Duration::from_secs(7)).await;
            client.write_all(b"\n\r").await.unwrap();
        }
    };
    tokio::select! {
        fault = fault(&mut wire) => assert_eq!(fault, Some(Fault::HeadTimeout)),
        () = dripping => {}
    }
    assert_eq!(started.elapsed(), BOUNDS.time);
    // The next head has its own.
    let (mut client, mut wire) = connected(BOUNDS);
    for _ in 0..3 {
        client.write_all(b"\r\nGET / HTTP/1.1\r\n").await.unwrap();
        assert!(poll!(poll_fn(|cx| wire.poll_next(cx))).is_pending());
        tokio::time::sleep(Duration::from_secs(9)).await;
        client.write_all(b"Host: h\r\n\r\n").await.unwrap();
        assert!(matches!(next(&mut wire).await, Next::Request(_)));
        wire.expect_head(Instant::now() + Duration::from_mins(1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_stays_silent_or_sends_empty_lines_ends() {
    let (mut client, mut wire) = connected(BOUNDS);
    let started = Instant::now();
    let dripping = async {
        loop {
            tokio::time::sleep(Duration::from_secs(7)).await;
            client.write_all(b"\r\n").await.unwrap();
        }
    };
    tokio::select! {
        next = next(&mut wire) => assert!(matches!(next, Next::End)),
        () = dripping => {}
    }
    assert_eq!(started.elapsed().as_secs(), 60);
}

#[tokio::test]
async fn d10_heads_over_their_bounds_are_refused_before_they_are_whole() {
    for (flood, wanted) in [(b"a: b\r\n".repeat(200), Fault::HeadSize), (b"\n\n".to_vec(), Fault::Syntax)] {
        let (mut client, mut wire) = connected(BOUNDS);
        client.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n").await.unwrap();
        client.write_all(&flood).await.unwrap();
        assert_eq!(fault(&mut wire).await, Some(wanted));
    }
}

#[tokio::test]
async fn d10_a_head_may_be_just_so_long_whatever_the_pieces() {
    for (length, wanted) in [(1024, None), (1025, Some(Fault::HeadSize))] {
        let frame = "GET / HTTP/1.1\r\nHost: h\r\nx: \r\n\r\n".len();
        let head = format!("GET / HTTP/1.1\r\nHost: h\r\nx: {}\r\n\r\n", "a".repeat(length - frame));
        for cut in [0, 700, 1023] {
            let (mut client, mut wire) = connected(BOUNDS);
            client.write_all(&head.as_bytes()[..cut]).await.unwrap();
            assert!(poll!(poll_fn(|cx| wire.poll_next(cx))).is_pending(), "{cut}");
            client.write_all(&head.as_bytes()[cut..]).await.unwrap();
            assert_eq!(fault(&mut wire).await, wanted, "{length} {cut}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_head_in_work_is_hurried_and_never_given_more_time() {
    for (until, wanted) in [(1, 1), (30, 10)] {
        let (mut client, mut wire) = connected(BOUNDS);
        let started = Instant::now();
        client.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        assert!(poll!(poll_fn(|cx| wire.poll_next(cx))).is_pending());
        wire.hurry(started + Duration::from_secs(until));
        assert_eq!(fault(&mut wire).await, Some(Fault::HeadTimeout));
        assert_eq!(started.elapsed().as_secs(), wanted);
    }
}

#[tokio::test]
async fn d10_a_request_line_may_be_just_so_long_whatever_the_pieces() {
    let bounds = HeadBounds { bytes: 32 * 1024, ..BOUNDS };
    for (more, wanted) in [(0, None), (1, Some(Fault::TargetSize))] {
        let target = format!("/{}", "a".repeat(8191));
        let method = "M".repeat(MAX_REQUEST_LINE_BYTES - target.len() - "  HTTP/1.1".len() + more);
        let line = format!("{method} {target} HTTP/1.1");
        for cut in [1, line.len() - 1, line.len(), line.len() + 1, line.len() + 2] {
            let (mut client, mut wire) = connected(bounds);
            let text = format!("{line}\r\nHost: h\r\n\r\n");
            client.write_all(&text.as_bytes()[..cut]).await.unwrap();
            assert!(poll!(poll_fn(|cx| wire.poll_next(cx))).is_pending() || wanted.is_some(), "{cut}");
            client.write_all(&text.as_bytes()[cut..]).await.unwrap();
            assert_eq!(fault(&mut wire).await, wanted, "{more} {cut}");
        }
    }
}

#[tokio::test]
async fn f5_a_malformed_chunk_breaks_the_body_off() {
    let (mut client, mut wire) = connected(BOUNDS);
    let head = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
    client.write_all(&[&head[..], b"2\r\nab\r\n"].concat()).await.unwrap();
    assert!(matches!(next(&mut wire).await, Next::Request(_)));
    assert_eq!(piece(&mut wire).await, Some(Ok(Bytes::from_static(b"ab"))));
    client.write_all(b"0x3\r\nabc\r\n").await.unwrap();
    assert_eq!(piece(&mut wire).await, Some(Err(Broken)));
    assert_eq!(piece(&mut wire).await, Some(Err(Broken)), "it stays broken");
    assert!(!wire.body_is_over() && !wire.drain(1 << 20).await);
}

#[tokio::test]
async fn chunks_are_taken_where_they_lie_however_small() {
    let (mut client, mut wire) = connected(BOUNDS);
    let chunk = "1\r\na\r\n";
    let head = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
    client.write_all([head, &chunk.repeat(500)].concat().as_bytes()).await.unwrap();
    assert!(matches!(next(&mut wire).await, Next::Request(_)));
    let first = piece(&mut wire).await.unwrap().unwrap();
    for number in 1..500 {
        let next = piece(&mut wire).await.unwrap().unwrap();
        assert_eq!(next.as_ptr().addr() - first.as_ptr().addr(), number * chunk.len(), "{number} is a copy");
    }
}

#[tokio::test]
async fn the_end_of_a_body_is_its_end_though_nothing_comes_behind_it() {
    let (mut client, mut wire) = connected(BOUNDS);
    client.write_all(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n").await.unwrap();
    assert!(matches!(next(&mut wire).await, Next::Request(_)));
    assert_eq!(piece(&mut wire).await, Some(Ok(Bytes::from_static(b"abc"))));
    client.write_all(b"0\r\n\r\n").await.unwrap();
    assert!(matches!(poll!(poll_fn(|cx| wire.poll_body(cx))), std::task::Poll::Ready(None)));
}

#[tokio::test]
async fn f15_a_client_that_ends_in_its_body_has_broken_it_off() {
    for framing in ["Content-Length: 5\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n5\r\nabc"] {
        let (mut client, mut wire) = connected(BOUNDS);
        client.write_all(format!("POST / HTTP/1.1\r\nHost: h\r\n{framing}").as_bytes()).await.unwrap();
        drop(client);
        assert!(matches!(next(&mut wire).await, Next::Request(_)));
        assert_eq!(piece(&mut wire).await, Some(Ok(Bytes::from_static(b"abc"))));
        assert_eq!(piece(&mut wire).await, Some(Err(Broken)), "{framing}");
    }
}

#[tokio::test]
async fn f12_the_body_is_asked_for_when_somebody_wants_it_and_the_client_waits() {
    let head = "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\n";
    for (sent, wanted) in [("", "HTTP/1.1 100 Continue\r\n\r\n"), ("ab", "")] {
        let (mut client, mut wire) = connected(BOUNDS);
        client.write_all(format!("{head}{sent}").as_bytes()).await.unwrap();
        assert!(matches!(next(&mut wire).await, Next::Request(_)));
        assert_eq!(wire.waits_for_invitation(), sent.is_empty());
        assert!(poll!(poll_fn(|cx| wire.poll_body(cx))).is_pending() == sent.is_empty());
        drop(wire);
        let mut said = String::new();
        client.read_to_string(&mut said).await.unwrap();
        assert_eq!(said, wanted);
    }
}

#[tokio::test]
async fn f12_who_has_begun_to_send_is_never_asked() {
    for body in ["Content-Length: 2\r\n\r\na", "Transfer-Encoding: chunked\r\n\r\n2\r\na"] {
        let (mut client, mut wire) = connected(BOUNDS);
        let head = format!("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n{body}");
        client.write_all(head.as_bytes()).await.unwrap();
        assert!(matches!(next(&mut wire).await, Next::Request(_)));
        assert_eq!(piece(&mut wire).await, Some(Ok(Bytes::from_static(b"a"))));
        assert!(poll!(poll_fn(|cx| wire.poll_body(cx))).is_pending());
        drop(wire);
        let mut said = String::new();
        client.read_to_string(&mut said).await.unwrap();
        assert_eq!(said, "", "behind an answer it would begin the next one");
    }
}

#[tokio::test]
async fn f12_nobody_is_asked_who_has_no_body_or_knows_no_such_wait() {
    for (version, fields, wanted) in [
        ("1.1", "Expect: 100-continue\r\nContent-Length: 2", true),
        ("1.0", "Expect: 100-continue\r\nContent-Length: 2", false),
        ("1.1", "Expect: 100-continue\r\nContent-Length: 0", false),
        ("1.1", "Expect: 200-ok\r\nContent-Length: 2", false),
        ("1.1", "Content-Length: 2", false),
    ] {
        let (mut client, mut wire) = connected(BOUNDS);
        client.write_all(format!("POST / HTTP/{version}\r\nHost: h\r\n{fields}\r\n\r\n").as_bytes()).await.unwrap();
        assert!(matches!(next(&mut wire).await, Next::Request(_)));
        assert_eq!(wire.waits_for_invitation(), wanted, "{version} {fields}");
    }
}

#[tokio::test]
async fn m25_the_clients_end_is_felt_and_what_it_sends_ahead_is_bounded() {
    let (mut client, mut wire) = connected(BOUNDS);
    client.write_all(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\nGET /b").await.unwrap();
    assert_eq!(request(&mut wire).await, "GET /a ");
    assert!(poll!(poll_fn(|cx| wire.poll_gone(cx))).is_pending());
    client.write_all(&vec![b'x'; 100_000]).await.unwrap();
    assert!(poll!(poll_fn(|cx| wire.poll_gone(cx))).is_pending());
    let (mut other, mut leaving) = connected(BOUNDS);
    other.write_all(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\nGET /b").await.unwrap();
    assert_eq!(request(&mut leaving).await, "GET /a ");
    drop(other);
    assert!(poll!(poll_fn(|cx| leaving.poll_gone(cx))).is_ready());
    // Not all that was sent ahead was taken.
    drop(client);
    assert!(poll!(poll_fn(|cx| wire.poll_gone(cx))).is_pending());
}

#[tokio::test]
async fn what_is_left_of_a_body_is_read_up_to_its_bound() {
    for (most, whole) in [(5, true), (4, false)] {
        let (mut client, mut wire) = connected(BOUNDS);
        client
            .write_all(
                b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n12345GET /b HTTP/1.1\r\nHost: h\r\n\r\n",
            )
            .await
            .unwrap();
        assert!(matches!(next(&mut wire).await, Next::Request(_)));
        assert_eq!((wire.rest_of_body(), wire.drain(most).await), (5, whole));
        if whole {
            assert_eq!(request(&mut wire).await, "GET /b ");
        }
    }
}

#[tokio::test]
async fn the_bound_of_what_is_left_counts_all_its_pieces() {
    for (most, whole) in [(5, true), (4, false)] {
        let (mut client, mut wire) = connected(BOUNDS);
        let head = b"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
        client.write_all(&[head.as_slice(), b"2\r\n12\r\n2\r\n34\r\n1\r\n5\r\n0\r\n\r\n"].concat()).await.unwrap();
        assert!(matches!(next(&mut wire).await, Next::Request(_)));
        assert_eq!(wire.drain(most).await, whole);
    }
}

#[tokio::test]
async fn what_comes_after_the_last_answer_is_read_until_the_client_leaves_or_its_bound() {
    let (mut client, mut wire) = connected(BOUNDS);
    client.write_all(&[b'x'; 9]).await.unwrap();
    assert!(poll!(std::pin::pin!(wire.drain_all(10))).is_pending());
    assert!(wire.stream.read(&mut [0; 9]).now_or_never().is_none(), "it was read");
    client.write_all(&[b'x'; 10]).await.unwrap();
    assert!(poll!(std::pin::pin!(wire.drain_all(10))).is_ready());
    drop(client);
    assert!(poll!(std::pin::pin!(wire.drain_all(10))).is_ready());
}

#[tokio::test]
async fn d10_a_request_line_is_refused_before_its_end_once_it_is_too_long() {
    let (mut client, mut wire) = connected(HeadBounds { bytes: 32 * 1024, ..BOUNDS });
    client.write_all(&[b'M'; MAX_REQUEST_LINE_BYTES + 1]).await.unwrap();
    assert!(poll!(poll_fn(|cx| wire.poll_next(cx))).is_pending());
    client.write_all(b"M").await.unwrap();
    assert_eq!(fault(&mut wire).await, Some(Fault::TargetSize));
}

#[tokio::test]
async fn whoever_answers_gets_the_body_and_learns_what_is_left() {
    let (mut client, mut wire) = connected(BOUNDS);
    client.write_all(b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n12").await.unwrap();
    assert!(matches!(next(&mut wire).await, Next::Request(_)));
    let wire = std::sync::Mutex::new(wire);
    let mut body = Incoming::Http1(&wire);
    assert_eq!((body.rest(), body.is_over()), (5, false));
    assert_eq!(body.piece().await, Some(Ok(Bytes::from_static(b"12"))));
    assert_eq!((body.rest(), body.is_over()), (3, false));
    client.write_all(b"345").await.unwrap();
    assert_eq!(body.piece().await, Some(Ok(Bytes::from_static(b"345"))));
    assert_eq!((body.rest(), body.is_over(), body.piece().await), (0, true, None));
}
