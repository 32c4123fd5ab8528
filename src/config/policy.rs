//! `[routes.policy]` as it was checked: what who may do on a route, operation by operation. Pure.

use std::num::NonZeroU32;

use super::{ClaimPath, RouteConfig};
use crate::names::{ClientId, Scope, Subject, TenantId};

/// `[routes.policy]`: ordered rules; the first that matches decides.
#[derive(Debug, Clone)]
pub struct PolicyConfig {
    /// What happens when no rule matches; must be written down as soon as there are rules.
    pub default: Effect,
    /// A scope (RFC 6749 §3.3), and those that it grants as well. Transitive; without cycles.
    pub implies: Vec<(Scope, Vec<Scope>)>,
    /// The rules in their order.
    pub rules: Vec<Rule>,
    /// False: the first challenge already asks for every scope that a rule can need, for clients that cannot ask for more later
    /// (MCP 2025-11-25, Step-Up Authorization Flow).
    pub step_up: bool,
}

/// What happens to an operation that no rule matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It is allowed.
    Allow,
    /// It is denied.
    Deny,
}

/// One rule. It matches an operation whose method is among `methods` (when there are any) and whose target is among `tools`,
/// `prompts` or `resources` (when there are any of these). A rule that allows is what the caller must then have; one that
/// denies matches only callers that fit it.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Where it stands in the file, counted from 1.
    pub line: usize,
    /// JSON-RPC methods.
    pub methods: Vec<Pattern>,
    /// Names of tools.
    pub tools: Vec<Pattern>,
    /// Names of prompts.
    pub prompts: Vec<Pattern>,
    /// URIs of resources (RFC 3986), compared as they are written.
    pub resources: Vec<Pattern>,
    /// All of these are needed.
    pub scopes: Vec<Scope>,
    /// One of these, when there are any.
    pub tenants: Vec<TenantId>,
    /// One of these, when there are any.
    pub clients: Vec<ClientId>,
    /// One of these, when there are any.
    pub subjects: Vec<Subject>,
    /// Each claim must have one of its texts, or an array with one of them.
    pub claims: Vec<(ClaimPath, Vec<String>)>,
    /// True: callers that fit are refused.
    pub deny: bool,
    /// What a matching operation costs of every rate limit.
    pub cost: NonZeroU32,
}

/// An exact text, or one with `*` for any run of characters, `/` among them. Nothing else is special, and case counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(pub Box<str>);

impl Pattern {
    /// True for a text that the whole pattern describes. Each part between two `*` is taken where it first fits: time grows
    /// with the text, whatever the pattern.
    pub fn fits(&self, text: &str) -> bool {
        // Most patterns are about something else: their first letter says so.
        if let (Some(of_pattern), Some(of_text)) = (self.0.bytes().next(), text.bytes().next())
            && of_pattern != b'*'
            && of_pattern != of_text
        {
            return false;
        }
        let mut parts = self.0.split('*');
        let first = parts.next().unwrap_or_default();
        let Some(rest) = text.strip_prefix(first) else { return false };
        let Some(last) = parts.next_back() else { return rest.is_empty() };
        let Some(middle) = rest.strip_suffix(last) else { return false };
        parts.try_fold(middle, |rest, part| rest.split_once(part).map(|(_, after)| after)).is_some()
    }

    /// True when it fits every text.
    pub fn fits_everything(&self) -> bool {
        self.0.bytes().all(|b| b == b'*')
    }
}

/// A kind of selector, and the methods that name such a thing (what `mcp::message` reads; a test holds both together).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Selector {
    /// The key of a rule.
    pub key: &'static str,
    /// The methods whose operations can have such a target.
    pub methods: &'static [&'static str],
}

impl Selector {
    /// `tools`.
    pub const TOOLS: Self = Self { key: "tools", methods: &["tools/call"] };
    /// `prompts`.
    pub const PROMPTS: Self = Self { key: "prompts", methods: &["prompts/get", "completion/complete"] };
    /// `resources`.
    pub const RESOURCES: Self = Self {
        key: "resources",
        methods: &[
            "resources/read",
            "resources/subscribe",
            "resources/unsubscribe",
            "resources/directory/read",
            "skills/get",
            "completion/complete",
            "subscriptions/listen",
        ],
    };
}

