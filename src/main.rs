//! Portcullis
fn main() {}
