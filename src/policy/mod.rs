//! What a caller may do on a route, operation by operation: the rules of `[routes.policy]`, compiled. Pure.
//!
//! The first rule that matches decides. A rule matches when the method fits its `methods`, if it has any, and what the
//! operation names fits one of its `tools`, `prompts` or `resources`, if it has any of these; one without either matches
//! everything. A rule that allows then needs all of its scopes, one of its tenants, clients and subjects, and each of its
//! claims; one that denies matches only callers that fit its tenants, clients, subjects and claims. Where none matches,
//! `default` decides. No method is an exception: the handshake and notifications are judged like calls.

mod explain;
mod lists;
mod rule;
mod scopes;
#[cfg(test)]
mod tests;
mod uri;

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::Arc;

use crate::config::{Effect, RouteConfig};
use crate::mcp::Operation;
use crate::mcp::list::ListKind;
use crate::mcp::message::{COMPLETE, LISTEN, TASK_GET, Target, TargetKind};
use crate::names::Scope;
use crate::token::Caller;
pub use explain::Lacks;
use rule::{Asked, Compiled};
use scopes::{Implications, Needs};

/// A route's scopes, implications and rules, compiled.
#[derive(Debug)]
pub struct Policy {
    /// The route's own scopes: needed for any operation, and asked for before this.
    route: Needs,
    implications: Implications,
    rules: Vec<Compiled>,
    default: Effect,
    /// True where a rule tells resources apart: then their URIs must have one reading.
    guards_resources: bool,
    /// The lists of which some rule could hide an entry from somebody.
    shortens: Vec<ListKind>,
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
    /// Which of the operation's targets it is about, by its index: of several, the one that decided for all.
    pub target: usize,
}

/// Allowed, or why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The caller may.
    Allowed,
    /// A new token with these scopes (all that the operation needs, the route's among them) may: `insufficient_scope`
    /// (RFC 6750 §3.1).
    Scopes(Arc<str>),
    /// No token of this caller may.
    Denied,
    /// A resource's URI that servers could read as another one (RFC 3986 §6.2): refused where rules name resources.
    Ambiguous,
}

impl Verdict {
    /// Of the verdicts on several targets the one with the highest rank stands for all.
    fn rank(&self) -> u8 {
        match self {
            Self::Allowed => 0,
            Self::Scopes(_) => 1,
            Self::Ambiguous => 2,
            Self::Denied => 3,
        }
    }
}

impl Policy {
    /// Compiles what no request changes.
    pub fn new(route: &RouteConfig) -> Self {
        let config = &route.policy;
        let implications = Implications::new(&config.implies);
        let compiled = |rule| Compiled::new(rule, &route.scopes, &implications);
        let mut patterns = config.rules.iter().flat_map(|rule| &rule.resources);
        let mut policy = Self {
            route: Needs::new(&[], &route.scopes, &implications),
            rules: config.rules.iter().map(compiled).collect(),
            default: config.default,
            // Another reading of a URI is no way around a rule for every resource.
            guards_resources: patterns.any(|pattern| !pattern.fits_everything()),
            implications,
            shortens: Vec::new(),
        };
        policy.shortens = ListKind::ALL.into_iter().filter(|list| policy.could_hide(*list)).collect();
        policy
    }

    /// The token has the route's own scopes, by implication too.
    pub fn entitles(&self, caller: &Caller) -> bool {
        self.route.met_by(caller)
    }

    /// The route's own scopes, for the challenge of a token that lacks one of them.
    pub fn scopes(&self) -> &Arc<str> {
        &self.route.text
    }

    /// Decides on an operation and everything that it names.
    pub fn decide(&self, caller: &Caller, operation: &Operation) -> Decision {
        match operation.targets.as_slice() {
            [] => self.decide_on(caller, &operation.method, None),
            [target] => self.decide_on(caller, &operation.method, Some(target)),
            targets => {
                self.together(targets.iter().map(|target| self.decide_on(caller, &operation.method, Some(target))))
            }
        }
    }

