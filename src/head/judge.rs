//! Reads an HTTP/1 request head, once and strictly (RFC 9112): what could be read in two ways is no head. Pure.

use bytes::BytesMut;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Request, Version};

use crate::config::resource::split_authority;

use super::fields::{Fields, Line, ROOM_FOR_LINES, position};
use super::{Fault, Head, target};

/// Longest target (threats, limits).
const MAX_TARGET_BYTES: usize = 8 * 1024;
/// Longest request line: a target, and its method and version.
pub(crate) const MAX_REQUEST_LINE_BYTES: usize = MAX_TARGET_BYTES + 64;
/// Most fields in one head.
pub(crate) const MAX_FIELDS: usize = 100;
/// Digits of a length that cannot overflow: 10^18 is under 2^63.
const MAX_LENGTH_DIGITS: usize = 18;

/// How the body behind a head ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// After this many bytes; zero for no body.
    Length(u64),
    /// With the last chunk.
    Chunked,
}

/// Reads a whole head, from its first byte to the empty line's end.
pub fn judge(mut text: BytesMut) -> Result<(Head, Framing), Fault> {
    let (line, rest) = split_line(&mut text).ok_or(Fault::Syntax)?;
    let (method, target_at, version) = judge_request_line(line)?;
    let (at, mut decisive) = (line.len() + LINE_END.len(), Decisive::default());
    let lines = read_fields(rest, at, |name, value| decisive.take(name, value))?;
    let framing = decisive.judge(version == Version::HTTP_11)?;
    let text = text.freeze();
    let uri = target(text.slice(target_at))?;
    Ok((Head { method, uri, version, fields: Fields::new(text, lines) }, framing))
}

/// Reads the fields of an answer's head, up to the empty line's end; what they say about framing is the reader's to judge.
pub(crate) fn judge_fields(mut text: BytesMut) -> Result<Fields, Fault> {
    let lines = read_fields(&mut text, 0, |_, _| Ok(()))?;
    Ok(Fields::new(text.freeze(), lines))
}

/// The bounds of [`judge`] for a head that came decoded (HTTP/2): there framing has one reading, but fields and target have no limit of
/// their own, and the library takes a target that no request line can hold.
pub(crate) fn judge_decoded<B>(request: &Request<B>) -> Result<(), Fault> {
    let target = request.uri().path_and_query().map_or("", PathAndQuery::as_str);
    if target.len() > MAX_TARGET_BYTES {
        return Err(Fault::TargetSize);
    }
    // RFC 9113 §8.2.1: no blanks around a value; HTTP/1.1 takes them off, and so would the upstream.
    let is_blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    let mut values = request.headers().values().map(HeaderValue::as_bytes);
    if !target.bytes().all(is_visible) || values.any(|value| is_blank(value.first()) || is_blank(value.last())) {
        return Err(Fault::Syntax);
    }
    if request.headers().len() > MAX_FIELDS { Err(Fault::HeadSize) } else { Ok(()) }
}

const LINE_END: &[u8] = b"\r\n";

/// The first line and what stands behind its CRLF. A bare CR ends nothing; a bare LF or a NUL is in the line, and refused there.
fn split_line(text: &mut [u8]) -> Option<(&mut [u8], &mut [u8])> {
    let end = memchr::memchr(b'\r', text)?;
    let (line, rest) = text.split_at_mut_checked(end)?;
    let (line_end, rest) = rest.split_at_mut_checked(LINE_END.len())?;
    (line_end == LINE_END).then_some((line, rest))
}

/// `method SP target SP version` (RFC 9112 §3), single blanks. The target by its place.
fn judge_request_line(line: &[u8]) -> Result<(Method, std::ops::Range<usize>, Version), Fault> {
    if line.len() > MAX_REQUEST_LINE_BYTES {
        return Err(Fault::TargetSize);
    }
    let mut parts = line.split(|&b| b == b' ');
    let (Some(method), Some(target), Some(version), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Fault::Syntax);
    };
    if target.len() > MAX_TARGET_BYTES {
        return Err(Fault::TargetSize);
    }
    let place = method.len() + 1..method.len() + 1 + target.len();
    let method = Method::from_bytes(method).map_err(|_| Fault::Syntax)?;
    // RFC 9112 §3.2: no target has a fragment; the library would drop one silently.
    if !target.iter().all(|&b| is_visible(b) && b != b'#') {
        return Err(Fault::Syntax);
    }
    match version {
        b"HTTP/1.1" => Ok((method, place, Version::HTTP_11)),
        b"HTTP/1.0" => Ok((method, place, Version::HTTP_10)),
        version if version.starts_with(b"HTTP/") => Err(Fault::Version),
        _ => Err(Fault::Syntax),
    }
}

