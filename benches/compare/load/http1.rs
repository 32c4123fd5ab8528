//! HTTP/1.1, written and read by hand, to cost little beside what is measured.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::{ClientConfig, HandshakeKind};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::Running;
use super::dial::{Stream, dial};
use crate::scene::Scene;

/// Over this connection; over another one like it once the gateway ends it, as Envoy does when it refuses a request before its body.
pub(super) async fn ask(port: u16, tls: Arc<ClientConfig>, mut stream: Stream, running: Arc<Running>) -> Vec<Duration> {
    let (asks, mut answers, mut waits) = (&running.asks, Answers::default(), Vec::new());
    while let Some(number) = running.next() {
        let begin = Instant::now();
        let request = request(asks.token(number), &asks.body);
        asks.check(&answers.exchange(&mut stream, &request).await);
        if answers.ended {
            stream = dial(port, Arc::clone(&tls)).await.expect("a connection");
        }
        waits.push(begin.elapsed());
    }
    waits
}

/// Each request over a connection of its own; all but the first resume the session of the one before, if they may.
pub(super) async fn ask_anew(port: u16, tls: Arc<ClientConfig>, resumes: bool, running: Arc<Running>) -> Vec<Duration> {
    let (asks, mut answers, mut waits) = (&running.asks, Answers::default(), Vec::new());
    while let Some(number) = running.next() {
        let begin = Instant::now();
        let mut stream = dial(port, Arc::clone(&tls)).await.expect("a connection");
        let earlier = stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed);
        assert_eq!(earlier, resumes && !waits.is_empty(), "a resumed handshake");
        let request = request(asks.token(number), &asks.body);
        asks.check(&answers.exchange(&mut stream, &request).await);
        waits.push(begin.elapsed());
        stream.shutdown().await.unwrap_or_default();
    }
    waits
}

pub(crate) fn request(token: Option<&str>, body: &str) -> String {
    let authorization = token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
    format!(
        "POST /mcp HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\naccept: application/json, text/event-stream\r\n\
         {authorization}content-length: {}\r\n\r\n{body}",
        Scene::host(),
        body.len()
    )
}

/// Reads answers.
pub(crate) struct Answers {
    buffer: Vec<u8>,
    /// The last one was the last of its connection.
    ended: bool,
}

impl Default for Answers {
    fn default() -> Self {
        Self { buffer: vec![0; 32 * 1024], ended: false }
    }
}

impl Answers {
    /// Writes the request, and reads one answer to its end: its status, and how many bytes its body has on the wire.
    pub(crate) async fn exchange(
        &mut self,
        stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
        request: &str,
    ) -> io::Result<(u16, usize)> {
        stream.write_all(request.as_bytes()).await?;
        // tokio-rustls may keep the end of what was written.
        stream.flush().await?;
        let (head, mut filled) = self.head(stream).await?;
        self.ended = field(&head, "connection: ") == Some("close");
        let length = field(&head, "content-length: ").map(|length| length.trim().parse().unwrap_or(usize::MAX));
        let mut body = filled;
        loop {
            let whole = match length {
                Some(length) => body >= length,
                None => self.buffer.get(..filled).is_some_and(|seen| seen.ends_with(b"0\r\n\r\n")),
            };
            if whole {
                let status = head.get(9..12).and_then(|status| status.parse().ok());
                return status.map(|status| (status, body)).ok_or(io::ErrorKind::InvalidData.into());
            }
            // Keeps the end: that of chunks may come in two pieces.
            let kept = if length.is_none() { filled.min(8) } else { 0 };
            self.buffer.copy_within(filled - kept..filled, 0);
            let read = stream.read(self.buffer.get_mut(kept..).unwrap_or_default()).await?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            (filled, body) = (kept + read, body + read);
        }
    }

    /// Reads a head. What came after it is moved to the beginning of the buffer, and so long.
    pub(crate) async fn head(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> io::Result<(String, usize)> {
        let mut filled = 0;
        loop {
            let read = stream.read(self.buffer.get_mut(filled..).unwrap_or_default()).await?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            filled += read;
            let seen = self.buffer.get(..filled).unwrap_or_default();
            let Some(end) = seen.windows(4).position(|end| end == b"\r\n\r\n") else { continue };
            let head = String::from_utf8_lossy(seen.get(..end).unwrap_or_default()).to_ascii_lowercase();
            self.buffer.copy_within(end + 4..filled, 0);
            return Ok((head, filled - end - 4));
        }
    }
}

fn field<'head>(head: &'head str, name: &str) -> Option<&'head str> {
    head.lines().find_map(|line| line.strip_prefix(name))
}
