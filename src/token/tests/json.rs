//! What is read of a JSON text is what it says, and each object says it once.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::config::ClaimPath;
use crate::token::TokenError;
use crate::token::json::{self, Object};

fn read(text: impl Into<Vec<u8>>) -> Result<Value, TokenError> {
    Object::read(text.into()).map(|object| json::Value::Object(object.members()).into())
}

#[test]
fn a_claim_is_found_whole_before_it_is_found_nested() {
    let payload = json!({
        "email": "a@b", "a.b": 1, "a": { "b": 2, "c": { "d": 3 }, "c.d": 4 }, "https://example.com/tenant": "acme",
    });
    let payload = Object::read(payload.to_string().into_bytes()).unwrap();
    let find = |path| payload.members().find(&ClaimPath::parse(path).unwrap()).map(Value::from);
    assert_eq!(find("email"), Some(json!("a@b")));
    assert_eq!(find("a.b"), Some(json!(1)));
    assert_eq!(find("a.c.d"), Some(json!(3)));
    assert_eq!(find("https://example.com/tenant"), Some(json!("acme")));
    for absent in ["x", "email.x", "a.x", "a.c.d.e", ".a", "a."] {
        assert_eq!(find(absent), None, "{absent}");
    }
}

#[test]
fn escapes_stand_for_what_they_say_in_names_and_texts() {
    let text = r#"{"\u0061ud":"\ud83e\udd8a\n","é":"\"","":{"\\":["\u00e9","é","x"],"\u0000":null},"z":"plain"}"#;
    let object = Object::read(text.into()).unwrap();
    let member = |name| object.members().get(name).and_then(json::Value::as_text);
    assert_eq!((member("aud"), member("é"), member("z")), (Some("🦊\n"), Some("\""), Some("plain")));
    assert!(!object.members().has(r"\u0061ud"));
    assert_eq!(read(text), Ok(serde_json::from_str(text).unwrap()));
}

#[test]
fn numbers_are_those_of_json() {
    for number in ["0", "-0", "7", "-7", "1e3", "1.5", "1E-2", "18446744073709551615", "18446744073709551616", "-1e300"]
    {
        let text = format!(r#"{{"n":{number}}}"#);
        assert_eq!(read(text.clone()), Ok(serde_json::from_str(&text).unwrap()), "{number}");
    }
    for wrong in ["01", "+1", "1.", ".5", "1e", "--1", "0x1", "1e999", "-1e999", "NaN", "Infinity", "- 1", "1_0"] {
        assert_eq!(read(format!(r#"{{"n":{wrong}}}"#)), Err(TokenError::Json), "{wrong}");
    }
}

#[test]
fn names_are_told_apart_behind_their_first_bytes() {
    let text = r#"{"preferred_username":1,"preferred_language":2,"pre":3,"preferred":4}"#;
    let object = Object::read(text.into()).unwrap();
    let number = |name| object.members().get(name).map(Value::from);
    assert_eq!(
        (number("preferred_language"), number("preferred"), number("pre")),
        (Some(2.into()), Some(4.into()), Some(3.into()))
    );
    assert!(
        object.members().has("preferred_username") && !object.members().has("preferred_") && !object.members().has("")
    );
}

/// Few names are compared, many are looked up; the two must say the same, with whatever is inside the members.
#[test]
fn c21_no_number_of_members_hides_one_that_stands_twice() {
    let member = |name: usize| format!(r#""m{name}":{{"m0":[{{"m1":1}}],"m1":"m2"}}"#);
    let object = |names: &[usize]| format!("{{{}}}", names.iter().map(|n| member(*n)).collect::<Vec<_>>().join(","));
    for count in [1, 2, 15, 16, 17, 18, 33, 200] {
        let mut names: Vec<usize> = (0..count).collect();
        assert!(read(object(&names)).is_ok(), "{count}");
        assert!(read(format!(r#"{{"x":{0},"y":[{0},{0}]}}"#, object(&names))).is_ok(), "{count}, inside");
        for twice in [0, count / 2, count - 1] {
            names.push(twice);
            assert_eq!(read(object(&names)), Err(TokenError::Duplicate), "{twice} of {count}");
            assert_eq!(read(format!(r#"{{"x":[{}]}}"#, object(&names))), Err(TokenError::Duplicate), "inside");
            names.pop();
        }
        let escaped = object(&names).replacen("m0", r"\u006d0", 1);
        assert!(read(escaped.clone()).is_ok());
        let twice = escaped.replacen('{', r#"{"m0":0,"#, 1);
        assert_eq!(read(twice), Err(TokenError::Duplicate), "escaped, of {count}");
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let number = prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e9..1e9).prop_map(Value::from)
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        number,
        "\\PC{0,9}|[\"\\\\\n\u{1}]{0,3}".prop_map(Value::from)
    ];
    leaf.prop_recursive(5, 60, 20, |inner| {
        let members = prop::collection::btree_map("[ab\"\\\\é]{0,2}", inner.clone(), 0..20);
        prop_oneof![
            prop::collection::vec(inner, 0..5).prop_map(Value::from),
            members.prop_map(|members| members.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_an_object_holds_is_read(value in any_json()) {
        let text = json!({ "value": value });
        prop_assert_eq!(read(text.to_string()), Ok(text.clone()));
        prop_assert_eq!(read(format!(" {text:#}\n")), Ok(text));
    }

    #[test]
    fn what_is_spoilt_is_read_as_serde_json_reads_it_or_not_at_all(value in any_json(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut text = json!({ "value": value }).to_string().into_bytes();
        let at = at.index(text.len());
        text[at] = byte;
        let expected = serde_json::from_slice::<Value>(&text).ok().filter(Value::is_object);
        match read(text) {
            Ok(value) => prop_assert_eq!(Some(value), expected),
            // Seen before whatever else is wrong further on.
            Err(TokenError::Duplicate) => {}
            Err(_) => prop_assert_eq!(None, expected),
        }
    }
}
