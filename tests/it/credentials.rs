//! How a credential is read out of a request (threats T1 to T11).

use crate::support::keys::{self, base64url};
use crate::support::{PATH, start};

#[tokio::test]
async fn t1_no_authorization_gets_401_without_an_error() {
    let (_issuer, _upstream, gateway) = start().await;
    let reply = gateway.client().post(PATH).await;
    reply.assert_refused(401, "unauthorized", "auth.missing").await;
    assert_eq!(reply.challenge().error(), None);
}

#[tokio::test]
async fn t2_other_schemes_and_empty_tokens_get_401_without_an_error() {
    let (issuer, _upstream, gateway) = start().await;
    let token = issuer.mint().to_string();
    for value in [
        "Basic YWxpY2U6c2VjcmV0",
        &format!("DPoP {token}"),
        &format!("Token {token}"),
        &format!("Bearer{token}"),
        &token,
        "Bearer",
        "Bearer ",
        "",
    ] {
        println!("case: {value}");
        let reply = gateway.client().header("authorization", value).post(PATH).await;
        reply.assert_refused(401, "unauthorized", "auth.scheme").await;
    }
}

#[tokio::test]
async fn t3_scheme_in_any_letter_case_is_served() {
    let (issuer, _upstream, gateway) = start().await;
    for scheme in ["Bearer", "bearer", "BEARER", "bEaReR"] {
        let value = format!("{scheme} {}", issuer.mint());
        let reply = gateway.client().header("Authorization", &value).post(PATH).await;
        reply.assert_served();
    }
}

#[tokio::test]
async fn t4_two_authorization_fields_get_400() {
    let (issuer, _upstream, gateway) = start().await;
    let (good, other) = (issuer.mint().to_string(), issuer.mint().expired().to_string());
    for (first, second) in [(&good, &good), (&good, &other), (&other, &good)] {
        let reply = gateway.client().bearer(first).bearer(second).post(PATH).await;
        reply.assert_refused(400, "invalid_request", "auth.multiple").await;
        let reply = gateway.client().bearer(first).bearer(second).http2().post(PATH).await;
        reply.assert_refused(400, "invalid_request", "auth.multiple").await;
    }
}

#[tokio::test]
async fn t4_a_second_scheme_beside_a_good_token_gets_400() {
    let (issuer, _upstream, gateway) = start().await;
    let client = gateway.client().header("authorization", "Basic YWxpY2U6c2VjcmV0");
    let reply = client.bearer(issuer.mint()).post(PATH).await;
    reply.assert_refused(400, "invalid_request", "auth.multiple").await;
}

#[tokio::test]
async fn t4_comma_joined_credentials_get_400() {
    let (issuer, _upstream, gateway) = start().await;
    let token = issuer.mint();
    for value in [format!("Bearer {token}, Bearer {token}"), format!("Bearer {token},{token}")] {
        let reply = gateway.client().header("authorization", &value).post(PATH).await;
        reply.assert_unreadable().await;
    }
}

#[tokio::test]
async fn t6_token_in_the_query_gets_400() {
    let (issuer, _upstream, gateway) = start().await;
    let token = issuer.mint();
    let target = format!("{PATH}?access_token={token}");
    let reply = gateway.client().post(&target).await;
    reply.assert_refused(400, "invalid_request", "auth.query").await;
    let reply = gateway.client().bearer(&token).post(&target).await;
    reply.assert_refused(400, "invalid_request", "auth.query").await;
}

#[tokio::test]
async fn t6_token_in_a_form_body_is_no_credential() {
    let (issuer, _upstream, gateway) = start().await;
    let client = gateway.client().header("content-type", "application/x-www-form-urlencoded");
    let reply = client.body(format!("access_token={}", issuer.mint())).post(PATH).await;
    reply.assert_refused(401, "unauthorized", "auth.missing").await;
}

#[tokio::test]
async fn t6_token_in_a_cookie_is_no_credential() {
    let (issuer, _upstream, gateway) = start().await;
    let cookie = format!("access_token={0}; Authorization=Bearer {0}", issuer.mint());
    let reply = gateway.client().header("cookie", &cookie).post(PATH).await;
    reply.assert_refused(401, "unauthorized", "auth.missing").await;
}

