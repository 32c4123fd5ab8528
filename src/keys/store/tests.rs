//! The store of one issuer's keys, against an issuer that fails in every way.

use serde_json::json;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::turn::SOON;
use super::*;
use crate::keys::test_issuer::{Answer, TestIssuer, TestKey, config, eventually, http, ok, set};

/// A store whose loop runs until the test ends.
struct Running {
    store: Arc<KeyStore>,
    _tasks: JoinSet<()>,
}

impl std::ops::Deref for Running {
    type Target = Arc<KeyStore>;
    fn deref(&self) -> &Arc<KeyStore> {
        &self.store
    }
}

fn run(config: &IssuerConfig) -> Running {
    let store = Arc::new(KeyStore::new(config, Origin::of(config).unwrap()).unwrap());
    let mut tasks = JoinSet::new();
    tasks.spawn(Arc::clone(&store).run(CancellationToken::new()));
    Running { store, _tasks: tasks }
}

async fn run_ready(config: &IssuerConfig) -> Running {
    let store = run(config);
    eventually("keys are there", || store.status().ready).await;
    store
}

async fn failing_with(config: &IssuerConfig, reason: &'static str) -> Running {
    let store = run(config);
    eventually("the fetch failed", || store.status().last_error.is_some()).await;
    assert_eq!(store.status().last_error, Some(reason));
    assert!(store.current().is_err());
    store
}

fn with_cool_down(issuer: &TestIssuer, milliseconds: u64) -> IssuerConfig {
    let mut config = issuer.config();
    config.keys.cool_down = Duration::from_millis(milliseconds);
    config
}

#[tokio::test]
async fn k21_start_without_the_issuer_is_unavailable_and_recovers() {
    let issuer = TestIssuer::start().await;
    let store = failing_with(&issuer.config(), "jwks.fetch_failed").await;
    let unavailable = store.current().unwrap_err();
    assert!(unavailable.retry_after >= SOON && unavailable.retry_after <= Duration::from_mins(1));
    assert_eq!(store.status().age, None);
    let (_, why) = store.turn().next(Duration::ZERO);
    assert_eq!(why, Due::Asked, "who needs keys does not wait for the end of a long back-off");

    issuer.publish(&[&TestKey::new("a")]);
    eventually("keys are there", || store.status().ready).await;
    let status = store.status();
    assert_eq!((status.keys, status.last_error), (1, None));
    assert!(store.current().unwrap().set.knows("a"));
}

#[tokio::test]
async fn k19_a_redirect_is_not_followed() {
    let issuer = TestIssuer::start().await;
    issuer.answer("/jwks", Answer::Raw(http(302, "location: /other\r\n", "")));
    issuer.answer("/other", ok(&set(&[&TestKey::new("a")])));
    failing_with(&issuer.config(), "jwks.redirect").await;
    assert!(!issuer.hits().contains(&"/other".to_owned()));
}

#[tokio::test]
async fn k17_a_fetch_ends_at_the_size_limit_declared_or_not() {
    let issuer = TestIssuer::start().await;
    let declared = "HTTP/1.1 200 OK\r\ncontent-length: 600000\r\n\r\n";
    issuer.answer("/jwks", Answer::Raw(declared.into()));
    failing_with(&issuer.config(), "jwks.too_large").await;
    issuer.answer("/jwks", Answer::Endless);
    failing_with(&issuer.config(), "jwks.too_large").await;
    let many: Vec<_> = (0..101).map(|_| TestKey::new("a").jwk()).collect();
    issuer.answer("/jwks", ok(&json!({ "keys": many })));
    failing_with(&issuer.config(), "jwks.too_large").await;
}

