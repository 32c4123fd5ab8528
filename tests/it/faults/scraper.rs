//! Whoever reads the metrics breaks (threat P10): stalled, garbled, greedy; the public listener does not notice, and health is
//! told all the time.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{AT_ONCE, traffic};
use crate::support::traffic::Traffic;
use crate::support::{Gateway, Issuer, Upstream, start, within};

/// As many as the operations listener has places, and some that wait.
const MANY: usize = 70;

async fn set_up() -> (Issuer, Upstream, Gateway, Traffic) {
    let (issuer, upstream, gateway) = start().await;
    let honest = traffic(&gateway, &issuer);
    (issuer, upstream, gateway, honest)
}

/// Health is told, nothing is left behind, and no request was touched by any of it.
async fn is_well(gateway: &Gateway, honest: Traffic) {
    assert_eq!(within_a_moment(gateway.admin().get("/healthz")).await.status(), 200);
    honest.was_always_served(AT_ONCE);
}

async fn visit(gateway: &Gateway, bytes: &[u8]) -> TcpStream {
    let mut stream = gateway.admin().tcp().await;
    stream.write_all(bytes).await.unwrap();
    stream
}

#[tokio::test]
async fn scrapers_that_stall_in_every_place_keep_no_probe_waiting() {
    let (_issuer, _upstream, gateway, mut honest) = set_up().await;
    let mut stalled = Vec::new();
    for number in 0..MANY {
        let said = [&b""[..], b"GET /metrics HTTP/1.1\r\nhost: loc", b"GET /"][number % 3];
        stalled.push(visit(&gateway, said).await);
        // As many as there are places, and after each one more a probe.
        if number >= 60 {
            assert_eq!(within_a_moment(gateway.admin().get("/healthz")).await.status(), 200);
        }
    }
    honest.sees_only(20, "while every place is taken", super::served).await;
    assert!(gateway.metric("portcullis_ready", &[]).await > Some(0.0), "metrics are read as well");
    within("the oldest is ended", stalled[0].read(&mut [0; 1])).await.unwrap_or(0);
    is_well(&gateway, honest).await;
    drop(stalled);
}

async fn within_a_moment<T>(step: impl Future<Output = T>) -> T {
    tokio::time::timeout(AT_ONCE, step).await.unwrap()
}

#[tokio::test]
async fn scrapers_that_talk_garbage_reset_or_take_nothing_cost_nothing() {
    let (_issuer, _upstream, gateway, mut honest) = set_up().await;
    let mut deaf = Vec::new();
    for number in 0..MANY {
        let garbage: &[u8] =
            [&b"\x16\x03\x01\0\xff"[..], b"\0\0\0\0\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"][number % 3];
        let stream = visit(&gateway, garbage).await;
        if number % 2 == 0 {
            stream.set_zero_linger().unwrap();
        }
        drop(stream);
        if number % 10 == 0 {
            // Asks and never reads.
            deaf.push(visit(&gateway, b"GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n").await);
        }
    }
    honest.sees_only(10, "during", super::served).await;
    is_well(&gateway, honest).await;
}

#[tokio::test]
async fn scrapers_in_a_loop_hold_up_no_request() {
    let (_issuer, _upstream, gateway, mut honest) = set_up().await;
    let scraping = async {
        loop {
            futures_util::future::join_all((0..4).map(|_| gateway.scrape())).await;
        }
    };
    tokio::select! {
        () = scraping => unreachable!(),
        _ = honest.sees_only(30, "during", super::served) => {}
    }
    is_well(&gateway, honest).await;
}
