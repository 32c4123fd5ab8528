//! The token's own header decides nothing that the configuration does not allow.

use serde_json::{Value, json};

use super::support::{Judge, claims, ec, encode, refused};
use crate::config::Algorithm;
use crate::token::TokenError;

#[test]
fn t12_alg_none_in_any_spelling_is_refused() {
    let judge = Judge::new();
    for alg in ["none", "None", "NONE", "nOnE", "none ", ""] {
        refused(judge.header(|header| header["alg"] = alg.into()), TokenError::Algorithm, alg);
        let bare = format!("{}.{}.", encode(json!({ "alg": alg }).to_string()), encode(claims().to_string()));
        refused(judge.judge(&bare), TokenError::Algorithm, bare);
    }
}

#[test]
fn t13_hmac_is_never_accepted() {
    let judge = Judge::new();
    for alg in ["HS256", "HS384", "HS512"] {
        refused(judge.header(|header| header["alg"] = alg.into()), TokenError::Algorithm, alg);
    }
}

#[test]
fn t14_algorithm_that_is_not_listed_is_refused() {
    let mut judge = Judge::new();
    judge.expect.rules.algorithms = vec![Algorithm::Rs256];
    refused(judge.header(|_| {}), TokenError::Algorithm, "ES256, good signature");
    judge.expect.rules.algorithms = vec![Algorithm::Es256];
    judge.header(|_| {}).unwrap();
    for alg in [json!("es256"), json!("ES512"), json!("ES256K"), json!(["ES256"]), json!(null), json!(256)] {
        refused(judge.header(|header| header["alg"] = alg.clone()), TokenError::Algorithm, alg);
    }
    let without = |header: &mut Value| {
        header.as_object_mut().unwrap().remove("alg");
    };
    refused(judge.header(without), TokenError::Algorithm, "no alg");
}

#[test]
fn t21_embedded_and_named_keys_are_refused() {
    let judge = Judge::new();
    for (member, value) in [
        ("jwk", ec().jwk.clone()),
        ("jwk", json!(null)),
        ("jku", json!("https://evil.example/keys")),
        ("x5u", json!("https://evil.example/chain")),
    ] {
        refused(judge.header(|header| header[member] = value), TokenError::Header, member);
    }
    // A certificate chain is not looked at: the configured issuer's key decides.
    judge.header(|header| header["x5c"] = json!(["MIIB"])).unwrap();
}

#[test]
fn t22_unknown_kid_is_only_compared() {
    let judge = Judge::new();
    let kids =
        ["", "es256", "ES256 ", "../../dev/null", "' OR 1=1 --", "$(id)", "https://evil.example/key", "ES256\u{0}"];
    for kid in kids {
        refused(judge.header(|header| header["kid"] = kid.into()), TokenError::KeyId, kid);
    }
}

#[test]
fn t24_kid_that_is_no_bounded_string_is_refused() {
    let judge = Judge::new();
    for kid in [json!(1), json!(null), json!(["ES256"]), json!({"kid": "ES256"}), json!(true), json!("k".repeat(257))] {
        refused(judge.header(|header| header["kid"] = kid.clone()), TokenError::Header, kid);
    }
}

#[test]
fn t25_crit_is_refused_whatever_it_names() {
    let judge = Judge::new();
    for crit in [json!(["exp"]), json!(["b64"]), json!([]), json!("exp"), json!(null), json!({})] {
        refused(judge.header(|header| header["crit"] = crit.clone()), TokenError::Critical, crit);
    }
}

#[test]
fn t26_b64_is_refused() {
    for b64 in [json!(false), json!(true)] {
        refused(Judge::new().header(|header| header["b64"] = b64.clone()), TokenError::Critical, b64);
    }
}

#[test]
fn t27_nested_compressed_and_encrypted_tokens_are_refused() {
    let judge = Judge::new();
    refused(judge.header(|header| header["cty"] = "JWT".into()), TokenError::Shape, "cty");
    refused(judge.header(|header| header["zip"] = "DEF".into()), TokenError::Shape, "zip");
    let jwe = format!("{}.a2V5.aXY.Y2lwaGVy.dGFn", encode(r#"{"alg":"RSA-OAEP","enc":"A256GCM"}"#));
    refused(judge.judge(&jwe), TokenError::Shape, jwe);
}

#[test]
fn t33_typ_is_one_of_the_listed() {
    let judge = Judge::new();
    for typ in ["at+jwt", "AT+JWT", "application/at+jwt", "Application/At+Jwt", "JWT", "jwt"] {
        judge.header(|header| header["typ"] = typ.into()).unwrap();
    }
    let without = |header: &mut Value| {
        header.as_object_mut().unwrap().remove("typ");
    };
    judge.header(without).unwrap();
    let no_type =
        ["", "application/", "at+jwt ", "text/at+jwt", "xpplication/at+jwt", "application/application/at+jwt"];
    for typ in ["id+jwt", "rt+jwt"].into_iter().chain(no_type) {
        refused(judge.header(|header| header["typ"] = typ.into()), TokenError::Type, typ);
    }
    for typ in [json!(1), json!(null), json!(["at+jwt"])] {
        refused(judge.header(|header| header["typ"] = typ.clone()), TokenError::Header, typ);
    }

    let strict = Judge::strict();
    strict.header(|_| {}).unwrap();
    refused(strict.header(without), TokenError::Type, "no typ");
    refused(strict.header(|header| header["typ"] = "JWT".into()), TokenError::Type, "JWT");
}

#[test]
fn t33_some_types_are_refused_even_when_listed() {
    let mut judge = Judge::new();
    let never = ["oauth-id-jag+jwt", "dpop+jwt", "logout+jwt", "secevent+jwt", "token-introspection+jwt"];
    for typ in never {
        judge.expect.rules.token_types.push(typ.to_owned());
        refused(judge.header(|header| header["typ"] = typ.into()), TokenError::Type, typ);
        let long = format!("application/{}", typ.to_uppercase());
        refused(judge.header(|header| header["typ"] = long.into()), TokenError::Type, typ);
    }
}
