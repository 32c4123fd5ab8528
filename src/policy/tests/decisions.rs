//! The first rule that matches decides; what it says, and what several targets make of it.

use super::*;
use Verdict::{Allowed, Ambiguous, Denied};

#[test]
fn without_rules_everything_is_allowed() {
    let world = World::new("");
    let caller = world.scopes("");
    let decision = world.decide(&caller, "tools/call", &["x"]);
    assert_eq!(decision, Decision { verdict: Allowed, rule: None, cost: NonZeroU32::MIN, target: 0 });
    assert_eq!(world.verdict(&caller, "resources/read", &["file:///a/../b"]), Allowed);
}

#[test]
fn the_default_decides_where_no_rule_matches() {
    for (default, verdict) in [("allow", Allowed), ("deny", Denied)] {
        let world = World::new(&format!("default = \"{default}\"\nrules = [{{ tools = [\"a\"], scopes = [\"s\"] }}]"));
        let caller = world.scopes("");
        assert_eq!(world.verdict(&caller, "tools/call", &["b"]), verdict);
        assert_eq!(world.verdict(&caller, "ping", &[]), verdict);
        assert_eq!(world.decide(&caller, "initialize", &[]).rule, None);
        assert_eq!(world.verdict(&caller, "tools/call", &["a"]), needs("mcp:tools s"));
    }
}

#[test]
fn the_first_rule_that_matches_decides() {
    let world = World::new(
        r#"
        default = "deny"
        rules = [
          { tools = ["delete_me"] },
          { tools = ["delete_*"], scopes = ["mcp:admin"], cost = 7 },
          { tools = ["*"], scopes = ["mcp:read"] },
          { methods = ["*/list", "initialize"] },
        ]"#,
    );
    let caller = world.scopes("mcp:admin");
    let decided =
        |method, name: &[&str]| (world.decide(&caller, method, name).rule, world.verdict(&caller, method, name));
    assert_eq!(decided("tools/call", &["delete_me"]), (Some(0), Allowed));
    assert_eq!(decided("tools/call", &["delete_note"]), (Some(1), Allowed));
    assert_eq!(world.decide(&caller, "tools/call", &["delete_note"]).cost.get(), 7);
    assert_eq!(decided("tools/call", &["Delete_note"]), (Some(2), needs("mcp:tools mcp:read")));
    assert_eq!(decided("resources/templates/list", &[]), (Some(3), Allowed));
    assert_eq!(decided("prompts/get", &["delete_me"]), (None, Denied));
    assert_eq!(decided("ping", &[]), (None, Denied));
}

#[test]
fn selectors_of_several_kinds_are_a_union_and_methods_narrow_them() {
    let world = World::new(
        r#"
        default = "deny"
        rules = [
          { methods = ["prompts/*", "resources/read"], prompts = ["p"], resources = ["note://r"] },
          { tools = ["t"], resources = ["note://s"] },
        ]"#,
    );
    let caller = world.scopes("");
    let allowed = |method, name| world.verdict(&caller, method, &[name]) == Allowed;
    assert!(allowed("prompts/get", "p") && allowed("resources/read", "note://r"));
    assert!(!allowed("prompts/get", "note://r") && !allowed("resources/subscribe", "note://r"));
    assert!(allowed("tools/call", "t") && allowed("resources/subscribe", "note://s"));
    assert!(!allowed("tools/call", "note://s") && !allowed("tasks/get", "t"));
    // An operation that names nothing fits no selector.
    assert_eq!(world.verdict(&caller, "tools/call", &[]), Denied);
}

