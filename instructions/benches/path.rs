//! How many instructions the parts of a request's path take, each by itself: `./check instructions`.
//!
//! The parts get the same input every time: `fixtures/` holds a token for all time, and the keys of an issuer whose private key
//! nobody has.

#![expect(missing_docs, reason = "the macros make public items")]

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use gungraun::prelude::*;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use portcullis::bench_internals::{Beside, Remembered};
use portcullis::config::Config;
use portcullis::head::judge::judge;
use portcullis::head::{Fields, Head, Lines};
use portcullis::headers::{Bytes, Passing, Stated, for_client, for_upstream};
use portcullis::keys::jwks::KeySet;
use portcullis::mcp::reader::{Body, Reader};
use portcullis::mcp::{Content, Message, Operation, mirror};
use portcullis::policy::{Policy, Verdict};
use portcullis::session::{Owner, Place, SessionKeys};
use portcullis::token::bearer::bearer;
use portcullis::token::verify::{Expectations, Unverified};
use portcullis::token::{Caller, Identity};

const KEYS: &str = include_str!("../fixtures/jwks.json");
const TOKEN: &str = include_str!("../fixtures/token.jwt");
/// When the token was issued.
const NOW: u64 = 1_800_000_000;

/// What an MCP client sends along, as it came.
fn head() -> Vec<u8> {
    let mut head = String::from("POST /mcp HTTP/1.1\r\n");
    for (name, value) in fields() {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    head.into_bytes()
}

fn fields() -> Vec<(&'static str, String)> {
    vec![
        ("host", "mcp.example.com".into()),
        ("user-agent", "editor/1.0 (linux; x86_64)".into()),
        ("accept", "application/json, text/event-stream".into()),
        ("accept-encoding", "gzip, deflate, br".into()),
        ("authorization", format!("Bearer {TOKEN}")),
        ("connection", "keep-alive".into()),
        ("content-type", "application/json".into()),
        ("content-length", call().len().to_string()),
        ("mcp-protocol-version", "2026-07-28".into()),
        ("mcp-method", "tools/call".into()),
        ("mcp-name", "search".into()),
        ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into()),
        ("x-forwarded-for", "203.0.113.7".into()),
    ]
}

fn headers() -> Fields {
    judge(head().as_slice().into()).unwrap().0.fields
}

/// What a route states by itself.
fn headers_and_stated() -> (Fields, Stated) {
    let stated = ["x-auth-subject", "x-auth-client", "x-auth-scopes", "traceparent", "tracestate"];
    (headers(), Stated::new(stated.map(HeaderName::from_static).iter()))
}

fn answer() -> Fields {
    let fields = [
        ("content-type", "application/json"),
        ("content-length", "512"),
        ("connection", "keep-alive"),
        ("date", "Fri, 15 Jan 2027 08:00:00 GMT"),
        ("cache-control", "no-store"),
        ("server", "notes"),
    ];
    let field = |(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value));
    Fields::from(&fields.into_iter().map(field).collect::<HeaderMap>())
}

/// About 300 bytes: a modern call of a tool.
fn call() -> Vec<u8> {
    let meta = r#""io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"bench","version":"1"}"#;
    let arguments = r#"{"query":"gateways between clients and servers","limit":10,"exact":false}"#;
    format!(
        r#"{{"jsonrpc":"2.0","id":42,"method":"tools/call","params":{{"name":"search","arguments":{arguments},"_meta":{{{meta}}}}}}}"#
    )
    .into_bytes()
}

