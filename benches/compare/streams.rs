//! Event streams: what a silent one holds, and what an event on one costs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinSet;

use crate::bar::verdict;
use crate::floor::Check;
use crate::gateways::{Gateway, Kind};
use crate::load::{call, dial, request};
use crate::process::{Cores, open_files};
use crate::scene::Scene;
use crate::table::{self, middle};
use crate::upstream::{self, WATCH};

pub(crate) struct Streams {
    pub(crate) name: &'static str,
    number: usize,
    rounds: usize,
    /// On each stream, in one turn.
    events: usize,
}

pub(crate) const ALL: &[Streams] = &[
    Streams { name: "1000-streams", number: 1_000, rounds: 3, events: 20 },
    Streams { name: "10000-streams", number: 10_000, rounds: 1, events: 4 },
];

const KINDS: [Kind; 5] = [Kind::Floor(Check::Nothing), Kind::Portcullis, Kind::Nginx, Kind::HaProxy, Kind::Envoy];
/// Opened at the same time.
const AT_ONCE: usize = 32;
/// How long silence is watched.
const SILENCE: Duration = Duration::from_millis(500);
const PATIENCE: Duration = Duration::from_mins(2);
/// Of what a gateway opens besides its streams.
const OTHER_FILES: usize = 200;
const MOST_KIB: f64 = 25.0;
/// An event, to the floor.
const MOST: f64 = 1.15;

/// What all readers of one gateway's streams saw.
#[derive(Default)]
struct Seen {
    events: AtomicUsize,
    /// Streams that were refused or ended, which none should.
    ends: AtomicUsize,
}

struct Figure {
    kib: f64,
    /// Processor time of silence, in milliseconds per second.
    silence: f64,
    /// Of one event on one stream, in microseconds.
    event: f64,
}

pub(crate) fn compare(streams: &Streams, scene: &Scene) {
    // A gateway has two files per stream, and so has this process.
    let number = streams.number.min((open_files() - OTHER_FILES) / 2);
    let kinds: Vec<Kind> = KINDS.into_iter().filter(|kind| kind.takes_part()).collect();
    let turn = |kind: &Kind| {
        let gateway = Gateway::start(*kind, scene, Cores::First);
        let done = async { tokio::time::timeout(PATIENCE, take(&gateway, number, streams.events, scene)).await };
        // Without a figure every bar is missed.
        scene.turn(done).expect("in time").unwrap_or(Figure { kib: f64::NAN, silence: f64::NAN, event: f64::NAN })
    };
    let rounds: Vec<Vec<Figure>> = (0..streams.rounds).map(|_| kinds.iter().map(turn).collect()).collect();
    let less = if number < streams.number { ": no more files may be opened" } else { "" };
    let title = format!("## {} ({number}{less}; {} turns of {} events)", streams.name, streams.rounds, streams.events);
    let columns = ["", "KiB per stream", "to the floor", "CPU ms/s idle", "CPU µs per event", "to the floor", "bars"];
    table::head(&title, &columns);
    let all = |at: usize| rounds.iter().filter_map(move |round| round.get(at));
    for (at, kind) in kinds.iter().enumerate() {
        let part = |of: fn(&Figure) -> f64| middle(all(at).zip(all(0)).map(|(own, floor)| of(own) / of(floor)));
        let (kib, event) = (middle(all(at).map(|figure| figure.kib)), part(|figure| figure.event));
        let bars = format!("{}; {}", verdict("KiB", kib, MOST_KIB), verdict("× floor", event, MOST));
        table::row(&[
            kind.name().to_owned(),
            format!("{kib:.1}"),
            format!("{:.2}", part(|figure| figure.kib)),
            format!("{:.1}", middle(all(at).map(|figure| figure.silence))),
            format!("{:.1}", middle(all(at).map(|figure| figure.event))),
            format!("{event:.2}"),
            if *kind == Kind::Portcullis { bars } else { String::new() },
        ]);
    }
}

async fn take(gateway: &Gateway, number: usize, events: usize, scene: &Scene) -> Option<Figure> {
    let process = &gateway.process;
    let before = process.resident_kib();
    let seen = Arc::new(Seen::default());
    let readers = open(gateway, number, &seen, scene).await;
    until(&seen, number, gateway).await?;
    let as_number = |number: usize| f64::from(u32::try_from(number).expect("fewer"));
    let kib = (process.resident_kib() - before) / as_number(number);

    let start = process.used();
    tokio::time::sleep(SILENCE).await;
    let silence = process.used().since(&start).as_secs_f64() * 1e3 / SILENCE.as_secs_f64();

    let start = process.used();
    for round in 1..=events {
        upstream::emit();
        until(&seen, number * (round + 1), gateway).await?;
    }
    let event = process.used().since(&start).as_secs_f64() * 1e6 / as_number(number * events);
    drop(readers);
    Some(Figure { kib, silence, event })
}

/// Streams over connections of their own, each of another caller.
async fn open(gateway: &Gateway, number: usize, seen: &Arc<Seen>, scene: &Scene) -> JoinSet<()> {
    let mut opening = JoinSet::new();
    for first in 0..AT_ONCE {
        let tokens: Vec<String> =
            scene.tokens.rs256.iter().take(number).skip(first).step_by(AT_ONCE).cloned().collect();
        let (tls, port) = (scene.tls(b"http/1.1", true), gateway.port);
        opening.spawn(async move {
            let mut streams = Vec::new();
            for token in tokens {
                let mut stream = dial(port, Arc::clone(&tls)).await.expect("a connection");
                let request = request(Some(&token), &call(WATCH, "everything"));
                stream.write_all(request.as_bytes()).await.expect("it takes the request");
                streams.push(stream);
            }
            streams
        });
    }
    let mut readers = JoinSet::new();
    while let Some(streams) = opening.join_next().await {
        for mut stream in streams.expect("they open") {
            let seen = Arc::clone(seen);
            readers.spawn(async move {
                let mut buffer = vec![0; 4096];
                let mut head = true;
                while let Ok(read @ 1..) = stream.read(&mut buffer).await {
                    if head && !buffer.starts_with(b"HTTP/1.1 200") {
                        break;
                    }
                    head = false;
                    let events = buffer.iter().take(read).filter(|byte| **byte == b'~').count();
                    seen.events.fetch_add(events, Ordering::Relaxed);
                }
                seen.ends.fetch_add(1, Ordering::Relaxed);
            });
        }
    }
    readers
}

/// Nothing when a stream ends first.
async fn until(seen: &Seen, number: usize, gateway: &Gateway) -> Option<()> {
    while seen.events.load(Ordering::Relaxed) < number {
        if seen.ends.load(Ordering::Relaxed) > 0 {
            println!("\n{} refuses or ends streams, after {:?} events.", gateway.kind.name(), seen.events);
            return None;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Some(())
}
