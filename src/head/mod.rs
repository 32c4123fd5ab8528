//! A request's head once it was judged: nothing in it can be read in two ways. Pure.

mod fields;
pub mod judge;
mod lines;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Uri, Version};

pub use fields::{Fields, Repeated, as_text};
pub use lines::Lines;

/// See the module.
#[derive(Debug)]
pub struct Head {
    /// As it came; which of them are allowed is the route's business.
    pub method: Method,
    /// The target: path and query, and in HTTP/2 and the absolute form scheme and authority.
    pub uri: Uri,
    /// HTTP/1.0, HTTP/1.1 or HTTP/2.
    pub version: Version,
    /// All header fields.
    pub fields: Fields,
}

impl Head {
    /// Of a request that came decoded, and its body.
    pub(crate) fn decoded<B>(request: Request<B>) -> (Self, B) {
        let (parts, body) = request.into_parts();
        let fields = Fields::from(&parts.headers);
        (Self { method: parts.method, uri: parts.uri, version: parts.version, fields }, body)
    }

    /// Stands for a head that could not be read: nothing of it is repeated anywhere.
    pub(crate) fn unreadable() -> Self {
        let fields = Fields::from(&HeaderMap::new());
        Self { method: Method::GET, uri: Uri::default(), version: Version::HTTP_11, fields }
    }
}

/// What is wrong with a request's head or framing (RFC 9112). The connection ends after the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Lengths that could be read in two ways, or a malformed body.
    #[error("ambiguous or malformed message framing")]
    Framing,
    /// A transfer coding that is not `chunked`.
    #[error("a transfer coding that is not supported")]
    Coding,
    /// A head that is no head.
    #[error("malformed request head")]
    Syntax,
    /// `Host` missing, repeated or no host.
    #[error("the host must be named once and be a host")]
    Host,
    /// Neither HTTP/1.0 nor HTTP/1.1.
    #[error("an HTTP version that is not supported")]
    Version,
    /// The head is over its limit.
    #[error("request header fields too large")]
    HeadSize,
    /// The request target is over its limit.
    #[error("request target too long")]
    TargetSize,
    /// The head did not come in time.
    #[error("the request head did not arrive in time")]
    HeadTimeout,
}

/// A target that is visible ASCII without a fragment.
fn target(bytes: Bytes) -> Result<Uri, Fault> {
    Uri::from_maybe_shared(bytes).map_err(|_| Fault::Syntax)
}