    /// The same, of one thing that it names.
    pub fn decide_on(&self, caller: &Caller, method: &str, target: Option<&Target>) -> Decision {
        match target {
            Some(target) => self.asked(caller, method, target),
            None => self.first_match(caller, Asked { method, target: None, folded: false }),
        }
    }

    fn asked(&self, caller: &Caller, method: &str, target: &Target) -> Decision {
        if method == LISTEN && target.kind == TargetKind::Task {
            // SEP-2663: what a listener is told of a task is what `tasks/get` would say.
            let decisions = [LISTEN, TASK_GET].map(|method| self.asked_for(caller, method, target));
            return Decision { target: 0, ..self.together(decisions.into_iter()) };
        }
        self.asked_for(caller, method, target)
    }

    fn asked_for(&self, caller: &Caller, method: &str, target: &Target) -> Decision {
        if self.guards_resources && target.kind == TargetKind::Resource {
            // `completion/complete` names resources by their template.
            let is_ambiguous = if method == COMPLETE { uri::is_ambiguous_template } else { uri::is_ambiguous };
            return self.asked_for_resource(caller, method, &target.name, is_ambiguous);
        }
        self.first_match(caller, Asked { method, target: Some((target.kind, &target.name)), folded: false })
    }

    /// What an ambiguous URI would match under another reading is not known, so no rule is asked about it; and where decoding,
    /// case or an absent path make the difference between two rules, neither decides.
    fn asked_for_resource(
        &self,
        caller: &Caller,
        method: &str,
        name: &str,
        is_ambiguous: impl Fn(&str) -> bool,
    ) -> Decision {
        let ambiguous = Decision { verdict: Verdict::Ambiguous, rule: None, cost: NonZeroU32::MIN, target: 0 };
        if is_ambiguous(name) {
            return ambiguous;
        }
        let asked = |name, folded| {
            self.first_match(caller, Asked { method, target: Some((TargetKind::Resource, name)), folded })
        };
        let decision = asked(name, false);
        if asked(&uri::folded(name), true).rule == decision.rule { decision } else { ambiguous }
    }

    fn first_match(&self, caller: &Caller, asked: Asked<'_>) -> Decision {
        let found = self.rules.iter().enumerate().find(|(_, rule)| rule.decides(caller, asked));
        let Some((index, rule)) = found else {
            let verdict = match self.default {
                Effect::Allow => Verdict::Allowed,
                Effect::Deny => Verdict::Denied,
            };
            return Decision { verdict, rule: None, cost: NonZeroU32::MIN, target: 0 };
        };
        Decision { verdict: rule.verdict(caller), rule: Some(index), cost: rule.cost(), target: 0 }
    }

    /// The worst verdict stands for all, with the highest cost; scopes that are missing come together.
    fn together(&self, decisions: impl Iterator<Item = Decision>) -> Decision {
        let mut whole = Decision { verdict: Verdict::Allowed, rule: None, cost: NonZeroU32::MIN, target: 0 };
        let mut wanting = BTreeSet::new();
        for (target, decision) in decisions.enumerate() {
            let cost = whole.cost.max(decision.cost);
            if let (Verdict::Scopes(_), Some(rule)) = (&decision.verdict, decision.rule) {
                wanting.insert(rule);
            }
            if target == 0 || decision.verdict.rank() > whole.verdict.rank() {
                whole = Decision { target, ..decision };
            }
            whole.cost = cost;
        }
        if matches!(whole.verdict, Verdict::Scopes(_)) && wanting.len() > 1 {
            whole.verdict = Verdict::Scopes(self.needed_by(&wanting));
        }
        whole
    }

    /// The scopes of several rules, the route's first, each once.
    fn needed_by(&self, rules: &BTreeSet<usize>) -> Arc<str> {
        let of_rules = rules.iter().filter_map(|index| self.rules.get(*index));
        let all: Vec<Scope> = of_rules.flat_map(|rule| rule.needs().scopes()).cloned().collect();
        scopes::text(self.route.scopes(), &all).into()
    }
}
