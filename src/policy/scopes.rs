//! Scopes that are needed, and the scopes that stand for them: `implies`, followed to its end at start.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::names::Scope;
use crate::token::Caller;

/// For each scope that others grant: all that stand for it.
#[derive(Debug)]
pub(super) struct Implications(BTreeMap<Scope, Arc<BTreeSet<Scope>>>);

/// Scopes that are needed, all of them.
#[derive(Debug)]
pub(super) struct Needs {
    needed: Vec<Needed>,
    /// What a challenge says: these and the route's before them, each once, separated by blanks.
    pub(super) text: Arc<str>,
}

#[derive(Debug)]
struct Needed {
    scope: Scope,
    /// Other scopes that grant it.
    granted_by: Option<Arc<BTreeSet<Scope>>>,
}

impl Implications {
    /// Turns "grants" round and follows it: whoever grants a scope that stands for another stands for that one too.
    pub(super) fn new(implies: &[(Scope, Vec<Scope>)]) -> Self {
        let mut direct: BTreeMap<&Scope, BTreeSet<&Scope>> = BTreeMap::new();
        for (scope, granted) in implies {
            for granted in granted {
                direct.entry(granted).or_default().insert(scope);
            }
        }
        let reach = |start: &Scope| {
            let (mut found, mut open) = (BTreeSet::new(), vec![start]);
            while let Some(scope) = open.pop() {
                for granting in direct.get(scope).into_iter().flatten() {
                    if found.insert((*granting).clone()) {
                        open.push(granting);
                    }
                }
            }
            found
        };
        Self(direct.keys().map(|scope| ((*scope).clone(), Arc::new(reach(scope)))).collect())
    }

    /// Scopes that the caller has only by implication, in the order of their names.
    pub(super) fn implied<'s>(&'s self, caller: &Caller) -> impl Iterator<Item = &'s Scope> {
        let granted = |by: &BTreeSet<Scope>| caller.scopes().iter().any(|scope| by.contains(scope));
        self.0.iter().filter(move |(scope, by)| !caller.scopes().contains(scope) && granted(by)).map(|(scope, _)| scope)
    }
}

impl Needs {
    /// `scopes` are needed here; `before` have been asked for earlier and only stand in the text.
    pub(super) fn new(before: &[Scope], scopes: &[Scope], implications: &Implications) -> Self {
        let needed =
            |scope: &Scope| Needed { scope: scope.clone(), granted_by: implications.0.get(scope).map(Arc::clone) };
        Self { needed: scopes.iter().map(needed).collect(), text: text(before, scopes).into() }
    }

    pub(super) fn met_by(&self, caller: &Caller) -> bool {
        self.needed.iter().all(|needed| needed.met_by(caller))
    }

    /// In the order of the configuration.
    pub(super) fn scopes(&self) -> impl Iterator<Item = &Scope> {
        self.needed.iter().map(|needed| &needed.scope)
    }

    /// Those that the caller lacks.
    pub(super) fn missing<'s>(&'s self, caller: &Caller) -> impl Iterator<Item = &'s Scope> {
        self.needed.iter().filter(|needed| !needed.met_by(caller)).map(|needed| &needed.scope)
    }
}

impl Needed {
    fn met_by(&self, caller: &Caller) -> bool {
        let stands_for = |scope: &Scope| self.granted_by.as_ref().is_some_and(|by| by.contains(scope));
        caller.scopes().iter().any(|scope| *scope == self.scope || stands_for(scope))
    }
}

/// Each scope once, in this order, separated by blanks (RFC 6749 §3.3).
pub(super) fn text<'s>(
    before: impl IntoIterator<Item = &'s Scope>,
    after: impl IntoIterator<Item = &'s Scope>,
) -> String {
    let mut seen = BTreeSet::new();
    let all = before.into_iter().chain(after).filter(|scope| seen.insert(*scope));
    all.map(Scope::as_str).collect::<Vec<_>>().join(" ")
}