#[test]
fn a_failed_condition_is_denied_whatever_the_scopes() {
    let world = World::new(
        r#"
        default = "allow"
        rules = [
          { tools = ["t"], tenants = ["acme", "globex"], clients = ["editor"], subjects = ["alice"], scopes = ["s"],
            claims = { groups = ["ops", "dev"], level = "2" } },
        ]"#,
    );
    let good = json!({ "tenant": "acme", "groups": ["x", "dev"], "level": 2, "scope": "s" });
    assert_eq!(world.verdict(&world.caller(&good), "tools/call", &["t"]), Allowed);
    for (claim, value) in [
        ("tenant", json!("evil")),
        ("client_id", json!("editor2")),
        ("sub", json!("Alice")),
        ("groups", json!("ops dev")),
        ("groups", json!([])),
        ("level", json!(20)),
        ("level", json!(null)),
    ] {
        let mut claims = good.clone();
        claims[claim] = value.clone();
        for scope in ["s", ""] {
            claims["scope"] = json!(scope);
            assert_eq!(world.verdict(&world.caller(&claims), "tools/call", &["t"]), Denied, "{claim} {value}");
        }
    }
    let mut without = good.clone();
    without.as_object_mut().unwrap().remove("tenant");
    assert_eq!(world.verdict(&world.caller(&without), "tools/call", &["t"]), Denied);
    let mut poor = good;
    poor["scope"] = json!("x");
    assert_eq!(world.verdict(&world.caller(&poor), "tools/call", &["t"]), needs("mcp:tools s"));
}

#[test]
fn a_denying_rule_matches_only_callers_that_fit_it() {
    let world = World::new(
        r#"
        default = "allow"
        rules = [
          { methods = ["resources/*"], tenants = ["evil"], claims = { level = "1" }, deny = true },
          { methods = ["resources/*"], scopes = ["s"] },
        ]"#,
    );
    let verdict = |claims: Value| world.verdict(&world.caller(&claims), "resources/list", &[]);
    assert_eq!(verdict(json!({ "tenant": "evil", "level": 1, "scope": "s" })), Denied);
    assert_eq!(verdict(json!({ "tenant": "evil", "level": 2, "scope": "s" })), Allowed);
    assert_eq!(verdict(json!({ "tenant": "acme", "level": 1 })), needs("mcp:tools s"));
    assert_eq!(verdict(json!({ "scope": "s" })), Allowed);
}

#[test]
fn several_targets_are_as_good_as_the_worst() {
    let world = World::new(
        r#"
        default = "deny"
        rules = [
          { resources = ["note://a/*"], cost = 3 },
          { resources = ["note://b/*"], scopes = ["s", "t"], cost = 5 },
          { resources = ["note://c/*"], scopes = ["u", "s"] },
          { resources = ["note://d/*"], deny = true },
          { methods = ["subscriptions/listen"], scopes = ["none"] },
        ]"#,
    );
    let caller = world.scopes("");
    let decide = |names: &[&str]| world.decide(&caller, "subscriptions/listen", names);
    let (a, b, c, d, odd) = ("note://a/1", "note://b/1", "note://c/1", "note://d/1", "note://a/../d/1");
    assert_eq!(decide(&[]).verdict, needs("mcp:tools none"));
    assert_eq!(decide(&[a, "note://a/2"]).verdict, Allowed);
    let union = decide(&[a, c, b, c]);
    assert_eq!((union.verdict, union.rule, union.cost.get()), (needs("mcp:tools s t u"), Some(2), 5));
    assert_eq!(
        [union.target, decide(&[a, a]).target, decide(&[b, odd, d, d]).target],
        [1, 0, 2],
        "the first of the worst"
    );
    assert_eq!(decide(&[a, b]).verdict, needs("mcp:tools s t"));
    assert_eq!(decide(&[b, odd, a]).verdict, Ambiguous);
    let denied = decide(&[b, odd, d, a]);
    assert_eq!((denied.verdict, denied.rule, denied.cost.get()), (Denied, Some(3), 5));
    assert_eq!([decide(&[b, c, d]).verdict, decide(&[b, c, odd]).verdict], [Denied, Ambiguous], "no scope would help");
    assert_eq!(decide(&[b, "other://x"]).verdict, needs("mcp:tools s t none"));
}

