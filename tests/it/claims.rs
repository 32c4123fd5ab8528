//! What a token's claims must say (threats C1 to C23).

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::issuer::RESOURCE;
use crate::support::mint::now;
use crate::support::{Gateway, Issuer, Mint, PATH, start, start_with};

/// Values of every type, but no text.
fn no_texts() -> Vec<Value> {
    vec![json!(null), json!(1), json!(true), json!([]), json!({}), json!([["x"]])]
}

async fn refuses_each(gateway: &Gateway, issuer: &Issuer, claim: &str, values: Vec<Value>, reasons: &str) {
    gateway.refuses(&format!("no {claim}"), issuer.mint().without(claim), reasons).await;
    for value in values {
        let mint = issuer.mint().claim(claim, value.clone());
        gateway.refuses(&format!("{claim} {value}"), mint, reasons).await;
    }
}

#[tokio::test]
async fn c1_audience_that_does_not_name_the_resource_gets_401() {
    let (issuer, _upstream, gateway) = start().await;
    let mut values = no_texts();
    values.extend([
        json!(""),
        json!("client-1"),
        json!("https://other.example.com/notes/mcp"),
        json!([""]),
        json!([1]),
        json!([null]),
        json!(["https://other.example.com/notes/mcp", "https://mcp.example.com/"]),
        json!({ "aud": RESOURCE }),
    ]);
    refuses_each(&gateway, &issuer, "aud", values, "token.aud").await;
}

#[tokio::test]
async fn c2_audience_that_differs_a_little_gets_401() {
    let (issuer, _upstream, gateway) = start().await;
    for aud in [
        "https://mcp.example.com/notes/mcp/",
        "https://mcp.example.com/Notes/mcp",
        "https://mcp.example.com/notes",
        "https://mcp.example.com/notes/mcp/x",
        "https://mcp.example.com/notes/mcpx",
        "https://mcp.example.com/notes/mcp?",
        "https://mcp.example.com/notes/mcp#",
        "https://mcp.example.com/notes/../notes/mcp",
        "https://mcp.example.com//notes/mcp",
        "https://mcp.example.com/%6eotes/mcp",
        "https://mcp.example.com/notes%2fmcp",
        "https://mcp.example.com:8443/notes/mcp",
        "https://mcp.example.com./notes/mcp",
        "https://user@mcp.example.com/notes/mcp",
        "http://mcp.example.com/notes/mcp",
        "http://mcp.example.com:443/notes/mcp",
        "mcp.example.com/notes/mcp",
        " https://mcp.example.com/notes/mcp",
        "https://mcp.example.com/notes/mcp ",
        "https://mcp.example.com",
        "*",
    ] {
        gateway.refuses(aud, issuer.mint().claim("aud", aud), "token.aud").await;
    }
}

#[tokio::test]
async fn c2_only_host_case_and_default_port_are_folded() {
    let (issuer, _upstream, gateway) = start().await;
    for aud in [
        "https://MCP.Example.com/notes/mcp",
        "HTTPS://mcp.example.com/notes/mcp",
        "https://mcp.example.com:443/notes/mcp",
    ] {
        gateway.accepts(aud, issuer.mint().claim("aud", aud)).await;
    }
}

#[tokio::test]
async fn c3_audience_list_that_holds_the_resource_is_served() {
    let (issuer, _upstream, gateway) = start().await;
    for aud in [json!([RESOURCE]), json!(["https://other.example.com", RESOURCE])] {
        gateway.accepts(&aud.to_string(), issuer.mint().claim("aud", aud.clone())).await;
    }
}

#[tokio::test]
async fn further_audiences_are_served_when_configured() {
    let changes = r#"routes = [{ name = "notes", audiences = ["api://notes"] }]"#;
    let (issuer, _upstream, gateway) = start_with(changes).await;
    gateway.accepts("configured", issuer.mint().claim("aud", "api://notes")).await;
    gateway.accepts("the resource", issuer.mint()).await;
    gateway.refuses("longer", issuer.mint().claim("aud", "api://notes/x"), "token.aud").await;
}

#[tokio::test]
async fn c5_issuer_that_is_not_exactly_the_configured_one_gets_401() {
    let (issuer, _upstream, gateway) = start().await;
    let (url, port) = (issuer.url(), issuer.authority().split(':').nth(1).unwrap().to_owned());
    let mut values = no_texts();
    values.extend([
        json!(""),
        json!(format!("{url}/")),
        json!(url.replace("http://", "HTTP://")),
        json!(url.replace("http://", "https://")),
        json!(url.replace("http://", "http://user@")),
        json!(format!("http://localhost:{port}")),
        json!(format!("{url} ")),
        json!([url]),
    ]);
    refuses_each(&gateway, &issuer, "iss", values, "token.iss").await;
}

