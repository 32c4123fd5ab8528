//! The audit stream: one JSON object per decision, on a stream of its own.

use crate::config::AuditConfig;
use crate::record::Record;

/// Why the stream cannot be opened. The text names the sink.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct OpenError(pub(crate) String);

/// The stream.
#[derive(Debug)]
pub(crate) struct AuditLog {}

impl AuditLog {
    /// Opens the sink; a thread of its own writes to it.
    pub(crate) fn open(_config: &AuditConfig) -> Result<Self, OpenError> {
        Ok(Self {})
    }

    /// True while records cannot be written and requests are to be refused for it.
    pub(crate) fn refuses(&self) -> bool {
        false
    }

    /// One request has ended.
    pub(crate) fn ended(&self, _record: &Record<'_>) {}

    /// Opens the file again: it was rotated.
    pub(crate) fn reopen(&self) {}
}
