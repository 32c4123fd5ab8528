//! One configuration → all that serves it, built whole before anything of it is used.

use std::sync::Arc;
use std::time::SystemTime;

use tokio_util::task::TaskTracker;

use crate::audit::AuditLog;
use crate::config::{AuditConfig, Config, ConfigError, DetectionConfig, TelemetryConfig};
use crate::detection::Detection;
use crate::live::Generation;
use crate::metrics::Metrics;
use crate::request::Handler;
use crate::request::authenticate::Authenticator;
use crate::request::budget::Budgets;
use crate::request::forward::StreamEnds;
use crate::request::log::RequestLog;
use crate::request::route::Routes;
use crate::request::session::Sessions;
use crate::request::witnesses::Witnesses;
use crate::revocations::{self, Loaded, Revocations};
use crate::telemetry::Exporter;
use crate::tls::ServerTls;

use super::StartError;

/// What outlives every configuration.
#[derive(Debug, Clone)]
pub(super) struct Lasting {
    pub(super) metrics: Arc<Metrics>,
    pub(super) stream_ends: StreamEnds,
    pub(super) tasks: TaskTracker,
    pub(super) log: Arc<RequestLog>,
    pub(super) revocations: Arc<Revocations>,
}

/// Builds it. What has the same settings as in `before` is taken over with all that it knows; on a failure nothing has changed.
/// Reads files, so it may block.
pub(super) fn build(config: Config, before: Option<&Generation>, lasting: &Lasting) -> Result<Generation, StartError> {
    let old = before.map(|before| before.handler.as_ref());
    let tls = tls(&config, before)?;
    let authenticator = Authenticator::new(&config, old.map(|old| &old.authenticator)).map_err(unusable)?;
    let names = config.issuers.iter().map(|issuer| issuer.name.clone());
    let issuers = names.zip(authenticator.stores().iter().cloned()).collect();
    let served = config.routes.iter().map(|route| (route.name.clone(), route.issuers.clone())).collect();
    let sessions = match old {
        Some(old) => Sessions::like(&old.sessions, &config.session_keys),
        None => Sessions::new(&config.session_keys).map(Arc::new),
    };
    let limits = &config.listen.limits;
    let routes =
        Routes::new(config.routes, config.issuers, &lasting.metrics, old.map(|old| &old.routes)).map_err(unusable)?;
    let sessions = sessions.map_err(unusable)?;
    let (audit, telemetry, detection) = (config.audit, config.telemetry, config.detection);
    // Last, for it leaves a trace: the audit stream is opened.
    let witnesses = witnesses((&audit, &telemetry, &detection), before, lasting)?;
    let handler = Handler {
        sessions,
        budgets: old.map_or_else(|| Arc::new(Budgets::new(limits)), |old| Budgets::like(&old.budgets, limits)),
        authenticator,
        limits: limits.clone(),
        trusted_proxies: config.listen.trusted_proxies.clone(),
        stream_ends: lasting.stream_ends.clone(),
        routes,
        unrouted: lasting.metrics.route(None),
        metrics: Arc::clone(&lasting.metrics),
        witnesses: Arc::new(witnesses),
        revocations: Arc::clone(&lasting.revocations),
        tasks: lasting.tasks.clone(),
    };
    Ok(Generation {
        number: before.map_or(1, |before| before.number + 1),
        since: SystemTime::now(),
        digest: config.digest,
        revocations: config.revocations,
        listen: config.listen,
        admin: config.admin,
        tls,
        handler: Arc::new(handler),
        issuers,
        routes: served,
        log: config.log,
        watching: (audit, telemetry, detection),
    })
}

/// A certificate that is dead already does not replace one that lives (threat O5).
fn tls(config: &Config, before: Option<&Generation>) -> Result<Option<Arc<ServerTls>>, StartError> {
    let Some(files) = &config.listen.tls else { return Ok(None) };
    let old = before.and_then(|before| before.tls.as_ref());
    let tls = ServerTls::like(old, files).map_err(unusable)?;
    if before.is_some() && old.is_none_or(|old| !Arc::ptr_eq(old, &tls)) {
        tls.refuse_dead(SystemTime::now()).map_err(unusable)?;
    }
    Ok(Some(tls))
}

fn witnesses(
    (audit, telemetry, detection): (&Option<AuditConfig>, &Option<TelemetryConfig>, &DetectionConfig),
    before: Option<&Generation>,
    lasting: &Lasting,
) -> Result<Witnesses, StartError> {
    let kept = before.map(|before| (&before.watching, &before.handler.witnesses));
    let exporter = match kept.filter(|((_, old, _), _)| old == telemetry) {
        Some((_, kept)) => kept.exporter.clone(),
        None => telemetry.as_ref().map(Exporter::start).transpose().map_err(unusable)?.map(Arc::new),
    };
    let detection = match kept.filter(|((.., old), _)| old == detection) {
        Some((_, kept)) => Arc::clone(&kept.detection),
        None => Arc::new(Detection::new(detection)),
    };
    let old = kept.and_then(|((audit, ..), kept)| Some((audit.as_ref()?, kept.audit.as_ref()?)));
    let audit = audit.as_ref().map(|audit| AuditLog::like(old, audit).map(Arc::new)).transpose().map_err(unusable)?;
    Ok(Witnesses { log: Arc::clone(&lasting.log), audit, exporter, detection })
}

fn unusable(error: impl std::fmt::Display) -> StartError {
    StartError::Unusable(error.to_string())
}

/// The list of what is revoked, as the configuration names it.
pub(super) fn load(config: &Config) -> Result<Loaded, StartError> {
    let text = |mistakes: Vec<ConfigError>| mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    revocations::load(config.revocations.as_deref(), &config.issuers).map_err(|mistakes| unusable(text(mistakes)))
}