#[tokio::test]
async fn c7_unknown_issuer_gets_401_and_is_never_asked() {
    let (issuer, _upstream, gateway) = start().await;
    let attacker = Issuer::start().await;
    let before = issuer.targets().len();
    gateway.refuses("attacker", attacker.mint(), "token.iss").await;
    assert_eq!(attacker.targets(), [""; 0]);
    assert_eq!(issuer.targets().len(), before);
}

#[tokio::test]
async fn c8_missing_malformed_or_past_expiry_gets_401() {
    let (issuer, _upstream, gateway) = start().await;
    let mut values = no_texts();
    values.retain(|value| *value != json!(1));
    values.extend([
        json!("soon"),
        json!((now() + 300).to_string()),
        json!([now() + 300]),
        json!(0),
        json!(1),
        json!(-1),
        json!(-1.5e300),
        json!(now() - 60),
    ]);
    refuses_each(&gateway, &issuer, "exp", values, "token.exp").await;
    gateway.refuses("an hour ago", issuer.mint().expired(), "token.exp").await;
}

#[tokio::test]
async fn c8_expiry_beyond_all_numbers_gets_401() {
    let (issuer, _upstream, gateway) = start().await;
    for number in ["1e400", "-1e400", "NaN", "Infinity", "0x7fffffff", "+9999999999"] {
        let json = issuer.mint().without("exp").payload_json();
        let mint = issuer.mint().payload_text(json.replacen('{', &format!(r#"{{"exp":{number},"#), 1));
        gateway.refuses(number, mint, "token.exp | token.json").await;
    }
}

#[tokio::test]
async fn c9_fractional_expiry_in_the_future_is_served() {
    let (issuer, _upstream, gateway) = start().await;
    let soon = f64::from(u32::try_from(now()).unwrap()) + 300.5;
    gateway.accepts("fraction", issuer.mint().claim("exp", soon)).await;
    let json = issuer.mint().without("exp").payload_json();
    let mint = issuer.mint().payload_text(json.replacen('{', r#"{"exp":4.1024448e9,"#, 1));
    gateway.accepts("exponent", mint).await;
}

#[tokio::test]
async fn c11_not_before_in_the_future_or_malformed_gets_401() {
    let (issuer, _upstream, gateway) = start().await;
    let mut values = no_texts();
    values.retain(|value| *value != json!(1));
    values.extend([json!(now() + 60), json!(now() + 3600), json!("0"), json!(u64::MAX), json!(1e300)]);
    for nbf in values {
        gateway.refuses(&nbf.to_string(), issuer.mint().claim("nbf", nbf.clone()), "token.nbf").await;
    }
    gateway.accepts("now", issuer.mint().claim("nbf", now())).await;
    gateway.accepts("long ago", issuer.mint().claim("nbf", 1)).await;
}

#[tokio::test]
async fn issued_in_the_future_gets_401() {
    let (issuer, _upstream, gateway) = start().await;
    gateway.refuses("tomorrow", issuer.mint().claim("iat", now() + 86400), "token.iat").await;
    gateway.refuses("text", issuer.mint().claim("iat", "now"), "token.iat").await;
}

#[tokio::test]
async fn c12_leeway_is_thirty_seconds_by_default() {
    let (issuer, _upstream, gateway) = start().await;
    gateway.accepts("expired just now", issuer.mint().claim("exp", now() - 10)).await;
    gateway.refuses("expired before that", issuer.mint().claim("exp", now() - 45), "token.exp").await;
    gateway.accepts("valid soon", issuer.mint().claim("nbf", now() + 10)).await;
    gateway.refuses("valid later", issuer.mint().claim("nbf", now() + 45), "token.nbf").await;
}

#[tokio::test]
async fn c12_leeway_is_as_configured() {
    let (issuer, _upstream, gateway) = start_with(r#"issuers = [{ name = "corp", leeway = "0s" }]"#).await;
    gateway.refuses("expired just now", issuer.mint().claim("exp", now() - 3), "token.exp").await;
    gateway.refuses("valid soon", issuer.mint().claim("nbf", now() + 10), "token.nbf").await;
}

#[tokio::test]
async fn c12_times_at_the_ends_of_the_range_do_not_overflow() {
    let (issuer, _upstream, gateway) = start().await;
    for exp in [json!(i64::MAX), json!(u64::MAX), json!(1e300), json!(f64::MAX)] {
        let reply = gateway.client().bearer(issuer.mint().claim("exp", exp.clone())).post(PATH).await;
        assert!([200, 401].contains(&reply.status()), "{exp}: {}", reply.status());
    }
    for exp in [json!(i64::MIN), json!(f64::MIN)] {
        gateway.refuses(&exp.to_string(), issuer.mint().claim("exp", exp.clone()), "token.exp").await;
    }
    for nbf in [json!(i64::MIN), json!(f64::MIN)] {
        let reply = gateway.client().bearer(issuer.mint().claim("nbf", nbf.clone())).post(PATH).await;
        assert!([200, 401].contains(&reply.status()), "{nbf}: {}", reply.status());
    }
}

#[tokio::test]
async fn c13_subject_that_is_absent_empty_or_no_text_gets_401() {
    let (issuer, _upstream, gateway) = start().await;
    let mut values = no_texts();
    values.push(json!(""));
    refuses_each(&gateway, &issuer, "sub", values, "token.sub").await;
}

/// Texts that no header field may hold as they are.
const DIRTY: &[&str] = &[
    "a\r\nx-auth-tenant: other",
    "a\nb",
    "a\rb",
    "a\0b",
    "a\u{1b}[31mb",
    "a\tb",
    "a\u{7f}b",
    "jörg",
    "\u{202e}evil",
    "a\u{2028}b",
];

#[tokio::test]
async fn c14_control_bytes_never_reach_the_upstream() {
    let (issuer, upstream, gateway) = start().await;
    for (claim, header) in [
        ("sub", "x-auth-subject"),
        ("client_id", "x-auth-client"),
        ("tenant", "x-auth-tenant"),
        ("email", "x-auth-email"),
        ("scope", "x-auth-scopes"),
    ] {
        for dirty in DIRTY {
            println!("case: {claim} {dirty:?}");
            let text = if claim == "scope" { format!("mcp:tools {dirty}") } else { (*dirty).to_owned() };
            let before = upstream.received().len();
            let reply = gateway.client().bearer(issuer.mint().claim(claim, text.clone())).post(PATH).await;
            if reply.status() == 401 {
                reply.assert_refused(401, "invalid_token", "token.claim_bytes | token.scope").await;
                continue;
            }
            reply.assert_served();
            let received = upstream.received().remove(before);
            let value = received.fields.get(header).unwrap();
            assert!(value.bytes().all(|b| (0x20..0x7f).contains(&b)), "{value:?}");
            assert_ne!(value, text);
            assert_eq!(received.fields.all("x-auth-tenant").len(), 1);
        }
    }
}

#[tokio::test]
async fn c15_principal_over_256_bytes_gets_401() {
    let (issuer, _upstream, gateway) = start().await;
    for claim in ["sub", "client_id", "tenant"] {
        let of = |length: usize| issuer.mint().claim(claim, "x".repeat(length));
        gateway.accepts(claim, of(256)).await;
        gateway.refuses(claim, of(257), "token.claim_size").await;
    }
}

#[tokio::test]
async fn c15_other_injected_claim_over_4_kib_gets_401() {
    let (issuer, _upstream, gateway) = start().await;
    let scopes = |count: usize| format!("mcp:tools{}", " scope:123".repeat(count));
    gateway.accepts("scope", issuer.mint().claim("scope", scopes(300))).await;
    gateway.refuses("scope", issuer.mint().claim("scope", scopes(420)), "token.claim_size").await;
    let email = |length: usize| issuer.mint().claim("email", "x".repeat(length));
    gateway.accepts("email", email(4096)).await;
    gateway.refuses("email", email(4097), "token.claim_size").await;
}

#[tokio::test]
async fn c17_missing_scope_gets_403_that_names_all_scopes() {
    let changes = r#"routes = [{ name = "notes", scopes = ["mcp:tools", "mcp:extra"] }]"#;
    let (issuer, _upstream, gateway) = start_with(changes).await;
    let url = crate::support::reply::METADATA_URL;
    for mint in [
        issuer.mint(),
        issuer.mint().without("scope"),
        issuer.mint().claim("scope", ""),
        issuer.mint().claim("scope", "mcp:extra"),
        issuer.mint().claim("scope", "other"),
    ] {
        let reply = gateway.client().bearer(mint).post(PATH).await;
        let reply = reply.of_resource(url, "mcp:tools mcp:extra");
        reply.assert_refused(403, "insufficient_scope", "authz.scope").await;
    }
    let both = issuer.mint().claim("scope", "other mcp:extra mcp:tools");
    gateway.accepts("both, in another order", both).await;
}

#[tokio::test]
async fn c18_scope_that_is_only_similar_gets_403() {
    let (issuer, _upstream, gateway) = start().await;
    for scope in [
        "mcp:tools2",
        "xmcp:tools",
        "mcp:tool",
        "mcp",
        "mcp:*",
        "*",
        "MCP:TOOLS",
        "mcp:tools:read",
        "mcp:tools,mcp:other",
    ] {
        println!("case: {scope}");
        let reply = gateway.client().bearer(issuer.mint().claim("scope", scope)).post(PATH).await;
        reply.assert_refused(403, "insufficient_scope", "authz.scope").await;
    }
}

#[tokio::test]
async fn scope_claim_of_another_type_is_no_grant() {
    let (issuer, _upstream, gateway) = start().await;
    for scope in [json!(["mcp:tools"]), json!(1), json!({ "mcp:tools": true })] {
        println!("case: {scope}");
        let reply = gateway.client().bearer(issuer.mint().claim("scope", scope)).post(PATH).await;
        reply.assert_refused(401, "invalid_token", "token.scope").await;
    }
}

#[tokio::test]
async fn c21_duplicate_claim_gets_401() {
    let (issuer, _upstream, gateway) = start().await;
    let mint = issuer.mint();
    for member in [
        r#""aud":"https://other.example.com""#,
        r#""iss":"https://other.example.com""#,
        r#""exp":1"#,
        r#""exp":4102444800"#,
        r#""sub":"mallory""#,
        r#""tenant":"other""#,
        r#""scope":"mcp:admin""#,
        r#""jti":"x""#,
        r#""s\u0075b":"mallory""#,
    ] {
        let with = |json: String| mint.clone().payload_text(json);
        let first = with(mint.payload_json().replacen('{', &format!("{{{member},"), 1));
        gateway.refuses(&format!("{member} first"), first, "token.duplicate").await;
        let json = mint.payload_json();
        let last = with(format!("{},{member}}}", &json[..json.len() - 1]));
        gateway.refuses(&format!("{member} last"), last, "token.duplicate").await;
    }
}

#[tokio::test]
async fn c23_token_that_was_served_before_gets_401_once_expired() {
    let (issuer, _upstream, gateway) = start_with(r#"issuers = [{ name = "corp", leeway = "0s" }]"#).await;
    let token = issuer.mint().expires_in(Duration::from_secs(2)).to_string();
    gateway.accepts("fresh", &token).await;
    let mut connection = gateway.connect().await;
    let client = gateway.client().bearer(&token);
    let mut reply = connection.send(&client, "POST", PATH).await;
    let start = std::time::Instant::now();
    while reply.status() == 200 {
        assert!(start.elapsed() < Duration::from_secs(5), "still served");
        tokio::time::sleep(Duration::from_millis(50)).await;
        reply = connection.send(&client, "POST", PATH).await;
    }
    reply.assert_refused(401, "invalid_token", "token.exp").await;
}

#[tokio::test]
async fn strict_issuers_need_iat_jti_and_client() {
    let (issuer, _upstream, gateway) = start_with(r#"issuers = [{ name = "corp", strict = true }]"#).await;
    let mint = || -> Mint { issuer.mint() };
    gateway.accepts("all there", mint()).await;
    gateway.refuses("no iat", mint().without("iat"), "token.iat").await;
    gateway.refuses("no jti", mint().without("jti"), "token.jti").await;
    gateway.refuses("no client", mint().without("client_id"), "token.client").await;
    gateway.refuses("empty client", mint().claim("client_id", ""), "token.client").await;
}

#[tokio::test]
async fn token_bound_to_a_key_gets_401() {
    let (issuer, _upstream, gateway) = start().await;
    for cnf in [json!({ "jkt": "x" }), json!({ "x5t#S256": "x" }), json!({ "new": 1 }), json!(1)] {
        gateway.refuses(&cnf.to_string(), issuer.mint().claim("cnf", cnf.clone()), "token.cnf").await;
    }
}
