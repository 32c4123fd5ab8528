//! A token is explained claim by claim; that it is explained as it is judged, `Judge::judge` asserts for every token of these tests.

use serde_json::json;

use super::support::{Judge, claims, ec};
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
}
