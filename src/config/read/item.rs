//! One value of the document: read as what a key wants, or reported as what it is not.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::de::{DeArray, DeValue};

use super::Report;
use super::expand::{Expanded, expand};
use super::shape::Key;
use super::table::Table;
use super::units::{Bound, parse_duration, parse_size, show_duration, show_size};

/// A value, with the key path that leads to it.
pub(crate) struct Item<'a> {
    pub(crate) report: &'a Report<'a>,
    pub(crate) value: &'a DeValue<'a>,
    pub(crate) line: usize,
    pub(crate) path: String,
}

impl<'a> Item<'a> {
    /// Reports a mistake and gives nothing.
    pub(crate) fn error<T>(&self, message: &str) -> Option<T> {
        self.report.error(Some(self.line), &self.path, message);
        None
    }

    pub(crate) fn table(&self, keys: &[Key]) -> Option<Table<'a>> {
        match self.value.as_table() {
            Some(entries) => Some(Table::of(self, entries, keys)),
            None => self.error("must be a table"),
        }
    }

    /// A table whose keys are not names of ours.
    pub(crate) fn free_table(&self) -> Option<Table<'a>> {
        match self.value.as_table() {
            Some(entries) => Some(Table::free(self, entries)),
            None => self.error("must be a table"),
        }
    }

    pub(crate) fn array(&self) -> Option<Vec<Item<'a>>> {
        match self.value.as_array() {
            Some(array) => Some(self.elements(array)),
            None => self.error("must be an array"),
        }
    }

    fn elements(&self, array: &'a DeArray<'a>) -> Vec<Item<'a>> {
        let element = |(index, value): (usize, &'a toml::Spanned<DeValue<'a>>)| Item {
            report: self.report,
            value: value.get_ref(),
            line: self.report.line(value.span().start),
            path: format!("{}[{index}]", self.path),
        };
        array.iter().enumerate().map(element).collect()
    }

    /// Strings in an array; those that are none are reported and left out.
    pub(crate) fn texts(&self) -> Option<Vec<Text<'a>>> {
        if self.value.is_str() {
            return self.error("must be an array of strings");
        }
        Some(self.array()?.into_iter().filter_map(Item::text).collect())
    }

    /// One string or an array of them.
    pub(crate) fn text_or_texts(self) -> Option<Vec<Text<'a>>> {
        if self.value.is_str() {
            return self.text().map(|text| vec![text]);
        }
        self.texts()
    }

    /// A string, with its references expanded.
    pub(crate) fn text(self) -> Option<Text<'a>> {
        let Some(raw) = self.value.as_str() else {
            return self.error("must be a string");
        };
        match expand(raw, folder(self.report.file), self.report.sources) {
            Ok(expanded) => Some(Text { item: self, expanded }),
            Err(why) => self.error(&why),
        }
    }

    pub(crate) fn boolean(&self) -> Option<bool> {
        self.value.as_bool().or_else(|| self.error("must be true or false"))
    }

    fn integer(&self) -> Option<u64> {
        let number = self.value.as_integer()?;
        u64::from_str_radix(number.as_str(), number.radix()).ok()
    }

    /// A part of a whole.
    pub(crate) fn ratio(&self) -> Option<f64> {
        let float = self.value.as_float().and_then(|number| number.as_str().parse::<f64>().ok());
        let whole = self.integer().and_then(|number| u32::try_from(number).ok()).map(f64::from);
        let ratio = float.or(whole).filter(|ratio| (0.0..=1.0).contains(ratio));
        ratio.or_else(|| self.error("must be a number from 0.0 to 1.0"))
    }

    pub(crate) fn count(&self, bound: &Bound<u32>) -> Option<u32> {
        let fine = |n: &u32| (bound.least..=bound.most).contains(n);
        let number = self.integer().and_then(|n| u32::try_from(n).ok()).filter(fine);
        number.or_else(|| self.error(&format!("must be a whole number from {} to {}", bound.least, bound.most)))
    }

    pub(crate) fn size(&self, bound: &Bound<u64>) -> Option<u64> {
        let range = format!("from {} to {}", show_size(bound.least), show_size(bound.most));
        let fine = |n: &u64| (bound.least..=bound.most).contains(n);
        if !self.value.is_str() {
            let wanted = format!("must be a size such as \"32KiB\", or bytes, {range}");
            return self.integer().filter(fine).or_else(|| self.error(&wanted));
        }
        let text = self.again().text()?;
        let size = parse_size(text.as_str()).filter(fine);
        size.or_else(|| text.error(&format!("must be a size such as \"32KiB\", or bytes, {range}")))
    }

    pub(crate) fn duration(&self, bound: &Bound<Duration>) -> Option<Duration> {
        let range = format!("from {} to {}", show_duration(bound.least), show_duration(bound.most));
        let wanted = format!("must be a duration such as \"30s\" or \"1h30m\", {range}");
        if !self.value.is_str() {
            return self.error(&wanted);
        }
        let text = self.again().text()?;
        let duration = parse_duration(text.as_str()).filter(|d| (bound.least..=bound.most).contains(d));
        duration.or_else(|| text.error(&wanted))
    }

    fn again(&self) -> Self {
        Self { report: self.report, value: self.value, line: self.line, path: self.path.clone() }
    }
}

fn folder(file: &Path) -> &Path {
    file.parent().unwrap_or(Path::new(""))
}

/// A string value with its references expanded. Messages about it name the references, never what they stand for.
pub(crate) struct Text<'a> {
    item: Item<'a>,
    expanded: Expanded,
}

impl Text<'_> {
    pub(crate) fn as_str(&self) -> &str {
        &self.expanded.value
    }

    /// Reports a mistake and gives nothing.
    pub(crate) fn error<T>(&self, message: &str) -> Option<T> {
        if self.expanded.references.is_empty() {
            return self.item.error(message);
        }
        let references = self.expanded.references.join(" and ");
        self.item.error(&format!("{message} (checked with the value of {references})"))
    }

    /// What a parser makes of it, or its complaint, which must not quote the text.
    pub(crate) fn parse<T, E: Display>(&self, parse: impl FnOnce(&str) -> Result<T, E>) -> Option<T> {
        match parse(self.as_str()) {
            Ok(value) => Some(value),
            Err(why) => self.error(&why.to_string()),
        }
    }

    /// One of several words.
    pub(crate) fn choose<T: Copy>(&self, choices: &[(&str, T)]) -> Option<T> {
        let found = choices.iter().find(|(word, _)| *word == self.as_str());
        found.map(|(_, choice)| *choice).or_else(|| {
            let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
            self.error(&format!("must be {}", words.join(" or ")))
        })
    }

    /// A file's path; a relative one starts from the folder of the configuration file.
    pub(crate) fn path(&self) -> Option<PathBuf> {
        if self.as_str().is_empty() {
            return self.error("must be a path");
        }
        Some(folder(self.item.report.file).join(self.as_str()))
    }

    /// True the first time a text is seen; an error when it was there before.
    pub(crate) fn is_new(&self, seen: &mut Seen) -> bool {
        self.is_new_as(self.as_str().to_owned(), seen)
    }

    /// Like [`Self::is_new`], for a text that has several spellings.
    pub(crate) fn is_new_as(&self, key: String, seen: &mut Seen) -> bool {
        if let Some(first) = seen.0.get(&key) {
            self.error::<()>(&format!("repeats {first}"));
            return false;
        }
        seen.0.insert(key, self.item.path.clone());
        true
    }
}

/// Texts that may stand only once, with the key that had them first.
#[derive(Default)]
pub(crate) struct Seen(BTreeMap<String, String>);
