//! What the document may hold: the names of a table's keys, and what each takes. The parser refuses every other name by
//! these lists, and the schema is written from them.

use std::time::Duration;

use super::units::Bound;

/// A key of a table.
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    /// True when there is no table without it.
    pub(crate) required: bool,
    /// True when a bound's default is what its absence means.
    pub(crate) has_default: bool,
}

impl Key {
    pub(crate) const fn of(name: &'static str, shape: Shape) -> Self {
        Self { name, shape, required: false, has_default: true }
    }

    /// There is no table without it.
    pub(crate) const fn required(self) -> Self {
        Self { required: true, ..self }
    }

    /// Its absence means that nothing is asked for.
    pub(crate) const fn without_default(self) -> Self {
        Self { has_default: false, ..self }
    }
}

/// What a key takes.
pub(crate) enum Shape {
    /// A string.
    Text,
    /// An array of strings.
    Texts,
    /// One string or an array of them.
    TextOrTexts,
    /// One of some words.
    Word(fn() -> Vec<&'static str>),
    /// An array of some words.
    Words(fn() -> Vec<&'static str>),
    /// True or false.
    Flag,
    /// A part of a whole.
    Ratio,
    /// A whole number.
    Count(&'static Bound<u32>),
    /// A size in bytes.
    Size(&'static Bound<u64>),
    /// A length of time.
    Wait(&'static Bound<Duration>),
    /// A date and time.
    Time,
    /// A table with these keys.
    Table(&'static [Key]),
    /// An array of tables with these keys.
    Tables(&'static [Key]),
    /// A table whose keys are names of the user's.
    Free(&'static Shape),
    /// One of two.
    Either(&'static Shape, &'static Shape),
}

/// The words of some choices.
pub(crate) fn words<T>(choices: &[(&'static str, T)]) -> Vec<&'static str> {
    choices.iter().map(|(word, _)| *word).collect()
}
