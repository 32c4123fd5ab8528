//! Key sets: which keys of a set can be used, and which one verifies a token.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::*;

/// Sets that are themselves under test; see the README beside the file.
const KEY_VECTORS: &str = include_str!("../../../tests/fixtures/wycheproof/json_web_key_test.json");

/// The public key set of the vector group that holds this test.
fn vector(id: u64) -> Value {
    let file: Value = serde_json::from_str(KEY_VECTORS).unwrap();
    let holds = |group: &&Value| group["tests"].as_array().unwrap().iter().any(|test| test["tcId"] == id);
    let group = file["testGroups"].as_array().unwrap().iter().find(holds).unwrap();
    group.get("public").unwrap_or(&group["private"]).clone()
}

fn parse(set: &Value) -> Parsed {
    KeySet::parse(set.to_string().as_bytes()).unwrap()
}

/// The good RSA key of vector 5, changed in one member; `null` removes it.
fn rsa_with(member: &str, value: Value) -> Value {
    changed(&vector(5)["keys"][0], member, value)
}

/// A good P-256 key, changed in one member.
fn ec_with(member: &str, value: Value) -> Value {
    let mut key = vector(22)["keys"][0].clone();
    key["y"] = "UI8exy-C06a7DUnjIdENkxeFtHM4-l_41LqEw9nVgmw".into();
    changed(&key, member, value)
}

fn changed(key: &Value, member: &str, value: Value) -> Value {
    let mut key = key.clone();
    if value.is_null() {
        key.as_object_mut().unwrap().remove(member);
    } else {
        key[member] = value;
    }
    key
}

fn reason(key: impl Into<Value>) -> Option<&'static str> {
    let key: Value = key.into();
    let parsed = parse(&json!({ "keys": [key] }));
    assert_eq!(parsed.keys.len() + parsed.skipped.len(), 1);
    parsed.skipped.first().map(|skipped| skipped.reason)
}

#[test]
fn the_unchanged_keys_are_usable() {
    assert_eq!(reason(rsa_with("x", Value::Null)), None);
    assert_eq!(reason(ec_with("z", Value::Null)), None);
    assert_eq!(
        reason(json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})),
        None
    );
}

#[test]
fn k1_key_for_another_use_is_skipped() {
    assert_eq!(reason(rsa_with("use", json!("enc"))), Some("key.use"));
    assert_eq!(reason(rsa_with("use", json!(["sig"]))), Some("key.use"));
    assert_eq!(reason(rsa_with("key_ops", json!(["encrypt"]))), Some("key.use"));
    assert_eq!(reason(rsa_with("key_ops", json!("verify"))), Some("key.use"));
    assert_eq!(reason(rsa_with("key_ops", json!(["verify"]))), None);
    assert_eq!(reason(rsa_with("use", Value::Null)), None);
}

#[test]
fn k2_key_fits_its_own_algorithm_only() {
    let candidates = |key: Value, algorithm| {
        let parsed = parse(&json!({ "keys": [key] }));
        parsed.keys.candidates(None, algorithm).len()
    };
    assert_eq!(candidates(rsa_with("alg", json!("RS256")), Algorithm::Rs256), 1);
    assert_eq!(candidates(rsa_with("alg", json!("RS256")), Algorithm::Ps256), 0);
    assert_eq!(candidates(rsa_with("alg", Value::Null), Algorithm::Ps256), 1);
    assert_eq!(candidates(rsa_with("alg", Value::Null), Algorithm::Es256), 0);
    for bad in [json!("RSA1_5"), json!("ES256"), json!("rs256"), json!("none"), json!("HS256"), json!(7)] {
        assert_eq!(reason(rsa_with("alg", bad.clone())), Some("key.alg"), "{bad}");
    }
}

