//! Tokens against the keys of two issuers: what is verified, remembered, counted and refused.

use std::num::NonZeroU32;
use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::config::watching::{Blocks, DetectionConfig};
use crate::config::{Limits, Listen, Log, LogFormat, Metadata, PolicyConfig, Resource, TenantRule, Timeouts, Upstream};
use crate::keys::test_issuer::{Answer, TestIssuer, TestKey, eventually, http, now};
use crate::names::RouteName;
use crate::token::BearerError;

const NOTES: usize = 0;
const TENANTS: usize = 1;

/// A gateway's authenticator with one issuer, a plain route and one with the tenant in its path.
struct Gate {
    authenticator: Arc<Authenticator>,
    issuer: TestIssuer,
    _tasks: JoinSet<()>,
}

impl Gate {
    /// With keys in force.
    async fn open(keys: &[&TestKey], cool_down: Duration) -> Self {
        let gate = Self::start(TestIssuer::with_keys(keys).await, cool_down);
        eventually("keys are there", || gate.store().status().ready).await;
        gate
    }

    fn start(issuer: TestIssuer, cool_down: Duration) -> Self {
        let mut config = config(&issuer);
        config.issuers[0].keys.cool_down = cool_down;
        let authenticator = Arc::new(Authenticator::new(&config, None).unwrap());
        let mut tasks = JoinSet::new();
        for store in authenticator.stores() {
            tasks.spawn(Arc::clone(store).run(CancellationToken::new()));
        }
        Self { authenticator, issuer, _tasks: tasks }
    }

    fn store(&self) -> &KeyStore {
        &self.authenticator.stores[0]
    }

    /// Good claims for the plain route.
    fn claims(&self) -> Value {
        json!({
            "iss": self.issuer.issuer("").as_str(), "sub": "alice", "client_id": "cli", "tid": "acme",
            "aud": "https://mcp.test/notes", "exp": now() + 600, "scope": "a",
        })
    }

    fn claims_with(&self, name: &str, value: Value) -> Value {
        let mut claims = self.claims();
        claims[name] = value;
        claims
    }

    async fn present(&self, token: &str) -> Result<Arc<Identity>, Rejection> {
        self.present_at(NOTES, None, "192.0.2.1", token).await
    }

    async fn present_at(
        &self,
        route: usize,
        tenant: Option<&str>,
        peer: &str,
        token: &str,
    ) -> Result<Arc<Identity>, Rejection> {
        let tenant = tenant.map(|tenant| TenantId::parse(tenant).unwrap());
        let value = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
        let headers = HeaderMap::from_iter([(AUTHORIZATION, value)]);
        let uri = Uri::from_static("/notes");
        let peer = peer.parse().unwrap();
        self.authenticator.authenticate(route, tenant.as_ref(), peer, &Fields::from(&headers), &uri).await
    }
}

const LONG: Duration = Duration::from_hours(1);

fn refused<T>(error: TokenError) -> Result<T, Rejection> {
    Err(Rejection::Token(error))
}

#[tokio::test]
async fn a_good_token_gives_its_identity_and_is_verified_once() {
    let key = TestKey::new("a");
    let gate = Gate::open(&[&key], LONG).await;
    let token = key.sign(&gate.claims());
    let first = gate.present(&token).await.unwrap();
    assert_eq!(first.subject().as_str(), "alice");
    let second = gate.present(&token).await.unwrap();
    assert!(Arc::ptr_eq(&first, &second), "the very same identity");
}

#[tokio::test]
async fn what_is_no_token_is_told_so() {
    let gate = Gate::open(&[&TestKey::new("a")], LONG).await;
    let (fields, uri) = (Fields::default(), Uri::from_static("/notes"));
    let peer = "192.0.2.1".parse().unwrap();
    let outcome = gate.authenticator.authenticate(NOTES, None, peer, &fields, &uri).await;
    assert_eq!(outcome.unwrap_err(), Rejection::Bearer(BearerError::Missing));
    assert_eq!(gate.present("a.b").await.unwrap_err(), Rejection::Token(TokenError::Shape));
}

