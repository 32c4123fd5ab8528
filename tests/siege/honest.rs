//! Clients that go on calling whatever happens, from an address and a thread of their own.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::attacker::{HOST, PATHS, Target};
use crate::support::keys;

/// Between two calls of one client.
const PAUSE: Duration = Duration::from_millis(25);
/// A call that takes longer has failed.
const GIVES_UP: Duration = Duration::from_secs(10);
/// Loose: the machine is shared by attackers, gateway, upstream and these.
const P99: Duration = Duration::from_secs(2);
const LIST: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}"#;
const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read_note","arguments":{}}}"#;

/// The clients; they end when dropped.
pub(crate) struct Honest {
    stop: CancellationToken,
    calls: Arc<Mutex<Calls>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// What became of their calls.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    times: Vec<Duration>,
    failures: Vec<String>,
}

impl Honest {
    /// One over HTTP/1.1, one over HTTP/2, one with a new connection for each call.
    pub(crate) fn start(target: &Target) -> Self {
        let (stop, calls) = (CancellationToken::new(), Arc::<Mutex<Calls>>::default());
        let (target, told, kept) = (target.clone(), stop.clone(), Arc::clone(&calls));
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let mut clients = JoinSet::new();
                for (n, manner) in [Manner::Http1, Manner::Http2, Manner::Anew].into_iter().enumerate() {
                    clients.spawn(go_on(target.clone(), n, manner, Arc::clone(&kept)));
                }
                told.cancelled().await;
            });
        });
        Self { stop, calls, thread: Some(thread) }
    }

    /// How many calls have ended.
    pub(crate) fn made(&self) -> usize {
        let calls = self.calls.lock().unwrap();
        calls.times.len() + calls.failures.len()
    }

    /// Forgets what was: the first calls find nothing warm.
    pub(crate) fn forget(&self) {
        *self.calls.lock().unwrap() = Calls::default();
    }

    /// Ends them; what became of their calls.
    pub(crate) fn stop(&mut self) -> Calls {
        self.end();
        std::mem::take(&mut *self.calls.lock().unwrap())
    }

    fn end(&mut self) {
        self.stop.cancel();
        self.thread.take().map(std::thread::JoinHandle::join);
    }
}

impl Drop for Honest {
    fn drop(&mut self) {
        self.end();
    }
}

impl Calls {
    /// 99 of 100 succeeded, and 99 of 100 were quick. Says how it was.
    pub(crate) fn assert_served(&mut self, what: &str) -> String {
        let (good, bad) = (self.times.len(), self.failures.len());
        assert!(good >= 30, "{what}: only {good} honest calls, {:?}", self.failures);
        assert!(bad * 100 <= good + bad, "{what}: {bad} of {} honest calls failed: {:?}", good + bad, self.failures);
        self.times.sort();
        let (median, p99) = (self.times[good / 2], self.times[good * 99 / 100]);
        assert!(p99 < P99, "{what}: honest calls take {median:?}, one of a hundred {p99:?}");
        format!("honest {good} served, {bad} not, median {} ms, p99 {} ms", median.as_millis(), p99.as_millis())
    }
}

#[derive(Clone, Copy)]
enum Manner {
    Http1,
    Http2,
    Anew,
}

enum Sender {
    Http1(http1::SendRequest<Full<bytes::Bytes>>),
    Http2(http2::SendRequest<Full<bytes::Bytes>>),
}

async fn go_on(target: Target, n: usize, manner: Manner, calls: Arc<Mutex<Calls>>) {
    // Each kind of signature has its caller.
    let key = [keys::rsa(), keys::ec(), keys::ed()][n];
    let token = target.mint_by(key, PATHS[n], &format!("honest-{n}")).expires_in(Duration::from_hours(24)).to_string();
    let mut connection = None;
    for turn in 0.. {
        let started = Instant::now();
        let body = if turn % 2 == 0 { CALL } else { LIST };
        let calling = call(&target, &mut connection, manner, PATHS[n], &token, body);
        let outcome = tokio::time::timeout(GIVES_UP, calling).await.unwrap_or(Err("no answer in time".into()));
        if outcome.is_err() || matches!(manner, Manner::Anew) {
            connection = None;
        }
        {
            let mut calls = calls.lock().unwrap();
            match outcome {
                Ok(()) => calls.times.push(started.elapsed()),
                Err(why) => calls.failures.push(format!("{n}: {why}")),
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

type Driven = (Sender, JoinSet<()>);

async fn call(
    target: &Target,
    connection: &mut Option<Driven>,
    manner: Manner,
    path: &str,
    token: &str,
    body: &'static str,
) -> Result<(), String> {
    if connection.as_ref().is_none_or(|(sender, _)| match sender {
        Sender::Http1(sender) => sender.is_closed(),
        Sender::Http2(sender) => sender.is_closed(),
    }) {
        *connection = Some(connect(target, manner).await.map_err(|why| format!("no connection: {why}"))?);
    }
    let (sender, _) = connection.as_mut().unwrap();
    let request = http::Request::post(match sender {
        Sender::Http1(_) => path.to_owned(),
        Sender::Http2(_) => format!("https://{HOST}{path}"),
    });
    let request = match sender {
        Sender::Http1(_) => request.header("host", HOST),
        Sender::Http2(_) => request,
    };
    let request = request
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/json")
        .header("accept", "application/json, text/event-stream")
        .body(Full::from(body))
        .unwrap();
    let response = match sender {
        Sender::Http1(sender) => {
            sender.ready().await.map_err(|why| why.to_string())?;
            sender.send_request(request).await
        }
        Sender::Http2(sender) => sender.send_request(request).await,
    };
    let response = response.map_err(|why| format!("{why:?}"))?;
    let status = response.status();
    let answer = response.into_body().collect().await.map_err(|why| why.to_string())?.to_bytes();
    let answer = String::from_utf8_lossy(&answer);
    // Policy hides one tool of the list.
    let is_whole = answer.contains("\"result\"") && !answer.contains("delete_note");
    if status == 200 && is_whole { Ok(()) } else { Err(format!("{status} {answer}")) }
}

async fn connect(target: &Target, manner: Manner) -> Result<Driven, String> {
    let mut tasks = JoinSet::new();
    let told = |why: hyper::Error| why.to_string();
    let sender = match manner {
        Manner::Http1 | Manner::Anew => {
            let stream = target.http1(Ipv4Addr::LOCALHOST).await.map_err(|why| why.to_string())?;
            let (sender, driver) = http1::handshake(TokioIo::new(stream)).await.map_err(told)?;
            tasks.spawn(async { driver.await.unwrap_or_default() });
            Sender::Http1(sender)
        }
        Manner::Http2 => {
            let stream = target.http2(Ipv4Addr::LOCALHOST).await.map_err(|why| why.to_string())?;
            let shaken = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
            let (sender, driver) = shaken.map_err(told)?;
            tasks.spawn(async { driver.await.unwrap_or_default() });
            Sender::Http2(sender)
        }
    };
    Ok((sender, tasks))
}
