//! Heads beside bodies: what passes as modern says in its fields what the body says, by another comparison.
#![no_main]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;
use portcullis::head::Fields;
use portcullis::mcp::message::{Content, Era, Message, naming_of};
use portcullis::mcp::mirror::{check, era_of_head};
use portcullis::mcp::reader::{Body, Reader};

const FIELDS: [&str; 3] = ["mcp-protocol-version", "mcp-method", "mcp-name"];

// Lines: a field each, `v`, `m` or `n` and its value; after an empty line the body. So the corpus can be read.
fuzz_target!(|data: &[u8]| {
    let Some((headers, body)) = parse(data) else { return };
    let fields = Fields::from(&headers);
    let head = era_of_head(&fields);
    let mut reader = Reader::new(false);
    let read = reader.feed(body).and_then(|()| reader.finish());
    let Ok(Body::One(message)) = read else { return };
    match check(&fields, &message) {
        Ok(Era::Modern) => assert_modern(&headers, &message),
        Ok(Era::Legacy) => {
            assert_eq!(head, Ok(Era::Legacy));
            assert!(!message.claim.as_deref().is_some_and(|claim| claim >= "2026-07-28"));
        }
        Err(_) => {}
    }
});

fn parse(mut data: &[u8]) -> Option<(HeaderMap, &[u8])> {
    let mut headers = HeaderMap::new();
    loop {
        let end = data.iter().position(|&byte| byte == b'\n')?;
        let (line, rest) = (&data[..end], &data[end + 1..]);
        data = rest;
        let Some((which, value)) = line.split_first() else { return Some((headers, data)) };
        let field = FIELDS[match which {
            b'v' => 0,
            b'm' => 1,
            _ => 2,
        }];
        headers.append(field, HeaderValue::from_bytes(value).ok()?);
    }
}

/// The text of a field that stands once.
fn text(headers: &HeaderMap, field: &str) -> Option<String> {
    let values: Vec<&HeaderValue> = headers.get_all(field).iter().collect();
    assert!(values.len() <= 1, "{field} stands {} times", values.len());
    let text = std::str::from_utf8(values.first()?.as_bytes()).unwrap();
    Some(text.trim_matches([' ', '\t']).to_owned())
}

fn assert_modern(headers: &HeaderMap, message: &Message) {
    let (operation, is_request) = match &message.content {
        Content::Request(operation) => (operation, true),
        Content::Notification(operation) => (operation, false),
        Content::Response => panic!("there are no modern responses"),
    };
    let [version, method] = [FIELDS[0], FIELDS[1]].map(|field| text(headers, field));
    if let (Some(version), Some(claim)) = (&version, &message.claim) {
        assert_eq!(**version, **claim);
    }
    assert!(version.is_some() || !is_request);
    assert!(method.is_some() || !is_request);
    assert!(method.is_none_or(|method| *method == *operation.method));
    if naming_of(&operation.method).is_some_and(|naming| naming.mirrored) {
        let name = text(headers, FIELDS[2]);
        assert!(name.is_some() || !is_request);
        assert!(name.is_none_or(|name| says(&name, &operation.targets[0].name)));
    }
}

/// True when a field's text stands for a name; written the other way round than the gateway's: what a client would send.
fn says(field: &str, name: &str) -> bool {
    let encoded = format!("=?base64?{}?=", STANDARD.encode(name));
    let is_marked = field.starts_with("=?base64?") && field.ends_with("?=");
    if is_marked { field == encoded } else { field == name && name.is_ascii() }
}