/// SEP-2663: what a listener is told of a task is what `tasks/get` would say.
#[test]
fn listening_to_a_task_needs_what_asking_for_it_needs() {
    let target = |kind, name: &str| Target { kind, name: name.into() };
    let listen_to = |policy: &str, scopes: &str, targets| {
        let world = World::new(policy);
        let operation = Operation { method: "subscriptions/listen".into(), targets };
        let decision = world.policy.decide(&world.scopes(scopes), &operation);
        (decision.verdict, decision.target)
    };
    let task = || target(TargetKind::Task, "t");
    let listen = |policy: &str, scopes: &str| {
        listen_to(policy, scopes, vec![target(TargetKind::Resource, "note://a/1"), task()])
    };
    let listens = r#"{ methods = ["subscriptions/listen"] }"#;
    let resources = "default = \"deny\"\nrules = [{ resources = [\"note://a/*\"] }]";
    assert_eq!(listen(resources, ""), (Denied, 1), "a rule for resources lets no task through");
    assert_eq!(listen(&format!("default = \"deny\"\nrules = [{listens}]"), ""), (Denied, 1));
    let both = format!("default = \"deny\"\nrules = [{listens}, {{ methods = [\"tasks/*\"], scopes = [\"s\"] }}]");
    assert_eq!(listen(&both, ""), (needs("mcp:tools s"), 1));
    assert_eq!(listen(&both, "s"), (Allowed, 0));
    let denies = |method| format!("default = \"allow\"\nrules = [{{ methods = [\"{method}\"], deny = true }}]");
    assert_eq!(listen(&denies("tasks/get"), ""), (Denied, 1));
    assert_eq!(listen_to(&denies("tasks/get"), "", vec![task()]), (Denied, 0));
    assert_eq!(listen(&denies("subscriptions/listen"), ""), (Denied, 0));
    assert_eq!(listen(&denies("tasks/cancel"), ""), (Allowed, 0));
}

#[test]
fn resources_that_rules_tell_apart_must_have_one_reading() {
    let odd = "file:///public/../etc/passwd";
    let guarded = World::new("default = \"allow\"\nrules = [{ resources = [\"file:///etc/*\"], deny = true }]");
    let caller = guarded.scopes("");
    for method in ["resources/read", "resources/subscribe", "resources/unsubscribe", "subscriptions/listen"] {
        let decision = guarded.decide(&caller, method, &[odd]);
        assert_eq!((decision.verdict, decision.rule), (Ambiguous, None), "{method}");
        assert_eq!(guarded.verdict(&caller, method, &["file:///public/a b"]), Allowed);
    }
    assert_eq!(guarded.verdict(&caller, "tools/call", &[odd]), Allowed);
    assert_eq!(guarded.verdict(&caller, "completion/complete", &["note://{Owner}/{id}"]), Allowed);
    assert_eq!(guarded.verdict(&caller, "completion/complete", &["file:///../{id}"]), Ambiguous);
    let by_expression = "https://{Host}/a";
    assert_eq!(guarded.verdict(&caller, "completion/complete", &[by_expression]), Allowed);
    assert_eq!(guarded.verdict(&caller, "resources/read", &[by_expression]), Ambiguous);
    // A rule for every resource tells none apart.
    let open = World::new("default = \"deny\"\nrules = [{ resources = [\"*\"] }]");
    assert_eq!(open.verdict(&caller, "resources/read", &[odd]), Allowed);
}

#[test]
fn what_a_caller_lacks_is_named() {
    let world = World::new(
        r#"
        default = "deny"
        rules = [{ tools = ["t"], scopes = ["s", "u"], tenants = ["a"], subjects = ["bob"], claims = { g = "1", h = ["2"] } }]"#,
    );
    let caller = world.caller(&json!({ "scope": "u", "tenant": "b", "h": 2 }));
    let lacks = world.policy.lacks(&caller, 0);
    let expected = Lacks {
        scopes: vec![Scope::parse("s").unwrap()],
        tenant: true,
        client: false,
        subject: true,
        claims: vec![crate::config::ClaimPath::parse("g").unwrap()],
    };
    assert_eq!(lacks, expected);
    assert_eq!(world.policy.lacks(&caller, 1), Lacks::default());
}

#[test]
fn a_method_that_nobody_may_use_is_known() {
    let can = |policy: &str| World::new(policy).policy.can_allow("initialize");
    let with = |default: &str, rules: &str| can(&format!("default = \"{default}\"\nrules = [{rules}]"));
    assert!(can("") && with("allow", "{ tools = [\"a\"], deny = true }"));
    assert!(!with("deny", "{ tools = [\"*\"] }"));
    assert!(with("deny", "{ tenants = [\"a\"], deny = true }, { scopes = [\"s\"] }"));
    assert!(with("allow", "{ tenants = [\"a\"], deny = true }"));
    assert!(!with("deny", "{ methods = [\"ini*\"], deny = true }, { scopes = [\"s\"] }"));
    assert!(!with("allow", "{ deny = true }"));
}

