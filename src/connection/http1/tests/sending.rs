//! How answers go out: framed so that a client finds their end, and never whole where they are not.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode, Version};
use http_body::{Body, Frame, SizeHint};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::super::sending::{Asked, Sending};
use super::super::wire::{Next, Wire};
use super::super::{After, HeadBounds, send};
use crate::request::body::ReplyBody;
use crate::request::reply::Reply;

const BOUNDS: HeadBounds = HeadBounds { bytes: 1024, time: Duration::from_secs(1) };
const ASKED: Asked = Asked { is_head: false, version: Version::HTTP_11, is_last: false };

fn reply(status: u16, body: &'static str) -> Reply {
    let body = ReplyBody::fixed(Bytes::from_static(body.as_bytes()));
    Reply::new(StatusCode::from_u16(status).unwrap(), body)
}

/// A body in these parts, the last of which may be a fault, or nothing for ever.
struct Parts {
    length: Option<u64>,
    parts: VecDeque<Part>,
}

#[derive(Clone)]
enum Part {
    Text(String),
    Fault,
    Silence,
}

impl Parts {
    fn reply(length: Option<u64>, parts: impl IntoIterator<Item = Part>) -> Reply<Self> {
        Reply::new(StatusCode::OK, Self { length, parts: parts.into_iter().collect() })
    }
}

