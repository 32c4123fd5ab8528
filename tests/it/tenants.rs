//! Which tenant may come in where (threat C20).

use serde_json::json;

use crate::support::gateway::TENANT_IN_PATH;
use crate::support::{Gateway, Issuer, PATH, Reply, Upstream, start, start_with};

const FROM_HOST: &str = r#"
    [[routes]]
    name = "notes"
    resource = "https://{tenant}.example.com/mcp"
    tenant = { from = "resource" }
"#;

const ALLOW: &str = r#"routes = [{ name = "notes", tenant = { allow = ["acme", "umbrella"] } }]"#;

/// A POST to the tenant's URL with a token for it whose tenant claim says something else.
async fn call(gateway: &Gateway, issuer: &Issuer, addressed: &str, claimed: &str) -> Reply {
    let mint = issuer.mint_for(&format!("https://mcp.example.com/{addressed}/mcp")).claim("tenant", claimed);
    gateway.client().bearer(mint).post(&format!("/{addressed}/mcp")).await
}

#[tokio::test]
async fn any_tenant_and_none_come_in_where_the_route_says_so() {
    let (issuer, upstream, gateway) = start().await;
    gateway.accepts("acme", issuer.mint()).await;
    gateway.accepts("another", issuer.mint().claim("tenant", "umbrella")).await;
    gateway.accepts("none", issuer.mint().without("tenant")).await;
    let tenants: Vec<_> =
        upstream.received().iter().map(|request| request.field("x-auth-tenant").map(str::to_owned)).collect();
    assert_eq!(tenants, [Some("acme".into()), Some("umbrella".into()), None]);
}

#[tokio::test]
async fn c20_tenant_that_is_not_listed_gets_403() {
    let (issuer, _upstream, gateway) = start_with(ALLOW).await;
    gateway.accepts("acme", issuer.mint()).await;
    gateway.accepts("umbrella", issuer.mint().claim("tenant", "umbrella")).await;
    for tenant in ["other", "ACME", "acme ", " acme", "acme2", "acm", "acme,umbrella", "*"] {
        println!("case: {tenant:?}");
        let reply = gateway.client().bearer(issuer.mint().claim("tenant", tenant)).post(PATH).await;
        reply.assert_refused(403, "forbidden", "authz.tenant").await;
    }
}

#[tokio::test]
async fn c20_tenant_claim_that_is_absent_or_no_text_gets_403() {
    let (issuer, _upstream, gateway) = start_with(ALLOW).await;
    let reply = gateway.client().bearer(issuer.mint().without("tenant")).post(PATH).await;
    reply.assert_refused(403, "forbidden", "authz.tenant").await;
    for tenant in [json!(null), json!(1), json!(true), json!(["acme"]), json!({ "acme": 1 }), json!("")] {
        println!("case: {tenant}");
        let reply = gateway.client().bearer(issuer.mint().claim("tenant", tenant)).post(PATH).await;
        reply.assert_refused(403, "forbidden", "authz.tenant").await;
    }
}

/// One tenant's own issuer may say what it likes.
#[tokio::test]
async fn c20_issuer_speaks_for_its_own_tenants_only() {
    let (acme, globex, upstream) = (Issuer::start().await, Issuer::start().await, Upstream::start().await);
    let changes = format!(
        "[[issuers]]\nname = \"corp\"\ntenants = [\"acme\"]\n[[issuers]]\nname = \"globex\"\nissuer = \"{}\"\n\
         insecure_http = true\ntenants = [\"globex\", \"globex-labs\"]\n[[routes]]\nname = \"notes\"\nissuers = [\"corp\", \"globex\"]",
        globex.url()
    );
    let gateway = Gateway::start_with(&acme, &upstream, &changes).await;
    for tenant in ["globex", "globex-labs"] {
        gateway.accepts(tenant, globex.mint().claim("tenant", tenant)).await;
    }
    gateway.accepts("acme", acme.mint().claim("tenant", "acme")).await;
    let served = upstream.received().len();
    for mint in
        [globex.mint().claim("tenant", "acme"), globex.mint().without("tenant"), acme.mint().claim("tenant", "globex")]
    {
        let reply = gateway.client().bearer(mint).post(PATH).await;
        reply.assert_refused(403, "forbidden", "authz.tenant").await;
    }
    assert_eq!(upstream.received().len(), served);
}

