//! The bars that Portcullis is held to, and whether it holds them.

use crate::gateways::Kind;
use crate::table::middle;
use crate::turns::Row;
use crate::work::Sends;

#[derive(Debug, Clone, Copy)]
pub(crate) enum Bar {
    /// Processor time, as so many times the floor's.
    Floor(f64),
    /// As so many times this one's.
    Of(Kind, f64),
    /// What Portcullis needs to refuse a request without a token, and what verifying costs the floor.
    MissingAndOneVerification,
    /// Memory at the end.
    ResidentMib(f64),
}

impl Bar {
    /// In words, with the figure. Nothing when what it is compared to does not take part.
    pub(crate) fn judge(self, rows: &[Row], sends: Sends) -> Option<String> {
        let find = |wanted: fn(Kind) -> bool, sends| rows.iter().find(|row| wanted(row.kind) && row.sends == sends);
        let floor = |sends| find(|kind| matches!(kind, Kind::Floor(_)), sends);
        let portcullis = |sends| find(|kind| kind == Kind::Portcullis, sends);
        let own = portcullis(sends)?;
        match self {
            Self::Floor(times) => Some(verdict("× floor", own.times(floor(sends)?), times)),
            Self::Of(kind, times) => {
                let other = rows.iter().find(|row| row.kind == kind && row.sends == sends)?;
                let name = kind.name().split_once(',').map_or(kind.name(), |(name, _)| name);
                Some(verdict(&format!("× {name}"), own.times(other), times))
            }
            Self::ResidentMib(most) => Some(verdict("MiB", own.resident_kib / 1024.0, most)),
            Self::MissingAndOneVerification => {
                let missing = portcullis(Sends::Missing)?.figures.iter();
                let checked = floor(sends)?.figures.iter().zip(&floor(Sends::Missing)?.figures);
                let allowed =
                    missing.zip(checked).map(|(missing, (with, without))| missing.cpu + with.cpu - without.cpu);
                let parts = own.figures.iter().zip(allowed).map(|(own, allowed)| own.cpu / allowed);
                Some(verdict("× (missing + one verification)", middle(parts), 1.0))
            }
        }
    }
}

pub(crate) fn verdict(what: &str, figure: f64, most: f64) -> String {
    let word = if figure <= most { "held" } else { "**missed**" };
    format!("≤ {most} {what}: {figure:.2} {word}")
}
