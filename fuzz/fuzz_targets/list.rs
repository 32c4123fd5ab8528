//! Answers from any bytes: what is left of a list is what a document tree shows to be visible, and nothing else changes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::mcp::list::{ListKind, Screen, shorten};
use serde_json::{Map, Value};

/// Hides what begins with `x`, of the kinds whose bits are set.
struct Hiding(u8);

impl Screen for Hiding {
    fn can_hide(&self, list: ListKind) -> bool {
        let at = ListKind::ALL.iter().position(|kind| *kind == list).unwrap();
        self.0 >> at & 1 == 1
    }

    fn shows(&self, list: ListKind, name: &str) -> bool {
        assert!(self.can_hide(list));
        !name.starts_with('x')
    }
}

// The first byte says which lists can be shortened (`/`: all, `0`: none), the others are the answer: so the corpus can be read.
fuzz_target!(|data: &[u8]| {
    let Some((&style, answer)) = data.split_first() else { return };
    let screen = Hiding(style);
    let Ok(shortened) = shorten(answer, &screen) else { return };
    let after = shortened.as_deref().unwrap_or(answer);
    assert_eq!(shorten(after, &screen), Ok(None), "a second time changes something");
    // serde_json gives members of its own name a meaning of their own, and refuses halves of surrogate pairs.
    let is_special = answer.windows(12).any(|text| text == b"$serde_json:");
    let (false, Ok(mut wanted)) = (is_special, serde_json::from_slice::<Value>(answer)) else { return };
    match &mut wanted {
        Value::Array(messages) => messages.iter_mut().for_each(|message| filter(message, &screen)),
        message => filter(message, &screen),
    }
    assert_eq!(serde_json::from_slice::<Value>(after).expect("what is left is JSON"), wanted);
});

/// What the message must become, by way of a tree.
fn filter(message: &mut Value, screen: &Hiding) {
    let Some(Value::Object(result)) = message.get_mut("result") else { return };
    let mut is_list = false;
    for kind in ListKind::ALL.into_iter().filter(|kind| screen.can_hide(*kind)) {
        if let Some(list) = result.get_mut(kind.member()) {
            is_list = true;
            let list = list.as_array_mut().expect("a list is an array");
            list.retain(|entry| !entry[kind.key()].as_str().expect("entries have names").starts_with('x'));
        }
    }
    if is_list && speaks_of_caching(result) {
        result.insert("cacheScope".into(), "private".into());
    }
}

fn speaks_of_caching(result: &Map<String, Value>) -> bool {
    ["ttlMs", "resultType", "cacheScope"].into_iter().any(|name| result.contains_key(name))
}
