//! Resource URIs that have more than one reading. A rule that says `file:///etc/*` is worth nothing if the server takes
//! `file:///x/../etc/passwd`, or `FILE:///etc/passwd`, for the same thing (RFC 3986 §6.2, the URL standard's parser).
//!
//! What stays: blanks and text beyond ASCII inside, queries, fragments, escapes of reserved and other characters, capitals. They
//! are part of the text that rules compare, as long as the same rule decides without regard to escapes, case and an absent path
//! ([`folded`]).

use std::borrow::Cow;
use std::net::Ipv4Addr;

use percent_encoding::percent_decode_str;

/// Schemes whose URIs parsers put right on their own, with their default ports (the URL standard, §4.2).
const SPECIAL: [(&str, &str); 5] = [("http", "80"), ("https", "443"), ("ws", "80"), ("wss", "443"), ("ftp", "21")];
/// Also special, with rules of its own (RFC 8089).
const FILE: &str = "file";

/// True when a server could read this as another URI than its text says.
pub(super) fn is_ambiguous(uri: &str) -> bool {
    let (scheme, rest) = scheme(uri);
    let (authority, path) = match rest.strip_prefix("//") {
        // Without a scheme it is a path, and an empty segment in it.
        Some(rest) if !scheme.is_empty() => {
            let (authority, path) = split_before(rest, ['/', '?', '#']);
            (Some(authority), path)
        }
        _ => (None, rest),
    };
    let (path, _) = split_before(path, ['?', '#']);
    has_stray_characters(uri)
        || has_odd_escapes(uri)
        || is_odd_authority(scheme, authority)
        || is_odd_path(path)
        || (scheme == FILE && path.contains('|')) // drive letters: `C|` is `C:` to some
}

/// The same of a template (RFC 6570): its expressions are names, and stand for something plain.
pub(super) fn is_ambiguous_template(template: &str) -> bool {
    is_ambiguous(&without_expressions(template))
}

/// Copies only templates: none is on the path of a call.
pub(super) fn without_expressions(template: &str) -> Cow<'_, str> {
    let (mut plain, mut rest) = (Cow::Borrowed(""), template);
    while let Some((before, (_, after))) =
        rest.split_once('{').and_then(|(before, after)| Some((before, after.split_once('}')?)))
    {
        plain = Cow::Owned(format!("{plain}{before}x"));
        rest = after;
    }
    if plain.is_empty() { Cow::Borrowed(rest) } else { plain + rest }
}

/// What a server reads that decodes escapes, does not tell upper from lower case, and gives a path to what has none: a URI that
/// another rule decides on when it is read so has two readings too. Copies only what is changed.
pub(super) fn folded(text: &str) -> Cow<'_, str> {
    let rooted = rooted(text);
    if !text.contains('%') && !text.contains(char::is_uppercase) {
        return rooted;
    }
    Cow::Owned(percent_decode_str(&rooted).decode_utf8_lossy().to_lowercase())
}

/// `https://h?x` is `https://h/?x` (RFC 3986 §6.2.3; the URL standard). Not patterns that may go on behind the host.
fn rooted(text: &str) -> Cow<'_, str> {
    let (scheme, rest) = scheme(text);
    let is_special = scheme == FILE || SPECIAL.iter().any(|(special, _)| *special == scheme);
    let Some(rest) = rest.strip_prefix("//").filter(|_| is_special) else { return Cow::Borrowed(text) };
    let (authority, after) = split_before(rest, ['/', '?', '#']);
    if after.starts_with('/') || authority.contains('*') {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("{scheme}://{authority}/{after}"))
}

/// Scheme and what follows its colon; an empty scheme where there is none (RFC 3986 §3.1).
fn scheme(uri: &str) -> (&str, &str) {
    let may_stand = |b: u8| b.is_ascii_alphanumeric() || b"+-.".contains(&b);
    let is_scheme = |text: &str| text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.bytes().all(may_stand);
    uri.split_once(':').filter(|(scheme, _)| is_scheme(scheme)).unwrap_or(("", uri))
}

fn split_before<const N: usize>(text: &str, marks: [char; N]) -> (&str, &str) {
    text.find(marks).and_then(|at| text.split_at_checked(at)).unwrap_or((text, ""))
}

/// What parsers drop or turn round: controls, blanks at the ends, backslashes.
fn has_stray_characters(uri: &str) -> bool {
    uri.chars().any(char::is_control)
        || uri.contains('\\')
        || uri.starts_with(char::is_whitespace)
        || uri.ends_with(char::is_whitespace)
}

/// Escapes that are malformed, needless (RFC 3986 §2.3), hide a separator or a control, or come out differently the second time.
fn has_odd_escapes(uri: &str) -> bool {
    let is_hex = |text: &str| text.len() == 2 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let odd = |piece: &str| {
        let Some(digits) = piece.get(..2).filter(|digits| is_hex(digits)) else { return true };
        let Ok(byte) = u8::from_str_radix(digits, 16) else { return true };
        let needless = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        let twice = byte == b'%' && piece.get(2..4).is_some_and(is_hex);
        needless || twice || b"/\\".contains(&byte) || byte.is_ascii_control()
    };
    let mut pieces = uri.split('%').skip(1).peekable();
    // The rare URI with escapes is decoded: bytes that are no UTF-8 mean different things to different decoders.
    pieces.peek().is_some() && (pieces.any(odd) || percent_decode_str(uri).decode_utf8().is_err())
}

fn is_odd_authority(scheme: &str, authority: Option<&str>) -> bool {
    if scheme.bytes().any(|b| b.is_ascii_uppercase()) {
        return true;
    }
    if let Some((_, port)) = SPECIAL.iter().find(|(special, _)| *special == scheme) {
        return !authority.is_some_and(|authority| is_plain(authority, port));
    }
    if scheme == FILE {
        // RFC 8089 §2, appendix B: `file:/x`, `file://localhost/x` and `file:///x` are one file.
        let fine = |host: &str| host.is_empty() || (host != "localhost" && !host.contains(':') && is_plain(host, ""));
        return !authority.is_some_and(fine);
    }
    authority.is_some_and(|authority| {
        let (before, host) = authority.rsplit_once('@').unwrap_or(("x", authority));
        before.is_empty() || before.ends_with(':') || before.contains('@') || host.contains('[') || has_odd_port(host)
    })
}

/// A host that every parser leaves alone, with a port that says something.
fn is_plain(authority: &str, default_port: &str) -> bool {
    let (host, port) = authority.split_once(':').unwrap_or((authority, ""));
    let may_stand = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._".contains(&b);
    // The last label decides whether a host is an address; only one of its many spellings is left alone.
    let is_number = host.rsplit('.').next().is_some_and(|label| label.starts_with(|c: char| c.is_ascii_digit()));
    !host.is_empty()
        && host.bytes().all(may_stand)
        && !host.ends_with('.')
        && (!is_number || host.parse::<Ipv4Addr>().is_ok())
        && !has_odd_port(authority)
        && (port != default_port || port.is_empty())
}

/// `h:`, `h:080`.
fn has_odd_port(authority: &str) -> bool {
    authority.rsplit_once(':').is_some_and(|(_, port)| port.is_empty() || port.starts_with('0'))
}

/// Segments that a parser removes: empty ones and dots (RFC 3986 §5.2.4), also before parameters (`..;a`).
fn is_odd_path(path: &str) -> bool {
    let is_dots = |segment: &str| matches!(segment.split(';').next(), Some("." | ".."));
    path.contains("//") || path.split('/').any(is_dots)
}
