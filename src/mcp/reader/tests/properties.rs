//! The reader beside `serde_json`: what is accepted says the same to both, and every good message is accepted.

use std::fmt::Write;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::Value;

use super::*;
use crate::mcp::message::{COMPLETE, LISTEN, NAMINGS, Operation, Target};

/// What a message says, as a document tree shows it.
fn shown(value: &Value) -> (Option<String>, Option<Operation>, Option<String>) {
    let params = &value["params"];
    let claim = params["_meta"]["io.modelcontextprotocol/protocolVersion"].as_str().map(str::to_owned);
    let id = value.get("id").filter(|id| !id.is_null()).map(Value::to_string);
    let operation = value.get("method").map(|method| {
        let method = method.as_str().unwrap();
        Operation { method: method.into(), targets: shown_targets(method, params) }
    });
    (id, operation, claim)
}

fn shown_targets(method: &str, params: &Value) -> Vec<Target> {
    let target = |kind, name: &Value| Target { kind, name: name.as_str().unwrap().into() };
    let reference = &params["ref"];
    match method {
        COMPLETE if reference["type"] == "ref/prompt" => vec![target(TargetKind::Prompt, &reference["name"])],
        COMPLETE => vec![target(TargetKind::Resource, &reference["uri"])],
        LISTEN => {
            let named = |member: &str| params["notifications"][member].as_array().into_iter().flatten();
            let resources = named("resourceSubscriptions").map(|uri| target(TargetKind::Resource, uri));
            resources.chain(named("taskIds").map(|id| target(TargetKind::Task, id))).collect()
        }
        _ => NAMINGS
            .iter()
            .filter(|naming| naming.method == method && (naming.mirrored || params.get(naming.member).is_some()))
            .map(|naming| target(naming.kind, &params[naming.member]))
            .collect(),
    }
}

fn assert_same(message: &Message, value: &Value) {
    let (id, operation, claim) = shown(value);
    // The id is kept as written: read it as serde does before comparing.
    let written = message.id.as_ref().map(|id| match serde_json::from_str::<Value>(id.as_json()) {
        Ok(id) => id.to_string(),
        Err(error) => panic!("{id:?}: {error}"),
    });
    assert_eq!(written, id);
    // Kinds may stand in any order.
    let told = message.operation().cloned().map(|mut operation| {
        operation.targets.sort_by_key(|target| operation.method.as_ref() == LISTEN && target.kind == TargetKind::Task);
        operation
    });
    assert_eq!(told, operation);
    assert_eq!(message.claim.as_deref(), claim.as_deref());
}

/// JSON before it is written, with its members in order.
#[derive(Debug, Clone)]
enum Json {
    Plain(&'static str),
    Text(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Writes it in one of many ways: the style says where white space and escapes stand.
    fn write(&self, style: &mut impl Iterator<Item = u8>, out: &mut String) {
        blank(style, out);
        match self {
            Self::Plain(text) => out.push_str(text),
            Self::Text(text) => write_text(text, style, out),
            Self::Array(items) => {
                out.push('[');
                for (number, item) in items.iter().enumerate() {
                    out.push_str(if number > 0 { "," } else { "" });
                    item.write(style, out);
                }
                blank(style, out);
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                for (number, (name, value)) in members.iter().enumerate() {
                    out.push_str(if number > 0 { "," } else { "" });
                    blank(style, out);
                    write_text(name, style, out);
                    blank(style, out);
                    out.push(':');
                    value.write(style, out);
                }
                blank(style, out);
                out.push('}');
            }
        }
        blank(style, out);
    }
}

fn blank(style: &mut impl Iterator<Item = u8>, out: &mut String) {
    out.push_str(["", "", "", "", "", " ", "\n\t", "\r\n  "][usize::from(style.next().unwrap() % 8)]);
}

fn write_text(text: &str, style: &mut impl Iterator<Item = u8>, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        if c < ' ' || c == '"' || c == '\\' || style.next().unwrap().is_multiple_of(8) {
            let mut units = [0; 2];
            c.encode_utf16(&mut units).iter().for_each(|unit| write!(out, "\\u{unit:04x}").unwrap());
        } else {
            out.push(c);
        }
    }
    out.push('"');
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["(?s).{1,6}", "[a-z/:._-]{1,40}"].prop_map(|text| text.replace('\0', "-"))
}

fn value() -> impl Strategy<Value = Json> {
    let plain = select(vec!["0", "-1.5e3", "12", "true", "false", "null", "\"\"", "{}", "[]"]).prop_map(Json::Plain);
    let leaf = prop_oneof![plain, text().prop_map(Json::Text)];
    leaf.prop_recursive(3, 12, 4, |inner| {
        let name =
            prop_oneof!["(?s).{0,3}", select(vec!["id", "name", "method", "Params", "uri"]).prop_map(str::to_owned)];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::Array),
            prop::collection::vec((name, inner), 0..4).prop_map(Json::Object),
        ]
    })
}

