//! What `/metrics` says while requests, streams and connections come and go.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use crate::support::issuer::Manner;
use crate::support::scrape::Scrape;
use crate::support::{Gateway, Issuer, PATH, Upstream, eventually_value, start, start_with};
use serde_json::json;

const REQUESTS: &str = "portcullis_requests_total";
const OPERATIONS: &str = "portcullis_operations_total";

const RULES: &str = r#"
    [[routes]]
    name = "notes"
    [routes.policy]
    default = "allow"
    rules = [{ tools = ["secret"], deny = true }, { tools = ["delete"], scopes = ["mcp:admin"] }, { resources = ["a:b"] }]
"#;

fn call(method: &str, params: &serde_json::Value) -> String {
    json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string()
}

fn tool(name: &str) -> String {
    call("tools/call", &json!({ "name": name }))
}

#[tokio::test]
async fn requests_are_counted_as_the_log_tells_them() {
    let (issuer, upstream, gateway) = start_with(RULES).await;
    let client = || gateway.client().bearer(issuer.mint());
    upstream.answers(503, "{}");
    let failing = client().post(PATH).await;
    upstream.answers(200, "{}");
    let replies = [
        failing,
        client().post(PATH).await,
        client().post(PATH).await,
        client().body("{").post(PATH).await,
        client().body(tool("secret")).post(PATH).await,
        client().header("mcp-session-id", "x").post(PATH).await,
        gateway.client().post(PATH).await,
        gateway.client().bearer(issuer.mint().expired()).post(PATH).await,
        gateway.client().get("/nowhere").await,
        gateway.client().get("/.well-known/oauth-protected-resource/notes/mcp").await,
    ];
    let mut wanted = BTreeMap::new();
    let mut bytes = 0;
    for reply in &replies {
        let line = reply.log().await;
        let labels = ["route", "era", "status", "event", "reason"].map(|field| line.text(field));
        *wanted.entry(labels).or_insert(0.0) += 1.0;
        bytes += line.text("sent_bytes").parse::<u64>().unwrap();
    }
    assert!(wanted.len() > 7, "{wanted:?}");
    let scrape = gateway.scrape().await;
    let samples = scrape.samples.iter().filter(|sample| sample.name == REQUESTS);
    let found: BTreeMap<_, _> = samples
        .map(|sample| {
            (["route", "era", "status", "outcome", "reason"].map(|key| sample.labels[key].clone()), sample.value)
        })
        .collect();
    assert_eq!(found, wanted);
    let sent: f64 = ["notes", ""]
        .iter()
        .filter_map(|route| scrape.value("portcullis_response_bytes_total", &[("route", route)]))
        .sum();
    assert_eq!(sent.to_string(), bytes.to_string());
    // Times: all of the route's, and what went upstream.
    let count = |name: &str| scrape.value(&format!("portcullis_{name}_duration_seconds_count"), &[("route", "notes")]);
    assert_eq!(count("request"), Some(8.0));
    assert_eq!((count("gateway"), count("upstream"), count("stream")), (Some(3.0), Some(3.0), Some(0.0)));
    let sum = |name: &str| scrape.value(&format!("portcullis_{name}_duration_seconds_sum"), &[("route", "notes")]);
    assert!(sum("upstream") > Some(0.0) && sum("gateway") > Some(0.0) && sum("request") > sum("upstream"));
    assert_eq!(scrape.value("portcullis_requests_under_way", &[]), Some(0.0));
}

#[tokio::test]
async fn upstream_that_cannot_be_reached_is_counted_without_an_upstream_time() {
    let (issuer, upstream) = (Issuer::start().await, Upstream::start().await);
    let changes = format!("routes = [{{ name = \"notes\", upstream = \"{}\" }}]", Upstream::nowhere().await);
    let gateway = Gateway::start_with(&issuer, &upstream, &changes).await;
    gateway.client().bearer(issuer.mint()).post(PATH).await.log().await;
    let scrape = gateway.scrape().await;
    let labels = [("status", "502"), ("outcome", "refused"), ("reason", "upstream.unreachable")];
    assert_eq!(scrape.value(REQUESTS, &labels), Some(1.0));
    let route = [("route", "notes")];
    assert_eq!(scrape.value("portcullis_gateway_duration_seconds_count", &route), Some(1.0));
    assert_eq!(scrape.value("portcullis_upstream_duration_seconds_count", &route), Some(0.0));
}

