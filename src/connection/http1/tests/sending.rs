//! How answers go out: framed so that a client finds their end, and never whole where they are not.

use std::future::poll_fn;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode, Version};
use tokio::io::AsyncReadExt as _;

use super::super::sending::{Asked, Sending};
use super::super::wire::Wire;
use super::super::{After, HeadBounds, send};
use crate::request::body::ReplyBody;
use crate::request::reply::Reply;

const ASKED: Asked = Asked { is_head: false, version: Version::HTTP_11, is_last: false };

fn reply(status: u16, body: &'static str) -> Reply {
    let body = ReplyBody::fixed(Bytes::from_static(body.as_bytes()));
    Reply::new(StatusCode::from_u16(status).unwrap(), body)
}

/// What the client gets, without the date, and what becomes of the connection.
async fn sent(reply: Reply, asked: Asked) -> (String, After) {
    let (mut client, server) = tokio::io::duplex(1 << 20);
    let mut wire = Wire::new(server, HeadBounds { bytes: 1024, time: Duration::from_secs(1) });
    let after = send(&mut wire, Sending::new(reply, asked)).await;
    drop(wire);
    let mut text = String::new();
    client.read_to_string(&mut text).await.unwrap();
    let (before, rest) = text.split_once("date: ").unwrap();
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
    let mut wire = Wire::new(server, HeadBounds { bytes: 1024, time: Duration::from_secs(1) });
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
