//! The upstream's session id in its answer: sealed for the caller, or the answer is refused.

use http::header::HeaderValue;
use http::{Method, StatusCode};

use crate::head::{Fields, as_text};
use crate::headers::from_ascii;
use crate::mcp::Era;
use crate::session::{NotSealed, Place};

use super::super::audit::Audit;
use super::super::authorize::Permit;
use super::super::reject::{Rejection, UpstreamFailure};
use super::super::route::Route;
use super::{SESSION_ID, Session, Sessions, owner};

impl Sessions {
    /// The session id that an answer brings, as its caller may know it; before anything of the answer goes on.
    pub(crate) fn seal_answer(
        &self,
        route: &Route,
        permit: &Permit,
        method: &Method,
        (status, fields): (StatusCode, &Fields),
        audit: &mut Audit,
    ) -> Result<Option<HeaderValue>, Rejection> {
        self.note_end(permit.session(), method, status);
        // MCP 2026-07-28: a modern answer has no session.
        if permit.era() == Era::Modern {
            return Ok(None);
        }
        let announced = fields.once(&SESSION_ID).map_err(|_| NotSealed::Id);
        announced.and_then(|id| id.map(|id| self.seal(route, permit, id)).transpose()).map_err(|why| {
            audit.detail(why);
            Rejection::Upstream(UpstreamFailure::Session)
        })
    }

    /// MCP 2025-11-25, Session Management: after a successful DELETE the id is unknown here. On other replicas the upstream says so itself.
    fn note_end(&self, session: &Session, method: &Method, status: StatusCode) {
        if let Session::Header(own) = session
            && method == Method::DELETE
            && status.is_success()
        {
            self.ended.insert(own.owner.session(&own.id), ());
        }
    }

    /// A client that is told its own id again must not take it for another one.
    fn seal(&self, route: &Route, permit: &Permit, announced: &[u8]) -> Result<HeaderValue, NotSealed> {
        let id = as_text(announced).ok_or(NotSealed::Id)?;
        match permit.session() {
            Session::Header(own) if own.id == id => Ok(own.sealed.clone()),
            Session::Header(_) | Session::Endpoint(_) | Session::None => {
                let owner = owner(route, permit.identity());
                // Some servers name their sessions by caller: what they begin anew is not over.
                self.ended.remove(&owner.session(id));
                self.keys.seal(&owner, Place::Header, id).map(from_ascii)
            }
        }
    }
}
