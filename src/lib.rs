//! Portcullis: an authenticating gateway for Model Context Protocol servers.
//!
//! The modules in the order in which a request meets them:
//! accept → TLS → HTTP → route → authenticate → admit → inspect → authorize → forward → audit.

#[cfg(feature = "demo")]
pub mod demo;

pub mod server;

mod request;

pub mod token;

pub mod keys;

pub mod config;

pub mod names;