#[tokio::test]
async fn c20_tenant_of_the_path_must_be_the_tokens() {
    let (issuer, upstream, gateway) = start_with(TENANT_IN_PATH).await;
    for tenant in ["acme", "umbrella"] {
        call(&gateway, &issuer, tenant, tenant).await.assert_served();
        let received = upstream.received().pop().unwrap();
        assert_eq!(received.field("x-auth-tenant"), Some(tenant));
        assert_eq!(received.target, "/mcp");
    }
    let reply = call(&gateway, &issuer, "umbrella", "acme").await;
    let line = reply.assert_refused(403, "forbidden", "authz.tenant").await;
    assert_eq!(line.text("route"), "notes");
    for claimed in ["ACME", "acme/", "acme.", ""] {
        let reply = call(&gateway, &issuer, "acme", claimed).await;
        reply.assert_refused(403, "forbidden", "authz.tenant").await;
    }
}

#[tokio::test]
async fn c20_tenant_of_the_host_must_be_the_tokens() {
    let (issuer, upstream, gateway) = start_with(FROM_HOST).await;
    let call = |addressed: &str, claimed: &str| {
        let host = format!("{addressed}.example.com");
        let mint = issuer.mint_for(&format!("https://{host}/mcp")).claim("tenant", claimed);
        let client = gateway.client().host(&host).server_name(&host);
        async move { client.bearer(mint).post("/mcp").await }
    };
    call("acme", "acme").await.assert_served();
    assert_eq!(upstream.only().field("x-auth-tenant"), Some("acme"));
    call("umbrella", "acme").await.assert_refused(403, "forbidden", "authz.tenant").await;
}

#[tokio::test]
async fn token_for_another_tenants_url_gets_401() {
    let (issuer, _upstream, gateway) = start_with(TENANT_IN_PATH).await;
    let reply =
        gateway.client().bearer(issuer.mint_for("https://mcp.example.com/acme/mcp")).post("/umbrella/mcp").await;
    let url = "https://mcp.example.com/.well-known/oauth-protected-resource/umbrella/mcp";
    reply.of_resource(url, "mcp:tools").assert_refused(401, "invalid_token", "token.aud").await;
    let template = issuer.mint_for("https://mcp.example.com/{tenant}/mcp");
    let reply = gateway.client().bearer(template).post("/acme/mcp").await;
    let url = url.replace("umbrella", "acme");
    reply.of_resource(&url, "mcp:tools").assert_refused(401, "invalid_token", "token.aud").await;
}

#[tokio::test]
async fn nobody_learns_of_tenants_without_a_good_token() {
    let (issuer, _upstream, gateway) = start_with(ALLOW).await;
    let foreign = issuer.mint().claim("tenant", "other");
    let forged = foreign.signed_by(|_| vec![0; 256]);
    gateway.refuses("forged", forged, "token.signature").await;
    gateway.refuses("expired", foreign.expired(), "token.exp").await;
}

#[tokio::test]
async fn token_of_one_tenant_is_not_remembered_for_another() {
    let (issuer, upstream, gateway) = start_with(TENANT_IN_PATH).await;
    let resources = json!(["https://mcp.example.com/acme/mcp", "https://mcp.example.com/umbrella/mcp"]);
    let token = issuer.mint().claim("aud", resources).to_string();
    for _ in 0..2 {
        gateway.client().bearer(&token).post("/acme/mcp").await.assert_served();
        let reply = gateway.client().bearer(&token).post("/umbrella/mcp").await;
        reply.assert_refused(403, "forbidden", "authz.tenant").await;
    }
    assert_eq!(upstream.received().len(), 2);
}

#[tokio::test]
async fn segments_that_are_no_tenant_get_404() {
    let (issuer, _upstream, gateway) = start_with(TENANT_IN_PATH).await;
    let long = "t".repeat(64);
    for segment in ["", ".", "..", "a%20b", "a%2fb", "%61cme", "a/b", "a b", "a;b", "a@b", "ä", "{tenant}", &long] {
        println!("case: {segment}");
        let client = gateway.client().bearer(issuer.mint_for("https://mcp.example.com/acme/mcp"));
        let reply = gateway.connect().await.exchange(client.text("POST", &format!("/{segment}/mcp"))).await;
        assert!([400, 404].contains(&reply.status()), "{}", reply.status());
    }
}
