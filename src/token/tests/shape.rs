//! What is a compact JWT at all.

use serde_json::json;

use super::support::{Judge, NOW, claims, ec, encode, refused};
use crate::keys::jwks::KeySet;
use crate::token::TokenError;

#[test]
fn an_honest_token_gives_the_identity_it_names() {
    let judge = Judge::new();
    let identity = judge.claims(|_| {}).unwrap();
    assert_eq!(identity.issuer(), &judge.expect.issuer);
    assert_eq!(identity.subject().as_str(), "alice");
    assert_eq!(identity.client().unwrap().as_str(), "editor");
    assert_eq!(identity.tenant().unwrap().as_str(), "acme");
    assert_eq!(identity.token_id(), Some("t-1"));
    assert_eq!(identity.issued_at(), Some(NOW - 60));
    assert_eq!(identity.expires_at(), NOW + 600 + 30);
    assert!(judge.keys.contains(identity.key()));
    Judge::strict().claims(|_| {}).unwrap();
}

#[test]
fn t8_anything_but_three_parts_has_no_shape() {
    let judge = Judge::new();
    let good = ec().token(&ec().header(), &claims());
    let parts: Vec<&str> = good.split('.').collect();
    let (header, payload, signature) = (parts[0], parts[1], parts[2]);
    let cases = [
        String::new(),
        ".".into(),
        "..".into(),
        "opaque".into(),
        format!("{header}.{payload}"),
        format!("{good}."),
        format!(".{good}"),
        format!("{good}.{signature}"),
        format!("{good}.{signature}.{signature}"),
        format!(".{payload}.{signature}"),
        format!("{header}..{signature}"),
        format!("{header} .{payload}.{signature}"),
        format!("{header}.{payload}.{signature} "),
        format!("{header}.{payload}.{signature}\n"),
        format!("{header}.{payload}.{signature}="),
        format!("{header}.%20{payload}.{signature}"),
        format!("\"{good}\""),
        format!("{header}.{payload}é.{signature}"),
    ];
    for token in cases {
        refused(judge.judge(&token), TokenError::Shape, &token);
    }
}

#[test]
fn t9_json_serialization_has_no_shape() {
    let good = ec().token(&ec().header(), &claims());
    let parts: Vec<&str> = good.split('.').collect();
    let json = json!({"protected": parts[0], "payload": parts[1], "signature": parts[2]});
    refused(Judge::new().judge(&json.to_string()), TokenError::Shape, json);
}

#[test]
fn t10_base64url_that_is_not_canonical_is_refused() {
    let judge = Judge::new();
    let good = ec().token(&ec().header(), &claims());
    // 64 bytes of signature end in a character of which only two bits count.
    let last = good.chars().last().unwrap();
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let stray = alphabet.chars().nth(alphabet.find(last).unwrap() + 1).unwrap();
    let body = good.strip_suffix(last).unwrap();
    let cases = [format!("{body}{stray}"), format!("{good}AAA"), body.replacen('.', "+.", 1), format!("/{body}")];
    for token in cases {
        refused(judge.judge(&token), TokenError::Encoding, &token);
    }
}

#[test]
fn t11_token_over_the_bound_is_refused_before_it_is_read() {
    let judge = Judge::new();
    for token in ["a".repeat(16 * 1024 + 1), ".".repeat(1 << 20), "\u{e9}".repeat(1 << 14)] {
        refused(judge.judge(&token), TokenError::Size, token.len());
    }
    refused(judge.judge(&"a".repeat(16 * 1024)), TokenError::Shape, "as long as may be");
    judge.claims(|claims| claims["padding"] = "x".repeat(11_000).into()).unwrap();
}

#[test]
fn t29_what_is_no_json_object_is_refused() {
    let judge = Judge::new();
    let header = ec().header().to_string();
    let payload = claims().to_string();
    let utf16: Vec<u8> = header.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let spoilt = |good: &str| {
        vec![
            b"[]".to_vec(),
            b"null".to_vec(),
            b"7".to_vec(),
            b"\"text\"".to_vec(),
            b"{".to_vec(),
            good.as_bytes()[..good.len() - 1].to_vec(),
            format!("{good}x").into_bytes(),
            format!("{good}{good}").into_bytes(),
            format!("\u{feff}{good}").into_bytes(),
            format!("[{good}]").into_bytes(),
            good.replacen(':', "=", 1).into_bytes(),
            good.replacen('}', ",}", 1).into_bytes(),
            good.replacen('{', "{\"n\":1e999,", 1).into_bytes(),
            good.replacen('{', "{\"n\":NaN,", 1).into_bytes(),
            good.replacen('{', "{\"n\":\"\\ud800\",", 1).into_bytes(),
            [&good.as_bytes()[..good.len() - 1], b",\"x\":\"\xff\"}"].concat(),
            utf16.clone(),
        ]
    };
    for bytes in spoilt(&header) {
        refused(judge.judge(&ec().raw(&bytes, &payload)), TokenError::Json, String::from_utf8_lossy(&bytes));
    }
    for bytes in spoilt(&payload) {
        refused(judge.judge(&ec().raw(&header, &bytes)), TokenError::Json, String::from_utf8_lossy(&bytes));
    }
    judge.judge(&ec().raw(format!(" {header}\n"), format!("\t{payload} "))).unwrap();
}

