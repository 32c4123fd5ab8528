//! The upstream's answer on its way back: its head, and its body untouched, event by event, or read whole before the head is sent.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::header::{self, HeaderMap, HeaderValue};
use http::{Response, StatusCode};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::headers::{X_ACCEL_BUFFERING, for_client};
use crate::revocations::Revocations;
use crate::token::Identity;

use super::authorize::Permit;
use super::body::ReplyBody;
use super::budget::{Budget, keeping};
use super::edit::{Editor, Eyes, Treatment, brings_events, forget_bytes, says_all_by_its_head, whole};
use super::exchange::AnswerBody;
use super::farewell::Farewell;
use super::inspect::is_coded;
use super::reject::{Rejection, UpstreamFailure};
use super::relay::{Pace, Relay, StreamEnd};
use super::route::Route;

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

impl Returning<'_> {
    /// What the client gets.
    pub(crate) async fn answer(
        self,
        response: Response<AnswerBody>,
        treatment: Treatment,
    ) -> Result<Response<ReplyBody>, Rejection> {
        let (head, body) = response.into_parts();
        let mut headers = for_client(&head.headers);
        let body = match treatment {
            Treatment::Pass => self.streamed(body, None, &mut headers),
            Treatment::Events(editor) => self.streamed(body, Some(editor), &mut headers),
            Treatment::Whole(eyes) => self.whole(body, eyes, head.status, &mut headers).await?,
            Treatment::WithoutBody => without_body(&mut headers),
        };
        let mut reply = Response::new(body);
        *reply.status_mut() = head.status;
        *reply.headers_mut() = headers;
        Ok(reply)
    }

    fn streamed(self, body: AnswerBody, editor: Option<Box<Editor>>, headers: &mut HeaderMap) -> ReplyBody {
        let timeouts = self.route.upstream.timeouts();
        let brings_events = brings_events(headers);
        let total = (!brings_events).then(|| Instant::now() + timeouts.total);
        let pace = Pace { idle: timeouts.idle, total };
        let end = brings_events.then(|| self.stream_end(headers));
        if brings_events {
            headers.entry(X_ACCEL_BUFFERING).or_insert(HeaderValue::from_static("no"));
        }
        if editor.is_some() || end.as_ref().is_some_and(StreamEnd::says_farewell) {
            forget_bytes(headers);
        }
        ReplyBody::upstream(Relay::new(body, pace, end, editor, (self.permit.into_admission(), self.slot)))
    }

    fn stream_end(&self, headers: &HeaderMap) -> StreamEnd {
        let expires = Instant::now() + time_left(self.permit.identity());
        let listens = self.permit.listens().filter(|_| !is_coded(headers));
        let revoked = Arc::clone(self.revocations).revoked(Arc::clone(self.permit.identity()));
        let farewell = listens.map(Farewell::new);
        StreamEnd::new(self.stopping.clone(), expires, revoked, farewell, self.route.series.event_stream())
    }

    async fn whole(
        self,
        body: AnswerBody,
        eyes: Eyes,
        status: StatusCode,
        headers: &mut HeaderMap,
    ) -> Result<ReplyBody, Rejection> {
        match whole(body, &eyes, self.route.upstream.timeouts(), self.budget).await {
            Ok(read) => {
                if read.is_changed {
                    forget_bytes(headers);
                }
                Ok(ReplyBody::fixed(keeping(read.bytes, (self.permit.into_admission(), read.held))))
            }
            Err(Rejection::Upstream(UpstreamFailure::List)) if says_all_by_its_head(status) => {
                Ok(without_body(headers))
            }
            Err(rejection) => Err(rejection),
        }
    }
}

fn without_body(headers: &mut HeaderMap) -> ReplyBody {
    forget_bytes(headers);
    headers.remove(header::CONTENT_TYPE);
    headers.remove(header::CONTENT_ENCODING);
    ReplyBody::fixed("")
}

/// Wall time is for claims only; from here on the stream's clock is monotonic (threat O11).
fn time_left(identity: &Identity) -> Duration {
    let expires = SystemTime::UNIX_EPOCH + Duration::from_secs(identity.expires_at());
    expires.duration_since(SystemTime::now()).unwrap_or_default().min(LONGEST_STREAM)
}
