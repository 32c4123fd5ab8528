//! Finds out whether a chained audit stream is whole, for `portcullis audit verify`. Pure.

use super::chain::{self, Digest, Link};

/// What has been found good so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chained {
    /// Number of the first line; 1 unless the stream's beginning is elsewhere.
    pub first: u64,
    /// Number of the last line.
    pub last: u64,
    /// Digest of the last line: keep it elsewhere, and the end of the stream cannot be cut off unseen.
    pub digest: String,
    /// Lines whose writer was cut off; the chain goes around them.
    pub torn: u64,
}

/// Why a line does not go on with the line before.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Break {
    /// No number and digest at its end.
    #[error("is no line of a chained audit stream")]
    Form,
    /// A line is missing, stands twice or is in another place.
    #[error("has number {found}, expected was {expected}: a line was removed, repeated or moved")]
    Number {
        /// What it says.
        found: u64,
        /// What comes after the line before.
        expected: u64,
    },
    /// The line, or one before it, is not what was written; or the key is another one.
    #[error("does not have the digest that it was written with: it was changed, or the key is another one")]
    Digest,
}

/// Reads line by line, also over several files in a row.
pub struct Verifier {
    link: Link,
    /// And what the next line is chained to.
    found: Option<(Chained, Digest)>,
    /// The last line was none, and the next one must say that it was torn.
    torn: bool,
}

impl Verifier {
    /// With the key that the stream was written with; `None`: without one.
    pub fn new(key: Option<&str>) -> Self {
        Self { link: key.map_or(Link::Plain, Link::keyed), found: None, torn: false }
    }

    /// The next line, without its end.
    pub fn line(&mut self, line: &str) -> Result<(), Break> {
        let Some(parts) = chain::parts(line) else {
            // What a writer left that was cut off; whether it was, the next line must say.
            return if std::mem::replace(&mut self.torn, true) { Err(Break::Form) } else { Ok(()) };
        };
        let opening = opening(parts.said);
        if self.torn && !opening.as_ref().is_some_and(|(torn, _)| *torn) {
            return Err(Break::Form);
        }
        let before = match &self.found {
            Some((_, digest)) => Some(*digest),
            None if parts.seq == 1 => Some(Digest::NOTHING),
            None => opening
                .and_then(|(_, previous)| previous)
                .map(|text| Digest::read(&text).ok_or(Break::Digest))
                .transpose()?,
        };
        if let Some((found, _)) = self.found.as_ref().filter(|(found, _)| parts.seq != found.last + 1) {
            return Err(Break::Number { found: parts.seq, expected: found.last + 1 });
        }
        if before.is_some_and(|before| self.link.digest(&before, parts.said.as_bytes()) != parts.chain) {
            return Err(Break::Digest);
        }
        let (first, torn) = self.found.as_ref().map_or((parts.seq, 0), |(found, _)| (found.first, found.torn));
        let torn = torn + u64::from(std::mem::take(&mut self.torn));
        let digest = parts.chain.as_str().to_owned();
        self.found = Some((Chained { first, last: parts.seq, digest, torn }, parts.chain));
        Ok(())
    }

    /// All that was read; `None`: there was no line. A torn line at the very end is an error: nothing vouches for it.
    pub fn finish(self) -> Result<Option<Chained>, Break> {
        if self.torn { Err(Break::Form) } else { Ok(self.found.map(|(found, _)| found)) }
    }
}

/// Whether a line opens the stream in a new place, after a torn line, and what it is chained to.
fn opening(said: &str) -> Option<(bool, Option<String>)> {
    let object: serde_json::Value = serde_json::from_str(&format!("{said}}}")).ok()?;
    if object.get("event")?.as_str()? != "audit.opened" {
        return None;
    }
    let previous = object.get("previous").and_then(serde_json::Value::as_str).map(str::to_owned);
    Some((object.get("torn")?.as_bool()?, previous))
}
