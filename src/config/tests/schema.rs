//! The schema and the parser agree: what the parser accepts, the schema accepts, and what has the wrong type neither does.

use std::fs;
use std::path::Path;

use jsonschema::Validator;
use serde_json::{Value, json};

use super::super::schema;
use super::{EXAMPLE, try_read, uncommented};

type Write = fn() -> Value;

const COMMITTED: [(&str, Write); 2] =
    [("docs/gateway.schema.json", schema::gateway), ("docs/revocations.schema.json", schema::revocations)];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn document(text: &str) -> Value {
    serde_json::to_value(toml::from_str::<toml::Table>(text).unwrap()).unwrap()
}

fn validator() -> Validator {
    jsonschema::validator_for(&schema::gateway()).unwrap()
}

fn mistakes(document: &Value) -> Vec<String> {
    validator().iter_errors(document).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

/// Every key with its schema, as `routes[].limits[].per`.
fn keys(schema: &Value, path: &str, found: &mut Vec<(String, Value)>) {
    let tables = schema["anyOf"].as_array().map_or(std::slice::from_ref(schema), Vec::as_slice);
    for (name, member) in tables.iter().filter_map(|table| table["properties"].as_object()).flatten() {
        let path = format!("{path}/{name}");
        found.push((path.clone(), member.clone()));
        keys(member, &path, found);
        keys(&member["items"], &format!("{path}/0"), found);
    }
}

fn all_keys() -> Vec<(String, Value)> {
    let mut found = Vec::new();
    keys(&schema::gateway(), "", &mut found);
    assert!(found.len() > 130, "{}", found.len());
    found
}

#[test]
fn the_committed_schemas_are_the_ones_of_the_code() {
    for (file, schema) in COMMITTED {
        let committed = fs::read_to_string(root().join(file)).unwrap();
        assert_eq!(committed, format!("{:#}\n", schema()), "{file}: write it anew with `portcullis schema`");
    }
    let named = EXAMPLE.lines().next().and_then(|line| line.strip_prefix("#:schema "));
    assert_eq!(named, Some(COMMITTED[0].0), "the example names the schema for editors");
}

#[test]
fn the_schema_accepts_the_example_as_shipped_and_uncommented() {
    assert_eq!(mistakes(&document(EXAMPLE)), [""; 0]);
    assert_eq!(mistakes(&document(&uncommented())), [""; 0]);
}

#[test]
fn the_example_holds_every_key() {
    let whole = document(&uncommented());
    let rules = whole["routes"][0]["policy"]["rules"].as_array().unwrap();
    let limits = whole["routes"][0]["limits"].as_array().unwrap();
    let is_there = |key: &str| {
        let elsewhere = |tables: &[Value], under: &str| {
            let name = key.strip_prefix(under).filter(|name| !name.is_empty());
            name.is_some_and(|name| tables.iter().any(|table| !table[name].is_null()))
        };
        whole.pointer(key).is_some()
            || whole["routes"][1].pointer(key.strip_prefix("/routes/0").unwrap_or("/-")).is_some()
            || elsewhere(rules, "/routes/0/policy/rules/0/")
            || elsewhere(limits, "/routes/0/limits/0/")
    };
    let missing: Vec<String> = all_keys().into_iter().map(|(key, _)| key).filter(|key| !is_there(key)).collect();
    // In the prose: a route has one tenant rule, the audit stream one sink.
    assert_eq!(missing, ["/audit/socket", "/routes/0/tenant/allow"]);
}

#[test]
fn the_schema_accepts_every_good_fixture_and_refuses_mistakes_of_form() {
    let folder = root().join("tests/fixtures/config");
    let mut files = 0;
    for entry in fs::read_dir(folder.join("accept")).unwrap() {
        let file = entry.unwrap().path();
        if file.extension().is_some_and(|extension| extension == "toml") {
            assert_eq!(mistakes(&document(&fs::read_to_string(&file).unwrap())), [""; 0], "{}", file.display());
            files += 1;
        }
    }
    assert!(files >= 4);
    for name in ["wrong-types", "unknown-keys", "missing-keys", "limits-out-of-range", "watching-types"] {
        let text = fs::read_to_string(folder.join(format!("reject/{name}.toml"))).unwrap();
        assert!(!mistakes(&document(&text)).is_empty(), "{name}");
    }
}

/// Puts each of many values at each key of the whole example.
#[test]
fn what_the_schema_refuses_the_parser_refuses() {
    let (whole, validator) = (document(&uncommented()), validator());
    let values = [
        json!(true),
        json!(0),
        json!(1),
        json!(-1),
        json!(0.5),
        json!(2_000_000_000),
        json!(""),
        json!("x"),
        json!("5"),
        json!("1s"),
        json!("10m"),
        json!("1KiB"),
        json!("90h1s"),
        json!("1s5h"),
        json!([]),
        json!([1]),
        json!(["x"]),
        json!(["client"]),
        json!([["x"]]),
        json!({}),
        json!({"x": "y"}),
        json!({"x": 1}),
        json!([{}]),
        json!({"allow": ["a"]}),
        json!("allow"),
        json!("any"),
        json!("${env:NOTES_API_KEY}"),
    ];
    let (mut refused, mut accepted) = (0, 0);
    for (key, _) in all_keys() {
        for value in &values {
            let mut changed = whole.clone();
            let Some(place) = changed.pointer_mut(&key) else { continue };
            place.clone_from(value);
            let text = toml::to_string(&changed).unwrap();
            if validator.is_valid(&changed) {
                accepted += 1;
            } else {
                refused += 1;
                assert!(try_read(&text).is_err(), "the parser accepts what the schema refuses: {key} = {value}");
            }
        }
    }
    assert!(refused > 1000 && accepted > 300, "{refused} refused, {accepted} accepted");
}

/// Numbers, switches, tables and texts in each other's place.
#[test]
fn what_has_the_wrong_type_neither_accepts() {
    let (whole, validator) = (document(&uncommented()), validator());
    for (key, schema) in all_keys() {
        let wrong = match schema["type"].as_str() {
            Some("string" | "array" | "object" | "number") => json!(true),
            Some("boolean" | "integer") => json!("x"),
            _ => json!(1.5),
        };
        let mut changed = whole.clone();
        let Some(place) = changed.pointer_mut(&key) else { continue };
        *place = wrong;
        assert!(!validator.is_valid(&changed), "{key}");
        assert!(try_read(&toml::to_string(&changed).unwrap()).is_err(), "{key}");
    }
}
