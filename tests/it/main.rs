//! The whole gateway in process, and the binary.

mod cli;
mod config;
