//! The audit stream: every decision once, as its schema says; and what happens when it cannot be written (threat O9).

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Gateway, Issuer, PATH, Upstream, eventually, eventually_reply, start_with};

const KEY: &str = "0123456789abcdef0123456789abcdef";

fn to_file(more: &str) -> String {
    format!("[audit]\nsink = \"file\"\nfile = \"audit.jsonl\"\n{more}\n")
}

fn lines(gateway: &Gateway) -> Vec<Value> {
    let text = fs::read_to_string(gateway.file("audit.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The record of a request.
async fn record(gateway: &Gateway, id: &str) -> Value {
    let is_record = |line: &Value| line["request_id"] == id && line["event"] == "request";
    eventually("the record", || lines(gateway).into_iter().find(is_record)).await
}

fn schema() -> Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/audit.schema.json");
    serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap()
}

fn assert_valid(lines: &[Value]) {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    for line in lines {
        let mistakes: Vec<String> = validator.iter_errors(line).map(|error| error.to_string()).collect();
        assert!(mistakes.is_empty(), "{mistakes:#?} in {line}");
    }
}

#[tokio::test]
async fn each_decision_is_one_record_with_all_fields_of_the_schema() {
    let changes = to_file(&format!("chain = true\nchain_key = \"{KEY}\""))
        + "[[routes]]\nname = \"notes\"\n[routes.policy]\ndefault = \"allow\"\n[[routes.policy.rules]]\ntools = [\"delete_*\"]\nscopes = [\"mcp:admin\"]\n";
    let (issuer, upstream, gateway) = start_with(&changes).await;
    let token = issuer.mint().claim("tenant", "acme").claim("jti", "token-1");
    let client = gateway.client().bearer(token);
    let served = client.clone().post(PATH).await;
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"delete_note"}}"#;
    let refused = client.clone().body(call).post(PATH).await;
    let nobody = gateway.client().post(PATH).await;
    upstream.answers(302, "");
    let broken = client.post(PATH).await;

    let id = |reply: &crate::support::Reply| reply.header("x-request-id").unwrap().to_owned();
    let first = record(&gateway, &id(&served)).await;
    for (field, wanted) in [
        ("outcome", "served"),
        ("route", "notes"),
        ("issuer", issuer.url().as_str()),
        ("client_id", "client-1"),
        ("tenant", "acme"),
        ("jti", "token-1"),
        ("mcp_method", "tools/list"),
        ("era", "legacy"),
        ("client_address", "127.0.0.1"),
    ] {
        assert_eq!(first[field], wanted, "{field} in {first}");
    }
    assert!(first["received_bytes"].as_u64() > Some(0) && first["sent_bytes"].as_u64() > Some(0), "{first}");
    let second = record(&gateway, &id(&refused)).await;
    assert_eq!((&second["reason"], &second["status"]), (&"authz.scope".into(), &403.into()), "{second}");
    assert_eq!(second["scopes_asked"], "mcp:tools mcp:admin");
    assert_eq!((&second["mcp_name"], second["rule"].is_u64()), (&"delete_note".into(), true));
    let third = record(&gateway, &id(&nobody)).await;
    assert_eq!((&third["reason"], third.get("subject")), (&"auth.missing".into(), None));
    let fourth = record(&gateway, &id(&broken)).await;
    assert_eq!((&fourth["reason"], fourth["detail"].is_string()), (&"upstream.redirect".into(), true));

    let all = lines(&gateway);
    assert_valid(&all);
    assert_eq!(all.len(), 5, "one each, and the opening: {all:#?}");
    let text = fs::read_to_string(gateway.file("audit.jsonl")).unwrap();
    assert!(!text.contains("eyJ") && !text.contains(KEY), "{text}");
    let said: BTreeSet<&String> = all.iter().flat_map(|line| line.as_object().unwrap().keys()).collect();
    let schema = schema();
    let known: BTreeSet<&String> = [0, 3]
        .iter()
        .flat_map(|at| schema["oneOf"][at]["properties"].as_object().unwrap().keys())
        .filter(|field| *field != "lost")
        .collect();
    assert_eq!(said, known, "every field is written by somebody");
}

