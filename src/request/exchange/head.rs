//! Reads the head of an answer (RFC 9112 §4, §5, §6.3), strictly. Pure.
//!
//! The values are slices of the bytes that came.

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{StatusCode, Version};

use crate::chunked::Chunked;

use super::body::Framing;
use super::{Fault, MAX_HEAD_BYTES};

/// Most fields in one head.
pub(super) const MAX_FIELDS: usize = 100;
/// Digits of a length that cannot overflow: 10^18 is under 2^63.
const MAX_LENGTH_DIGITS: usize = 18;
/// Most answers have fewer fields.
const ROOM_FOR_FIELDS: usize = 16;

/// What an answer's head says.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(super) framing: Framing,
    /// Another request may follow on the same connection (RFC 9112 §9.3).
    pub(super) persists: bool,
}

/// Where the head ends that these bytes begin with, if it does. `line` is where the first line begins that was not whole the last
/// time: so no byte is looked at twice. RFC 9112 §2.2 lets a bare LF end a line; here it does not: others read on.
pub(super) fn end(bytes: &[u8], line: &mut usize) -> Result<Option<usize>, Fault> {
    const PROTOCOL: &[u8] = b"HTTP/1.";
    if bytes.iter().zip(PROTOCOL).any(|(byte, wanted)| byte != wanted) {
        return Err(Fault::StatusLine);
    }
    while let Some(rest) = bytes.get(*line..) {
        let Some(length) = memchr::memchr(b'\n', rest) else { break };
        let is_last = match rest.get(..length) {
            Some(b"\r") => true,
            Some([.., b'\r']) => false,
            _ => return Err(Fault::Line),
        };
        *line += length + 1;
        if *line > MAX_HEAD_BYTES {
            break;
        }
        if is_last {
            return Ok(Some(*line));
        }
    }
    if bytes.len() > MAX_HEAD_BYTES { Err(Fault::HeadSize) } else { Ok(None) }
}

/// Reads a whole head, up to its empty line.
pub(super) fn parse(head: &Bytes) -> Result<Head, Fault> {
    let mut lines = Lines { head, at: 0 };
    let (version, status) = status_line(&lines.next().ok_or(Fault::StatusLine)?)?;
    let mut headers = HeaderMap::with_capacity(ROOM_FOR_FIELDS);
    for line in lines {
        if headers.len() == MAX_FIELDS {
            return Err(Fault::Fields);
        }
        let (name, value) = field(&line)?;
        headers.append(name, value);
    }
    let framing = framing(status, version, &headers)?;
    let persists = version == Version::HTTP_11 && !says_close(&headers);
    Ok(Head { status, headers, framing, persists })
}

/// The lines before the empty one; [`end`] has found that each has its CRLF.
struct Lines<'a> {
    head: &'a Bytes,
    at: usize,
}

impl Iterator for Lines<'_> {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let rest = self.head.get(self.at..)?;
        let length = memchr::memchr(b'\n', rest)?;
        let line = self.at..self.at + length.checked_sub(1)?;
        self.at += length + 1;
        (!line.is_empty()).then(|| self.head.slice(line))
    }
}

/// RFC 9112 §4: `HTTP-version SP status-code SP [reason]`; many leave the last blank out with the reason.
fn status_line(line: &[u8]) -> Result<(Version, StatusCode), Fault> {
    let version = match line.get(..9) {
        Some(b"HTTP/1.1 ") => Version::HTTP_11,
        Some(b"HTTP/1.0 ") => Version::HTTP_10,
        _ => return Err(Fault::StatusLine),
    };
    let status = line.get(9..12).and_then(|digits| StatusCode::from_bytes(digits).ok()).ok_or(Fault::StatusLine)?;
    match line.get(12..).unwrap_or_default() {
        [] => Ok((version, status)),
        [b' ', reason @ ..] if is_text(reason) => Ok((version, status)),
        _ => Err(Fault::StatusLine),
    }
}

/// RFC 9112 §5: `name ":" OWS value OWS`. A line that begins with a blank is a fold (§5.2), and no name.
fn field(line: &Bytes) -> Result<(HeaderName, HeaderValue), Fault> {
    let colon = memchr::memchr(b':', line).ok_or(Fault::Field)?;
    let (name, value) = line.split_at_checked(colon).ok_or(Fault::Field)?;
    let name = HeaderName::from_bytes(name).map_err(|_| Fault::Field)?;
    let value = value.get(1..).unwrap_or_default();
    if !is_text(value) {
        return Err(Fault::Field);
    }
    let value = line.slice_ref(value.trim_ascii());
    Ok((name, HeaderValue::from_maybe_shared(value).map_err(|_| Fault::Field)?))
}

/// Visible, blank or beyond ASCII (RFC 9110 §5.5). Without leaving early: so many bytes are judged at a time.
fn is_text(bytes: &[u8]) -> bool {
    let is_clean = |b: u8| b == b'\t' || (b >= b' ' && b != 0x7f);
    bytes.iter().fold(true, |clean, &b| clean & is_clean(b))
}

/// RFC 9112 §6.3. Whoever writes two lengths, or one twice, may have written more than one reading of an answer.
fn framing(status: StatusCode, version: Version, headers: &HeaderMap) -> Result<Framing, Fault> {
    let coding = once(headers, &header::TRANSFER_ENCODING)?;
    let length = once(headers, &header::CONTENT_LENGTH)?.map(length).transpose()?;
    let has_none = status.is_informational() || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    match (length, coding) {
        (Some(_), Some(_)) => Err(Fault::Length),
        (None, Some(coding)) if version != Version::HTTP_11 || !coding.eq_ignore_ascii_case(b"chunked") => {
            Err(Fault::Length)
        }
        _ if has_none => Ok(Framing::Length(0)),
        (None, Some(_)) => Ok(Framing::Chunked(Chunked::new())),
        (Some(length), None) => Ok(Framing::Length(length)),
        (None, None) => Ok(Framing::UntilEnd),
    }
}

fn once<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a [u8]>, Fault> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().map(HeaderValue::as_bytes);
    if values.next().is_some() { Err(Fault::Length) } else { Ok(value) }
}

fn length(value: &[u8]) -> Result<u64, Fault> {
    let is_length = (1..=MAX_LENGTH_DIGITS).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(value).ok().filter(|_| is_length);
    text.and_then(|text| text.parse().ok()).ok_or(Fault::Length)
}

fn says_close(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::CONNECTION).iter().map(HeaderValue::as_bytes);
    let mut options = values.flat_map(|value| value.split(|&b| b == b','));
    options.any(|option| option.trim_ascii().eq_ignore_ascii_case(b"close"))
}
