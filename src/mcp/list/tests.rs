//! Lists lose hidden entries, and not one other byte changes.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// Hides what begins with `x`, in the lists named.
struct Hiding(&'static [ListKind]);

const TOOLS: Hiding = Hiding(&[ListKind::Tools]);
const ALL: Hiding = Hiding(&ListKind::ALL);
const NOTHING: Hiding = Hiding(&[]);

impl Screen for Hiding {
    fn can_hide(&self, list: ListKind) -> bool {
        self.0.contains(&list)
    }

    fn shows(&self, list: ListKind, name: &str) -> bool {
        assert!(self.can_hide(list), "asked for a list that cannot be shortened");
        !name.starts_with('x')
    }
}

/// Who sees everything, where others do not.
struct SeesAll;

impl Screen for SeesAll {
    fn can_hide(&self, _: ListKind) -> bool {
        true
    }

    fn shows(&self, _: ListKind, _: &str) -> bool {
        true
    }
}

fn shortened(text: &str, screen: &impl Screen) -> String {
    shorten(text.as_bytes(), screen).unwrap().map_or(text.to_owned(), |bytes| String::from_utf8(bytes).unwrap())
}

fn unreadable(text: impl AsRef<[u8]>) -> bool {
    shorten(text.as_ref(), &TOOLS) == Err(UnreadableList)
}

#[test]
fn hidden_entries_go_and_every_other_byte_stays() {
    for (before, after) in [
        (r#"[{"name":"x"}]"#, "[]"),
        (r#"[ {"name":"a"} , {"name":"x1"} , {"name":"b"} ]"#, r#"[ {"name":"a"} , {"name":"b"} ]"#),
        (r#"[ {"name":"x1"} , {"name":"x2"} , {"name":"b"} ]"#, r#"[ {"name":"b"} ]"#),
        (r#"[ {"name":"a"} , {"name":"x1"} , {"name":"x2"}]"#, r#"[ {"name":"a"}]"#),
        (r#"[{"name":"x1"},{"name":"x2"}]"#, "[]"),
        (r#"[{"name":"x1"},{"name":"a","n":1.0E+2},{"name":"x2"}]"#, r#"[{"name":"a","n":1.0E+2}]"#),
        (r#"[{"n\u0061me":"\u0078"},{"\u006eame":"\u0061"}]"#, r#"[{"\u006eame":"\u0061"}]"#),
    ] {
        let around = |list: &str| {
            format!(
                " {{\"id\" :1e0, \"result\":\t{{ \"nextCursor\":\"\\u0065\",\"tools\":{list},\"x\":1 }},\"jsonrpc\":\"2.0\"}}\n"
            )
        };
        assert_eq!(shortened(&around(before), &TOOLS), around(after));
        assert_eq!(shortened(&around(before), &NOTHING), around(before));
        assert_eq!(shortened(&format!("[{}]", around(before)), &TOOLS), format!("[{}]", around(after)));
    }
}

#[test]
fn every_kind_of_list_is_read_by_its_own_name() {
    let list = |member: &str, key: &str| format!(r#"{{"result":{{"{member}":[{{"{key}":"x"}},{{"{key}":"a"}}]}}}}"#);
    for kind in ListKind::ALL {
        let kept = format!(r#"{{"result":{{"{}":[{{"{}":"a"}}]}}}}"#, kind.member(), kind.key());
        assert_eq!(shortened(&list(kind.member(), kind.key()), &ALL), kept);
        assert!(shorten(list(kind.member(), "title").as_bytes(), &ALL).is_err());
    }
}

#[test]
fn what_holds_no_list_stays() {
    for text in [
        r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"tools":[{"name":"x"}]}}"#,
        r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"no","data":{"tools":[{"name":"x"}]}}}"#,
        r#"{"result":{"content":[],"structuredContent":{"tools":[{"name":"x"}],"tools":1}}}"#,
        r#"{"result":{"prompts":[{"name":"x"}]}}"#,
        r#"{"result":{"prompts":7,"resultType":"complete"}}"#,
        r#"{"result":null}"#,
        "[]",
        " 1 ",
    ] {
        assert_eq!(shorten(text.as_bytes(), &TOOLS), Ok(None), "{text}");
    }
}

#[test]
fn a_list_that_differs_per_caller_is_private_on_every_page() {
    for (before, after) in [
        (r#"{"tools":[],"ttlMs":5}"#, r#"{"cacheScope":"private","tools":[],"ttlMs":5}"#),
        (r#"{ "resultType":"complete","tools":[]}"#, r#"{"cacheScope":"private", "resultType":"complete","tools":[]}"#),
        (r#"{"cacheScope" : "public","tools":[]}"#, r#"{"cacheScope" : "private","tools":[]}"#),
        (r#"{"tools":[],"cacheScope":null}"#, r#"{"tools":[],"cacheScope":"private"}"#),
        (r#"{"tools":[],"cacheScope":"private"}"#, r#"{"tools":[],"cacheScope":"private"}"#),
        (r#"{"tools":[]}"#, r#"{"tools":[]}"#),
        (r#"{"content":[],"ttlMs":5}"#, r#"{"content":[],"ttlMs":5}"#),
    ] {
        let around = |result: &str| format!(r#"{{"id":1,"result":{result}}}"#);
        assert_eq!(shortened(&around(before), &SeesAll), around(after));
        assert_eq!(shortened(&around(before), &NOTHING), around(before));
    }
}

#[test]
fn doubtful_texts_are_refused() {
    let list = |entries: &str| format!(r#"{{"result":{{"tools":{entries}}}}}"#);
    for text in [
        "",
        "{",
        "{}{}",
        "\u{feff}{}",
        r#"{"result":{},"result":{}}"#,
        r#"{"result":{},"r\u0065sult":{}}"#,
        r#"{"id":1,"id":2}"#,
        r#"{"Result":{"tools":[]}}"#,
        r#"{"re\u017fult":{"tools":[]}}"#,
        r#"{"result":{"tools":[],"tools":[]}}"#,
        r#"{"result":{"content":1,"content":2}}"#,
        r#"{"result":{"tool\u017f":[]}}"#,
        r#"{"result":{"TOOLS":[]}}"#,
        r#"{"result":{"tools":[],"CacheScope":"public"}}"#,
        r#"[[{"result":{"tools":[]}}]]"#,
        &list("{}"),
        &list("null"),
        &list("[1]"),
        &list("[[]]"),
        &list("[{}]"),
        &list(r#"[{"name":1}]"#),
        &list(r#"[{"name":null}]"#),
        &list(r#"[{"name":"\ud800"}]"#),
        &list(r#"[{"name":"a","name":"b"}]"#),
        &list(r#"[{"name":"a","n\u0061me":"x"}]"#),
        &list(r#"[{"name":"a","Name":"x"}]"#),
        &list(r#"[{"name":"a","title":1,"title":2}]"#),
        &list(r#"[{"name":"a"},]"#),
        &list(r#"[{"name":"a"}"#),
    ] {
        assert!(unreadable(text), "{text}");
    }
    assert!(unreadable(b"{\"result\":\"\xff\"}"));
}

#[test]
fn depth_and_members_have_a_bound() {
    let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
    assert!(!unreadable(nested(64)));
    assert!(unreadable(nested(65)));
    assert!(unreadable("[".repeat(1 << 20)));
    assert!(!unreadable(format!("{{\"a\":\"{}\"}}", r#"\"[["#.repeat(100))), "brackets in strings do not nest");
    let members = |count: usize| {
        let members = (0..count).map(|number| format!("\"{number}\":0")).collect::<Vec<_>>();
        format!("{{{}}}", members.join(","))
    };
    assert!(!unreadable(members(1024)));
    assert!(unreadable(members(1025)));
}

/// What the result must be, by way of a tree.
fn oracle(message: &mut Value) {
    let Some(Value::Object(result)) = message.get_mut("result") else { return };
    let mut is_list = false;
    for kind in ListKind::ALL {
        if let Some(Value::Array(list)) = result.get_mut(kind.member()) {
            is_list = true;
            list.retain(|entry| !entry[kind.key()].as_str().unwrap().starts_with('x'));
        }
    }
    let speaks = ["ttlMs", "resultType", "cacheScope"].iter().any(|name| result.contains_key(*name));
    if is_list && speaks {
        result.insert("cacheScope".into(), json!("private"));
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::from),
        "[a-z\"\\\\{}\\[\\],:é\u{2028}]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z\"]{0,5}", inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
}

fn any_entry(key: &'static str) -> impl Strategy<Value = Value> {
    let name = prop_oneof!["x[a-z]{0,3}", "[a-w][a-z\"é]{0,3}"];
    (name, prop::collection::btree_map("m[a-z\"]{0,4}", any_value(), 0..3)).prop_map(move |(name, rest)| {
        let mut entry = json!(rest);
        entry[key] = name.into();
        entry
    })
}

fn any_message() -> impl Strategy<Value = Value> {
    let list = |kind: ListKind| prop::option::of(prop::collection::vec(any_entry(kind.key()), 0..6));
    let caching = prop::collection::btree_map(prop_oneof!["ttlMs", "resultType", "cacheScope"], any_value(), 0..3);
    let rest = prop::collection::btree_map("o[a-z\"]{0,4}", any_value(), 0..3);
    let lists = ListKind::ALL.map(list);
    (lists, caching, rest, any_value()).prop_map(|(lists, caching, rest, id)| {
        let mut result = json!(rest);
        for (kind, list) in ListKind::ALL.into_iter().zip(lists) {
            if let Some(list) = list {
                result[kind.member()] = list.into();
            }
        }
        for (name, value) in caching {
            result[name] = value;
        }
        json!({"jsonrpc": "2.0", "id": id, "result": result})
    })
}

/// The texts of a list's entries.
fn entries(text: &str, kind: ListKind) -> Vec<String> {
    let root: &RawValue = serde_json::from_str(text).unwrap();
    let root = Object::read(root, &[]).unwrap();
    let result = Object::read(root.get("result").unwrap(), &[]).unwrap();
    let mut found = Vec::new();
    if let Some(list) = result.get(kind.member()) {
        each_element(list, |entry| {
            found.push(entry.get().to_owned());
            Ok(())
        })
        .unwrap();
    }
    found
}

fn is_shown(entry: &str, kind: ListKind) -> bool {
    let entry: Value = serde_json::from_str(entry).unwrap();
    !entry[kind.key()].as_str().unwrap().starts_with('x')
}

proptest! {
    #[test]
    fn agrees_with_a_tree_and_keeps_the_bytes(message in any_message(), pretty in any::<bool>()) {
        let text = if pretty { serde_json::to_string_pretty(&message) } else { serde_json::to_string(&message) }.unwrap();
        let after = shortened(&text, &ALL);
        let mut wanted = message;
        oracle(&mut wanted);
        prop_assert_eq!(serde_json::from_str::<Value>(&after).unwrap(), wanted);
        for kind in ListKind::ALL {
            let kept: Vec<_> = entries(&text, kind).into_iter().filter(|entry| is_shown(entry, kind)).collect();
            prop_assert_eq!(entries(&after, kind), kept);
        }
        prop_assert_eq!(shorten(after.as_bytes(), &ALL), Ok(None), "a second time changes nothing");
        prop_assert_eq!(shorten(text.as_bytes(), &NOTHING), Ok(None));
        let without_scope = |text: &str| text.replace(r#""cacheScope":"private","#, "");
        if !text.contains("cacheScope") {
            prop_assert_eq!(without_scope(&shortened(&text, &SeesAll)), text);
        }
    }

    #[test]
    fn no_bytes_make_it_fail(text in "[\\[\\]{}\",:0-9a-ztols\\\\ ]{0,60}", bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        for input in [text.as_bytes(), &bytes] {
            if let Ok(Some(after)) = shorten(input, &ALL) {
                prop_assert!(serde_json::from_slice::<Value>(&after).is_ok());
            }
        }
    }
}

#[test]
fn a_list_without_end_is_unreadable() {
    let list =
        |count: usize| format!(r#"{{"result":{{"tools":[{}{{"name":"a"}}]}}}}"#, r#"{"name":"a"},"#.repeat(count - 1));
    assert_eq!(shorten(list(MAX_ELEMENTS).as_bytes(), &TOOLS), Ok(None));
    assert!(unreadable(list(MAX_ELEMENTS + 1)));
    let half = list(MAX_ELEMENTS / 2 + 1);
    assert!(unreadable(format!("[{half},{half}]")), "all lists of an answer together");
}
