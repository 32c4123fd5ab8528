//! Scopes: what stands for what, and what a challenge says.

use super::*;

const IMPLIES: &str = r#"
default = "deny"
implies = { "mcp:admin" = ["mcp:write"], "mcp:write" = ["mcp:read", "mcp:tools"], root = ["mcp:admin"] }
rules = [{ tools = ["w"], scopes = ["mcp:write"] }, { scopes = ["mcp:read", "mcp:tools"] }]
"#;

#[test]
fn a_scope_stands_for_all_that_it_implies_and_for_nothing_else() {
    let world = World::new(IMPLIES);
    for (scopes, write, read) in [
        ("root", true, true),
        ("mcp:admin", true, true),
        ("x mcp:write y", true, true),
        ("mcp:read mcp:tools", false, true),
        ("mcp:read", false, false),
        ("mcp:Write", false, false),
        ("mcp", false, false),
        ("", false, false),
    ] {
        let caller = world.scopes(scopes);
        let allowed = |name| world.verdict(&caller, "tools/call", &[name]) == Verdict::Allowed;
        assert_eq!((allowed("w"), allowed("r")), (write, read), "{scopes}");
    }
}

#[test]
fn the_routes_own_scopes_may_be_implied_too() {
    let world = World::new(IMPLIES);
    for (scopes, entitled) in [
        ("mcp:tools", true),
        ("root", true),
        ("mcp:write", true),
        ("mcp:read", false),
        ("", false),
        ("mcp:tool", false),
    ] {
        assert_eq!(world.policy.entitles(&world.scopes(scopes)), entitled, "{scopes}");
    }
    assert_eq!(&**world.policy.scopes(), "mcp:tools");
    assert!(!World::new("").policy.entitles(&world.scopes("root")));
}

#[test]
fn a_challenge_names_all_scopes_once_the_routes_first() {
    let world = World::new(IMPLIES);
    let caller = world.scopes("");
    assert_eq!(world.verdict(&caller, "tools/call", &["w"]), needs("mcp:tools mcp:write"));
    assert_eq!(world.verdict(&caller, "tools/call", &["r"]), needs("mcp:tools mcp:read"));
}

#[test]
fn implied_scopes_are_those_that_the_token_has_not() {
    let world = World::new(IMPLIES);
    let implied = |scopes| world.policy.implied(&world.scopes(scopes)).iter().map(Scope::to_string).collect::<Vec<_>>();
    assert_eq!(implied("mcp:admin mcp:read"), ["mcp:tools", "mcp:write"]);
    assert!(implied("mcp:read other").is_empty());
    let lacks: Vec<Scope> = world.policy.lacks_of_route(&world.scopes("mcp:read"));
    assert_eq!(lacks, [Scope::parse("mcp:tools").unwrap()]);
}

#[test]
fn without_step_up_the_first_challenge_asks_for_everything() {
    let asked = |policy: &str| {
        let world = World::new(policy);
        let scopes = world.config.routes[0].first_scopes();
        let document = crate::oauth::metadata::document(&world.config.routes[0], &world.config.issuers, None);
        let document: Value = serde_json::from_slice(&document).unwrap();
        assert_eq!(document["scopes_supported"], json!(scopes.iter().map(Scope::as_str).collect::<Vec<_>>()));
        scopes::text(&scopes, &[])
    };
    assert_eq!(asked(IMPLIES), "mcp:tools");
    assert_eq!(asked(&format!("step_up = false\n{IMPLIES}")), "mcp:tools mcp:write mcp:read");
}
