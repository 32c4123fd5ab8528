//! One request: route → authenticate → admit → inspect → authorize → forward → audit, as one straight line.

mod admit;
mod audit;
pub(crate) mod authenticate;
mod authorize;
#[cfg(feature = "bench-internals")]
pub(crate) mod benched;
pub(crate) mod body;
pub(crate) mod budget;
mod connect;
mod cors;
pub(crate) mod counted;
pub(crate) mod drain;
mod edit;
mod exchange;
mod failures;
mod farewell;
pub(crate) mod forward;
mod gcra;
pub(crate) mod incoming;
mod inspect;
pub(crate) mod log;
mod lookup;
mod outgoing;
mod pool;
pub(crate) mod provenance;
mod receive;
pub(crate) mod reject;
mod relay;
pub(crate) mod reply;
mod returning;
pub(crate) mod route;
pub(crate) mod session;
mod several;
mod upload;
mod upstream;
pub(crate) mod verified;
pub(crate) mod witnesses;

pub(crate) use verified::MAX_TOKENS;

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;

use futures_util::FutureExt as _;
use http::header::EXPECT;
use ipnet::IpNet;
use tokio_util::task::TaskTracker;

use crate::config::Limits;
use crate::head::{Fault, Head};
use crate::headers::{X_REQUEST_ID, is_loop};
use crate::mcp::{RequestId, mirror};
use crate::metrics::{Metrics, RouteSeries};
use crate::names::TenantId;
use crate::revocations::Revocations;
use crate::token::{Identity, TokenError};

use admit::{Admission, RateFields};
use audit::Audit;
use authenticate::Authenticator;
use budget::Budgets;
use forward::{StreamEnds, Surroundings};
use incoming::Incoming;
use inspect::Reading;
use provenance::{Peer, Provenance, provenance};
use reject::{Asker, Rejection};
use reply::Reply;
use route::{Found, Route, Routes};
use session::{Session, Sessions};
use witnesses::Witnesses;

/// Answers requests. One per gateway, shared by all connections.
#[derive(Debug)]
pub(crate) struct Handler {
    pub(crate) routes: Routes,
    pub(crate) authenticator: Authenticator,
    pub(crate) limits: Limits,
    pub(crate) trusted_proxies: Vec<IpNet>,
    pub(crate) stream_ends: StreamEnds,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) budgets: Arc<Budgets>,
    pub(crate) metrics: Arc<Metrics>,
    /// Of what is addressed to no route.
    pub(crate) unrouted: Arc<RouteSeries>,
    pub(crate) witnesses: Arc<Witnesses>,
    pub(crate) revocations: Arc<Revocations>,
    pub(crate) tasks: TaskTracker,
}

/// What has been found out about a request before anyone asks who it is from.
#[derive(Debug)]
struct Context {
    route: Arc<Route>,
    tenant: Option<TenantId>,
    provenance: Provenance,
    rates: RateFields,
    /// The body was looked at: refusals speak JSON-RPC from here on, with the id that was read.
    inspected: bool,
    id: Option<RequestId>,
}

/// Threat O8: a bug costs one request, not the connection of others.
async fn contained<T>(work: impl Future<Output = T>) -> Option<T> {
    AssertUnwindSafe(work).catch_unwind().await.ok()
}

impl Handler {
    /// Answers one request. Never fails: a rejection is a response too.
    pub(crate) async fn handle(&self, peer: &Peer, head: &Head, body: Incoming<'_>) -> Reply {
        let mut audit = Audit::begin(peer, head, &self.unrouted, &self.witnesses);
        // Pinned where it is made: it is large.
        let answered = contained(pin!(self.answer(peer, head, body, &mut audit))).await;
        let mut reply = answered.unwrap_or_else(|| refuse(Rejection::Internal, None, &mut audit));
        reply.lines.push_text(&X_REQUEST_ID, &[audit.request_id()]);
        audit.finish(reply)
    }

    /// Answers a head that was refused before it became a request.
    pub(crate) fn fault(&self, peer: &Peer, head: &Head, fault: Fault) -> Reply {
        let mut audit = Audit::begin(peer, head, &self.unrouted, &self.witnesses);
        let mut reply = refuse(Rejection::Http(fault), None, &mut audit);
        reply.lines.push_text(&X_REQUEST_ID, &[audit.request_id()]);
        audit.finish(reply)
    }

    async fn answer(&self, peer: &Peer, head: &Head, mut body: Incoming<'_>, audit: &mut Audit) -> Reply {
        let reply = match self.routes.find(peer, head) {
            Ok(Found::Document(document)) => document,
            Ok(Found::Route(route, tenant)) => self.on_route(route, tenant, peer, (head, &mut body), audit).await,
            Err(rejection) => refuse(rejection, None, audit),
        };
        self.drain(head, body);
        reply
    }

