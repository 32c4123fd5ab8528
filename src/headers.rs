//! Header fields on their way through: what ends at the gateway, what it sets. Pure.
//!
//! Remove first, set last (threat rule 5): nothing that a client or an upstream nominates can touch what is set here.

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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn map(fields: &[(&str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&str, &str)| {
            (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap())
        };
        let mut map = HeaderMap::new();
        fields.iter().map(pair).for_each(|(name, value)| {
            map.append(name, value);
        });
        map
    }

    #[test]
    fn identity_fields_end_here_in_every_spelling() {
        for name in
            ["x-auth-subject", "X-Auth-Subject", "x_auth_subject", "x-auth_subject", "x.auth.subject", "X_AUTH-x"]
        {
            assert!(for_upstream(&map(&[(name, "mallory")])).is_empty(), "{name}");
        }
    }

    #[test]
    fn nominated_and_repeated_fields_go_and_the_rest_stays() {
        let headers = map(&[
            ("connection", "close, X-Secret"),
            ("connection", "x-other"),
            ("x-secret", "1"),
            ("x-other", "1"),
            ("accept", "a"),
            ("accept", "b"),
            ("mcp-param-a_b", "kept"),
        ]);
        let kept = for_upstream(&headers);
        assert_eq!(kept.get_all("accept").iter().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!((kept.len(), &kept["mcp-param-a_b"]), (3, &HeaderValue::from_static("kept")));
    }

    #[test]
    fn what_was_judged_is_not_nominated_away() {
        let headers = map(&[
            ("connection", "Mcp-Method, content-type, x-a"),
            ("mcp-method", "1"),
            ("content-type", "2"),
            ("x-a", "3"),
        ]);
        let judged = map(&[("mcp-method", "1"), ("content-type", "2")]);
        assert_eq!((for_upstream(&headers), for_client(&headers)), (judged.clone(), judged));
    }

    #[test]
    fn a_field_is_removed_in_every_spelling_and_nothing_else() {
        let mut headers = map(&[("x-api-key", "1"), ("x_api_key", "2"), ("X.Api-Key", "3"), ("x-api-key-id", "4")]);
        remove_spellings(&mut headers, &HeaderName::from_static("x-api-key"));
        assert_eq!(headers, map(&[("x-api-key-id", "4")]));
    }

    #[test]
    fn sessions_are_never_the_clients_own_words() {
        for name in ["mcp-session-id", "mcp_session_id", "Mcp.Session-Id", "last-event-id", "Last_Event_ID"] {
            assert!(for_upstream(&map(&[(name, "1")])).is_empty(), "{name}");
        }
    }

    #[test]
    fn mcp_fields_pass_in_their_proper_spelling_only() {
        let proper = map(&[
            ("mcp-protocol-version", "1"),
            ("Mcp-Method", "2"),
            ("mcp-name", "3"),
            ("mcp-param-Region.x_y", "4"),
            ("mcp-later", "5"),
        ]);
        assert_eq!(for_upstream(&proper), proper);
        assert_eq!(for_client(&proper), proper);
        for name in ["mcp_method", "mcp.name", "mcp_param-a", "mcp-param_a", "mcp-protocol_version", "mcp_later"] {
            assert!(for_upstream(&map(&[(name, "1")])).is_empty(), "{name}");
            assert!(for_client(&map(&[(name, "1")])).is_empty(), "{name}");
        }
        let mut legacy = proper;
        remove_mirrors(&mut legacy);
        assert_eq!(legacy, map(&[("mcp-protocol-version", "1"), ("mcp-later", "5")]));
    }

    #[test]
    fn fields_that_say_how_to_read_a_body_pass_in_their_proper_spelling_only() {
        let proper = map(&[("content-type", "application/json"), ("content-encoding", "identity")]);
        assert_eq!(for_upstream(&proper), proper);
        for name in ["content_type", "Content.Encoding", "transfer_encoding", "proxy_connection", "keep.alive"] {
            assert!(for_upstream(&map(&[(name, "1")])).is_empty(), "{name}");
            assert!(for_client(&map(&[(name, "1")])).is_empty(), "{name}");
        }
    }

    #[test]
    fn a_loop_is_seen_whatever_the_version_and_place() {
        assert!(is_loop(&map(&[("via", "1.0 fred, 2 portcullis")])));
        assert!(!is_loop(&map(&[("via", "1.1 portcullis-edge")])));
        assert!(!is_loop(&map(&[("via", "portcullis 1.1")])));
    }

    #[test]
    fn nodes_are_written_as_rfc_7239_wants_them() {
        assert_eq!(forwarded_node("192.0.2.1".parse().unwrap()), "192.0.2.1");
        assert_eq!(forwarded_node("2001:db8::1".parse().unwrap()), "\"[2001:db8::1]\"");
    }

    proptest! {
        #[test]
        fn no_hop_by_hop_or_identity_field_survives(names in proptest::collection::vec("[a-zA-Z._-]{1,20}", 0..12), nominated in 0usize..12) {
            let mut headers = HeaderMap::new();
            for name in names.iter().map(String::as_str).chain(HOP_BY_HOP.list.iter().copied()).chain(["x-auth-tenant", "X_AUTH_TENANT"]) {
                headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_static("v"));
            }
            let nominated = names.get(nominated).cloned().unwrap_or_default();
            headers.append(header::CONNECTION, HeaderValue::from_str(&nominated).unwrap());
            let kept = for_upstream(&headers);
            for name in kept.keys() {
                prop_assert!(!HOP_BY_HOP.list.contains(&name.as_str()));
                prop_assert!(!spelled_plainly(name.as_str()).starts_with(IDENTITY_NAMESPACE));
                prop_assert!(!name.as_str().eq_ignore_ascii_case(&nominated));
            }
        }

        #[test]
        fn injected_values_are_visible_ascii_and_decode_to_what_they_were(text in "\\PC*|[\\x00-\\x7f]*") {
            let value = visible(&text);
            prop_assert!(value.as_bytes().iter().all(|b| (0x21..=0x7e).contains(b)));
            let decoded = percent_encoding::percent_decode(value.as_bytes()).decode_utf8().unwrap().into_owned();
            prop_assert_eq!(decoded, text);
        }
    }
}
