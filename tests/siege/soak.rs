//! Everything at once, at a low rate, for long: memory and open files are flat after the warm-up.
//!
//! `cargo test --release --test siege soak -- --ignored --nocapture`, for `PORTCULLIS_SOAK_MINUTES` (3).

use std::fs;
use std::time::{Duration, Instant};

use tokio::io::BufReader;
use tokio::task::JoinSet;

use crate::attacker::{PATHS, Target, call, source, write};
use crate::authority::{authority, replace};
use crate::reading::Reading;
use crate::rig::{Siege, asked_for, configuration, say};
use crate::support::wire::{Length, read_head};
use crate::support::{keys, within};
use crate::{bombs, crowds, floods, identities, slow, streams};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(200);
/// Between two attacks of one kind.
const PAUSE: Duration = Duration::from_millis(700);
/// Between two changes of configuration, keys or certificate.
const CHANGE: Duration = Duration::from_millis(2500);
/// What the median of the last third may lie above that of the middle third. MiB: attacks of 1 MiB bodies and 8 MiB answers
/// overlap by chance. Files: connections to the upstream that are kept or not.
const MEMORY_SLACK_MIB: usize = 8;
const FILES_SLACK: usize = 64;
/// Verified tokens and rates fill up to their caps for long; so these callers come again and again.
const CALLERS: usize = 400;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o12_twenty_seconds_of_everything_leave_memory_and_files_flat() {
    soak(Duration::from_secs(20)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes"]
async fn o12_minutes_or_hours_of_everything_leave_memory_and_files_flat() {
    let minutes = asked_for("PORTCULLIS_SOAK_MINUTES", 3);
    soak(Duration::from_mins(minutes)).await;
}

async fn soak(length: Duration) {
    let mut siege = Siege::lay("soak", "").await;
    let mut actors = JoinSet::new();
    attacks(&mut actors, &siege.target);
    let target = siege.target.clone();
    actors.spawn(async move { again(|| sessions(target.clone())).await });
    let target = siege.target.clone();
    actors.spawn(async move { again(|| refused_tokens(target.clone())).await });
    let target = siege.target.clone();
    let callers: Vec<String> = (0..CALLERS)
        .map(|n| {
            target.mint(PATHS[n / 40 % 3], &format!("regular-{n}")).expires_in(Duration::from_hours(24)).to_string()
        })
        .collect();
    actors.spawn(async move {
        for lane in (0..CALLERS / 40).cycle() {
            let statuses =
                identities::ask(&target, source(lane), PATHS[lane % 3], callers[lane * 40..][..40].iter().cloned())
                    .await;
            assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
            tokio::time::sleep(PAUSE).await;
        }
    });
    let readings = watch(&siege, &mut actors, length).await;
    actors.shutdown().await;
    judge(&readings);
    let served = siege.honest.stop().assert_served("soak");
    say(&format!("soak: {} s, {} looks; {served}", length.as_secs(), readings.len()));
}

/// All of them, each again and again.
fn attacks(actors: &mut JoinSet<()>, target: &Target) {
    macro_rules! attack {
        ($($attack:path, $count:expr;)*) => {$({
            let target = target.clone();
            actors.spawn(async move { again(|| $attack(target.clone(), $count)).await });
        })*};
    }
    attack! {
        slow::half_open, 9;
        slow::slow_heads, 3;
        slow::slow_bodies, 4;
        slow::slow_readers, 2;
        slow::closed_windows, 100;
        slow::crumbs, 100;
        floods::rapid_reset, 1;
        floods::endless_heads, 3;
        floods::frame_floods, 1;
        bombs::json_bombs, 4;
        bombs::header_bombs, 3;
        crowds::crowd, 20;
        crowds::come_and_go, 50;
        identities::unknown_keys, 40;
        streams::many_streams, 20;
    }
}

async fn again<F: Future<Output = ()>>(attack: impl Fn() -> F) {
    loop {
        attack().await;
        tokio::time::sleep(PAUSE).await;
    }
}

/// A session from its beginning to a call in it.
async fn sessions(target: Target) {
    let token = target.mint(PATHS[0], "session-owner").to_string();
    let mut stream = BufReader::new(target.http1(source(1)).await.unwrap());
    let hello = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"soak","version":"1"}}}"#;
    write(&mut stream, call(PATHS[0], &token, hello)).await;
    let Some(head) = within("the session", read_head(&mut stream)).await else { return };
    Length::of_response(&head).rest(&mut stream).await;
    let session = head.fields.get("mcp-session-id").unwrap().to_owned();
    let list = r#"{"jsonrpc":"2.0","id":2,"method":"tools/list"}"#;
    let request = call(PATHS[0], &token, list).replacen("\r\n", &format!("\r\nMcp-Session-Id: {session}\r\n"), 1);
    write(&mut stream, request).await;
    let Some(head) = within("a call in the session", read_head(&mut stream)).await else { return };
    assert_eq!(head.status(), 200);
}

