//! The labels of the metrics: names of the configuration, fixed words, statuses that HTTP knows.

use std::fmt::Write as _;

use http::StatusCode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};

use crate::mcp::Era;
use crate::names::RouteName;

/// A route, or none.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct RouteLabel {
    route: Name,
}

/// How requests ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct RequestLabels {
    route: Name,
    era: &'static str,
    status: Status,
    outcome: &'static str,
    reason: &'static str,
}

/// What the rules said of operations.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OperationLabels {
    route: Name,
    method: &'static str,
    decision: &'static str,
}

/// Why, in the log's word.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ReasonLabel {
    pub(super) reason: &'static str,
}

/// What the rules say of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// It may go on.
    Allowed,
    /// It may not, with this token or another one.
    Denied,
    /// A token with further scopes might.
    InsufficientScope,
}

impl Decision {
    fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied => "denied",
            Self::InsufficientScope => "insufficient_scope",
        }
    }
}

impl RouteLabel {
    pub(super) fn of(route: Option<&RouteName>) -> Self {
        Self { route: Name(route.cloned()) }
    }

    pub(super) fn request(
        &self,
        era: Option<Era>,
        status: Option<StatusCode>,
        outcome: &'static str,
        reason: &'static str,
    ) -> RequestLabels {
        let era = era.map_or("", Era::as_str);
        RequestLabels { route: self.route.clone(), era, status: Status::of(status), outcome, reason }
    }

    /// `method` is a known one: no client's text becomes a label.
    pub(super) fn operation(&self, method: &'static str, decision: Decision) -> OperationLabels {
        OperationLabels { route: self.route.clone(), method, decision: decision.as_str() }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Name(Option<RouteName>);

impl EncodeLabelValue for Name {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> std::fmt::Result {
        encoder.write_str(self.0.as_ref().map_or("", RouteName::as_str))
    }
}

/// The upstream chooses statuses: those without a meaning in HTTP are one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Status {
    /// No answer was begun.
    None,
    Known(u16),
    Other,
}

impl Status {
    fn of(status: Option<StatusCode>) -> Self {
        let of_one =
            |status: StatusCode| status.canonical_reason().map_or(Self::Other, |_| Self::Known(status.as_u16()));
        status.map_or(Self::None, of_one)
    }
}

impl EncodeLabelValue for Status {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> std::fmt::Result {
        match self {
            Self::None => Ok(()),
            Self::Known(status) => write!(encoder, "{status}"),
            Self::Other => encoder.write_str("other"),
        }
    }
}