#[tokio::test]
async fn k13_only_the_routes_own_issuers_are_asked() {
    let (key, other) = (TestKey::new("a"), TestKey::new("a"));
    let gate = Gate::open(&[&key], LONG).await;
    let foreign = gate.claims_with("iss", json!("https://evil.test"));
    assert_eq!(gate.present(&key.sign(&foreign)).await.map(drop), refused(TokenError::Issuer));
    assert_eq!(gate.present(&other.sign(&gate.claims())).await.map(drop), refused(TokenError::Signature));
    assert_eq!(gate.issuer.hits(), ["/jwks"], "nothing is fetched for them in the cool-down");
}

#[tokio::test]
async fn k21_without_keys_a_good_token_is_not_judged_and_not_counted() {
    let key = TestKey::new("a");
    let gate = Gate::start(TestIssuer::start().await, LONG);
    let token = key.sign(&gate.claims());
    for _ in 0..20 {
        let outcome = gate.present(&token).await.map(drop);
        assert!(
            matches!(outcome, Err(Rejection::KeysUnavailable { retry_after }) if retry_after >= Duration::from_secs(1))
        );
    }
    gate.issuer.publish(&[&key]);
    eventually("keys are there", || gate.store().status().ready).await;
    gate.present(&token).await.unwrap();
}

#[tokio::test]
async fn k15_after_a_rotation_no_request_is_lost() {
    let (old, new) = (TestKey::new("a"), TestKey::new("b"));
    let gate = Gate::open(&[&old], Duration::ZERO).await;
    gate.present(&old.sign(&gate.claims())).await.unwrap();
    gate.issuer.publish(&[&old, &new]);
    let tokens: Vec<_> = (0..20).map(|n| new.sign(&gate.claims_with("sub", json!(format!("u{n}"))))).collect();
    let outcomes = futures(&gate, &tokens).await;
    assert_eq!(outcomes, 20);
}

#[tokio::test]
async fn a_key_replaced_under_its_old_name_is_fetched_on_the_bad_signature() {
    let (old, new) = (TestKey::new("a"), TestKey::new("a"));
    let gate = Gate::open(&[&old], Duration::ZERO).await;
    gate.issuer.publish(&[&new]);
    gate.present(&new.sign(&gate.claims())).await.unwrap();
    assert_eq!(gate.present(&old.sign(&gate.claims())).await.map(drop), refused(TokenError::Signature));
}

/// How many of the tokens pass when all are presented together.
async fn futures(gate: &Gate, tokens: &[String]) -> usize {
    let mut requests = JoinSet::new();
    for token in tokens {
        let authenticator = Arc::clone(&gate.authenticator);
        let value = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
        let headers = HeaderMap::from_iter([(AUTHORIZATION, value)]);
        requests.spawn(async move {
            let (peer, uri) = ("192.0.2.1".parse().unwrap(), Uri::from_static("/notes"));
            authenticator.authenticate(NOTES, None, peer, &Fields::from(&headers), &uri).await.is_ok()
        });
    }
    requests.join_all().await.into_iter().filter(|passed| *passed).count()
}

#[tokio::test]
async fn k14_a_flood_of_unknown_key_ids_is_refused_at_once_and_fetches_nothing() {
    let key = TestKey::new("a");
    let gate = Gate::open(&[&key], LONG).await;
    let token = TestKey::new("b").sign(&gate.claims());
    for number in 0..200 {
        let peer = format!("192.0.2.{number}");
        let outcome = gate.present_at(NOTES, None, &peer, &token).await.map(drop);
        assert_eq!(outcome, refused(TokenError::KeyId));
    }
    assert_eq!(gate.issuer.hits().len(), 1);
    gate.present(&key.sign(&gate.claims())).await.unwrap();
}

#[tokio::test]
async fn d19_a_key_id_looked_for_in_vain_is_remembered() {
    let key = TestKey::new("a");
    let gate = Gate::open(&[&key], Duration::ZERO).await;
    let stranger = TestKey::new("b").sign(&gate.claims());
    assert_eq!(gate.present(&stranger).await.unwrap_err(), Rejection::Token(TokenError::KeyId));
    assert_eq!(gate.store().looked_for_in_vain(), 1);
    // A known one under which another key signed is looked for again: it may have been replaced.
    let forged = TestKey::new("a").sign(&gate.claims());
    assert_eq!(gate.present(&forged).await.unwrap_err(), Rejection::Token(TokenError::Signature));
    assert_eq!(gate.store().looked_for_in_vain(), 0, "another fetch, another chance");
}

