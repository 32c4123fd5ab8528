//! A JSON answer that may hold lists: read whole before its head is sent, so that what cannot be read is refused properly.

use bytes::{Bytes, BytesMut};
use http_body::{Body as _, Frame};
use http_body_util::BodyExt as _;
use tokio::time::Instant;

use crate::config::Timeouts;
use crate::mcp::list::shorten;

use super::super::budget::{Budget, Held};
use super::super::exchange::AnswerBody;
use super::super::reject::{Rejection, UpstreamFailure};
use super::Eyes;

/// Longest answer that is held: some ten thousand tools with their schemas.
const MAX_LIST_BYTES: usize = 16 << 20;

/// What the client gets for a body.
#[derive(Debug)]
pub(crate) struct Whole {
    pub(crate) bytes: Bytes,
    pub(crate) is_changed: bool,
    /// Its part of the budget, until it is sent.
    pub(crate) held: Held,
}

/// Reads the body to its end, as patiently as a body that passes, and leaves out what is hidden from the caller.
pub(crate) async fn whole(
    body: AnswerBody,
    eyes: &Eyes,
    timeouts: &Timeouts,
    budget: &Budget,
) -> Result<Whole, Rejection> {
    let (bytes, held) = collect(body, timeouts, budget).await?;
    match shorten(&bytes, eyes) {
        Ok(None) => Ok(Whole { bytes, is_changed: false, held }),
        Ok(Some(shortened)) => Ok(Whole { bytes: shortened.into(), is_changed: true, held }),
        Err(_) => Err(Rejection::Upstream(UpstreamFailure::List)),
    }
}

async fn collect(mut body: AnswerBody, timeouts: &Timeouts, budget: &Budget) -> Result<(Bytes, Held), Rejection> {
    let failed = |failure| move |_| Rejection::Upstream(failure);
    let too_long = |length: usize| (length > MAX_LIST_BYTES).then_some(Rejection::Upstream(UpstreamFailure::List));
    if let Some(rejection) = usize::try_from(body.size_hint().lower()).map_or(too_long(usize::MAX), too_long) {
        return Err(rejection);
    }
    let total = Instant::now() + timeouts.total;
    let (mut bytes, mut held) = (BytesMut::new(), Held::default());
    loop {
        let at = total.min(Instant::now() + timeouts.idle);
        let next = tokio::time::timeout_at(at, body.frame()).await;
        let Some(frame) = next.map_err(|_| Rejection::Upstream(UpstreamFailure::ResponseTimeout))? else {
            return Ok((bytes.freeze(), held));
        };
        // RFC 9110 §6.5.1: trailers may be dropped.
        let piece = frame.map(Frame::into_data).map_err(failed(UpstreamFailure::Protocol))?.unwrap_or_default();
        if let Some(rejection) = too_long(bytes.len() + piece.len()) {
            return Err(rejection);
        }
        budget.hold(piece.len(), &mut held)?;
        bytes.extend_from_slice(&piece);
    }
}
