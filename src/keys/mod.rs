//! Where verification keys come from: one `KeyStore` per issuer.
//!
//! The store holds what is in force and runs the loop; `fetch` downloads, with `discovery` where the place is not
//! configured; `pace` says when; [`jwks`] reads what came.

pub mod jwks;

mod discovery;
mod fetch;
mod pace;
mod report;
mod store;

#[cfg(test)]
pub(crate) mod test_issuer;

pub(crate) use discovery::locations as metadata_locations;
pub(crate) use fetch::may_be_fetched;
pub(crate) use store::{KeyStore, Keys, Origin, Status, Unavailable};