#[tokio::test]
async fn k23_a_withdrawn_key_stops_verifying_at_once_for_cached_tokens_too() {
    let (a, b) = (TestKey::new("a"), TestKey::new("b"));
    let gate = Gate::open(&[&a, &b], Duration::ZERO).await;
    let token = a.sign(&gate.claims());
    gate.present(&token).await.unwrap();
    gate.issuer.publish(&[&b]);
    gate.store().refetch(&gate.store().current().unwrap(), None).await;
    assert!(!gate.store().current().unwrap().set.knows("a"));
    assert_eq!(gate.present(&token).await.map(drop), refused(TokenError::KeyId));
    gate.present(&b.sign(&gate.claims())).await.unwrap();
}

#[tokio::test]
async fn keys_too_old_to_trust_stop_cached_tokens_too() {
    let key = TestKey::new("a");
    let mut config = config(&TestIssuer::start().await);
    let issuer = TestIssuer::with_keys(&[&key]).await;
    config.issuers = vec![issuer.config()];
    config.issuers[0].keys.max_stale = Duration::from_millis(1500);
    let authenticator = Arc::new(Authenticator::new(&config, None).unwrap());
    let mut tasks = JoinSet::new();
    tasks.spawn(Arc::clone(&authenticator.stores[0]).run(CancellationToken::new()));
    let gate = Gate { authenticator, issuer, _tasks: tasks };
    eventually("keys are there", || gate.store().status().ready).await;
    let token = key.sign(&gate.claims());
    gate.present(&token).await.unwrap();
    gate.issuer.answer("/jwks", Answer::Raw(http(500, "", "")));
    eventually("the keys are too old", || !gate.store().status().ready).await;
    let outcome = gate.present(&token).await.map(drop);
    assert!(matches!(outcome, Err(Rejection::KeysUnavailable { .. })), "{outcome:?}");
}

#[tokio::test]
async fn c23_a_cached_token_dies_with_its_exp() {
    let key = TestKey::new("a");
    let gate = Gate::open(&[&key], LONG).await;
    let token = key.sign(&gate.claims_with("exp", json!(now() + 2)));
    let fingerprint = gate.authenticator.routes[NOTES].scene.fingerprint(None, &token).unwrap();
    let expires_at = gate.present(&token).await.unwrap().expires_at();
    let recall = |at| gate.authenticator.recall(&fingerprint, at).unwrap();
    assert!(recall(expires_at - 1).is_some());
    assert!(recall(expires_at).is_none());
    assert!(gate.authenticator.verified.get(&fingerprint).is_none(), "forgotten");
    eventually("the token expired", || now() >= expires_at).await;
    assert_eq!(gate.present(&token).await.map(drop), refused(TokenError::Expired));
}

/// Ahead, a token has ended and is forgotten; back again, it is judged anew. Keys age by a clock that nobody sets.
#[tokio::test]
async fn o11_a_clock_that_steps_ahead_and_back_costs_one_verification() {
    let key = TestKey::new("a");
    let gate = Gate::open(&[&key], LONG).await;
    let token = key.sign(&gate.claims());
    let fingerprint = gate.authenticator.routes[NOTES].scene.fingerprint(None, &token).unwrap();
    gate.present(&token).await.unwrap();
    let recalled = |at| gate.authenticator.recall(&fingerprint, at).unwrap().is_some();
    let ahead = now() + 10 * 365 * 24 * 3600;
    assert!(recalled(now()) && !recalled(ahead) && !recalled(now()));
    gate.present(&token).await.unwrap();
    assert!(recalled(now()));
    assert!(gate.store().status().ready);
}

