//! Traces and metrics by OTLP, seen by a collector; and one that cannot be reached, which nobody notices.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;

use crate::support::{PATH, eventually, eventually_value, log, start_with};

/// Path, header fields and body of each delivery.
type Deliveries = Arc<Mutex<Vec<(String, String, Vec<u8>)>>>;

/// Takes deliveries as OTLP/HTTP collectors do.
struct Collector {
    url: String,
    deliveries: Deliveries,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/base", listener.local_addr().unwrap());
        let deliveries = Deliveries::default();
        let taken = Arc::clone(&deliveries);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let taken = Arc::clone(&taken);
                std::thread::spawn(move || serve(stream, &taken));
            }
        });
        Self { url, deliveries }
    }

    fn traces(&self) -> Vec<ExportTraceServiceRequest> {
        self.of("/base/v1/traces").iter().map(|body| ExportTraceServiceRequest::decode(&body[..]).unwrap()).collect()
    }

    fn spans(&self) -> Vec<Span> {
        let resources = self.traces().into_iter().flat_map(|request| request.resource_spans);
        resources.flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans).collect()
    }

    fn of(&self, path: &str) -> Vec<Vec<u8>> {
        let deliveries = self.deliveries.lock().unwrap();
        deliveries.iter().filter(|(at, ..)| at == path).map(|(_, _, body)| body.clone()).collect()
    }
}

/// One connection: deliveries until it closes.
fn serve(stream: TcpStream, taken: &Deliveries) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut writer = stream;
    loop {
        let (mut head, mut line) = (String::new(), String::new());
        while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
            head.push_str(&line.to_ascii_lowercase());
            line.clear();
        }
        let Some(path) = head.split(' ').nth(1).map(str::to_owned) else { return };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok());
        let mut body = vec![0; length.unwrap()];
        reader.read_exact(&mut body).unwrap();
        taken.lock().unwrap().push((path, head, body));
        let answer = "HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
        if writer.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn text(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    }
}

fn attribute(attributes: &[KeyValue], name: &str) -> String {
    attributes.iter().find(|one| one.key == name).map(|one| text(one.value.as_ref())).unwrap_or_default()
}

fn sending_to(url: &str, more: &str) -> String {
    format!("[telemetry]\nendpoint = \"{url}\"\ninterval = \"1s\"\ntimeout = \"1s\"\n{more}\n")
}

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CLIENT: &str = "b7ad6b7169203331";

#[tokio::test]
async fn sampled_trace_goes_on_and_its_span_says_what_was_done() {
    let collector = Collector::start();
    let more = "headers = { authorization = \"Bearer c0llector%20s3cret\" }\nattributes = { \"deployment.environment.name\" = \"test\" }\nservice_name = \"edge\"";
    let (issuer, upstream, gateway) = start_with(&sending_to(&collector.url, more)).await;
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"add"}}"#;
    let client = gateway.client().bearer(issuer.mint()).body(call);
    client.clone().header("traceparent", &format!("00-{TRACE}-{CLIENT}-00")).post(PATH).await.assert_served();
    client
        .header("traceparent", &format!("00-{TRACE}-{CLIENT}-01"))
        .post(&format!("{PATH}?q=s3cret"))
        .await
        .assert_served();
    assert!(gateway.shut_down().await);

    let spans = collector.spans();
    let [span] = &spans[..] else { panic!("one was sampled: {spans:#?}") };
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    assert_eq!((hex(&span.trace_id), hex(&span.parent_span_id)), (TRACE.into(), CLIENT.into()));
    let told = upstream.received()[1].field("traceparent").unwrap().to_owned();
    assert_eq!(told, format!("00-{TRACE}-{}-01", hex(&span.span_id)), "the upstream's span is a child of this one");
    assert_eq!(span.name, "tools/call add");
    assert_eq!(span.kind, 2, "a server's");
    assert!(span.end_time_unix_nano > span.start_time_unix_nano);
    for (name, wanted) in [
        ("mcp.method.name", "tools/call"),
        ("gen_ai.tool.name", "add"),
        ("http.request.method", "POST"),
        ("http.response.status_code", "200"),
        ("url.path", PATH),
        ("client.address", "127.0.0.1"),
        ("portcullis.route", "notes"),
        ("portcullis.outcome", "served"),
        ("error.type", ""),
    ] {
        assert_eq!(attribute(&span.attributes, name), wanted, "{name}");
    }
    let resource = collector.traces()[0].resource_spans[0].resource.clone().unwrap().attributes;
    for (name, wanted) in [
        ("service.name", "edge"),
        ("service.version", env!("CARGO_PKG_VERSION")),
        ("deployment.environment.name", "test"),
    ] {
        assert_eq!(attribute(&resource, name), wanted, "{name}");
    }
    let deliveries = collector.deliveries.lock().unwrap();
    for (_, head, body) in deliveries.iter() {
        assert!(head.contains("authorization: bearer c0llector%20s3cret"), "{head}");
        let said = String::from_utf8_lossy(body);
        assert!(!said.contains("eyJ") && !said.contains("s3cret") && !said.contains("user-1"), "{said}");
    }
}

