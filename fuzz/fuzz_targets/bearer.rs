//! What is taken as the bearer token: the whole of one field, and never beside another credential.
#![no_main]

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Uri};
use libfuzzer_sys::fuzz_target;
use portcullis::head::Fields;
use portcullis::token::bearer::bearer;

// The first line is the request's target, each other one an Authorization field.
fuzz_target!(|data: &[u8]| {
    let mut lines = data.split(|byte| *byte == b'\n');
    let Some(uri) = lines.next().and_then(|target| Uri::try_from(target).ok()) else { return };
    let mut headers = HeaderMap::new();
    for line in lines.take(8) {
        let Ok(value) = HeaderValue::from_bytes(line) else { return };
        headers.append(AUTHORIZATION, value);
    }
    let fields = Fields::from(&headers);
    let Ok(token) = bearer(&fields, &uri) else { return };
    assert_eq!(headers.get_all(AUTHORIZATION).iter().count(), 1);
    // Blanks around a value are none of it (RFC 9110 §5.5).
    let field = headers[AUTHORIZATION].to_str().unwrap().trim_matches([' ', '\t']);
    assert!(field.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("bearer ")), "{field}");
    assert_eq!(field[7..].trim_matches([' ', '\t']), token);
    assert!(!token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic() && !b",;\"\\".contains(&byte)));
    assert!(!uri.query().unwrap_or_default().split('&').any(|parameter| parameter.starts_with("access_token=")));
});