#[tokio::test]
async fn k17_a_set_just_as_long_as_may_be_is_read() {
    let issuer = TestIssuer::start().await;
    let document = set(&[&TestKey::new("a")]).to_string();
    let padded = |length: usize| document.clone() + &" ".repeat(length - document.len());
    let declared = |length| Answer::Raw(http(200, "", &padded(length)));
    let chunked = |length| {
        let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n";
        Answer::Raw(format!("{head}{length:x}\r\n{}\r\n0\r\n\r\n", padded(length)))
    };
    for answer in [declared(512 * 1024), chunked(512 * 1024)] {
        issuer.answer("/jwks", answer);
        run_ready(&issuer.config()).await;
    }
    for answer in [declared(512 * 1024 + 1), chunked(512 * 1024 + 1)] {
        issuer.answer("/jwks", answer);
        failing_with(&issuer.config(), "jwks.too_large").await;
    }
}

#[tokio::test]
async fn k17_metadata_has_a_size_limit_of_its_own() {
    let issuer = TestIssuer::with_keys(&[&TestKey::new("a")]).await;
    let name = issuer.issuer("");
    let document = json!({ "issuer": name.as_str(), "jwks_uri": format!("{name}/jwks") }).to_string();
    for place in ["oauth-authorization-server", "openid-configuration"] {
        let place = format!("/.well-known/{place}");
        let padded = |length: usize| document.clone() + &" ".repeat(length - document.len());
        issuer.answer(&place, Answer::Raw(http(200, "", &padded(128 * 1024 + 1))));
        failing_with(&config(name.clone(), None), "jwks.too_large").await;
        issuer.answer(&place, Answer::Raw(http(200, "", &padded(128 * 1024))));
        run_ready(&config(name.clone(), None)).await;
        issuer.answer(&place, Answer::Raw(http(404, "", "")));
    }
}

/// The clock runs ahead whenever nothing else does: an answer may come too late, which is a failure like any other.
#[tokio::test(start_paused = true)]
async fn failures_in_a_row_are_followed_by_ever_longer_waits() {
    let nobody = Issuer::parse("http://127.0.0.1:9").unwrap();
    let store = run(&config(nobody, Some("http://127.0.0.1:9/jwks")));
    tokio::time::sleep(Duration::from_mins(5)).await;
    // At least 1, 1, 2, 4, 8, 16 and then 30 seconds each.
    let failures = store.status().failures;
    assert!((5..=16).contains(&failures), "{failures}");
}

#[test]
fn stores_are_told_apart_and_do_not_come_back_in_step() {
    let nobody = config(Issuer::parse("http://127.0.0.1:9").unwrap(), None);
    let store = || KeyStore::new(&nobody, Origin::of(&nobody).unwrap()).unwrap();
    let (one, other) = (store(), store());
    assert_ne!(one.number(), other.number());
    assert_ne!(one.random(), other.random());
}

