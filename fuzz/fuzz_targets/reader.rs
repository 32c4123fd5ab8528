//! Bodies from any bytes, cut anywhere: what is accepted says the same to `serde_json`, and cuts do not matter.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::mcp::message::{COMPLETE, LISTEN, Message, naming_of};
use portcullis::mcp::reader::{Body, Reader, Unreadable};
use serde_json::Value;

// The first byte says where the cuts are and whether batches are taken, the others are the body: so the corpus can be read.
fuzz_target!(|data: &[u8]| {
    let Some((&style, body)) = data.split_first() else { return };
    let batches = style & 1 == 1;
    let whole = read(body, std::iter::once(usize::MAX), batches);
    assert_eq!(read(body, std::iter::repeat(1), batches), whole);
    let mut seed = usize::from(style);
    let sizes = std::iter::repeat_with(|| {
        seed = seed.wrapping_mul(5).wrapping_add(3) % 31;
        seed
    });
    assert_eq!(read(body, sizes, batches), whole);
    match whole {
        Ok(Body::One(message)) => assert_same(&message, &tree(body)),
        Ok(Body::Batch(messages)) => {
            let values = tree(body);
            let values = values.as_array().unwrap();
            assert!(batches && !values.is_empty() && values.len() == messages.len());
            messages.iter().zip(values).for_each(|(message, value)| assert_same(message, value));
        }
        Err(_) => {}
    }
});

fn tree(body: &[u8]) -> Value {
    serde_json::from_slice(body).expect("what is accepted is JSON")
}

/// Reads a body in pieces of these sizes.
fn read(mut body: &[u8], sizes: impl Iterator<Item = usize>, batches: bool) -> Result<Body, Unreadable> {
    let mut reader = Reader::new(batches);
    for size in sizes {
        let (piece, rest) = body.split_at(size.min(body.len()));
        reader.feed(piece)?;
        body = rest;
        if body.is_empty() {
            break;
        }
    }
    reader.finish()
}

fn assert_same(message: &Message, value: &Value) {
    assert_eq!(value["jsonrpc"], "2.0");
    let members = value.as_object().unwrap();
    let id = message.id.as_ref().map(|id| serde_json::from_str::<Value>(id.as_json()).expect("an id is JSON"));
    assert_eq!(id.as_ref(), members.get("id").filter(|id| !id.is_null()));
    let params = &value["params"];
    let claim = &params["_meta"]["io.modelcontextprotocol/protocolVersion"];
    assert_eq!(message.claim.as_deref(), claim.as_str());
    let Some(operation) = message.operation() else {
        assert!(!members.contains_key("method"));
        return;
    };
    assert_eq!(Some(&*operation.method), value["method"].as_str());
    assert!(members.get("params").is_none_or(Value::is_object));
    let mut names: Vec<&str> = operation.targets.iter().map(|target| &*target.name).collect();
    let mut wanted = named(&operation.method, params);
    if &*operation.method == LISTEN {
        // The tree does not say which of the two kinds stands first.
        names.sort_unstable();
        wanted.sort_unstable();
    }
    assert_eq!(names, wanted);
}

/// What a document tree shows to be named.
fn named<'a>(method: &str, params: &'a Value) -> Vec<&'a str> {
    let reference = &params["ref"];
    let found = match (method, reference["type"].as_str()) {
        (COMPLETE, Some("ref/prompt")) => vec![&reference["name"]],
        (COMPLETE, _) => vec![&reference["uri"]],
        (LISTEN, _) => {
            let kinds = ["resourceSubscriptions", "taskIds"];
            kinds.iter().flat_map(|kind| params["notifications"][*kind].as_array().into_iter().flatten()).collect()
        }
        _ => naming_of(method).and_then(|naming| params.get(naming.member)).into_iter().collect(),
    };
    found.into_iter().map(|name| name.as_str().unwrap()).collect()
}
