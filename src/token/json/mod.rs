//! JSON as a token may hold it: one object, no member twice at any level, bounded depth. What is read stays where it stands in the
//! text: most members of a token are never asked for.

mod read;

use std::iter;

use serde_json::Number;

use crate::config::ClaimPath;

/// The one object that a text is.
#[derive(Debug, Clone)]
pub(super) struct Object {
    /// As it came; behind it the texts that had escapes in them, without.
    text: String,
    /// Every value in the order in which they begin, so that what is in one follows it. The first is the object itself.
    nodes: Vec<Node>,
}

/// One value.
#[derive(Debug, Clone)]
struct Node {
    /// Of the member that has it; empty for items of an array.
    name: Name,
    kind: Kind,
    /// How many of the values behind this one are in it.
    inside: u32,
}

#[derive(Debug, Clone)]
enum Kind {
    Null,
    Bool(bool),
    Number(Number),
    Text(Span),
    Array,
    Object,
}

/// The name of a member.
#[derive(Debug, Clone, Copy, Default)]
struct Name {
    span: Span,
    /// See [`Self::key`].
    key: u64,
}

/// A piece of the text.
#[derive(Debug, Clone, Copy, Default)]
struct Span {
    start: u32,
    length: u32,
}

impl Object {
    /// Its members.
    pub(super) fn members(&self) -> Inside<'_> {
        Inside { text: &self.text, nodes: self.nodes.get(1..).unwrap_or_default() }
    }
}

/// A value where it stands.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value<'a> {
    Null,
    Bool(bool),
    Number(&'a Number),
    Text(&'a str),
    Array(Inside<'a>),
    Object(Inside<'a>),
}

impl<'a> Value<'a> {
    pub(super) fn as_text(self) -> Option<&'a str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    fn as_object(self) -> Option<Inside<'a>> {
        if let Self::Object(members) = self { Some(members) } else { None }
    }
}

/// The members of an object, or the items of an array.
#[derive(Debug, Clone, Copy)]
pub(super) struct Inside<'a> {
    text: &'a str,
    nodes: &'a [Node],
}

impl<'a> Inside<'a> {
    /// The member of this name.
    pub(super) fn get(self, name: &str) -> Option<Value<'a>> {
        let key = Name::key(name);
        let is_it = |node: &Node| node.name.key == key && node.name.span.of(self.text) == name;
        self.each().find(|(node, _)| is_it(node)).map(|(node, inside)| self.value(node, inside))
    }

    /// True when there is a member of this name.
    pub(super) fn has(self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The claim in a payload: the member of this whole name, else one step inwards per dot.
    pub(super) fn find(self, path: &ClaimPath) -> Option<Value<'a>> {
        self.get(&path.text).or_else(|| self.find_nested(&path.text))
    }

    fn find_nested(self, path: &str) -> Option<Value<'a>> {
        let (path, last) = path.rsplit_once('.')?;
        let step = |object: Self, name| object.get(name)?.as_object();
        path.split('.').try_fold(self, step)?.get(last)
    }

    /// The values, without the names that members have.
    pub(super) fn values(self) -> impl Iterator<Item = Value<'a>> {
        self.each().map(move |(node, inside)| self.value(node, inside))
    }

    /// The names that members have, with their values.
    fn named(self) -> impl Iterator<Item = (&'a str, Value<'a>)> {
        self.each().map(move |(node, inside)| (node.name.span.of(self.text), self.value(node, inside)))
    }

    /// Each with what is in it.
    fn each(self) -> impl Iterator<Item = (&'a Node, &'a [Node])> {
        let mut rest = self.nodes;
        iter::from_fn(move || {
            let (node, behind) = rest.split_first()?;
            let (inside, after) = behind.split_at_checked(node.inside as usize)?;
            rest = after;
            Some((node, inside))
        })
    }

    fn value(self, node: &'a Node, nodes: &'a [Node]) -> Value<'a> {
        match &node.kind {
            Kind::Null => Value::Null,
            Kind::Bool(value) => Value::Bool(*value),
            Kind::Number(number) => Value::Number(number),
            Kind::Text(span) => Value::Text(span.of(self.text)),
            Kind::Array => Value::Array(Self { nodes, ..self }),
            Kind::Object => Value::Object(Self { nodes, ..self }),
        }
    }
}

impl Name {
    /// Its first bytes as a number, by which most other names are told from it.
    fn key(name: &str) -> u64 {
        let bytes = name.as_bytes();
        let of_short = || bytes.iter().fold(0, |key, byte| key << 8 | u64::from(*byte));
        bytes.first_chunk().map_or_else(of_short, |first| u64::from_le_bytes(*first))
    }
}

impl Span {
    fn of(self, text: &str) -> &str {
        let (start, length) = (self.start as usize, self.length as usize);
        text.get(start..start + length).unwrap_or_default()
    }
}

/// For people to read, and for tests.
impl From<Value<'_>> for serde_json::Value {
    fn from(value: Value<'_>) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(value),
            Value::Number(number) => Self::Number(number.clone()),
            Value::Text(text) => text.into(),
            Value::Array(items) => items.values().collect(),
            Value::Object(members) => members.named().collect(),
        }
    }
}
