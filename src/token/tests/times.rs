//! `exp`, `nbf` and `iat` against the time that is passed in.

use std::time::Duration;

use serde_json::json;

use super::support::{Judge, NOW, refused};
use crate::token::TokenError;

#[test]
fn c8_exp_that_is_absent_malformed_or_past_is_refused() {
    let judge = Judge::new();
    refused(judge.without("exp"), TokenError::Expired, "no exp");
    for exp in [
        json!(null),
        json!((NOW + 600).to_string()),
        json!(true),
        json!([NOW + 600]),
        json!({"seconds": NOW + 600}),
        json!(0),
        json!(-1),
        json!(-1e300),
        json!(-0.0),
        json!(NOW - 31),
        json!(NOW - 30),
    ] {
        refused(judge.with("exp", exp.clone()), TokenError::Expired, exp);
    }
}

#[test]
fn c9_fractional_exp_in_the_future_is_served() {
    let judge = Judge::new();
    let exp = json!(1_800_000_600.75);
    assert_eq!(judge.with("exp", exp).unwrap().expires_at(), NOW + 630);
    judge.with("exp", json!(1.9e9)).unwrap();
}

#[test]
fn c11_nbf_in_the_future_or_malformed_is_refused() {
    let judge = Judge::new();
    for nbf in [json!(NOW + 31), json!(1_800_000_030.5), json!(1e300), json!(null), json!("0"), json!(false), json!(-1)]
    {
        refused(judge.with("nbf", nbf.clone()), TokenError::NotBefore, nbf);
    }
    for nbf in [json!(NOW + 30), json!(NOW), json!(0), json!(1_799_999_999.5)] {
        judge.with("nbf", nbf).unwrap();
    }
}

#[test]
fn iat_in_the_future_or_malformed_is_refused() {
    let judge = Judge::new();
    for iat in [json!(NOW + 31), json!(u64::MAX), json!(null), json!("0"), json!([])] {
        refused(judge.with("iat", iat.clone()), TokenError::IssuedAt, iat);
    }
    judge.with("iat", NOW + 30).unwrap();
    assert_eq!(judge.without("iat").unwrap().issued_at(), None);
    // Rounded down: what was issued within the second of a revocation is revoked.
    assert_eq!(judge.with("iat", 1_799_999_940.9).unwrap().issued_at(), Some(NOW - 60));
    refused(Judge::strict().without("iat"), TokenError::IssuedAt, "strict");
}

#[test]
fn c12_leeway_is_exact_and_never_overflows() {
    let mut judge = Judge::new();
    judge.with("exp", NOW - 29).unwrap();
    for leeway in [0, 300] {
        judge.expect.rules.leeway = Duration::from_secs(leeway);
        judge.with("exp", NOW - leeway + 1).unwrap();
        refused(judge.with("exp", NOW - leeway), TokenError::Expired, leeway);
    }
    for exp in [json!(u64::MAX), json!(i64::MAX), json!(1e300), json!(1_u64 << 53)] {
        let identity = judge.with("exp", exp).unwrap();
        assert_eq!(identity.expires_at(), 1 << 53);
    }
    judge.now = u64::MAX;
    refused(judge.with("exp", u64::MAX), TokenError::Expired, "the end of time");
    judge.now = 0;
    judge.claims(|claims| claims["iat"] = 300.into()).unwrap();
    refused(judge.with("iat", 301), TokenError::IssuedAt, "the beginning of time");
}

#[test]
fn c23_token_that_was_good_expires() {
    let mut judge = Judge::new();
    let end = judge.claims(|_| {}).unwrap().expires_at();
    judge.now = end - 1;
    judge.claims(|_| {}).unwrap();
    judge.now = end;
    refused(judge.claims(|_| {}), TokenError::Expired, end);
}
