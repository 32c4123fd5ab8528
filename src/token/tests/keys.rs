//! Which key verifies a token, and which never does.

use serde_json::json;

use super::support::{Judge, Signer, claims, ec, ec384, ed, encode, keys, refused, rsa, set, stranger};
use crate::config::Algorithm;
use crate::token::TokenError;

/// A token that says `label` and is signed by this key as `actual`.
fn labelled(key: &Signer, label: &str, actual: &str) -> String {
    let mut header = key.header();
    header["alg"] = label.into();
    let message = format!("{}.{}", encode(header.to_string()), encode(claims().to_string()));
    let signature = encode(key.sign(actual, &message));
    format!("{message}.{signature}")
}

fn judge_of(signers: &[&Signer]) -> Judge {
    let mut judge = Judge::new();
    judge.keys = keys(signers);
    judge
}

#[test]
fn each_kind_of_key_verifies_what_it_signed() {
    let mut judge = judge_of(&[rsa(), ec(), ec384(), ed()]);
    judge.expect.rules.algorithms.extend([Algorithm::Rs384, Algorithm::Es384, Algorithm::Ed25519]);
    for (signer, alg) in [
        (rsa(), "RS256"),
        (rsa(), "RS384"),
        (rsa(), "PS256"),
        (ec(), "ES256"),
        (ec384(), "ES384"),
        (ed(), "EdDSA"),
        (ed(), "Ed25519"),
    ] {
        judge.judge(&labelled(signer, alg, alg)).unwrap_or_else(|error| panic!("{alg}: {error}"));
    }
}

#[test]
fn t16_signature_under_another_label_is_refused() {
    let mut judge = judge_of(&[rsa(), ec(), ed()]);
    judge.expect.rules.algorithms.push(Algorithm::Rs384);
    for (label, actual) in [("PS256", "RS256"), ("RS256", "PS256"), ("RS384", "RS256"), ("RS256", "RS384")] {
        refused(judge.judge(&labelled(rsa(), label, actual)), TokenError::Signature, label);
    }
    // Where the label does not fit the key that the kid names, no key is left to try.
    for (signer, label) in [(ec(), "RS256"), (rsa(), "ES256"), (ec(), "EdDSA"), (ed(), "ES256")] {
        refused(judge.judge(&labelled(signer, label, signer.alg)), TokenError::KeyId, label);
    }
}

#[test]
fn t13_no_public_key_text_is_a_secret() {
    let judge = judge_of(&[rsa(), ec()]);
    for signer in [rsa(), ec()] {
        let token = labelled(signer, "HS256", signer.alg);
        refused(judge.judge(&token), TokenError::Algorithm, token);
    }
}

#[test]
fn t18_der_form_of_an_ecdsa_signature_is_refused() {
    let good = ec().token(&ec().header(), &claims());
    let (message, _) = good.rsplit_once('.').unwrap();
    let raw = ec().sign("ES256", message);
    let integer = |half: &[u8]| [&[2, 33, 0], half].concat();
    let body = [integer(&raw[..32]), integer(&raw[32..])].concat();
    let der = [vec![0x30, u8::try_from(body.len()).unwrap()], body].concat();
    for signature in [der, raw[..63].to_vec(), [raw.as_slice(), &[0]].concat(), [&[0], raw.as_slice()].concat()] {
        let token = format!("{message}.{}", encode(&signature));
        refused(Judge::new().judge(&token), TokenError::Signature, signature.len());
    }
    Judge::new().judge(&format!("{message}.{}", encode(raw))).unwrap();
}

#[test]
fn k2_key_with_another_alg_is_not_tried() {
    let mut jwk = rsa().jwk.clone();
    jwk["alg"] = "PS256".into();
    let mut judge = Judge::new();
    judge.keys = set(&json!({ "keys": [jwk] }));
    refused(judge.judge(&labelled(rsa(), "RS256", "RS256")), TokenError::KeyId, "RS256");
    judge.judge(&labelled(rsa(), "PS256", "PS256")).unwrap();
}

#[test]
fn k9_one_kid_twice_verifies_with_the_key_that_fits() {
    let token = ec().token(&ec().header(), &claims());
    let mut other = rsa().jwk.clone();
    other["kid"] = "ES256".into();
    for jwks in [
        json!([other, ec().jwk]),
        json!([ec().jwk, other]),
        json!([stranger().jwk, ec().jwk]),
        json!([ec().jwk, stranger().jwk]),
    ] {
        let mut judge = Judge::new();
        judge.keys = set(&json!({ "keys": jwks }));
        judge.judge(&token).unwrap();
    }
}

#[test]
fn k10_token_without_kid_is_held_against_the_keys_of_its_algorithm() {
    let mut header = ec().header();
    header.as_object_mut().unwrap().remove("kid");
    let token = ec().token(&header, &claims());
    judge_of(&[rsa(), stranger(), ec()]).judge(&token).unwrap();
    refused(judge_of(&[rsa(), ed()]).judge(&token), TokenError::KeyId, "no key of the algorithm");
    refused(judge_of(&[stranger()]).judge(&token), TokenError::Signature, "another key");
}

#[test]
fn k11_key_of_another_issuer_verifies_nothing() {
    let token = stranger().token(&stranger().header(), &claims());
    refused(Judge::new().judge(&token), TokenError::Signature, "same kid, another key");
}

#[test]
fn k13_issuer_that_the_route_does_not_list_is_refused() {
    let verdict = Judge::new().with("iss", "https://other.example.com");
    refused(verdict, TokenError::Issuer, "good signature");
}

#[test]
fn k23_withdrawn_key_verifies_no_more() {
    let judge = Judge::new();
    let identity = judge.claims(|_| {}).unwrap();
    let next = judge_of(&[ed()]);
    assert!(judge.keys.contains(identity.key()) && !next.keys.contains(identity.key()));
    refused(next.claims(|_| {}), TokenError::KeyId, "withdrawn");
}
