//! The protected-resource metadata document (RFC 9728 §2).

use serde::Serialize;

use crate::config::{IssuerConfig, RouteConfig};
use crate::names::TenantId;

/// Members in the order of RFC 9728 §2; empty ones are omitted (§3.2).
#[derive(Serialize)]
struct Document<'a> {
    resource: String,
    authorization_servers: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    scopes_supported: Vec<&'a str>,
    bearer_methods_supported: [&'static str; 1],
    resource_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_documentation: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_policy_uri: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_tos_uri: Option<&'a str>,
}

/// The document of a route, for one tenant where the resource has a `{tenant}`.
pub fn document(route: &RouteConfig, issuers: &[IssuerConfig], tenant: Option<&TenantId>) -> Vec<u8> {
    let metadata = &route.metadata;
    let scopes = metadata.scopes_supported.clone().unwrap_or_else(|| route.first_scopes());
    let document = Document {
        // Byte for byte what clients use and tokens carry as audience.
        resource: route.resource.for_tenant(tenant),
        authorization_servers: route
            .issuers
            .iter()
            .filter_map(|&at| issuers.get(at))
            .map(|i| i.issuer.as_str())
            .collect(),
        scopes_supported: scopes.iter().map(crate::names::Scope::as_str).collect(),
        bearer_methods_supported: ["header"],
        resource_name: metadata.resource_name.as_deref().unwrap_or(route.name.as_str()),
        resource_documentation: metadata.resource_documentation.as_ref().map(url::Url::as_str),
        resource_policy_uri: metadata.resource_policy_uri.as_ref().map(url::Url::as_str),
        resource_tos_uri: metadata.resource_tos_uri.as_ref().map(url::Url::as_str),
    };
    // A struct of strings always serializes.
    serde_json::to_vec(&document).unwrap_or_default()
}
