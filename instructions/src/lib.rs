//! Nothing: the counted parts are in `benches/`.
