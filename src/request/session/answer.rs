//! The upstream's session id in its answer: sealed for the caller, or the answer is refused.

use http::header::HeaderValue;
use http::{Method, Response, StatusCode};

use crate::headers::{from_ascii, remove_spellings};
use crate::mcp::Era;
use crate::session::{NotSealed, Place};

use super::super::audit::Audit;
use super::super::authorize::Permit;
use super::super::reject::{Rejection, UpstreamFailure};
use super::super::route::Route;
use super::{LAST_EVENT_ID, SESSION_ID, Session, Sessions, once, owner};

impl Sessions {
    /// Makes an answer's head fit for the caller: once for each, before anything of it goes on.
    pub(crate) fn seal_answer<B>(
        &self,
        route: &Route,
        permit: &Permit,
        method: &Method,
        answer: &mut Response<B>,
        audit: &mut Audit,
    ) -> Result<(), Rejection> {
        self.note_end(permit.session(), method, answer.status());
        let headers = answer.headers_mut();
        let announced = once(headers, &SESSION_ID).map(Option::<&HeaderValue>::cloned);
        remove_spellings(headers, &SESSION_ID);
        remove_spellings(headers, &LAST_EVENT_ID);
        // MCP 2026-07-28: a modern answer has no session.
        if permit.era() == Era::Modern {
            return Ok(());
        }
        let announced = announced.map_err(|_| NotSealed::Id);
        let sealed = announced.and_then(|id| id.map(|id| self.seal(route, permit, &id)).transpose());
        let sealed = sealed.map_err(|why| {
            audit.detail(why);
            Rejection::Upstream(UpstreamFailure::Session)
        })?;
        headers.extend(sealed.map(|id| (SESSION_ID, id)));
        Ok(())
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
    fn seal(&self, route: &Route, permit: &Permit, announced: &HeaderValue) -> Result<HeaderValue, NotSealed> {
        let id = announced.to_str().map_err(|_| NotSealed::Id)?;
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