/// 64 KiB of many small values.
fn rows() -> Vec<u8> {
    let row = r#"{"id":12345,"name":"a row","tags":["x","y"],"ratio":0.25,"on":true}"#;
    let rows = vec![row; 64 * 1024 / (row.len() + 1)].join(",");
    format!(r#"{{"jsonrpc":"2.0","id":42,"method":"tools/call","params":{{"name":"search","arguments":{{"rows":[{rows}]}}}}}}"#)
        .into_bytes()
}

/// One route with twenty rules, of which the last that names a tool fits, a limit, and an audit file with a chain.
fn config() -> Config {
    portcullis::install_crypto();
    let rules: String =
        (0..18).map(|n| format!("{{ tools = [\"tool_{n}_*\"], scopes = [\"mcp:tools\"] }},\n")).collect();
    let text = format!(
        r#"
[listen]
address = "127.0.0.1:0"
insecure_plaintext = true
[audit]
sink = "file"
file = "/dev/null"
chain = true
subjects = "clear"
[[issuers]]
name = "corp"
issuer = "https://login.example.com"
algorithms = ["RS256"]
claims = {{ tenant = "tenant" }}
[[routes]]
name = "notes"
resource = "https://mcp.example.com/mcp"
upstream = "http://127.0.0.1:1"
issuers = ["corp"]
scopes = ["mcp:tools"]
tenant = {{ allow = ["acme"] }}
[[routes.limits]]
per = ["client", "subject"]
requests = 1000000
window = "1m"
burst = 1000000
[routes.policy]
default = "deny"
rules = [
{rules}{{ tools = ["search"], scopes = ["mcp:read"] }},
{{ methods = ["*/list"] }},
]
"#
    );
    Config::parse(&text, Path::new("gateway.toml")).unwrap_or_else(|errors| panic!("{errors:#?}"))
}

fn expectations() -> Expectations {
    let config = config();
    Expectations::new(&config.routes[0], &config.issuers[0])
}

/// Its key has verified tokens before: what is computed once per key is not counted.
fn issuer() -> (Expectations, KeySet) {
    verified((expectations(), KeySet::parse(KEYS.as_bytes()).unwrap().keys))
}

fn verified((expect, keys): (Expectations, KeySet)) -> (Expectations, KeySet) {
    let checked = Unverified::read(black_box(TOKEN)).unwrap().check(&expect, None, NOW).unwrap();
    let candidates = keys.candidates(checked.key_id(), checked.algorithm());
    assert!(black_box(checked.verify(&candidates)).is_ok());
    (expect, keys)
}

fn rules() -> (Policy, Caller, Operation) {
    let config = config();
    let policy = Policy::new(&config.routes[0]);
    let caller = Unverified::read(TOKEN).unwrap().check(&expectations(), None, NOW).unwrap().claimed().unwrap();
    let Content::Request(operation) = message().content else { panic!("a request") };
    (policy, caller, operation)
}

fn message() -> Message {
    let Body::One(message) = read(&call()) else { panic!("one message") };
    message
}

fn head_and_message() -> (Fields, Message) {
    (headers(), message())
}

fn read(body: &[u8]) -> Body {
    let mut reader = Reader::new(false);
    reader.feed(body).unwrap();
    reader.finish().unwrap()
}

fn sessions() -> (SessionKeys, Owner, String) {
    let keys = SessionKeys::new(&[]).unwrap();
    let owner = Owner::of(&[Some("notes"), Some("alice")]);
    let sealed = keys.seal(&owner, Place::Header, "0b7c2a55-5a57-4d5e-9d4e-1f4e8e1d6f0a").unwrap();
    (keys, owner, sealed)
}

type Warm = (Beside, Arc<Identity>, Head, Operation);

/// What happens beside forwarding, warm: nothing is written for the first time.
fn beside() -> Warm {
    let (expect, keys) = issuer();
    let checked = Unverified::read(TOKEN).unwrap().check(&expect, None, NOW).unwrap();
    let candidates = keys.candidates(checked.key_id(), checked.algorithm());
    let identity = Arc::new(checked.verify(&candidates).unwrap());
    let Content::Request(operation) = message().content else { panic!("a request") };
    let (request, _) = judge(head().as_slice().into()).unwrap();
    let beside = Beside::new(config()).unwrap();
    for _ in 0..10 {
        beside.serve(&request, &identity, &operation);
        beside.refuse(&request);
        assert!(beside.admit(&identity, &operation));
    }
    (beside, identity, request, operation)
}

#[library_benchmark(setup = head)]
fn judges_a_head(head: Vec<u8>) -> Head {
    black_box(judge(black_box(head.as_slice()).into())).unwrap().0
}

#[library_benchmark(setup = headers)]
fn finds_the_token(headers: Fields) -> Fields {
    let uri = Uri::from_static("/mcp");
    assert!(black_box(bearer(black_box(&headers), &uri)).is_ok());
    headers
}

fn remembered() -> Remembered {
    Remembered::new().unwrap()
}

// The fingerprint by which a token that was verified before is found. (The macro takes no doc comments.)
#[library_benchmark(setup = remembered)]
fn looks_for_a_known_token(remembered: Remembered) -> Remembered {
    assert!(!black_box(remembered.knows(black_box(TOKEN))));
    remembered
}

#[library_benchmark(setup = expectations)]
fn checks_the_claims(expect: Expectations) -> Expectations {
    assert!(black_box(Unverified::read(black_box(TOKEN)).unwrap().check(&expect, None, NOW)).is_ok());
    expect
}

// What a token costs when it is seen for the first time.
#[library_benchmark(setup = issuer)]
fn verifies_an_rs256_token(issuer: (Expectations, KeySet)) -> (Expectations, KeySet) {
    verified(issuer)
}

#[library_benchmark(setup = call)]
fn reads_a_call(body: Vec<u8>) -> Body {
    black_box(read(black_box(&body)))
}

#[library_benchmark(setup = rows)]
fn reads_64_kib_of_values(body: Vec<u8>) -> Body {
    black_box(read(black_box(&body)))
}

#[library_benchmark(setup = head_and_message)]
fn holds_head_against_body((headers, message): (Fields, Message)) -> (Fields, Message) {
    assert!(black_box(mirror::check(black_box(&headers), black_box(&message))).is_ok());
    (headers, message)
}

#[library_benchmark(setup = rules)]
fn decides_over_20_rules((policy, caller, operation): (Policy, Caller, Operation)) -> (Policy, Caller, Operation) {
    let decision = black_box(policy.decide(black_box(&caller), black_box(&operation)));
    assert!(matches!(decision.verdict, Verdict::Allowed) && decision.rule == Some(18));
    (policy, caller, operation)
}

#[library_benchmark(setup = headers_and_stated)]
fn cleans_a_request((headers, stated): (Fields, Stated)) -> (Lines, Fields, Stated) {
    let mut lines = Lines::with_room(1024);
    for_upstream(black_box(&headers), &stated, Passing { mirrors: true, codings: true }, &mut lines);
    (black_box(lines), headers, stated)
}

#[library_benchmark(setup = answer)]
fn cleans_an_answer(headers: Fields) -> (Lines, Fields) {
    let mut lines = Lines::with_room(512);
    for_client(black_box(&headers), Bytes::Same, &mut lines);
    (black_box(lines), headers)
}

#[library_benchmark(setup = sessions)]
fn opens_a_session_id((keys, owner, sealed): (SessionKeys, Owner, String)) -> (SessionKeys, Owner, String) {
    assert!(black_box(keys.open(&owner, Place::Header, black_box(&sealed))).is_ok());
    (keys, owner, sealed)
}

// Everything that is told of a request that was served.
#[library_benchmark(setup = beside)]
fn records_a_served_request(beside: Warm) -> impl Sized {
    beside.0.serve(black_box(&beside.2), &beside.1, &beside.3);
    beside
}

// And of one without a token.
#[library_benchmark(setup = beside)]
fn records_a_refusal(beside: Warm) -> impl Sized {
    beside.0.refuse(black_box(&beside.2));
    beside
}

// Rates, open streams and memory.
#[library_benchmark(setup = beside)]
fn admits_a_caller(beside: Warm) -> impl Sized {
    assert!(black_box(beside.0.admit(black_box(&beside.1), &beside.3)));
    beside
}

library_benchmark_group!(
    name = request,
    benchmarks = [
        judges_a_head,
        finds_the_token,
        looks_for_a_known_token,
        checks_the_claims,
        verifies_an_rs256_token,
        reads_a_call,
        reads_64_kib_of_values,
        holds_head_against_body,
        decides_over_20_rules,
        cleans_a_request,
        cleans_an_answer,
        opens_a_session_id,
        records_a_served_request,
        records_a_refusal,
        admits_a_caller,
    ]
);

main!(library_benchmark_groups = request);
