//! HTTP/2 as bytes: frames and literal field lines, so that what no library would send can be sent (RFC 9113, RFC 7541).

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::{Client, within};

pub(crate) const DATA: u8 = 0x0;
pub(crate) const HEADERS: u8 = 0x1;
pub(crate) const PRIORITY: u8 = 0x2;
const RST_STREAM: u8 = 0x3;
pub(crate) const SETTINGS: u8 = 0x4;
pub(crate) const PING: u8 = 0x6;
const GOAWAY: u8 = 0x7;
pub(crate) const WINDOW_UPDATE: u8 = 0x8;
pub(crate) const CONTINUATION: u8 = 0x9;

const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;

/// A connection on which every frame is written by hand.
pub(crate) struct RawHttp2 {
    stream: TlsStream<TcpStream>,
    next_stream: u32,
}

/// How the gateway ended a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A response with this status.
    Answered(u16),
    /// `RST_STREAM` with this error code.
    Reset(u32),
    /// `GOAWAY` with this error code.
    GoAway(u32),
    /// The connection ended.
    Closed,
}

impl Outcome {
    /// Asserts that the stream or connection was refused as malformed (RFC 9113 §8.1.1), or answered with 400.
    #[track_caller]
    pub(crate) fn assert_malformed(self, what: &str) {
        let refused = matches!(self, Self::Reset(_) | Self::GoAway(1..) | Self::Closed | Self::Answered(400));
        assert!(refused, "{what}: {self:?}");
    }
}

impl RawHttp2 {
    /// Opens a connection and says hello, without a dynamic table.
    pub(crate) async fn connect(client: &Client) -> Self {
        let stream = client.handshake_http2().await;
        let mut connection = Self { stream, next_stream: 1 };
        let hello = connection.stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        hello.await.unwrap();
        // SETTINGS_HEADER_TABLE_SIZE = 0
        connection.frame(SETTINGS, 0, 0, &[0, 1, 0, 0, 0, 0]).await;
        // Limits are in force once they are acknowledged.
        let mut head = [0; 9];
        within("settings", connection.stream.read_exact(&mut head)).await.unwrap();
        assert_eq!((head[3], head[4]), (SETTINGS, 0));
        let mut settings = vec![0; usize::from(head[2])];
        connection.stream.read_exact(&mut settings).await.unwrap();
        connection.frame(SETTINGS, 1, 0, &[]).await;
        connection
    }

