//! Every vector of the two Wycheproof files; their README stands beside them.

use serde_json::{Value, json};

use super::support::Judge;
use crate::config::{Algorithm, TokenRules};
use crate::keys::jwks::KeySet;
use crate::token::TokenError;
use crate::token::compact::Compact;
use crate::token::header;
use crate::token::json::Object;
use crate::token::verify::signer;

const SIGNATURES: &str = include_str!("../../../tests/fixtures/wycheproof/json_web_signature_test.json");
const KEYS: &str = include_str!("../../../tests/fixtures/wycheproof/json_web_key_test.json");

/// `valid` vectors that are refused here, and why.
const REFUSED: [(u64, &str); 4] = [
    (346, "its PS256 key verifies a PS384 header"),
    (347, "ES521 is no registered algorithm"),
    (350, "its PS256 key verifies a PS384 header"),
    (351, "ES521 is no registered algorithm"),
];

/// The request path without claims: payloads of vectors are no claim sets.
fn verify(jws: &str, keys: &KeySet, rules: &TokenRules) -> Result<(), TokenError> {
    let parts = Compact::read(jws)?;
    let header = Object::read(parts.header)?;
    let algorithm = header::check(header.members(), rules)?;
    let candidates = keys.candidates(header::key_id(header.members())?, algorithm);
    signer(parts.message, &parts.signature, algorithm, &candidates).map(|_| ())
}

/// Judges every vector of a file; `jwks` makes a set of what its groups hold. Gives how many ran and how many were let in.
fn run(file: &str, jwks: fn(&Value) -> Value) -> (usize, usize) {
    let mut rules = Judge::new().expect.rules;
    rules.algorithms = vec![
        Algorithm::Rs256,
        Algorithm::Rs384,
        Algorithm::Rs512,
        Algorithm::Ps256,
        Algorithm::Ps384,
        Algorithm::Ps512,
        Algorithm::Es256,
        Algorithm::Es384,
        Algorithm::EdDsa,
        Algorithm::Ed25519,
    ];
    let file: Value = serde_json::from_str(file).unwrap();
    let (mut ran, mut verified) = (0, 0);
    for group in file["testGroups"].as_array().unwrap() {
        let set = jwks(group.get("public").unwrap_or(&group["private"]));
        // HMAC groups: no key is left.
        let symmetric = set["keys"].as_array().unwrap().iter().all(|key| key["kty"] == "oct");
        let keys = KeySet::parse(set.to_string().as_bytes()).unwrap().keys;
        assert!(!symmetric || keys.is_empty());
        for test in group["tests"].as_array().unwrap() {
            let id = test["tcId"].as_u64().unwrap();
            let verdict = verify(test["jws"].as_str().unwrap(), &keys, &rules);
            let expected = test["result"] == "valid" && !symmetric && REFUSED.iter().all(|(refused, _)| *refused != id);
            assert_eq!(verdict.is_ok(), expected, "vector {id}, {}: {verdict:?}", test["comment"]);
            ran += 1;
            verified += usize::from(verdict.is_ok());
        }
    }
    (ran, verified)
}

#[test]
fn signature_vectors_have_their_result() {
    assert_eq!(run(SIGNATURES, |key| json!({ "keys": [key] })), (401, 32));
}

#[test]
fn key_set_vectors_have_their_result() {
    assert_eq!(run(KEYS, Value::clone), (26, 1));
}
