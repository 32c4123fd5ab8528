//! The audit stream, the log and the way to the collector, as they are when somebody asks.

use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct AuditReading {
    pub(crate) written: u64,
    pub(crate) lost: u64,
    pub(crate) waiting: usize,
    pub(crate) failing: bool,
    pub(crate) log_lines_lost: usize,
    pub(crate) telemetry_failures: u64,
}

impl AuditReading {
    pub(super) fn register(&self, to: &mut Registry) {
        let failing = ConstGauge::new(i64::from(self.failing));
        to.register("portcullis_audit_records", "Audit records that were written", ConstCounter::new(self.written));
        to.register("portcullis_audit_lost", "Audit records that were lost", ConstCounter::new(self.lost));
        to.register("portcullis_audit_waiting", "Audit records that wait for the sink", ConstGauge::new(self.waiting));
        to.register("portcullis_audit_failing", "1 while the audit stream takes no records", failing);
        let lost = u64::try_from(self.log_lines_lost).unwrap_or(u64::MAX);
        to.register("portcullis_log_lost", "Lines of the log that were lost", ConstCounter::new(lost));
        let failures = ConstCounter::new(self.telemetry_failures);
        to.register("portcullis_telemetry_failures", "Deliveries to the collector that failed", failures);
    }
}