#[tokio::test]
async fn event_streams_are_open_until_they_end_and_have_times_of_their_own() {
    let (issuer, mut upstream, gateway) = start().await;
    upstream.streams();
    let streams = async |gateway: &Gateway| gateway.metric("portcullis_event_streams", &[("route", "notes")]).await;
    let mut first = gateway.client().bearer(issuer.mint()).open("GET", PATH).await;
    let stream = upstream.stream().await;
    let second = gateway.client().bearer(issuer.mint()).open("POST", PATH).await;
    let _silent = upstream.stream().await;
    assert_eq!(streams(&gateway).await, Some(2.0));
    let scrape = gateway.scrape().await;
    assert_eq!(scrape.value("portcullis_requests_under_way", &[]), Some(2.0));
    assert_eq!(scrape.value("portcullis_connections", &[]), Some(2.0));
    // Bytes count while the stream goes on.
    stream.send("data: 1\n\n").await;
    first.next().await;
    let bytes = gateway.metric("portcullis_response_bytes_total", &[("route", "notes")]).await;
    assert_eq!(bytes, Some(9.0));
    stream.end().await;
    assert_eq!(first.next().await, None);
    drop((first, second));
    let labels = [("outcome", "broken_off"), ("reason", "stream.client_gone"), ("status", "200")];
    eventually_value("a stream that its client left", async || gateway.metric(REQUESTS, &labels).await).await;
    let served = [("outcome", "served"), ("reason", "")];
    assert_eq!(gateway.metric(REQUESTS, &served).await, Some(1.0));
    let nothing_open = async || {
        let scrape = gateway.scrape().await;
        let open = [("portcullis_event_streams", &[("route", "notes")][..]), ("portcullis_connections", &[])];
        open.iter().all(|(name, labels)| scrape.value(name, labels) == Some(0.0)).then_some(scrape)
    };
    let scrape = eventually_value("nothing is open", nothing_open).await;
    let count = |name: &str| scrape.value(&format!("portcullis_{name}_duration_seconds_count"), &[("route", "notes")]);
    assert_eq!((count("stream"), count("request"), count("upstream")), (Some(2.0), Some(0.0), Some(2.0)));
}

#[tokio::test]
async fn operations_are_counted_by_what_the_rules_say() {
    let (issuer, _upstream, gateway) = start_with(RULES).await;
    let bodies = [
        tool("add"),
        tool("add"),
        tool("secret"),
        tool("delete"),
        call("resources/read", &json!({"uri": "A:%62"})),
        call("initialize", &json!({})),
        call("made/up", &json!({})),
    ];
    for body in bodies {
        gateway.client().bearer(issuer.mint()).body(body).post(PATH).await.log().await;
    }
    let scrape = gateway.scrape().await;
    let count =
        |method, decision| scrape.value(OPERATIONS, &[("route", "notes"), ("method", method), ("decision", decision)]);
    assert_eq!(count("tools/call", "allowed"), Some(2.0));
    assert_eq!(count("tools/call", "denied"), Some(1.0));
    assert_eq!(count("tools/call", "insufficient_scope"), Some(1.0));
    assert_eq!(count("resources/read", "denied"), Some(1.0));
    assert_eq!(count("initialize", "allowed"), Some(1.0));
    assert_eq!(count("other", "allowed"), Some(1.0));
    assert_eq!(scrape.samples.iter().filter(|sample| sample.name == OPERATIONS).count(), 6);
}

#[tokio::test]
async fn issuers_show_their_keys_and_failures() {
    let (issuer, upstream) = (Issuer::start().await, Upstream::start().await);
    issuer.serves(Manner::Gone);
    let gateway = Gateway::launch_with(&issuer, &upstream, "").await;
    let corp = [("issuer", "corp")];
    let failures = eventually_value("a failed fetch", async || {
        gateway.metric("portcullis_issuer_fetch_failures_total", &corp).await.filter(|failures| *failures > 0.0)
    });
    failures.await;
    let scrape = gateway.scrape().await;
    let value = |name| scrape.value(name, &corp);
    assert_eq!((value("portcullis_issuer_ready"), value("portcullis_issuer_keys")), (Some(0.0), Some(0.0)));
    assert_eq!(value("portcullis_issuer_key_age_seconds"), None);
    assert_eq!(scrape.value("portcullis_ready", &[]), Some(0.0));

    let readyz = gateway.admin().get("/readyz").await.json();
    assert_eq!(readyz["issuers"][0]["reason"], "jwks.fetch_failed");
    assert_eq!((&readyz["issuers"][0]["keys"], &readyz["issuers"][0]["key_age_seconds"]), (&json!(0), &json!(null)));
    let route = json!({"name": "notes", "ready": false, "reason": "jwks.unavailable", "waits_for": ["corp"]});
    assert_eq!(readyz["routes"], json!([route]));

    issuer.serves(Manner::Well);
    gateway.ready().await;
    let scrape = gateway.scrape().await;
    let value = |name| scrape.value(name, &corp);
    assert_eq!((value("portcullis_issuer_ready"), value("portcullis_issuer_keys")), (Some(1.0), Some(3.0)));
    assert!(value("portcullis_issuer_key_age_seconds").is_some_and(|age| (0.0..10.0).contains(&age)));
    assert_eq!(scrape.value("portcullis_ready", &[]), Some(1.0));
    let readyz = gateway.admin().get("/readyz").await.json();
    assert_eq!(readyz["routes"], json!([{"name": "notes", "ready": true}]));
    assert_eq!(readyz["issuers"][0].get("reason"), None);
}

