//! What is not counted but read when somebody asks: keys, caches, buffers, certificates.

use std::sync::atomic::AtomicU64;
use std::time::{Duration, SystemTime};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::{Registry, Unit};

use super::audit::AuditReading;
use super::detection::DetectionReading;

/// The state of the gateway at the moment.
#[derive(Debug)]
pub(crate) struct Readings<'a> {
    /// What `/readyz` says.
    pub(crate) ready: bool,
    pub(crate) issuers: Vec<IssuerReading<'a>>,
    /// What bodies hold of `buffered_bytes`.
    pub(crate) buffered_bytes: usize,
    /// Tokens that need no second look at their signature.
    pub(crate) verified_tokens: usize,
    /// Entries in force.
    pub(crate) revocations: usize,
    pub(crate) audit: AuditReading,
    pub(crate) detection: DetectionReading,
    /// The configuration in force, and attempts to replace it.
    pub(crate) config: ConfigReading,
    /// When the first certificate of the public listener's chain ends, in seconds since 1970; `None` without TLS.
    pub(crate) certificate_expires: Option<i64>,
}

/// The configuration in force, and attempts to replace it.
#[derive(Debug)]
pub(crate) struct ConfigReading {
    pub(crate) since: SystemTime,
    pub(crate) taken: u64,
    pub(crate) refused: u64,
    /// Nothing was refused since the last one was taken.
    pub(crate) successful: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

/// The keys of one issuer.
#[derive(Debug)]
pub(crate) struct IssuerReading<'a> {
    /// Its name in the configuration.
    pub(crate) name: &'a str,
    pub(crate) ready: bool,
    pub(crate) keys: usize,
    /// `None`: none were ever fetched.
    pub(crate) key_age: Option<Duration>,
    pub(crate) fetch_failures: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct IssuerLabel {
    issuer: String,
}

impl Readings<'_> {
    pub(super) fn register(&self, to: &mut Registry) {
        to.register("portcullis_ready", "1 when /readyz says so", ConstGauge::new(i64::from(self.ready)));
        self.register_issuers(to);
        self.config.register(to);
        self.audit.register(to);
        self.detection.register(to);
        let revoked = ConstGauge::new(self.revocations);
        to.register("portcullis_revocations", "Entries of the list of revocations in force", revoked);
        let in_use = ConstGauge::new(self.buffered_bytes);
        to.register_with_unit(
            "portcullis_buffered",
            "What bodies hold while they are read or wait",
            Unit::Bytes,
            in_use,
        );
        let tokens = ConstGauge::new(self.verified_tokens);
        to.register("portcullis_verified_tokens", "Tokens that were verified and are remembered", tokens);
        if let Some(expires) = self.certificate_expires {
            let help = "When the first certificate of the public listener's chain ends, since 1970";
            let name = "portcullis_certificate_expires_timestamp";
            to.register_with_unit(name, help, Unit::Seconds, ConstGauge::new(expires));
        }
    }

    fn register_issuers(&self, to: &mut Registry) {
        let (ready, keys) = (Family::<IssuerLabel, Gauge>::default(), Family::<IssuerLabel, Gauge>::default());
        let ages = Family::<IssuerLabel, Gauge<f64, AtomicU64>>::default();
        let failures = Family::<IssuerLabel, Counter>::default();
        for issuer in &self.issuers {
            let label = IssuerLabel { issuer: issuer.name.to_owned() };
            ready.get_or_create(&label).set(i64::from(issuer.ready));
            keys.get_or_create(&label).set(i64::try_from(issuer.keys).unwrap_or(i64::MAX));
            failures.get_or_create(&label).inc_by(issuer.fetch_failures);
            if let Some(age) = issuer.key_age {
                ages.get_or_create(&label).set(age.as_secs_f64());
            }
        }
        to.register("portcullis_issuer_ready", "1 when tokens of the issuer can be judged", ready);
        to.register("portcullis_issuer_keys", "Keys of the issuer that can be used", keys);
        let help = "Since the issuer last confirmed its keys";
        to.register_with_unit("portcullis_issuer_key_age", help, Unit::Seconds, ages);
        to.register("portcullis_issuer_fetch_failures", "Fetches of the issuer's keys that failed", failures);
    }
}

impl ConfigReading {
    fn register(&self, to: &mut Registry) {
        let reloads = Family::<OutcomeLabel, Counter>::default();
        for (outcome, count) in [("taken", self.taken), ("refused", self.refused)] {
            reloads.get_or_create(&OutcomeLabel { outcome }).inc_by(count);
        }
        to.register("portcullis_config_reloads", "Attempts to replace the configuration", reloads);
        let successful = ConstGauge::new(i64::from(self.successful));
        to.register("portcullis_config_last_reload_successful", "0 when the last attempt was refused", successful);
        let since = self.since.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let (name, help) =
            ("portcullis_config_since_timestamp", "When the configuration in force was taken, since 1970");
        to.register_with_unit(name, help, Unit::Seconds, ConstGauge::new(since.as_secs_f64()));
    }
}
