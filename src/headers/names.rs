//! Names of fields by what becomes of them, whatever their spelling. Pure.

use std::borrow::Cow;

use http::HeaderName;

use super::IDENTITY_NAMESPACE;

/// Names of fields, spelled plainly; a trailing `-` means a whole namespace.
pub(super) struct Names {
    list: &'static [&'static str],
    lengths: Lengths,
}

/// Names that a configuration adds: fields that the gateway states, so that nobody else may.
#[derive(Debug)]
pub struct Stated {
    list: Vec<Vec<u8>>,
    lengths: Box<Lengths>,
}

/// For each first letter, the lengths that names may have: hardly any other field is compared with each name.
type Lengths = [u64; 128];

/// Longer names count as this long.
const LONGEST: usize = 63;

impl Names {
    const fn of(list: &'static [&'static str]) -> Self {
        let (mut lengths, mut rest) = ([0; 128], list);
        while let [name, others @ ..] = rest {
            note(&mut lengths, name.as_bytes());
            rest = others;
        }
        Self { list, lengths }
    }

    pub(super) fn hold(&self, name: &[u8]) -> bool {
        may_hold(&self.lengths, name) && self.list.iter().any(|known| is(name, known.as_bytes()))
    }
}

impl Stated {
    /// Of these names.
    pub fn new<'a>(names: impl Iterator<Item = &'a HeaderName>) -> Self {
        let list: Vec<_> = names.map(|name| spelled_plainly(name.as_str().as_bytes()).into_owned()).collect();
        let mut lengths = Box::new([0; 128]);
        for name in &list {
            note(&mut lengths, name);
        }
        Self { list, lengths }
    }

    pub(super) fn hold(&self, plain: &[u8]) -> bool {
        may_hold(&self.lengths, plain) && self.list.iter().any(|known| known == plain)
    }
}

const fn note(lengths: &mut Lengths, name: &[u8]) {
    if let ([first, ..], [.., last]) = (name, name)
        && let Some((_, [of_first, ..])) = lengths.split_at_mut_checked(*first as usize)
    {
        let mut length = if name.len() > LONGEST { LONGEST } else { name.len() };
        let end = if *last == b'-' { LONGEST } else { length };
        while length <= end {
            *of_first |= 1 << length;
            length += 1;
        }
    }
}

fn may_hold(lengths: &Lengths, name: &[u8]) -> bool {
    let lengths = name.first().and_then(|first| lengths.get(usize::from(*first)));
    lengths.is_some_and(|lengths| lengths >> name.len().min(LONGEST) & 1 == 1)
}

/// A trailing `-` means a whole namespace.
fn is(name: &[u8], known: &[u8]) -> bool {
    if known.ends_with(b"-") { name.starts_with(known) } else { name == known }
}

/// True when a server could take the field for one that was judged only in its proper spelling.
pub(super) fn is_misspelled(name: &[u8], plain: &[u8]) -> bool {
    name != plain && JUDGED.list.iter().any(|known| is(plain, known.as_bytes()) && !is(name, known.as_bytes()))
}

/// CGI-like servers read `X_Auth_Subject` and `X.Auth.Subject` as the same variable as `X-Auth-Subject` (CVE-2025-64484).
pub(super) fn spelled_plainly(name: &[u8]) -> Cow<'_, [u8]> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if name.iter().all(|byte| is_plain(*byte)) {
        return Cow::Borrowed(name);
    }
    Cow::Owned(name.iter().map(|byte| if is_plain(*byte) { *byte } else { b'-' }).collect())
}

/// RFC 9110 §7.6.1, and the older names of the same kind: for one connection only.
pub(super) static HOP_BY_HOP: Names = Names::of(&[
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
pub(super) static NOT_FORWARDED: Names = Names::of(&[
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
pub(super) static MIRRORS: Names = Names::of(&["mcp-method", "mcp-name", "mcp-param-"]);
/// What the fields are called by which requests were judged; the rest of a parameter's name is the tool's own.
pub(super) static JUDGED: Names = Names::of(&[
    MCP,
    "mcp-protocol-version",
    "mcp-method",
    "mcp-name",
    "mcp-param-",
    "content-type",
    "content-encoding",
]);

/// What of a response ends at the gateway besides hop-by-hop fields; a trailing `-` means a whole namespace.
pub(super) static NOT_RETURNED: Names = Names::of(&[
    // Cookies never reach the upstream, so it has no use for setting them on the public origin.
    "set-cookie",
    // The gateway's own framing, and sessions: sealed for their owner, then written anew.
    "content-length",
    "mcp-session-id",
    "last-event-id",
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

/// What of a response speaks of the very bytes of its body.
pub(super) static OF_THE_BYTES: Names =
    Names::of(&["etag", "accept-ranges", "content-md5", "digest", "content-digest", "repr-digest"]);
