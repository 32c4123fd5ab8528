//! No mutated token verifies.

use std::sync::OnceLock;

use proptest::prelude::*;

use super::support::{Judge, claims, ec, ed, encode, keys};
use crate::token::audience::is_same_url;
use crate::token::json::{Object, Value};

fn tokens() -> &'static [String; 2] {
    static TOKENS: OnceLock<[String; 2]> = OnceLock::new();
    TOKENS.get_or_init(|| [ec(), ed()].map(|signer| signer.token(&signer.header(), &claims())))
}

fn url() -> impl Strategy<Value = String> {
    "(https|HTTPS|http|ftp)://([hH]|h\\.x|\\[::1\\]|u@h)?(:(80|443|8443|))?(/|/a|/A|/a/|\\?q|#f)?"
}

proptest! {
    #[test]
    fn t17_no_single_changed_byte_verifies(which in 0..2_usize, at in any::<prop::sample::Index>(), byte in 0x20..0x7f_u8) {
        let mut judge = Judge::new();
        judge.keys = keys(&[ec(), ed()]);
        let good = &tokens()[which];
        let mut bytes = good.clone().into_bytes();
        let at = at.index(bytes.len());
        prop_assume!(bytes[at] != byte);
        bytes[at] = byte;
        prop_assert!(judge.judge(good).is_ok());
        prop_assert!(judge.judge(&String::from_utf8(bytes).unwrap()).is_err());
    }

    #[test]
    fn whatever_a_token_holds_is_answered(text in "\\PC{0,80}", header in "\\PC{0,40}", payload in "\\PC{0,40}") {
        let judge = Judge::new();
        prop_assert!(judge.judge(&text).is_err());
        let token = format!("{}.{}.AAAA", encode(header), encode(payload));
        prop_assert!(judge.judge(&token).is_err());
    }

    #[test]
    fn strict_json_agrees_with_serde_json_on_what_it_takes(bytes in "\\{(\"[ab]\":([0-9]|\"x\"|\\[1,2\\]|\\{\"c\":null\\}),?){0,3}\\}") {
        if let Ok(object) = Object::read(bytes.clone().into_bytes()) {
            let value = serde_json::Value::from(Value::Object(object.members()));
            prop_assert_eq!(value, serde_json::from_str::<serde_json::Value>(&bytes).unwrap());
        }
    }

    #[test]
    fn c2_audience_comparison_is_symmetric_and_reflexive(a in url(), b in url()) {
        prop_assert!(is_same_url(&a, &a));
        prop_assert_eq!(is_same_url(&a, &b), is_same_url(&b, &a));
    }

    #[test]
    fn c2_audience_comparison_is_transitive(a in url(), b in url(), c in url()) {
        prop_assert!(!(is_same_url(&a, &b) && is_same_url(&b, &c)) || is_same_url(&a, &c));
    }
}
