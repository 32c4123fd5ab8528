//! Floods: heads, streams and frames without end, and honest calls beside them (threats D10 to D17).

use std::time::{Duration, Instant};

use tokio::time::timeout;

use crate::http2::{Field, PSEUDO, post};
use crate::support::http2::{CONTINUATION, HEADERS, Outcome, PING, PRIORITY, RawHttp2, SETTINGS, WINDOW_UPDATE};
use crate::support::raw::{post_head, refused};
use crate::support::upstream::ANSWER;
use crate::support::{Gateway, Issuer, PATH, start, start_with};

/// How long a flood goes on, unless the gateway ends it.
const FLOOD: Duration = Duration::from_millis(1500);
/// Beside a flood, an honest call may take this much longer than without.
const SLOWER: Duration = Duration::from_secs(3);

/// Sends frames again and again, and honest calls beside them, which must be answered like before.
async fn beside(
    gateway: &Gateway,
    issuer: &Issuer,
    connection: &mut RawHttp2,
    mut frames: impl AsyncFnMut(&mut RawHttp2),
) {
    let timed = async || {
        let asked = Instant::now();
        gateway.accepts("an honest call", issuer.mint()).await;
        asked.elapsed()
    };
    let before = timed().await;
    let start = Instant::now();
    let flooding = async {
        while start.elapsed() < FLOOD {
            // A gateway that takes nothing more has won: what is left of the flood waits in the sender's own system.
            if timeout(FLOOD, frames(connection)).await.is_err() {
                break;
            }
        }
    };
    let honest = async {
        let mut slowest = Duration::ZERO;
        while start.elapsed() < FLOOD {
            slowest = slowest.max(timed().await);
        }
        slowest
    };
    let ((), slowest) = tokio::join!(flooding, honest);
    assert!(slowest < before + SLOWER, "{slowest:?} instead of {before:?}");
}

/// The fields of a good request with this token.
fn with_token<'a>(pseudo: [Field<'a>; 4], bearer: &'a str) -> Vec<Field<'a>> {
    pseudo.into_iter().chain([("authorization", bearer), ("content-type", "application/json")]).collect()
}

#[tokio::test]
async fn d10_header_list_over_the_limit_is_refused() {
    let (issuer, upstream, gateway) = start().await;
    let value = "x".repeat(7000);
    let bearer = format!("Bearer {}", issuer.mint());
    let fields: Vec<_> = with_token(PSEUDO, &bearer).into_iter().chain([("x-filler", value.as_str()); 6]).collect();
    let outcome = RawHttp2::connect(&gateway.client()).await.request(&fields).await;
    let refused = matches!(outcome, Outcome::Reset(_) | Outcome::GoAway(_) | Outcome::Answered(431) | Outcome::Closed);
    assert!(refused, "{outcome:?}");
    assert!(upstream.received().is_empty());
}

#[tokio::test]
async fn d10_over_100_fields_get_431() {
    let (issuer, upstream, gateway) = start().await;
    let head = post_head(&issuer, &"X: y\r\n".repeat(98));
    refused(&gateway, head, 431, "http.head_size").await;
    let many = (0..98).fold(gateway.client(), |client, _| client.header("x", "y"));
    let reply = many.bearer(issuer.mint()).http2().post(PATH).await;
    reply.assert_refused(431, "request_header_fields_too_large", "http.head_size").await;
    assert!(upstream.received().is_empty());
    let most = (0..90).fold(gateway.client(), |client, _| client.header("x", "y"));
    most.clone().bearer(issuer.mint()).post(PATH).await.assert_served();
    most.bearer(issuer.mint()).http2().post(PATH).await.assert_served();
}

#[tokio::test]
async fn d11_rapid_resets_with_a_token_do_not_hold_others_back() {
    let (issuer, upstream, gateway) = start().await;
    let bearer = format!("Bearer {}", issuer.mint());
    let fields = with_token(PSEUDO, &bearer);
    let mut connection = RawHttp2::connect(&gateway.client()).await;
    beside(&gateway, &issuer, &mut connection, async |connection| {
        let stream = connection.head(&fields, true).await;
        connection.reset(stream).await;
    })
    .await;
    // All that were taken back have left the upstream too.
    upstream.answers(200, ANSWER);
    gateway.accepts("afterwards", issuer.mint()).await;
}

#[tokio::test]
async fn d11_rapid_resets_of_requests_that_wait_upstream_do_not_hold_others_back() {
    let (issuer, upstream, gateway) = start().await;
    upstream.never_answers();
    let bearer = format!("Bearer {}", issuer.mint());
    let fields = with_token(PSEUDO, &bearer);
    let mut connection = RawHttp2::connect(&gateway.client()).await;
    for _ in 0..2000 {
        let stream = connection.head(&fields, true).await;
        connection.reset(stream).await;
    }
    upstream.answers(200, ANSWER);
    let start = Instant::now();
    gateway.accepts("afterwards", issuer.mint()).await;
    assert!(start.elapsed() < SLOWER, "{:?}", start.elapsed());
}

