//! What makes a token valid. Pure: text, keys and the time come in; an [`Identity`] or a [`TokenError`] comes out.

pub mod bearer;
pub mod claims;
pub mod error;
pub mod verify;

pub use error::{BearerError, TokenError};
pub use verify::Identity;
