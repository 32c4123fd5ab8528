//! HTTP/2: several streams on each connection, each of which asks again and again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use tokio::task::{JoinHandle, JoinSet};

use super::Running;
use super::dial::dial;
use crate::scene::Scene;
use crate::work::STREAMS;

pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    task: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Connection {
    pub(super) async fn open(port: u16, tls: Arc<ClientConfig>) -> Self {
        let stream = dial(port, tls).await.expect("a connection");
        let (sender, connection) =
            Builder::new(TokioExecutor::new()).handshake(TokioIo::new(stream)).await.expect("HTTP/2");
        Self { sender, task: tokio::spawn(async move { connection.await.unwrap_or_default() }) }
    }

    pub(super) async fn ask(self, running: Arc<Running>) -> Vec<Duration> {
        let mut streams = JoinSet::new();
        for _ in 0..STREAMS {
            streams.spawn(on_one_stream(self.sender.clone(), Arc::clone(&running)));
        }
        let mut waits = Vec::new();
        while let Some(done) = streams.join_next().await {
            waits.extend(done.expect("every request is answered"));
        }
        waits
    }
}

async fn on_one_stream(mut sender: SendRequest<Full<Bytes>>, running: Arc<Running>) -> Vec<Duration> {
    let (asks, mut waits) = (&running.asks, Vec::new());
    let body = Bytes::from(asks.body.clone());
    while let Some(number) = running.next() {
        let begin = Instant::now();
        let mut request = Request::post(Scene::resource())
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream");
        if let Some(token) = asks.token(number) {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = request.body(Full::new(body.clone())).expect("a request");
        let response = sender.send_request(request).await.expect("an answer");
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        asks.check(&Ok((status, body.len())));
        waits.push(begin.elapsed());
    }
    waits
}
