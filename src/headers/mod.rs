//! Header fields on their way through: what ends at the gateway, what it sets. Pure.
//!
//! Remove first, set last (threat rule 5): nothing that a client or an upstream nominates can touch what is set here.

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::HashSet;
use std::net::IpAddr;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

/// Names of fields, spelled plainly; a trailing `-` means a whole namespace.
struct Names {
    list: &'static [&'static str],
    /// For each first letter, the lengths that names may have: hardly any other field is compared with each name.
    lengths: [u64; 128],
}

/// Longer names count as this long.
const LONGEST: usize = 63;

impl Names {
    const fn of(list: &'static [&'static str]) -> Self {
        let (mut lengths, mut rest) = ([0; 128], list);
        while let [name, others @ ..] = rest {
            let (letters, mut length) = (name.as_bytes(), name.len());
            if let ([first, ..], [.., last]) = (letters, letters)
                && let Some((_, [of_first, ..])) = lengths.split_at_mut_checked(*first as usize)
            {
                let end = if *last == b'-' { LONGEST } else { length };
                while length <= end {
                    *of_first |= 1 << length;
                    length += 1;
                }
            }
            rest = others;
        }
        Self { list, lengths }
    }

    fn hold(&self, name: &str) -> bool {
        let lengths = name.bytes().next().and_then(|first| self.lengths.get(usize::from(first)));
        lengths.is_some_and(|lengths| lengths >> name.len().min(LONGEST) & 1 == 1)
            && self.list.iter().any(|known| is(name, known))
    }
}

/// The namespace of identity fields; every spelling of it from a client ends at the gateway.
pub const IDENTITY_NAMESPACE: &str = "x-auth-";

/// `X-Request-Id`: the gateway's own id of a request, in every response and towards the upstream.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Read by buffering reverse proxies in front of the gateway.
pub const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// How the gateway calls itself in `Via` (RFC 9110 §7.6.3).
pub const PSEUDONYM: &str = "portcullis";

/// Nothing but visible ASCII survives in an injected value; `%` is encoded too, so that decoding is unambiguous.
const NOT_VISIBLE: &AsciiSet = &CONTROLS.add(b' ').add(b'%');

/// RFC 9110 §7.6.1, and the older names of the same kind: for one connection only.
static HOP_BY_HOP: Names = Names::of(&[
    "connection",
    "proxy-connection",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "proxy-authorization",
    "proxy-authenticate",
]);

/// What of a request ends at the gateway besides hop-by-hop fields, in any spelling; a trailing `-` means a whole namespace.
static NOT_FORWARDED: Names = Names::of(&[
    // Credentials and what is judged here: never the upstream's business (MCP security: no token passthrough).
    "authorization",
    "dpop",
    "cookie",
    "client-cert",
    "client-cert-chain",
    "origin",
    // Identity and provenance: written by the gateway alone, and what other gateways call them.
    IDENTITY_NAMESPACE,
    "x-portcullis-",
    "remote-",
    "x-remote-",
    "ssl-client-",
    "x-ssl-client-",
    "forwarded",
    "forwarded-for",
    "x-forwarded",
    "x-forwarded-",
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "true-client-ip",
    "cf-connecting-ip",
    "fastly-client-ip",
    "x-request-id",
    "baggage",
    // Sessions: judged here, then written anew where they are the caller's.
    "mcp-session-id",
    "last-event-id",
    // Second opinions about target and method (threats H9, H13).
    "x-original-",
    "x-envoy-",
    "x-rewrite-url",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "proxy",
    // Made new for the next connection.
    "host",
    "content-length",
    "expect",
]);

/// Where MCP's own fields begin.
const MCP: &str = "mcp-";
/// The fields that repeat a body of the modern era; a trailing `-` means a whole namespace.
static MIRRORS: Names = Names::of(&["mcp-method", "mcp-name", "mcp-param-"]);
/// What the fields are called by which requests were judged; the rest of a parameter's name is the tool's own.
static JUDGED: Names = Names::of(&[
    MCP,
    "mcp-protocol-version",
    "mcp-method",
    "mcp-name",
    "mcp-param-",
    "content-type",
    "content-encoding",
]);

/// What of a response ends at the gateway besides hop-by-hop fields; a trailing `-` means a whole namespace.
static NOT_RETURNED: Names = Names::of(&[
    // Cookies never reach the upstream, so it has no use for setting them on the public origin.
    "set-cookie",
    // CORS, alternative services, request ids and limits of the public origin are the gateway's to state.
    "access-control-",
    "alt-svc",
    "x-request-id",
    "www-authenticate",
    "proxy-authentication-info",
    // Rules for the whole public origin, which other servers share.
    "strict-transport-security",
    "clear-site-data",
    "nel",
    "report-to",
    "accept-ch",
    "origin-agent-cluster",
    "service-worker-allowed",
]);

/// The fields of a client's request that may go upstream.
pub fn for_upstream(headers: &HeaderMap) -> HeaderMap {
    without(headers, &NOT_FORWARDED)
}

/// The fields of an upstream's response that may go to the client.
pub fn for_client(headers: &HeaderMap) -> HeaderMap {
    without(headers, &NOT_RETURNED)
}

