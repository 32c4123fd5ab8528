//! Claims: audience, issuer, subject, client, scopes, and what the gateway does not support.

use serde_json::{Value, json};

use super::support::{ISSUER, Judge, RESOURCE, claims, ec, path, paths, refused};
use crate::config::Resource;
use crate::names::Scope;
use crate::token::Kind;
use crate::token::TokenError;
use crate::token::audience::is_same_url;

#[test]
fn c1_aud_that_does_not_name_the_resource_is_refused() {
    let judge = Judge::new();
    refused(judge.without("aud"), TokenError::Audience, "no aud");
    for aud in [
        json!(null),
        json!(""),
        json!([]),
        json!(7),
        json!(true),
        json!({"0": RESOURCE}),
        json!("https://other.example.com/mcp"),
        json!([RESOURCE, 1]),
        json!([[RESOURCE]]),
        json!([null, RESOURCE]),
        json!("mcp"),
    ] {
        refused(judge.with("aud", aud.clone()), TokenError::Audience, aud);
    }
}

#[test]
fn c2_aud_that_differs_in_what_is_not_folded_is_refused() {
    let judge = Judge::new();
    for aud in [
        "https://mcp.example.com/mcp/",
        "https://mcp.example.com/MCP",
        "https://mcp.example.com/mc%70",
        "https://mcp.example.com/mcp?",
        "https://mcp.example.com/mcp#",
        "https://mcp.example.com//mcp",
        "https://mcp.example.com/./mcp",
        "https://mcp.example.com",
        "https://mcp.example.com/mcp/x",
        "https://mcp.example.com/mc",
        "http://mcp.example.com/mcp",
        "http://mcp.example.com:443/mcp",
        "https://mcp.example.com:8443/mcp",
        "https://mcp.example.com:0443/mcp",
        "https://mcp.example.com:/mcp",
        "https://mcp.example.com./mcp",
        "https://user@mcp.example.com/mcp",
        "https://mcp.example.com@evil.example/mcp",
        "https://evil.example/https://mcp.example.com/mcp",
        " https://mcp.example.com/mcp",
        "https://mcp.example.com/mcp ",
        "https://mcp.example.com /mcp",
        "https:/mcp.example.com/mcp",
        "//mcp.example.com/mcp",
        "mcp.example.com/mcp",
        "https://mcp.example.com/mcp,x",
    ] {
        refused(judge.with("aud", aud), TokenError::Audience, aud);
    }
    for aud in ["HTTPS://mcp.example.com/mcp", "https://MCP.Example.com/mcp", "https://mcp.example.com:443/mcp"] {
        judge.with("aud", aud).unwrap_or_else(|error| panic!("{aud}: {error}"));
    }
}

#[test]
fn c2_empty_path_and_lone_slash_are_one_origin() {
    let mut judge = Judge::new();
    for resource in ["https://h.example", "https://h.example/"] {
        judge.expect.resource = Resource::parse(resource).unwrap();
        for aud in ["https://h.example", "https://h.example/", "https://H.example:443"] {
            judge.with("aud", aud).unwrap();
        }
        for aud in [
            "https://h.example/x",
            "https://h.example?",
            "https://h.example#",
            "https://h.example//",
            "https://h.example:",
        ] {
            refused(judge.with("aud", aud), TokenError::Audience, (resource, aud));
        }
    }
}

#[test]
fn c2_only_web_urls_have_further_spellings() {
    for (a, b) in [
        ("http://h.example:80/mcp", "HTTP://H.example/mcp"),
        ("https://[::1]/mcp", "https://[::1]:443/mcp"),
        ("https://[::1]:8443/mcp", "HTTPS://[::1]:8443/mcp"),
    ] {
        assert!(is_same_url(a, b), "{a} {b}");
    }
    for (a, b) in [
        ("ftp://h.example/mcp", "ftp://H.example/mcp"),
        ("ftp://h.example/mcp", "ftp://h.example:80/mcp"),
        ("ftp://h.example/mcp", "http://h.example/mcp"),
        ("api://h.example", "api://h.example/"),
    ] {
        assert!(!is_same_url(a, b) && is_same_url(a, a), "{a} {b}");
    }
}