    async fn on_route(
        &self,
        route: Arc<Route>,
        tenant: Option<TenantId>,
        peer: &Peer,
        (head, body): (&Head, &mut Incoming<'_>),
        audit: &mut Audit,
    ) -> Reply {
        let provenance = provenance(peer, &head.fields, &self.trusted_proxies);
        audit.route(&route, provenance.client);
        let rates = RateFields::default();
        let mut context = Context { route, tenant, provenance, rates, inspected: false, id: None };
        let origin = cors::checked_origin(&head.fields, &context.route.config.origins);
        let mut reply = match &origin {
            Err(rejection) => refuse(rejection.clone(), Some(&context), audit),
            Ok(Some(_)) if cors::is_preflight(head) => cors::preflight(&head.fields),
            Ok(_) => match self.pass(&mut context, head, body, audit).await {
                Ok(reply) => reply,
                Err(rejection) => refuse(rejection, Some(&context), audit),
            },
        };
        cors::expose(origin.ok().flatten(), !context.route.config.origins.is_empty(), &mut reply.lines);
        context.rates.write(&mut reply.lines);
        reply
    }

    /// The straight line: each step takes the proof that the step before made.
    async fn pass(
        &self,
        context: &mut Context,
        head: &Head,
        body: &mut Incoming<'_>,
        audit: &mut Audit,
    ) -> Result<Reply, Rejection> {
        let route = Arc::clone(&context.route);
        self.witnesses.hear_address(context.provenance.client, audit.started())?;
        let identity = self.authenticate(context, head).await?;
        audit.identity(&identity);
        self.witnesses.hear_caller(&identity, audit.started())?;
        let era = mirror::era_of_head(&head.fields)?;
        reject::allowed_on_route(&head.method, era)?;
        let entitled = authorize::entitle(identity, &route)?;
        let admission = route.limits.admit(entitled, &mut context.rates)?;
        let session = self.sessions.claim(&route, admission.identity(), (head, era), audit)?;
        context.inspected = true;
        // Boxed: every connection and stream keeps room for this future, idle or not, and refusals before need none of it.
        Box::pin(self.pass_admitted(&route, (admission, session), context, (head, body), audit)).await
    }

    async fn pass_admitted(
        &self,
        route: &Arc<Route>,
        (admission, session): (Admission, Session),
        context: &mut Context,
        (head, body): (&Head, &mut Incoming<'_>),
        audit: &mut Audit,
    ) -> Result<Reply, Rejection> {
        let budget = self.budgets.of(admission.identity());
        let reading = Reading { limits: &self.limits, budget: &budget, batches: route.config.batches };
        let asked = inspect::inspect(head, body, reading, &mut context.id).await?;
        self.still_stands(admission.identity())?;
        audit.asked(asked.era(), asked.bytes());
        let telling = (&mut context.id, &mut context.rates, &mut *audit);
        let permit = authorize::authorize(admission, session, asked, route, telling)?;
        if is_loop(&head.fields) {
            return Err(Rejection::Loop);
        }
        let around = Surroundings {
            provenance: &context.provenance,
            ending: &self.stream_ends,
            sessions: &self.sessions,
            budget: &budget,
            revocations: &self.revocations,
        };
        forward::forward(route, permit, head, around, audit).await
    }

    async fn authenticate(&self, context: &Context, head: &Head) -> Result<Arc<Identity>, Rejection> {
        let (index, client) = (context.route.index, context.provenance.client);
        let tenant = context.tenant.as_ref();
        let identity = self.authenticator.authenticate(index, tenant, client, &head.fields, &head.uri).await?;
        // After the cache of verified tokens, so that a new list is in force at once.
        self.check_revoked(&identity)?;
        Ok(identity)
    }

    /// Within the bounds of a slow body there is an hour between its first byte and its last: nobody works on with a token that has
    /// ended since.
    fn still_stands(&self, identity: &Identity) -> Result<(), TokenError> {
        authenticate::check_time(identity)?;
        self.check_revoked(identity)
    }

    fn check_revoked(&self, identity: &Identity) -> Result<(), TokenError> {
        if self.revocations.revokes(identity) { Err(TokenError::Revoked) } else { Ok(()) }
    }

    /// Reads what is left of a refused body, within bounds, beside the answer: dropped unread it would reset the stream. A client that
    /// waits for `100 Continue` is not made to send. In HTTP/1 the connection does this itself.
    fn drain(&self, head: &Head, body: Incoming<'_>) {
        if let Incoming::Http2(body) = body
            && !http_body::Body::is_end_stream(&body)
            && !head.fields.has(&EXPECT)
        {
            self.tasks.spawn(drain::drain(body));
        }
    }
}

fn refuse(rejection: Rejection, context: Option<&Context>, audit: &mut Audit) -> Reply {
    let asker = Asker {
        request_id: audit.request_id(),
        challenges: context.map(|context| &context.route.challenges),
        tenant: context.and_then(|context| context.tenant.as_ref()),
        inspected: context.is_some_and(|context| context.inspected),
        id: context.and_then(|context| context.id.as_ref()),
    };
    let reply = rejection.reply(&asker);
    audit.refused(rejection);
    reply
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn o8_a_bug_becomes_a_refusal_of_this_one_request() {
        let bug = Box::pin(async { assert!(std::hint::black_box(false), "a bug") });
        assert!(contained(bug).await.is_none());
        assert_eq!(contained(std::future::ready(1)).await, Some(1));
        let asker = Asker { request_id: "r", challenges: None, tenant: None, inspected: false, id: None };
        let response = Rejection::Internal.reply(&asker);
        assert_eq!((response.status.as_u16(), Rejection::Internal.reason()), (500, "panic"));
        // Or there is nothing to catch.
        assert!(!include_str!("../../Cargo.toml").contains("panic = \"abort\""));
    }
}
