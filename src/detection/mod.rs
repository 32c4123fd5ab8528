//! Recognises suspicious behaviour by what requests were refused for, and says so.

use std::net::IpAddr;
use std::time::Duration;

use crate::config::DetectionConfig;
use crate::record::Record;
use crate::token::Caller;

/// What was seen lately.
#[derive(Debug)]
pub(crate) struct Detection {}

impl Detection {
    /// Nothing yet.
    pub(crate) fn new(_config: &DetectionConfig) -> Self {
        Self {}
    }

    /// For how long requests from this address are refused.
    pub(crate) fn blocks_address(&self, _address: IpAddr) -> Option<Duration> {
        None
    }

    /// For how long requests of this caller's client are refused.
    pub(crate) fn blocks_client(&self, _caller: &Caller) -> Option<Duration> {
        None
    }

    /// One request has ended.
    pub(crate) fn ended(&self, _record: &Record<'_>) {}
}