#[test]
fn c3_aud_array_that_holds_ours_is_served() {
    let judge = Judge::new();
    judge.with("aud", json!(["https://other.example.com/", RESOURCE])).unwrap();
    judge.with("aud", json!([RESOURCE])).unwrap();
}

#[test]
fn further_audiences_are_exact() {
    let mut judge = Judge::new();
    judge.expect.audiences = vec!["api://notes".into(), "https://X.example/a".into()];
    for aud in ["api://notes", "https://X.example/a", RESOURCE] {
        judge.with("aud", aud).unwrap();
    }
    for aud in ["API://notes", "api://notes/", "https://x.example/a", "https://X.example:443/a"] {
        refused(judge.with("aud", aud), TokenError::Audience, aud);
    }
}

#[test]
fn audience_of_another_claim_counts_only_when_aud_is_absent() {
    let mut judge = Judge::new();
    judge.expect.rules.claims.audience_when_absent = Some(path("client_id"));
    judge.expect.audiences = vec!["editor".into()];
    judge.without("aud").unwrap();
    for aud in [json!(null), json!([]), json!("another")] {
        refused(judge.with("aud", aud.clone()), TokenError::Audience, aud);
    }
    judge.expect.audiences = vec!["other".into()];
    refused(judge.without("aud"), TokenError::Audience, "another client");
}

#[test]
fn c5_iss_that_is_not_the_same_text_is_refused() {
    let judge = Judge::new();
    refused(judge.without("iss"), TokenError::Issuer, "no iss");
    for iss in [
        json!("https://login.example.com/"),
        json!("https://LOGIN.example.com"),
        json!("https://login.example.com:443"),
        json!("http://login.example.com"),
        json!("https://user@login.example.com"),
        json!(" https://login.example.com"),
        json!([ISSUER]),
        json!(null),
        json!(1),
        json!(""),
    ] {
        refused(judge.with("iss", iss.clone()), TokenError::Issuer, iss);
    }
}

#[test]
fn t34_id_token_is_refused() {
    let judge = Judge::new();
    refused(judge.with("aud", "editor"), TokenError::Audience, "its audience is the client");
    for mark in ["nonce", "at_hash", "c_hash"] {
        refused(judge.with(mark, "x"), TokenError::IdToken, mark);
        refused(judge.with(mark, Value::Null), TokenError::IdToken, mark);
        Judge::strict().with(mark, "x").unwrap();
        let mut judge = Judge::strict();
        judge.expect.rules.token_types.push("jwt".into());
        let (mut header, mut claims) = (ec().header(), claims());
        claims[mark] = "x".into();
        judge.judge(&ec().token(&header, &claims)).unwrap();
        header["typ"] = "JWT".into();
        refused(judge.judge(&ec().token(&header, &claims)), TokenError::IdToken, "strict, of another type");
    }
}

#[test]
fn token_bound_to_a_key_is_refused() {
    for cnf in [json!({"jkt": "x"}), json!({"x5t#S256": "x"}), json!({}), json!(null)] {
        refused(Judge::new().with("cnf", cnf.clone()), TokenError::Confirmation, &cnf);
        refused(Judge::strict().with("cnf", cnf.clone()), TokenError::Confirmation, &cnf);
    }
}

#[test]
fn required_claim_must_have_its_text() {
    let mut judge = Judge::new();
    judge.expect.rules.claims.require = vec![(path("token_use"), "access".into())];
    judge.with("token_use", "access").unwrap();
    refused(judge.claims(|_| {}), TokenError::Required, "absent");
    for value in [json!("id"), json!("Access"), json!(["access"]), json!(null)] {
        refused(judge.with("token_use", value.clone()), TokenError::Required, value);
    }
}

#[test]
fn c13_sub_that_names_nobody_is_refused() {
    let judge = Judge::new();
    refused(judge.without("sub"), TokenError::Subject, "no sub");
    for sub in [json!(""), json!(null), json!(7), json!(["alice"]), json!({})] {
        refused(judge.with("sub", sub.clone()), TokenError::Subject, sub);
    }
}

