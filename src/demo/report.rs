//! What the demo prints: one aligned line per step, with what came back.

use std::io::{self, Write};

use super::DemoError;

/// Room for a step's name.
const NAME_WIDTH: usize = 26;

/// A step that held: what it gives the next one, and what the person reads.
pub(super) struct Held<T> {
    pub(super) value: T,
    pub(super) said: String,
}

/// Why a step did not hold, in words.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Broken(pub(super) String);

impl From<reqwest::Error> for Broken {
    fn from(error: reqwest::Error) -> Self {
        let mut words = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(error) = cause {
            words = format!("{words}: {error}");
            cause = error.source();
        }
        Self(words)
    }
}

/// How steps answer.
pub(super) type Step<T> = Result<Held<T>, Broken>;

/// `condition`, or what is wrong.
pub(super) fn ensure(condition: bool, wrong: impl FnOnce() -> String) -> Result<(), Broken> {
    if condition {
        return Ok(());
    }
    Err(Broken(wrong()))
}

/// Writes for a person at a terminal.
pub(super) struct Report<'a> {
    out: &'a mut dyn Write,
}

impl<'a> Report<'a> {
    pub(super) fn new(out: &'a mut dyn Write) -> Self {
        Self { out }
    }

    /// A line, out at once: the next step may take a while.
    pub(super) fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{text}")?;
        self.out.flush()
    }

    /// Prints a step's outcome and hands on its value.
    pub(super) fn step<T>(&mut self, name: &'static str, outcome: Step<T>) -> Result<T, DemoError> {
        match outcome {
            Ok(Held { value, said }) => {
                let said = said.replace('\n', &format!("\n{:1$}", "", NAME_WIDTH + 5));
                self.line(&format!("  ✓ {name:NAME_WIDTH$} {said}"))?;
                Ok(value)
            }
            Err(Broken(why)) => {
                self.line(&format!("  ✗ {name:NAME_WIDTH$} {why}"))?;
                Err(DemoError::Step { name, why })
            }
        }
    }
}
