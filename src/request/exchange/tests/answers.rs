//! What is read as an answer, and what is not.

use std::pin::Pin;
use std::sync::atomic::AtomicUsize;

use futures_util::FutureExt as _;
use http_body::Body as _;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::super::wire::SMALL_READ;
use super::*;

/// Answers that are whole: bytes, whether the connection ends with them, body, and whether the connection is kept.
const GOOD: [(&str, bool, &str, bool); 22] = [
    ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", false, "hello", true),
    ("HTTP/1.1 200\r\nContent-Length:5\r\n\r\nhello", false, "hello", true),
    ("HTTP/1.1 200 \r\nx: \t a b\t \r\nx: \u{e9}\r\ncontent-length: 0\r\n\r\n", false, "", true),
    (
        "HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nt: v\r\n\r\n",
        false,
        "hello",
        true,
    ),
    ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", false, "", true),
    ("HTTP/1.1 200 OK\r\nempty:\r\n\r\nuntil the end", true, "until the end", false),
    ("HTTP/1.1 200 OK\r\n\r\n", true, "", false),
    ("HTTP/1.1 204 No Content\r\n\r\n", false, "", true),
    ("HTTP/1.1 304 Not Modified\r\ncontent-length: 7\r\n\r\n", false, "", true),
    ("HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\nconnection: keep-alive, x\r\n\r\n", false, "", true),
    ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\na: b\r\n\r\nHTTP/1.1 204 x\r\n\r\n", false, "", true),
    // Not kept: it says so, or more comes than was asked for (threat F16).
    ("HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n", false, "", false),
    ("HTTP/1.1 204 No Content\r\nconnection: x\r\nconnection: y ,Close\r\n\r\n", false, "", false),
    ("HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nhi", false, "hi", false),
    ("HTTP/1.0 200 OK\r\nconnection: keep-alive\r\n\r\nhi", true, "hi", false),
    ("HTTP/1.1 204 No Content\r\n\r\nx", false, "", false),
    ("HTTP/1.1 304 Not Modified\r\ncontent-length: 1\r\n\r\nx", false, "", false),
    ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhiHTTP/1.1 200 OK\r\n\r\n", false, "hi", false),
    ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n\r\n", false, "a", false),
    ("HTTP/1.1 500 Fault\r\ncontent-length: 1\r\n\r\nx", false, "x", true),
    ("HTTP/1.1 999 \u{e9}\tx\r\ncontent-length: 1\r\n\r\nx", false, "x", true),
    ("HTTP/1.1 200 OK\r\ncontent-length: 000000000000000002\r\n\r\nhi", true, "hi", true),
];

#[tokio::test]
async fn answers_are_read_and_their_connections_kept_or_not() {
    for (bytes, ends, body, kept) in GOOD {
        let seen = read(Script::new([bytes.as_bytes()], ends)).await.unwrap();
        assert_eq!((seen.body.as_deref(), seen.kept), (Some(body.as_bytes()), kept), "{bytes:?}");
    }
    let seen = read(Script::new([GOOD[2].0.as_bytes()], false)).await.unwrap();
    let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(seen.fields, [field("x", "a b"), field("x", "\u{e9}"), field("content-length", "0")]);
}

/// Where bytes are left over is felt at once or when the connection is taken: depends on the pieces.
fn is_same(cut: &Seen, whole: &Seen) -> bool {
    (cut.status, &cut.fields, &cut.body) == (whole.status, &whole.fields, &whole.body) && (cut.kept || !whole.kept)
}

#[tokio::test]
async fn an_answer_reads_the_same_when_it_is_cut_at_any_byte() {
    for (bytes, ends, ..) in GOOD {
        let whole = read(Script::new([bytes.as_bytes()], ends)).await.unwrap();
        let singly = read(Script::new(bytes.as_bytes().chunks(1), ends)).await.unwrap();
        assert!(is_same(&singly, &whole), "{bytes:?}");
        for cut in 1..bytes.len() {
            let (first, second) = bytes.as_bytes().split_at(cut);
            let seen = read(Script::new([first, second], ends)).await.unwrap();
            assert!(is_same(&seen, &whole), "{bytes:?} cut at {cut}");
        }
    }
}

