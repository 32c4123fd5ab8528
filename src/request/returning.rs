//! The upstream's answer on its way back: its head, and its body untouched, event by event, or read whole before the head is sent.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::StatusCode;
use http::header::{self, HeaderValue};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::head::Fields;
use crate::headers::{Bytes, X_ACCEL_BUFFERING, for_client};
use crate::revocations::Revocations;
use crate::token::Identity;

use super::authorize::Permit;
use super::body::ReplyBody;
use super::budget::{Budget, keeping};
use super::edit::{Editor, Eyes, Treatment, brings_events, says_all_by_its_head, whole};
use super::exchange::AnswerBody;
use super::farewell::Farewell;
use super::inspect::is_coded;
use super::reject::{Rejection, UpstreamFailure};
use super::relay::{Pace, Relay, StreamEnd};
use super::reply::Reply;
use super::route::Route;
use super::session::SESSION_ID;

/// No token lives longer than this for a stream: far from the end of every clock.
const LONGEST_STREAM: Duration = Duration::from_hours(24 * 365);

/// What the way back needs of the way there.
#[derive(Debug)]
pub(crate) struct Returning<'a> {
    pub(crate) route: &'a Route,
    pub(crate) permit: Permit,
    /// The request's place in the upstream's capacity.
    pub(crate) slot: OwnedSemaphorePermit,
    /// Ends an event stream when the gateway stops.
    pub(crate) stopping: &'a CancellationToken,
    pub(crate) budget: &'a Budget,
    /// Ends an event stream of the revoked.
    pub(crate) revocations: &'a Arc<Revocations>,
}

/// The head of an answer: its status, what it says, and the session that its caller is told of.
type AnswerHead = (StatusCode, Fields, Option<HeaderValue>);

impl Returning<'_> {
    /// What the client gets.
    pub(crate) async fn answer(
        self,
        (status, fields, session): AnswerHead,
        body: AnswerBody,
        treatment: Treatment,
    ) -> Result<Reply, Rejection> {
        let (bytes, body) = match treatment {
            Treatment::Pass => self.streamed(body, None, &fields),
            Treatment::Events(editor) => self.streamed(body, Some(editor), &fields),
            // Boxed: what few answers need must not make room for itself in every request.
            Treatment::Whole(eyes) => Box::pin(self.whole(body, eyes, status)).await?,
            Treatment::WithoutBody => without_body(),
        };
        let mut reply = Reply::new(status, body);
        for_client(&fields, bytes, &mut reply.lines);
        reply.has_date = fields.has(&header::DATE);
        if reply.body.is_event_stream() && !fields.has(&X_ACCEL_BUFFERING) {
            reply.lines.push_text(&X_ACCEL_BUFFERING, &["no"]);
        }
        if let Some(session) = session {
            reply.lines.push(&SESSION_ID, &session);
        }
        Ok(reply)
    }

    fn streamed(self, body: AnswerBody, editor: Option<Box<Editor>>, fields: &Fields) -> (Bytes, ReplyBody) {
        let timeouts = self.route.upstream.timeouts();
        let brings_events = brings_events(fields);
        let total = (!brings_events).then(|| Instant::now() + timeouts.total);
        let pace = Pace { idle: timeouts.idle, total };
        let end = brings_events.then(|| self.stream_end(fields));
        let is_changed = editor.is_some() || end.as_ref().is_some_and(StreamEnd::says_farewell);
        let relay = Relay::new(body, pace, end, editor, (self.permit.into_admission(), self.slot));
        (if is_changed { Bytes::Changed } else { Bytes::Same }, ReplyBody::upstream(relay))
    }

    fn stream_end(&self, fields: &Fields) -> StreamEnd {
        let expires = Instant::now() + time_left(self.permit.identity());
        let listens = self.permit.listens().filter(|_| !is_coded(fields));
        let revoked = Arc::clone(self.revocations).revoked(Arc::clone(self.permit.identity()));
        let farewell = listens.map(Farewell::new);
        StreamEnd::new(self.stopping.clone(), expires, revoked, farewell, self.route.series.event_stream())
    }

    async fn whole(self, body: AnswerBody, eyes: Eyes, status: StatusCode) -> Result<(Bytes, ReplyBody), Rejection> {
        match whole(body, &eyes, self.route.upstream.timeouts(), self.budget).await {
            Ok(read) => {
                let bytes = if read.is_changed { Bytes::Changed } else { Bytes::Same };
                let held = (self.permit.into_admission(), read.held);
                Ok((bytes, ReplyBody::fixed(keeping(read.bytes, held))))
            }
            Err(Rejection::Upstream(UpstreamFailure::List)) if says_all_by_its_head(status) => Ok(without_body()),
            Err(rejection) => Err(rejection),
        }
    }
}

fn without_body() -> (Bytes, ReplyBody) {
    (Bytes::None, ReplyBody::fixed(""))
}

/// Wall time is for claims only; from here on the stream's clock is monotonic (threat O11).
fn time_left(identity: &Identity) -> Duration {
    let expires = SystemTime::UNIX_EPOCH + Duration::from_secs(identity.expires_at());
    expires.duration_since(SystemTime::now()).unwrap_or_default().min(LONGEST_STREAM)
}
