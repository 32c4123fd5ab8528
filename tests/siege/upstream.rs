//! An MCP server that keeps no record: answers calls at once, with as much as they ask for, and streams events to who listens.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;

use crate::support::wire::{Length, read_head};

/// The answer to a call for much.
pub(crate) const MUCH: usize = 8 * 1024 * 1024;
/// What a request body says that asks for it.
pub(crate) const ASKS_FOR_MUCH: &str = "export_everything";
/// Between two events of a stream.
const TICK: Duration = Duration::from_secs(5);

/// A running upstream; gone when dropped.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Upstream {
    pub(crate) fn start() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        // Else the system copies gigabytes of answers that nobody takes, and honest calls wait for that.
        socket.set_send_buffer_size(64 * 1024).unwrap();
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        let listener = socket.listen(1024).unwrap();
        let address = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener));
        Self { address, _tasks: tasks }
    }
}

async fn accept(listener: TcpListener) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        connections.spawn(async move { serve(BufReader::new(stream)).await.unwrap_or_default() });
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(mut stream: BufReader<TcpStream>) -> std::io::Result<()> {
    while let Some(head) = read_head(&mut stream).await {
        if head.start.starts_with("GET") {
            return listen(stream).await;
        }
        let (body, whole) = Length::of_request(&head.fields).rest(&mut stream).await;
        if !whole {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&body);
        if text.contains(ASKS_FOR_MUCH) {
            much(&mut stream).await?;
            continue;
        }
        let session = if text.contains("\"initialize\"") { "mcp-session-id: 0123456789abcdef\r\n" } else { "" };
        let answer = answer(&text);
        let length = answer.len();
        let head =
            format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{session}content-length: {length}\r\n\r\n");
        stream.write_all((head + &answer).as_bytes()).await?;
    }
    Ok(())
}

fn answer(request: &str) -> String {
    let result = if request.contains("tools/list") {
        r#"{"tools":[{"name":"read_note","inputSchema":{"type":"object"}},{"name":"delete_note","inputSchema":{"type":"object"}}]}"#
    } else {
        "{}"
    };
    format!(r#"{{"jsonrpc":"2.0","id":1,"result":{result}}}"#)
}

async fn much(stream: &mut BufReader<TcpStream>) -> std::io::Result<()> {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\ncontent-length: {MUCH}\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    let piece = vec![b'x'; 64 * 1024];
    for _ in 0..MUCH / piece.len() {
        stream.write_all(&piece).await?;
    }
    Ok(())
}

/// Events until the gateway leaves.
async fn listen(mut stream: BufReader<TcpStream>) -> std::io::Result<()> {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await?;
    let event = "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{\"level\":\"info\",\"data\":1}}\n\n";
    let chunk = format!("{:x}\r\n{event}\r\n", event.len());
    let mut byte = [0];
    loop {
        stream.write_all(chunk.as_bytes()).await?;
        tokio::select! {
            _ = stream.read(&mut byte) => return Ok(()),
            () = tokio::time::sleep(TICK) => {}
        }
    }
}
