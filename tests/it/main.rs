//! The whole gateway in process, against an issuer, an upstream and clients of its own. One file per behaviour; the
//! names of tests that stand for a case of the threat catalogue begin with its id.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::string_slice,
    reason = "a failed step is a failed test"
)]

mod support;

mod actors;
mod answers;
mod architecture;
mod audit;
mod audit_process;
mod batches;
mod beyond;
mod bodies;
mod challenge;
mod claims;
mod cli;
mod config;
mod cors;
mod credentials;
mod detection;
mod docs;
mod endings;
mod endpoints;
mod endurance;
mod eras;
mod exchanges;
mod explain;
mod faults;
mod floods;
mod forwarding;
mod framing;
mod headers;
mod heads;
mod http2;
mod isolation;
mod key_choice;
mod key_sets;
mod lifecycle;
mod limits;
mod lists;
mod metadata;
mod metric_names;
mod metrics;
mod operations;
mod paths;
mod reload;
mod reload_process;
mod revocations;
mod routing;
mod sessions;
mod signatures;
mod status;
mod streaming;
mod telemetry;
mod tenants;
mod timeouts;
mod tls;
mod token_form;
mod trickles;
mod upstream_faults;
