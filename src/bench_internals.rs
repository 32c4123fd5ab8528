//! Private parts of a request's path, for `instructions/` to count. No interface: nobody else may call them.

use aws_lc_rs::error::Unspecified;

use crate::connection::head::judge;
use crate::request::verified::{Scene, VerifiedTokens};

pub use crate::request::benched::Beside;

/// The head of an HTTP/1 request is beyond doubt.
pub fn judge_head(head: &[u8]) -> bool {
    judge(head).is_ok()
}

/// The tokens that were verified before; none was.
#[derive(Debug)]
pub struct Remembered {
    tokens: VerifiedTokens,
    scene: Scene,
}

impl Remembered {
    /// With a key of its own.
    pub fn new() -> Result<Self, Unspecified> {
        Ok(Self { tokens: VerifiedTokens::new()?, scene: Scene::of("one route") })
    }

    /// Looks for a token.
    pub fn knows(&self, token: &str) -> bool {
        self.tokens.get(&self.tokens.fingerprint(&self.scene, None, token)).is_some()
    }
}