fn is_visible(byte: u8) -> bool {
    (0x21..=0x7e).contains(&byte)
}

/// The fields up to the empty line, with which the text ends; it begins at this place of its head. Each is shown to `judge`.
fn read_fields(
    mut text: &mut [u8],
    mut at: usize,
    mut judge: impl FnMut(&[u8], &[u8]) -> Result<(), Fault>,
) -> Result<Vec<Line>, Fault> {
    let mut lines = Vec::with_capacity(ROOM_FOR_LINES);
    loop {
        let (line, rest) = split_line(text).ok_or(Fault::Syntax)?;
        if line.is_empty() {
            return rest.is_empty().then_some(lines).ok_or(Fault::Syntax);
        }
        if lines.len() >= MAX_FIELDS {
            return Err(Fault::HeadSize);
        }
        let length = line.len() + LINE_END.len();
        let (field, name, value) = read_field(line, at).ok_or(Fault::Syntax)?;
        judge(name, value)?;
        lines.push(field);
        at += length;
        text = rest;
    }
}

/// Where one field stands, and what it says. Its name becomes lower case there.
fn read_field(line: &mut [u8], at: usize) -> Option<(Line, &[u8], &[u8])> {
    // RFC 9112 §5.1: no blank before the colon; §5.2: a line that begins with one is a fold, refused.
    let colon = memchr::memchr(b':', line).filter(|&colon| colon > 0)?;
    let (name, value) = line.split_at_mut_checked(colon)?;
    for byte in &mut *name {
        *byte = *NAME_LETTERS.get(usize::from(*byte)).filter(|letter| **letter != 0)?;
    }
    let value = value.get(1..).unwrap_or_default();
    // RFC 9112 §5: blanks around a value are SP and HTAB; a form feed is a control character like the others.
    // Without leaving early: values are long, and so many bytes are judged at a time.
    let is_clean = |b: u8| b == b'\t' || (b >= b' ' && b != 0x7f);
    if !value.iter().fold(true, |clean, &b| clean & is_clean(b)) {
        return None;
    }
    let from_begin = value.trim_ascii_start();
    let begin = at + colon + 1 + value.len() - from_begin.len();
    let value = from_begin.trim_ascii_end();
    let place = |begin: usize, length: usize| position(begin)..position(begin + length);
    Some((Line { name: place(at, colon), value: place(begin, value.len()) }, name, value))
}

/// A letter of a field's name.
pub(crate) fn is_name_letter(byte: u8) -> bool {
    NAME_LETTERS.get(usize::from(byte)).is_some_and(|letter| *letter != 0)
}

