//! What is changed in an upstream's answer, decided at its head: lists lose the entries that a policy hides, and the endpoint of
//! HTTP+SSE moves to the public path. Everything else passes untouched and unheld.
//!
//! A list never passes unread: an answer that should be read and cannot be is refused.

mod endpoint;
mod events;
mod whole;

use std::sync::Arc;

use http::header;
use http::{Method, StatusCode};

use crate::head::{Fields, Head, as_text};
use crate::mcp::list::{ListKind, Screen};
use crate::token::Identity;

use super::authorize::Permit;
use super::budget::Budget;
use super::inspect::{is_coded, is_json_media_type};
use super::reject::UpstreamFailure;
use super::route::Route;
use super::session::Sessions;

use endpoint::Endpoint;
pub(crate) use events::Editor;
pub(crate) use whole::whole;

/// What of the answer to a request must be read.
#[derive(Debug)]
pub(crate) struct Watch {
    lists: Option<Eyes>,
    endpoint: Option<Endpoint>,
    /// The gateway may add an event of its own.
    listens: bool,
}

/// What becomes of an answer's body.
#[derive(Debug)]
pub(crate) enum Treatment {
    /// It passes untouched.
    Pass,
    /// Event by event.
    Events(Box<Editor>),
    /// Read before the head is sent.
    Whole(Eyes),
    /// It is no part of what the answer says, and cannot be read: it is left out.
    WithoutBody,
}

/// An answer that must be read and cannot be, and why.
pub(crate) type Unread = (UpstreamFailure, &'static str);

impl Watch {
    /// Decides before the request goes upstream.
    pub(crate) fn new(route: &Arc<Route>, permit: &Permit, head: &Head, sessions: &Arc<Sessions>) -> Self {
        let expects_lists = permit.expects_lists(&route.policy) && head.method != Method::DELETE;
        let lists = expects_lists.then(|| Eyes { route: Arc::clone(route), identity: Arc::clone(permit.identity()) });
        let messages = route.upstream.messages().filter(|_| head.method == Method::GET);
        let endpoint = messages.and_then(|messages| {
            let sealer = sessions.sealer(route, permit.identity());
            Endpoint::new(route.upstream.url(), messages, head.uri.path().to_owned(), sealer)
        });
        Self { lists, endpoint, listens: permit.listens().is_some() }
    }

    /// What is to be read, or added to, must come without content coding: nothing is ever inflated.
    pub(crate) fn takes_codings(&self) -> bool {
        self.lists.is_none() && self.endpoint.is_none() && !self.listens
    }

    /// Decides at the answer's head.
    pub(crate) fn treatment(
        self,
        (status, fields): (StatusCode, &Fields),
        has_body: bool,
        budget: &Budget,
    ) -> Result<Treatment, Unread> {
        let is_plain = !is_coded(fields) && status != StatusCode::PARTIAL_CONTENT;
        let media_type = if self.lists.is_some() { only_media_type(fields) } else { media_type(fields) };
        match (self.lists, self.endpoint) {
            (None, None) => Ok(Treatment::Pass),
            _ if !has_body => Ok(Treatment::Pass),
            (lists, endpoint) if is_event_stream(media_type) => {
                let failure = if lists.is_some() { UpstreamFailure::List } else { UpstreamFailure::Protocol };
                let editor = Editor::new(lists, endpoint, budget.clone());
                let events = is_plain.then(|| Treatment::Events(Box::new(editor)));
                events.ok_or((failure, "the upstream encoded an event stream that must be read"))
            }
            (None, Some(_)) => Ok(Treatment::Pass),
            (Some(eyes), _) if is_plain && is_json_media_type(media_type) => Ok(Treatment::Whole(eyes)),
            _ if says_all_by_its_head(status) => Ok(Treatment::WithoutBody),
            _ => Err((UpstreamFailure::List, "an answer that may hold a list is neither plain JSON nor plain events")),
        }
    }
}

/// The eyes of the caller that the answer is for.
#[derive(Debug)]
pub(crate) struct Eyes {
    route: Arc<Route>,
    identity: Arc<Identity>,
}

impl Screen for Eyes {
    fn can_hide(&self, list: ListKind) -> bool {
        self.route.policy.can_hide(list)
    }

    fn shows(&self, list: ListKind, name: &str) -> bool {
        self.route.policy.shows(&self.identity, list, name)
    }
}

/// MCP clients act on the status alone: a refusal of the upstream, or that it took a message (202).
pub(crate) fn says_all_by_its_head(status: StatusCode) -> bool {
    status == StatusCode::ACCEPTED || !status.is_success()
}

/// The answer is an event stream.
pub(crate) fn brings_events(fields: &Fields) -> bool {
    is_event_stream(media_type(fields))
}

fn is_event_stream(media_type: &str) -> bool {
    media_type.split(';').next().is_some_and(|essence| essence.trim().eq_ignore_ascii_case("text/event-stream"))
}

fn media_type(fields: &Fields) -> &str {
    fields.get(&header::CONTENT_TYPE).and_then(as_text).unwrap_or("")
}

/// Two media types could be read in two ways.
fn only_media_type(fields: &Fields) -> &str {
    fields.once(&header::CONTENT_TYPE).ok().flatten().and_then(as_text).unwrap_or("")
}