#[tokio::test]
async fn a_cached_token_passes_only_the_route_and_tenant_it_was_verified_for() {
    let key = TestKey::new("a");
    let gate = Gate::open(&[&key], LONG).await;
    let token = key.sign(&gate.claims());
    gate.present(&token).await.unwrap();
    let elsewhere = gate.present_at(TENANTS, Some("acme"), "192.0.2.1", &token).await;
    assert_eq!(elsewhere.map(drop), refused(TokenError::Audience));

    let token = key.sign(&gate.claims_with("aud", json!(["https://mcp.test/acme/t", "https://mcp.test/evil/t"])));
    gate.present_at(TENANTS, Some("acme"), "192.0.2.1", &token).await.unwrap();
    for _ in 0..20 {
        let foreign = gate.present_at(TENANTS, Some("evil"), "192.0.2.1", &token).await;
        assert_eq!(foreign.map(drop), refused(TokenError::Tenant));
    }
    // c20: a good token in the wrong place spends no budget.
    gate.present(&key.sign(&gate.claims_with("sub", json!("bob")))).await.unwrap();
}

/// Or nobody would be charged while an issuer is slow.
#[tokio::test]
async fn d20_a_client_that_leaves_while_its_token_waits_for_keys_is_charged() {
    let key = TestKey::new("a");
    let gate = Gate::open(&[&key], Duration::ZERO).await;
    let slow = Arc::new(Semaphore::new(0));
    gate.issuer.answer("/jwks", Answer::Held(Arc::clone(&slow), String::new()));
    let forged = TestKey::new("a").sign(&gate.claims());
    for _ in 0..5 {
        let left = tokio::time::timeout(Duration::from_millis(20), gate.present(&forged)).await;
        assert!(left.is_err(), "it waits: {left:?}");
    }
    assert!(matches!(gate.present(&forged).await, Err(Rejection::TooManyFailures { .. })));
    // A good one that is known at once costs nothing.
    gate.present_at(NOTES, None, "192.0.2.2", &key.sign(&gate.claims())).await.unwrap();
}

#[tokio::test]
async fn d20_a_spent_budget_refuses_new_tokens_of_the_address_but_not_known_ones() {
    let key = TestKey::new("a");
    let gate = Gate::open(&[&key], LONG).await;
    let known = key.sign(&gate.claims());
    gate.present(&known).await.unwrap();
    for _ in 0..5 {
        let bad = TestKey::new("a").sign(&gate.claims());
        assert_eq!(gate.present(&bad).await.map(drop), refused(TokenError::Signature));
    }
    let fresh = key.sign(&gate.claims_with("sub", json!("bob")));
    let outcome = gate.present(&fresh).await.map(drop);
    assert!(
        matches!(outcome, Err(Rejection::TooManyFailures { retry_after }) if !retry_after.is_zero() && retry_after <= Duration::from_secs(12)),
        "{outcome:?}"
    );
    assert!(matches!(gate.present("x").await, Err(Rejection::TooManyFailures { .. })), "before any reading");
    gate.present(&known).await.unwrap();
    gate.present_at(NOTES, None, "192.0.2.2", &fresh).await.unwrap();
    gate.present(&fresh).await.unwrap(); // known by now
}

#[test]
fn an_issuer_whose_trust_anchor_is_missing_is_named() {
    let key_file = "/nowhere/ca.pem";
    let mut issuer = crate::keys::test_issuer::config(crate::names::Issuer::parse("https://idp.test").unwrap(), None);
    issuer.ca = Some(key_file.into());
    let mut config = config_for(issuer);
    config.routes.clear();
    let error = Authenticator::new(&config, None).unwrap_err().to_string();
    assert!(error.starts_with("issuer test: /nowhere/ca.pem: cannot read"), "{error}");
}

fn config(issuer: &TestIssuer) -> Config {
    config_for(issuer.config())
}

