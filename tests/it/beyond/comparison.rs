//! Rule 3: exact comparison everywhere.

use crate::http2::{PSEUDO, request};
use crate::support::gateway::TENANT_IN_PATH;
use crate::support::http2::Outcome;
use crate::support::{PATH, start, start_with};

/// One port has one spelling; user information before a host makes the host another one.
#[tokio::test]
async fn x3a_other_spellings_of_the_authority_are_refused() {
    let (issuer, upstream, gateway) = start().await;
    for authority in [
        "mcp.example.com:0443",
        "mcp.example.com:00443",
        "mcp.example.com:+443",
        "mcp.example.com:443:443",
        "mcp.example.com:65979", // 443 in sixteen bits
        "mcp.example.com:",
        "mcp.example.com@evil.example",
        "evil.example@mcp.example.com",
        "evil.example:443@mcp.example.com",
        "mcp.example.com%2eevil.example",
        "mcp.example.com,evil.example",
        "[mcp.example.com]",
        "mcp.example.com\\.evil.example",
        "xn--mcp.example.com",
    ] {
        println!("case: {authority}");
        let token = issuer.mint().to_string();
        let line = format!("POST {PATH} HTTP/1.1\r\nHost: {authority}\r\nAuthorization: Bearer {token}\r\n\r\n");
        let reply = gateway.connect().await.exchange(line).await;
        assert!([400, 421].contains(&reply.status()), "{}", reply.status());
        let absolute = format!(
            "POST https://{authority}{PATH} HTTP/1.1\r\nHost: mcp.example.com\r\nAuthorization: Bearer {token}\r\n\r\n"
        );
        let reply = gateway.connect().await.exchange(absolute).await;
        assert!([400, 421].contains(&reply.status()), "{}", reply.status());
        let pseudo = PSEUDO.map(|field| if field.0 == ":authority" { (":authority", authority) } else { field });
        let outcome = request(&gateway, &issuer, &pseudo, &[]).await;
        assert!(matches!(outcome, Outcome::Reset(_) | Outcome::Answered(400 | 421)), "{outcome:?}");
    }
    assert!(upstream.received().is_empty(), "{:?}", upstream.received());
    gateway.client().host("mcp.example.com:443").bearer(issuer.mint()).post(PATH).await.assert_served();
}

/// Tenants that look like the one in the path, or would be it after some folding, are others.
#[tokio::test]
async fn x3b_tenant_that_only_looks_like_the_paths_is_another() {
    let (issuer, upstream, gateway) = start_with(TENANT_IN_PATH).await;
    let resource = "https://mcp.example.com/acme/mcp";
    for tenant in [
        "ACME",
        "acme ",
        " acme",
        "acme.",
        "acme/",
        "\u{430}cme",
        "\u{ff41}cme",
        "a\u{200b}cme",
        "acme\u{feff}",
        "acme\u{301}",
        "%61cme",
        "acme%00",
        "acme,globex",
    ] {
        println!("case: {tenant:?}");
        let token = issuer.mint_for(resource).claim("tenant", tenant);
        let reply = gateway.client().bearer(token).post("/acme/mcp").await;
        let document = "https://mcp.example.com/.well-known/oauth-protected-resource/acme/mcp";
        reply.of_resource(document, "mcp:tools").assert_refused(403, "forbidden", "authz.tenant").await;
    }
    for path in ["/ACME/mcp", "/acme./mcp", "/Acme/mcp", "/acme-/mcp"] {
        println!("case: {path}");
        let reply = gateway.client().bearer(issuer.mint_for(resource)).post(path).await;
        assert_eq!(reply.status(), 401, "the token is for another resource");
    }
    assert!(upstream.received().is_empty());
    let reply = gateway.client().bearer(issuer.mint_for(resource)).post("/acme/mcp").await;
    reply.assert_served();
}

/// JSON has many spellings for one text: they are one. Other texts stay others, however they print.
#[tokio::test]
async fn x3c_audiences_are_compared_as_texts_and_not_as_they_print() {
    let (issuer, upstream, gateway) = start().await;
    let written = |aud: &str| {
        let payload = issuer.mint().claim("aud", "AUDIENCE").payload_json();
        issuer.mint().payload_text(payload.replace("\"AUDIENCE\"", aud))
    };
    gateway.accepts("escaped", written(r#""https:\/\/mcp.example.com\/note\u0073\/mcp""#)).await;
    gateway.accepts("an array", written(r#"["x","https://\u006dcp.example.com/notes/mcp"]"#)).await;
    let before = upstream.received().len();
    for aud in [
        r#""https://mcp.example.com/notes/mcp\u0000""#,
        r#""https://mcp.example.com/notes/mcp\u0000.evil.example""#,
        r#""https://m\u0441p.example.com/notes/mcp""#,
        r#""https://mcp\u3002example.com/notes/mcp""#,
        r#""https://mcp.example.com\uff0fnotes/mcp""#,
        r#""https://mcp.example.com/notes\u00ad/mcp""#,
        r#""https://mcp.example.com/notes/mcp\u200b""#,
        r#""\ufeffhttps://mcp.example.com/notes/mcp""#,
        r#""https:\\\\mcp.example.com\\notes\\mcp""#,
        r#""https:/mcp.example.com/notes/mcp""#,
        r#""https:///mcp.example.com/notes/mcp""#,
        r#""https://mcp.example.com:0443/notes/mcp""#,
        r#""https://mcp.example.com:/notes/mcp""#,
        r#""https://MCP.EXAMPLE.COM/NOTES/MCP""#,
        r#""https://mcp.example.com/notes/mcp;x""#,
        r#"[["https://mcp.example.com/notes/mcp"]]"#,
        r#"["https://mcp.example.com/notes/mcp",1]"#,
        r#"{"0":"https://mcp.example.com/notes/mcp"}"#,
    ] {
        gateway.refuses(aud, written(aud), "token.aud").await;
    }
    gateway.refuses("twice", written(r#""x","a\u0075d":"https://mcp.example.com/notes/mcp""#), "token.duplicate").await;
    assert_eq!(upstream.received().len(), before);
}