proptest! {
    #[test]
    fn an_answer_reads_the_same_whatever_its_pieces(
        body in proptest::collection::vec(any::<u8>(), 0..40_000),
        chunks in proptest::collection::vec(1_usize..20_000, 1..6),
        cuts in proptest::collection::vec(1_usize..20_000, 1..12),
        is_chunked in any::<bool>(),
    ) {
        let mut bytes = b"HTTP/1.1 200 OK\r\nx-a: 1\r\n".to_vec();
        if is_chunked {
            bytes.extend(b"transfer-encoding: chunked\r\n\r\n");
            let (mut rest, mut sizes) = (&body[..], chunks.iter().cycle());
            while !rest.is_empty() {
                let (chunk, after) = rest.split_at((*sizes.next().unwrap()).min(rest.len()));
                bytes.extend(format!("{:X}\r\n", chunk.len()).bytes().chain(chunk.iter().copied()).chain(*b"\r\n"));
                rest = after;
            }
            bytes.extend(b"0\r\n\r\n");
        } else {
            bytes.extend(format!("content-length: {}\r\n\r\n", body.len()).bytes().chain(body.iter().copied()));
        }
        let (mut pieces, mut rest, mut cuts) = (Vec::new(), &bytes[..], cuts.iter().cycle());
        while !rest.is_empty() {
            let (piece, after) = rest.split_at((*cuts.next().unwrap()).min(rest.len()));
            pieces.push(piece);
            rest = after;
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let seen = runtime.block_on(read(Script::new(pieces, false))).unwrap();
        prop_assert!(seen.kept && seen.body.as_deref() == Some(&body[..]));
    }
}

/// What is wrong with these heads.
#[tokio::test]
async fn f16_what_could_be_read_in_two_ways_is_no_answer() {
    let chunked = "transfer-encoding: chunked\r\n";
    let length = "content-length: 2\r\n";
    for fields in [
        &format!("{length}{chunked}"),
        &format!("{chunked}{length}"),
        &format!("{length}content-length: 3\r\n"),
        &length.repeat(2),
        &chunked.repeat(2),
        "content-length: 2, 2\r\n",
        "content-length: -2\r\n",
        "content-length: +2\r\n",
        "content-length: 0x2\r\n",
        "content-length: 2 2\r\n",
        "content-length:\r\n",
        "content-length: 1000000000000000000\r\n",
        "transfer-encoding: gzip, chunked\r\n",
        "transfer-encoding: gzip\r\n",
        "transfer-encoding: chunked, chunked\r\n",
        "transfer-encoding:\r\n",
    ] {
        let fault = fault(&format!("HTTP/1.1 200 OK\r\n{fields}\r\n{{}}")).await;
        assert!(matches!(fault, Fault::Length), "{fields:?}: {fault:?}");
    }
    let fault = fault(&format!("HTTP/1.0 200 OK\r\n{chunked}\r\n0\r\n\r\n")).await;
    assert!(matches!(fault, Fault::Length), "RFC 9112 §6.1: {fault:?}");
}

#[tokio::test]
async fn f16_malformed_heads_are_no_answers() {
    for line in [
        "HTTP/1.1 OK",
        "HTTP/1.1 20 OK",
        "HTTP/1.1 2000 OK",
        "HTTP/1.1 020 OK",
        "HTTP/1.1  200 OK",
        "HTTP/1.1\t200 OK",
        "HTTP/1.1 200\tOK",
        "HTTP/1.1 200 O\u{7f}K",
        "HTTP/1.1 200 O\rK",
        "HTTP/1.2 200 OK",
        "HTTP/2 200 OK",
        "http/1.1 200 OK",
        " HTTP/1.1 200 OK",
        "SSH-2.0-OpenSSH_9.6",
        "",
    ] {
        assert!(matches!(fault(&format!("{line}\r\n\r\n")).await, Fault::StatusLine), "{line:?}");
    }
    for line in
        ["x", ": y", "x : y", "x\t: y", " x: y", "\tx: y", "x: a\0b", "x: a\rb", "x: \x7f", "x: \x0c", "(: y", "é: y"]
    {
        assert!(matches!(fault(&format!("HTTP/1.1 200 OK\r\n{line}\r\n\r\n")).await, Fault::Field), "{line:?}");
    }
    assert!(matches!(fault("HTTP/1.1 200 OK\r\na: b\r\n c\r\n\r\n").await, Fault::Field), "a fold");
    for head in ["HTTP/1.1 200 OK\n", "HTTP/1.1 200 OK\r\na: b\n", "HTTP/1.1 200 OK\r\na: b\r\n\n"] {
        assert!(matches!(fault(head).await, Fault::Line), "{head:?}");
    }
    let fields = |count| format!("HTTP/1.1 204 x\r\n{}\r\n", "a: b\r\n".repeat(count));
    assert!(matches!(fault(&fields(101)).await, Fault::Fields));
    assert!(read(Script::new([fields(100).as_bytes()], false)).await.is_ok());
    let long = |length| format!("HTTP/1.1 204 x\r\na: {}\r\n\r\n", "b".repeat(length));
    assert!(matches!(fault(&long(64 * 1024)).await, Fault::HeadSize));
    assert!(matches!(fault(&format!("HTTP/1.1 204 {}", "x".repeat(64 * 1024))).await, Fault::HeadSize));
    assert!(read(Script::new([long(64 * 1024 - 23).as_bytes()], false)).await.is_ok());
    assert!(matches!(fault(&long(64 * 1024 - 22)).await, Fault::HeadSize));
}

#[tokio::test]
async fn interim_answers_are_skipped_a_few_times_and_protocols_never_switched() {
    let interim = |count| "HTTP/1.1 102 Processing\r\n\r\n".repeat(count) + "HTTP/1.1 204 x\r\n\r\n";
    assert_eq!(read(Script::new([interim(8).as_bytes()], false)).await.unwrap().status, 204);
    assert!(matches!(fault(&interim(9)).await, Fault::Interim));
    let switches = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\r\n";
    assert!(matches!(fault(switches).await, Fault::Switches));
}

async fn fault(bytes: &str) -> Fault {
    read(Script::new([bytes.as_bytes()], false)).await.expect_err(bytes)
}

#[tokio::test]
async fn f16_bodies_that_break_off_never_look_whole() {
    assert!(matches!(read(Script::new([&b"HTTP/1.1 200 OK\r\na: b"[..]], true)).await, Err(Fault::Cut)));
    assert!(matches!(read(Script::new([], true)).await, Err(Fault::Cut)));
    for (fields, body) in [
        ("content-length: 3", "hi"),
        ("transfer-encoding: chunked", "3\r\nhi"),
        ("transfer-encoding: chunked", "2\r\nhi\r\n"),
        ("transfer-encoding: chunked", "2\r\nhi\r\n0\r\n"),
        ("transfer-encoding: chunked", "0x2\r\nhi\r\n0\r\n\r\n"),
        ("transfer-encoding: chunked", "2\r\nhi\n0\r\n\r\n"),
    ] {
        let bytes = format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n{body}");
        let seen = read(Script::new([bytes.as_bytes()], true)).await.unwrap();
        assert!(seen.body.is_none() && !seen.kept, "{bytes:?}");
    }
}

#[tokio::test]
async fn f16_a_body_that_is_cut_off_ends_with_a_fault_behind_what_came() {
    let bytes = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nhi";
    let wire = Wire::new(Box::new(Script::new([&bytes[..]], true)));
    let (_, mut body) = ask(wire, Vec::new(), &Arc::default()).await.unwrap();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "hi");
    assert!(!body.is_end_stream() && body.size_hint().exact() == Some(1));
    assert!(matches!(body.frame().await, Some(Err(Fault::Cut))));
    assert!(body.is_end_stream());
}