impl Default for PolicyConfig {
    /// A route without `[routes.policy]`: its scopes are all that is needed.
    fn default() -> Self {
        Self { default: Effect::Allow, implies: Vec::new(), rules: Vec::new(), step_up: true }
    }
}

impl PolicyConfig {
    /// The claims that rules ask about, each once however many rules do: tokens keep their texts.
    pub fn claims(&self) -> Vec<ClaimPath> {
        let mut claims: Vec<ClaimPath> = Vec::new();
        for (path, _) in self.rules.iter().flat_map(|rule| &rule.claims) {
            if !claims.contains(path) {
                claims.push(path.clone());
            }
        }
        claims
    }
}

impl RouteConfig {
    /// What a client is told to ask for before its first token: the route's scopes; with `step_up = false` also every scope
    /// that a rule can need, in the rules' order.
    pub fn first_scopes(&self) -> Vec<Scope> {
        let mut scopes = self.scopes.clone();
        if !self.policy.step_up {
            for scope in self.policy.rules.iter().flat_map(|rule| &rule.scopes) {
                if !scopes.contains(scope) {
                    scopes.push(scope.clone());
                }
            }
        }
        scopes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fits(pattern: &str, text: &str) -> bool {
        Pattern(pattern.into()).fits(text)
    }

    /// The definition: a star is nothing, or one more character and the star again.
    fn reference(pattern: &[char], text: &[char]) -> bool {
        match (pattern, text) {
            ([], _) => text.is_empty(),
            (['*', rest @ ..], _) => reference(rest, text) || (!text.is_empty() && reference(pattern, &text[1..])),
            ([p, rest @ ..], [t, after @ ..]) => p == t && reference(rest, after),
            (_, []) => false,
        }
    }

    #[test]
    fn only_the_star_is_special() {
        for (pattern, text) in [
            ("a", "a"),
            ("*", ""),
            ("*", "a/b\n*"),
            ("**", "x"),
            ("delete_*", "delete_"),
            ("delete_*", "delete_note"),
            ("*/list", "tools/list"),
            ("*/list", "resources/templates/list"),
            ("a*b*c", "abbc"),
            ("ä*", "äö"),
            ("?[a-z].\\", "?[a-z].\\"),
        ] {
            assert!(fits(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("a", ""),
            ("a", "A"),
            ("a", "ab"),
            ("", "a"),
            ("delete_*", "delete"),
            ("delete_*", "Delete_note"),
            ("delete_*", " delete_note"),
            ("ab*ba", "aba"),
            ("a*b*c", "ac"),
            ("?", "a"),
            ("[a]", "a"),
        ] {
            assert!(!fits(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn a_hostile_text_is_matched_in_time() {
        let (pattern, text) = (format!("{}b", "a*".repeat(500)), "a".repeat(1 << 20));
        assert!(!fits(&pattern, &text));
        assert!(fits(&pattern, &format!("{text}b")));
    }

    proptest! {
        #[test]
        fn a_pattern_fits_what_the_definition_says(pattern in "[ab*é]{0,8}", text in "[abé*]{0,10}") {
            let (p, t): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
            prop_assert_eq!(fits(&pattern, &text), reference(&p, &t));
        }

        #[test]
        fn a_text_fits_itself_with_any_part_starred(text in "[a-z/*]{0,12}", from in 0..12_usize, to in 0..12_usize) {
            let (from, to) = (from.min(text.len()), to.min(text.len()));
            let (from, to) = (from.min(to), from.max(to));
            prop_assert!(fits(&text, &text));
            let starred = format!("{}*{}", text.split_at(from).0, text.split_at(to).1);
            prop_assert!(fits(&starred, &text), "{}", starred);
        }
    }
}
