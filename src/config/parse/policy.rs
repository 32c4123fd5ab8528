//! `[routes.policy]`: what who may do, operation by operation.

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use super::super::policy::Selector;
use super::super::read::item::{Item, Seen, Text};
use super::super::read::shape::{Key, Shape, words};
use super::super::read::table::Table;
use super::super::{ClaimPath, Effect, Limit, Pattern, PolicyConfig, Quota, Rule};
use super::{bounds, implies, route};
use crate::names::{ClientId, Scope, Subject, TenantId};

pub(super) const KEYS: &[Key] = &[
    Key::of("default", Shape::Word(|| words(DEFAULT))),
    Key::of("implies", Shape::Free(&Shape::Texts)),
    Key::of("step_up", Shape::Flag),
    Key::of("rules", Shape::Tables(RULE_KEYS)),
];
const RULE_KEYS: &[Key] = &[
    Key::of("methods", Shape::Texts),
    Key::of(Selector::TOOLS.key, Shape::Texts),
    Key::of(Selector::PROMPTS.key, Shape::Texts),
    Key::of(Selector::RESOURCES.key, Shape::Texts),
    Key::of("scopes", Shape::Texts),
    Key::of("tenants", Shape::Texts),
    Key::of("clients", Shape::Texts),
    Key::of("subjects", Shape::Texts),
    Key::of("claims", Shape::Free(&Shape::TextOrTexts)),
    Key::of("deny", Shape::Flag),
    Key::of("cost", Shape::Count(&bounds::COST)),
];
const DEFAULT: &[(&str, Effect)] = &[("allow", Effect::Allow), ("deny", Effect::Deny)];

/// More rules than a person can keep in mind; each request may have to pass them all.
const MAX_RULES: usize = 1000;
/// Entries of one list in a rule: a tenant's own list of tools is far shorter.
const MAX_ENTRIES: usize = 1000;
/// Scopes of one rule together, and of a whole policy where the first challenge names them all: clients get them in one header
/// field, and many refuse longer ones.
const MAX_SCOPE_BYTES: usize = 4 * 1024;
/// A pattern longer than a URI that anybody types.
const MAX_PATTERN_BYTES: usize = 1024;

pub(super) fn read(table: &Table<'_>, limits: &[Limit]) -> PolicyConfig {
    let Some(table) = table.get("policy").and_then(|item| item.table(KEYS)) else {
        return PolicyConfig::default();
    };
    let rules = rules(&table, smallest_burst(limits));
    let step_up = table.get("step_up").and_then(|item| item.boolean()).unwrap_or(true);
    let every: BTreeSet<&Scope> = rules.iter().flat_map(|rule| &rule.scopes).collect();
    if !step_up && are_too_long(every) {
        table.error("step_up", "must be true: the scopes of all rules together do not fit into a header field of 4KiB");
    }
    PolicyConfig { default: default(&table, rules.is_empty()), implies: implies::read(&table), rules, step_up }
}

/// A rule says what is meant by silence, or it is not safe to say it.
fn default(table: &Table<'_>, no_rules: bool) -> Effect {
    let item = table.get("default");
    if item.is_none() && !no_rules {
        table.missing("default", "is required beside rules: \"allow\" or \"deny\" for what no rule matches");
    }
    item.and_then(Item::text).and_then(|text| text.choose(DEFAULT)).unwrap_or(Effect::Allow)
}

fn smallest_burst(limits: &[Limit]) -> Option<NonZeroU32> {
    let burst = |limit: &Limit| match limit.quota {
        Quota::Rate { burst, .. } => Some(burst),
        Quota::Streams(_) => None,
    };
    limits.iter().filter_map(burst).min()
}

fn rules(table: &Table<'_>, burst: Option<NonZeroU32>) -> Vec<Rule> {
    let Some(item) = table.get("rules") else { return Vec::new() };
    let items = item.array().unwrap_or_default();
    if items.len() > MAX_RULES {
        item.error::<()>(&format!("must hold at most {MAX_RULES} rules"));
    }
    items.iter().take(MAX_RULES).filter_map(|item| rule(item, burst)).collect()
}

fn rule(item: &Item<'_>, burst: Option<NonZeroU32>) -> Option<Rule> {
    let table = item.table(RULE_KEYS)?;
    let patterns = |key| list(&table, key, pattern);
    let cost = table.get("cost").and_then(|item| cost(&item, burst));
    let rule = Rule {
        line: item.line,
        methods: patterns("methods"),
        tools: patterns(Selector::TOOLS.key),
        prompts: patterns(Selector::PROMPTS.key),
        resources: patterns(Selector::RESOURCES.key),
        scopes: entries(&table, "scopes").map(|item| route::scopes(&item).unwrap_or_default()).unwrap_or_default(),
        tenants: list(&table, "tenants", |text| exact(text)?.parse(TenantId::parse)),
        clients: list(&table, "clients", |text| exact(text)?.parse(ClientId::parse)),
        subjects: list(&table, "subjects", |text| exact(text)?.parse(Subject::parse)),
        claims: claims(&table),
        deny: table.flag("deny"),
        cost: cost.unwrap_or(NonZeroU32::MIN),
    };
    refuse_nonsense(&table, &rule);
    Some(rule)
}

