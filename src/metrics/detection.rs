//! What was suspicious, as it is when somebody asks.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::labels::ReasonLabel;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct DetectionReading {
    /// How often, by the log's word.
    pub(crate) suspicious: Vec<(&'static str, u64)>,
    /// Addresses and clients that are refused at the moment.
    pub(crate) blocked: (usize, usize),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: &'static str,
}

impl DetectionReading {
    pub(super) fn register(&self, to: &mut Registry) {
        let suspicious = Family::<ReasonLabel, Counter>::default();
        for (reason, count) in &self.suspicious {
            suspicious.get_or_create(&ReasonLabel { reason }).inc_by(*count);
        }
        to.register("portcullis_suspicious", "Behaviour that crossed a threshold", suspicious);
        let blocked = Family::<KindLabel, Gauge>::default();
        for (kind, count) in [("address", self.blocked.0), ("client", self.blocked.1)] {
            blocked.get_or_create(&KindLabel { kind }).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        to.register("portcullis_blocked", "What is refused at the moment for being suspicious", blocked);
    }
}
