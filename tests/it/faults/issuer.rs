//! The issuer breaks (threats K16, K19, K21): what its keys verified goes on, and without keys 503 says when to come back.

use std::time::Duration;

use super::{AT_ONCE, BESIDE_URL, served, traffic};
use crate::support::issuer::Manner;
use crate::support::traffic::Traffic;
use crate::support::{Gateway, Issuer, PATH, Upstream, eventually_value, keys};

/// Fetches may happen ten times a second, and each takes at most 300 ms.
const EAGER: &str = "key_cool_down = \"100ms\"\nkey_timeout = \"300ms\"\n";
/// From the issuer's return until its keys are there: a fetch that hangs, a cool-down and a fetch.
const BACK: Duration = Duration::from_secs(4);

/// How it breaks: nobody is there, or it serves everything in this manner.
#[derive(Clone)]
enum Fault {
    Killed,
    Serves(Manner),
}

impl Fault {
    async fn begin(&self, issuer: &mut Issuer) {
        match self {
            Self::Killed => issuer.kill().await,
            Self::Serves(manner) => issuer.serves_all(manner.clone()),
        }
    }

    fn end(&self, issuer: &mut Issuer) {
        match self {
            Self::Killed => issuer.restart(),
            Self::Serves(_) => issuer.serves_all(Manner::Well),
        }
    }
}

/// Keys are there: they go on serving, tokens of a new key wait for the issuer's return.
async fn known_keys_go_on(fault: Fault) {
    let (mut issuer, upstream) = (Issuer::start().await, Upstream::start().await);
    let gateway = Gateway::start_with(&issuer, &upstream, &format!("[[issuers]]\nname = \"corp\"\n{EAGER}")).await;
    let mut honest = traffic(&gateway, &issuer);
    honest.sees_only(4, "before", served).await;

    fault.begin(&mut issuer).await;
    let (client, new) = (gateway.client(), issuer.mint().key(keys::other_rsa()));
    let mut newer = Traffic::of(PATH, move |_| client.clone().bearer(&new));
    let failures = |scrape: crate::support::scrape::Scrape| {
        scrape.value("portcullis_issuer_fetch_failures_total", &[("issuer", "corp")]).unwrap()
    };
    eventually_value("two fetches fail", async || (failures(gateway.scrape().await) >= 2.0).then_some(())).await;
    newer.sees_only(2, "a key that nobody knows", |seen| seen.is_refused(401, "invalid_token")).await;
    let ready = gateway.admin().get("/readyz").await;
    assert_eq!((ready.status(), ready.json()["issuers"][0]["last_error"].is_string()), (200, true));

    issuer.publish([keys::rsa().jwk(), keys::other_rsa().jwk()]);
    fault.end(&mut issuer);
    let (_, took) = newer.sees("the new key", served).await;
    assert!(took < BACK, "{took:?}");
    newer.sees_only(4, "after", served).await;
    honest.was_always_served(AT_ONCE);
}

/// No key is there yet: 503 says when to come back, another issuer's tokens pass, and nobody restarts anything.
async fn absent_keys_are_waited_for(fault: Fault) {
    let (mut issuer, other, upstream) = (Issuer::start().await, Issuer::start().await, Upstream::start().await);
    fault.begin(&mut issuer).await;
    let changes = format!(
        "[[issuers]]\nname = \"corp\"\n{EAGER}\n[[issuers]]\nname = \"other\"\nissuer = \"{}\"\ninsecure_http = true\n\
         [[routes]]\nname = \"beside\"\nresource = \"{BESIDE_URL}\"\nupstream = \"{}\"\nissuers = [\"other\"]\n\
         scopes = []\ntenant = \"any\"\n",
        other.url(),
        upstream.url()
    );
    let gateway = Gateway::launch_with(&issuer, &upstream, &changes).await;
    let others = gateway.client().bearer(other.mint_for(BESIDE_URL));
    eventually_value("the other issuer's keys", async || {
        (others.clone().post(super::BESIDE).await.status() == 200).then_some(())
    })
    .await;
    let beside = Traffic::of(super::BESIDE, move |_| others.clone());
    let mut honest = traffic(&gateway, &issuer);
    let early =
        |seen: &crate::support::traffic::Seen| seen.is_refused(503, "temporarily_unavailable") && seen.took < AT_ONCE;
    honest.sees_only(6, "during", early).await;
    let ready = gateway.admin().get("/readyz").await;
    assert_eq!(ready.status(), 503);
    let said = ready.json();
    assert_eq!((&said["issuers"][0]["name"], &said["issuers"][0]["ready"]), (&"corp".into(), &false.into()));
    assert_eq!(said["issuers"][1]["ready"], true, "{said}");

    fault.end(&mut issuer);
    let (_, took) = honest.sees("keys", served).await;
    assert!(took < BACK, "{took:?}");
    honest.sees_only(6, "after", served).await;
    gateway.ready().await;
    beside.was_always_served(AT_ONCE);
}

/// With keys in force and without any, side by side.
async fn breaks(fault: Fault) {
    tokio::join!(known_keys_go_on(fault.clone()), absent_keys_are_waited_for(fault));
}

fn answers(status: &str, body: &str) -> Fault {
    let length = body.len();
    Fault::Serves(Manner::Bytes(format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{body}").into()))
}

fn redirect() -> Fault {
    let head = "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n";
    Fault::Serves(Manner::Bytes(head.into()))
}

fn half() -> Manner {
    Manner::Resets("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 900\r\n\r\n{\"keys\":[".into())
}

#[tokio::test]
async fn k16_k21_issuer_that_is_killed() {
    breaks(Fault::Killed).await;
}

#[tokio::test]
async fn k16_k21_issuer_that_stalls() {
    breaks(Fault::Serves(Manner::Silent)).await;
}

#[tokio::test]
async fn k16_k21_issuer_that_dribbles() {
    breaks(Fault::Serves(Manner::Dribbling)).await;
}

#[tokio::test]
async fn k16_k21_issuer_that_closes_at_once() {
    breaks(Fault::Serves(Manner::Gone)).await;
}

#[tokio::test]
async fn k16_k21_issuer_that_resets_in_the_body() {
    breaks(Fault::Serves(half())).await;
}

#[tokio::test]
async fn k16_k21_issuer_that_talks_garbage() {
    breaks(Fault::Serves(Manner::Bytes(b"\x16\x03\x01\0\xff\r\n\r\nSSH-2.0\r\n".into()))).await;
}

#[tokio::test]
async fn k16_k21_issuer_that_serves_a_page() {
    breaks(answers("200 OK", "<html>down for maintenance</html>")).await;
}

#[tokio::test]
async fn k16_k21_issuer_that_answers_500() {
    breaks(answers("500 Broken", "{}")).await;
}

#[tokio::test]
async fn k16_k19_k21_issuer_that_redirects() {
    breaks(redirect()).await;
}