#[tokio::test]
async fn t8_wrong_number_of_segments_gets_401() {
    let (issuer, _upstream, gateway) = start().await;
    let [header, payload, signature] = issuer.mint().parts();
    for token in [
        header.clone(),
        format!("{header}.{payload}"),
        format!("{header}.{payload}.{signature}.{signature}"),
        format!("{header}.{payload}.{signature}.{signature}.{signature}"),
        format!("{header}.{payload}."),
        format!("{header}..{signature}"),
        format!(".{payload}.{signature}"),
        format!("{header}.{payload}.{signature}."),
        format!(".{header}.{payload}.{signature}"),
        "..".into(),
        ".".into(),
    ] {
        // An empty signature may as well be called a wrong one.
        let reasons = if token.ends_with('.') { "token.shape | token.signature" } else { "token.shape" };
        gateway.refuses(&token, &token, reasons).await;
    }
}

#[tokio::test]
async fn t8_bytes_outside_the_alphabet_are_refused() {
    let (issuer, _upstream, gateway) = start().await;
    let [header, payload, signature] = issuer.mint().parts();
    for token in [
        format!("{header}. {payload}.{signature}"),
        format!("{header}.{payload}.{signature} x"),
        format!("{header}\t.{payload}.{signature}"),
        format!("{header}.{payload}.{signature}="),
        format!("{header}=.{payload}.{signature}"),
        format!("%65{header}.{payload}.{signature}"),
        format!("\"{header}.{payload}.{signature}\""),
        format!("'{header}.{payload}.{signature}'"),
        format!("{header}.{payload}.{signature};"),
        format!("{header}~.{payload}.{signature}"),
        format!("é{header}.{payload}.{signature}"),
    ] {
        println!("case: {token}");
        gateway.client().bearer(&token).post(PATH).await.assert_unreadable().await;
    }
}

#[tokio::test]
async fn t9_jws_json_serialisation_is_refused() {
    let (issuer, _upstream, gateway) = start().await;
    let [protected, payload, signature] = issuer.mint().parts();
    let flat = format!(r#"{{"protected":"{protected}","payload":"{payload}","signature":"{signature}"}}"#);
    gateway.client().bearer(&flat).post(PATH).await.assert_unreadable().await;
    gateway.refuses("the same in base64url", base64url(&flat), "token.shape").await;
}

#[tokio::test]
async fn t10_stray_bits_in_base64url_get_401() {
    let (issuer, _upstream, gateway) = start().await;
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    // The last character of 3n + 1 or 3n + 2 bytes carries bits that must be zero; set one of them.
    let stray = |text: &str| {
        assert_ne!(text.len() % 4, 0, "no room for stray bits");
        let mut text = text.as_bytes().to_vec();
        let last = text.last_mut().unwrap();
        let value = alphabet.iter().position(|b| b == last).unwrap();
        *last = alphabet[value + 1];
        String::from_utf8(text).unwrap()
    };
    let resign = |header: String, payload: String| {
        let message = format!("{header}.{payload}");
        let signature = keys::rsa().sign("RS256", message.as_bytes());
        format!("{message}.{}", base64url(signature))
    };
    let odd = |json: String| json.clone() + [" ", "", "  "][json.len() % 3];
    let mint = issuer.mint();
    let mint = mint.clone().header_text(odd(mint.header_json()));
    let mint = mint.clone().payload_text(odd(mint.payload_json()));
    let [header, payload, signature] = mint.parts();
    gateway.accepts("nothing changed", &mint).await;
    let token = format!("{header}.{payload}.{}", stray(&signature));
    gateway.refuses("signature", token, "token.encoding").await;
    let token = resign(stray(&header), payload.clone());
    gateway.refuses("header, signed", token, "token.encoding").await;
    let token = resign(header, stray(&payload));
    gateway.refuses("payload, signed", token, "token.encoding").await;
}

#[tokio::test]
async fn t10_standard_alphabet_gets_401() {
    let (issuer, _upstream, gateway) = start().await;
    let token = loop {
        let token = issuer.mint().claim("filler", "?>?>~~").to_string();
        if token.contains('-') && token.contains('_') {
            break token;
        }
    };
    for (ours, theirs) in [("-", "+"), ("_", "/")] {
        let token = token.replace(ours, theirs);
        gateway.refuses(theirs, token, "token.shape | token.encoding").await;
    }
}

#[tokio::test]
async fn t11_token_over_16_kib_gets_401() {
    let (issuer, _upstream, gateway) = start().await;
    let token = issuer.mint().claim("filler", "x".repeat(13_000)).to_string();
    assert!(token.len() > 16 * 1024 && token.len() < 20 * 1024);
    gateway.refuses("17 KiB", token, "token.size").await;
}