#[test]
fn a_silent_stream_holds_under_a_kibibyte() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let (kept, mut streams) = (Arc::default(), Vec::with_capacity(100));
    let held = allocation_counter::measure(|| {
        for _ in 0..100 {
            let (near, mut far) = tokio::io::duplex(64);
            let answering = async {
                far.read_exact(&mut [0; 18]).await.unwrap();
                far.write_all(b"HTTP/1.1 200 OK\r\n\r\ndata: {}\n\n").await.unwrap();
            };
            let asking = ask(Wire::new(Box::new(near)), Vec::new(), &kept);
            let (answered, ()) = runtime.block_on(async { tokio::join!(asking, answering) });
            let (_, mut body) = answered.unwrap();
            assert!(body.frame().now_or_never().unwrap().is_some() && body.frame().now_or_never().is_none());
            streams.push((body, far));
        }
    });
    let each = held.bytes_current / 100;
    assert!((200..1024).contains(&each), "{each}");
}

#[tokio::test]
async fn d23_little_keeps_little_room_whatever_came_before() {
    let (mut near, far) = tokio::io::duplex(1 << 20);
    let mut wire = Wire::new(Box::new(far));
    near.write_all(&b"x".repeat(3 * SMALL_READ)).await.unwrap();
    while !wire.comes_fast || wire.inbox.len() < 3 * SMALL_READ {
        assert!(poll_fn(|cx| wire.poll_more(cx)).await.unwrap());
    }
    near.write_all(b"little").await.unwrap();
    wire.inbox = Bytes::new();
    let held = allocation_counter::measure(|| {
        assert!(poll_fn(|cx| wire.poll_more(cx)).now_or_never().unwrap().unwrap());
    });
    assert!(wire.inbox == "little" && held.bytes_current < 1024, "{}", held.bytes_current);
    assert!(!wire.comes_fast);
}

