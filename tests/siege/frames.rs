//! HTTP/2 as bytes, many frames at a time (RFC 9113, RFC 7541): what no library would send.

use std::io;
use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::attacker::{HOST, Target, write};
pub(crate) use crate::support::block;
use crate::support::within;

pub(crate) const DATA: u8 = 0x0;
pub(crate) const HEADERS: u8 = 0x1;
pub(crate) const PRIORITY: u8 = 0x2;
pub(crate) const RST_STREAM: u8 = 0x3;
pub(crate) const SETTINGS: u8 = 0x4;
pub(crate) const PING: u8 = 0x6;
const GOAWAY: u8 = 0x7;
pub(crate) const WINDOW_UPDATE: u8 = 0x8;
pub(crate) const CONTINUATION: u8 = 0x9;

pub(crate) const END_STREAM: u8 = 0x1;
pub(crate) const END_HEADERS: u8 = 0x4;

/// A connection on which every frame is written by hand.
pub(crate) struct Frames {
    pub(crate) write: WriteHalf<TlsStream<TcpStream>>,
    pub(crate) read: ReadHalf<TlsStream<TcpStream>>,
}

/// What the gateway said until it closed or fell silent.
#[derive(Debug, Default, Clone)]
pub(crate) struct Said {
    pub(crate) goaway: Option<u32>,
    pub(crate) closed: bool,
    pub(crate) heads: usize,
    pub(crate) resets: usize,
    pub(crate) data: usize,
}

impl Frames {
    /// Says hello and acknowledges what the gateway says of itself.
    pub(crate) async fn connect(target: &Target, from: Ipv4Addr) -> io::Result<Self> {
        let (read, write) = tokio::io::split(target.http2(from).await?);
        let mut frames = Self { write, read };
        let mut hello = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        hello.extend(frame(SETTINGS, 0, 0, &[]));
        hello.extend(frame(SETTINGS, 1, 0, &[]));
        frames.send(&hello).await;
        Ok(frames)
    }

    /// Writes; false when nobody takes it any more.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> bool {
        write(&mut self.write, bytes).await
    }

    /// Reads until the end, or until this was said.
    pub(crate) async fn said_until(&mut self, enough: impl Fn(&Said) -> bool) -> Said {
        let mut said = Said::default();
        let reading = async {
            while !said.closed && !enough(&said) {
                said.closed = one(&mut self.read, &mut said).await.is_none();
            }
        };
        within("frames of the gateway", reading).await;
        said
    }
}

/// Writes the same again and again, until nobody takes it any more.
pub(crate) async fn flood(to: &mut WriteHalf<TlsStream<TcpStream>>, bytes: &[u8], times: usize) {
    for _ in 0..times {
        if !write(to, bytes).await {
            return;
        }
    }
}

async fn one(read: &mut ReadHalf<TlsStream<TcpStream>>, said: &mut Said) -> Option<()> {
    let mut head = [0; 9];
    read.read_exact(&mut head).await.ok()?;
    let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
    read.read_exact(&mut payload).await.ok()?;
    match head[3] {
        HEADERS => said.heads += 1,
        RST_STREAM => said.resets += 1,
        DATA => said.data += payload.len(),
        GOAWAY => {
            let code = u32::from_be_bytes([payload[4], payload[5], payload[6], payload[7]]);
            said.goaway = said.goaway.filter(|known| *known != 0).or(Some(code));
        }
        _ => {}
    }
    Some(())
}

/// One frame.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// The head of a POST, with a token where there is one.
pub(crate) fn post(stream: u32, path: &str, token: Option<&str>, ends: bool) -> Vec<u8> {
    let flags = if ends { END_HEADERS | END_STREAM } else { END_HEADERS };
    frame(HEADERS, flags, stream, &post_block(path, token))
}

/// Its field lines.
pub(crate) fn post_block(path: &str, token: Option<&str>) -> Vec<u8> {
    let token = token.map(|token| format!("Bearer {token}"));
    let mut fields = vec![
        (":method", "POST"),
        (":scheme", "https"),
        (":authority", HOST),
        (":path", path),
        ("content-type", "application/json"),
        ("accept", "application/json, text/event-stream"),
    ];
    fields.extend(token.as_deref().map(|token| ("authorization", token)));
    block(0x00, &fields)
}
