//! The members that decide, and the spellings that careless readers take for them.

use super::json::{Nest, inner, unescaped};
use super::{Fault, Place};
use crate::mcp::lookalike::is_lookalike;
use crate::mcp::message::{MAX_ID_BYTES, MAX_METHOD_BYTES, MAX_NAME_BYTES};

/// A member that decides, wherever it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Member {
    Jsonrpc,
    Id,
    Method,
    Params,
    Result,
    Error,
    Name,
    Uri,
    TaskId,
    Meta,
    Ref,
    Notifications,
    Version,
    RefType,
    RefName,
    RefUri,
    Subscriptions,
    Tasks,
}

/// Which object has which.
type Known = &'static [(&'static str, Member)];
const MESSAGE: Known = &[
    ("jsonrpc", Member::Jsonrpc),
    ("id", Member::Id),
    ("method", Member::Method),
    ("params", Member::Params),
    ("result", Member::Result),
    ("error", Member::Error),
];
const PARAMS: Known = &[
    ("name", Member::Name),
    ("uri", Member::Uri),
    ("taskId", Member::TaskId),
    ("_meta", Member::Meta),
    ("ref", Member::Ref),
    ("notifications", Member::Notifications),
];
const META: Known = &[("io.modelcontextprotocol/protocolVersion", Member::Version)];
const REF: Known = &[("type", Member::RefType), ("name", Member::RefName), ("uri", Member::RefUri)];
const NOTIFICATIONS: Known = &[("resourceSubscriptions", Member::Subscriptions), ("taskIds", Member::Tasks)];

/// Readers in JavaScript that copy member by member make its value stand in for whatever is absent (seen with zod 4.0).
const PROTOTYPE: &str = "__proto__";

/// No escape is longer for one byte of what it stands for: `\u0041`.
const ESCAPE_BYTES: usize = 6;

/// Longer than any of these members with every character escaped (6 × 39): what is longer is none of them.
pub(super) const MAX_MEMBER_BYTES: usize = 256;

/// Longest protocol version that is read; they are dates.
pub(super) const MAX_VERSION_BYTES: usize = 64;

impl Member {
    /// The member of this name, as written; an error when a careless reader would take it for one that it is not.
    pub(super) fn read(place: Place, written: &[u8]) -> Result<Option<Self>, Fault> {
        let known = Self::of(place);
        let plain = inner(written).unwrap_or_default();
        if !plain.is_ascii() || plain.contains(&b'\\') {
            return Self::recognised(known, &unescaped(written)?, is_lookalike);
        }
        // The same for the usual names, at a fraction of the cost.
        let name = std::str::from_utf8(plain).map_err(|_| Fault::Encoding)?;
        Self::recognised(known, name, str::eq_ignore_ascii_case)
    }

    fn recognised(known: Known, name: &str, are_alike: impl Fn(&str, &str) -> bool) -> Result<Option<Self>, Fault> {
        if let Some(member) = Self::exactly(known, name) {
            return Ok(Some(member));
        }
        let is_lookalike = known.iter().any(|(known, _)| are_alike(name, known));
        if is_lookalike || name == PROTOTYPE { Err(Fault::Duplicate) } else { Ok(None) }
    }

    /// The member of `params` with this name.
    pub(super) fn of_params(name: &str) -> Option<Self> {
        Self::exactly(PARAMS, name)
    }

    fn exactly(known: Known, name: &str) -> Option<Self> {
        known.iter().find(|(known, _)| *known == name).map(|&(_, member)| member)
    }

    fn of(place: Place) -> Known {
        match place {
            Place::Message => MESSAGE,
            Place::Params => PARAMS,
            Place::Meta => META,
            Place::Ref => REF,
            Place::Notifications => NOTIFICATIONS,
            Place::Root | Place::Batch | Place::Subscriptions | Place::Tasks => &[],
        }
    }

    /// What its value must be for anything inside it to decide, and where that stands.
    pub(super) fn opens(self) -> Option<(Nest, Place)> {
        let opened = [
            (Self::Params, Nest::Object, Place::Params),
            (Self::Meta, Nest::Object, Place::Meta),
            (Self::Ref, Nest::Object, Place::Ref),
            (Self::Notifications, Nest::Object, Place::Notifications),
            (Self::Subscriptions, Nest::Array, Place::Subscriptions),
            (Self::Tasks, Nest::Array, Place::Tasks),
        ];
        opened.into_iter().find(|(member, ..)| *member == self).map(|(_, nest, place)| (nest, place))
    }

    /// How much of its value may matter, as written.
    pub(super) fn room(self) -> usize {
        let says = match self {
            Self::Id => return MAX_ID_BYTES,
            Self::Jsonrpc | Self::RefType | Self::Version => MAX_VERSION_BYTES,
            Self::Method => MAX_METHOD_BYTES,
            Self::Name
            | Self::Uri
            | Self::TaskId
            | Self::RefName
            | Self::RefUri
            | Self::Subscriptions
            | Self::Tasks => MAX_NAME_BYTES,
            Self::Params | Self::Result | Self::Error | Self::Meta | Self::Ref | Self::Notifications => return 0,
        };
        room_for(says)
    }
}

/// How long a text of so many bytes can be as written, with its quotes.
pub(super) const fn room_for(bytes: usize) -> usize {
    ESCAPE_BYTES * bytes + 2
}
