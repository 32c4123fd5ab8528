//! Which behaviour is a sign of what, and whom it counts against.

use crate::config::DetectionConfig;
use crate::record::Record;

/// What is recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// Tokens that are refused, from one address.
    FailuresAddress,
    /// Tokens that name unknown keys, from one address.
    UnknownKeys,
    /// Good tokens of another tenant, from one address.
    ForeignTenants,
    /// Requests of one verified client that are denied.
    FailuresClient,
    /// Another caller's sessions, by one caller.
    ForeignSessions,
    /// Challenges for more scopes in a row, to one caller.
    StepUps,
    /// Use outside a route's hours, by one caller.
    OffHours,
}

/// Whom a sign counts against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Against {
    Address,
    Client,
    Caller,
}

/// What one request is a sign of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sign {
    pub(super) pattern: Pattern,
    pub(super) against: Against,
}

impl Pattern {
    pub(crate) const ALL: [Self; 7] = [
        Self::FailuresAddress,
        Self::UnknownKeys,
        Self::ForeignTenants,
        Self::FailuresClient,
        Self::ForeignSessions,
        Self::StepUps,
        Self::OffHours,
    ];

    /// Its place in [`Self::ALL`].
    pub(super) fn index(self) -> usize {
        Self::ALL.iter().position(|pattern| *pattern == self).unwrap_or_default()
    }

    /// The log's word.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::FailuresAddress => "suspicious.failures_address",
            Self::UnknownKeys => "suspicious.unknown_keys",
            Self::ForeignTenants => "suspicious.foreign_tenants",
            Self::FailuresClient => "suspicious.failures_client",
            Self::ForeignSessions => "suspicious.foreign_sessions",
            Self::StepUps => "suspicious.step_ups",
            Self::OffHours => "suspicious.off_hours",
        }
    }

    /// How often in a window makes suspicious.
    pub(super) fn threshold(self, rules: &DetectionConfig) -> u32 {
        match self {
            Self::FailuresAddress => rules.failures_per_address.get(),
            Self::UnknownKeys => rules.unknown_keys.get(),
            Self::ForeignTenants => rules.foreign_tenants.get(),
            Self::FailuresClient => rules.failures_per_client.get(),
            Self::ForeignSessions => rules.foreign_sessions.get(),
            Self::StepUps => rules.step_ups.get(),
            Self::OffHours => 1,
        }
    }
}

impl Sign {
    /// By the record's reason, a fixed word.
    pub(super) fn of(record: &Record<'_>) -> impl Iterator<Item = Self> {
        let failure = (Pattern::FailuresAddress, Against::Address);
        let denied = (Pattern::FailuresClient, Against::Client);
        let signs = match record.reason {
            None if record.is_off_hours => [Some((Pattern::OffHours, Against::Caller)), None],
            Some("token.kid") => [Some(failure), Some((Pattern::UnknownKeys, Against::Address))],
            // Every client has an expired token now and then, and what was revoked was good before.
            Some("token.exp" | "token.revoked") | None => [None, None],
            Some("authz.tenant") => [Some((Pattern::ForeignTenants, Against::Address)), None],
            Some("mcp.session") if record.is_foreign_session => {
                [Some((Pattern::ForeignSessions, Against::Client)), Some(denied)]
            }
            Some("authz.scope") => [Some((Pattern::StepUps, Against::Caller)), None],
            Some(reason) if reason.starts_with("token.") => [Some(failure), None],
            Some(reason) if reason.starts_with("authz.") => [Some(denied), None],
            Some(_) => [None, None],
        };
        signs.into_iter().flatten().map(|(pattern, against)| Self { pattern, against })
    }
}