impl Body for Parts {
    type Data = Bytes;
    type Error = ();

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, ()>>> {
        if matches!(self.parts.front(), Some(Part::Silence)) {
            return Poll::Pending;
        }
        match self.parts.pop_front() {
            None | Some(Part::Silence) => Poll::Ready(None),
            Some(Part::Text(text)) => Poll::Ready(Some(Ok(Frame::data(text.into())))),
            Some(Part::Fault) => Poll::Ready(Some(Err(()))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.parts.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

fn text(text: impl Into<String>) -> Part {
    Part::Text(text.into())
}

/// What the client gets, without the date, and what becomes of the connection.
async fn sent<B: Body<Data = Bytes> + Unpin>(reply: Reply<B>, asked: Asked) -> (String, After) {
    let (mut client, server) = tokio::io::duplex(1 << 20);
    let mut wire = Wire::new(server, BOUNDS);
    let after = send(&mut wire, Sending::new(reply, asked)).await;
    drop(wire);
    let mut text = String::new();
    client.read_to_string(&mut text).await.unwrap();
    let Some((before, rest)) = text.split_once("date: ") else { return (text, after) };
    (format!("{before}{}", rest.split_once("\r\n").unwrap().1), after)
}

#[tokio::test]
async fn a_whole_body_has_its_own_length_and_no_other() {
    let (text, after) = sent(reply(200, "abc"), ASKED).await;
    assert_eq!((text.as_str(), after), ("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc", After::Goes));
    let (text, _) = sent(reply(202, ""), ASKED).await;
    assert_eq!(text, "HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n");
}

#[tokio::test]
async fn answers_that_have_no_body_get_none() {
    let (text, after) = sent(reply(204, "abc"), ASKED).await;
    assert_eq!((text.as_str(), after), ("HTTP/1.1 204 No Content\r\n\r\n", After::Goes));
    let (text, _) = sent(reply(304, "abc"), ASKED).await;
    assert_eq!(text, "HTTP/1.1 304 Not Modified\r\n\r\n");
    let (text, _) = sent(reply(200, "abc"), Asked::new(&Method::HEAD, Version::HTTP_11, false)).await;
    assert_eq!(text, "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n");
}

#[tokio::test]
async fn the_last_answer_says_so() {
    let close = |text: &str| text.contains("\r\nconnection: close\r\n");
    for asked in [Asked { is_last: true, ..ASKED }, Asked { version: Version::HTTP_10, ..ASKED }] {
        let (text, after) = sent(reply(200, "abc"), asked).await;
        assert!(close(&text) && after == After::Ends, "{asked:?}");
    }
    let mut refusal = reply(400, "abc");
    refusal.is_last = true;
    let (text, after) = sent(refusal, ASKED).await;
    assert!(close(&text) && after == After::Ends && text.matches("connection").count() == 1);
}

#[tokio::test]
async fn large_bodies_go_out_whole() {
    let body: &'static str = "0123456789abcdef".repeat(50_000).leak();
    let (text, after) = sent(reply(200, body), ASKED).await;
    let (head, sent) = text.split_once("\r\n\r\n").unwrap();
    assert_eq!((head, after), ("HTTP/1.1 200 OK\r\ncontent-length: 800000", After::Goes));
    assert!(sent == body);
}

#[tokio::test]
async fn an_answer_waits_for_a_client_that_takes_little() {
    let (mut client, server) = tokio::io::duplex(64);
    let mut wire = Wire::new(server, BOUNDS);
    let mut sending = Sending::new(reply(200, "0123456789abcdef".repeat(5000).leak()), ASKED);
    let taking = async {
        let mut text = Vec::new();
        while !text.ends_with(b"f") || text.len() < 80_000 {
            assert!(client.read_buf(&mut text).await.unwrap() > 0);
        }
        text
    };
    let (sent, text) = tokio::join!(poll_fn(|cx| sending.poll(cx, &mut wire)), taking);
    assert!(sent.is_ok() && String::from_utf8(text).unwrap().ends_with(&"0123456789abcdef".repeat(5000)));
}

#[tokio::test]
async fn a_body_whose_length_nobody_knows_goes_out_in_chunks_none_of_them_empty() {
    let (small, large) = ("x".repeat(9000), "y".repeat(20_000));
    for last in [vec![], vec![text("")], vec![text("end"), text("")]] {
        for middle in [&small, &large] {
            let parts = [text("ab"), text(""), text(middle), text("c")].into_iter().chain(last.clone());
            let (got, after) = sent(Parts::reply(None, parts), ASKED).await;
            let end = if last.len() == 2 { "3\r\nend\r\n0\r\n\r\n" } else { "0\r\n\r\n" };
            let body = format!("2\r\nab\r\n{:x}\r\n{middle}\r\n1\r\nc\r\n{end}", middle.len());
            assert!(got == format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{body}"), "{got:.100}");
            assert_eq!(after, After::Goes);
        }
    }
    let (got, _) = sent(Parts::reply(None, [text(&large)]), ASKED).await;
    assert!(got.ends_with("yyy\r\n0\r\n\r\n") && got.matches("0\r\n\r\n").count() == 1);
}

#[tokio::test]
async fn http10_knows_no_chunks_its_connection_ends_with_the_body() {
    let asked = Asked { version: Version::HTTP_10, ..ASKED };
    let (got, after) = sent(Parts::reply(None, [text("ab"), text("cd")]), asked).await;
    assert_eq!((got.as_str(), after), ("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nabcd", After::Ends));
}

#[tokio::test]
async fn f16_what_breaks_off_goes_out_as_far_as_it_came_and_has_no_end() {
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    for (parts, comes) in [
        (vec![Part::Fault], head.to_owned()),
        (vec![text("ab"), Part::Fault], format!("{head}2\r\nab\r\n")),
        (vec![text("z".repeat(17_000)), Part::Fault], format!("{head}4268\r\n{}\r\n", "z".repeat(17_000))),
    ] {
        let (got, after) = sent(Parts::reply(None, parts), ASKED).await;
        assert!(got == comes && after == After::Breaks, "{got:.100}");
    }
}

#[tokio::test]
async fn f16_a_body_is_never_longer_than_its_head_says_and_a_shorter_one_has_no_end() {
    for (parts, comes) in [(vec![text("abc"), text("d")], "abc"), (vec![text("ab")], "ab"), (vec![], "")] {
        let (got, after) = sent(Parts::reply(Some(3), parts), ASKED).await;
        assert!(got.ends_with(&format!("\r\n\r\n{comes}")) && after == After::Breaks, "{got}");
    }
    let (got, after) = sent(Parts::reply(Some(3), [text("a"), text("bc")]), ASKED).await;
    assert!(got.ends_with("\r\n\r\nabc") && after == After::Goes);
}

#[tokio::test]
async fn what_is_there_goes_out_before_the_rest_comes_and_a_client_that_leaves_is_felt() {
    let (mut client, server) = tokio::io::duplex(1 << 10);
    let mut wire = Wire::new(server, BOUNDS);
    client.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    assert!(matches!(poll_fn(|cx| wire.poll_next(cx)).await, Next::Request(_)));
    let leaving = async {
        let mut got = Vec::new();
        while !got.ends_with(b"2\r\nab\r\n") {
            assert!(client.read_buf(&mut got).await.unwrap() > 0);
        }
        drop(client);
    };
    let sending = Sending::new(Parts::reply(None, [text("ab"), Part::Silence]), ASKED);
    let (after, ()) = tokio::join!(send(&mut wire, sending), leaving);
    assert_eq!(after, After::Breaks);
}

#[tokio::test]
async fn a_socket_that_takes_nothing_more_is_left() {
    let full = std::io::Cursor::new(vec![0; 64].into_boxed_slice());
    let mut wire = Wire::new(tokio::io::join(tokio::io::empty(), full), BOUNDS);
    assert_eq!(send(&mut wire, Sending::new(reply(200, "0123456789abcdef"), ASKED)).await, After::Breaks);
}
