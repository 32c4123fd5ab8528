//! Gateways side by side on this machine: `cargo bench --bench compare [-- SCENARIO…]`. See docs/performance.md.
//!
//! Each gateway is a process of its own with one worker, on one core where `taskset` is there. Load, issuer and upstream are one
//! thread of this process, on another core; it never sleeps during a turn.
//! What counts is the gateway's own processor time per request, as a ratio to a bare proxy on the same libraries (`floor`), all
//! taken in turns within one run. nginx, `HAProxy` and Envoy take part when they are there.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a failed step is a failed measurement; the result is printed"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "nothing here is shut down gracefully, and nothing reads a configuration"
)]

mod bar;
mod floor;
mod gateways;
mod issuer;
mod load;
mod process;
mod scene;
mod start;
mod streams;
mod table;
mod turns;
mod upstream;
mod work;

use std::time::Instant;

use scene::Scene;
use work::Work;

fn main() {
    portcullis::install_crypto();
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["floor", check, port, upstream, folder] => floor::run(check, port, upstream, folder.as_ref()),
        ["list"] => names().for_each(|name| println!("{name}")),
        scenarios => compare(scenarios),
    }
}

fn names() -> impl Iterator<Item = &'static str> {
    let requests = Work::ALL.iter().map(|work| work.name);
    requests.chain(streams::ALL.iter().map(|streams| streams.name)).chain([start::NAME])
}

fn compare(scenarios: &[&str]) {
    let unknown = scenarios.iter().find(|scenario| !names().any(|name| name == **scenario));
    assert!(unknown.is_none(), "no such scenario; there are: {}", names().collect::<Vec<_>>().join(", "));
    let begin = Instant::now();
    process::prepare();
    let scene = Scene::set();
    let wanted = |name: &str| scenarios.is_empty() || scenarios.contains(&name);
    table::versions();
    for work in Work::ALL.iter().filter(|work| wanted(work.name)) {
        turns::compare(work, &scene);
    }
    for streams in streams::ALL.iter().filter(|streams| wanted(streams.name)) {
        streams::compare(streams, &scene);
    }
    if wanted(start::NAME) {
        start::compare(&scene);
    }
    println!("\n{} s in all.", begin.elapsed().as_secs());
}