#[test]
fn t30_deep_nesting_is_refused_without_a_deep_stack() {
    let judge = Judge::new();
    let deep = |open: &str, close: &str, depth: usize| format!("{}0{}", open.repeat(depth), close.repeat(depth));
    for value in [deep("[", "]", 5000), deep("[", "]", 32), deep("{\"a\":", "}", 1500), "[".repeat(10_000)] {
        let spoil = |good: String| good.replacen('{', &format!("{{\"deep\":{value},"), 1);
        let token = ec().raw(spoil(ec().header().to_string()), claims().to_string());
        refused(judge.judge(&token), TokenError::Json, value.len());
        let token = ec().raw(ec().header().to_string(), spoil(claims().to_string()));
        refused(judge.judge(&token), TokenError::Json, value.len());
    }
    let fine = claims().to_string().replacen('{', &format!("{{\"deep\":{},", deep("[", "]", 31)), 1);
    judge.judge(&ec().raw(ec().header().to_string(), fine)).unwrap();
}

#[test]
fn t31_duplicate_member_in_the_header_is_refused() {
    let judge = Judge::new();
    for twice in [
        "\"alg\":\"ES256\"",
        "\"alg\":\"none\"",
        "\"a\\u006cg\":\"ES256\"",
        "\"x\":{\"y\":1,\"y\":1}",
        "\"x\":[{\"y\":1,\"y\":2}]",
    ] {
        let good = ec().header().to_string();
        for header in [good.replacen('{', &format!("{{{twice},"), 1), good.replacen('}', &format!(",{twice}}}"), 1)] {
            let token = ec().raw(&header, claims().to_string());
            refused(judge.judge(&token), TokenError::Duplicate, &header);
        }
    }
}

#[test]
fn c21_duplicate_claim_is_refused_wherever_it_stands() {
    let judge = Judge::new();
    for twice in [
        "\"aud\":\"https://evil.example/\"",
        "\"sub\":\"alice\"",
        "\"\\u0073ub\":\"mallory\"",
        "\"exp\":1",
        "\"x\":{\"y\":1,\"\\u0079\":1}",
    ] {
        let good = claims().to_string();
        for payload in [good.replacen('{', &format!("{{{twice},"), 1), good.replacen('}', &format!(",{twice}}}"), 1)] {
            let token = ec().raw(ec().header().to_string(), &payload);
            refused(judge.judge(&token), TokenError::Duplicate, &payload);
        }
    }
}

#[test]
fn t17_changed_or_stripped_signature_is_refused() {
    let judge = Judge::new();
    let good = ec().token(&ec().header(), &claims());
    let (message, signature) = good.rsplit_once('.').unwrap();
    for length in [0, 1, 32, 63, 64, 65, 128] {
        let token = format!("{message}.{}", encode(vec![0_u8; length]));
        refused(judge.judge(&token), TokenError::Signature, length);
    }
    let mut without_keys = Judge::new();
    without_keys.keys = KeySet::default();
    refused(without_keys.judge(&format!("{message}.")), TokenError::Signature, "stripped: no key is looked for");

    let mut other = claims();
    other["sub"] = "mallory".into();
    let (other, _) =
        ec().token(&ec().header(), &other).rsplit_once('.').map(|(m, s)| (m.to_owned(), s.to_owned())).unwrap();
    refused(judge.judge(&format!("{other}.{signature}")), TokenError::Signature, "another payload");
    let mut header = ec().header();
    header["typ"] = "JWT".into();
    let (other, _) =
        ec().token(&header, &claims()).rsplit_once('.').map(|(m, s)| (m.to_owned(), s.to_owned())).unwrap();
    refused(judge.judge(&format!("{other}.{signature}")), TokenError::Signature, "another header");
}
