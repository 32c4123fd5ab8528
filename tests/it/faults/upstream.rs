//! The upstream breaks (threats D24, F16): 502 or 504 in time, never half an answer for a whole one, and nobody else notices.

use std::time::Duration;

use super::{AT_ONCE, beside, served, traffic, traffic_beside, traffic_over_http2};
use crate::support::traffic::{Seen, Traffic};
use crate::support::upstream::ANSWER;
use crate::support::{Gateway, Issuer, Upstream};

const RESPONSE: Duration = Duration::from_millis(300);
const TIMEOUTS: &str =
    "[[routes]]\nname = \"notes\"\n[routes.timeouts]\nresponse = \"300ms\"\nidle = \"400ms\"\ntotal = \"1s\"\n";
/// From the upstream's return until it is asked again.
const BACK: Duration = AT_ONCE;

/// How it breaks: nobody is there, or it does this.
enum Fault {
    Killed,
    Does(fn(&Upstream)),
}

/// Under traffic: as `during` says while the fault lasts, served before and after, and next to it all the time.
async fn breaks(fault: Fault, during: impl Fn(&Seen) -> bool) {
    let (issuer, mut upstream, other) = (Issuer::start().await, Upstream::start().await, Upstream::start().await);
    let gateway = Gateway::start_with(&issuer, &upstream, &(TIMEOUTS.to_owned() + &beside(&other))).await;
    let mut honest = [traffic(&gateway, &issuer), traffic_over_http2(&gateway, &issuer)];
    let untouched = traffic_beside(&gateway, &issuer);
    let [first, second] = &mut honest;
    tokio::join!(first.sees_only(4, "before", served), second.sees_only(4, "before", served));

    match &fault {
        Fault::Killed => upstream.kill().await,
        Fault::Does(change) => change(&upstream),
    }
    let broken = async |honest: &mut Traffic| {
        // An answer that was under way may still come.
        honest.sees("the fault", &during).await;
        honest.sees_only(2, "during", |seen| during(seen) && seen.took < AT_ONCE).await;
    };
    tokio::join!(broken(first), broken(second));
    assert_eq!(gateway.admin().get("/readyz").await.status(), 200, "an upstream is no reason to send nobody here");

    match &fault {
        Fault::Killed => upstream.restart(),
        Fault::Does(_) => upstream.answers(200, ANSWER),
    }
    let recovered = async |honest: &mut Traffic| {
        let (_, took) = honest.sees("the upstream again", served).await;
        assert!(took < BACK, "{took:?}");
        honest.sees_only(8, "after", served).await;
    };
    tokio::join!(recovered(first), recovered(second));
    untouched.was_always_served(AT_ONCE);
}

fn bad_gateway(seen: &Seen) -> bool {
    seen.is_refused(502, "bad_gateway")
}

#[tokio::test]
async fn d24_upstream_that_is_killed_gets_502() {
    breaks(Fault::Killed, bad_gateway).await;
}

#[tokio::test]
async fn d24_upstream_that_stalls_gets_504_in_time() {
    let in_time = |seen: &Seen| seen.is_refused(504, "gateway_timeout") && seen.took >= RESPONSE;
    breaks(Fault::Does(Upstream::never_answers), in_time).await;
}

#[tokio::test]
async fn d24_upstream_that_is_slow_is_waited_for() {
    let slow = |seen: &Seen| seen.is_served() && seen.took > Duration::from_millis(90);
    breaks(Fault::Does(|upstream| upstream.dribbles(Duration::from_millis(10))), slow).await;
}

#[tokio::test]
async fn d24_upstream_that_is_too_slow_breaks_off() {
    breaks(Fault::Does(|upstream| upstream.dribbles(Duration::from_millis(200))), Seen::is_broken).await;
}

#[tokio::test]
async fn d24_upstream_that_resets_before_its_answer_gets_502() {
    breaks(Fault::Does(|upstream| upstream.resets_after("")), bad_gateway).await;
}

#[tokio::test]
async fn d24_upstream_that_resets_in_its_head_gets_502() {
    breaks(Fault::Does(|upstream| upstream.resets_after("HTTP/1.1 200 OK\r\ncontent-le")), bad_gateway).await;
}

#[tokio::test]
async fn d24_f16_upstream_that_resets_in_its_body_never_looks_whole() {
    const HALF: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 90\r\n\r\n{\"half\":";
    tokio::join!(
        breaks(Fault::Does(|upstream| upstream.resets_after(HALF)), Seen::is_broken),
        breaks(Fault::Does(|upstream| upstream.answers_bytes_and_closes(HALF)), Seen::is_broken),
    );
}

#[tokio::test]
async fn d24_f16_upstream_that_leaves_in_an_event_never_looks_whole() {
    const HALF: &str =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n8\r\ndata: {}\r\n";
    tokio::join!(
        breaks(Fault::Does(|upstream| upstream.resets_after(HALF)), Seen::is_broken),
        breaks(Fault::Does(|upstream| upstream.answers_bytes_and_closes(HALF)), Seen::is_broken),
    );
}

#[tokio::test]
async fn f16_upstream_that_talks_garbage_gets_502() {
    let garbage =
        |upstream: &Upstream| upstream.answers_bytes_and_closes(b"\x16\x03\x01\0\xffSSH-2.0\r\n\r\n".to_vec());
    breaks(Fault::Does(garbage), bad_gateway).await;
}