#[tokio::test]
async fn k16_whatever_the_issuer_answers_old_keys_stay_in_force() {
    let key = TestKey::new("a");
    for (bad, reason) in [
        (http(500, "", ""), "jwks.fetch_failed"),
        (String::new(), "jwks.fetch_failed"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{".into(), "jwks.fetch_failed"),
        (http(200, "content-type: text/html\r\n", "<html></html>"), "jwks.malformed"),
        (http(200, "", "{\"keys\":[{\"kty\":"), "jwks.malformed"),
        (http(204, "", ""), "jwks.fetch_failed"),
    ] {
        let issuer = TestIssuer::with_keys(&[&key]).await;
        let store = run_ready(&with_cool_down(&issuer, 0)).await;
        let tried = store.current().unwrap();
        issuer.answer("/jwks", Answer::Raw(bad.clone()));
        assert!(!store.refetch(&tried, None).await, "{bad}");
        eventually("the fetch failed", || store.status().last_error == Some(reason)).await;
        assert!(store.current().unwrap().set.knows("a"), "{bad}");
        assert!(store.status().ready, "{bad}");
    }
}

#[tokio::test]
async fn k16_a_dribbling_answer_is_cut_off_and_nobody_waits_for_it() {
    let issuer = TestIssuer::with_keys(&[&TestKey::new("a")]).await;
    let mut config = with_cool_down(&issuer, 0);
    config.keys.timeout = Duration::from_millis(1500);
    let store = run_ready(&config).await;
    let tried = store.current().unwrap();
    issuer.answer("/jwks", Answer::Dribble);
    let asked = Instant::now();
    assert!(!store.refetch(&tried, Some("b")).await);
    assert!(asked.elapsed() < Duration::from_secs(1), "k14: answered within a second");
    assert!(store.current().is_ok(), "known keys do not wait");
    eventually("the fetch failed", || store.status().last_error == Some("jwks.fetch_failed")).await;
}

#[tokio::test]
async fn keys_without_refresh_serve_for_a_bounded_time() {
    let issuer = TestIssuer::with_keys(&[&TestKey::new("a")]).await;
    let mut config = with_cool_down(&issuer, 50);
    config.keys.max_age = Duration::from_millis(50);
    config.keys.max_stale = Duration::from_millis(700);
    let store = run_ready(&config).await;
    issuer.answer("/jwks", Answer::Raw(http(500, "", "")));
    eventually("the fetch failed", || store.status().last_error.is_some()).await;
    eventually("the keys are too old", || store.current().is_err()).await;
    assert!(!store.status().ready);
    issuer.publish(&[&TestKey::new("a")]);
    eventually("keys are in force again", || store.current().is_ok()).await;
}

#[tokio::test]
async fn k14_a_flood_of_unknown_key_ids_in_the_cool_down_fetches_nothing() {
    let issuer = TestIssuer::with_keys(&[&TestKey::new("a")]).await;
    let store = run_ready(&issuer.config()).await;
    let tried = store.current().unwrap();
    let asked = Instant::now();
    for number in 0..5000 {
        assert!(!store.refetch(&tried, Some(&format!("kid-{number}"))).await);
    }
    assert!(asked.elapsed() < Duration::from_secs(2));
    assert_eq!(issuer.hits().len(), 1);
}

#[tokio::test]
async fn k14_after_the_cool_down_a_flood_shares_one_fetch() {
    let (a, b) = (TestKey::new("a"), TestKey::new("b"));
    let issuer = TestIssuer::with_keys(&[&a]).await;
    let mut config = with_cool_down(&issuer, 500);
    config.keys.max_age = Duration::from_hours(1);
    let store = run_ready(&config).await;
    let tried = store.current().unwrap();
    tokio::time::sleep_until(tried.confirmed + config.keys.cool_down).await;

    let gate = Arc::new(Semaphore::new(0));
    let body = set(&[&a, &b]).to_string();
    issuer.answer("/jwks", Answer::Held(Arc::clone(&gate), http(200, "", &body)));
    let mut askers = JoinSet::new();
    for _ in 0..100 {
        let (store, tried) = (Arc::clone(&store), Arc::clone(&tried));
        askers.spawn(async move { store.refetch(&tried, Some("b")).await });
    }
    eventually("the fetch is under way", || issuer.hits().len() == 2).await;
    gate.add_permits(1);
    assert!(askers.join_all().await.into_iter().all(|newer| newer));
    assert!(store.current().unwrap().set.knows("b"));
    assert_eq!(issuer.hits().len(), 2);
}

#[tokio::test]
async fn k15_a_fetch_asked_for_in_the_cool_down_happens_when_it_ends() {
    let (a, b) = (TestKey::new("a"), TestKey::new("b"));
    let issuer = TestIssuer::with_keys(&[&a]).await;
    let config = with_cool_down(&issuer, 800);
    let store = run_ready(&config).await;
    let tried = store.current().unwrap();
    issuer.publish(&[&a, &b]);
    for _ in 0..10 {
        assert!(!store.refetch(&tried, Some("b")).await, "not in the cool-down");
    }
    eventually("the new key is there", || store.current().unwrap().set.knows("b")).await;
    let newer = store.current().unwrap();
    assert!(newer.confirmed - tried.confirmed >= config.keys.cool_down);
    assert!(newer.confirmed - tried.confirmed < config.keys.cool_down + Duration::from_secs(1));
    assert_eq!(issuer.hits().len(), 2, "one, whatever the number of askers");
    assert!(store.refetch(&tried, Some("b")).await, "who still holds the old keys is sent to the new ones");
}

#[tokio::test]
async fn d19_a_key_id_looked_for_in_vain_asks_for_nothing_until_the_next_cool_down() {
    let issuer = TestIssuer::with_keys(&[&TestKey::new("a")]).await;
    let store = run_ready(&with_cool_down(&issuer, 800)).await;
    let tried = store.current().unwrap();
    tokio::time::sleep_until(tried.confirmed + store.rules.cool_down).await;
    assert!(store.refetch(&tried, Some("b")).await, "there is a newer set, but the key is not in it");
    let tried = store.current().unwrap();
    assert!(!store.refetch(&tried, Some("b")).await);
    assert!(!store.turn().wanted, "known to be absent");
    assert!(!store.refetch(&tried, Some("c")).await);
    assert!(store.turn().wanted, "another one is looked for when the cool-down ends");
    tokio::time::sleep_until(tried.confirmed + store.rules.cool_down).await;
    eventually("the fetch happened", || issuer.hits().len() == 3).await;
    assert!(store.absent.len() <= MAX_ABSENT);
}

#[tokio::test]
async fn k23_a_withdrawn_key_is_gone_after_the_next_refresh() {
    let (a, b) = (TestKey::new("a"), TestKey::new("b"));
    let issuer = TestIssuer::with_keys(&[&a, &b]).await;
    let mut config = with_cool_down(&issuer, 10);
    config.keys.max_age = Duration::from_millis(50);
    let store = run_ready(&config).await;
    assert_eq!(store.status().keys, 2);
    issuer.publish(&[&b]);
    eventually("the key is gone", || !store.current().unwrap().set.knows("a")).await;
    issuer.publish(&[]);
    eventually("no key is left", || store.current().is_err()).await;
}

#[tokio::test]
async fn k8_what_cannot_be_used_does_not_cost_the_others() {
    let issuer = TestIssuer::start().await;
    let odd = json!({ "keys": [{ "kty": "oct", "k": "AAAA", "kid": "o" }, 7, TestKey::new("a").jwk()] });
    issuer.answer("/jwks", ok(&odd));
    let store = run_ready(&issuer.config()).await;
    assert_eq!(store.status().keys, 1);
}

#[tokio::test]
async fn discovery_finds_the_keys_in_each_of_the_three_places() {
    for place in [
        "/.well-known/oauth-authorization-server/realms/a",
        "/.well-known/openid-configuration/realms/a",
        "/realms/a/.well-known/openid-configuration",
    ] {
        let issuer = TestIssuer::with_keys(&[&TestKey::new("a")]).await;
        let name = issuer.issuer("/realms/a");
        let jwks_uri = format!("http://{}/jwks", issuer.address);
        issuer.answer(place, ok(&json!({ "issuer": name.as_str(), "jwks_uri": jwks_uri })));
        run_ready(&config(name, None)).await;
        let hits = issuer.hits();
        assert_eq!(hits.last().unwrap(), "/jwks");
        assert_eq!(hits[hits.len() - 2], place);
    }
}

#[tokio::test]
async fn a_planned_fetch_discovers_anew_and_an_unplanned_one_goes_straight_to_the_keys() {
    const PLACE: &str = "/.well-known/oauth-authorization-server";
    let issuer = TestIssuer::with_keys(&[&TestKey::new("a")]).await;
    let name = issuer.issuer("");
    let at = |path: &str| ok(&json!({ "issuer": name.as_str(), "jwks_uri": format!("{name}{path}") }));
    issuer.answer(PLACE, at("/jwks"));
    let mut config = config(name.clone(), None);
    config.keys.cool_down = Duration::ZERO;
    config.keys.max_age = Duration::from_millis(2500);
    let store = run_ready(&config).await;
    assert!(store.refetch(&store.current().unwrap(), None).await);
    assert_eq!(issuer.hits(), [PLACE, "/jwks", "/jwks"]);
    issuer.answer("/moved", ok(&set(&[&TestKey::new("b")])));
    issuer.answer(PLACE, at("/moved"));
    eventually("the keys moved", || store.current().unwrap().set.knows("b")).await;
}

#[tokio::test]
async fn k22_a_document_of_another_issuer_is_not_used() {
    let issuer = TestIssuer::with_keys(&[&TestKey::new("a")]).await;
    let jwks_uri = format!("http://{}/jwks", issuer.address);
    // Whichever place it is at: that there is nothing at the other one tells less.
    for place in ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"] {
        issuer.answer(place, ok(&json!({ "issuer": "https://evil.test", "jwks_uri": jwks_uri })));
        failing_with(&config(issuer.issuer(""), None), "issuer.mismatch").await;
        assert!(!issuer.hits().contains(&"/jwks".to_owned()));
        issuer.answer(place, Answer::Raw(http(404, "", "")));
    }
}

#[tokio::test]
async fn o13_plain_http_is_for_loopback_and_only_when_allowed() {
    let issuer = TestIssuer::with_keys(&[&TestKey::new("a")]).await;
    let mut refused = issuer.config();
    refused.insecure_http = false;
    failing_with(&refused, "jwks.insecure_uri").await;

    let name = issuer.issuer("");
    for uri in ["http://10.0.0.1/jwks", "file:///etc/passwd", "ftp://127.0.0.1/jwks"] {
        let document = json!({ "issuer": name.as_str(), "jwks_uri": uri });
        issuer.answer("/.well-known/oauth-authorization-server", ok(&document));
        failing_with(&config(name.clone(), None), "jwks.insecure_uri").await;
    }
    assert!(!issuer.hits().contains(&"/jwks".to_owned()));
}

#[tokio::test]
async fn stopping_ends_the_loop_even_in_the_middle_of_a_fetch() {
    let issuer = TestIssuer::start().await;
    issuer.answer("/jwks", Answer::Held(Arc::new(Semaphore::new(0)), String::new()));
    let store = Arc::new(KeyStore::new(&issuer.config(), Origin::of(&issuer.config()).unwrap()).unwrap());
    let stop = CancellationToken::new();
    let mut tasks = JoinSet::new();
    tasks.spawn(Arc::clone(&store).run(stop.clone()));
    eventually("the fetch is under way", || issuer.hits().len() == 1).await;
    assert_eq!(store.current().unwrap_err().retry_after, SOON);
    stop.cancel();
    timeout(Duration::from_secs(1), tasks.join_all()).await.unwrap();
}

#[test]
fn d21_a_million_unknown_key_ids_hold_under_256_bytes_for_each_that_is_remembered() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (_issuer, store, tried) = runtime.block_on(async {
        let issuer = TestIssuer::with_keys(&[&TestKey::new("a")]).await;
        let store = run_ready(&with_cool_down(&issuer, 3_600_000)).await;
        // Keys that were replaced meanwhile: that is when ids are found to be absent.
        let tried = Arc::new(Keys { set: KeySet::default(), confirmed: Instant::now() });
        (issuer, store, tried)
    });
    let ask = |from: u32, count: u32| {
        allocation_counter::measure(|| {
            runtime.block_on(async {
                for number in from..from + count {
                    store.refetch(&tried, Some(&format!("kid-{number}"))).await;
                }
            });
        })
    };
    let (first, second) = (ask(0, 1_000_000), ask(1_000_000, 100_000));
    assert!(store.absent.len() > MAX_ABSENT / 2, "the test sees what is held: {}", store.absent.len());
    assert!(first.bytes_max < 256 * MAX_ABSENT as u64, "{first:?}");
    // A table may come to its last size late. Without a bound, all that were asked for would take far more.
    let held = (first.bytes_current + second.bytes_current).unsigned_abs();
    assert!(held < 256 * MAX_ABSENT as u64, "more add nothing: {first:?} {second:?}");
}

#[tokio::test]
async fn an_issuer_that_no_configuration_names_is_asked_no_more() {
    let issuer = TestIssuer::start().await;
    let store = Arc::new(KeyStore::new(&issuer.config(), Origin::of(&issuer.config()).unwrap()).unwrap());
    let mut tasks = JoinSet::new();
    tasks.spawn(Arc::clone(&store).run(CancellationToken::new()));
    store.retire();
    timeout(Duration::from_secs(10), tasks.join_all()).await.unwrap();
}