fn are_too_long<'s>(scopes: impl IntoIterator<Item = &'s Scope>) -> bool {
    scopes.into_iter().map(|scope| scope.as_str().len() + 1).sum::<usize>() > MAX_SCOPE_BYTES
}

/// What would read as one thing and do another.
fn refuse_nonsense(table: &Table<'_>, rule: &Rule) {
    if rule.deny && table.get("scopes").is_some() {
        table.error(
            "scopes",
            "must not stand beside deny: it would refuse callers for having more; a rule without deny that needs these \
             scopes refuses everybody else",
        );
    }
    if are_too_long(&rule.scopes) {
        table.error("scopes", "must be at most 4KiB together: clients get them in one header field");
    }
    if rule.deny && table.get("cost").is_some() {
        table.error("cost", "must not stand beside deny: what is refused is not charged");
    }
    if rule.methods.is_empty() {
        return;
    }
    let selectors =
        [(Selector::TOOLS, &rule.tools), (Selector::PROMPTS, &rule.prompts), (Selector::RESOURCES, &rule.resources)];
    for (Selector { key, methods }, patterns) in selectors {
        let named = methods.iter().any(|method| rule.methods.iter().any(|pattern| pattern.fits(method)));
        if !patterns.is_empty() && !named {
            let methods = methods.join(", ");
            table.error(key, &format!("can never match: methods holds none that names {key} ({methods})"));
        }
    }
}

/// The list under a key, which must neither be empty nor endless.
fn entries<'a>(table: &Table<'a>, key: &str) -> Option<Item<'a>> {
    let item = table.get(key)?;
    match item.value.as_array().map(|array| array.len()) {
        Some(0) => item.error("must not be empty: leave the key out where it is not to matter"),
        Some(count) if count > MAX_ENTRIES => item.error(&format!("must hold at most {MAX_ENTRIES} entries")),
        _ => Some(item),
    }
}

fn list<T>(table: &Table<'_>, key: &str, read: impl Fn(&Text<'_>) -> Option<T>) -> Vec<T> {
    let texts = entries(table, key).and_then(|item| item.texts()).unwrap_or_default();
    let mut seen = Seen::default();
    texts.iter().filter_map(|text| read(text).filter(|_| text.is_new(&mut seen))).collect()
}

fn pattern(text: &Text<'_>) -> Option<Pattern> {
    match text.as_str() {
        "" => text.error("must not be empty: * fits everything"),
        long if long.len() > MAX_PATTERN_BYTES => text.error(&format!("must be at most {MAX_PATTERN_BYTES} bytes")),
        fine => Some(Pattern(fine.into())),
    }
}

/// Whoever writes a star here means a pattern; taken as a text it would fit nobody, and a denial would deny nobody.
fn exact<'t, 'a>(text: &'t Text<'a>) -> Option<&'t Text<'a>> {
    if text.as_str().contains('*') {
        return text
            .error("must be an exact name, without *: only methods, tools, prompts and resources take patterns");
    }
    Some(text)
}

fn claims(table: &Table<'_>) -> Vec<(ClaimPath, Vec<String>)> {
    let Some(item) = table.get("claims") else { return Vec::new() };
    let Some(claims) = item.free_table() else { return Vec::new() };
    let claim = |(name, item): (&str, Item<'_>)| {
        let path = match ClaimPath::parse(name) {
            Ok(path) => path,
            Err(why) => return item.error(&why.to_string()),
        };
        Some((path, claim_texts(item)?))
    };
    let found: Vec<_> = claims.items().filter_map(claim).collect();
    if claims.items().next().is_none() {
        item.error::<()>("must name at least one claim");
    }
    found
}

fn claim_texts(item: Item<'_>) -> Option<Vec<String>> {
    match item.value.as_array().map(|array| array.len()) {
        Some(0) => return item.error("must name at least one text"),
        Some(count) if count > MAX_ENTRIES => return item.error(&format!("must hold at most {MAX_ENTRIES} entries")),
        _ => {}
    }
    let mut seen = Seen::default();
    let texts = item.text_or_texts()?;
    // A star is a star here: some providers have permissions such as `notes:*`.
    Some(texts.iter().filter(|text| text.is_new(&mut seen)).map(|text| text.as_str().to_owned()).collect())
}

fn cost(item: &Item<'_>, burst: Option<NonZeroU32>) -> Option<NonZeroU32> {
    let cost = item.count(&bounds::COST).and_then(NonZeroU32::new)?;
    match burst {
        Some(burst) if cost > burst => item.error(&format!(
            "must be at most {burst}, the smallest burst of the route's limits: nobody could ever pay it"
        )),
        _ => Some(cost),
    }
}
