//! `Origin` and CORS (Fetch standard §3.2): foreign origins refused, preflights answered here, answers made readable.

use http::header::{self, HeaderName, HeaderValue};
use http::{Method, StatusCode};

use crate::head::{Fields, Head, Lines, as_text};

use super::body::ReplyBody;
use super::reject::Rejection;
use super::reply::Reply;

/// What MCP clients send; requested `Mcp-Param-*` are added.
const ALLOWED_HEADERS: &str = "authorization, content-type, accept, mcp-protocol-version, mcp-session-id, last-event-id, \
                               mcp-method, mcp-name, dpop, traceparent, tracestate";
/// What MCP clients must be able to read.
const EXPOSED_HEADERS: HeaderValue = HeaderValue::from_static(
    "www-authenticate, mcp-session-id, mcp-protocol-version, dpop-nonce, retry-after, ratelimit, ratelimit-policy, x-request-id",
);
const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, DELETE");
/// Browsers cap this themselves; two hours is what Chromium allows.
const MAX_AGE: HeaderValue = HeaderValue::from_static("7200");
/// A preflight may ask for this many `Mcp-Param-*` fields.
const MAX_PARAMETERS: usize = 32;

/// True for a preflight: `OPTIONS` with `Access-Control-Request-Method` and an `Origin`.
pub(crate) fn is_preflight(request: &Head) -> bool {
    request.method == Method::OPTIONS
        && request.fields.has(&header::ORIGIN)
        && request.fields.has(&header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// The answer to a preflight from a listed origin; no token is asked for, none could be sent.
pub(crate) fn preflight(request: &Fields) -> Reply {
    no_content(&[
        (header::ACCESS_CONTROL_ALLOW_METHODS, METHODS),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, allowed_headers(request)),
        (header::ACCESS_CONTROL_MAX_AGE, MAX_AGE),
    ])
}

/// The answer to a preflight for a metadata document, which anyone may read.
pub(crate) fn public_preflight(request: &Fields) -> Reply {
    no_content(&[
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")),
        (header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, HEAD")),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, allowed_headers(request)),
        (header::ACCESS_CONTROL_MAX_AGE, MAX_AGE),
    ])
}

/// Makes any answer, refusals included, readable for a listed origin.
pub(crate) fn expose(origin: Option<HeaderValue>, has_origins: bool, lines: &mut Lines) {
    if has_origins {
        lines.push_text(&header::VARY, &["Origin"]);
    }
    if let Some(origin) = origin {
        lines.push(&header::ACCESS_CONTROL_ALLOW_ORIGIN, &origin);
        lines.push(&header::ACCESS_CONTROL_EXPOSE_HEADERS, &EXPOSED_HEADERS);
    }
}

fn allowed_headers(request: &Fields) -> HeaderValue {
    let requested = request.all(&header::ACCESS_CONTROL_REQUEST_HEADERS).filter_map(as_text);
    let names = requested
        .flat_map(|value| value.split(','))
        .filter_map(|name| HeaderName::from_bytes(name.trim().as_bytes()).ok());
    let parameters = names.filter(|name| name.as_str().starts_with("mcp-param-")).take(MAX_PARAMETERS);
    let allowed = parameters.fold(ALLOWED_HEADERS.to_owned(), |allowed, name| allowed + ", " + name.as_str());
    crate::headers::from_ascii(allowed)
}

/// Copies the request's `Origin`, where it is on the route's list; any other is refused (MCP transports, DNS rebinding).
pub(crate) fn checked_origin(fields: &Fields, allowed: &[HeaderValue]) -> Result<Option<HeaderValue>, Rejection> {
    let Some(origin) = fields.once(&header::ORIGIN).map_err(|_| Rejection::ForeignOrigin)? else { return Ok(None) };
    let listed = allowed.iter().find(|allowed| allowed.as_bytes() == origin);
    listed.cloned().map(Some).ok_or(Rejection::ForeignOrigin)
}

/// An empty answer of our own.
fn no_content(fields: &[(HeaderName, HeaderValue)]) -> Reply {
    Reply::new(StatusCode::NO_CONTENT, ReplyBody::fixed("")).with(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_requested_parameters_join_the_allowed_headers() {
        let mut request = http::HeaderMap::new();
        request
            .insert(header::ACCESS_CONTROL_REQUEST_HEADERS, HeaderValue::from_static("x-evil, Mcp-Param-Region,b@d"));
        let allowed = allowed_headers(&Fields::from(&request));
        let allowed = allowed.to_str().unwrap();
        assert!(allowed.ends_with("tracestate, mcp-param-region") && !allowed.contains("evil"));
    }

    #[test]
    fn a_preflight_is_told_by_method_origin_and_the_method_that_it_asks_for() {
        let is = |method: Method, names: &[HeaderName]| {
            let request = http::Request::builder().method(method);
            let request = names.iter().fold(request, |request, name| request.header(name, "x"));
            is_preflight(&Head::decoded(request.body(()).unwrap()).0)
        };
        let both = [header::ORIGIN, header::ACCESS_CONTROL_REQUEST_METHOD];
        assert!(is(Method::OPTIONS, &both));
        assert!(!is(Method::POST, &both) && !is(Method::OPTIONS, &[]));
        assert!(!is(Method::OPTIONS, &both[..1]) && !is(Method::OPTIONS, &both[1..]));
    }
}
