//! Private parts of a request's path, for `instructions/` to count. No interface: nobody else may call them.

use aws_lc_rs::error::Unspecified;

use crate::request::verified::{Scene, VerifiedTokens};

pub use crate::request::benched::Beside;

/// The tokens that were verified before; none was.
#[derive(Debug)]
pub struct Remembered {
    tokens: VerifiedTokens,
    scene: Scene,
}

impl Remembered {
    /// With a key of its own.
    pub fn new() -> Result<Self, Unspecified> {
        let tokens = VerifiedTokens::new()?;
        Ok(Self { scene: tokens.scene("one route")?, tokens })
    }

    /// Looks for a token.
    pub fn knows(&self, token: &str) -> bool {
        self.scene.fingerprint(None, token).is_ok_and(|token| self.tokens.get(&token).is_some())
    }
}