/// An object with some of these members, and others that decide nothing, in any order.
fn object(members: Vec<(&'static str, BoxedStrategy<Json>)>) -> BoxedStrategy<Json> {
    let members: Vec<_> = members.into_iter().map(|(name, value)| (Just(name.to_owned()), value)).collect();
    let others = prop::collection::vec(("x[a-zA-Zé\n]{0,5}", value()), 0..3);
    let all = (members, others).prop_map(|(members, others)| members.into_iter().chain(others).collect::<Vec<_>>());
    all.prop_shuffle().prop_map(Json::Object).boxed()
}

fn optional(members: Vec<(&'static str, BoxedStrategy<Json>)>) -> BoxedStrategy<Json> {
    let count = members.len();
    prop::sample::subsequence(members, 0..=count).prop_flat_map(object).boxed()
}

fn params() -> BoxedStrategy<Json> {
    let text = || text().prop_map(Json::Text).boxed();
    let kind = select(vec!["ref/prompt", "ref/resource"]).prop_map(|kind| Json::Text(kind.to_owned())).boxed();
    let texts = || prop::collection::vec(text(), 0..4).prop_map(Json::Array).boxed();
    object(vec![
        ("name", text()),
        ("uri", text()),
        ("taskId", text()),
        ("_meta", optional(vec![("io.modelcontextprotocol/protocolVersion", text())])),
        ("ref", object(vec![("type", kind), ("name", text()), ("uri", text())])),
        ("notifications", optional(vec![("resourceSubscriptions", texts()), ("taskIds", texts())])),
    ])
}

fn good() -> impl Strategy<Value = String> {
    let plain = |text| Just(Json::Plain(text)).boxed();
    let mut methods: Vec<&str> = NAMINGS.iter().map(|naming| naming.method).collect();
    methods.extend([COMPLETE, LISTEN, "tools/list", "notifications/x", "é"]);
    let method = || select(methods.clone()).prop_map(|method| Json::Text(method.to_owned())).boxed();
    let id = || prop_oneof![select(vec!["0", "-3", "1.50"]).prop_map(Json::Plain), text().prop_map(Json::Text)].boxed();
    let version = || ("jsonrpc", Just(Json::Text("2.0".to_owned())).boxed());
    let message = prop_oneof![
        4 => object(vec![version(), ("id", id()), ("method", method()), ("params", params())]),
        1 => object(vec![version(), ("method", method()), ("params", params())]),
        1 => object(vec![version(), ("id", id()), ("result", value().boxed())]),
        1 => object(vec![version(), ("id", plain("null")), ("error", value().boxed())]),
    ];
    (message, prop::collection::vec(any::<u8>(), 1..64)).prop_map(|(message, style)| {
        let mut text = String::new();
        message.write(&mut style.into_iter().cycle(), &mut text);
        text
    })
}

/// A good message with some bytes gone, doubled, or replaced by what means something to a reader.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let pieces: Vec<&[u8]> = vec![
        b"",
        b"\"",
        b"\\",
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b"0",
        b"null",
        b"\xC3",
        b"\xA9",
        b"\0",
        b"\x1f",
        b" ",
        b"-",
        b"\\u",
        b"\"id\":2,",
        b"\"method\":\"x\",",
        b"\"Method\":1,",
        b"\"params\":{},",
        b"\"name\":\"b\",",
        b"e",
        b".",
        b"\\ud83d",
    ];
    let edit = (any::<Index>(), 0..4usize, select(pieces));
    (good(), prop::collection::vec(edit, 1..4)).prop_map(|(body, edits)| {
        let mut body = body.into_bytes();
        for (at, gone, piece) in edits {
            let at = at.index(body.len() + 1);
            let end = (at + gone).min(body.len());
            body.splice(at..end, piece.iter().copied());
        }
        body
    })
}