#[test]
fn client_and_jti_are_required_by_the_strict_profile_only() {
    let (open, strict) = (Judge::new(), Judge::strict());
    assert!(open.without("client_id").unwrap().client().is_none());
    assert!(open.without("jti").unwrap().token_id().is_none());
    refused(strict.without("client_id"), TokenError::Client, "no client");
    refused(strict.without("jti"), TokenError::TokenId, "no jti");
    let mut required = Judge::new();
    required.expect.rules.client_required = true;
    refused(required.without("client_id"), TokenError::Client, "a profile that wants a client");
    for judge in [&open, &strict, &required] {
        for value in [json!(""), json!(null), json!(7), json!(["editor"])] {
            refused(judge.with("client_id", value.clone()), TokenError::Client, &value);
            refused(judge.with("jti", value.clone()), TokenError::TokenId, &value);
        }
    }
}

#[test]
fn client_is_the_first_claim_that_is_present() {
    let judge = Judge::new();
    let both = judge.with("azp", "another").unwrap();
    assert_eq!(both.client().unwrap().as_str(), "editor");
    let only = judge
        .claims(|claims| {
            claims.as_object_mut().unwrap().remove("client_id");
            claims["azp"] = "https://client.example/metadata".into();
        })
        .unwrap();
    assert_eq!(only.client().unwrap().as_str(), "https://client.example/metadata");
}

#[test]
fn c14_control_bytes_in_what_is_injected_are_refused() {
    let mut judge = Judge::new();
    judge.expect.claims = paths(&["email"]);
    let controls = ["a\r\nx-auth-subject: root", "a\0", "\u{7f}", "\u{1b}[2J", "a\tb", "\u{85}"];
    for text in controls {
        for claim in ["sub", "client_id", "tid", "scope", "jti", "email"] {
            refused(judge.with(claim, text), TokenError::ClaimBytes, (claim, text));
        }
        refused(judge.with("email", json!(["fine", text])), TokenError::ClaimBytes, text);
    }
    assert_eq!(judge.with("sub", "Zoë 🦊").unwrap().subject().as_str(), "Zoë 🦊");
}

#[test]
fn c15_oversized_claims_are_refused() {
    let mut judge = Judge::new();
    judge.expect.claims = paths(&["email"]);
    judge.expect.rules.claims.scopes_may_be_array = true;
    for claim in ["sub", "client_id", "tid"] {
        judge.with(claim, "x".repeat(256)).unwrap();
        refused(judge.with(claim, "x".repeat(257)), TokenError::ClaimSize, claim);
        refused(judge.with(claim, "é".repeat(129)), TokenError::ClaimSize, claim);
    }
    let scopes = |count: usize| vec!["s234567"; count];
    judge.with("scope", scopes(512).join(" ")).unwrap();
    refused(judge.with("scope", scopes(513).join(" ")), TokenError::ClaimSize, "string");
    refused(judge.with("scope", json!(scopes(513))), TokenError::ClaimSize, "array");
    judge.with("email", "x".repeat(4096)).unwrap();
    refused(judge.with("email", "x".repeat(4097)), TokenError::ClaimSize, "email");
    refused(judge.with("email", json!(scopes(513))), TokenError::ClaimSize, "email array");
    refused(judge.with("jti", "x".repeat(4097)), TokenError::ClaimSize, "jti");
    judge.expect.facts = paths(&["groups"]);
    judge.with("groups", json!(["x".repeat(4096), "x".repeat(4096)])).unwrap();
    refused(judge.with("groups", json!(["x".repeat(4096), "x".repeat(4097)])), TokenError::ClaimSize, "two groups");
    refused(judge.with("groups", json!(scopes(1171))), TokenError::ClaimSize, "groups");
}