#[tokio::test]
async fn buffers_tokens_certificate_version_and_process_are_shown() {
    let (issuer, upstream, gateway) = start().await;
    let value = |scrape: &Scrape, name| scrape.value(name, &[]);
    let before = gateway.scrape().await;
    assert_eq!(value(&before, "portcullis_buffered_bytes"), Some(0.0));
    assert_eq!(value(&before, "portcullis_verified_tokens"), Some(0.0));
    upstream.never_answers();
    let mut stuck = gateway.connect().await;
    stuck.write(gateway.client().bearer(issuer.mint()).text("POST", PATH)).await;
    upstream.until("the request is there", |request| request.complete).await;
    let during = gateway.scrape().await;
    assert_eq!(value(&during, "portcullis_verified_tokens"), Some(1.0));
    assert_eq!(value(&during, "portcullis_requests_under_way"), Some(1.0));
    assert_eq!(value(&during, "portcullis_connections"), Some(1.0));
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64();
    let started = value(&during, "process_start_time_seconds").unwrap();
    assert!((now - 60.0..=now).contains(&started), "{started} {now}");
    assert!(value(&during, "portcullis_certificate_expires_timestamp_seconds").is_some_and(|expires| expires > now));
    assert!(value(&during, "process_resident_memory_bytes").is_some_and(|bytes| bytes > 1e6));
    assert!(value(&during, "process_open_fds").is_some_and(|open| open > 5.0));
    assert_eq!(during.value("portcullis_build_info", &[("version", env!("CARGO_PKG_VERSION"))]), Some(1.0));
}

#[tokio::test]
async fn body_that_waits_is_in_the_buffers() {
    let (issuer, _upstream, gateway) = start().await;
    let body = vec![b' '; 10_000];
    let mut slow = gateway.connect().await;
    let text = gateway.client().bearer(issuer.mint()).body(body).text("POST", PATH);
    slow.write(&text[..text.len() - 1000]).await;
    let held = async || {
        gateway.metric("portcullis_buffered_bytes", &[]).await.filter(|bytes| (9000.0..9001.0).contains(bytes))
    };
    eventually_value("what came is held", held).await;
    drop(slow);
    let free = async || gateway.metric("portcullis_buffered_bytes", &[]).await.filter(|bytes| *bytes < 1.0);
    eventually_value("all is free", free).await;
    // The end of the body is noticed, or that of the connection.
    let counted = async || {
        let scrape = gateway.scrape().await;
        let outcome = |status, reason| scrape.value(REQUESTS, &[("era", ""), ("status", status), ("reason", reason)]);
        outcome("", "stream.client_gone").or(outcome("400", "http.framing"))
    };
    assert_eq!(eventually_value("the request is counted", counted).await.to_string(), "1");
}

#[tokio::test]
async fn gateway_without_tls_has_no_certificate_that_ends() {
    let changes = "[listen]\ntls = \"!nothing\"\ninsecure_plaintext = true";
    let (_issuer, _upstream, gateway) = start_with(changes).await;
    let scrape = gateway.scrape().await;
    assert!(!scrape.text.contains("certificate"), "{}", scrape.text);
}

#[tokio::test]
async fn scrapes_beside_requests_are_whole_small_and_quick() {
    let (issuer, _upstream, gateway) = start().await;
    let token = issuer.mint().to_string();
    let requests = async {
        let mut connection = gateway.connect().await;
        for _ in 0..300 {
            connection.send(&gateway.client().bearer(&token), "POST", PATH).await;
        }
    };
    let scrapes = async {
        let (mut last, mut longest) = (0.0, Duration::ZERO);
        for _ in 0..40 {
            let begun = std::time::Instant::now();
            let scrape = gateway.scrape().await;
            longest = longest.max(begun.elapsed());
            assert!(scrape.text.len() < 64 * 1024, "{} bytes", scrape.text.len());
            let served = scrape.value(REQUESTS, &[("outcome", "served")]).unwrap_or_default();
            assert!(served >= last, "a counter went back");
            last = served;
        }
        assert!(longest < Duration::from_secs(2), "{longest:?}");
    };
    tokio::join!(requests, scrapes);
    let all = async || gateway.metric(REQUESTS, &[("outcome", "served")]).await.filter(|served| *served >= 300.0);
    eventually_value("all are counted", all).await;
}

#[tokio::test]
async fn metrics_are_not_on_the_public_listener_and_only_for_reading() {
    let (issuer, upstream, gateway) = start().await;
    let reply = gateway.client().bearer(issuer.mint()).get("/metrics").await;
    reply.assert_refused(404, "not_found", "route.none").await;
    assert_eq!(gateway.admin().post("/metrics").await.status(), 405);
    assert_eq!(gateway.admin().request("HEAD", "/metrics").await.status(), 200);
    assert!(upstream.received().is_empty());
}