/// The letters of a token (RFC 9110 §5.6.2), each as the lower-case one that it stands for; 0 for what is none.
static NAME_LETTERS: [u8; 256] = {
    let (mut letters, mut rest) = ([0; 256], b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz".as_slice());
    while let [letter, others @ ..] = rest {
        let (_, [lower, ..]) = letters.split_at_mut(*letter as usize) else { break };
        *lower = *letter;
        let (_, [upper, ..]) = letters.split_at_mut(letter.to_ascii_uppercase() as usize) else { break };
        *upper = *letter;
        rest = others;
    }
    letters
};

/// The fields that decide about framing and host.
#[derive(Default)]
struct Decisive {
    /// `Host` stood once, and is one.
    has_host: bool,
    length: Option<u64>,
    /// `Transfer-Encoding` stood once; true: it is `chunked`.
    coding: Option<bool>,
}

impl Decisive {
    fn take(&mut self, name: &[u8], value: &[u8]) -> Result<(), Fault> {
        match name {
            b"host" => {
                let host = std::str::from_utf8(value).ok().and_then(split_authority);
                let is_only = !std::mem::replace(&mut self.has_host, true);
                host.filter(|_| is_only).map(|_| ()).ok_or(Fault::Host)
            }
            b"content-length" => once(&mut self.length, parse_length(value)?),
            b"transfer-encoding" => once(&mut self.coding, value.eq_ignore_ascii_case(b"chunked")),
            _ => Ok(()),
        }
    }

    fn judge(self, is_1_1: bool) -> Result<Framing, Fault> {
        if !self.has_host {
            return Err(Fault::Host);
        }
        match (self.length, self.coding) {
            (Some(_), Some(_)) => Err(Fault::Framing), // RFC 9112 §6.3: request smuggling
            (None, Some(_)) if !is_1_1 => Err(Fault::Framing),
            (None, Some(true)) => Ok(Framing::Chunked),
            (None, Some(false)) => Err(Fault::Coding), // RFC 9112 §6.1: 501
            (length, None) => Ok(Framing::Length(length.unwrap_or(0))),
        }
    }
}

fn once<T>(place: &mut Option<T>, value: T) -> Result<(), Fault> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(Fault::Framing),
    }
}

