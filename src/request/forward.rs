//! Permit + request → the upstream's response. The only place that speaks to upstreams.

use std::sync::Arc;

use http::request::Parts;
use http::{Method, Response, StatusCode};
use tokio_util::sync::CancellationToken;

use crate::revocations::Revocations;
use crate::trust;

use super::audit::Audit;
use super::authorize::Permit;
use super::body::ReplyBody;
use super::budget::Budget;
use super::edit::{Unread, Watch};
use super::outgoing::outgoing;
use super::provenance::Provenance;
use super::reject::{Rejection, UpstreamFailure};
use super::returning::Returning;
use super::route::Route;
use super::session::Sessions;

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
    parts: &Parts,
    around: Surroundings<'_>,
    audit: &mut Audit,
) -> Result<Response<ReplyBody>, Rejection> {
    let upstream = &route.upstream;
    let slot = upstream.slot().ok_or(Rejection::Upstream(UpstreamFailure::Capacity))?;
    let watch = Watch::new(route, &permit, parts, around.sessions);
    let body = permit.take_body();
    let mut request = outgoing(route, &permit, parts, around.provenance, audit, body);
    watch.ask(request.headers_mut());
    audit.upstream_asked();
    let target = upstream.target(&parts.method, permit.session().query(parts.uri.query()));
    let mut response = match upstream.send(target, request).await {
        Ok(response) => response,
        Err((failure, error)) => {
            audit.detail(trust::chain(&error));
            return Err(Rejection::Upstream(failure));
        }
    };
    audit.upstream_answered();
    refuse_unusable(response.status(), audit)?;
    around.sessions.seal_answer(route, &permit, &parts.method, &mut response, audit)?;
    let treatment = watch.treatment(&response, around.budget).map_err(|(failure, why): Unread| {
        audit.detail(why);
        Rejection::Upstream(failure)
    })?;
    let is_listening = parts.method == Method::GET || permit.listens().is_some();
    let stopping = if is_listening { &around.ending.listening } else { &around.ending.answering };
    let Surroundings { budget, revocations, .. } = around;
    let returning = Returning { route, permit, slot, stopping, budget, revocations };
    returning.answer(response, treatment).await
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
