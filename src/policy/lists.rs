//! Which entries of a list a caller sees: those that it may use.

use crate::config::Effect;
use crate::mcp::list::ListKind;
use crate::mcp::message::{SKILL_GET, TargetKind};
use crate::token::Caller;

use super::rule::Asked;
use super::{Policy, Verdict, uri};

/// The operation that uses an entry.
fn used_by(list: ListKind) -> (&'static str, TargetKind) {
    match list {
        ListKind::Tools => ("tools/call", TargetKind::Tool),
        ListKind::Prompts => ("prompts/get", TargetKind::Prompt),
        ListKind::Resources | ListKind::Templates => ("resources/read", TargetKind::Resource),
        ListKind::Skills => (SKILL_GET, TargetKind::Resource),
    }
}

impl Policy {
    /// The entry of a list may be seen: the very decision of the operation that would use it. A template is judged by its
    /// text, with its expressions as they are written.
    pub fn shows(&self, caller: &Caller, list: ListKind, name: &str) -> bool {
        let (method, kind) = used_by(list);
        let decision = if self.guards_resources && kind == TargetKind::Resource {
            let is_template = list == ListKind::Templates;
            let is_ambiguous = if is_template { uri::is_ambiguous_template } else { uri::is_ambiguous };
            self.asked_for_resource(caller, method, name, is_ambiguous)
        } else {
            self.first_match(caller, Asked { method, target: Some((kind, name)), folded: false })
        };
        decision.verdict == Verdict::Allowed
    }

    /// Some rule could hide an entry of this list from somebody.
    pub fn can_hide(&self, list: ListKind) -> bool {
        self.shortens.contains(&list)
    }

    /// Some rule could hide an entry of some list.
    pub fn can_hide_anything(&self) -> bool {
        !self.shortens.is_empty()
    }

    /// [`Self::can_hide`], found out at start. False only where it is sure that no rule can.
    pub(super) fn could_hide(&self, list: ListKind) -> bool {
        let (method, kind) = used_by(list);
        if self.guards_resources && kind == TargetKind::Resource {
            return true;
        }
        for rule in self.rules.iter().filter(|rule| rule.is_about_method(method)) {
            let patterns = rule.patterns(kind);
            if rule.selects_targets() && patterns.is_empty() {
                continue;
            }
            if !rule.allows_everybody() {
                return true;
            }
            if !rule.selects_targets() || patterns.iter().any(crate::config::Pattern::fits_everything) {
                return false;
            }
        }
        self.default == Effect::Deny
    }
}
