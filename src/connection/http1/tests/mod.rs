//! What comes over a connection whatever the pieces, and how answers go out.

mod sending;
mod wire;
