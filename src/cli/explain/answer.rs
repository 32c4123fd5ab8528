//! What the rules say, which one says it, and what would change it.

use portcullis::config::{Effect, RouteConfig, Rule};
use portcullis::mcp::Operation;
use portcullis::policy::{Decision, Lacks, Policy, Verdict};
use portcullis::token::Caller;

use super::excerpt::File;
use super::who::scopes;
use super::{Text, word};

/// Names of one list that are shown.
const MAX_NAMES: usize = 10;

/// Writes the answer; true when the operation is allowed.
pub(super) fn judge(
    text: &mut Text,
    route: &RouteConfig,
    file: &File<'_>,
    caller: &Caller,
    operation: &Operation,
) -> bool {
    let policy = Policy::new(route);
    let of_route = policy.lacks_of_route(caller);
    let decision = policy.decide(caller, operation);
    let rule = decision.rule.and_then(|index| route.policy.rules.get(index));
    let lacks = decision.rule.map(|index| policy.lacks(caller, index)).unwrap_or_default();

    text.line("operation", &named(operation));
    let missing = if of_route.is_empty() { "has them" } else { "lacks some" };
    let missing = if route.scopes.is_empty() { String::new() } else { format!(": {missing}") };
    text.line("needed", &format!("by the route for any operation {}{missing}", scopes(&route.scopes)));
    text.0.push('\n');

    // What the rules say comes after the route's own scopes.
    let waits = decision.verdict == Verdict::Allowed && !of_route.is_empty();
    let verdict = if waits { Verdict::Scopes(policy.scopes().clone()) } else { decision.verdict.clone() };
    text.line("decision", &in_words(&verdict));
    describe_rule(text, route, file, &decision, rule);
    let mut lacking: Vec<String> = of_route.iter().map(|scope| format!("scope {scope} (the route's)")).collect();
    if let Some(rule) = rule.filter(|rule| !rule.deny) {
        lacking.extend(lacks.scopes.iter().map(|scope| format!("scope {scope}")));
        lacking.extend(conditions(rule, &lacks));
    }
    if !lacking.is_empty() {
        text.line("lacks", &lacking.join("; "));
    }
    if verdict != Verdict::Allowed {
        text.line("would help", &help(&decision, rule, file, &lacking));
    }
    verdict == Verdict::Allowed
}

fn named(operation: &Operation) -> String {
    let targets = operation.targets.iter().map(|target| format!(" of {} {:?}", word(target.kind), target.name));
    format!("{:?}{}", operation.method, targets.collect::<String>())
}

fn in_words(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Allowed => "allowed".into(),
        Verdict::Scopes(scopes) => format!("needs scopes {scopes} (403 insufficient_scope)"),
        Verdict::Denied => "denied (403 forbidden)".into(),
        Verdict::Ambiguous => "refused: the URI has more than one reading, and rules tell resources apart".into(),
    }
}

fn describe_rule(text: &mut Text, route: &RouteConfig, file: &File<'_>, decision: &Decision, rule: Option<&Rule>) {
    if let Some(rule) = rule {
        text.line("rule", &format!("{}, cost {}", file.place(rule.line), decision.cost));
        for line in file.rule(rule.line) {
            text.line("", line);
        }
        return;
    }
    let default = match route.policy.default {
        Effect::Allow => "allow",
        Effect::Deny => "deny",
    };
    let none = if route.policy.rules.is_empty() { "the route has none" } else { "none matches" };
    if decision.verdict == Verdict::Ambiguous {
        text.line("rule", "none was asked");
    } else {
        text.line("rule", &format!("{none}; default is {default}, cost {}", decision.cost));
    }
}

/// What the rule asks for beside scopes and the caller has not.
fn conditions(rule: &Rule, lacks: &Lacks) -> Vec<String> {
    let mut found = Vec::new();
    let mut add = |lacks: bool, key: &str, names: Vec<&str>| {
        if lacks {
            found.push(format!("{key} {}", one_of(&names)));
        }
    };
    add(lacks.tenant, "tenant", rule.tenants.iter().map(portcullis::names::TenantId::as_str).collect());
    add(lacks.client, "client", rule.clients.iter().map(portcullis::names::ClientId::as_str).collect());
    add(lacks.subject, "subject", rule.subjects.iter().map(portcullis::names::Subject::as_str).collect());
    for (path, texts) in rule.claims.iter().filter(|(path, _)| lacks.claims.contains(path)) {
        add(true, &format!("claim {} with", path.text), texts.iter().map(String::as_str).collect());
    }
    found
}

fn one_of(names: &[&str]) -> String {
    let shown: Vec<&str> = names.iter().copied().take(MAX_NAMES).collect();
    let more = if names.len() > MAX_NAMES { " or another of the rule's" } else { "" };
    format!("{}{more}", shown.join(" or "))
}

fn help(decision: &Decision, rule: Option<&Rule>, file: &File<'_>, lacking: &[String]) -> String {
    match (&decision.verdict, rule) {
        (Verdict::Denied, Some(rule)) if rule.deny => {
            format!("nothing that this caller can do: the rule at {} denies", file.place(rule.line))
        }
        (Verdict::Denied, None) => {
            "nothing that this caller can do: no rule matches, and the default is deny; write a rule that allows it".into()
        }
        (Verdict::Ambiguous, _) => {
            "the URI in its plain spelling: no blanks at its ends, no dot or empty segments, no backslashes, no needless \
             escapes, and capitals and escapes as in the rule that is meant"
                .into()
        }
        (Verdict::Allowed | Verdict::Scopes(_) | Verdict::Denied, _) => {
            format!("a token that also has {}", lacking.join(", and "))
        }
    }
}
