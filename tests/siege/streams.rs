//! Very many event streams that are open at the same time.

use std::time::Duration;

use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::task::JoinSet;

use crate::attacker::{HOST, PATHS, Target, source};
use crate::rig::{Ceiling, Siege, openable, scaled};
use crate::support::within;

/// Streams of one connection: what `streams_per_connection` allows.
const STREAMS: usize = 100;
const OPEN: usize = 5000;
/// The request's task, its record, its upstream connection: some 6 KiB.
const OPEN_CEILING: Ceiling = Ceiling { each_kib: 16, fixed_mib: 0 };
/// Requests that wait for their head at a time.
const AT_ONCE: usize = 10;

/// Opens `n` streams, a hundred on each connection, and reads some of each; then all leave.
pub(crate) async fn many_streams(target: Target, n: usize) {
    let (mut openers, mut held) = (JoinSet::<Held>::new(), Vec::new());
    for lane in 0..n.div_ceil(STREAMS) {
        let (target, streams) = (target.clone(), STREAMS.min(n - lane * STREAMS));
        if openers.len() >= AT_ONCE {
            held.push(openers.join_next().await.unwrap().unwrap());
        }
        openers.spawn(async move { open(&target, lane, streams).await });
    }
    held.extend(openers.join_all().await);
    let open: usize = held.iter().map(|(_, bodies)| bodies.len()).sum();
    assert_eq!(open, n, "every stream is let in");
    let mut living = 0;
    for body in held.iter_mut().flat_map(|(_, bodies)| bodies) {
        let frame = within("an event", body.frame()).await;
        living += usize::from(frame.is_some_and(|frame| frame.is_ok()));
    }
    assert_eq!(living, n, "every stream lives");
    tokio::time::sleep(Duration::from_millis(500)).await;
}

/// A connection's task, and what its streams bring.
type Held = (JoinSet<()>, Vec<hyper::body::Incoming>);

async fn open(target: &Target, lane: usize, streams: usize) -> Held {
    let stream = target.http2(source(lane)).await.unwrap();
    let (mut sender, connection) =
        http2::handshake::<_, _, Empty<bytes::Bytes>>(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    let mut driver = JoinSet::new();
    driver.spawn(async { connection.await.unwrap_or_default() });
    let path = PATHS[lane % PATHS.len()];
    let token = target.mint(path, &format!("listener-{lane}")).to_string();
    let mut bodies = Vec::new();
    for _ in 0..streams {
        let request = http::Request::get(format!("https://{HOST}{path}"))
            .header("authorization", format!("Bearer {token}"))
            .header("accept", "text/event-stream")
            .body(Empty::new())
            .unwrap();
        let response = within("a stream's head", sender.send_request(request)).await.unwrap();
        assert_eq!(response.status(), 200);
        bodies.push(response.into_body());
    }
    (driver, bodies)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d7_thousands_of_streams_live_under_their_ceiling_and_leave_nothing() {
    let mut siege = Siege::lay("event streams", "").await;
    siege.waves(openable(scaled(OPEN), 1), OPEN_CEILING, many_streams).await;
}