    /// Writes one frame. A peer that has already closed is no fault here: the outcome tells.
    pub(crate) async fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut bytes = vec![length[1], length[2], length[3], kind, flags];
        bytes.extend(stream.to_be_bytes());
        bytes.extend(payload);
        self.stream.write_all(&bytes).await.unwrap_or_default();
        self.stream.flush().await.unwrap_or_default();
    }

    /// Sends a request head; the stream's number.
    pub(crate) async fn head(&mut self, fields: &[(&str, &str)], ends: bool) -> u32 {
        let stream = self.next_stream;
        self.next_stream += 2;
        let flags = if ends { END_HEADERS | END_STREAM } else { END_HEADERS };
        self.frame(HEADERS, flags, stream, &block(0x00, fields)).await;
        stream
    }

    /// Begins a head that more frames must finish; the stream's number.
    pub(crate) async fn half_head(&mut self, fields: &[(&str, &str)]) -> u32 {
        let stream = self.next_stream;
        self.next_stream += 2;
        self.frame(HEADERS, 0, stream, &block(0x00, fields)).await;
        stream
    }

    /// More of such a head, not its end.
    pub(crate) async fn more_head(&mut self, stream: u32, fields: &[(&str, &str)]) {
        self.frame(CONTINUATION, 0, stream, &block(0x00, fields)).await;
    }

    /// Sends a head with one field that stands in it so often, all but once as a reference of one byte (RFC 7541 §6.1, §6.2.1).
    pub(crate) async fn repeated_field(&mut self, fields: &[(&str, &str)], name: &str, value: &str, times: usize) {
        let stream = self.next_stream;
        self.next_stream += 2;
        let mut block = block(0x00, fields);
        block.push(0x40);
        for text in [name, value] {
            integer(&mut block, text.len());
            block.extend(text.bytes());
        }
        block.extend(std::iter::repeat_n(0x80 | 0x3e, times - 1));
        self.frame(HEADERS, END_HEADERS | END_STREAM, stream, &block).await;
    }

    /// Sends body bytes.
    pub(crate) async fn data(&mut self, stream: u32, data: &[u8], ends: bool) {
        self.frame(DATA, if ends { END_STREAM } else { 0 }, stream, data).await;
    }

    /// Takes a request back.
    pub(crate) async fn reset(&mut self, stream: u32) {
        self.frame(RST_STREAM, 0, stream, &8u32.to_be_bytes()).await;
    }

    /// Ends a request early, without an error (RFC 9113 §7: `NO_ERROR`).
    pub(crate) async fn reset_without_error(&mut self, stream: u32) {
        self.frame(RST_STREAM, 0, stream, &0u32.to_be_bytes()).await;
    }

    /// One request without a body, and how it ended.
    pub(crate) async fn request(&mut self, fields: &[(&str, &str)]) -> Outcome {
        let stream = self.head(fields, true).await;
        self.outcome(stream).await
    }

    /// Waits until a stream that was answered has ended with all its data.
    pub(crate) async fn ended(&mut self, stream: u32) {
        let reading = async {
            let mut head = [0; 9];
            loop {
                self.stream.read_exact(&mut head).await.unwrap();
                let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
                self.stream.read_exact(&mut payload).await.unwrap();
                let number = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
                if number == stream && matches!(head[3], DATA | HEADERS) && head[4] & END_STREAM != 0 {
                    return;
                }
            }
        };
        within("the end of a stream", reading).await;
    }

    /// Waits for the end of a stream: a head, a reset, or the end of the connection.
    pub(crate) async fn outcome(&mut self, stream: u32) -> Outcome {
        within("an outcome of the stream", self.read_outcome(stream)).await
    }

    async fn read_outcome(&mut self, wanted: u32) -> Outcome {
        let mut head = [0; 9];
        while self.stream.read_exact(&mut head).await.is_ok() {
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            let mut payload = vec![0; length as usize];
            if self.stream.read_exact(&mut payload).await.is_err() {
                return Outcome::Closed;
            }
            match head[3] {
                SETTINGS if head[4] == 0 => self.frame(SETTINGS, 1, 0, &[]).await,
                HEADERS if stream == wanted => return Outcome::Answered(status(&payload)),
                RST_STREAM if stream == wanted => return Outcome::Reset(number(&payload)),
                GOAWAY if number(&payload[4..]) != 0 => return Outcome::GoAway(number(&payload[4..])),
                _ => {}
            }
        }
        Outcome::Closed
    }
}

fn number(bytes: &[u8]) -> u32 {
    u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

/// Literal field lines without Huffman coding: `0x00` without indexing, `0x40` with (RFC 7541 §6.2).
pub(crate) fn block(kind: u8, fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(kind);
        for text in [name, value] {
            integer(&mut block, text.len());
            block.extend(text.bytes());
        }
    }
    block
}

/// RFC 7541 §5.1 with a prefix of 7 bits.
fn integer(block: &mut Vec<u8>, value: usize) {
    if value < 127 {
        return block.push(u8::try_from(value).unwrap());
    }
    block.push(127);
    let mut rest = value - 127;
    while rest >= 128 {
        block.push(u8::try_from(rest % 128).unwrap() | 128);
        rest /= 128;
    }
    block.push(u8::try_from(rest).unwrap());
}

/// The `:status` at the start of a field block.
fn status(block: &[u8]) -> u16 {
    // RFC 7541 §6.3: a change of the dynamic table's size may come first.
    let start = block.iter().position(|byte| byte & 0xe0 != 0x20).unwrap();
    let block = &block[start..];
    match block[0] {
        0x88 => 200,
        0x89 => 204,
        0x8a => 206,
        0x8b => 304,
        0x8c => 400,
        0x8d => 404,
        0x8e => 500,
        // A literal under the name of static entry 8 (`:status`), plain or Huffman coded.
        0x48 | 0x08 | 0x18 if block[1] == 3 => std::str::from_utf8(&block[2..5]).unwrap().parse().unwrap(),
        0x48 | 0x08 | 0x18 => huffman_digits(&block[2..2 + usize::from(block[1] & 0x7f)]),
        other => panic!("no status first: {other:#x}"),
    }
}

/// Three digits in the code of RFC 7541 appendix B: 0 to 2 take five bits, 3 to 9 six.
fn huffman_digits(bytes: &[u8]) -> u16 {
    let mut bits = bytes.iter().flat_map(|byte| (0..8).rev().map(move |at| u16::from(byte >> at & 1)));
    let mut status = 0;
    for _ in 0..3 {
        let five = (0..5).fold(0, |value, _| value * 2 + bits.next().unwrap());
        let digit = if five < 3 { five } else { five * 2 + bits.next().unwrap() - 0x19 + 3 };
        status = status * 10 + digit;
    }
    status
}