#[tokio::test]
async fn refusals_are_no_errors_of_the_server_and_failures_are() {
    let collector = Collector::start();
    let (issuer, upstream, gateway) = start_with(&sending_to(&collector.url, "")).await;
    gateway.client().post(PATH).await;
    upstream.answers(302, "");
    gateway.client().bearer(issuer.mint()).post(PATH).await;
    assert!(gateway.shut_down().await);
    let mut spans = collector.spans();
    spans.sort_by_key(|span| span.start_time_unix_nano);
    let said: Vec<_> = spans
        .iter()
        .map(|span| (attribute(&span.attributes, "error.type"), span.status.clone().map_or(0, |status| status.code)))
        .collect();
    assert_eq!(said, [("auth.missing".into(), 0), ("upstream.redirect".into(), 2)], "every trace that begins here");
    assert!(spans.iter().all(|span| span.parent_span_id.is_empty()));
}

#[tokio::test]
async fn nothing_is_sampled_that_is_not_asked_for() {
    let collector = Collector::start();
    let (issuer, _upstream, gateway) =
        start_with(&sending_to(&collector.url, "sample_ratio = 0\nmetrics = false")).await;
    gateway.accepts("unsampled", issuer.mint()).await;
    assert!(gateway.shut_down().await);
    assert!(collector.deliveries.lock().unwrap().is_empty());
}

#[tokio::test]
async fn metrics_are_sent_under_the_names_of_the_conventions() {
    let collector = Collector::start();
    let (issuer, _upstream, gateway) = start_with(&sending_to(&collector.url, "traces = false")).await;
    gateway.accepts("a request", issuer.mint()).await;
    let names = eventually("a delivery", || {
        let bodies = collector.of("/base/v1/metrics");
        let requests = bodies.iter().map(|body| ExportMetricsServiceRequest::decode(&body[..]).unwrap());
        let scopes = requests.flat_map(|request| request.resource_metrics).flat_map(|resource| resource.scope_metrics);
        let names: Vec<String> = scopes.flat_map(|scope| scope.metrics).map(|metric| metric.name).collect();
        (!names.is_empty()).then_some(names)
    });
    let names = names.await;
    for name in ["http.server.request.duration", "mcp.server.operation.duration"] {
        assert!(names.iter().any(|found| found == name), "{name} in {names:?}");
    }
}

#[tokio::test]
async fn unreachable_collector_costs_nothing_and_is_said() {
    let (issuer, _upstream, gateway) = start_with(&sending_to("http://127.0.0.1:1", "")).await;
    let failures = "portcullis_telemetry_failures_total";
    let failed = async || gateway.metric(failures, &[]).await.filter(|failures| *failures > 0.0);
    for _ in 0..10 {
        gateway.accepts("without a collector", issuer.mint()).await;
    }
    eventually_value("a failed delivery", failed).await;
    log::first("it is said", |line| line.text("event") == "telemetry.failed").await;
    gateway.accepts("still", issuer.mint()).await;
    assert!(gateway.shut_down().await, "the end does not wait for it");
}
