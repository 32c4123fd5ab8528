//! Where verification keys come from: one [`KeyStore`] per issuer.

pub mod jwks;
