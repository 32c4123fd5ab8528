//! Attacks that the catalogue of threats does not list, three and more for each of its rules; one file per rule. Their names
//! begin with `x`, the rule's number and a letter; `docs/threats.md` lists them.

mod answers;
mod bounds;
mod closed;
mod comparison;
mod early;
mod fields;
mod places;
mod reading;
mod verdicts;
