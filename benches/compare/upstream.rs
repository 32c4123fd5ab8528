//! The server behind every gateway. Which tool is called says how it answers: at once and shortly, with 1 MiB, or with events.

use std::convert::Infallible;
use std::sync::LazyLock;

use bytes::Bytes;
use futures_util::stream;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::broadcast::{self, Sender};

use crate::work::MIB;

const ANSWER: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"an answer of a tool, about as long as many of them are, for which somebody asked"}],"isError":false}}"#;

/// `~` is in an event once, and in nothing around it: so they are counted.
const EVENT: &str = "event: message\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{\"level\":\"info\",\"data\":\"~ something happened that somebody may want to know of\"}}\n\n";

/// Calls of this tool are answered with events, each time that `EMIT` is called.
pub(crate) const WATCH: &str = "watch";
pub(crate) const EMIT: &str = "emit";
/// Calls of this tool are answered with 1 MiB.
pub(crate) const LARGE: &str = "large";

type Body = UnsyncBoxBody<Bytes, Infallible>;

static EVENTS: LazyLock<Sender<()>> = LazyLock::new(|| broadcast::channel(64).0);
static ONE_MIB: LazyLock<Bytes> = LazyLock::new(|| ANSWER.replace("an answer", &"an answer ".repeat(MIB / 10)).into());

pub(crate) fn run(port: &str) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await.expect("a free port");
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            stream.set_nodelay(true).unwrap_or_default();
            tokio::spawn(async move {
                http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service_fn(answer))
                    .await
                    .unwrap_or_default();
            });
        }
    });
}

async fn answer(request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    // Read, as every server does.
    let body = request.into_body().collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let beginning = body.get(..body.len().min(128)).map(String::from_utf8_lossy).unwrap_or_default();
    let calls = |tool: &str| beginning.contains(&format!("\"name\":\"{tool}\""));
    if calls(WATCH) {
        return Ok(watch());
    }
    if calls(EMIT) {
        EVENTS.send(()).map(drop).unwrap_or_default();
    }
    let text = if calls(LARGE) { ONE_MIB.clone() } else { Bytes::from_static(ANSWER.as_bytes()) };
    Ok(with_type("application/json", Full::new(text).boxed_unsync()))
}

/// One event at once, then those that are emitted.
fn watch() -> Response<Body> {
    let event = || Ok::<_, Infallible>(Frame::data(Bytes::from_static(EVENT.as_bytes())));
    let events = stream::unfold((true, EVENTS.subscribe()), move |(first, mut emitted)| async move {
        if !first {
            emitted.recv().await.ok()?;
        }
        Some((event(), (false, emitted)))
    });
    let mut response = with_type("text/event-stream", StreamBody::new(events).boxed_unsync());
    // nginx collects answers otherwise.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

fn with_type(name: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(name));
    response
}
