//! What a request asks for, read without ambiguity. So far: what its head alone tells of its body.
//!
//! Reading JSON-RPC out of the bounded body belongs here, between the head's checks and the [`Operation`].

use http::request::Parts;
use http::{HeaderMap, Method, header};
use http_body::Body;

use super::reject::Rejection;

/// What a request asks for.
#[derive(Debug)]
pub(crate) struct Operation {
    _method: Method,
}

/// Judges the head: media type, coding, declared length. Nothing of the body is awaited.
pub(crate) fn inspect(parts: &Parts, body: Option<&impl Body>, limit: u64) -> Result<Operation, Rejection> {
    let operation = Operation { _method: parts.method.clone() };
    if parts.method != Method::POST {
        return if body.is_none_or(Body::is_end_stream) { Ok(operation) } else { Err(Rejection::UnexpectedBody) };
    }
    if !is_plain_json(&parts.headers) {
        return Err(Rejection::MediaType);
    }
    // The framing's own length, not the header field: HTTP/2 bodies may have none.
    if body.is_some_and(|body| body.size_hint().lower() > limit) {
        return Err(Rejection::BodySize);
    }
    Ok(operation)
}

/// One `Content-Type: application/json`, in UTF-8, and no content coding: nothing is ever inflated (threats M11, M13).
fn is_plain_json(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(media_type), None) = (types.next(), types.next()) else { return false };
    let coded = headers
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"));
    !coded && media_type.to_str().is_ok_and(is_json_media_type)
}

fn is_json_media_type(text: &str) -> bool {
    let mut parts = text.split(';').map(str::trim);
    let is_json = parts.next().is_some_and(|essence| essence.eq_ignore_ascii_case("application/json"));
    is_json
        && parts.all(|parameter| {
            let Some((name, value)) = parameter.split_once('=') else { return parameter.is_empty() };
            // RFC 9110 §8.3.2: a parameter's value may be quoted; parameters other than charset say nothing here. Some readers
            // take `charset =` and `charset*=` (RFC 2231) for charset too.
            let says_charset = name.get(.."charset".len()).is_some_and(|begin| begin.eq_ignore_ascii_case("charset"));
            let is_utf_8 = value.trim_matches('"').eq_ignore_ascii_case("utf-8");
            !says_charset || (name.len() == "charset".len() && is_utf_8)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_in_utf_8_and_nothing_else() {
        let good = [
            "application/json",
            "Application/JSON; charset=UTF-8",
            "application/json;charset=\"utf-8\"",
            "application/json;",
        ];
        for text in good {
            assert!(is_json_media_type(text), "{text}");
        }
        let bad = [
            "",
            "text/plain",
            "application/json-rpc",
            "application/json; charset=utf-16",
            "application/jsonx",
            "text/json",
            "application/json; charset =utf-16",
            "application/json; charset= utf-16",
            "application/json; charset*=utf-16''x",
            "application/json; charset*0=utf-16",
        ];
        for text in bad {
            assert!(!is_json_media_type(text), "{text}");
        }
    }
}
