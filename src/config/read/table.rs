//! One table of the document: finds its keys, and reports those that nobody knows.

use std::time::Duration;

use toml::de::DeTable;

use super::Report;
use super::item::Item;
use super::shape::Key;
use super::units::Bound;

/// A table, with the key path that leads to it.
pub(crate) struct Table<'a> {
    report: &'a Report<'a>,
    entries: &'a DeTable<'a>,
    path: String,
    line: Option<usize>,
}

impl<'a> Table<'a> {
    pub(crate) fn root(report: &'a Report<'a>, entries: &'a DeTable<'a>, keys: &[Key]) -> Self {
        let table = Self { report, entries, path: String::new(), line: None };
        table.refuse_unknown(keys);
        table
    }

    /// A table whose keys are not names of ours (header fields).
    pub(crate) fn free(item: &Item<'a>, entries: &'a DeTable<'a>) -> Self {
        Self { report: item.report, entries, path: item.path.clone(), line: Some(item.line) }
    }

    pub(crate) fn of(item: &Item<'a>, entries: &'a DeTable<'a>, keys: &[Key]) -> Self {
        let table = Self::free(item, entries);
        table.refuse_unknown(keys);
        table
    }

    fn refuse_unknown(&self, keys: &[Key]) {
        let keys: Vec<&str> = keys.iter().map(|key| key.name).collect();
        for (key, _) in self.entries {
            let name = key.get_ref();
            if !keys.contains(&name.as_ref()) {
                let accepted = match nearest(name, &keys) {
                    Some(near) => format!("did you mean {near}?"),
                    None => format!("accepted are {}", keys.join(", ")),
                };
                let line = self.report.line(key.span().start);
                let message = format!("unknown key, {accepted}");
                self.report.error(Some(line), &self.path_of(name), &message);
            }
        }
    }

    /// The value of a key, when it is there.
    pub(crate) fn get(&self, key: &str) -> Option<Item<'a>> {
        self.items().find_map(|(name, item)| (name == key).then_some(item))
    }

    /// The value of a key; an error when it is not there.
    pub(crate) fn need(&self, key: &str) -> Option<Item<'a>> {
        let found = self.get(key);
        if found.is_none() {
            self.missing(key, "is required");
        }
        found
    }

    /// A variable of the environment that stands for a key.
    pub(crate) fn variable(&self, name: &str) -> Option<String> {
        (self.report.sources.env)(name).ok().filter(|value| !value.is_empty())
    }

    /// Reports that a key is missing, and what it should hold.
    pub(crate) fn missing(&self, key: &str, message: &str) {
        self.report.missing(self.line, &self.path_of(key), message);
    }

    /// Every key with its value.
    pub(crate) fn items(&self) -> impl Iterator<Item = (&'a str, Item<'a>)> {
        self.entries.iter().map(|(key, value)| {
            let item = Item {
                report: self.report,
                value: value.get_ref(),
                line: self.report.line(key.span().start.max(value.span().start)),
                path: self.path_of(key.get_ref()),
            };
            (key.get_ref().as_ref(), item)
        })
    }

    pub(crate) fn duration(&self, key: &str, bound: &Bound<Duration>) -> Duration {
        self.get(key).and_then(|item| item.duration(bound)).unwrap_or(bound.default)
    }

    pub(crate) fn size(&self, key: &str, bound: &Bound<u64>) -> u64 {
        self.get(key).and_then(|item| item.size(bound)).unwrap_or(bound.default)
    }

    pub(crate) fn count(&self, key: &str, bound: &Bound<u32>) -> u32 {
        self.get(key).and_then(|item| item.count(bound)).unwrap_or(bound.default)
    }

    pub(crate) fn flag(&self, key: &str) -> bool {
        self.get(key).and_then(|item| item.boolean()).unwrap_or(false)
    }

    /// Reports a mistake about a key that need not be there.
    pub(crate) fn error(&self, key: &str, message: &str) {
        let line = self.get(key).map(|item| item.line).or(self.line);
        self.report.error(line, &self.path_of(key), message);
    }

    fn path_of(&self, key: &str) -> String {
        let bare = key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') && !key.is_empty();
        let key = if bare { key.to_owned() } else { format!("{key:?}") };
        if self.path.is_empty() { key } else { format!("{}.{key}", self.path) }
    }
}

/// The accepted name that is closest to this one, when one is close.
fn nearest<'k>(name: &str, accepted: &[&'k str]) -> Option<&'k str> {
    let far = match name.len() {
        0..=3 => 1,
        4..=7 => 2,
        _ => 3,
    };
    let close = accepted.iter().map(|key| (distance(name, key), *key));
    close.filter(|(distance, _)| *distance <= far).min().map(|(_, key)| key)
}

/// How many letters must be put in, taken out or changed (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let (mut diagonal, mut left) = (i, i + 1);
        for (cell, y) in row.iter_mut().skip(1).zip(b.chars()) {
            let changed = diagonal + usize::from(x != y);
            diagonal = *cell;
            left = changed.min(left + 1).min(*cell + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_key_is_close() {
        assert_eq!((distance("kitten", "sitting"), distance("", "ab"), distance("a", "a")), (3, 2, 0));
        assert_eq!(nearest("adress", &["tls", "address"]), Some("address"));
        assert_eq!(nearest("zzz", &["tls", "address"]), None);
    }
}
