//! What is printed: tables in Markdown, and the middle of what was measured.

use crate::gateways;
use crate::process::open_files;

/// What was compared, on what.
pub(crate) fn versions() {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("some processor", |rest| rest.trim_start_matches([':', ' ', '\t']));
    let cores = info.lines().filter(|line| line.starts_with("processor")).count();
    let others = gateways::versions().join(", ");
    println!(
        "{cores} cores of {model}, {} open files; Portcullis {}, {others}",
        open_files(),
        env!("CARGO_PKG_VERSION")
    );
}

pub(crate) fn head(title: &str, columns: &[&str]) {
    println!("\n{title}\n\n| {} |\n|{}", columns.join(" | "), "---|".repeat(columns.len()));
}

pub(crate) fn row(cells: &[String]) {
    println!("| {} |", cells.join(" | "));
}

/// The middle one.
pub(crate) fn middle(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}
