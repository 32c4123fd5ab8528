//! One request, from route to audit.

pub(crate) mod reject;
