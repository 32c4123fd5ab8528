//! What a token's header and payload may look like (threats T21 to T34).

use serde_json::{Value, json};

use crate::support::issuer::RESOURCE;
use crate::support::keys;
use crate::support::{Issuer, start, start_with};

#[tokio::test]
async fn t21_keys_named_by_the_token_are_never_used() {
    let (issuer, _upstream, gateway) = start().await;
    let attacker = Issuer::start().await;
    attacker.publish([keys::other_rsa().jwk()]);
    let jwks = format!("{}/jwks", attacker.url());
    let (fetches, forged) = (issuer.fetches(), issuer.mint().key(keys::other_rsa()));
    let reasons = "token.header | token.kid | token.signature";
    for (name, value) in
        [("jwk", keys::other_rsa().jwk()), ("jku", json!(jwks)), ("x5u", json!(jwks)), ("x5c", json!(["MIIB"]))]
    {
        gateway.refuses(name, forged.clone().header(name, value.clone()), reasons).await;
        let under_a_known_name = forged.clone().header("kid", "rsa-1").header(name, value);
        gateway.refuses(name, under_a_known_name, reasons).await;
    }
    assert_eq!(attacker.targets(), [""; 0]);
    // One refetch for the unknown `kid` is allowed (K14).
    assert!(issuer.fetches() <= fetches + 1, "{:?}", issuer.targets());
}

#[tokio::test]
async fn t22_unknown_kid_of_any_text_gets_401() {
    let (issuer, _upstream, gateway) = start().await;
    let attacker = Issuer::start().await;
    for kid in [
        "unknown",
        "",
        "RSA-1",
        "rsa-1 ",
        "../../../../dev/null",
        "rsa-1' OR '1'='1",
        "$(reboot)|`reboot`",
        "rsa-1\u{0}",
        "rsa-1\r\nx: y",
        &format!("{}/jwks", attacker.url()),
        &"k".repeat(5000),
    ] {
        gateway.refuses(kid, issuer.mint().header("kid", kid), "token.kid | token.header").await;
    }
    assert_eq!(attacker.targets(), [""; 0]);
}

#[tokio::test]
async fn t24_kid_that_is_no_string_gets_401() {
    let (issuer, _upstream, gateway) = start().await;
    for kid in [json!(1), json!(true), json!(["rsa-1"]), json!({ "rsa-1": 1 }), json!(null)] {
        gateway.refuses(&kid.to_string(), issuer.mint().header("kid", kid), "token.header").await;
    }
}

#[tokio::test]
async fn t25_crit_of_any_kind_gets_401() {
    let (issuer, _upstream, gateway) = start().await;
    for crit in [json!(["exp"]), json!(["b64"]), json!([]), json!("exp"), json!(null), json!([1]), json!({})] {
        let mint = issuer.mint().header("crit", crit.clone()).header("exp", 1);
        gateway.refuses(&crit.to_string(), mint, "token.crit").await;
    }
}

#[tokio::test]
async fn t26_unencoded_payload_gets_401() {
    let (issuer, _upstream, gateway) = start().await;
    let unencoded = issuer.mint().header("b64", false);
    gateway.refuses("b64 alone", unencoded.clone(), "token.crit").await;
    gateway.refuses("b64 in crit", unencoded.header("crit", json!(["b64"])), "token.crit").await;
}

#[tokio::test]
async fn t27_nested_compressed_and_encrypted_tokens_get_401() {
    let (issuer, _upstream, gateway) = start().await;
    let reasons = "token.shape | token.header | token.json";
    gateway.refuses("cty", issuer.mint().header("cty", "JWT"), reasons).await;
    gateway.refuses("zip", issuer.mint().header("zip", "DEF"), reasons).await;
    let nested = issuer.mint().header("cty", "JWT").payload_text(issuer.mint().to_string());
    gateway.refuses("nested", nested, reasons).await;
    let [header, payload, signature] = issuer.mint().header("enc", "A256GCM").parts();
    let encrypted = format!("{header}.{payload}.{payload}.{payload}.{signature}");
    gateway.refuses("five parts", encrypted, "token.shape").await;
}