/// Digits alone (RFC 9110 §8.6).
pub(crate) fn parse_length(value: &[u8]) -> Result<u64, Fault> {
    let digits = (1..=MAX_LENGTH_DIGITS).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(value).map_err(|_| Fault::Framing)?;
    if digits { text.parse().map_err(|_| Fault::Framing) } else { Err(Fault::Framing) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(head: &[u8]) -> Result<Framing, Fault> {
        super::judge(head.into()).map(|(_, framing)| framing)
    }

    fn judged(fields: &str) -> Result<Framing, Fault> {
        judge(format!("POST /mcp HTTP/1.1\r\nHost: h\r\n{fields}\r\n").as_bytes())
    }

    #[test]
    fn good_heads_tell_how_their_body_ends() {
        assert_eq!(judged(""), Ok(Framing::Length(0)));
        assert_eq!(judged("content-length:  12 \r\n"), Ok(Framing::Length(12)));
        assert_eq!(judged("Transfer-Encoding: Chunked\r\n"), Ok(Framing::Chunked));
        assert_eq!(judge(b"GET http://h/mcp HTTP/1.0\r\nhost: h:8443\r\n\r\n"), Ok(Framing::Length(0)));
    }

    #[test]
    fn a_head_is_what_it_says_without_the_blanks_around() {
        let text = "PATCH /mcp/a?b=c HTTP/1.0\r\nHost:h\r\nX-A: \t a  b\t \r\nempty:\r\nblank: \r\nx-a:c\r\n\r\n";
        let (head, _) = super::judge(text.into()).unwrap();
        let said = (head.method.as_str(), head.uri.to_string(), head.version);
        assert_eq!(said, ("PATCH", "/mcp/a?b=c".to_owned(), Version::HTTP_10));
        let fields: [(&[u8], &[u8]); 5] =
            [(b"host", b"h"), (b"x-a", b"a  b"), (b"empty", b""), (b"blank", b""), (b"x-a", b"c")];
        assert!(head.fields.iter().eq(fields));
        let (_, answer) = text.split_once("\r\n").unwrap();
        assert!(judge_fields(answer.into()).unwrap().iter().eq(fields));
        assert_eq!(judge_fields("A : b\r\n\r\n".into()).err(), Some(Fault::Syntax));
    }

    #[test]
    fn f1_to_f4_lengths_that_could_be_read_in_two_ways() {
        let framing = [
            "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n",
            "Content-Length: 1\r\nContent-Length: 2\r\n",
            "Content-Length: 1\r\nContent-Length: 1\r\n",
            "Content-Length: +1\r\n",
            "Content-Length: 0x1\r\n",
            "Content-Length: 1, 1\r\n",
            "Content-Length:\r\n",
            "Content-Length: 9223372036854775808\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        ];
        for fields in framing {
            assert_eq!(judged(fields), Err(Fault::Framing), "{fields:?}");
        }
        for coding in [
            "gzip, chunked",
            "chunked, chunked",
            "\"chunked\"",
            "chunked;q=1",
            "identity",
            "",
            "xchunked",
            "chunked\x0b",
            "chunked\x0c",
        ] {
            assert!(judged(&format!("Transfer-Encoding: {coding}\r\n")).is_err(), "{coding:?}");
        }
        assert_eq!(judge(b"POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"), Err(Fault::Framing));
    }

    #[test]
    fn f8_lines_that_are_no_lines() {
        let bad = [
            "A : b\r\n",
            " a: b\r\n",
            "a: b\r\n c\r\n",
            "a\r\n",
            ": b\r\n",
            "a: b\rc\r\n",
            "a: b\nc: d\r\n",
            "a: \0\r\n",
            "a: \x7f\r\n",
            "a: b\x0c\r\n",
            "Content-Length: \x0c1\r\n",
            "é: b\r\n",
        ];
        for line in bad {
            assert_eq!(judged(line), Err(Fault::Syntax), "{line:?}");
        }
        let lines = [
            "GET  / HTTP/1.1",
            "GET /",
            "GET / HTTP/1.1 ",
            " GET / HTTP/1.1",
            "GET /a b HTTP/1.1",
            "G(T / HTTP/1.1",
            "GET /\u{80} HTTP/1.1",
            "GET /mcp#x HTTP/1.1",
        ];
        for line in lines {
            assert_eq!(judge(format!("{line}\r\nHost: h\r\n\r\n").as_bytes()), Err(Fault::Syntax), "{line:?}");
        }
    }

    #[test]
    fn f9_f10_host_and_version() {
        assert_eq!(judge(b"GET / HTTP/1.1\r\n\r\n"), Err(Fault::Host));
        for host in ["h\r\nHost: h", "", "h/x", "u@h", "h:port", "h:", "h:080", "h h", "h,h"] {
            assert_eq!(
                judge(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes()),
                Err(Fault::Host),
                "{host:?}"
            );
        }
        for version in ["HTTP/9.9", "HTTP/2.0", "HTTP/1.2", "HTTP/1"] {
            assert_eq!(judge(format!("GET / {version}\r\nHost: h\r\n\r\n").as_bytes()), Err(Fault::Version));
        }
        for version in ["FTP/1.1", "http/1.1", "HTTP", ""] {
            assert_eq!(judge(format!("GET / {version}\r\nHost: h\r\n\r\n").as_bytes()), Err(Fault::Syntax));
        }
    }

    #[test]
    fn d10_decoded_heads_have_the_same_bounds() {
        let request = |path: usize, fields: usize| {
            let uri = format!("https://h/{}", "a".repeat(path));
            (0..fields).fold(Request::get(uri), |request, at| request.header(format!("x-{at}"), "v")).body(()).unwrap()
        };
        assert_eq!(judge_decoded(&request(1, MAX_FIELDS)), Ok(()));
        assert_eq!(judge_decoded(&request(1, MAX_FIELDS + 1)), Err(Fault::HeadSize));
        assert_eq!(judge_decoded(&request(8191, 1)), Ok(()));
        assert_eq!(judge_decoded(&request(8192, 1)), Err(Fault::TargetSize));
        for value in [" v", "\tv", "v ", "v\t"] {
            let request = Request::get("https://h/").header("x-a", value).body(()).unwrap();
            assert_eq!(judge_decoded(&request), Err(Fault::Syntax), "{value:?}");
        }
        let beyond_ascii = Request::get("https://h/mcp?q=\u{e9}").body(()).unwrap();
        assert_eq!(judge_decoded(&beyond_ascii), Err(Fault::Syntax));
    }

    #[test]
    fn d10_too_many_fields_and_too_long_a_target() {
        assert_eq!(judged(&"a: b\r\n".repeat(MAX_FIELDS)), Err(Fault::HeadSize));
        assert!(judged(&"a: b\r\n".repeat(MAX_FIELDS - 1)).is_ok());
        let line = |method: usize, target: usize| {
            let (method, path) = ("M".repeat(method), "a".repeat(target - 1));
            judge(format!("{method} /{path} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes())
        };
        assert!(line(3, 8192).is_ok() && line(54, 8192).is_ok());
        assert_eq!((line(3, 8193), line(55, 8192)), (Err(Fault::TargetSize), Err(Fault::TargetSize)));
    }
}
