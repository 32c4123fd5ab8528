//! When to look at files again.

pub(crate) mod watch;