/// Texts that are no JSON object, made from one that is.
fn broken(json: &str) -> Vec<(&'static str, Vec<u8>)> {
    let utf16: Vec<u8> = json.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut bad_utf8 = json.replacen('{', r#"{"x":"?","#, 1).into_bytes();
    let mark = bad_utf8.iter().position(|b| *b == b'?').unwrap();
    bad_utf8[mark] = 0xff;
    vec![
        ("array", format!("[{json}]").into()),
        ("string", br#""x""#.to_vec()),
        ("number", b"1".to_vec()),
        ("null", b"null".to_vec()),
        ("truncated", json.as_bytes()[..json.len() - 1].to_vec()),
        ("trailing text", format!("{json}x").into()),
        ("two objects", format!("{json}{json}").into()),
        ("trailing NUL", format!("{json}\0").into()),
        ("byte order mark", format!("\u{feff}{json}").into()),
        ("UTF-16", utf16),
        ("bad UTF-8", bad_utf8),
        ("comment", format!("/**/{json}").into()),
        ("raw control byte", json.replacen('{', "{\"x\":\"\n\",", 1).into()),
        ("lone surrogate", json.replacen('{', r#"{"x":"\ud800","#, 1).into()),
    ]
}

#[tokio::test]
async fn t29_header_that_is_no_json_object_gets_401() {
    let (issuer, _upstream, gateway) = start().await;
    for (what, text) in broken(&issuer.mint().header_json()) {
        gateway.refuses(what, issuer.mint().header_text(text), "token.json").await;
    }
}

#[tokio::test]
async fn t29_payload_that_is_no_json_object_gets_401() {
    let (issuer, _upstream, gateway) = start().await;
    for (what, text) in broken(&issuer.mint().payload_json()) {
        gateway.refuses(what, issuer.mint().payload_text(text), "token.json").await;
    }
}

#[tokio::test]
async fn t30_deep_nesting_gets_401() {
    let (issuer, _upstream, gateway) = start().await;
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
        let depth = 4000 / open.len();
        let deep = format!("{}1{}", open.repeat(depth), close.repeat(depth));
        let into = |json: String| json.replacen('{', &format!(r#"{{"deep":{deep},"#), 1);
        let mint = issuer.mint();
        let header = mint.clone().header_text(into(mint.header_json()));
        gateway.refuses("header", header, "token.json").await;
        let payload = mint.clone().payload_text(into(mint.payload_json()));
        gateway.refuses("payload", payload, "token.json").await;
        let never_closed = mint.payload_text(open.repeat(depth));
        gateway.refuses("never closed", never_closed, "token.json").await;
    }
}

#[tokio::test]
async fn t31_duplicate_member_in_the_header_gets_401() {
    let (issuer, _upstream, gateway) = start().await;
    for member in [
        r#""alg":"RS256""#,
        r#""alg":"none""#,
        r#""kid":"rsa-1""#,
        r#""kid":"unknown""#,
        r#""typ":"at+jwt""#,
        r#""\u0061lg":"none""#,
    ] {
        let mint = issuer.mint();
        let json = mint.header_json();
        let first = mint.clone().header_text(json.replacen('{', &format!("{{{member},"), 1));
        gateway.refuses(&format!("{member} first"), first, "token.duplicate").await;
        let last = mint.header_text(json.replace('}', &format!(",{member}}}")));
        gateway.refuses(&format!("{member} last"), last, "token.duplicate").await;
    }
}

#[tokio::test]
async fn t33_typ_of_an_access_token_is_served() {
    let (issuer, _upstream, gateway) = start().await;
    for typ in ["at+jwt", "AT+JWT", "application/at+jwt", "Application/AT+jwt"] {
        gateway.accepts(typ, issuer.mint().header("typ", typ)).await;
    }
}

#[tokio::test]
async fn t33_other_typ_gets_401() {
    let (issuer, _upstream, gateway) = start().await;
    for typ in [
        "dpop+jwt",
        "logout+jwt",
        "secevent+jwt",
        "oauth-id-jag+jwt",
        "token-introspection+jwt",
        "application/dpop+jwt",
        "JWS",
        "at+jwt ",
        "text/at+jwt",
        "at+jwtx",
        "application/application/at+jwt",
    ] {
        gateway.refuses(typ, issuer.mint().header("typ", typ), "token.typ").await;
    }
    for typ in [Value::Null, json!(1), json!(["at+jwt"])] {
        let mint = issuer.mint().header("typ", typ.clone());
        gateway.refuses(&typ.to_string(), mint, "token.typ | token.header").await;
    }
}

#[tokio::test]
async fn t33_plain_jwt_or_no_typ_gets_401_unless_configured() {
    let (issuer, _upstream, gateway) = start().await;
    let (jwt, none) = (issuer.mint().header("typ", "JWT"), issuer.mint().without_header("typ"));
    gateway.refuses("JWT", jwt, "token.typ").await;
    gateway.refuses("none", none, "token.typ").await;
    let changes = r#"issuers = [{ name = "corp", token_types = ["JWT", ""] }]"#;
    let (issuer, _upstream, gateway) = start_with(changes).await;
    gateway.accepts("JWT", issuer.mint().header("typ", "JWT")).await;
    gateway.accepts("lower case", issuer.mint().header("typ", "jwt")).await;
    gateway.accepts("none", issuer.mint().without_header("typ")).await;
    gateway.refuses("not listed", issuer.mint(), "token.typ").await;
    gateway.refuses("for another purpose", issuer.mint().header("typ", "dpop+jwt"), "token.typ").await;
}

#[tokio::test]
async fn t34_id_token_gets_401() {
    let changes = r#"issuers = [{ name = "corp", token_types = ["at+jwt", "JWT"], strict = false }]"#;
    let (issuer, _upstream, gateway) = start_with(changes).await;
    let id_token = issuer.mint().claim("aud", "client-1").header("typ", "JWT").claim("nonce", "n");
    gateway.refuses("for the client", id_token.clone(), "token.aud | token.id_token").await;
    let for_us = id_token.claim("aud", RESOURCE);
    gateway.refuses("with a nonce", for_us, "token.id_token").await;
    let hash = issuer.mint().header("typ", "JWT").claim("at_hash", "x");
    gateway.refuses("with at_hash", hash, "token.id_token").await;
}
