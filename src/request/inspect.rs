//! What a request asks for, read without ambiguity: its head's media type, then its whole body, then whether both agree.

use http::{Method, header};

use crate::config::Limits;
use crate::head::{Fields, Head, as_text};
use crate::mcp::message::MAX_TARGETS;
use crate::mcp::reader::{Body, Fault, Reader, Unreadable};
use crate::mcp::{Era, Message, RequestId, mirror};

use super::budget::Budget;
use super::incoming::Incoming;
use super::receive::{Received, receive};
use super::reject::Rejection;

/// The one revision whose clients may send arrays of messages.
const BATCH_VERSION: &str = "2025-03-26";

/// What a request asks for, and its body, which goes upstream as it came.
#[derive(Debug)]
pub(crate) struct Asked {
    era: Era,
    /// `None`: a `GET` that listens, or a `DELETE` that ends a session.
    body: Option<Body>,
    received: Received,
}

/// What bounds the reading of a body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading<'a> {
    pub(crate) limits: &'a Limits,
    pub(crate) budget: &'a Budget,
    /// The route takes arrays of messages.
    pub(crate) batches: bool,
}

impl Asked {
    /// The era of the request.
    pub(crate) fn era(&self) -> Era {
        self.era
    }

    /// The size of the body.
    pub(crate) fn bytes(&self) -> u64 {
        self.received.bytes()
    }

    /// The messages of the body; none of a request without one.
    pub(crate) fn messages(&self) -> &[Message] {
        self.body.as_ref().map_or(&[], Body::messages)
    }

    /// The id that an answer to the request as a whole carries: none for a batch.
    pub(crate) fn id(&self) -> Option<&RequestId> {
        match &self.body {
            Some(Body::One(message)) => message.id.as_ref(),
            Some(Body::Batch(_)) | None => None,
        }
    }

    /// The body for the upstream; once.
    pub(crate) fn take_body(&mut self) -> Received {
        std::mem::take(&mut self.received)
    }
}

/// Judges head and body. `id` is what a refusal will repeat: filled as soon as it was read.
pub(crate) async fn inspect(
    head: &Head,
    incoming: &mut Incoming<'_>,
    reading: Reading<'_>,
    id: &mut Option<RequestId>,
) -> Result<Asked, Rejection> {
    if head.method != Method::POST {
        let is_empty = incoming.is_over();
        let asked = Asked { era: Era::Legacy, body: None, received: Received::default() };
        return is_empty.then_some(asked).ok_or(Rejection::UnexpectedBody);
    }
    if !is_plain_json(&head.fields) {
        return Err(Rejection::MediaType);
    }
    let mut reader = Reader::new(reading.batches);
    let mut unreadable = |Unreadable { fault, id: read }| {
        *id = read;
        Rejection::Body(fault)
    };
    let judge = |piece: &[u8]| reader.feed(piece).map_err(&mut unreadable);
    let received = receive(incoming, reading.limits, reading.budget, judge).await?;
    let body = reader.finish().map_err(unreadable)?;
    let mut asked = Asked { era: Era::Legacy, body: Some(body), received };
    *id = asked.id().cloned();
    asked.era = era(&head.fields, asked.body.as_ref())?;
    Ok(asked)
}

/// MCP 2026-07-28: head and body must agree; arrays are of one legacy revision only.
fn era(fields: &Fields, body: Option<&Body>) -> Result<Era, Rejection> {
    match body {
        None => Ok(Era::Legacy),
        Some(Body::One(message)) => Ok(mirror::check(fields, message)?),
        Some(Body::Batch(messages)) => {
            let fits = fields.get(&mirror::PROTOCOL_VERSION).is_none_or(|version| version == BATCH_VERSION.as_bytes());
            // As many things as one message may name, in all: rules are asked about each.
            let named = messages.iter().filter_map(Message::operation).map(|operation| operation.targets.len());
            if named.sum::<usize>() > MAX_TARGETS {
                return Err(Rejection::Body(Fault::Bounds));
            }
            let eras: Vec<Era> =
                messages.iter().map(|message| mirror::check(fields, message)).collect::<Result<_, _>>()?;
            let legacy = fits && !eras.contains(&Era::Modern);
            legacy.then_some(Era::Legacy).ok_or(Rejection::Body(Fault::Batch))
        }
    }
}

/// One `Content-Type: application/json`, in UTF-8, and no content coding: nothing is ever inflated (threats M11, M13).
fn is_plain_json(fields: &Fields) -> bool {
    let Ok(Some(media_type)) = fields.once(&header::CONTENT_TYPE) else { return false };
    !is_coded(fields) && as_text(media_type).is_some_and(is_json_media_type)
}

/// The body is in a content coding.
pub(super) fn is_coded(fields: &Fields) -> bool {
    fields.all(&header::CONTENT_ENCODING).any(|coding| !coding.eq_ignore_ascii_case(b"identity"))
}

/// `application/json` in UTF-8.
pub(super) fn is_json_media_type(text: &str) -> bool {
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

    fn era_of(messages: &[String]) -> Result<Era, Rejection> {
        let mut reader = Reader::new(true);
        reader.feed(format!("[{}]", messages.join(",")).as_bytes()).unwrap();
        era(&Fields::default(), Some(&reader.finish().unwrap()))
    }

    #[test]
    fn m4_a_batch_names_as_much_as_one_message_may_and_no_more() {
        let listen = |resources: usize| {
            let wanted = vec!["\"a:b\""; resources].join(",");
            let params = format!(r#"{{"notifications":{{"resourceSubscriptions":[{wanted}]}}}}"#);
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{params}}}"#)
        };
        let half = MAX_TARGETS / 2;
        assert_eq!(era_of(&[listen(half), listen(half)]), Ok(Era::Legacy));
        for (one, other) in [(half, half + 1), (1, MAX_TARGETS), (MAX_TARGETS, MAX_TARGETS)] {
            assert_eq!(era_of(&[listen(one), listen(other)]), Err(Rejection::Body(Fault::Bounds)), "{one} {other}");
        }
    }
}
