//! `portcullis demo`: a whole working set-up on loopback, and one round trip through it as a client makes it.

pub mod authorization;
mod secret;
pub mod server;
mod serving;
