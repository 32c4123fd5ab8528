//! The names and labels of `/metrics`: those of its document and no others, and never a text of a client.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;
use tokio::io::AsyncWriteExt as _;

use crate::support::{Gateway, Issuer, PATH, eventually_value, start, start_with};

const REQUESTS: &str = "portcullis_requests_total";
const OPERATIONS: &str = "portcullis_operations_total";

fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn call(method: &str, params: &serde_json::Value) -> String {
    json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string()
}

fn tool(name: &str) -> String {
    call("tools/call", &json!({ "name": name }))
}

/// Requests of every kind, so that every metric has a series.
async fn exercise(issuer: &Issuer, gateway: &Gateway) {
    gateway.accepts("one", issuer.mint()).await;
    gateway.client().post(PATH).await.log().await;
    gateway.client().get("/nowhere").await.log().await;
    let mut broken = gateway.client().tcp().await;
    broken.write_all(b"no TLS at all\r\n\r\n").await.unwrap();
    eventually_value("a refused connection", async || {
        gateway.metric("portcullis_connections_refused_total", &[("reason", "conn.tls")]).await
    })
    .await;
}

/// Each metric of the document: its name, its type, its labels.
fn documented() -> BTreeMap<String, (String, BTreeSet<String>)> {
    let text = fs::read_to_string(file("docs/metrics.md")).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| `portcullis_") || line.starts_with("| `process_"));
    let row = |line: &str| {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let labels = cells[3].split('`').skip(1).step_by(2).map(str::to_owned).collect();
        assert!(cells[4].len() > 10, "{line} says nothing");
        (cells[1].trim_matches('`').to_owned(), (cells[2].to_owned(), labels))
    };
    rows.map(row).collect()
}

#[tokio::test]
async fn every_metric_is_in_the_document_with_its_type_and_labels() {
    let (issuer, _upstream, gateway) = start().await;
    exercise(&issuer, &gateway).await;
    let scrape = gateway.scrape().await;
    let mut found = BTreeMap::new();
    for sample in &scrape.samples {
        let labels: BTreeSet<_> = sample.labels.keys().filter(|key| *key != "le").cloned().collect();
        let kind = scrape.types[&sample.metric].clone();
        let other = found.insert(sample.metric.clone(), (kind.clone(), labels.clone()));
        assert!(other.is_none_or(|other| other == (kind, labels)), "{sample:?}");
    }
    assert_eq!(found.keys().collect::<Vec<_>>(), scrape.types.keys().collect::<Vec<_>>(), "metrics without samples");
    assert!(found.len() > 20, "{found:?}");
    assert_eq!(found, documented());
}

/// The metrics that a text names.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.filter(|word| word.starts_with("portcullis_") || word.starts_with("process_")).map(str::to_owned).collect()
}

#[test]
fn alerts_and_dashboard_name_metrics_that_exist() {
    let documented = documented();
    for path in ["deploy/prometheus/alerts.yml", "deploy/prometheus/alerts.test.yml", "deploy/grafana/portcullis.json"]
    {
        let names = named(&fs::read_to_string(file(path)).unwrap());
        assert!(names.len() > 8, "{path}: {names:?}");
        for name in names {
            let of_histogram = name.strip_suffix("_bucket").and_then(|base| documented.get(base));
            let exists = documented.contains_key(&name) || of_histogram.is_some_and(|(kind, _)| kind == "histogram");
            assert!(exists, "{path} names {name}, which does not exist");
        }
    }
}

/// Every text between quotes in a part of a source file.
fn words(path: &str) -> Vec<String> {
    let text = fs::read_to_string(file(path)).unwrap();
    let code = text.split("#[cfg(test)]").next().unwrap();
    let code: String = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    code.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn every_reason_and_method_is_in_the_document() {
    let document = fs::read_to_string(file("docs/metrics.md")).unwrap();
    let is_reason = |word: &String| {
        let parts = word.split_once('.').or((word == "panic").then_some(("panic", "panic")));
        parts.is_some_and(|(area, rest)| [area, rest].iter().all(|part| is_word(part)))
    };
    let sources =
        ["request/reject/face.rs", "request/route.rs", "request/relay.rs", "request/audit.rs", "token/error.rs"];
    let mut reasons: Vec<_> = sources.iter().flat_map(|path| words(&format!("src/{path}"))).filter(is_reason).collect();
    reasons.extend(
        ["connection/mod.rs", "connection/accept.rs"]
            .iter()
            .flat_map(|path| words(&format!("src/{path}")).into_iter().filter(|word| word.starts_with("conn."))),
    );
    let methods = words("src/metrics/methods.rs");
    assert!(reasons.len() > 60 && methods.len() > 20, "{reasons:?} {methods:?}");
    for word in reasons.into_iter().chain(methods) {
        assert!(document.contains(&format!("`{word}`")), "{word} is not in the document");
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

/// Marks every text that the attack below chooses.
const MARK: &str = "zqx";

#[tokio::test]
async fn no_label_is_a_text_of_a_client_and_no_client_makes_series() {
    let changes = r#"
        [[routes]]
        name = "notes"
        resource = "https://mcp.example.com/{tenant}/mcp"
        tenant = { from = "resource" }
    "#;
    let (issuer, upstream, gateway) = start_with(changes).await;
    let mut series = Vec::new();
    for round in 0..12 {
        let odd = format!("{MARK}{round}\\\"}} 1\n{MARK}_total 7\n# EOF");
        let tenant = format!("{MARK}{round}");
        let path = format!("/{tenant}/mcp");
        let mint = || {
            let mint = issuer.mint_for(&format!("https://mcp.example.com{path}"));
            mint.claim("tenant", tenant.as_str()).claim("client_id", tenant.as_str()).claim("sub", tenant.as_str())
        };
        upstream.answers(700 + round, "{}");
        for body in [tool(&odd), call(&odd, &json!({})), call(&format!("tools/call{MARK}{round}"), &json!({}))] {
            gateway.client().bearer(mint()).body(body).post(&path).await.log().await;
        }
        upstream.answers(200, "{}");
        gateway.client().bearer(mint()).header("mcp-protocol-version", &tenant).post(&path).await.log().await;
        gateway.client().bearer(mint()).header("mcp-session-id", &tenant).post(&path).await.log().await;
        gateway.client().bearer(mint()).request(&tenant.to_uppercase(), &path).await.log().await;
        gateway.client().get(&format!("/{MARK}{round}?{MARK}")).await.log().await;
        gateway.client().host(&format!("{MARK}{round}.example.com")).get("/").await.log().await;
        gateway.client().bearer(odd.replace(['\n', ' '], "")).post(&path).await.log().await;
        let scrape = gateway.scrape().await;
        assert!(!scrape.text.to_ascii_lowercase().contains(MARK), "{}", scrape.text);
        series.push(scrape.samples.len());
    }
    assert_eq!(series.first(), series.last(), "series by round: {series:?}");
    let scrape = gateway.scrape().await;
    assert_eq!(scrape.value(REQUESTS, &[("status", "other")]), Some(24.0), "{}", scrape.text);
    assert_eq!(scrape.value(OPERATIONS, &[("method", "other")]), Some(12.0));
}
