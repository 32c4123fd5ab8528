//! Whose session a legacy request belongs to; the upstream's ids never leave the gateway, and only their owner's come back.

mod answer;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use http::header::{HeaderName, HeaderValue};
use http::{Method, Uri};
use quick_cache::sync::Cache;

use crate::config::SessionKey;
use crate::head::{Fields, Head, Lines, as_text};
use crate::mcp::Era;
use crate::session::{NO_KEY, NotOpened, NotSealed, Owner, Place, SessionDigest, SessionKeys};
use crate::token::Caller;

use super::audit::Audit;
use super::reject::Rejection;
use super::route::Route;

/// MCP Streamable HTTP until 2025-11-25.
pub(crate) const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
/// Where a broken stream goes on.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// The one parameter of an endpoint that HTTP+SSE clients are told.
const PARAMETER: &str = "sessionId=";

/// Ended sessions that are remembered here. Over it the oldest are left to the upstream, which has ended them too.
const MAX_ENDED: usize = 20_000;

/// Seals, opens, and remembers the sessions that were ended.
#[derive(Debug)]
pub(crate) struct Sessions {
    /// What `keys` was made of.
    made_of: Vec<SessionKey>,
    keys: SessionKeys,
    ended: Arc<Cache<SessionDigest, ()>>,
}

/// The session of one request, its owner found to be the caller.
#[derive(Debug)]
pub(crate) enum Session {
    /// None, or an era without sessions.
    None,
    /// Streamable HTTP.
    Header(Box<Opened>),
    /// HTTP+SSE: the query of the upstream's endpoint.
    Endpoint(String),
}

/// An `Mcp-Session-Id`, on both sides of the gateway.
#[derive(Debug)]
pub(crate) struct Opened {
    owner: Owner,
    /// As the client knows it.
    sealed: HeaderValue,
    /// As the upstream knows it.
    id: String,
    /// The event after which the session's stream goes on.
    last_event: Option<HeaderValue>,
}

/// Seals the endpoints that one stream announces to its caller.
#[derive(Debug, Clone)]
pub(crate) struct Sealer {
    sessions: Arc<Sessions>,
    owner: Owner,
}

impl Sessions {
    /// With the configuration's keys.
    pub(crate) fn new(keys: &[SessionKey]) -> Result<Self, aws_lc_rs::error::Unspecified> {
        if keys.is_empty() {
            tracing::warn!(event = "sessions.key_made", detail = NO_KEY);
        }
        let ended = Arc::new(Cache::new(MAX_ENDED));
        Ok(Self { made_of: keys.to_vec(), keys: SessionKeys::new(keys)?, ended })
    }

    /// The same while the keys are, also the one that was made at start; other keys with the same memory of ended sessions.
    pub(crate) fn like(before: &Arc<Self>, keys: &[SessionKey]) -> Result<Arc<Self>, aws_lc_rs::error::Unspecified> {
        if before.made_of == keys {
            return Ok(Arc::clone(before));
        }
        Ok(Arc::new(Self { ended: Arc::clone(&before.ended), ..Self::new(keys)? }))
    }

    /// MCP 2025-11-25, Session Management: an id that is not this caller's on this route is none: 404, and nothing goes upstream.
    pub(crate) fn claim(
        &self,
        route: &Route,
        caller: &Caller,
        (head, era_of_head): (&Head, Era),
        audit: &mut Audit,
    ) -> Result<Session, Rejection> {
        let owner = || owner(route, caller);
        let claimed = if route.config.upstream.messages.is_some() && head.method == Method::POST {
            // Such a server knows no other era: whatever the head says, the query decides whose session it is.
            self.of_query(&owner(), &head.uri).map(Session::Endpoint)
        } else if era_of_head == Era::Modern {
            Ok(Session::None)
        } else {
            self.of_fields(owner, &head.fields, route.config.upstream.messages.is_none())
        };
        claimed.map_err(|why| {
            audit.detail(why);
            if why == NotOpened::Foreign {
                audit.foreign_session();
            }
            Rejection::Session
        })
    }

    /// Most requests have no session, and need no owner.
    fn of_fields(&self, owner: impl FnOnce() -> Owner, fields: &Fields, resumes: bool) -> Result<Session, NotOpened> {
        let last_event = once(fields, &LAST_EVENT_ID)?.filter(|_| resumes);
        let Some(sealed) = once(fields, &SESSION_ID)? else {
            // A server that finds events by their id alone would hand out another caller's.
            return if last_event.is_none() { Ok(Session::None) } else { Err(NotOpened::Unknown) };
        };
        let text = as_text(sealed).ok_or(NotOpened::Unknown)?;
        let owner = owner();
        let id = self.keys.open(&owner, Place::Header, text)?;
        if self.ended.get(&owner.session(&id)).is_some() {
            return Err(NotOpened::Unknown);
        }
        let value = |bytes| HeaderValue::from_bytes(bytes).map_err(|_| NotOpened::Unknown);
        let (sealed, last_event) = (value(sealed)?, last_event.map(value).transpose()?);
        Ok(Session::Header(Box::new(Opened { owner, sealed, id, last_event })))
    }

    fn of_query(&self, owner: &Owner, target: &Uri) -> Result<String, NotOpened> {
        let sealed = target.query().and_then(|query| query.strip_prefix(PARAMETER)).ok_or(NotOpened::Unknown)?;
        self.keys.open(owner, Place::Endpoint, sealed)
    }

    /// For the endpoints that a stream of this caller on this route announces.
    pub(crate) fn sealer(self: &Arc<Self>, route: &Route, caller: &Caller) -> Sealer {
        Sealer { sessions: Arc::clone(self), owner: owner(route, caller) }
    }
}

impl Sealer {
    /// With keys and an owner of its own.
    #[cfg(test)]
    pub(crate) fn of_nobody() -> Self {
        Self { sessions: Arc::new(Sessions::new(&[]).unwrap()), owner: Owner::of(&[]) }
    }

    /// What stands behind the public path: one parameter, with the whole query of the upstream's endpoint in it.
    pub(crate) fn endpoint(&self, query: Option<&str>) -> Result<String, NotSealed> {
        let sealed = self.sessions.keys.seal(&self.owner, Place::Endpoint, query.unwrap_or_default())?;
        Ok([PARAMETER, &sealed].concat())
    }
}

impl Session {
    /// Puts the upstream's own id into the fields that go upstream; those of the client were removed before.
    pub(crate) fn write(&self, era: Era, lines: &mut Lines) {
        let (Self::Header(opened), Era::Legacy) = (self, era) else { return };
        lines.push_text(&SESSION_ID, &[&opened.id]);
        if let Some(event) = &opened.last_event {
            lines.push(&LAST_EVENT_ID, event);
        }
    }

    /// The query that goes upstream.
    pub(crate) fn query<'a>(&'a self, client: Option<&'a str>) -> Option<&'a str> {
        match self {
            Self::None | Self::Header(_) => client,
            Self::Endpoint(query) => Some(query.as_str()).filter(|query| !query.is_empty()),
        }
    }
}

fn owner(route: &Route, caller: &Caller) -> Owner {
    Owner::new(&route.config.name, &route.config.upstream.url, caller)
}

/// A field that may stand once; standing twice it would say two things.
fn once<'a>(fields: &'a Fields, name: &HeaderName) -> Result<Option<&'a [u8]>, NotOpened> {
    fields.once(name).map_err(|_| NotOpened::Unknown)
}
