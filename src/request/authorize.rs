//! What an identity may do on a route: first by its token alone ([`Entitled`]), then by operation ([`Permit`]).

use std::num::NonZeroU32;
use std::sync::Arc;

use crate::mcp::list::ListKind;
use crate::mcp::message::{LISTEN, TASKS};
use crate::mcp::{Content, Era, Message, Operation, RequestId, TargetKind};
use crate::metrics::Decision as Counted;
use crate::policy::{Decision, Policy, Verdict};
use crate::token::Identity;

use super::admit::{Admission, Charge, RateFields};
use super::audit::Audit;
use super::inspect::Asked;
use super::receive::Received;
use super::reject::Rejection;
use super::route::Route;
use super::session::Session;
use super::several::record_each;

/// Proves that the token has every scope that any operation of the route needs.
#[derive(Debug)]
pub(crate) struct Entitled {
    identity: Arc<Identity>,
}

/// Proves that this identity may do this operation on this route, in this session.
#[derive(Debug)]
pub(crate) struct Permit {
    admission: Admission,
    session: Session,
    asked: Asked,
}

/// What the claims alone decide, before anything is charged.
pub(crate) fn entitle(identity: Arc<Identity>, route: &Route) -> Result<Entitled, Rejection> {
    if route.policy.entitles(&identity) {
        return Ok(Entitled { identity });
    }
    Err(Rejection::Scope(Arc::clone(route.policy.scopes())))
}

/// Decides on every message by itself; one refusal refuses them all. `id` becomes that of the refused one; the record names
/// this one, or the first when all may pass.
pub(crate) fn authorize(
    admission: Admission,
    session: Session,
    asked: Asked,
    route: &Route,
    (id, rates, audit): (&mut Option<RequestId>, &mut RateFields, &mut Audit),
) -> Result<Permit, Rejection> {
    let mut charge = Charge::default();
    let mut is_first = true;
    for message in asked.messages() {
        let Some(operation) = message.operation() else {
            charge.add(NonZeroU32::MIN, None);
            continue;
        };
        let decision = route.policy.decide(admission.identity(), operation);
        route.series.decided(&operation.method, counted(&decision.verdict));
        let outcome = refuse(&decision, operation).inspect_err(|_| id.clone_from(&message.id));
        if outcome.is_err() || std::mem::take(&mut is_first) {
            audit.decided(operation, decision.target, route.rule_line(&decision));
        }
        outcome?;
        charge.add(decision.cost, called_tool(operation));
    }
    route.limits.charge_operations(&admission, &charge, rates)?;
    record_each(asked.messages(), &admission, route, audit)?;
    Ok(Permit { admission, session, asked })
}

fn refuse(decision: &Decision, operation: &Operation) -> Result<(), Rejection> {
    match &decision.verdict {
        Verdict::Allowed => Ok(()),
        Verdict::Scopes(scope) => Err(Rejection::Scope(Arc::clone(scope))),
        Verdict::Denied => Err(Rejection::Denied(operation.targets.get(decision.target).map(|target| target.kind))),
        Verdict::Ambiguous => Err(Rejection::AmbiguousUri),
    }
}

fn counted(verdict: &Verdict) -> Counted {
    match verdict {
        Verdict::Allowed => Counted::Allowed,
        Verdict::Scopes(_) => Counted::InsufficientScope,
        Verdict::Denied | Verdict::Ambiguous => Counted::Denied,
    }
}

fn called_tool(operation: &Operation) -> Option<&str> {
    operation.targets.iter().find(|target| target.kind == TargetKind::Tool).map(|target| &*target.name)
}

impl Entitled {
    /// Whose token it is.
    pub(crate) fn identity(&self) -> &Arc<Identity> {
        &self.identity
    }
}

impl Permit {
    /// Who may.
    pub(crate) fn identity(&self) -> &Arc<Identity> {
        self.admission.identity()
    }

    /// The era of the request.
    pub(crate) fn era(&self) -> Era {
        self.asked.era()
    }

    /// The session that the request belongs to.
    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    /// The body for the upstream; once.
    pub(crate) fn take_body(&mut self) -> Received {
        self.asked.take_body()
    }

    /// The answer may hold a list that the route's policy shortens. Streams that only listen may bring any answer again; and where
    /// there is a session, servers know an answer's stream by the request's id alone: a client that uses an id twice at a time gets
    /// the answer to one request on the stream of the other.
    pub(crate) fn expects_lists(&self, policy: &Policy) -> bool {
        let messages = self.asked.messages();
        let is_request = |message: &Message| matches!(message.content, Content::Request(_));
        let in_session = matches!(self.session, Session::Header(_)) && messages.iter().any(is_request);
        if messages.is_empty() || in_session {
            return policy.can_hide_anything();
        }
        let may_bring = |method: &str| match ListKind::of_method(method) {
            Some(kind) => policy.can_hide(kind),
            // What a task has brought is the answer to another request.
            None => method.starts_with(TASKS) && policy.can_hide_anything(),
        };
        messages.iter().filter_map(Message::operation).any(|operation| may_bring(&operation.method))
    }

    /// The id of a `subscriptions/listen` request: its stream ends with an answer to it.
    pub(crate) fn listens(&self) -> Option<&RequestId> {
        let [Message { id, content: Content::Request(operation), .. }] = self.asked.messages() else { return None };
        id.as_ref().filter(|_| self.era() == Era::Modern && &*operation.method == LISTEN)
    }

    /// The admission, for the response body to hold.
    pub(crate) fn into_admission(self) -> Admission {
        self.admission
    }
}
