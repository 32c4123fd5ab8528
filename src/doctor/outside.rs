//! A route as a client outside finds it: the metadata document (RFC 9728) and the challenge (RFC 6750).

use http::{Method, StatusCode};
use serde_json::Value;
use url::Url;

use super::Question;
use super::hello;
use super::probe::{Answer, Client};
use super::reach::{Way, is_private};
use super::report::{Section, quoted};
use crate::config::{IssuerConfig, RouteConfig};
use crate::names::{Scope, TenantId};

/// One route for one tenant, where its resource holds one.
pub(super) struct Public<'a> {
    pub(super) route: &'a RouteConfig,
    pub(super) issuers: &'a [&'a IssuerConfig],
    pub(super) tenant: Option<&'a TenantId>,
}

impl Public<'_> {
    pub(super) async fn examine(&self, section: &mut Section, question: &Question) {
        let resource = self.route.resource.for_tenant(self.tenant);
        let Ok(url) = Url::parse(&resource) else { return };
        let way = Way { url: &url, ca: question.ca.as_deref(), ca_key: "--ca", connect: question.connect };
        let Some(addresses) = way.walk(section).await else { return };
        if let Some(who) = question.client.filter(|who| who.hosted && question.connect.is_none()) {
            if addresses.iter().any(|address| is_private(*address)) {
                let text = format!("{} connects from its vendor's network, and this address is private", who.title);
                section.problem("client.reach", text, "a public address for the host of `resource`");
            } else {
                let title = who.title;
                section.note(
                    "client.reach",
                    format!("{title} connects from its vendor's network: all of its users share addresses"),
                );
            }
        }
        let client = match Client::new(question.ca.as_deref(), question.connect) {
            Ok(client) => client,
            Err(why) => return section.problem("tls", why.to_string(), "the file that --ca names"),
        };
        self.metadata(section, &client, &resource).await;
        self.challenge(section, &client, &url).await;
        if question.client.is_some_and(|who| !who.steps_up)
            && self.route.policy.step_up
            && !self.route.policy.rules.is_empty()
        {
            let text = "rules may ask for more scopes later (403), and this client is not known to follow";
            section.warning("client.step_up", text, "step_up = false in [routes.policy]: the first login asks for all");
        }
    }

    async fn metadata(&self, section: &mut Section, client: &Client, resource: &str) {
        let place = self.route.resource.metadata_url(self.tenant);
        let Ok(url) = Url::parse(&place) else { return };
        let answer = match client.get(&url, "application/json").await {
            Ok(answer) => answer,
            Err(why) => return section.problem("outside.metadata", format!("{place}: {why}"), "is this the gateway?"),
        };
        if answer.status != StatusCode::OK {
            return section.problem(
                "outside.metadata",
                format!("{place} answers {}", answer.status),
                of_status(&answer),
            );
        }
        let Some(document) = answer.object() else {
            let text = format!("{place} is no JSON object, but {}", quoted(answer.media_type()));
            return section.problem(
                "outside.metadata",
                text,
                "something in front of the gateway answers: let this path through",
            );
        };
        let found = document.get("resource").and_then(Value::as_str).unwrap_or_default();
        if found == resource {
            section.ok("outside.metadata", format!("{place} is the document of {resource}"));
        } else {
            let text = format!("{place} is of resource {}, the configuration says {}", quoted(found), quoted(resource));
            section.problem(
                "outside.resource",
                text,
                "another gateway, or another configuration, answers there: look at the configuration hash on /status",
            );
        }
        let servers: Vec<&str> = document
            .get("authorization_servers")
            .and_then(Value::as_array)
            .map(|servers| servers.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        let wanted: Vec<&str> = self.issuers.iter().map(|issuer| issuer.issuer.as_str()).collect();
        if servers != wanted {
            let text = format!(
                "its authorization_servers are {}, the configuration says {}",
                quoted(&servers.join(" ")),
                wanted.join(" ")
            );
            section.problem("outside.servers", text, "has the running gateway taken this configuration? See /status");
        }
    }

    async fn challenge(&self, section: &mut Section, client: &Client, url: &Url) {
        let (headers, body) = hello::initialize();
        let answer = match client.send(Method::POST, url, headers, body).await {
            Ok(answer) => answer,
            Err(why) => return section.problem("outside.challenge", format!("{url}: {why}"), "is this the gateway?"),
        };
        match answer.status {
            StatusCode::UNAUTHORIZED => {}
            StatusCode::OK => {
                let fix = "the path to the server goes past the gateway: close it";
                return section.problem("outside.open", format!("{url} answers a request without a token"), fix);
            }
            status => {
                return section.problem(
                    "outside.challenge",
                    format!("{url} answers {status} without a token, not 401"),
                    of_status(&answer),
                );
            }
        }
        let said = answer.field("www-authenticate").unwrap_or_default();
        let place = format!("resource_metadata=\"{}\"", self.route.resource.metadata_url(self.tenant));
        if said.starts_with("Bearer ") && said.contains(&place) {
            section.ok(
                "outside.challenge",
                format!(
                    "401 without a token, with the way to the metadata; asks for {}",
                    scopes(&self.route.first_scopes())
                ),
            );
        } else {
            let text = format!("401 without the challenge that clients follow: WWW-Authenticate is {}", quoted(said));
            section.problem(
                "outside.challenge",
                text,
                "another server answers, or something in front takes the field away",
            );
        }
    }
}

fn scopes(scopes: &[Scope]) -> String {
    if scopes.is_empty() { "no scope".into() } else { scopes.iter().map(Scope::as_str).collect::<Vec<_>>().join(" ") }
}

fn of_status(answer: &Answer) -> String {
    match answer.status {
        StatusCode::NOT_FOUND => {
            "does something in front pass both the resource's path and /.well-known/oauth-protected-resource on, unchanged?".into()
        }
        StatusCode::MISDIRECTED_REQUEST => {
            "the gateway does not know this host name: something in front changed Host (pass it on, or list it in authorities)".into()
        }
        status if status.is_redirection() => {
            format!("no redirects: clients compare the URL; it leads to {}", quoted(answer.field("location").unwrap_or_default()))
        }
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
            "something in front does not reach the gateway, or it is not ready: see /readyz".into()
        }
        StatusCode::TOO_MANY_REQUESTS => "too many failures from this address: wait a minute, see detection and failures_per_address".into(),
        _ => "is this the gateway? Its log says more under the request id".into(),
    }
}
