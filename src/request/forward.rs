//! Permit + request → the upstream's response. The only place that speaks to upstreams.

use std::sync::Arc;

use http::{Method, StatusCode};
use tokio_util::sync::CancellationToken;

use crate::head::Head;
use crate::revocations::Revocations;
use crate::trust;

use super::audit::Audit;
use super::authorize::Permit;
use super::budget::Budget;
use super::edit::{Unread, Watch};
use super::outgoing::outgoing;
use super::pool::Answer;
use super::provenance::Provenance;
use super::reject::{Rejection, UpstreamFailure};
use super::reply::Reply;
use super::returning::Returning;
use super::route::Route;
use super::session::Sessions;
use super::upload::Outgoing;

/// What the gateway as a whole adds to one forwarding.
#[derive(Debug)]
pub(crate) struct Surroundings<'a> {
    pub(crate) provenance: &'a Provenance,
    pub(crate) ending: &'a StreamEnds,
    pub(crate) sessions: &'a Arc<Sessions>,
    pub(crate) budget: &'a Budget,
    pub(crate) revocations: &'a Arc<Revocations>,
}

/// When event streams are ended because the gateway stops.
#[derive(Debug, Clone, Default)]
pub(crate) struct StreamEnds {
    /// Streams that only listen (`GET`, `subscriptions/listen`) end as soon as the gateway stops: their clients resume elsewhere.
    pub(crate) listening: CancellationToken,
    /// Streams that answer a request may finish until the grace time is over.
    pub(crate) answering: CancellationToken,
}

/// Sends the request up and brings the answer back, both streamed.
pub(crate) async fn forward(
    route: &Arc<Route>,
    mut permit: Permit,
    head: &Head,
    around: Surroundings<'_>,
    audit: &mut Audit,
) -> Result<Reply, Rejection> {
    let upstream = &route.upstream;
    let slot = upstream.slot().ok_or(Rejection::Upstream(UpstreamFailure::Capacity))?;
    let watch = Watch::new(route, &permit, head, around.sessions);
    let body = permit.take_body();
    let target = upstream.target(&head.method, permit.session().query(head.uri.query()));
    let mut asked = Outgoing::new(head.method.clone(), target);
    outgoing(route, &permit, (head, watch.takes_codings()), (around.provenance, audit), &mut asked.lines);
    audit.upstream_asked();
    let Answer { status, fields, body } = match upstream.send(asked, body).await {
        Ok(answer) => answer,
        Err((failure, error)) => {
            audit.detail(trust::chain(&error));
            return Err(Rejection::Upstream(failure));
        }
    };
    audit.upstream_answered();
    refuse_unusable(status, audit)?;
    let session = around.sessions.seal_answer(route, &permit, &head.method, (status, &fields), audit)?;
    let has_body = !http_body::Body::is_end_stream(&body);
    let treatment = watch.treatment((status, &fields), has_body, around.budget).map_err(|(failure, why): Unread| {
        audit.detail(why);
        Rejection::Upstream(failure)
    })?;
    let is_listening = head.method == Method::GET || permit.listens().is_some();
    let stopping = if is_listening { &around.ending.listening } else { &around.ending.answering };
    let Surroundings { budget, revocations, .. } = around;
    let returning = Returning { route, permit, slot, stopping, budget, revocations };
    returning.answer((status, fields, session), body, treatment).await
}

/// Answers that are about the gateway, not for the client.
fn refuse_unusable(status: StatusCode, audit: &mut Audit) -> Result<(), Rejection> {
    let failure = match status {
        StatusCode::UNAUTHORIZED | StatusCode::PROXY_AUTHENTICATION_REQUIRED => UpstreamFailure::Unauthorized,
        status if status.is_redirection() => UpstreamFailure::Redirect,
        status if status.is_informational() => UpstreamFailure::Protocol,
        _ => return Ok(()),
    };
    audit.detail(format_args!("the upstream answered {status}"));
    Err(Rejection::Upstream(failure))
}
