//! The list of what is revoked: in force at once, for open streams too, and never half of it.

use std::fs;

use crate::support::{Gateway, Issuer, PATH, Upstream, log, start_with};

const LIST: &str = "[revocations]\nfile = \"revoked.toml\"\n[[issuers]]\nname = \"corp\"\nstrict = false\n";

/// Writes the list and lets the gateway look at it; true when it was taken.
async fn revoke(gateway: &Gateway, list: &str) -> bool {
    fs::write(gateway.file("revoked.toml"), list).unwrap();
    gateway.reload(LIST).await
}

fn entry(facts: &str) -> String {
    format!("[[revoked]]\nissuer = \"corp\"\nnote = \"lost\"\n{facts}\n")
}

#[tokio::test]
async fn revoked_token_gets_401_and_others_pass() {
    let (issuer, upstream, gateway) = start_with(LIST).await;
    let mint = || issuer.mint().claim("tenant", "acme").claim("sub", "alice").claim("jti", "one");
    let token = mint().to_string();
    gateway.accepts("before", &token).await;
    let (past, future) = ("2001-01-01T00:00:00Z", "2901-01-01T00:00:00+01:00");
    for facts in [
        "jti = \"one\"".to_owned(),
        "subject = \"alice\"".into(),
        "client = \"client-1\"".into(),
        "tenant = \"acme\"".into(),
        format!("issued_before = {future}"),
        format!("subject = \"alice\"\ntenant = \"acme\"\nissued_before = \"{future}\""),
        format!("jti = \"one\"\nuntil = {future}"),
    ] {
        assert!(revoke(&gateway, &entry(&facts)).await, "{facts}");
        assert_eq!(gateway.metric("portcullis_revocations", &[]).await, Some(1.0));
        gateway.refuses(&facts, &token, "token.revoked").await;
    }
    for facts in [
        "jti = \"two\"".to_owned(),
        "subject = \"Alice\"".into(),
        "subject = \"alice\"\ntenant = \"globex\"".into(),
        format!("issued_before = {past}"),
        format!("jti = \"one\"\nuntil = {past}"),
    ] {
        assert!(revoke(&gateway, &entry(&facts)).await, "{facts}");
        gateway.accepts(&facts, &token).await;
    }
    assert!(revoke(&gateway, &entry(&format!("issued_before = {past}"))).await);
    gateway.refuses("a token without iat counts as old", mint().without("iat"), "token.revoked").await;
    assert!(revoke(&gateway, "").await);
    gateway.accepts("nothing is revoked", &token).await;
    assert_eq!(upstream.received().len(), 7);
}

#[tokio::test]
async fn another_issuers_subject_of_that_name_passes() {
    let (first, second, upstream) = (Issuer::start().await, Issuer::start().await, Upstream::start().await);
    let url = second.url();
    let both = format!(
        "[[issuers]]\nname = \"other\"\nissuer = \"{url}\"\ninsecure_http = true\n\
         [[routes]]\nname = \"notes\"\nissuers = [\"corp\", \"other\"]\n[revocations]\nfile = \"revoked.toml\"\n"
    );
    let gateway = Gateway::start_with(&first, &upstream, &both).await;
    for issuer in [url.as_str(), "other"] {
        let list = format!("[[revoked]]\nissuer = \"{issuer}\"\nsubject = \"alice\"\n");
        fs::write(gateway.file("revoked.toml"), list).unwrap();
        assert!(gateway.reload(&both).await);
        gateway.accepts("of corp", first.mint().claim("sub", "alice")).await;
        gateway.refuses("of the other", second.mint().claim("sub", "alice"), "token.revoked").await;
    }
}

#[tokio::test]
async fn open_streams_of_the_revoked_end_and_a_neighbours_goes_on() {
    let (issuer, mut upstream, gateway) = start_with(LIST).await;
    upstream.streams();
    let open =
        async |subject: &str| gateway.client().bearer(issuer.mint().claim("sub", subject)).open("GET", PATH).await;
    let mut mallory = open("mallory").await;
    let hers = upstream.stream().await;
    let mut alice = open("alice").await;
    let stream = upstream.stream().await;
    assert!(revoke(&gateway, &entry("subject = \"mallory\"")).await);
    assert!(mallory.ends_well().await, "cleanly, as with an expired token");
    hers.gone().await;
    let id = mallory.head.fields.get("x-request-id").unwrap();
    let line = log::of_request(id).await;
    assert_eq!((line.text("event"), line.text("reason")), ("served".into(), "stream.revoked".into()));
    stream.send("data: 1\n\n").await;
    assert_eq!(alice.next().await.as_deref(), Some("data: 1\n\n"));
}

#[tokio::test]
async fn bad_list_is_refused_whole_and_says_every_mistake() {
    let (issuer, _upstream, gateway) = start_with(LIST).await;
    assert!(revoke(&gateway, &entry("subject = \"mallory\"")).await);
    let bad = entry("subjekt = \"bob\"")
        + "[[revoked]]\nissuer = \"nobody\"\njti = \"x\"\n[[revoked]]\nissuer = \"corp\"\n"
        + &entry("issued_before = \"yesterday\"");
    assert!(!revoke(&gateway, &bad).await);
    for why in [
        "revoked.toml:4: revoked[0].subjekt: unknown key, did you mean subject?",
        "revoked[1].issuer: is no issuer of the configuration",
        "revoked[2]: must have at least one of jti, subject, client, tenant, issued_before",
        "revoked[3].issued_before: must be a time such as",
    ] {
        log::first(why, |line| line.text("event") == "config.rejected" && line.text("detail").contains(why)).await;
    }
    gateway.refuses("the old list", issuer.mint().claim("sub", "mallory"), "token.revoked").await;
    gateway.accepts("bob", issuer.mint().claim("sub", "bob")).await;
}

#[tokio::test]
async fn good_list_is_in_force_whatever_else_is_wrong() {
    let (issuer, _upstream, gateway) = start_with(LIST).await;
    fs::write(gateway.file("revoked.toml"), entry("subject = \"mallory\"")).unwrap();
    assert!(!gateway.reload("listn = 1").await);
    gateway.refuses("an emergency", issuer.mint().claim("sub", "mallory"), "token.revoked").await;
}
