//! List results without the entries that a policy hides; every other byte stays as it was.
//!
//! What cannot be read without doubt is refused as a whole: a list that a client might read in another way than the gateway
//! would show what it should not.

mod edits;
mod object;
#[cfg(test)]
mod tests;

use serde_json::value::RawValue;

use super::message::DIRECTORY_READ;
pub use edits::MAX_ELEMENTS;
use edits::{Edits, Shown};
use object::{Object, each_element, is_array, is_object, string, within_depth};

/// The lists that a policy can shorten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ListKind {
    /// `tools/list`: `result.tools`, by `name`.
    Tools,
    /// `prompts/list`: `result.prompts`, by `name`.
    Prompts,
    /// `resources/list`, `resources/directory/read`: `result.resources`, by `uri`.
    Resources,
    /// `resources/templates/list`: `result.resourceTemplates`, by `uriTemplate`.
    Templates,
    /// `skills/list` (SEP-2640): `result.skills`, by `uri`.
    Skills,
}

impl ListKind {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Tools, Self::Prompts, Self::Resources, Self::Templates, Self::Skills];

    /// The method that asks for it.
    pub fn method(self) -> &'static str {
        match self {
            Self::Tools => "tools/list",
            Self::Prompts => "prompts/list",
            Self::Resources => "resources/list",
            Self::Templates => "resources/templates/list",
            Self::Skills => "skills/list",
        }
    }

    /// The list that a method asks for. What is in a folder (SEP-2640) is a list of resources too.
    pub fn of_method(method: &str) -> Option<Self> {
        if method == DIRECTORY_READ {
            return Some(Self::Resources);
        }
        Self::ALL.into_iter().find(|kind| kind.method() == method)
    }

    /// The member of `result` that holds it.
    pub fn member(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Prompts => "prompts",
            Self::Resources => "resources",
            Self::Templates => "resourceTemplates",
            Self::Skills => "skills",
        }
    }

    /// The member of an entry that names it.
    pub fn key(self) -> &'static str {
        match self {
            Self::Tools | Self::Prompts => "name",
            Self::Resources | Self::Skills => "uri",
            Self::Templates => "uriTemplate",
        }
    }
}

/// Who sees what.
pub trait Screen {
    /// Entries of this list are hidden from some callers.
    fn can_hide(&self, list: ListKind) -> bool;
    /// This caller may see the entry.
    fn shows(&self, list: ListKind, name: &str) -> bool;
}

/// A list result that cannot be read, and so cannot be shortened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the upstream's list cannot be read")]
pub struct UnreadableList;

/// What is read of a message.
const MESSAGE_MEMBERS: [&str; 1] = ["result"];
/// What is read of a result.
const RESULT_MEMBERS: [&str; 8] =
    ["tools", "prompts", "resources", "resourceTemplates", "skills", "cacheScope", "ttlMs", "resultType"];

/// One JSON-RPC message, or an array of them (2025-03-26), without the entries that are hidden; `None` when nothing changes.
/// Lists are found by their shape, not by what was asked: on a resumed stream any answer may come.
pub fn shorten(answer: &[u8], screen: &impl Screen) -> Result<Option<Vec<u8>>, UnreadableList> {
    let text = std::str::from_utf8(answer).map_err(|_| UnreadableList)?;
    within_depth(text)?;
    let root: &RawValue = serde_json::from_str(text).map_err(|_| UnreadableList)?;
    let mut edits = Edits::new(text);
    if is_array(root) {
        each_element(root, |message| {
            edits.look()?;
            if is_array(message) { Err(UnreadableList) } else { edit_message(message, screen, &mut edits) }
        })?;
    } else {
        edit_message(root, screen, &mut edits)?;
    }
    edits.apply()
}

fn edit_message(message: &RawValue, screen: &impl Screen, edits: &mut Edits<'_>) -> Result<(), UnreadableList> {
    if !is_object(message) {
        return Ok(()); // no message, and nothing in it that a client could take for a list
    }
    match Object::read(message, &MESSAGE_MEMBERS)?.get("result") {
        Some(result) if is_object(result) => edit_result(result, screen, edits),
        _ => Ok(()),
    }
}

fn edit_result(result: &RawValue, screen: &impl Screen, edits: &mut Edits<'_>) -> Result<(), UnreadableList> {
    let members = Object::read(result, &RESULT_MEMBERS)?;
    let mut differs_per_caller = false;
    for kind in ListKind::ALL.into_iter().filter(|kind| screen.can_hide(*kind)) {
        if let Some(list) = members.get(kind.member()) {
            differs_per_caller = true;
            edit_list(list, kind, screen, edits)?;
        }
    }
    if differs_per_caller {
        make_private(result, &members, edits);
    }
    Ok(())
}

fn edit_list(
    list: &RawValue,
    kind: ListKind,
    screen: &impl Screen,
    edits: &mut Edits<'_>,
) -> Result<(), UnreadableList> {
    let mut shown = Shown::default();
    each_element(list, |entry| {
        edits.look()?;
        let name = Object::read(entry, &[kind.key()])?.get(kind.key()).ok_or(UnreadableList)?;
        if screen.shows(kind, &string(name)?) {
            shown.keep(entry, edits);
        } else {
            shown.hide(entry, edits);
        }
        Ok(())
    })?;
    shown.finish(edits);
    Ok(())
}

/// MCP 2026-07-28, caching: a list that differs per caller must not be shared. Every page says so, for every caller.
fn make_private(result: &RawValue, members: &Object<'_>, edits: &mut Edits<'_>) {
    let speaks_of_caching = members.get("ttlMs").or(members.get("resultType")).is_some();
    match members.get("cacheScope") {
        Some(scope) if scope.get() == r#""private""# => {}
        Some(scope) => edits.replace(edits.span(scope), r#""private""#),
        // At least the list follows, hence the comma.
        None if speaks_of_caching => edits.insert(edits.span(result).start + 1, r#""cacheScope":"private","#),
        None => {}
    }
}
