//! `portcullis explain`: what a caller may do on a route, and which rule says so. Verifies nothing and lets nobody in.

mod answer;
mod excerpt;
mod who;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use portcullis::config::{Config, RouteConfig};
use portcullis::mcp::Operation;
use portcullis::mcp::message::{COMPLETE, LISTEN, MAX_METHOD_BYTES, MAX_NAME_BYTES, Target, TargetKind, naming_of};
use portcullis::names::TenantId;

use super::credential::TokenText;
use super::{Failure, Said, route};
use who::Known;

/// Who asks for what.
#[derive(Debug, Args)]
pub(crate) struct Question {
    /// The access token, or - to read it from standard input: arguments are visible to everybody on this machine. Its
    /// signature is not checked
    #[arg(long, value_name = "TOKEN", conflicts_with = "claims", required_unless_present = "claims")]
    token: Option<TokenText>,
    /// A file with claims, instead of a token: a JSON object
    #[arg(long, value_name = "FILE")]
    claims: Option<PathBuf>,
    /// The route's name
    #[arg(long, value_name = "NAME")]
    route: String,
    /// The JSON-RPC method, such as tools/call
    #[arg(long)]
    method: String,
    /// The tool, the prompt, the resource's URI or the task's id that the method names
    #[arg(long, allow_hyphen_values = true)]
    name: Option<String>,
    /// The tenant in the URL, for routes with {tenant}
    #[arg(long)]
    tenant: Option<String>,
}

/// The answer: exit 0 when the operation is allowed, else 1.
pub(crate) fn explain(config: &Config, file: &Path, question: &Question) -> Result<Said, Failure> {
    let route = route(config, &question.route)?;
    let tenant = tenant(route, question.tenant.as_deref())?;
    let operation = operation(question)?;
    let mut text = Text::default();
    text.line("route", &format!("{} ({})", route.name, route.resource.for_tenant(tenant.as_ref())));
    let known = who::identify(config, route, question, tenant.as_ref())?;
    let allowed = match known {
        Known::Caller(known) => {
            who::describe(&mut text, &known);
            let file = excerpt::File::read(file)?;
            answer::judge(&mut text, route, &file, &known.caller, &operation)
        }
        Known::Refused(refusal) => {
            who::refuse(&mut text, &refusal);
            false
        }
    };
    Ok(Said { text: text.0, exit_code: if allowed { ExitCode::SUCCESS } else { ExitCode::FAILURE } })
}

/// Lines with a word at their start.
#[derive(Default)]
struct Text(String);

impl Text {
    fn line(&mut self, word: &str, rest: &str) {
        // Writing to a String cannot fail.
        _ = writeln!(self.0, "{word:<11}{rest}");
    }
}

fn tenant(route: &RouteConfig, written: Option<&str>) -> Result<Option<TenantId>, Failure> {
    let usage = |why: &str| Failure::Usage(format!("--tenant: {why}"));
    match (route.resource.has_tenant(), written) {
        (false, None) => Ok(None),
        (true, None) => Err(usage("the route's resource holds {tenant}: say which one")),
        (false, Some(_)) => Err(usage("the route's resource holds no {tenant}: the token names it")),
        (true, Some(text)) if TenantId::is_url_safe(text) => {
            TenantId::parse(text).map(Some).map_err(|why| usage(&why.to_string()))
        }
        (true, Some(_)) => Err(usage("cannot stand in a URL: 1 to 63 of a-z, A-Z, 0-9, -, _ and .")),
    }
}

/// What a request with this method and this name would be read as.
fn operation(question: &Question) -> Result<Operation, Failure> {
    let (method, name) = (question.method.as_str(), question.name.as_deref());
    let usage = |why: String| Err(Failure::Usage(why));
    if method.is_empty() || method.len() > MAX_METHOD_BYTES {
        return usage(format!("--method: must be 1 to {MAX_METHOD_BYTES} bytes"));
    }
    if name.is_some_and(|name| name.is_empty() || name.len() > MAX_NAME_BYTES) {
        return usage(format!("--name: must be 1 to {MAX_NAME_BYTES} bytes"));
    }
    let kind = match (naming_of(method), method) {
        (Some(naming), _) => Some(naming.kind),
        // Both kinds have names of their own shape: resources are named by URI templates.
        (None, COMPLETE) if name.is_some_and(|name| name.contains("://")) => Some(TargetKind::Resource),
        (None, COMPLETE) => Some(TargetKind::Prompt),
        (None, LISTEN) => Some(TargetKind::Resource),
        (None, _) => None,
    };
    let targets = match (kind, name) {
        (Some(kind), Some(name)) => vec![Target { kind, name: name.into() }],
        (Some(_), None) if method == LISTEN => Vec::new(),
        (Some(kind), None) => return usage(format!("--name: {method} names a {}: say which one", word(kind))),
        (None, Some(_)) => return usage(format!("--name: {method} names nothing")),
        (None, None) => Vec::new(),
    };
    Ok(Operation { method: method.into(), targets })
}

fn word(kind: TargetKind) -> &'static str {
    match kind {
        TargetKind::Tool => "tool",
        TargetKind::Prompt => "prompt",
        TargetKind::Resource => "resource",
        TargetKind::Task => "task",
    }
}
