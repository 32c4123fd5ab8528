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
        self.add(Level::Ok, code, &text.into(), None);
    }

    pub(super) fn note(&mut self, code: &'static str, text: impl Into<String>) {
        self.add(Level::Note, code, &text.into(), None);
    }

    pub(super) fn warning(&mut self, code: &'static str, text: impl Into<String>, fix: impl Into<String>) {
        self.add(Level::Warning, code, &text.into(), Some(&fix.into()));
    }

    pub(super) fn problem(&mut self, code: &'static str, text: impl Into<String>, fix: impl Into<String>) {
        self.add(Level::Problem, code, &text.into(), Some(&fix.into()));
    }

    pub(super) fn add(&mut self, level: Level, code: &'static str, text: &str, fix: Option<&str>) {
        self.findings.push(Finding { level, code, text: harmless(text), fix: fix.map(harmless) });
    }

    /// The gravest of the findings.
    pub fn gravest(&self) -> Level {
        self.findings.iter().map(|finding| finding.level).max().unwrap_or(Level::Ok)
    }
}

/// What others say is in many of these texts: nothing of it may steer a terminal, or turn a line around.
fn harmless(text: &str) -> String {
    let plain = |c: char| c.is_ascii_graphic() || c == ' ';
    text.chars().map(|c| if plain(c) { c.to_string() } else { c.escape_debug().to_string() }).collect()
}

/// Somebody else's text in quotation marks, and no novel of it.
pub(super) fn quoted(text: &str) -> String {
    let cut: String = text.chars().take(MAX_QUOTED).collect();
    let more = if cut.len() < text.len() { "…" } else { "" };
    format!("{cut:?}{more}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_steers_a_terminal() {
        let mut section = Section::new("a host");
        section.problem("tls", "\u{1b}[2J\u{9b}1m\u{202e}\u{7f}\r\n\"ok\" ü …", "a\tb\u{8}");
        let finding = &section.findings[0];
        assert_eq!(finding.text, r#"\u{1b}[2J\u{9b}1m\u{202e}\u{7f}\r\n"ok" ü …"#);
        assert_eq!(finding.fix.as_deref(), Some(r"a\tb\u{8}"));
        assert_eq!(section.gravest(), Level::Problem);
        assert_eq!(quoted(&"x".repeat(1000)).chars().count(), MAX_QUOTED + 3);
    }
}
