//! A token is explained claim by claim; that it is explained as it is judged, `Judge::judge` asserts for every token of these tests.

use serde_json::json;

use super::support::{Judge, claims, ec, path};
use crate::token::TokenError;
use crate::token::verify::Unverified;

#[test]
fn every_mistake_of_a_token_is_found_at_once() {
    let judge = Judge::strict();
    let mut claims = claims();
    claims["iss"] = json!("https://login.example.com/");
    claims["exp"] = json!(1);
    claims["aud"] = json!(["a", "b"]);
    claims["client_id"] = json!(7);
    claims["cnf"] = json!({"jkt": "x"});
    claims.as_object_mut().unwrap().remove("jti");
    let token = ec().token(&json!({"alg": "ES256", "typ": "JWT", "kid": "ES256"}), &claims);
    let unverified = Unverified::read(&token).unwrap();
    let examined = unverified.examine(&judge.expect, None, judge.now);
    let wrong: Vec<(&str, TokenError)> =
        examined.iter().filter_map(|one| Some((one.name.as_str(), one.verdict.err()?))).collect();
    let expected = [
        ("typ", TokenError::Type),
        ("iss", TokenError::Issuer),
        ("exp", TokenError::Expired),
        ("aud", TokenError::Audience),
        ("cnf", TokenError::Confirmation),
        ("client_id", TokenError::Client),
        ("jti", TokenError::TokenId),
    ];
    assert_eq!(wrong, expected);
    let shown = |name: &str| examined.iter().find(|one| one.name == name).and_then(|one| one.found.as_deref());
    assert_eq!((shown("aud"), shown("jti")), (Some(r#"["a","b"]"#), None));
    assert!(unverified.examine_signature(&judge.expect, &judge.keys).is_ok(), "the signature is a matter of its own");
    let signature = token.rsplit('.').next().unwrap();
    assert!(!format!("{examined:?}").contains(signature));
}

#[test]
fn long_values_are_cut() {
    let judge = Judge::new();
    let mut claims = claims();
    claims["aud"] = json!(vec!["https://mcp.example.com/mcp"; 100]);
    let token = ec().token(&ec().header(), &claims);
    let examined = Unverified::read(&token).unwrap().examine(&judge.expect, None, judge.now);
    assert!(examined.iter().all(|one| one.found.as_ref().is_none_or(|text| text.chars().count() <= 201)));
    assert!(examined.iter().all(|one| one.verdict.is_ok()));
    let is_cut = |name: &str| {
        examined.iter().find(|one| one.name == name).unwrap().found.as_ref().is_some_and(|text| text.ends_with('…'))
    };
    assert!(is_cut("aud") && !is_cut("sub"));
}

#[test]
fn a_claim_that_must_have_its_text_is_called_by_its_name() {
    let mut judge = Judge::new();
    judge.expect.rules.claims.require = vec![(path("token_use"), "access".to_owned())];
    let kind_of_token = |claims: &serde_json::Value| {
        let token = ec().token(&ec().header(), claims);
        let examined = Unverified::read(&token).unwrap().examine(&judge.expect, None, judge.now);
        let wrong = examined.into_iter().find_map(|one| Some((one.name, one.verdict.err()?)));
        wrong.unwrap()
    };
    assert_eq!(kind_of_token(&claims()), ("token_use".to_owned(), TokenError::Required));
    let mut bound = claims();
    bound["cnf"] = json!({"jkt": "x"});
    assert_eq!(kind_of_token(&bound), ("cnf".to_owned(), TokenError::Confirmation));
}
