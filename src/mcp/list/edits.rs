//! Changes to a text, by the places where they stand in it; the result is made of slices of the original.

use std::ops::Range;

use serde_json::value::RawValue;

use super::UnreadableList;

/// Elements of an answer's arrays that are looked at: each is judged by all rules, and meanwhile its thread serves nobody else.
pub const MAX_ELEMENTS: usize = 50_000;

/// What becomes of parts of a text.
pub(super) struct Edits<'a> {
    text: &'a str,
    /// How many elements have been looked at.
    seen: usize,
    /// Parts of the text and what stands there instead; no two of them overlap.
    changes: Vec<(Range<usize>, &'static str)>,
}

impl<'a> Edits<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, seen: 0, changes: Vec::new() }
    }

    /// To be asked before each element.
    pub(super) fn look(&mut self) -> Result<(), UnreadableList> {
        self.seen += 1;
        if self.seen > MAX_ELEMENTS { Err(UnreadableList) } else { Ok(()) }
    }

    /// Where a value that was read out of the text stands in it.
    pub(super) fn span(&self, value: &RawValue) -> Range<usize> {
        let start = value.get().as_ptr().addr().wrapping_sub(self.text.as_ptr().addr());
        start..start.wrapping_add(value.get().len())
    }

    pub(super) fn replace(&mut self, part: Range<usize>, with: &'static str) {
        self.changes.push((part, with));
    }

    pub(super) fn insert(&mut self, at: usize, text: &'static str) {
        self.replace(at..at, text);
    }

    /// The changed text; `None` when nothing changes.
    pub(super) fn apply(mut self) -> Result<Option<Vec<u8>>, UnreadableList> {
        if self.changes.is_empty() {
            return Ok(None);
        }
        self.changes.sort_by_key(|(part, _)| part.start);
        let mut changed = Vec::with_capacity(self.text.len() + 32); // room for one inserted member
        let mut from = 0;
        for (part, with) in self.changes {
            changed.extend_from_slice(self.text.get(from..part.start).ok_or(UnreadableList)?.as_bytes());
            changed.extend_from_slice(with.as_bytes());
            from = part.end;
        }
        changed.extend_from_slice(self.text.get(from..).ok_or(UnreadableList)?.as_bytes());
        Ok(Some(changed))
    }
}

/// Which entries of one list stay: those that go take the comma with them that separates them from their neighbour.
#[derive(Default)]
pub(super) struct Shown {
    /// Where the last entry that stays ends.
    kept: Option<usize>,
    /// Entries that go, without a gap between them, and the comma on one side.
    going: Option<Range<usize>>,
}

impl Shown {
    pub(super) fn keep(&mut self, entry: &RawValue, edits: &mut Edits<'_>) {
        let entry = edits.span(entry);
        if let Some(mut going) = self.going.take() {
            if self.kept.is_none() {
                going.end = entry.start; // up to the first that stays: the comma behind goes
            }
            edits.replace(going, "");
        }
        self.kept = Some(entry.end);
    }

    pub(super) fn hide(&mut self, entry: &RawValue, edits: &Edits<'_>) {
        let entry = edits.span(entry);
        let start = self.kept.unwrap_or(entry.start); // from the last that stays: the comma before goes
        self.going.get_or_insert(start..entry.end).end = entry.end;
    }

    pub(super) fn finish(self, edits: &mut Edits<'_>) {
        if let Some(going) = self.going {
            edits.replace(going, "");
        }
    }
}
