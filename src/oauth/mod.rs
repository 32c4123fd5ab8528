//! What clients are told about how to authenticate. Pure.

pub mod challenge;
pub mod metadata;
