//! What is told of one request once it has ended: the log, the audit stream, traces, metrics and detection all get the same.

use std::borrow::Cow;
use std::net::IpAddr;
use std::time::{Duration, Instant, SystemTime};

use http::StatusCode;

use crate::mcp::Era;
use crate::network::PeerAddress;
use crate::token::Identity;
use crate::trace::Trace;

/// See the module. Texts of clients are at most 256 bytes long, as they came; never a token, a body or a query.
#[derive(Debug)]
pub(crate) struct Record<'a> {
    /// Wall time of its beginning.
    pub(crate) began: SystemTime,
    /// `served`, `refused` or `broken_off`.
    pub(crate) event: &'static str,
    /// Why it was refused or broken off: a fixed word (docs/errors.md).
    pub(crate) reason: Option<&'static str>,
    /// What the operator should know beyond the reason.
    pub(crate) detail: Option<&'a str>,
    pub(crate) request_id: &'a str,
    pub(crate) trace: &'a Trace,
    /// The other end of the connection.
    pub(crate) peer: &'a PeerAddress,
    /// The client's address as far as proxies are believed; `None` where no route was found.
    pub(crate) client_address: Option<IpAddr>,
    pub(crate) route: Option<&'a str>,
    pub(crate) http_method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) identity: Option<&'a Identity>,
    pub(crate) era: Option<Era>,
    /// The JSON-RPC method that was judged; of several, the one that decided or the first.
    pub(crate) mcp_method: Option<&'a str>,
    /// The tool, prompt or resource that it names; of several, the one that decided or the first.
    pub(crate) mcp_name: Option<&'a str>,
    /// The rule that decided, by its line in the configuration.
    pub(crate) rule: Option<usize>,
    /// All scopes that a step-up challenge asked for, space-separated.
    pub(crate) scopes_asked: Option<&'a str>,
    /// A good token of one caller, and another one's session.
    pub(crate) is_foreign_session: bool,
    /// Outside the hours in which the route is expected to be used.
    pub(crate) is_off_hours: bool,
    /// `None`: the client left before the answer began.
    pub(crate) status: Option<StatusCode>,
    pub(crate) is_event_stream: bool,
    /// Bytes of the request body that were read and judged.
    pub(crate) received_bytes: u64,
    /// Bytes of the response body that went out.
    pub(crate) sent_bytes: u64,
    /// Until it went upstream.
    pub(crate) gateway_time: Option<Duration>,
    /// From there to the head of the upstream's answer.
    pub(crate) upstream_time: Option<Duration>,
    /// All of it.
    pub(crate) time: Duration,
    /// When it ended, for whatever counts by time.
    pub(crate) ended: Instant,
}

impl Record<'_> {
    /// The address that counts are kept by.
    pub(crate) fn address(&self) -> IpAddr {
        self.client_address.unwrap_or(self.peer.socket.ip())
    }

    /// The client's address as far as proxies are believed, as it is written.
    pub(crate) fn client_address_text(&self) -> Option<Cow<'_, str>> {
        let address = self.client_address?;
        let is_peer = address == self.peer.socket.ip();
        Some(if is_peer { Cow::Borrowed(&self.peer.ip_text) } else { Cow::Owned(address.to_string()) })
    }
}
