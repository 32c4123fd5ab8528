//! Algorithms and signatures of tokens (threats T12 to T18).

use aws_lc_rs::hmac;

use crate::support::keys::{self, base64url};
use crate::support::{start, start_with};

#[tokio::test]
async fn good_tokens_of_every_default_algorithm_are_served() {
    let (issuer, _upstream, gateway) = start().await;
    let mint = || issuer.mint();
    gateway.accepts("RS256", mint()).await;
    gateway.accepts("PS256", mint().algorithm("PS256")).await;
    gateway.accepts("ES256", mint().key(keys::ec())).await;
    gateway.accepts("EdDSA", mint().key(keys::ed())).await;
    gateway.accepts("Ed25519", mint().key(keys::ed()).header("alg", "Ed25519")).await;
}

#[tokio::test]
async fn t12_alg_none_in_any_spelling_gets_401() {
    let (issuer, _upstream, gateway) = start().await;
    for alg in ["none", "None", "NONE", "nOnE", "none ", ""] {
        let mint = issuer.mint().header("alg", alg);
        let [header, payload] = mint.unsigned();
        gateway.refuses(&format!("{alg:?} signed"), &mint, "token.alg").await;
        let what = format!("{alg:?} without a signature");
        gateway.refuses(&what, format!("{header}.{payload}."), "token.alg | token.shape | token.signature").await;
    }
}

#[tokio::test]
async fn t13_hmac_with_the_public_key_gets_401() {
    let (issuer, _upstream, gateway) = start().await;
    let jwk = keys::rsa().jwk();
    let der = keys::rsa().public_bytes();
    let pem = format!("-----BEGIN RSA PUBLIC KEY-----\n{}\n-----END RSA PUBLIC KEY-----\n", base64url(&der));
    let modulus = jwk["n"].as_str().unwrap().to_owned();
    let secrets = [
        ("PEM", pem.into_bytes()),
        ("DER", der),
        ("modulus", modulus.into_bytes()),
        ("JWK", jwk.to_string().into_bytes()),
    ];
    let algorithms = [("HS256", hmac::HMAC_SHA256), ("HS384", hmac::HMAC_SHA384), ("HS512", hmac::HMAC_SHA512)];
    for (what, secret) in &secrets {
        for (name, algorithm) in algorithms {
            let mint = issuer.mint().header("alg", name);
            let sign = |message: &[u8]| hmac::sign(&hmac::Key::new(algorithm, secret), message).as_ref().to_vec();
            gateway.refuses(&format!("{name} with {what}"), mint.signed_by(sign), "token.alg").await;
        }
    }
}

