//! Server-sent events (HTML §9.2): where one ends, and its fields.