#[tokio::test]
async fn d11_rapid_resets_without_a_token_do_not_hold_others_back() {
    let (issuer, upstream, gateway) = start().await;
    let forged = format!("Bearer {}x", issuer.mint());
    for fields in [PSEUDO.to_vec(), with_token(PSEUDO, &forged), with_token(post(), &forged)] {
        let mut connection = RawHttp2::connect(&gateway.client()).await;
        beside(&gateway, &issuer, &mut connection, async |connection| {
            let stream = connection.head(&fields, false).await;
            connection.reset(stream).await;
        })
        .await;
    }
    let honest = upstream.received();
    assert!(honest.iter().all(|request| request.complete && request.field("x-auth-subject") == Some("alice")));
}

/// Asserts that the gateway has ended the connection.
async fn ended(connection: &mut RawHttp2) {
    let outcome = connection.outcome(u32::MAX).await;
    assert!(matches!(outcome, Outcome::GoAway(_) | Outcome::Closed), "{outcome:?}");
}

#[tokio::test]
async fn d13_endless_continuation_ends_the_connection() {
    let (issuer, upstream, gateway) = start().await;
    let filler = "x".repeat(8000);
    let mut connection = RawHttp2::connect(&gateway.client()).await;
    let stream = connection.half_head(&PSEUDO).await;
    // 4 times the list limit of 32 KiB, and one frame more.
    for _ in 0..17 {
        connection.more_head(stream, &[("x-filler", &filler)]).await;
    }
    ended(&mut connection).await;
    let mut connection = RawHttp2::connect(&gateway.client()).await;
    let stream = connection.half_head(&PSEUDO).await;
    beside(&gateway, &issuer, &mut connection, async |connection| {
        connection.more_head(stream, &[("x-filler", &filler)]).await;
    })
    .await;
    assert!(upstream.received().iter().all(|request| request.field("x-auth-subject") == Some("alice")));
}

#[tokio::test]
async fn d13_endless_continuation_of_nothing_ends_the_connection() {
    let (issuer, _upstream, gateway) = start().await;
    let mut connection = RawHttp2::connect(&gateway.client()).await;
    let stream = connection.half_head(&PSEUDO).await;
    beside(&gateway, &issuer, &mut connection, async |connection| {
        connection.frame(CONTINUATION, 0, stream, &[]).await;
    })
    .await;
    ended(&mut connection).await;
}

#[tokio::test]
async fn d16_frames_that_ask_for_nothing_do_not_hold_others_back() {
    let (issuer, _upstream, gateway) = start().await;
    let unknown = 0xfa;
    for (what, kind, stream, payload) in [
        ("pings", PING, 0, &[0; 8][..]),
        ("settings", SETTINGS, 0, &[]),
        ("settings that change something", SETTINGS, 0, &[0, 4, 0, 0, 0xff, 0xff]),
        ("priorities", PRIORITY, 1, &[0, 0, 0, 3, 1]),
        ("windows", WINDOW_UPDATE, 0, &[0, 0, 0, 1]),
        ("unknown frames", unknown, 0, &[0; 64]),
    ] {
        println!("case: {what}");
        let mut connection = RawHttp2::connect(&gateway.client()).await;
        beside(&gateway, &issuer, &mut connection, async |connection| {
            connection.frame(kind, 0, stream, payload).await;
        })
        .await;
    }
}

#[tokio::test]
async fn d16_heads_of_nothing_end_the_connection() {
    let (issuer, upstream, gateway) = start().await;
    let mut connection = RawHttp2::connect(&gateway.client()).await;
    let mut stream = 1;
    beside(&gateway, &issuer, &mut connection, async |connection| {
        // END_HEADERS and END_STREAM: malformed, for it has no pseudo-fields.
        connection.frame(HEADERS, 5, stream, &[]).await;
        stream += 2;
    })
    .await;
    ended(&mut connection).await;
    assert!(upstream.received().iter().all(|request| request.method == "POST"));
}

#[tokio::test]
async fn d16_empty_data_does_not_hold_others_back() {
    let (issuer, upstream, gateway) = start().await;
    let bearer = format!("Bearer {}", issuer.mint());
    let mut connection = RawHttp2::connect(&gateway.client()).await;
    let stream = connection.head(&with_token(post(), &bearer), false).await;
    beside(&gateway, &issuer, &mut connection, async |connection| connection.data(stream, b"", false).await).await;
    assert!(upstream.received().iter().all(|request| request.complete));
}

#[tokio::test]
async fn d17_streams_over_the_limit_are_refused_and_the_others_go_on() {
    let (issuer, mut upstream, gateway) = start_with("listen.limits.streams_per_connection = 2").await;
    upstream.streams();
    let bearer = format!("Bearer {}", issuer.mint());
    let fields = with_token(PSEUDO, &bearer);
    let mut connection = RawHttp2::connect(&gateway.client()).await;
    let mut open = Vec::new();
    for _ in 0..2 {
        connection.head(&fields, true).await;
        open.push(upstream.stream().await);
    }
    let third = connection.head(&fields, true).await;
    // RFC 9113 §7: REFUSED_STREAM is 7.
    assert_eq!(connection.outcome(third).await, Outcome::Reset(7));
    assert_eq!(upstream.received().len(), 2);
    let (first, second) = (open.remove(0), open.remove(0));
    second.send("data: still here\n\n").await;
    first.end().await;
    connection.ended(1).await;
    let fourth = connection.head(&fields, true).await;
    let third_upstream = upstream.stream().await;
    assert_eq!(connection.outcome(fourth).await, Outcome::Answered(200));
    third_upstream.end().await;
    second.end().await;
    assert_eq!(upstream.received().len(), 3);
}