/// Tokens that are no good, over one connection.
async fn refused_tokens(target: Target) {
    let good = || target.mint(PATHS[1], "refused");
    let bad =
        [good().expired(), good().claim("aud", "https://elsewhere.example/"), good().claim("iss", "https://nobody")];
    let mut stream = BufReader::new(target.http1(source(3000)).await.unwrap());
    for token in bad {
        let list = r#"{"jsonrpc":"2.0","id":2,"method":"tools/list"}"#;
        write(&mut stream, call(PATHS[1], token, list)).await;
        // Who is late, because the machine is busy, is cut off as he should be.
        let Some(head) = within("a refusal", read_head(&mut stream)).await else { return };
        assert!([401, 429].contains(&head.status()), "{}", head.start);
        Length::of_response(&head).rest(&mut stream).await;
    }
}

/// Looks until the time is over; changes what an operator changes.
async fn watch(siege: &Siege, actors: &mut JoinSet<()>, length: Duration) -> Vec<Reading> {
    let (started, mut readings, mut changed, mut said) = (Instant::now(), Vec::new(), 0u32, 0);
    while started.elapsed() < length {
        readings.push(Reading::of(siege.process.id()));
        if started.elapsed() > CHANGE * (changed + 1) {
            change(siege, changed);
            changed += 1;
        }
        if let Some(ended) = actors.try_join_next() {
            panic!("an attack did not meet what it should: {ended:?}");
        }
        assert_eq!(siege.process.said("panic"), 0, "a request panicked");
        let tenth = started.elapsed().as_secs() * 10 / length.as_secs();
        if tenth > said {
            let last = readings[readings.len() - 1];
            say(&format!(
                "soak: {tenth}/10, {} MiB, {} files, {} honest calls",
                last.memory / 1024,
                last.files,
                siege.honest.made()
            ));
            said = tenth;
        }
        tokio::time::sleep(LOOK).await;
    }
    readings
}

/// A signal, another file, another certificate, other keys, in turns.
fn change(siege: &Siege, turn: u32) {
    match turn % 4 {
        0 => {
            // The old file is gone with its name: the gateway opens another on the signal.
            fs::remove_file(siege.folder.path().join("audit.jsonl")).unwrap();
            siege.process.hang_up();
        }
        1 => {
            let limits = format!("streams_per_connection = {}", 100 + turn % 8);
            let text = configuration(&siege.issuer, &siege.upstream, &limits);
            replace(&siege.folder.path().join("gateway.toml"), &text);
        }
        2 => authority().certify(siege.folder.path()),
        _ => {
            let mut published = vec![keys::rsa().jwk(), keys::ec().jwk(), keys::ed().jwk()];
            if turn % 8 == 3 {
                published.push(keys::other_rsa().jwk());
            }
            siege.issuer.publish(published);
        }
    }
}

/// The first third is the warm-up.
fn judge(readings: &[Reading]) {
    let third = readings.len() / 3;
    assert!(third >= 10, "only {} looks", readings.len());
    let median = |of: fn(&Reading) -> usize, third_at: usize| {
        let mut values: Vec<usize> = readings[third * third_at..][..third].iter().map(of).collect();
        values.sort_unstable();
        values[third / 2]
    };
    let memory = [0, 1, 2].map(|third| median(|reading| reading.memory, third) / 1024);
    let files = [0, 1, 2].map(|third| median(|reading| reading.files, third));
    say(&format!("soak: medians of the thirds {memory:?} MiB, {files:?} files"));
    assert!(memory[2] <= memory[1] + MEMORY_SLACK_MIB, "memory grows: {memory:?} MiB");
    assert!(files[2] <= files[1] + FILES_SLACK, "files grow: {files:?}");
}