#[test]
fn scopes_are_one_string_with_single_spaces() {
    let judge = Judge::new();
    let scopes =
        |identity: crate::token::Identity| -> Vec<String> { identity.scopes().iter().map(Scope::to_string).collect() };
    assert_eq!(scopes(judge.claims(|_| {}).unwrap()), ["mcp:read", "mcp:write"]);
    assert!(judge.with("scope", "").unwrap().scopes().is_empty());
    assert!(judge.without("scope").unwrap().scopes().is_empty());
    for scope in [
        json!(" a"),
        json!("a "),
        json!("a  b"),
        json!(" "),
        json!("a\"b"),
        json!("ä"),
        json!(7),
        json!(null),
        json!(["a"]),
        json!({}),
    ] {
        refused(judge.with("scope", scope.clone()), TokenError::Scope, scope);
    }
}

#[test]
fn scope_arrays_are_read_where_the_rules_say_so() {
    let mut judge = Judge::new();
    judge.expect.rules.claims.scopes_may_be_array = true;
    let identity = judge.with("scope", json!(["a", "b"])).unwrap();
    assert_eq!(identity.scopes().len(), 2);
    assert!(judge.with("scope", json!([])).unwrap().scopes().is_empty());
    for scope in [json!(["a b"]), json!(["a", 1]), json!([""]), json!([null]), json!([["a"]])] {
        refused(judge.with("scope", scope.clone()), TokenError::Scope, scope);
    }
}

#[test]
fn c18_scopes_are_compared_whole_and_in_exact_case() {
    let identity = Judge::new().with("scope", "mcp:read mcp:*").unwrap();
    let has = |names: &[&str]| {
        let needed: Vec<Scope> = names.iter().map(|name| Scope::parse(name).unwrap()).collect();
        needed.iter().all(|scope| identity.scopes().contains(scope))
    };
    assert!(has(&[]) && has(&["mcp:read"]) && has(&["mcp:*", "mcp:read"]));
    for lacking in ["mcp", "mcp:rea", "mcp:read:all", "MCP:READ", "mcp:write"] {
        assert!(!has(&[lacking]) && !has(&["mcp:read", lacking]), "{lacking}");
    }
}

#[test]
fn service_is_told_from_a_user_by_its_own_sub() {
    let mut judge = Judge::new();
    assert_eq!(judge.claims(|_| {}).unwrap().kind(), Kind::User);
    assert_eq!(judge.with("sub", "editor").unwrap().kind(), Kind::Service);
    assert_eq!(judge.without("client_id").unwrap().kind(), Kind::User);
    // A login name is a text of the user's choice: it makes nobody a service.
    judge.expect.rules.claims.subject = paths(&["login"]);
    let identity = judge.with("login", "editor").unwrap();
    assert_eq!((identity.subject().as_str(), identity.kind()), ("editor", Kind::User));
}

#[test]
fn injected_claims_are_text_or_left_out() {
    let mut judge = Judge::new();
    judge.expect.claims = paths(&["value", "realm_access.roles"]);
    let value = |value: Value| judge.with("value", value).unwrap().claim(&path("value")).map(str::to_owned);
    assert_eq!(value(json!("a b, c")).as_deref(), Some("a b, c"));
    assert_eq!(value(json!(7)).as_deref(), Some("7"));
    assert_eq!(value(json!(-7)).as_deref(), Some("-7"));
    assert_eq!(value(json!(true)).as_deref(), Some("true"));
    assert_eq!(value(json!(["a", "b"])).as_deref(), Some("a b"));
    for lost in [json!(null), json!({"a": 1}), json!(["a", 1])] {
        assert_eq!(value(lost), None);
    }
    for ambiguous in [json!(["a b"]), json!(["a", ""])] {
        refused(judge.with("value", ambiguous.clone()), TokenError::ClaimBytes, ambiguous);
    }
    let nested = judge.with("realm_access", json!({"roles": ["user"]})).unwrap();
    assert_eq!(nested.claim(&path("realm_access.roles")), Some("user"));
    assert_eq!(nested.claim(&path("value")), None);
    let whole = judge.with("realm_access.roles", "whole").unwrap();
    assert_eq!(whole.claim(&path("realm_access.roles")), Some("whole"));
}