#[test]
fn k3_weak_rsa_key_is_skipped() {
    for id in [7, 8, 9] {
        let parsed = parse(&vector(id));
        let reasons: Vec<&str> = parsed.skipped.iter().map(|key| key.reason).collect();
        assert_eq!(reasons, ["key.weak"], "vector {id}: ROCA, 1024 bits, exponent 1");
    }
    for exponent in ["Ag", "AQAA", "AQAAAAE"] {
        assert_eq!(reason(rsa_with("e", json!(exponent))), Some("key.weak"), "{exponent}");
    }
    let n = vector(5)["keys"][0]["n"].as_str().unwrap().to_owned();
    let even = format!("{}A", n.strip_suffix('Q').unwrap());
    let short = format!("A{}", n.strip_prefix('k').unwrap());
    for n in [even, short] {
        assert_eq!(reason(rsa_with("n", json!(n))), Some("key.weak"), "{n}");
    }
    let mut huge = vec![0xff; 1025];
    huge[0] = 0x81;
    let text = URL_SAFE_NO_PAD.encode(&huge);
    assert_eq!(reason(rsa_with("n", json!(text))), Some("key.weak"));
}

#[test]
fn k5_point_off_the_curve_and_wrong_curve_are_skipped() {
    assert_eq!(parse(&vector(22)).skipped[0].reason, "key.invalid");
    assert_eq!(reason(ec_with("crv", json!("P-384"))), Some("key.invalid"));
    assert_eq!(reason(ec_with("crv", json!("P-521"))), Some("key.type"));
    assert_eq!(reason(ec_with("crv", json!("secp256k1"))), Some("key.type"));
    assert_eq!(reason(ec_with("x", json!("AA"))), Some("key.invalid"));
    assert_eq!(reason(ec_with("y", Value::Null)), Some("key.invalid"));
    // A good point, cut in the wrong place: both halves together have the right length.
    let good = ec_with("z", Value::Null);
    let half = |name: &str| URL_SAFE_NO_PAD.decode(good[name].as_str().unwrap()).unwrap();
    let point = [half("x"), half("y")].concat();
    let cut = changed(&good, "x", json!(URL_SAFE_NO_PAD.encode(&point[..31])));
    let cut = changed(&cut, "y", json!(URL_SAFE_NO_PAD.encode(&point[31..])));
    assert_eq!(reason(cut), Some("key.invalid"));
    for crv in ["X25519", "Ed448", "P-256"] {
        let key = json!({"kty": "OKP", "crv": crv, "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
        assert_eq!(reason(key), Some("key.type"), "{crv}");
    }
}

#[test]
fn k7_symmetric_and_private_keys_are_skipped() {
    assert_eq!(reason(json!({"kty": "oct", "k": "AAAA"})), Some("key.type"));
    assert_eq!(reason(rsa_with("d", json!("AQAB"))), Some("key.private"));
    assert_eq!(reason(ec_with("d", json!("AQAB"))), Some("key.private"));
}

#[test]
fn k8_odd_members_do_not_cost_the_good_ones() {
    let odd = [json!(1), json!(null), json!([]), json!({}), json!({"kty": "AKP"}), json!({"kty": 1})];
    for odd in odd {
        let parsed = parse(&json!({"keys": [odd, ec_with("kid", json!("good"))], "extra": [{}]}));
        assert_eq!((parsed.keys.len(), parsed.skipped[0].reason), (1, "key.type"), "{odd}");
        assert!(parsed.keys.knows("good") && !parsed.keys.knows("bad"));
    }
    for kid in [json!(7), json!("k".repeat(257))] {
        let parsed = parse(&json!({ "keys": [ec_with("kid", kid)] }));
        assert_eq!(parsed.skipped, [SkippedKey { kid: None, reason: "key.kid" }]);
    }
    let skipped = parse(&json!({ "keys": [ec_with("use", json!("enc"))] })).skipped;
    assert_eq!(skipped[0].kid.as_deref(), Some("kid-ec-sign"));
}

#[test]
fn k9_keys_of_one_kid_are_told_apart_by_algorithm_and_bounded() {
    let rsa = rsa_with("kid", json!("one"));
    let ec = ec_with("kid", json!("one"));
    let parsed = parse(&json!({ "keys": [rsa, ec] }));
    assert_eq!(parsed.keys.candidates(Some("one"), Algorithm::Es256).len(), 1);
    assert_eq!(parsed.keys.candidates(Some("one"), Algorithm::Rs256).len(), 1);
    assert_eq!(parsed.keys.candidates(Some("One"), Algorithm::Rs256).len(), 0);

    let parsed = parse(&json!({ "keys": vec![ec_with("kid", json!("one")); 9] }));
    assert_eq!(parsed.keys.candidates(Some("one"), Algorithm::Es256).len(), MAX_CANDIDATES);
    assert_eq!(parsed.keys.candidates(None, Algorithm::Es256).len(), MAX_CANDIDATES);
}

#[test]
fn k17_set_of_more_than_a_hundred_keys_is_refused() {
    let set = |count| json!({"keys": vec![json!({}); count]}).to_string();
    assert_eq!(KeySet::parse(set(101).as_bytes()).unwrap_err(), KeySetError::TooLarge);
    assert_eq!(KeySet::parse(set(100).as_bytes()).unwrap().skipped.len(), 100);
}

#[test]
fn what_is_no_set_is_malformed() {
    let deep = format!("{{\"keys\":{}", "[".repeat(100_000));
    for text in [
        "",
        "{}",
        "[]",
        "<html>",
        "{\"keys\":{}}",
        "{\"keys\":[",
        "{\"keys\":[]} x",
        "{\"keys\":[],\"keys\":[]}",
        &deep,
    ] {
        assert_eq!(KeySet::parse(text.as_bytes()).unwrap_err(), KeySetError::Malformed, "{text:.40}");
    }
    assert!(KeySet::parse(b"{\"keys\":[]}").unwrap().keys.is_empty());
}

#[test]
fn fingerprint_tells_keys_apart() {
    let set = |key| parse(&json!({ "keys": [key] })).keys;
    let base = set(ec_with("kid", json!("a")));
    let print = *base.keys[0].fingerprint();
    assert!(set(ec_with("kid", json!("a"))).contains(&print));
    for other in [ec_with("kid", json!("b")), ec_with("kid", Value::Null), rsa_with("kid", json!("a"))] {
        assert!(!set(other).contains(&print));
    }
    assert_ne!(
        set(rsa_with("alg", json!("RS256"))).keys[0].fingerprint(),
        set(rsa_with("alg", json!("PS256"))).keys[0].fingerprint()
    );
}

#[test]
fn sets_are_the_same_when_they_hold_the_same_keys_in_any_order() {
    let set = |keys: &[&Value]| parse(&json!({ "keys": keys })).keys;
    let (a, b) = (&ec_with("kid", json!("a")), &ec_with("kid", json!("b")));
    assert!(set(&[a, b]).same_as(&set(&[b, a])) && set(&[]).same_as(&set(&[])));
    for (one, other) in [(&[a][..], &[b][..]), (&[a], &[a, b]), (&[a, b], &[a]), (&[a], &[]), (&[], &[a])] {
        assert!(!set(one).same_as(&set(other)), "{one:?} {other:?}");
    }
}

#[test]
fn leading_zeros_of_a_modulus_make_no_other_key() {
    let n = vector(5)["keys"][0]["n"].as_str().unwrap().to_owned();
    let padded = [vec![0], URL_SAFE_NO_PAD.decode(n).unwrap()].concat();
    let set = parse(&json!({ "keys": [rsa_with("n", json!(URL_SAFE_NO_PAD.encode(padded)))] })).keys;
    let plain = parse(&vector(5)).keys;
    assert!(set.contains(plain.keys[0].fingerprint()));
}
