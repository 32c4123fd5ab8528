//! Header fields on their way through: what ends at the gateway, what it sets. Pure.
//!
//! Remove first, set last (threat rule 5): nothing that a client or an upstream nominates can touch what is set here.

mod names;
#[cfg(test)]
mod tests;

use std::net::IpAddr;

use http::header::{self, HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::head::{Fields, Lines};

pub use names::Stated;
use names::{HOP_BY_HOP, JUDGED, MIRRORS, NOT_FORWARDED, NOT_RETURNED, OF_THE_BYTES, is_misspelled, spelled_plainly};

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

/// What of one request may go upstream beside the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passing {
    /// The fields that repeat its body: in the legacy era they mean nothing, and nobody has held them against it.
    pub mirrors: bool,
    /// What codings its client can read: nobody asks for them where the answer must be read here.
    pub codings: bool,
}

/// Whether an answer's body stays as it is: fields that speak of its very bytes (RFC 9110 §8, RFC 9530) go when they change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bytes {
    /// They pass.
    Same,
    /// They change.
    Changed,
    /// There are none.
    None,
}

/// The fields of a client's request that may go upstream; what is stated there is the gateway's alone to say.
pub fn for_upstream(fields: &Fields, stated: &Stated, passing: Passing, to: &mut Lines) {
    let ends_here = |plain: &[u8]| {
        NOT_FORWARDED.hold(plain)
            || stated.hold(plain)
            || (!passing.mirrors && MIRRORS.hold(plain))
            || (!passing.codings && plain == b"accept-encoding")
    };
    pass(fields, ends_here, to);
}

/// The fields of an upstream's response that may go to the client.
pub fn for_client(fields: &Fields, bytes: Bytes, to: &mut Lines) {
    let says_type = |plain: &[u8]| plain == b"content-type" || plain == b"content-encoding";
    let ends_here = |plain: &[u8]| {
        NOT_RETURNED.hold(plain)
            || (bytes != Bytes::Same && OF_THE_BYTES.hold(plain))
            || (bytes == Bytes::None && says_type(plain))
    };
    pass(fields, ends_here, to);
}

/// A field by which a message was judged goes on, whatever `Connection` says of it: RFC 9110 §7.6.1 forbids nominating what is meant
/// for all recipients, and without it the next one would read another message than the one that was judged.
fn pass(fields: &Fields, ends_here: impl Fn(&[u8]) -> bool, to: &mut Lines) {
    let nominated = nominated(fields);
    for (name, value) in fields.iter() {
        let plain = spelled_plainly(name);
        let ends = HOP_BY_HOP.hold(&plain)
            || ends_here(&plain)
            || is_misspelled(name, &plain)
            || (is_nominated(&nominated, name) && !JUDGED.hold(name));
        if !ends {
            to.push_judged(name, value);
        }
    }
}

/// Fields that `Connection` nominates (RFC 9110 §7.6.1), lower case, sorted: a client may nominate thousands.
fn nominated(fields: &Fields) -> Vec<Vec<u8>> {
    let names = fields.all(&header::CONNECTION).flat_map(|value| value.split(|&b| b == b','));
    let mut names: Vec<_> = names.map(|name| name.trim_ascii().to_ascii_lowercase()).collect();
    names.sort_unstable();
    names
}

fn is_nominated(nominated: &[Vec<u8>], name: &[u8]) -> bool {
    nominated.binary_search_by(|other| other.as_slice().cmp(name)).is_ok()
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

/// True when the request has been through this gateway already (RFC 9110 §7.6.3: loops).
pub fn is_loop(fields: &Fields) -> bool {
    let mut hops = fields.all(&header::VIA).flat_map(|value| value.split(|&b| b == b','));
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
