//! The document as `parse` reads it: tables and values that know their line and key, and one report that collects every
//! mistake. Nothing here knows what a key means.
//!
//! There is no serde image of the file: serde stops at the first mistake of a document and its messages quote values,
//! secrets included. A walk over the document reports all of them, each with its line, in our own words.

pub(crate) mod expand;
pub(crate) mod item;
pub(crate) mod shape;
pub(crate) mod table;
pub(crate) mod units;

use std::cell::RefCell;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::ConfigError;
use expand::Sources;

/// Where a document comes from, and all that is wrong with it.
pub(crate) struct Report<'a> {
    pub(crate) file: &'a Path,
    pub(crate) sources: &'a Sources<'a>,
    lines: Lines,
    /// Lines with a syntax error: what the parser made up for them is not worth a second message.
    broken: Vec<usize>,
    /// False after a broken table header: the keys below it were read into another table.
    trusted: bool,
    errors: RefCell<Vec<ConfigError>>,
}

impl<'a> Report<'a> {
    pub(crate) fn new(file: &'a Path, text: &str, sources: &'a Sources<'a>, syntax: &[toml::de::Error]) -> Self {
        let lines = Lines::new(text);
        let mut report = Self { file, sources, lines, broken: Vec::new(), trusted: true, errors: RefCell::default() };
        for mistake in syntax {
            let line = mistake.span().map(|span| report.lines.number(span.start));
            let message = mistake.message().replace('\n', ", ").replace(", expected nothing", "");
            report.error(line, "", &format!("not TOML: {message}"));
            report.broken.extend(line);
        }
        let header = |line: &usize| text.lines().nth(line - 1).is_some_and(|l| l.trim_start().starts_with('['));
        report.trusted = !report.broken.iter().any(header);
        report
    }

    pub(crate) fn line(&self, offset: usize) -> usize {
        self.lines.number(offset)
    }

    pub(crate) fn error(&self, line: Option<usize>, key: &str, message: &str) {
        if !self.trusted || line.is_some_and(|line| self.broken.contains(&line)) {
            return;
        }
        self.errors.borrow_mut().push(ConfigError {
            file: self.file.to_owned(),
            line,
            key: key.to_owned(),
            message: message.to_owned(),
        });
    }

    /// Says that a key is missing; silent after a syntax error, which may have swallowed it.
    pub(crate) fn missing(&self, line: Option<usize>, key: &str, message: &str) {
        if self.broken.is_empty() {
            self.error(line, key, message);
        }
    }

    /// The value if nothing was wrong; else every mistake, in the file's order.
    pub(crate) fn finish<T>(self, value: Option<T>) -> Result<T, Vec<ConfigError>> {
        let mut errors = self.errors.into_inner();
        errors.sort_by_key(|error| error.line.unwrap_or(usize::MAX));
        match value {
            Some(value) if errors.is_empty() => Ok(value),
            _ => Err(errors),
        }
    }
}

/// Where the lines of a text start.
struct Lines(Vec<usize>);

impl Lines {
    fn new(text: &str) -> Self {
        Self(text.match_indices('\n').map(|(at, _)| at + 1).collect())
    }

    fn number(&self, offset: usize) -> usize {
        self.0.partition_point(|start| *start <= offset) + 1
    }
}

/// The line on which a key such as `issuers[0].ca` stands, for mistakes that are found after reading.
pub(crate) fn line_of(text: &str, key: &str) -> Option<usize> {
    let (document, _) = DeTable::parse_recoverable(text);
    let mut offset = document.span().start;
    let mut value = &DeValue::Table(document.into_inner());
    for step in key.split(['.', '[', ']']).filter(|step| !step.is_empty()) {
        let next = match step.parse::<usize>() {
            Ok(index) => value.get(index)?,
            Err(_) => value.get(step)?,
        };
        (offset, value) = (next.span().start, next.get_ref());
    }
    Some(Lines::new(text).number(offset))
}
