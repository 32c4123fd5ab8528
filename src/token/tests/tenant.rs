//! Tenants: listed, any, or the one in the resource.

use serde_json::json;

use super::support::{Judge, path, refused, stranger};
use crate::config::{Resource, TenantRule};
use crate::names::TenantId;
use crate::token::TokenError;

fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).unwrap()
}

fn allowing(names: &[&str]) -> Judge {
    let mut judge = Judge::new();
    judge.expect.tenant = TenantRule::Allow(names.iter().map(|name| tenant(name)).collect());
    judge
}

/// A route with a tenant in its path, asked for as this tenant.
fn of_tenant(name: &str) -> Judge {
    let mut judge = Judge::new();
    judge.expect.tenant = TenantRule::FromResource;
    judge.expect.resource = Resource::parse("https://mcp.example.com/{tenant}/mcp").unwrap();
    judge.tenant = Some(tenant(name));
    judge
}

#[test]
fn c20_listed_tenants_come_in() {
    allowing(&["other", "acme"]).claims(|_| {}).unwrap();
    for names in [&["other"][..], &["Acme"], &["acm"], &["acme "], &[]] {
        refused(allowing(names).claims(|_| {}), TokenError::Tenant, names);
    }
    refused(allowing(&["acme"]).without("tid"), TokenError::Tenant, "no tenant");
}

#[test]
fn c20_any_lets_tokens_without_a_tenant_in() {
    assert!(Judge::new().without("tid").unwrap().tenant().is_none());
    let mut judge = Judge::new();
    judge.expect.rules.claims.tenant = None;
    assert!(judge.claims(|_| {}).unwrap().tenant().is_none());
}

#[test]
fn c20_tenant_of_another_type_never_comes_in() {
    for judge in [Judge::new(), allowing(&["acme"])] {
        for tid in [json!(""), json!(null), json!(7), json!(["acme"]), json!({"id": "acme"}), json!(true)] {
            refused(judge.with("tid", tid.clone()), TokenError::Tenant, tid);
        }
    }
}

#[test]
fn c20_tenant_of_the_resource_binds_audience_and_claim() {
    let aud = "https://mcp.example.com/acme/mcp";
    let judge = of_tenant("acme");
    judge.with("aud", aud).unwrap();
    refused(of_tenant("globex").with("aud", aud), TokenError::Audience, "another tenant's URL");
    let claims = |tid: &str| {
        judge.claims(|claims| {
            claims["aud"] = aud.into();
            claims["tid"] = tid.into();
        })
    };
    claims("acme").unwrap();
    refused(claims("globex"), TokenError::Tenant, "another tenant's token");
    refused(claims("ACME"), TokenError::Tenant, "another case");
    let verdict = judge.claims(|claims| {
        claims["aud"] = aud.into();
        claims.as_object_mut().unwrap().remove("tid");
    });
    refused(verdict, TokenError::Tenant, "no tenant");
}

#[test]
fn c20_open_placeholder_is_nobodys_audience() {
    let mut judge = of_tenant("acme");
    judge.tenant = None;
    let literal = judge.with("aud", "https://mcp.example.com/{tenant}/mcp");
    refused(literal, TokenError::Audience, "the placeholder itself");
    judge.expect.audiences = vec!["api://notes".into()];
    refused(judge.with("aud", "api://notes"), TokenError::Tenant, "no tenant in the URL");
    let verdict = judge.claims(|claims| {
        claims["aud"] = "api://notes".into();
        claims.as_object_mut().unwrap().remove("tid");
    });
    refused(verdict, TokenError::Tenant, "no tenant on either side");
}

#[test]
fn c20_tenant_is_judged_after_the_signature() {
    let mut judge = allowing(&["other"]);
    judge.keys = super::support::keys(&[stranger()]);
    refused(judge.claims(|_| {}), TokenError::Signature, "forged, and of a foreign tenant");
    refused(judge.with("tid", "x\n"), TokenError::Signature, "forged, with control bytes");
}

#[test]
fn c20_namespaced_tenant_claim_is_found() {
    let mut judge = allowing(&["acme"]);
    judge.expect.rules.claims.tenant = Some(path("https://example.com/org.id"));
    judge.with("https://example.com/org.id", "acme").unwrap();
    judge.expect.rules.claims.tenant = Some(path("org.id"));
    judge.with("org", json!({"id": "acme"})).unwrap();
    refused(judge.with("org", json!({"id": "other"})), TokenError::Tenant, "nested");
}