/// What the request's lines before its record say of each thing: method, name, and whether a rule decided.
fn allowed(gateway: &Gateway, record: &Value) -> Vec<(String, String, bool)> {
    let text = |line: &Value, field: &str| line[field].as_str().unwrap_or_default().to_owned();
    let all = lines(gateway);
    assert_valid(&all);
    let of_request = all.iter().filter(|line| line["request_id"] == record["request_id"]);
    let things = of_request.take_while(|line| line["event"] != "request").inspect(|line| {
        assert_eq!(line["event"], "allowed");
        assert_eq!(
            ["route", "subject", "client_id"].map(|field| &line[field]),
            ["route", "subject", "client_id"].map(|field| &record[field])
        );
    });
    let named = |line: &Value| line["named"].as_array().unwrap().clone();
    let things = things.flat_map(|line| named(line).into_iter().map(|thing| (text(line, "mcp_method"), thing)));
    things.map(|(method, thing)| (method, text(&thing, "mcp_name"), thing["rule"].is_u64())).collect()
}

#[tokio::test]
async fn each_of_several_things_is_named_before_any_goes_upstream() {
    let route = r#"
        [[routes]]
        name = "notes"
        batches = true
        policy = { default = "allow", rules = [{ tools = ["get_*"] }, { tools = ["delete_*"], deny = true }, { resources = ["note://hidden/*"], deny = true }] }
    "#;
    let (issuer, upstream, gateway) = start_with(&(to_file("") + route)).await;
    let client = gateway.client().bearer(issuer.mint());
    let call = |tool: &str| json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool}});
    let batch = json!([call("get_a"), {"jsonrpc": "2.0", "method": "notifications/x"}, {"jsonrpc": "2.0", "id": 2, "result": {}}, call("b")]);
    let listen = |uris: &[&str]| {
        let claim = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28"});
        let params = json!({"_meta": claim, "notifications": {"resourceSubscriptions": uris}});
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen", "params": params}).to_string();
        client
            .clone()
            .header("mcp-protocol-version", "2026-07-28")
            .header("mcp-method", "subscriptions/listen")
            .body(body)
    };
    let id = |reply: &crate::support::Reply| reply.header("x-request-id").unwrap().to_owned();
    let line = |method: &str, name: &str, rule| (method.to_owned(), name.to_owned(), rule);

    let reply = client.clone().body(batch.to_string()).post(PATH).await;
    reply.assert_served();
    let record_of_batch = record(&gateway, &id(&reply)).await;
    assert_eq!(record_of_batch["mcp_name"], "get_a");
    let wanted = [("tools/call", "get_a", true), ("notifications/x", "", false), ("tools/call", "b", false)];
    assert_eq!(allowed(&gateway, &record_of_batch), wanted.map(|(method, name, rule)| line(method, name, rule)));

    let long = format!("note://{}", "x".repeat(300));
    let names: Vec<String> = (0..40).map(|n| format!("note://{n}")).chain([long.clone()]).collect();
    let reply = listen(&names.iter().map(String::as_str).collect::<Vec<_>>()).post(PATH).await;
    reply.assert_served();
    let wanted: Vec<_> =
        names.iter().map(|name| line("subscriptions/listen", &name[..name.len().min(256)], false)).collect();
    let told = record(&gateway, &id(&reply)).await;
    assert_eq!(allowed(&gateway, &told), wanted);
    let of_it = lines(&gateway).into_iter().filter(|line| line["request_id"] == told["request_id"]);
    assert_eq!(of_it.count(), 3 + 1, "16 in a line");

    let reply = listen(&["note://a", "note://b"]).post(PATH).await;
    assert_eq!(allowed(&gateway, &record(&gateway, &id(&reply)).await).len(), 2);

    // What is refused names what it is refused for, and nothing was allowed; one thing has its record alone.
    let served = upstream.received().len();
    let refused = [
        (listen(&["note://a", "note://hidden/b", "note://c"]), "note://hidden/b"),
        (client.clone().body(json!([call("get_a"), call("delete_b"), call("c")]).to_string()), "delete_b"),
    ];
    for (client, name) in refused {
        let reply = client.post(PATH).await;
        assert_eq!(reply.status(), 403);
        let record = record(&gateway, &id(&reply)).await;
        assert_eq!((&record["mcp_name"], record["rule"].is_u64()), (&name.into(), true));
        assert_eq!(allowed(&gateway, &record), []);
    }
    assert_eq!(upstream.received().len(), served);
    let reply = client.body(call("get_a").to_string()).post(PATH).await;
    assert_eq!(allowed(&gateway, &record(&gateway, &id(&reply)).await), []);
}

