//! Gateways side by side on this machine: `cargo bench --bench compare [-- SCENARIO…]`.
//!
//! Each gateway is a process of its own with one worker, pinned to one core where `taskset` is there; the load comes from this process.
//! What counts is the gateway's own processor time per request, as a ratio to the bare pass-through (`floor.rs`), all taken in turns
//! within one run. nginx and `HAProxy` take part when they are installed.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a failed step is a failed measurement; the result is printed"
)]
#![expect(clippy::disallowed_methods, reason = "nothing here is shut down gracefully")]

mod floor;
mod gateways;
mod load;
mod scene;
mod upstream;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use gateways::{Gateway, Kind};
use load::Work;
use scene::Scene;

/// Each gateway's turn at each scenario, so many times; the middle one counts.
const ROUNDS: usize = 5;

fn main() {
    portcullis::install_crypto();
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["floor", port, upstream, certificate, key] => floor::run(port, upstream, certificate, key),
        ["upstream", port] => upstream::run(port),
        scenarios => compare(scenarios),
    }
}

fn compare(wanted: &[&str]) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let scene = Scene::set(&runtime);
    for work in Work::ALL.iter().filter(|work| wanted.is_empty() || wanted.contains(&work.name)) {
        let kinds: Vec<Kind> = Kind::ALL
            .into_iter()
            .filter(|kind| kind.takes_part() && (std::env::var_os("ONLY").is_none() || kind.name() == "Portcullis"))
            .collect();
        let mut figures: BTreeMap<Kind, Vec<Figure>> = BTreeMap::new();
        let gateways: Vec<Gateway> = kinds.iter().map(|kind| Gateway::start(*kind, &scene)).collect();
        if std::env::var_os("ONLY").is_some() {
            std::thread::sleep(Duration::from_secs(12));
        }
        for round in 0..=ROUNDS {
            for gateway in &gateways {
                let figure = take(&runtime, gateway, work, &scene);
                // The first round warms up.
                if round > 0 {
                    figures.entry(gateway.kind).or_default().push(figure);
                }
            }
        }
        show(work, &gateways, figures);
    }
}

/// One turn: processor time of the gateway, wall time of the load, per request.
struct Figure {
    cpu: Duration,
    wall: Duration,
}

fn take(runtime: &tokio::runtime::Runtime, gateway: &Gateway, work: &'static Work, scene: &Scene) -> Figure {
    let (before, start) = (gateway.cpu(), Instant::now());
    let work = &*Box::leak(Box::new(Work {
        requests: std::env::var("REQS").ok().and_then(|x| x.parse().ok()).unwrap_or(work.requests),
        ..*work
    }));
    runtime.block_on(load::run(work, gateway.port, gateway.kind.answers(work), scene));
    // Counted in hundredths of a second: a turn takes long enough for that.
    Figure { cpu: gateway.cpu().saturating_sub(before) / work.requests, wall: start.elapsed() / work.requests }
}

fn show(work: &Work, gateways: &[Gateway], mut figures: BTreeMap<Kind, Vec<Figure>>) {
    let mut middle = |kind: Kind| {
        let all = figures.get_mut(&kind)?;
        all.sort_by_key(|figure| figure.cpu);
        let figure = all.get(all.len() / 2)?;
        Some((figure.cpu.as_secs_f64() * 1e6, 1.0 / figure.wall.as_secs_f64()))
    };
    let floor = middle(Kind::Floor).map_or(f64::NAN, |(cpu, _)| cpu);
    println!("\n{} ({} requests a turn, {ROUNDS} turns)", work.name, work.requests);
    println!("| gateway | CPU µs per request | to the floor | requests/s | resident MiB |\n|---|---|---|---|---|");
    for gateway in gateways {
        let Some((cpu, rate)) = middle(gateway.kind) else { continue };
        println!(
            "| {} | {cpu:.1} | {:.2} | {rate:.0} | {:.1} |",
            gateway.kind.name(),
            cpu / floor,
            gateway.resident_mib()
        );
    }
}