/// Five failures a minute; the other bounds play no part.
fn config_for(issuer: IssuerConfig) -> Config {
    let second = Duration::from_secs(1);
    Config {
        listen: Listen {
            address: ([127, 0, 0, 1], 0).into(),
            tls: None,
            trusted_proxies: Vec::new(),
            shutdown_delay: Duration::ZERO,
            shutdown_grace: second,
            limits: Limits { failures_per_address: NonZeroU32::new(5).unwrap(), ..Limits::least() },
        },
        admin: ([127, 0, 0, 1], 0).into(),
        log: Log { format: LogFormat::Text, level: tracing::Level::INFO, every_refusal: true, served: true },
        session_keys: Vec::new(),
        issuers: vec![issuer],
        routes: vec![
            route("notes", "https://mcp.test/notes", TenantRule::Any),
            route("tenants", "https://mcp.test/{tenant}/t", TenantRule::FromResource),
        ],
        audit: None,
        telemetry: None,
        detection: unwatched(),
        revocations: None,
        digest: String::new(),
        references: Vec::new(),
    }
}

fn unwatched() -> DetectionConfig {
    let second = Duration::from_secs(1);
    DetectionConfig {
        window: second,
        failures_per_address: NonZeroU32::MAX,
        failures_per_client: NonZeroU32::MAX,
        foreign_tenants: NonZeroU32::MAX,
        foreign_sessions: NonZeroU32::MAX,
        unknown_keys: NonZeroU32::MAX,
        step_ups: NonZeroU32::MAX,
        block: Blocks { addresses: false, clients: false, time: second },
        never_block: Vec::new(),
    }
}

fn route(name: &str, resource: &str, tenant: TenantRule) -> RouteConfig {
    let second = Duration::from_secs(1);
    RouteConfig {
        name: RouteName::parse(name).unwrap(),
        resource: Resource::parse(resource).unwrap(),
        authorities: Vec::new(),
        audiences: Vec::new(),
        upstream: Upstream {
            url: Uri::from_static("http://127.0.0.1:1/"),
            messages: None,
            ca: None,
            headers: Vec::new(),
            timeouts: Timeouts { connect: second, response: second, idle: second, total: second },
        },
        issuers: vec![0],
        scopes: Vec::new(),
        tenant,
        origins: Vec::new(),
        identity: Vec::new(),
        limits: Vec::new(),
        metadata: Metadata::default(),
        batches: false,
        policy: PolicyConfig::default(),
        hours: None,
    }
}

/// What a token of ordinary size leaves behind, and the places of a million of them.
#[test]
fn d21_a_million_tokens_hold_under_2_kib_for_each_that_is_remembered() {
    const SOME: u64 = 500;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let key = TestKey::new("a");
    let gate = runtime.block_on(Gate::open(&[&key], LONG));
    let name = |n: u64| format!("a-subject-with-a-name-of-ordinary-length-{n}");
    let tokens: Vec<_> = (0..SOME).map(|n| key.sign(&gate.claims_with("sub", json!(name(n))))).collect();
    let identities = allocation_counter::measure(|| {
        for token in &tokens {
            runtime.block_on(gate.present(token)).unwrap();
        }
    });
    let each = identities.bytes_current.unsigned_abs() / SOME;
    assert!((100..1536).contains(&each), "an identity takes {each} bytes: {identities:?}");

    let identity = runtime.block_on(gate.present(&tokens[0])).unwrap();
    let verified = Verified { identity, store: Arc::clone(&gate.authenticator.stores[0]) };
    let scene = gate.authenticator.verified.scene("a route").unwrap();
    let remember = |from: u64, count: u64| {
        allocation_counter::measure(|| {
            for number in from..from + count {
                let token = scene.fingerprint(None, &number.to_string()).unwrap();
                gate.authenticator.verified.insert(token, verified.clone());
            }
        })
    };
    let (first, second) = (remember(0, 1_000_000), remember(1_000_000, 100_000));
    let most = super::super::verified::MAX_TOKENS;
    assert!(gate.authenticator.verified_tokens() <= most && gate.authenticator.verified_tokens() > most / 2);
    assert!(first.bytes_max < 512 * most as u64, "a place takes 512 bytes at most: {first:?}");
    // A table may come to its last size late. Without a bound, all that was remembered would take over ten times as much.
    let held = (first.bytes_current + second.bytes_current).unsigned_abs();
    assert!(held < 512 * most as u64, "more add nothing: {first:?} {second:?}");
}
