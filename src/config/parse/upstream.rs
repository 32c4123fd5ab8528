//! The MCP server behind a route: its URL, trust anchor, own header fields and timeouts.

use ::url::Url;
use http::{HeaderName, HeaderValue, Uri};

use super::super::read::item::{Item, Seen, Text};
use super::super::read::shape::{Key, Shape};
use super::super::read::table::Table;
use super::super::{Timeouts, Upstream};
use super::identity::NAMESPACE;
use super::{bounds, url};

pub(super) const TIMEOUTS_KEYS: &[Key] = &[
    Key::of("connect", Shape::Wait(&bounds::CONNECT)),
    Key::of("response", Shape::Wait(&bounds::RESPONSE)),
    Key::of("idle", Shape::Wait(&bounds::IDLE)),
    Key::of("total", Shape::Wait(&bounds::TOTAL)),
];
/// RFC 9110 §7.6.1 and what frames a message: about one hop or one body, never fixed.
const FRAMING: &[&str] = &[
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
/// What the gateway writes about the client, and what MCP says per request.
const OWN: &[&str] = &["forwarded", "x-forwarded-", "x-real-ip", "origin", "mcp-", "last-event-id"];

pub(super) fn read(table: &Table<'_>) -> Option<Upstream> {
    let url = table.need("upstream").and_then(target);
    let messages = table.get("upstream_messages").and_then(|item| messages(item, url.as_ref()));
    let ca_text = table.get("upstream_ca").and_then(Item::text);
    let ca = ca_text.and_then(|text| match &url {
        Some(url) if url.scheme_str() == Some("http") => text.error("is of use only with an https:// upstream"),
        _ => text.path(),
    });
    let headers = table.get("upstream_headers").and_then(|item| headers(&item)).unwrap_or_default();
    let timeouts = timeouts(table);
    Some(Upstream { url: url?, messages, ca, headers, timeouts })
}

fn target(item: Item<'_>) -> Option<Uri> {
    if item.value.is_array() {
        return item.error("must be one URL; several replicas come with a later version");
    }
    uri(&item.text()?)
}

fn uri(text: &Text<'_>) -> Option<Uri> {
    let url = url::web(text)?;
    if url.query().is_some() {
        return text.error("must not have a query: the client's own goes there");
    }
    let uri = text.as_str().parse().ok();
    uri.or_else(|| text.error("must be a URL such as http://127.0.0.1:3000/mcp"))
}

fn messages(item: Item<'_>, upstream: Option<&Uri>) -> Option<Uri> {
    let text = item.text()?;
    let messages = uri(&text)?;
    let origin = |uri: &Uri| Url::parse(&uri.to_string()).ok().map(|url| url.origin());
    if upstream.is_some_and(|upstream| origin(upstream) != origin(&messages)) {
        return text.error("must have the scheme, host and port of upstream");
    }
    Some(messages)
}

fn headers(item: &Item<'_>) -> Option<Vec<(HeaderName, HeaderValue)>> {
    let mut seen = Seen::default();
    let mut header = |(name, item): (&str, Item<'_>)| -> Option<(HeaderName, HeaderValue)> {
        let name = header_name(name, &item);
        let text = item.text()?;
        let name = name.filter(|name| text.is_new_as(name.to_string(), &mut seen));
        // An empty credential is a variable that somebody forgot to fill.
        let value = HeaderValue::from_str(text.as_str()).ok().filter(|value| !value.is_empty());
        let Some(mut value) = value else {
            return text.error("must be a header field's value: not empty, no line breaks or control characters");
        };
        value.set_sensitive(true);
        Some((name?, value))
    };
    Some(item.free_table()?.items().filter_map(&mut header).collect())
}

fn header_name(written: &str, item: &Item<'_>) -> Option<HeaderName> {
    let Ok(name) = HeaderName::from_bytes(written.as_bytes()) else {
        return item.error("is no header field's name");
    };
    if FRAMING.contains(&name.as_str()) {
        return item.error("cannot be set: it is about one connection or one message");
    }
    // Servers that read header fields as CGI variables take an underscore for a hyphen.
    let alike = name.as_str().replace('_', "-");
    if alike.starts_with(NAMESPACE) {
        return item.error("cannot be set: x-auth- carries the caller's identity, see identity");
    }
    if OWN.iter().any(|own| alike == *own || (own.ends_with('-') && alike.starts_with(own))) {
        return item.error("cannot be set: the gateway or the client says it per request");
    }
    Some(name)
}

fn timeouts(table: &Table<'_>) -> Timeouts {
    let table = table.get("timeouts").and_then(|item| item.table(TIMEOUTS_KEYS));
    let wait = |key, bound: &super::super::read::units::Bound<_>| match &table {
        Some(table) => table.duration(key, bound),
        None => bound.default,
    };
    Timeouts {
        connect: wait("connect", &bounds::CONNECT),
        response: wait("response", &bounds::RESPONSE),
        idle: wait("idle", &bounds::IDLE),
        total: wait("total", &bounds::TOTAL),
    }
}
