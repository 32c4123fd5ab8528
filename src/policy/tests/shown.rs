//! What lists show: what a call would be allowed.

use super::*;
use crate::mcp::list::ListKind::{self, Prompts, Resources, Skills, Templates, Tools};

#[test]
fn m22_an_entry_is_shown_to_those_who_may_use_it() {
    let world = World::new(
        r#"
        default = "deny"
        rules = [
          { methods = ["tools/call"], tools = ["delete_*"], scopes = ["mcp:admin"] },
          { tools = ["*"], prompts = ["p"] },
          { methods = ["resources/read"], resources = ["note://public/*"] },
          { resources = ["note://private/*"], scopes = ["mcp:admin"] },
          { methods = ["skills/get"], resources = ["skill://open/*"] },
          { resources = ["skill://hr/*"], scopes = ["mcp:admin"] },
        ]"#,
    );
    let (user, admin) = (world.scopes(""), world.scopes("mcp:admin"));
    for (list, name, to_user, to_admin) in [
        (Tools, "delete_note", false, true),
        (Tools, "p", true, true),
        (Prompts, "p", true, true),
        (Prompts, "delete_note", false, false),
        (Resources, "note://public/1", true, true),
        (Resources, "note://private/1", false, true),
        (Resources, "note://public/../private/1", false, false),
        (Resources, "NOTE://public/1", false, false),
        (Templates, "note://public/{Id}", true, true),
        (Templates, "note://{kind}/1", false, false),
        (Templates, "note://public/../{x}", false, false),
        (Skills, "skill://open/SKILL.md", true, true),
        (Skills, "skill://hr/SKILL.md", false, true),
        (Skills, "note://public/1", false, false),
    ] {
        assert_eq!(world.policy.shows(&user, list, name), to_user, "{name}");
        assert_eq!(world.policy.shows(&admin, list, name), to_admin, "{name}");
    }
}

#[test]
fn a_list_that_nothing_can_shorten_is_left_alone() {
    let can_hide = |policy: &str| ListKind::ALL.map(|list| World::new(policy).policy.can_hide(list));
    let allow = |rules: &str| can_hide(&format!("default = \"allow\"\nrules = [{rules}]"));
    let deny = |rules: &str| can_hide(&format!("default = \"deny\"\nrules = [{rules}]"));
    assert_eq!(can_hide(""), [false; 5]);
    assert_eq!(can_hide("default = \"deny\""), [true; 5]);
    assert_eq!(allow("{ methods = [\"*/list\"], scopes = [\"s\"] }"), [false; 5]);
    assert_eq!(allow("{ tools = [\"a\"], scopes = [\"s\"] }"), [true, false, false, false, false]);
    assert_eq!(allow("{ tools = [\"a\"], tenants = [\"t\"], deny = true }"), [true, false, false, false, false]);
    assert_eq!(allow("{ tools = [\"a\"], cost = 2 }"), [false; 5]);
    assert_eq!(allow("{ prompts = [\"*\"] }, { methods = [\"prompts/get\"], deny = true }"), [false; 5]);
    assert_eq!(
        allow("{ prompts = [\"a*\"] }, { methods = [\"prompts/get\"], deny = true }"),
        [false, true, false, false, false]
    );
    // Where resources are told apart, those with two readings are hidden.
    assert_eq!(allow("{ resources = [\"note://*\"] }"), [false, false, true, true, true]);
    assert_eq!(allow("{ resources = [\"*\"] }"), [false; 5]);
    assert_eq!(deny("{ methods = [\"*\"] }"), [false; 5]);
    assert_eq!(deny("{ tools = [\"**\"] }, { tools = [\"a\"], deny = true }"), [false, true, true, true, true]);
    assert_eq!(deny("{ clients = [\"c\"] }, {}"), [true; 5]);
}
