//! One request, from route to audit.

pub(crate) mod authenticate;
mod failures;
pub(crate) mod reject;
mod verified;