#[tokio::test]
async fn t14_algorithm_that_is_not_configured_gets_401() {
    let (issuer, _upstream, gateway) = start_with(r#"issuers = [{ name = "corp", algorithms = ["ES256"] }]"#).await;
    gateway.accepts("ES256", issuer.mint().key(keys::ec())).await;
    gateway.refuses("RS256", issuer.mint(), "token.alg").await;
    gateway.refuses("PS256", issuer.mint().algorithm("PS256"), "token.alg").await;
    gateway.refuses("EdDSA", issuer.mint().key(keys::ed()), "token.alg").await;
}

#[tokio::test]
async fn t14_algorithm_that_is_no_default_gets_401() {
    let (issuer, _upstream, gateway) = start().await;
    gateway.refuses("RS384", issuer.mint().algorithm("RS384"), "token.alg").await;
    gateway.refuses("lower case", issuer.mint().header("alg", "rs256"), "token.alg").await;
    gateway.refuses("a number", issuer.mint().header("alg", 256), "token.alg | token.header").await;
    gateway.refuses("missing", issuer.mint().without_header("alg"), "token.alg | token.header").await;
}

#[tokio::test]
async fn t16_signature_under_the_label_of_another_algorithm_gets_401() {
    let (issuer, _upstream, gateway) = start().await;
    let labelled = |mint: crate::support::Mint, alg: &str| mint.header("alg", alg);
    let wrong = "token.signature | token.kid";
    gateway.refuses("RS as PS", labelled(issuer.mint(), "PS256"), wrong).await;
    let probabilistic = issuer.mint().algorithm("PS256");
    gateway.refuses("PS as RS", labelled(probabilistic, "RS256"), wrong).await;
    let curve = issuer.mint().key(keys::ec());
    gateway.refuses("ES as RS", labelled(curve.clone(), "RS256"), wrong).await;
    gateway.refuses("ES as EdDSA", labelled(curve, "EdDSA"), wrong).await;
    gateway.refuses("RS as ES", labelled(issuer.mint(), "ES256"), wrong).await;
    let edwards = issuer.mint().key(keys::ed());
    gateway.refuses("EdDSA as ES", labelled(edwards.clone(), "ES256"), wrong).await;
    let on_curve = edwards.header("kid", "ec-1");
    gateway.refuses("EdDSA on an EC key", on_curve, wrong).await;
}

#[tokio::test]
async fn t17_changed_signature_gets_401() {
    let (issuer, _upstream, gateway) = start().await;
    for key in [keys::rsa(), keys::ec(), keys::ed()] {
        let mint = issuer.mint().key(key);
        let good = |message: &[u8]| key.sign(key.algorithm, message);
        gateway.accepts("nothing changed", mint.signed_by(good)).await;
        for at in [0, 31, 63] {
            let flipped = mint.signed_by(|message| {
                let mut signature = good(message);
                signature[at] ^= 1;
                signature
            });
            gateway.refuses(&format!("bit at byte {at}"), flipped, "token.signature").await;
        }
        let zeros = mint.signed_by(|message| vec![0; good(message).len()]);
        gateway.refuses("zeros", zeros, "token.signature").await;
        let short = mint.signed_by(|message| good(message)[1..].to_vec());
        gateway.refuses("too short", short, "token.signature").await;
        let long = mint.signed_by(|message| [good(message), vec![0]].concat());
        gateway.refuses("too long", long, "token.signature").await;
        let one = mint.signed_by(|_| vec![1]);
        gateway.refuses("one byte", one, "token.signature").await;
    }
}

#[tokio::test]
async fn t17_stripped_signature_gets_401() {
    let (issuer, _upstream, gateway) = start().await;
    let [header, payload, _] = issuer.mint().parts();
    gateway.refuses("stripped", format!("{header}.{payload}."), "token.shape | token.signature").await;
}

#[tokio::test]
async fn t17_changed_payload_or_header_gets_401() {
    let (issuer, _upstream, gateway) = start().await;
    let mint = issuer.mint();
    let [header, payload, signature] = mint.parts();
    let [_, other_payload] = mint.clone().claim("sub", "mallory").unsigned();
    let token = format!("{header}.{other_payload}.{signature}");
    gateway.refuses("payload", token, "token.signature").await;
    let [other_header, _] = mint.header("typ", "application/at+jwt").unsigned();
    let token = format!("{other_header}.{payload}.{signature}");
    gateway.refuses("header", token, "token.signature").await;
}

#[tokio::test]
async fn t18_ecdsa_edge_values_get_401() {
    let order = [
        0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6,
        0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    let (issuer, _upstream, gateway) = start().await;
    let mint = issuer.mint().key(keys::ec());
    let good = |message: &[u8]| keys::ec().sign("ES256", message);
    let (zero, most) = ([0; 32], [0xff; 32]);
    let made: [(&str, [&[u8]; 2]); 7] = [
        ("r and s zero", [&zero, &zero]),
        ("r zero", [&zero, &[1; 32]]),
        ("s zero", [&[1; 32], &zero]),
        ("r is the order", [&order, &[1; 32]]),
        ("s is the order", [&[1; 32], &order]),
        ("both the order", [&order, &order]),
        ("both at most", [&most, &most]),
    ];
    for (what, [r, s]) in made {
        gateway.refuses(what, mint.signed_by(|_| [r, s].concat()), "token.signature").await;
    }
    let short = mint.signed_by(|message| good(message)[..63].to_vec());
    gateway.refuses("63 bytes", short, "token.signature").await;
    let long = mint.signed_by(|message| [vec![0], good(message)].concat());
    gateway.refuses("65 bytes", long, "token.signature").await;
    gateway.refuses("DER", mint.signed_by(|message| der(&good(message))), "token.signature").await;
}

/// The signature as ASN.1 DER, which RFC 7518 §3.4 does not use.
fn der(fixed: &[u8]) -> Vec<u8> {
    let integer = |bytes: &[u8]| {
        let mut digits: Vec<u8> = bytes.iter().copied().skip_while(|b| *b == 0).collect();
        if digits[0] & 0x80 != 0 {
            digits.insert(0, 0);
        }
        [vec![2, u8::try_from(digits.len()).unwrap()], digits].concat()
    };
    let (r, s) = fixed.split_at(32);
    let both = [integer(r), integer(s)].concat();
    [vec![0x30, u8::try_from(both.len()).unwrap()], both].concat()
}
