//! Portcullis: an authenticating gateway for Model Context Protocol servers.
//!
//! The modules in the order in which a request meets them:
//! accept → TLS → HTTP → route → authenticate → admit → inspect → authorize → forward → audit.

pub mod server;

pub mod connection;

mod request;

pub mod token;

pub mod keys;

pub mod oauth;

pub mod headers;

mod trust;

pub mod config;

pub mod names;

mod ops;

pub mod telemetry;
