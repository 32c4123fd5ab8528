//! What the server says of itself: one set of facts at both well-known places.

use serde_json::{Value, json};

use super::Options;
use super::client::Grant;
use crate::names::Scope;

/// RFC 8414 §2, OpenID Connect Discovery 1.0 §3, RFC 9207 §3, RFC 9728 §4 and the client id metadata document draft §5.
pub(super) fn document(issuer: &str, options: &Options) -> Value {
    let authentication = ["none", "client_secret_basic", "client_secret_post"];
    let mut document = json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "registration_endpoint": format!("{issuer}/register"),
        "revocation_endpoint": format!("{issuer}/revoke"),
        "jwks_uri": format!("{issuer}/jwks"),
        "scopes_supported": options.scopes.iter().map(Scope::as_str).collect::<Vec<_>>(),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": Grant::ALL.map(Grant::as_str),
        "token_endpoint_auth_methods_supported": authentication,
        "revocation_endpoint_auth_methods_supported": authentication,
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
        "client_id_metadata_document_supported": true,
        // No registered name says that RFC 8707 is obeyed; this one is widely used.
        "resource_indicators_supported": true,
        // OpenID Connect's default is true.
        "request_uri_parameter_supported": false,
        // Required by OpenID Connect Discovery, though this server issues no ID tokens.
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [options.algorithm.as_str()],
    });
    if !options.resources.is_empty()
        && let Value::Object(members) = &mut document
    {
        members.insert("protected_resources".into(), json!(options.resources));
    }
    document
}
