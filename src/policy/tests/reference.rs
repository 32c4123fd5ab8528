//! The compiled rules against the text of the definition, taken literally and without any thought for speed.

use proptest::prelude::*;

use super::*;
use crate::config::{Pattern, RouteConfig, Rule};

const NAMES: [&str; 4] = ["a", "ab", "b", "note://a"];
const METHODS: [&str; 5] = ["tools/call", "prompts/get", "resources/read", "ping", "subscriptions/listen"];
const SCOPES: [&str; 4] = ["r", "s", "t", "u"];

/// One of several texts, in a list of up to two.
fn some(from: &'static [&'static str]) -> impl Strategy<Value = Vec<&'static str>> {
    prop_oneof![2 => Just(Vec::new()), 1 => proptest::sample::subsequence(from, 1..=2)]
}

fn rule() -> impl Strategy<Value = String> {
    let patterns = || some(&["a", "a*", "*b", "*", "note://*"]);
    let methods = some(&["*", "tools/*", "*/call", "ping", "resources/read", "*s*"]);
    let who = (some(&["x", "y"]), some(&["1", "2"]));
    (methods, patterns(), patterns(), patterns(), some(&SCOPES), who, any::<bool>(), 1..4_u32).prop_map(
        |(methods, tools, prompts, resources, scopes, (tenants, levels), deny, cost)| {
            let mut keys = Vec::new();
            let mut put = |key: &str, list: &[&str]| {
                if !list.is_empty() {
                    keys.push(format!("{key} = {list:?}"));
                }
            };
            put("methods", &methods);
            put("tools", &tools);
            put("prompts", &prompts);
            put("resources", &resources);
            put("tenants", &tenants);
            put("claims.level", &levels);
            if deny {
                keys.push("deny = true".into());
            } else {
                put("scopes", &scopes);
                keys.push(format!("cost = {cost}"));
            }
            format!("{{ {} }}", keys.join(", "))
        },
    )
}

/// Who asks.
#[derive(Debug, Clone)]
struct Who {
    scopes: Vec<&'static str>,
    tenant: Option<&'static str>,
    level: Option<&'static str>,
}

fn who() -> impl Strategy<Value = Who> {
    let one_of = |from: &'static [&'static str]| proptest::option::of(proptest::sample::select(from));
    (some(&SCOPES), one_of(&["x", "y", "z"]), one_of(&["1", "2", "3"])).prop_map(|(scopes, tenant, level)| Who {
        scopes,
        tenant,
        level,
    })
}

impl Who {
    fn claims(&self) -> Value {
        let mut claims = json!({ "scope": self.scopes.join(" ") });
        for (name, value) in [("tenant", self.tenant), ("level", self.level)] {
            if let Some(value) = value {
                claims[name] = value.into();
            }
        }
        claims
    }

    /// Has it, or has one that implies it.
    fn has(&self, config: &RouteConfig, scope: &str) -> bool {
        let grants = |(_, granted): &&(Scope, Vec<Scope>)| granted.iter().any(|granted| granted.as_str() == scope);
        self.scopes.contains(&scope)
            || config.policy.implies.iter().filter(grants).any(|(by, _)| self.has(config, by.as_str()))
    }

    fn fits(&self, rule: &Rule) -> bool {
        let tenant = |tenant: &str| rule.tenants.iter().any(|listed| listed.as_str() == tenant);
        let level = |level: &str| rule.claims.iter().all(|(_, texts)| texts.iter().any(|text| text == level));
        (rule.tenants.is_empty() || self.tenant.is_some_and(tenant))
            && (rule.claims.is_empty() || self.level.is_some_and(level))
    }
}

/// The definition, for one target or none.
fn one(config: &RouteConfig, who: &Who, operation: &Operation, target: Option<&Target>) -> Verdict {
    let any = |patterns: &[Pattern], text: &str| patterns.iter().any(|pattern| pattern.fits(text));
    for rule in &config.policy.rules {
        let by_method = rule.methods.is_empty() || any(&rule.methods, &operation.method);
        let without_selector = rule.tools.is_empty() && rule.prompts.is_empty() && rule.resources.is_empty();
        let by_target = target.is_some_and(|target| match target.kind {
            TargetKind::Tool => any(&rule.tools, &target.name),
            TargetKind::Prompt => any(&rule.prompts, &target.name),
            TargetKind::Resource => any(&rule.resources, &target.name),
            TargetKind::Task => false,
        });
        if !by_method || !(without_selector || by_target) || (rule.deny && !who.fits(rule)) {
            continue;
        }
        if rule.deny || !who.fits(rule) {
            return Verdict::Denied;
        }
        if rule.scopes.iter().all(|scope| who.has(config, scope.as_str())) {
            return Verdict::Allowed;
        }
        return needs(&scopes::text(&config.scopes, &rule.scopes));
    }
    if config.policy.default == Effect::Allow { Verdict::Allowed } else { Verdict::Denied }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn the_policy_decides_as_it_is_defined(
        rules in proptest::collection::vec(rule(), 0..5), deny in any::<bool>(), who in who(),
        method in proptest::sample::select(&METHODS[..]),
        names in proptest::collection::vec(proptest::sample::select(&NAMES[..]), 0..3),
    ) {
        let default = if deny { "deny" } else { "allow" };
        let implies = "{ u = [\"t\"], t = [\"s\"], s = [\"mcp:tools\"] }";
        let text = format!("default = \"{default}\"\nimplies = {implies}\nrules = [{}]", rules.join(", "));
        let Some(world) = World::if_good(&text) else { return Ok(()) };
        let (caller, operation) = (world.caller(&who.claims()), operation(method, &names));
        let decision = world.policy.decide(&caller, &operation);
        let config = &world.config.routes[0];
        let singles: Vec<Verdict> = match operation.targets.as_slice() {
            [] => vec![one(config, &who, &operation, None)],
            targets => targets.iter().map(|target| one(config, &who, &operation, Some(target))).collect(),
        };
        prop_assert_eq!(world.policy.entitles(&caller), who.has(config, "mcp:tools"));
        if singles.contains(&Verdict::Denied) {
            prop_assert_eq!(decision.verdict, Verdict::Denied);
        } else if singles.iter().all(|verdict| *verdict == Verdict::Allowed) {
            prop_assert_eq!(decision.verdict, Verdict::Allowed);
        } else {
            let Verdict::Scopes(text) = &decision.verdict else { panic!("{decision:?}") };
            let words = |text: &str| text.split(' ').map(str::to_owned).collect::<BTreeSet<_>>();
            let mut all = BTreeSet::new();
            for single in &singles {
                if let Verdict::Scopes(text) = single {
                    all.extend(words(text));
                }
            }
            prop_assert_eq!(words(text), all);
            prop_assert!(text.starts_with("mcp:tools"));
            prop_assert_eq!(text.split(' ').count(), words(text).len());
        }
    }
}
