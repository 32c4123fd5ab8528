//! What the doctor found: sections of findings, each with a fixed code, words, and what to do.

use serde::Serialize;

/// Longest text of others that is repeated.
const MAX_QUOTED: usize = 300;

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// Worth knowing.
    Note,
    /// Some logins or clients may fail.
    Warning,
    /// Logins fail, or what should be protected is not.
    Problem,
}

impl Level {
    /// The word, as JSON has it too.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
pub struct Finding {
    /// How grave it is.
    pub level: Level,
    /// What was looked at: fixed words, explained in `docs/doctor.md`.
    pub code: &'static str,
    /// What was found.
    pub text: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

/// What was found about one issuer, route or token.
#[derive(Debug, Serialize)]
pub struct Section {
    /// What it is about.
    pub about: String,
    /// In the order in which a client would meet them.
    pub findings: Vec<Finding>,
}

impl Section {
    pub(super) fn new(about: impl Into<String>) -> Self {
        Self { about: about.into(), findings: Vec::new() }
    }

    pub(super) fn ok(&mut self, code: &'static str, text: impl Into<String>) {
        self.add(Level::Ok, code, text.into(), None);
    }

    pub(super) fn note(&mut self, code: &'static str, text: impl Into<String>) {
        self.add(Level::Note, code, text.into(), None);
    }

    pub(super) fn warning(&mut self, code: &'static str, text: impl Into<String>, fix: impl Into<String>) {
        self.add(Level::Warning, code, text.into(), Some(fix.into()));
    }

    pub(super) fn problem(&mut self, code: &'static str, text: impl Into<String>, fix: impl Into<String>) {
        self.add(Level::Problem, code, text.into(), Some(fix.into()));
    }

    pub(super) fn add(&mut self, level: Level, code: &'static str, text: String, fix: Option<String>) {
        self.findings.push(Finding { level, code, text, fix });
    }

    /// The gravest of the findings.
    pub fn gravest(&self) -> Level {
        self.findings.iter().map(|finding| finding.level).max().unwrap_or(Level::Ok)
    }
}

/// Somebody else's text in quotation marks: no control characters reach the terminal, and no novel either.
pub(super) fn quoted(text: &str) -> String {
    let cut: String = text.chars().take(MAX_QUOTED).collect();
    let more = if cut.len() < text.len() { "…" } else { "" };
    format!("{cut:?}{more}")
}