#[tokio::test]
async fn length_and_end_of_a_body_are_known_as_early_as_can_be() {
    for (fields, body) in [("content-length: 4", "wiki"), ("transfer-encoding: chunked", "4\r\nwiki\r\n0\r\n\r\n")] {
        let bytes = format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n{body}");
        let kept = Arc::new(Kept::default());
        let wire = Wire::new(Box::new(Script::new([bytes.as_bytes()], false)));
        let (_, mut body) = ask(wire, Vec::new(), &kept).await.unwrap();
        assert_eq!(body.size_hint().exact(), fields.starts_with("content").then_some(4));
        assert!(!body.is_end_stream() && kept.count() == 0);
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "wiki");
        assert!(body.is_end_stream() && body.size_hint().exact() == Some(0) && body.frame().await.is_none());
        assert_eq!(kept.count(), 1, "with the last byte");
    }
}

/// An answer without an end, and how much of it was taken.
struct Endless(Arc<AtomicUsize>);

impl AsyncRead for Endless {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, room: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = room.filled().len();
        if self.0.load(Ordering::Relaxed) == 0 {
            room.put_slice(b"HTTP/1.1 200 OK\r\n\r\n");
        }
        room.put_slice(&vec![b'x'; room.remaining()]);
        self.0.fetch_add(room.filled().len() - before, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Endless {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn d23_no_more_is_read_than_somebody_asked_for() {
    let (read, kept) = (Arc::new(AtomicUsize::new(0)), Arc::new(Kept::default()));
    let (_, mut body) = ask(Wire::new(Box::new(Endless(Arc::clone(&read)))), Vec::new(), &kept).await.unwrap();
    let (mut taken, mut longest) = (0, 0);
    for _ in 0..100 {
        let before = read.load(Ordering::Relaxed);
        let piece = body.frame().await.unwrap().unwrap().into_data().unwrap();
        (taken, longest) = (taken + piece.len(), longest.max(piece.len()));
        assert!(piece.len() <= 64 * 1024 && read.load(Ordering::Relaxed) <= before.max(taken + 64 * 1024));
    }
    assert_eq!(longest, 64 * 1024, "what comes fast is read in large pieces");
    let AnswerBody::Http1(Http1Body { wire: Some(wire), .. }) = &body else { panic!("it has ended") };
    assert!(wire.inbox.is_empty(), "nothing waits in it");
}

#[tokio::test]
async fn m25_dropping_a_body_closes_its_connection_unless_all_of_it_is_here() {
    for (body, is_whole) in [("4\r\nwiki\r\n0\r\n\r\n", true), ("4\r\nwiki\r\n0\r\n", false), ("4\r\nwi", false)] {
        let kept = Arc::new(Kept::default());
        let (near, mut far) = tokio::io::duplex(1024);
        let answer = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{body}");
        far.write_all(answer.as_bytes()).await.unwrap();
        drop(ask(Wire::new(Box::new(near)), Vec::new(), &kept).await.unwrap());
        let mut request = Vec::new();
        let is_closed = far.read_to_end(&mut request).now_or_never().is_some();
        assert_eq!((kept.count() == 1, is_closed), (is_whole, !is_whole), "{body:?}");
    }
}
