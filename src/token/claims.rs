//! Claims as typed values.
