//! What a caller may do on a route, operation by operation: the rules of `[routes.policy]`, compiled. Pure.

use std::num::NonZeroU32;
use std::sync::Arc;

use crate::config::RouteConfig;
use crate::mcp::Operation;
use crate::mcp::list::ListKind;
use crate::token::Caller;

/// A route's scopes, implications and rules, compiled.
#[derive(Debug)]
pub struct Policy {
    cost: NonZeroU32,
}

/// What the rules say of one operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Allowed, or why not.
    pub verdict: Verdict,
    /// The rule that decided, as an index into the configuration's rules; `None`: the default, or no rules.
    pub rule: Option<usize>,
    /// What the operation costs of every rate limit.
    pub cost: NonZeroU32,
}

/// Allowed, or why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The caller may.
    Allowed,
    /// A new token with these scopes (all that the operation needs, the route's among them) may.
    Scopes(Arc<str>),
    /// No token of this caller may.
    Denied,
    /// A resource's URI that servers could read as another one (dot segments, escapes): refused where rules name resources.
    Ambiguous,
}

impl Policy {
    /// Compiles what no request changes.
    pub fn new(_route: &RouteConfig) -> Self {
        Self { cost: NonZeroU32::MIN }
    }

    /// The token has the route's own scopes, by implication too.
    pub fn entitles(&self, _caller: &Caller) -> bool {
        true
    }

    /// Decides on an operation and everything that it names.
    pub fn decide(&self, _caller: &Caller, _operation: &Operation) -> Decision {
        Decision { verdict: Verdict::Allowed, rule: None, cost: self.cost }
    }

    /// The entry of a list may be seen: the very decision of the operation that would use it.
    pub fn shows(&self, _caller: &Caller, _list: ListKind, _name: &str) -> bool {
        true
    }

    /// Some rule could hide an entry of this list from somebody.
    pub fn can_hide(&self, _list: ListKind) -> bool {
        false
    }
}