#[tokio::test]
async fn o9_several_things_that_cannot_be_told_do_not_go_upstream() {
    for (on_failure, is_served) in [("deny", false), ("drop", true)] {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        // Full, and nobody reads: so the writer waits, and all lines with it.
        let mut full = fs::File::options().read(true).write(true).open(&pipe).unwrap();
        full.write_all(&vec![b'x'; 64 * 1024]).unwrap();
        let audit = format!(
            "[audit]\nsink = \"file\"\nfile = \"{}\"\nqueue = 100\non_failure = \"{on_failure}\"\n",
            pipe.display()
        );
        let (issuer, upstream, gateway) = start_with(&(audit + "[[routes]]\nname = \"notes\"\nbatches = true")).await;
        let client = gateway.client().bearer(issuer.mint());
        let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
        let batch = |size| client.clone().body(Value::from(vec![ping.clone(); size]).to_string()).post(PATH);
        batch(10).await.assert_served();
        let reply = batch(90).await;
        if is_served {
            reply.assert_served();
        } else {
            reply.assert_refused(503, "temporarily_unavailable", "audit.failed").await;
        }
        assert_eq!(upstream.received().len(), 1 + usize::from(is_served));
    }
}

#[tokio::test]
async fn subjects_are_hashed_or_left_out_in_the_stream_and_in_the_log() {
    for (setting, prefix) in [
        (format!("subjects = \"hashed\"\nsubject_key = \"{KEY}\""), Some("hmac:")),
        ("subjects = \"omitted\"".into(), None),
    ] {
        let (issuer, _upstream, gateway) = start_with(&to_file(&setting)).await;
        let mut seen = BTreeSet::new();
        for subject in ["alice", "alice", "bob"] {
            let reply = gateway.client().bearer(issuer.mint().claim("sub", subject)).post(PATH).await;
            let line = record(&gateway, reply.header("x-request-id").unwrap()).await;
            let said = line.get("subject").map(|said| said.as_str().unwrap().to_owned());
            assert_eq!(said.as_deref().map(|said| &said[..5]), prefix, "{line}");
            assert_eq!(reply.log().await.text("sub"), said.clone().unwrap_or_default());
            seen.insert(said);
            assert!(!line.to_string().contains(subject));
        }
        assert_eq!(seen.len(), if prefix.is_some() { 2 } else { 1 });
        assert_valid(&lines(&gateway));
    }
}

async fn on_a_full_disk(on_failure: &str) -> (Issuer, Upstream, Gateway) {
    start_with(&format!("[audit]\nsink = \"file\"\nfile = \"/dev/full\"\non_failure = \"{on_failure}\"")).await
}

