//! One rule: what it is about, and what it asks of the caller.

use std::num::NonZeroU32;

use crate::config::{ClaimPath, Pattern, Rule};
use crate::mcp::message::TargetKind;
use crate::names::Scope;
use crate::token::Caller;

use super::scopes::{Implications, Needs};
use super::{Verdict, uri};

/// What a rule is asked about: a method, and one thing that the operation names.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) method: &'a str,
    pub(super) target: Option<(TargetKind, &'a str)>,
    /// The target is a resource read without regard to escapes and case.
    pub(super) folded: bool,
}

/// A rule with its scopes resolved.
#[derive(Debug)]
pub(super) struct Compiled {
    rule: Rule,
    needs: Needs,
    /// The patterns of resources as [`uri::folded`] reads them.
    folded: Vec<Pattern>,
}

impl Compiled {
    pub(super) fn new(rule: &Rule, of_route: &[Scope], implications: &Implications) -> Self {
        let folded = rule.resources.iter().map(|pattern| Pattern(uri::folded(&pattern.0).into()));
        Self { rule: rule.clone(), needs: Needs::new(of_route, &rule.scopes, implications), folded: folded.collect() }
    }

    /// True for the rule that decides, if none before it did.
    pub(super) fn decides(&self, caller: &Caller, asked: Asked<'_>) -> bool {
        self.is_about(asked) && (!self.rule.deny || self.suits(caller))
    }

    /// What it says of a caller, once it decides.
    pub(super) fn verdict(&self, caller: &Caller) -> Verdict {
        if self.rule.deny || !self.suits(caller) {
            return Verdict::Denied;
        }
        if self.needs.met_by(caller) { Verdict::Allowed } else { Verdict::Scopes(self.needs.text.clone()) }
    }

    /// The method and what it names are among those that the rule selects.
    pub(super) fn is_about(&self, Asked { method, target, folded }: Asked<'_>) -> bool {
        if !self.is_about_method(method) {
            return false;
        }
        match target {
            _ if !self.selects_targets() => true,
            Some((_, name)) if folded => self.folded.iter().any(|pattern| pattern.fits(name)),
            Some((kind, name)) => self.patterns(kind).iter().any(|pattern| pattern.fits(name)),
            None => false,
        }
    }

    pub(super) fn is_about_method(&self, method: &str) -> bool {
        self.rule.methods.is_empty() || self.rule.methods.iter().any(|pattern| pattern.fits(method))
    }

    /// True when only operations that name a tool, prompt or resource can match.
    pub(super) fn selects_targets(&self) -> bool {
        !(self.rule.tools.is_empty() && self.rule.prompts.is_empty() && self.rule.resources.is_empty())
    }

    /// True when nothing that another rule is about gets past this one, whoever asks.
    pub(super) fn covers(&self, later: &Self) -> bool {
        let any_method = self.rule.methods.is_empty() || self.rule.methods.iter().any(Pattern::fits_everything);
        let of_methods = || !later.rule.methods.is_empty() && fit_all(&self.rule.methods, &later.rule.methods);
        let of_targets = || {
            let kinds = [TargetKind::Tool, TargetKind::Prompt, TargetKind::Resource];
            later.selects_targets() && kinds.into_iter().all(|kind| fit_all(self.patterns(kind), later.patterns(kind)))
        };
        (!self.rule.deny || self.denies_everybody())
            && (any_method || of_methods())
            && (!self.selects_targets() || of_targets())
    }

    /// Nothing selects tasks: their ids are made by servers, and rules for `tasks/*` go by method.
    pub(super) fn patterns(&self, kind: TargetKind) -> &[Pattern] {
        match kind {
            TargetKind::Tool => &self.rule.tools,
            TargetKind::Prompt => &self.rule.prompts,
            TargetKind::Resource => &self.rule.resources,
            TargetKind::Task => &[],
        }
    }

    /// Everything that is asked of the caller but scopes.
    fn suits(&self, caller: &Caller) -> bool {
        self.suits_tenant(caller)
            && self.suits_client(caller)
            && self.suits_subject(caller)
            && self.rule.claims.iter().all(|claim| suits_claim(caller, claim))
    }

    pub(super) fn suits_tenant(&self, caller: &Caller) -> bool {
        self.rule.tenants.is_empty() || caller.tenant().is_some_and(|tenant| self.rule.tenants.contains(tenant))
    }

    pub(super) fn suits_client(&self, caller: &Caller) -> bool {
        self.rule.clients.is_empty() || caller.client().is_some_and(|client| self.rule.clients.contains(client))
    }

    pub(super) fn suits_subject(&self, caller: &Caller) -> bool {
        self.rule.subjects.is_empty() || self.rule.subjects.contains(caller.subject())
    }

    /// True when it allows every caller whose token the route takes at all.
    pub(super) fn allows_everybody(&self) -> bool {
        !self.rule.deny && self.rule.scopes.is_empty() && self.asks_for_nobody()
    }

    /// True when it denies every caller.
    pub(super) fn denies_everybody(&self) -> bool {
        self.rule.deny && self.asks_for_nobody()
    }

    fn asks_for_nobody(&self) -> bool {
        let Rule { tenants, clients, subjects, claims, .. } = &self.rule;
        tenants.is_empty() && clients.is_empty() && subjects.is_empty() && claims.is_empty()
    }

    pub(super) fn cost(&self) -> NonZeroU32 {
        self.rule.cost
    }

    pub(super) fn needs(&self) -> &Needs {
        &self.needs
    }

    pub(super) fn config(&self) -> &Rule {
        &self.rule
    }
}

/// Whatever fits one of `theirs` fits one of `ours`: only our stars fit the stars that stand in their texts.
fn fit_all(ours: &[Pattern], theirs: &[Pattern]) -> bool {
    theirs.iter().all(|their| ours.iter().any(|our| our.fits(&their.0)))
}

/// One of the texts of a claim is one of those that the rule names.
pub(super) fn suits_claim(caller: &Caller, (path, texts): &(ClaimPath, Vec<String>)) -> bool {
    caller.fact(path).iter().any(|text| texts.contains(text))
}
