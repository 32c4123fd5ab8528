//! Portcullis: an authenticating gateway for Model Context Protocol servers.
//!
//! The modules in the order in which a request meets them:
//! accept → TLS → HTTP → route → authenticate → admit → inspect → authorize → forward → audit.

#[cfg(feature = "demo")]
pub mod demo;

pub mod doctor;

#[cfg(feature = "bench-internals")]
#[doc(hidden)]
pub mod bench_internals;

pub mod server;

mod reload;

pub mod connection;

mod live;

mod request;

mod tls;

pub mod audit;

mod detection;

mod revocations;

mod metrics;

pub mod policy;

pub mod session;

mod record;

mod trace;

pub mod mcp;

pub mod token;

pub mod keys;

pub mod oauth;

pub mod headers;

pub mod head;

mod trust;

pub mod config;

pub mod names;

pub mod chunked;

mod network;

mod deadline;

mod spool;

mod text;

mod ops;

pub mod telemetry;

/// Makes aws-lc the provider of every TLS connection and token signature in this process. Call it first thing; further
/// calls change nothing.
pub fn install_crypto() {
    // An error says that a provider is installed already: ours, from an earlier call.
    _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
}

/// Draws the first random bytes of the process, which take the cryptography library 30 ms or more, beside the rest of the start. Who
/// needs some before they are there waits for the rest of it only.
pub fn warm_up() {
    // A thread that cannot be started has no work: whoever needs its result does it.
    std::thread::Builder::new().name("warm-up".into()).spawn(|| aws_lc_rs::rand::fill(&mut [0; 1])).ok();
}
