//! From the start of a process to its first good answer, and what it holds then.

use crate::bar::verdict;
use crate::floor::Check;
use crate::gateways::{Gateway, Kind};
use crate::process::Cores;
use crate::scene::Scene;
use crate::table::{self, middle};

pub(crate) const NAME: &str = "start";

const KINDS: [Kind; 5] = [Kind::Floor(Check::Nothing), Kind::Portcullis, Kind::Nginx, Kind::HaProxy, Kind::Envoy];
const ROUNDS: usize = 15;
/// To the floor.
const MOST: f64 = 1.2;
const MOST_MIB: f64 = 15.0;

pub(crate) fn compare(scene: &Scene) {
    let kinds: Vec<Kind> = KINDS.into_iter().filter(|kind| kind.takes_part()).collect();
    // Milliseconds and MiB of each, round by round. The first one warms up.
    let rounds: Vec<Vec<(f64, f64)>> =
        (0..=ROUNDS).map(|_| kinds.iter().map(|kind| start(*kind, scene)).collect()).skip(1).collect();
    let all = |at: usize| rounds.iter().filter_map(move |round| round.get(at).copied());
    table::head(
        &format!("## {NAME} ({ROUNDS} starts)"),
        &["", "ms to the first answer", "to the floor", "MiB then", "bars"],
    );
    for (at, kind) in kinds.iter().enumerate() {
        let times = middle(all(at).zip(all(0)).map(|((own, _), (floor, _))| own / floor));
        let mib = middle(all(at).map(|(_, mib)| mib));
        let bars = format!("{}; {}", verdict("× floor", times, MOST), verdict("MiB", mib, MOST_MIB));
        table::row(&[
            kind.name().to_owned(),
            format!("{:.1}", middle(all(at).map(|(ms, _)| ms))),
            format!("{times:.2}"),
            format!("{mib:.1}"),
            if *kind == Kind::Portcullis { bars } else { String::new() },
        ]);
    }
}

fn start(kind: Kind, scene: &Scene) -> (f64, f64) {
    let gateway = Gateway::start(kind, scene, Cores::Any);
    (gateway.started.as_secs_f64() * 1e3, gateway.process.resident_kib() / 1024.0)
}
