//! What makes a token valid. Pure: text, keys and the time come in; an [`Identity`] or a [`TokenError`] comes out.

pub mod accepted;
mod audience;
pub mod bare;
pub mod bearer;
mod caller;
mod claims;
mod compact;
pub mod error;
pub mod examine;
mod header;
mod json;
mod times;
pub mod verify;

#[cfg(test)]
mod tests;

pub use caller::{Caller, Kind};
pub use error::{BearerError, TokenError};
pub use verify::Identity;
