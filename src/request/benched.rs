//! What a request costs beside forwarding, for `instructions/` to count: its record, its limits. The calls are those that the
//! straight line of [`super::Handler`] makes.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};

use http::StatusCode;
use http_body::Body as _;

use crate::audit::AuditLog;
use crate::config::{Config, Limits};
use crate::detection::Detection;
use crate::head::Head;
use crate::mcp::{Era, Operation};
use crate::metrics::{Decision, Metrics, RouteSeries};
use crate::token::{BearerError, Identity};

use super::admit::{Charge, RateFields};
use super::audit::Audit;
use super::authorize::entitle;
use super::body::ReplyBody;
use super::budget::{Budgets, Held};
use super::log::RequestLog;
use super::provenance::Peer;
use super::reject::Rejection;
use super::reply::Reply;
use super::route::{Route, Routes};
use super::witnesses::Witnesses;

/// As much as a body takes at once.
const BODY_BYTES: usize = 300;

/// One route, and all who are told of its requests.
#[derive(Debug)]
pub struct Beside {
    peer: Peer,
    route: Arc<Route>,
    unrouted: Arc<RouteSeries>,
    witnesses: Arc<Witnesses>,
    budgets: Arc<Budgets>,
}

impl Beside {
    /// As the configuration says; `None`: it has no route, or its audit stream cannot be opened.
    pub fn new(config: Config) -> Option<Self> {
        let metrics = Metrics::new();
        let limits: Limits = config.listen.limits.clone();
        let witnesses = Witnesses {
            log: Arc::new(RequestLog::new(config.log)),
            audit: config.audit.as_ref().map(AuditLog::open).transpose().ok()?.map(Arc::new),
            exporter: None,
            detection: Arc::new(Detection::new(&config.detection)),
        };
        let routes = Routes::new(config.routes, config.issuers, &metrics, None).ok()?;
        let address = SocketAddr::from(([192, 0, 2, 7], 40_000));
        Some(Self {
            peer: Peer { address: Arc::new(address.into()), secure: true, server_name: None },
            route: routes.all().first().map(Arc::clone)?,
            unrouted: metrics.route(None),
            witnesses: Arc::new(witnesses),
            budgets: Arc::new(Budgets::new(&limits)),
        })
    }

    /// Tells of a request that was served.
    pub fn serve(&self, request: &Head, identity: &Arc<Identity>, operation: &Operation) {
        let mut audit = self.begin(request);
        audit.identity(identity);
        // A refusal would be told too, and take as much again: the counts would show it.
        self.witnesses.hear_caller(identity, audit.started()).unwrap_or_default();
        audit.asked(Era::Modern, BODY_BYTES as u64);
        self.route.series.decided(&operation.method, Decision::Allowed);
        audit.decided(operation, 0, Some(1));
        audit.upstream_asked();
        audit.upstream_answered();
        read(audit.finish(Reply::new(StatusCode::OK, ReplyBody::fixed(&[b' '; BODY_BYTES][..]))));
    }

    /// Tells of one without a token. Its answer is not made.
    pub fn refuse(&self, request: &Head) {
        let mut audit = self.begin(request);
        audit.refused(Rejection::Bearer(BearerError::Missing));
        read(audit.finish(Reply::new(StatusCode::OK, ReplyBody::fixed(&[b' '; BODY_BYTES][..]))));
    }

    /// Admits a caller, and lets it go again: true when it is within its limits.
    pub fn admit(&self, identity: &Arc<Identity>, operation: &Operation) -> bool {
        let mut rates = RateFields::default();
        let Ok(entitled) = entitle(Arc::clone(identity), &self.route) else { return false };
        let Ok(admission) = self.route.limits.admit(entitled, &mut rates) else { return false };
        let mut held = Held::default();
        let has_room = self.budgets.of(identity).hold(BODY_BYTES, &mut held).is_ok();
        let decision = self.route.policy.decide(identity, operation);
        let mut charge = Charge::default();
        charge.add(decision.cost, operation.targets.first().map(|target| &*target.name));
        has_room && self.route.limits.charge_operations(&admission, &charge, &mut rates).is_ok()
    }

    fn begin(&self, request: &Head) -> Audit {
        let mut audit = Audit::begin(&self.peer, request, &self.unrouted, &self.witnesses);
        let client = self.peer.address.canonical;
        audit.route(&self.route, client);
        self.witnesses.hear_address(client, audit.started()).unwrap_or_default();
        audit
    }
}

/// To its end.
fn read(reply: Reply) {
    let (mut body, mut context) = (reply.body, Context::from_waker(Waker::noop()));
    while !body.is_end_stream() && Pin::new(&mut body).poll_frame(&mut context).is_ready() {}
}