#[test]
fn a_rule_that_is_never_asked_is_known() {
    let hidden_by = |rules: &str| {
        let policy = World::new(&format!("default = \"deny\"\nrules = [{rules}]")).policy;
        (0..policy.rules.len()).map(|rule| policy.hidden_by(rule)).collect::<Vec<_>>()
    };
    for rules in [
        "{ tools = [\"*\"] }, { methods = [\"*/*\"] }, { tenants = [\"a\"], deny = true }",
        "{ tools = [\"a*\"] }, { tools = [\"*\"] }",
        "{ tools = [\"a*\"] }, { tools = [\"ab\", \"b\"] }",
        "{ tools = [\"*\"] }, { tools = [\"a\"], prompts = [\"a\"] }",
        "{ methods = [\"tools/call\"] }, { tools = [\"a\"] }, {}",
        "{ tenants = [\"t\"], deny = true }, { tools = [\"a\"] }",
    ] {
        assert!(hidden_by(rules).iter().all(Option::is_none), "{rules}");
    }
    for (rules, by) in [
        ("{ tools = [\"*\"] }, { scopes = [\"s\"] }, {}", [None, None, Some(1)]),
        ("{ methods = [\"x\", \"*\"] }, { tools = [\"a\"] }, {}", [None, Some(0), Some(0)]),
        ("{ deny = true }, { deny = true, tenants = [\"t\"] }, {}", [None, Some(0), Some(0)]),
        (
            "{ tools = [\"a*\"], scopes = [\"s\"] }, { tools = [\"a*b\"] }, { tools = [\"a\"] }",
            [None, Some(0), Some(0)],
        ),
        ("{ methods = [\"*/list\"] }, { methods = [\"tools/list\"] }, { methods = [\"ping\"] }", [None, Some(0), None]),
    ] {
        assert_eq!(hidden_by(rules), by, "{rules}");
    }
}

#[test]
fn deciding_on_one_thing_allocates_nothing() {
    let world = World::new(
        r#"
        default = "deny"
        implies = { "mcp:admin" = ["mcp:write"] }
        rules = [
          { methods = ["*/list"] },
          { tools = ["secret_*"], tenants = ["globex"], claims = { team = ["ops", "dev"] } },
          { tools = ["delete_*", "*_note"], scopes = ["mcp:write"] },
          { resources = ["file:///private/*"], deny = true },
          { resources = ["file:///*"] },
        ]
        "#,
    );
    let caller = world.scopes("mcp:tools mcp:admin");
    for (method, names) in [
        ("tools/list", &[][..]),
        ("tools/call", &["delete_note"]),
        ("tools/call", &["secret_plan"]),
        ("tools/call", &["other"]),
        ("resources/read", &["file:///public/a"]),
        ("resources/read", &["file:///private/a"]),
        ("resources/read", &["file:///public/../private/a"]),
    ] {
        let operation = operation(method, names);
        let cost = allocation_counter::measure(|| drop(world.policy.decide(&caller, &operation)));
        assert_eq!(cost.count_total, 0, "{method} {names:?}");
    }
    let counts = allocation_counter::measure(|| drop(String::from("x"))).count_total;
    assert_eq!(counts, 1, "the counter counts");
}

#[test]
fn a_claim_that_many_rules_ask_about_is_kept_once() {
    let world = World::new(
        r#"
        default = "deny"
        rules = [
          { tools = ["a"], claims = { team = "ops" } },
          { tools = ["b"], claims = { team = "dev", level = "2" } },
        ]
        "#,
    );
    let claims = world.config.routes[0].policy.claims();
    assert_eq!(claims.iter().map(|claim| &*claim.text).collect::<Vec<_>>(), ["team", "level"]);
    let caller = world.caller(&json!({ "scope": "mcp:tools", "team": ["dev"], "level": 2 }));
    assert_eq!(world.verdict(&caller, "tools/call", &["b"]), Verdict::Allowed);
    assert_eq!(world.verdict(&caller, "tools/call", &["a"]), Verdict::Denied);
}
