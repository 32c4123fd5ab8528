//! Token tests, and what they share: keys made once, tokens with one thing changed, and a judge that expects one route.

mod bearer;
mod claims;
mod examine;
mod header;
mod json;
mod keys;
mod profiles;
mod properties;
mod shape;
mod support;
mod tenant;
mod times;
mod wycheproof;
