//! What `portcullis explain` and `portcullis check` ask of a policy, beyond what a request does.

use crate::config::{ClaimPath, Effect};
use crate::names::Scope;
use crate::token::Caller;

use super::Policy;
use super::rule::{Asked, suits_claim};

/// What a caller lacks of what a rule asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Lacks {
    /// Scopes, those of the rule only.
    pub scopes: Vec<Scope>,
    /// True: it is of none of the tenants.
    pub tenant: bool,
    /// True: it came through none of the clients.
    pub client: bool,
    /// True: it is none of the subjects.
    pub subject: bool,
    /// Claims without any of the texts.
    pub claims: Vec<ClaimPath>,
}

impl Policy {
    /// What the caller lacks of a rule, by its index; nothing where there is no such rule.
    pub fn lacks(&self, caller: &Caller, rule: usize) -> Lacks {
        let Some(rule) = self.rules.get(rule) else { return Lacks::default() };
        let claims = rule.config().claims.iter().filter(|claim| !suits_claim(caller, claim));
        Lacks {
            scopes: rule.needs().missing(caller).cloned().collect(),
            tenant: !rule.suits_tenant(caller),
            client: !rule.suits_client(caller),
            subject: !rule.suits_subject(caller),
            claims: claims.map(|(path, _)| path.clone()).collect(),
        }
    }

    /// The route's own scopes that the caller lacks.
    pub fn lacks_of_route(&self, caller: &Caller) -> Vec<Scope> {
        self.route.missing(caller).cloned().collect()
    }

    /// Scopes that the caller has only because another implies them.
    pub fn implied(&self, caller: &Caller) -> Vec<Scope> {
        self.implications.implied(caller).cloned().collect()
    }

    /// The first rule that decides on all that this one is about, so that this one is never asked.
    pub fn hidden_by(&self, rule: usize) -> Option<usize> {
        let later = self.rules.get(rule)?;
        self.rules.iter().take(rule).position(|earlier| earlier.covers(later))
    }

    /// Somebody could be allowed this method, when it names nothing.
    pub fn can_allow(&self, method: &str) -> bool {
        let asked = Asked { method, target: None, folded: false };
        for rule in self.rules.iter().filter(|rule| rule.is_about(asked)) {
            if !rule.config().deny || rule.denies_everybody() {
                return !rule.config().deny;
            }
        }
        self.default == Effect::Allow
    }
}