#[tokio::test]
async fn o9_a_full_disk_refuses_requests_by_default() {
    let (issuer, upstream, gateway) = on_a_full_disk("deny").await;
    let client = gateway.client().bearer(issuer.mint());
    let reply =
        eventually_reply("a refusal", async || Some(client.clone().post(PATH).await).filter(|r| r.status() == 503))
            .await;
    assert_eq!(reply.header("retry-after"), Some("1"));
    let before = upstream.received().len();
    let reply = client.post(PATH).await;
    reply.assert_refused(503, "temporarily_unavailable", "audit.failed").await;
    assert_eq!(upstream.received().len(), before);
    assert_eq!(gateway.metric("portcullis_audit_failing", &[]).await, Some(1.0));
    assert_eq!(gateway.admin().get("/healthz").await.status(), 200);

    assert!(gateway.reload(&to_file("")).await, "a sink that works is taken without a restart");
    gateway.accepts("with another sink", issuer.mint()).await;
    assert_eq!(gateway.metric("portcullis_audit_failing", &[]).await, Some(0.0));
}

#[tokio::test]
async fn o9_a_full_disk_counts_losses_where_that_is_the_rule() {
    let (issuer, upstream, gateway) = on_a_full_disk("drop\"\nqueue = 100\nsubjects = \"omitted").await;
    let client = gateway.client().bearer(issuer.mint());
    let mut connection = gateway.connect().await;
    for _ in 0..150 {
        connection.send(&client, "POST", PATH).await.assert_served();
    }
    assert_eq!(upstream.received().len(), 150);
    let lost = gateway.metric("portcullis_audit_lost_total", &[]).await.unwrap();
    assert!((49.0..=50.0).contains(&lost), "{lost} of 150, 100 of them wait");

    let more =
        "[audit]\nsink = \"file\"\nfile = \"/dev/full\"\non_failure = \"drop\"\nqueue = 200\nsubjects = \"omitted\"";
    assert!(gateway.reload(more).await, "a longer queue is taken without a restart");
    for _ in 0..90 {
        connection.send(&client, "POST", PATH).await.assert_served();
    }
    assert_eq!(gateway.metric("portcullis_audit_lost_total", &[]).await, Some(lost));
}

#[tokio::test]
async fn a_sink_that_cannot_be_opened_is_refused_at_start_and_at_reload() {
    let (_issuer, _upstream, gateway) = start_with("").await;
    assert!(!gateway.reload("[audit]\nsink = \"file\"\nfile = \"nowhere/audit.jsonl\"").await);
    assert!(!gateway.reload("[audit]\nsink = \"syslog\"\nsocket = \"nowhere\"").await);
}

#[tokio::test]
async fn changed_settings_of_a_chained_stream_leave_one_writer() {
    let chained = |more: &str| to_file(&format!("chain = true\nchain_key = \"{KEY}\"\n{more}"));
    let (issuer, _upstream, gateway) = start_with(&chained("")).await;
    gateway.accepts("before", issuer.mint()).await;
    assert!(gateway.reload(&chained("on_failure = \"drop\"\nsubjects = \"omitted\"")).await);
    gateway.accepts("after", issuer.mint()).await;
    assert!(!gateway.reload(&to_file("chain = true")).await, "a chain in use has one key");
    assert!(!gateway.reload(&(chained("queue = 200") + "[listen]\naddress = \"192.0.2.1:1\"\n")).await);
    gateway.accepts("still", issuer.mint()).await;
    let file = gateway.file("audit.jsonl");
    let text = eventually("three records", || {
        let text = fs::read_to_string(&file).unwrap();
        (text.lines().count() >= 4).then_some(text)
    });
    let text = text.await;
    assert_eq!(text.lines().count(), 4, "{text}");
    let mut verifier = portcullis::audit::Verifier::new(Some(KEY));
    text.lines().for_each(|line| verifier.line(line).unwrap());
    assert_eq!(verifier.finish().unwrap().unwrap().last, 4);
    assert_eq!(text.lines().filter(|line| line.contains("\"subject\":")).count(), 1);
}
