//! Reads the head of an answer (RFC 9112 §4, §5, §6.3), strictly. Pure.

use http::{StatusCode, Version, header};

use crate::chunked::Chunked;
use crate::head::judge::{judge_fields, parse_length};
use crate::head::{Fault as Malformed, Fields};

use super::body::Framing;
use super::{Fault, MAX_HEAD_BYTES};

/// What an answer's head says.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: StatusCode,
    pub(crate) fields: Fields,
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
pub(super) fn parse(head: &[u8]) -> Result<Head, Fault> {
    let end = memchr::memchr(b'\n', head).ok_or(Fault::StatusLine)?;
    let (line, fields) = head.split_at_checked(end + 1).ok_or(Fault::StatusLine)?;
    let (version, status) = status_line(line.strip_suffix(b"\r\n").ok_or(Fault::Line)?)?;
    let fields = judge_fields(fields.into()).map_err(|fault| match fault {
        Malformed::HeadSize => Fault::Fields,
        Malformed::Framing
        | Malformed::Coding
        | Malformed::Syntax
        | Malformed::Host
        | Malformed::Version
        | Malformed::TargetSize
        | Malformed::HeadTimeout => Fault::Field,
    })?;
    let framing = framing(status, version, &fields)?;
    let persists = version == Version::HTTP_11 && !says_close(&fields);
    Ok(Head { status, fields, framing, persists })
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

/// Visible, blank or beyond ASCII (RFC 9110 §5.5). Without leaving early: so many bytes are judged at a time.
fn is_text(bytes: &[u8]) -> bool {
    let is_clean = |b: u8| b == b'\t' || (b >= b' ' && b != 0x7f);
    bytes.iter().fold(true, |clean, &b| clean & is_clean(b))
}

/// RFC 9112 §6.3. Whoever writes two lengths, or one twice, may have written more than one reading of an answer.
fn framing(status: StatusCode, version: Version, fields: &Fields) -> Result<Framing, Fault> {
    let coding = fields.once(&header::TRANSFER_ENCODING).map_err(|_| Fault::Length)?;
    let length = fields.once(&header::CONTENT_LENGTH).map_err(|_| Fault::Length)?.map(length).transpose()?;
    let has_none = status.is_informational() || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    match (length, coding) {
        (Some(_), Some(_)) => Err(Fault::Length),
        (None, Some(coding)) if version != Version::HTTP_11 || !coding.eq_ignore_ascii_case(b"chunked") => {
            Err(Fault::Length)
        }
        _ if has_none => Ok(Framing::Length(0)),
        (None, Some(_)) => Ok(Framing::Chunked(Chunked::default())),
        (Some(length), None) => Ok(Framing::Length(length)),
        (None, None) => Ok(Framing::UntilEnd),
    }
}

fn length(value: &[u8]) -> Result<u64, Fault> {
    parse_length(value).map_err(|_| Fault::Length)
}

fn says_close(fields: &Fields) -> bool {
    fields.names_in(&header::CONNECTION, b"close")
}
