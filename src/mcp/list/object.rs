//! JSON read without doubt, one level at a time: spans of the text, no tree. Nothing here recurses over the text's depth.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::UnreadableList;
use crate::mcp::lookalike::is_lookalike;
use crate::mcp::reader::MAX_DEPTH;

/// More than any message, result or list entry has; keeps what is held small beside the text.
const MAX_MEMBERS: usize = 1024;

/// The members of one object.
pub(super) struct Object<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Object<'a> {
    /// Refuses members that stand twice, and spellings that lenient readers take for one of `known`.
    pub(super) fn read(object: &'a RawValue, known: &[&str]) -> Result<Self, UnreadableList> {
        let Members(members) = serde_json::from_str(object.get()).map_err(|_| UnreadableList)?;
        let looks_alike = |name: &str| known.iter().any(|known| is_lookalike(name, known));
        let mut names: Vec<&str> = members.iter().map(|(name, _)| &**name).collect();
        names.sort_unstable();
        let stands_twice = names.array_windows().any(|[one, next]| one == next);
        if stands_twice || names.into_iter().any(looks_alike) {
            return Err(UnreadableList);
        }
        Ok(Self(members))
    }

    /// A member's value.
    pub(super) fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0.iter().find(|(member, _)| member == name).map(|(_, value)| *value)
    }
}

pub(super) fn is_array(value: &RawValue) -> bool {
    value.get().starts_with('[')
}

pub(super) fn is_object(value: &RawValue) -> bool {
    value.get().starts_with('{')
}

/// The text of a string, unescaped.
pub(super) fn string(value: &RawValue) -> Result<Cow<'_, str>, UnreadableList> {
    serde_json::from_str(value.get()).map(|Text(text)| text).map_err(|_| UnreadableList)
}

/// Shows each element of an array, in order; what is no array is unreadable.
pub(super) fn each_element<'a>(
    array: &'a RawValue,
    show: impl FnMut(&'a RawValue) -> Result<(), UnreadableList>,
) -> Result<(), UnreadableList> {
    let mut reader = serde_json::Deserializer::from_str(array.get());
    reader.deserialize_seq(Elements(show, PhantomData)).map_err(|_| UnreadableList)
}

/// Threat M10, here for answers. `text` need not be JSON yet: what is too deep is not read any further.
pub(super) fn within_depth(text: &str) -> Result<(), UnreadableList> {
    let (mut depth, mut in_string, mut is_escaped) = (0u32, false, false);
    for byte in text.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_string => is_escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => depth += 1,
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Err(UnreadableList);
        }
    }
    Ok(())
}

#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some((Text(name), value)) = map.next_entry()? {
            if members.len() == MAX_MEMBERS {
                return Err(A::Error::custom("too many members"));
            }
            members.push((name, value));
        }
        Ok(Members(members))
    }
}

struct Elements<'a, F>(F, PhantomData<&'a RawValue>);

impl<'de, F: FnMut(&'de RawValue) -> Result<(), UnreadableList>> Visitor<'de> for Elements<'de, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        while let Some(element) = seq.next_element()? {
            self.0(element).map_err(A::Error::custom)?;
        }
        Ok(())
    }
}
