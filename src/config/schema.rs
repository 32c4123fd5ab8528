//! The JSON Schema of the configuration, for editors: written from the key lists that the parser refuses unknown names by,
//! with the words of `gateway.toml.example` as descriptions. It accepts every file that the parser accepts; what depends on
//! two keys together only the parser knows.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::read::shape::{Key, Shape};
use super::read::units::{Bound, show_duration, show_size};
use super::{parse, revocations};

const EXAMPLE: &str = include_str!("../../gateway.toml.example");
/// The version that editors' TOML plugins know.
const DIALECT: &str = "http://json-schema.org/draft-07/schema#";
/// What is filled in later may be anything: `${env:NAME}` in a string.
const REFERENCE: &str = r"\$\{";

/// Of `gateway.toml`.
pub fn gateway() -> Value {
    document("The configuration of Portcullis: gateway.toml", parse::KEYS, &Words::of(EXAMPLE))
}

/// Of the file that `[revocations]` names.
pub fn revocations() -> Value {
    document("What is revoked before its time (docs/revocations.md)", revocations::KEYS, &Words::default())
}

fn document(title: &str, keys: &[Key], words: &Words) -> Value {
    let mut schema = table(keys, "", words);
    if let Value::Object(members) = &mut schema {
        members.insert("$schema".into(), DIALECT.into());
        members.insert("title".into(), title.into());
    }
    schema
}

fn table(keys: &[Key], path: &str, words: &Words) -> Value {
    let member = |key: &Key| {
        let path = if path.is_empty() { key.name.to_owned() } else { format!("{path}.{}", key.name) };
        let mut schema = of(&key.shape, &path, words);
        describe(&mut schema, key, words.0.get(&path));
        (key.name.to_owned(), schema)
    };
    let members: Map<String, Value> = keys.iter().map(member).collect();
    let required: Vec<&str> = keys.iter().filter(|key| key.required).map(|key| key.name).collect();
    json!({"type": "object", "properties": members, "required": required, "additionalProperties": false})
}

/// What it is for, its range where the schema itself cannot say it, and what its absence means.
fn describe(schema: &mut Value, key: &Key, written: Option<&String>) {
    let Value::Object(schema) = schema else { return };
    let (range, default) = if let Shape::Wait(bound) = &key.shape {
        (Some(range(bound, show_duration)), Some(show_duration(bound.default).into()))
    } else if let Shape::Size(bound) = &key.shape {
        (Some(range(bound, show_size)), Some(show_size(bound.default).into()))
    } else if let Shape::Count(bound) = &key.shape {
        (None, Some(bound.default.into()))
    } else {
        (None, None)
    };
    let text: Vec<&str> = written.into_iter().chain(&range).map(String::as_str).collect();
    if !text.is_empty() {
        schema.insert("description".into(), text.join(" ").into());
    }
    if let Some(default) = default.filter(|_: &Value| key.has_default) {
        schema.insert("default".into(), default);
    }
    if key.required && matches!(key.shape, Shape::Tables(_)) {
        schema.insert("minItems".into(), 1.into());
    }
}

fn range<T: Copy>(bound: &Bound<T>, show: fn(T) -> String) -> String {
    format!("From {} to {}.", show(bound.least), show(bound.most))
}

fn of(shape: &Shape, path: &str, words: &Words) -> Value {
    match shape {
        Shape::Text | Shape::Time => json!({"type": "string"}),
        Shape::Texts => json!({"type": "array", "items": {"type": "string"}}),
        Shape::TextOrTexts => {
            json!({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]})
        }
        Shape::Word(accepted) => word(&accepted()),
        Shape::Words(accepted) => json!({"type": "array", "items": word(&accepted())}),
        Shape::Flag => json!({"type": "boolean"}),
        Shape::Ratio => json!({"type": "number", "minimum": 0, "maximum": 1}),
        Shape::Count(bound) => json!({"type": "integer", "minimum": bound.least, "maximum": bound.most}),
        Shape::Size(bound) => json!({"anyOf": [
            {"type": "string", "pattern": format!("^[0-9]+([KMG]i)?B$|{REFERENCE}")},
            {"type": "integer", "minimum": bound.least, "maximum": bound.most},
        ]}),
        Shape::Wait(_) => {
            let pattern = format!("^([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$|{REFERENCE}");
            json!({"type": "string", "minLength": 2, "pattern": pattern})
        }
        Shape::Table(keys) => table(keys, path, words),
        Shape::Tables(keys) => json!({"type": "array", "items": table(keys, path, words)}),
        Shape::Free(shape) => json!({"type": "object", "additionalProperties": of(shape, path, words)}),
        Shape::Either(one, other) => json!({"anyOf": [of(one, path, words), of(other, path, words)]}),
    }
}

fn word(accepted: &[&str]) -> Value {
    json!({"anyOf": [{"enum": accepted}, {"type": "string", "pattern": REFERENCE}]})
}

/// Key path → what the example's comment above it says.
#[derive(Default)]
struct Words(BTreeMap<String, String>);

impl Words {
    fn of(example: &str) -> Self {
        let (mut words, mut above, mut table) = (BTreeMap::new(), Vec::new(), String::new());
        for line in example.lines() {
            if let Some(text) = line.strip_prefix("# ") {
                above.push(text);
                continue;
            }
            let line = line.strip_prefix('#').unwrap_or(line);
            let said = std::mem::take(&mut above).join(" ");
            let path = if let Some(header) = line.strip_prefix('[') {
                table = header.trim_start_matches('[').trim_end_matches(']').into();
                table.clone()
            } else if let Some((key, _)) = line.split_once(" = ") {
                if table.is_empty() { key.to_owned() } else { format!("{table}.{key}") }
            } else {
                continue;
            };
            if !said.is_empty() {
                words.entry(path).or_insert(said);
            }
        }
        Self(words)
    }
}
