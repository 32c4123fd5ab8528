//! Where a request may carry its token, and how often.

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Uri};
use proptest::prelude::*;

use crate::head::Fields;
use crate::token::BearerError;
use crate::token::bearer::bearer;

fn read(fields: &[&[u8]], uri: &str) -> Result<String, BearerError> {
    let mut headers = HeaderMap::new();
    for field in fields {
        headers.append(AUTHORIZATION, HeaderValue::from_bytes(field).unwrap());
    }
    bearer(&Fields::from(&headers), &uri.parse::<Uri>().unwrap()).map(str::to_owned)
}

fn field(text: &str) -> Result<String, BearerError> {
    read(&[text.as_bytes()], "/mcp")
}

#[test]
fn t1_no_authorization_is_missing() {
    assert_eq!(read(&[], "/mcp"), Err(BearerError::Missing));
}

#[test]
fn t2_another_scheme_is_not_offered() {
    for text in [
        "Basic YTpi",
        "DPoP a.b.c",
        "Token abc",
        "Digest a=\"b\", c=\"d\"",
        "",
        "Bearer",
        "Bearer ",
        "Bearera.b.c",
        "Bearer:abc",
        "abc",
        "Bearer\tabc",
    ] {
        assert_eq!(field(text), Err(BearerError::Scheme), "{text:?}");
    }
}

#[test]
fn t3_scheme_in_any_case_and_any_number_of_spaces() {
    for text in ["Bearer a.b-c", "bearer a.b-c", "BEARER   a.b-c", "bEaReR a.b-c"] {
        assert_eq!(field(text).as_deref(), Ok("a.b-c"), "{text:?}");
    }
    assert_eq!(field("Bearer aZ09-._~+/==").as_deref(), Ok("aZ09-._~+/=="));
}

#[test]
fn t4_two_credentials_are_one_too_many() {
    for fields in [[&b"Bearer a"[..], b"Bearer a"], [b"Bearer a", b"Bearer b"], [b"Basic a", b"Bearer b"]] {
        assert_eq!(read(&fields, "/mcp"), Err(BearerError::Multiple));
    }
    for text in ["Bearer a, Bearer b", "Bearer a,b", "Bearer ,a"] {
        assert_eq!(field(text), Err(BearerError::Multiple), "{text:?}");
    }
}

#[test]
fn t6_token_in_the_query_is_never_taken() {
    for query in [
        "access_token=a",
        "access_token",
        "x=1&access_token=a",
        "%61ccess%5ftoken=a",
        "access%5Ftoken=",
        "&access_token=",
    ] {
        let uri = format!("/mcp?{query}");
        assert_eq!(read(&[], &uri), Err(BearerError::InQuery), "{query}");
        assert_eq!(read(&[b"Bearer a"], &uri), Err(BearerError::InQuery), "{query}");
    }
    for query in ["token=access_token", "access_tokens=a", "xaccess_token=a", "access_token%00=a", "Access_Token=a"] {
        assert_eq!(read(&[b"Bearer a"], &format!("/mcp?{query}")).as_deref(), Ok("a"), "{query}");
    }
}

#[test]
fn t8_bytes_that_no_token_holds_are_malformed() {
    for text in [
        "Bearer a b",
        "Bearer a%20b",
        "Bearer \"a\"",
        "Bearer a=b",
        "Bearer ==",
        "Bearer a\tb",
        "Bearer {\"a\":1}",
        "Bearer a;b",
    ] {
        assert_eq!(field(text), Err(BearerError::Malformed), "{text:?}");
    }
    assert_eq!(read(&[b"Bearer a\xff"], "/mcp"), Err(BearerError::Malformed));
}

proptest! {
    #[test]
    fn whatever_a_field_holds_is_answered(bytes in proptest::collection::vec(any::<u8>(), 0..64), glued in any::<bool>()) {
        let bytes = if glued { bytes } else { [b"Bearer ".as_slice(), &bytes].concat() };
        if let Ok(value) = HeaderValue::from_bytes(&bytes) {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, value);
            if let Ok(token) = bearer(&Fields::from(&headers), &Uri::from_static("/mcp")) {
                prop_assert!(!token.is_empty() && token.is_ascii() && !token.contains([' ', ',', '"']));
            }
        }
    }
}
