//! Very many names: key ids that nobody has, callers that are all different, addresses that all fail.

use std::net::Ipv4Addr;
use std::time::Instant;

use tokio::io::BufReader;

use crate::attacker::{PATHS, Target, all, call, count, source, write};
use crate::rig::{Ceiling, Siege, scaled};
use crate::support::wire::{Length, read_head};

/// Requests on one connection, one after the other.
const EACH: usize = 40;
const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

/// Where those are who fail: their budget of failures must be no other attacker's.
const FAILING: usize = 2000;

/// The statuses of these requests, each with a token of its own, on one connection.
pub(crate) async fn ask(target: &Target, from: Ipv4Addr, path: &str, tokens: impl Iterator<Item = String>) -> Vec<u16> {
    let mut statuses = Vec::new();
    let Ok(stream) = target.http1(from).await else { return statuses };
    let mut stream = BufReader::new(stream);
    for token in tokens {
        write(&mut stream, call(path, token, PING)).await;
        let Some(head) = crate::support::within("an answer", read_head(&mut stream)).await else { break };
        Length::of_response(&head).rest(&mut stream).await;
        statuses.push(head.status());
    }
    statuses
}

/// Lanes at a time, so that each holds one connection.
async fn lanes(target: Target, first_source: usize, n: usize, token: fn(&Target, usize, usize) -> String) -> Vec<u16> {
    const AT_ONCE: usize = 16;
    let mut statuses = Vec::new();
    let lanes: Vec<usize> = (0..n.div_ceil(EACH)).collect();
    for some in lanes.chunks(AT_ONCE) {
        let first = some[0];
        let asked = all(some.len(), |at| {
            let (target, lane) = (target.clone(), first + at);
            async move {
                let from = source(first_source + lane);
                ask(&target, from, PATHS[lane % 3], (0..EACH).map(|turn| token(&target, lane, turn))).await
            }
        });
        statuses.extend(asked.await.into_iter().flatten());
    }
    statuses
}

const KEYS: usize = 2000;
/// 1024 ids are remembered as absent; a few counts for each of the addresses.
const KEYS_CEILING: Ceiling = Ceiling { each_kib: 2, fixed_mib: 8 };

/// Each token names another key that nobody has.
pub(crate) async fn unknown_keys(target: Target, n: usize) {
    let statuses = lanes(target, FAILING, n, |target, lane, turn| {
        let mint = target.mint(PATHS[lane % 3], "nobody");
        mint.header("kid", format!("unknown-{lane}-{turn}")).to_string()
    });
    let statuses = statuses.await;
    assert_eq!(count(&statuses, &[401, 429]), n.div_ceil(EACH) * EACH, "{statuses:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d19_floods_of_unknown_keys_cause_one_fetch_in_the_cool_down() {
    let mut siege = Siege::lay("unknown keys", "").await;
    let (before, started) = (siege.issuer.fetches(), Instant::now());
    siege.waves(scaled(KEYS), KEYS_CEILING, unknown_keys).await;
    let (fetches, seconds) = (siege.issuer.fetches() - before, started.elapsed().as_secs());
    // The cool-down is one second; one fetch may have been under way at either end.
    assert!(fetches as u64 <= seconds + 2, "{fetches} fetches in {seconds} s");
    assert!(fetches > 0, "somebody asked");
}

const CALLERS: usize = 5000;
/// Threat D21: under 2 KiB for what a caller leaves behind: a verified token, a rate of his client, a share of the audit.
const CALLERS_CEILING: Ceiling = Ceiling { each_kib: 2, fixed_mib: 8 };

/// Each call is another caller's first.
pub(crate) async fn many_callers(target: Target, n: usize) {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static WAVE: AtomicUsize = AtomicUsize::new(0);
    WAVE.fetch_add(1, Ordering::Relaxed);
    let statuses = lanes(target, 0, n, |target, lane, turn| {
        let wave = WAVE.load(Ordering::Relaxed);
        target.mint(PATHS[lane % 3], &format!("caller-{wave}-{lane}-{turn}")).to_string()
    });
    let statuses = statuses.await;
    assert_eq!(count(&statuses, &[200]), n.div_ceil(EACH) * EACH, "{statuses:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d21_ten_thousand_callers_leave_under_2_kib_each() {
    let mut siege = Siege::lay("many callers", "").await;
    siege.waves(scaled(CALLERS), CALLERS_CEILING, many_callers).await;
}