/// Reads a body in pieces that end anywhere.
fn cut(body: &[u8], cuts: &[Index], batches: bool) -> Result<Body, Unreadable> {
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len() + 1)).chain([body.len()]).collect();
    ends.sort_unstable();
    let (mut reader, mut from) = (Reader::new(batches), 0);
    for end in ends {
        reader.feed(&body[from..end])?;
        from = end;
    }
    reader.finish()
}

/// What is accepted says the same to serde, and to any reader that would take the first of two members.
fn assert_unambiguous(body: &[u8]) {
    let Ok(read) = in_pieces(body, usize::MAX, true) else { return };
    match (serde_json::from_slice::<Value>(body), &read) {
        // JSON has no largest number, but `f64` has.
        (Err(error), _) => {
            assert!(error.to_string().contains("number out of range"), "{error}: {}", body.escape_ascii());
        }
        (Ok(value), Body::One(message)) => assert_same(message, &value),
        (Ok(value), Body::Batch(messages)) => {
            let values = value.as_array().unwrap();
            assert_eq!(values.len(), messages.len());
            messages.iter().zip(values).for_each(|(message, value)| assert_same(message, value));
        }
    }
}

proptest! {
    #[test]
    fn good_messages_are_read_as_serde_reads_them(body in good(), cuts in prop::collection::vec(any::<Index>(), 0..6)) {
        let Body::One(message) = in_pieces(body.as_bytes(), usize::MAX, false).unwrap() else { panic!("a batch") };
        assert_same(&message, &serde_json::from_str(&body).unwrap());
        prop_assert_eq!(cut(body.as_bytes(), &cuts, false), Ok(Body::One(message)));
    }

    #[test]
    fn m5_damaged_messages_are_refused_or_unambiguous(body in damaged(), cuts in prop::collection::vec(any::<Index>(), 0..6)) {
        assert_unambiguous(&body);
        prop_assert_eq!(cut(&body, &cuts, false), in_pieces(&body, usize::MAX, false));
        prop_assert_eq!(in_pieces(&body, 1, false), in_pieces(&body, usize::MAX, false));
    }

    #[test]
    fn m5_batches_are_refused_or_unambiguous(parts in prop::collection::vec(damaged(), 0..4), cuts in prop::collection::vec(any::<Index>(), 0..6)) {
        let body = [b"[".as_slice(), &parts.join(&b','), b"]"].concat();
        assert_unambiguous(&body);
        prop_assert_eq!(cut(&body, &cuts, true), in_pieces(&body, usize::MAX, true));
    }

    #[test]
    fn any_bytes_are_refused_or_unambiguous(body in prop::collection::vec(any::<u8>(), 0..64), cuts in prop::collection::vec(any::<Index>(), 0..6)) {
        assert_unambiguous(&body);
        prop_assert_eq!(cut(&body, &cuts, true), in_pieces(&body, usize::MAX, true));
    }
}

#[test]
fn damaged_messages_are_often_still_accepted() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let bodies = (0..200).map(|_| damaged().new_tree(&mut runner).unwrap().current());
    let accepted = bodies.filter(|body| in_pieces(body, usize::MAX, false).is_ok()).count();
    assert!((10..190).contains(&accepted), "{accepted} of 200 are accepted: the properties above see too few");
}
