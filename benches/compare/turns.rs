//! The turns of requests: gateways side by side, asked one after the other, again and again.

use std::time::{Duration, Instant};

use crate::gateways::{Gateway, Kind};
use crate::load::{self, Turn};
use crate::process::Cores;
use crate::scene::Scene;
use crate::table::{self, middle};
use crate::work::{Sends, TURN, Work};

/// So many times each; the middle one counts. Many short turns: the machine's moods last longer than a round, and hit all alike.
const ROUNDS: u32 = 11;
/// Of tokens that were not seen before, in one turn: they last for all turns.
const NEW_TOKENS: u32 = 800;
/// So long a turn may hang.
const PATIENCE: Duration = Duration::from_secs(30);

/// One gateway that is asked in one way.
pub(crate) struct Row {
    pub(crate) kind: Kind,
    pub(crate) sends: Sends,
    pub(crate) figures: Vec<Figure>,
    pub(crate) resident_kib: f64,
    peak_kib: f64,
}

/// One turn; times per request in microseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Figure {
    pub(crate) cpu: f64,
    rate: f64,
    p50: f64,
    p99: f64,
}

impl Row {
    /// Processor time against the other's of the same round.
    pub(crate) fn times(&self, other: &Self) -> f64 {
        middle(self.figures.iter().zip(&other.figures).map(|(own, other)| own.cpu / other.cpu))
    }

    fn middle(&self, of: fn(&Figure) -> f64) -> f64 {
        middle(self.figures.iter().map(of))
    }
}

pub(crate) fn compare(work: &Work, scene: &Scene) {
    let taking_part = || work.rows.iter().filter(|(kind, _)| kind.takes_part());
    let mut gateways: Vec<Gateway> = Vec::new();
    for (kind, _) in taking_part() {
        if !gateways.iter().any(|gateway| gateway.kind == *kind) {
            gateways.push(Gateway::start(*kind, scene, Cores::First));
        }
    }
    let of = |kind: Kind| gateways.iter().find(|gateway| gateway.kind == kind).expect("started");
    let mut rows: Vec<Row> = taking_part().map(|(kind, sends)| Row::new(*kind, *sends)).collect();
    // The first round warms up.
    for round in 0..=ROUNDS {
        for row in &mut rows {
            let figure = take(&Work { sends: row.sends, ..*work }, of(row.kind), round, scene);
            row.figures.extend((round > 0).then_some(figure));
        }
    }
    for row in &mut rows {
        let process = &of(row.kind).process;
        (row.resident_kib, row.peak_kib) = (process.resident_kib(), process.peak_kib());
    }
    show(work, &rows);
}

impl Row {
    fn new(kind: Kind, sends: Sends) -> Self {
        Self { kind, sends, figures: Vec::new(), resident_kib: 0.0, peak_kib: 0.0 }
    }
}

fn take(work: &Work, gateway: &Gateway, round: u32, scene: &Scene) -> Figure {
    let turn = if work.sends.is_new() {
        Turn::new(round * NEW_TOKENS..(round + 1) * NEW_TOKENS, PATIENCE)
    } else if round > 0 {
        Turn::new(0..u32::MAX, TURN)
    } else if work.sends == Sends::Each {
        // All are seen in the first round.
        Turn::new(0..u32::try_from(scene.tokens.rs256.len()).expect("some"), PATIENCE)
    } else {
        Turn::new(0..u32::MAX, TURN / 2)
    };
    let done = async {
        let connections = load::connect(work, gateway.port, scene).await;
        let (before, start) = (gateway.process.used(), Instant::now());
        let waits = load::run(work, gateway, connections, turn, scene).await;
        (gateway.process.used().since(&before), start.elapsed(), waits)
    };
    let done = async { tokio::time::timeout(PATIENCE * 2, done).await };
    let (cpu, wall, mut waits) = scene.turn(done).expect("it answers");
    waits.sort_unstable();
    let requests = f64::from(u32::try_from(waits.len()).expect("fewer"));
    let part = |hundredths: usize| waits.get(waits.len() * hundredths / 100).map_or(f64::NAN, micros);
    Figure { cpu: micros(&cpu) / requests, rate: requests / wall.as_secs_f64(), p50: part(50), p99: part(99) }
}

fn micros(time: &Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn show(work: &Work, rows: &[Row]) {
    let title = format!("## {} ({ROUNDS} turns)", work.name);
    let columns = ["", "CPU µs per request", "to the floor", "requests/s", "to the floor", "p50 µs", "p99 µs"];
    table::head(&title, &[columns.as_slice(), &["MiB", "peak", "bars"]].concat());
    let Some(floor) = rows.first() else { return };
    for row in rows {
        let own = row.kind == Kind::Portcullis && row.sends == work.sends;
        let bars = work.bars.iter().filter(|_| own).filter_map(|bar| bar.judge(rows, work.sends));
        let also = if row.sends == work.sends { String::new() } else { format!(" ({:?})", row.sends).to_lowercase() };
        let rate = |row: &Row| row.middle(|figure| figure.rate);
        table::row(&[
            format!("{}{also}", row.kind.name()),
            format!("{:.1}", row.middle(|figure| figure.cpu)),
            format!("{:.2}", row.times(floor)),
            format!("{:.0}", rate(row)),
            format!("{:.2}", rate(row) / rate(floor)),
            format!("{:.0}", row.middle(|figure| figure.p50)),
            format!("{:.0}", row.middle(|figure| figure.p99)),
            format!("{:.1}", row.resident_kib / 1024.0),
            format!("{:.1}", row.peak_kib / 1024.0),
            bars.collect::<Vec<_>>().join("; "),
        ]);
    }
}
