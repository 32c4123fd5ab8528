//! The server behind every gateway. Which tool is called says how it answers: at once and shortly, with 1 MiB, or with events.
//!
//! Read and written by hand: it shares a thread with the load, which must not be what limits.

use std::io;
use std::sync::LazyLock;

use memchr::memmem::find;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::broadcast::{self, Sender};

use crate::work::MIB;

/// What begins every answer.
const HEAD: &str = "HTTP/1.1 200 OK\r\ndate: Wed, 25 Nov 2026 12:00:00 GMT\r\n";

const ANSWER: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"an answer of a tool, about as long as many of them are, for which somebody asked"}],"isError":false}}"#;

/// `~` is in an event once, and in nothing around it: so they are counted.
const EVENT: &str = "event: message\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{\"level\":\"info\",\"data\":\"~ something happened that somebody may want to know of\"}}\n\n";

/// Calls of this tool are answered with an event, and with another one each time that one is emitted.
pub(crate) const WATCH: &str = "watch";
/// Calls of this tool are answered with 1 MiB.
pub(crate) const LARGE: &str = "large";

static EVENTS: LazyLock<Sender<()>> = LazyLock::new(|| broadcast::channel(64).0);
static SMALL: LazyLock<String> = LazyLock::new(|| answer(ANSWER));
static ONE_MIB: LazyLock<String> =
    LazyLock::new(|| answer(&ANSWER.replace("an answer", &"an answer ".repeat(MIB / 10))));
static CHUNK: LazyLock<String> = LazyLock::new(|| format!("{:x}\r\n{EVENT}\r\n", EVENT.len()));

/// One event on every stream.
pub(crate) fn emit() {
    EVENTS.send(()).expect("somebody watches");
}

pub(crate) fn serve(runtime: &Runtime, port: u16) {
    runtime.spawn(async move {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("a free port");
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            stream.set_nodelay(true).unwrap_or_default();
            tokio::spawn(async move { converse(stream).await.unwrap_or_default() });
        }
    });
}

/// Answers one request after the other, until the connection ends.
async fn converse(mut stream: TcpStream) -> io::Result<()> {
    let mut request = Vec::with_capacity(16 * 1024);
    loop {
        request.clear();
        while !is_whole(&request) {
            if stream.read_buf(&mut request).await? == 0 {
                return Ok(());
            }
        }
        let answer = match tool(&request) {
            Some(WATCH) => return watch(stream).await,
            Some(LARGE) => &ONE_MIB,
            _ => &SMALL,
        };
        stream.write_all(answer.as_bytes()).await?;
    }
}

/// One event at once, then those that are emitted, until the gateway leaves.
async fn watch(mut stream: TcpStream) -> io::Result<()> {
    let (mut emitted, mut rest) = (EVENTS.subscribe(), [0]);
    // nginx collects answers otherwise.
    let head = "content-type: text/event-stream\r\nx-accel-buffering: no\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(format!("{HEAD}{head}{}", *CHUNK).as_bytes()).await?;
    loop {
        tokio::select! {
            event = emitted.recv() => event.map_err(io::Error::other)?,
            _ = stream.read(&mut rest) => return Ok(()),
        }
        stream.write_all(CHUNK.as_bytes()).await?;
    }
}

fn is_whole(request: &[u8]) -> bool {
    let Some((head, body)) = find(request, b"\r\n\r\n").and_then(|end| request.split_at_checked(end + 4)) else {
        return false;
    };
    let mut lines = std::str::from_utf8(head).unwrap_or_default().lines();
    let length = |line: &str| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length").then(|| value.parse().ok())?
    };
    lines.find_map(length).map_or_else(|| body.ends_with(b"0\r\n\r\n"), |length: usize| body.len() >= length)
}

/// Which is called.
fn tool(request: &[u8]) -> Option<&str> {
    let begin: &[u8] = b"\"name\":\"";
    let name = request.get(find(request, begin)? + begin.len()..)?;
    std::str::from_utf8(name.split(|byte| *byte == b'"').next()?).ok()
}

fn answer(text: &str) -> String {
    format!("{HEAD}content-type: application/json\r\ncontent-length: {}\r\n\r\n{text}", text.len())
}