/// A field by which a message was judged goes on, whatever `Connection` says of it: RFC 9110 §7.6.1 forbids nominating what is meant
/// for all recipients, and without it the next one would read another message than the one that was judged.
fn without(headers: &HeaderMap, unwanted: &Names) -> HeaderMap {
    let nominated = nominated(headers);
    let mut kept = HeaderMap::with_capacity(headers.len() + ROOM_FOR_OURS);
    for (name, value) in headers {
        let plain = spelled_plainly(name.as_str());
        let ends_here = HOP_BY_HOP.hold(&plain)
            || unwanted.hold(&plain)
            || is_misspelled(name.as_str(), &plain)
            || (nominated.contains(name.as_str()) && !JUDGED.hold(name.as_str()));
        if !ends_here {
            kept.append(name, value.clone());
        }
    }
    kept
}

/// The gateway sets about this many fields of its own.
const ROOM_FOR_OURS: usize = 16;

/// Fields that `Connection` nominates (RFC 9110 §7.6.1), lower case.
fn nominated(headers: &HeaderMap) -> HashSet<String> {
    let values = headers.get_all(header::CONNECTION).iter();
    let names = values.flat_map(|value| value.as_bytes().split(|&b| b == b','));
    names.map(|name| String::from_utf8_lossy(name.trim_ascii()).to_ascii_lowercase()).collect()
}

/// Removes a field in every spelling that a server could take for it.
pub fn remove_spellings(headers: &mut HeaderMap, field: &HeaderName) {
    let plain = spelled_plainly(field.as_str());
    // Every spelling is as long as the field: so hardly any name is looked at.
    let alike = headers.keys().filter(|name| name.as_str().len() == plain.len());
    let alike: Vec<HeaderName> = alike.filter(|name| spelled_plainly(name.as_str()) == plain).cloned().collect();
    for name in alike {
        headers.remove(name);
    }
}

/// Removes the fields that repeat a body: in the legacy era they mean nothing, and nobody has held them against it.
pub fn remove_mirrors(headers: &mut HeaderMap) {
    let mirrors: Vec<HeaderName> = headers.keys().filter(|name| is_mirror(name.as_str())).cloned().collect();
    for name in mirrors {
        headers.remove(name);
    }
}

/// Whatever the spelling, the first letters are the same.
fn is_mirror(name: &str) -> bool {
    name.starts_with("mcp") && MIRRORS.hold(&spelled_plainly(name))
}

/// True when a server could take the field for one that was judged only in its proper spelling.
fn is_misspelled(name: &str, plain: &str) -> bool {
    name != plain && JUDGED.list.iter().any(|known| is(plain, known) && !is(name, known))
}

/// A trailing `-` means a whole namespace.
fn is(name: &str, known: &str) -> bool {
    if known.ends_with('-') { name.starts_with(known) } else { name == known }
}

/// CGI-like servers read `X_Auth_Subject` and `X.Auth.Subject` as the same variable as `X-Auth-Subject` (CVE-2025-64484).
fn spelled_plainly(name: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if name.bytes().all(is_plain) {
        return Cow::Borrowed(name);
    }
    Cow::Owned(name.chars().map(|c| if u8::try_from(c).is_ok_and(is_plain) { c } else { '-' }).collect())
}

/// A claim as a field value: visible ASCII, everything else percent-encoded as UTF-8. CR, LF and NUL cannot occur.
pub fn visible(text: &str) -> HeaderValue {
    let mut encoded = String::with_capacity(text.len());
    push_visible(&mut encoded, text);
    from_ascii(encoded)
}

/// The same at the end of other text.
pub fn push_visible(to: &mut String, text: &str) {
    if text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'%') {
        return to.push_str(text);
    }
    to.extend(utf8_percent_encode(text, NOT_VISIBLE));
}

/// Several claims, each [`visible`], separated by single blanks, at the end of other text.
pub fn push_visible_list<'a>(to: &mut String, items: impl Iterator<Item = &'a str>) {
    for (at, item) in items.enumerate() {
        to.push_str(if at == 0 { "" } else { " " });
        push_visible(to, item);
    }
}

/// Text that is visible ASCII by construction; anything else becomes an empty value rather than a fault.
pub fn from_ascii(text: String) -> HeaderValue {
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// Text that is visible ASCII already and needs no escape.
pub fn exactly(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
}

/// The same as bytes.
pub fn from_ascii_bytes(text: Vec<u8>) -> HeaderValue {
    HeaderValue::from_maybe_shared(Bytes::from(text)).unwrap_or(HeaderValue::from_static(""))
}

/// True when the request has been through this gateway already (RFC 9110 §7.6.3: loops).
pub fn is_loop(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::VIA).iter();
    let mut hops = values.flat_map(|value| value.as_bytes().split(|&b| b == b','));
    hops.any(|hop| {
        hop.split(u8::is_ascii_whitespace).filter(|part| !part.is_empty()).nth(1) == Some(PSEUDONYM.as_bytes())
    })
}

/// A `for` node of `Forwarded` (RFC 7239 §6): IPv6 is bracketed and quoted.
pub fn forwarded_node(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("\"[{address}]\""),
    }
}
