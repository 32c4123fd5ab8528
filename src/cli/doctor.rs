//! `portcullis doctor`: what it is asked, and how it says what was found.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, builder::PossibleValuesParser};
use portcullis::config::Config;
use portcullis::doctor::clients::{CLIENTS, Client};
use portcullis::doctor::report::{Level, Section};
use portcullis::doctor::{self};
use portcullis::names::TenantId;
use serde_json::json;

use super::credential::TokenText;
use super::{Failure, Said};

/// What to look at.
#[derive(Debug, Args)]
pub(crate) struct Question {
    /// An access token, or - to read it from standard input: arguments are visible to everybody on this machine. It is sent to
    /// nobody, and its signature is never shown
    #[arg(long, value_name = "TOKEN")]
    token: Option<TokenText>,
    /// The client to stand in for
    #[arg(long = "as", value_name = "CLIENT", value_parser = PossibleValuesParser::new(CLIENTS.iter().map(|client| client.name)))]
    client: Option<String>,
    /// Only this route
    #[arg(long, value_name = "NAME")]
    route: Option<String>,
    /// The tenant in the URL, for routes with {tenant}
    #[arg(long)]
    tenant: Option<String>,
    /// Where the gateway is, instead of where the host names of its routes lead
    #[arg(long, value_name = "ADDRESS:PORT")]
    connect: Option<SocketAddr>,
    /// A PEM file with a further trust anchor for the gateway's own certificate
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// One JSON object instead of text for people
    #[arg(long)]
    json: bool,
}

/// Exit 0 when nothing is wrong, 1 when something is.
pub(crate) fn doctor(config: &Config, question: &Question) -> Result<Said, Failure> {
    let asked = asked(config, question)?;
    let token = question.token.as_ref().map(TokenText::read).transpose()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (mut sections, as_json) = (Vec::new(), question.json);
    let mut tell = |section: Section| {
        if !as_json {
            // As it comes: a host that does not answer takes its time.
            _ = std::io::stdout().write_all(text(&section).as_bytes());
        }
        sections.push(section);
    };
    runtime.block_on(doctor::examine(config, &asked, token.as_deref(), &mut tell));
    runtime.shutdown_background(); // a name that is still being looked up must not hold up the end
    let count =
        |level: Level| sections.iter().flat_map(|section| &section.findings).filter(|one| one.level == level).count();
    let (problems, warnings) = (count(Level::Problem), count(Level::Warning));
    let text = if as_json {
        format!("{:#}\n", json!({ "problems": problems, "warnings": warnings, "sections": sections }))
    } else {
        format!("{problems} problems, {warnings} warnings (docs/doctor.md explains the words in brackets)\n")
    };
    Ok(Said { text, exit_code: if problems == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE } })
}

fn asked(config: &Config, question: &Question) -> Result<doctor::Question, Failure> {
    if let Some(name) = &question.route {
        super::route(config, name)?;
    }
    let tenant = question.tenant.as_deref().map(|text| {
        let parsed = TenantId::parse(text).ok().filter(|_| TenantId::is_url_safe(text));
        parsed.ok_or_else(|| Failure::Usage("--tenant: must be 1 to 63 of a-z, A-Z, 0-9, -, _ and .".into()))
    });
    let by_name = |name: &String| -> Option<&'static Client> { CLIENTS.iter().find(|client| client.name == name) };
    Ok(doctor::Question {
        route: question.route.clone(),
        tenant: tenant.transpose()?,
        client: question.client.as_ref().and_then(by_name),
        ca: question.ca.clone(),
        connect: question.connect,
    })
}

fn text(section: &Section) -> String {
    let mut text = format!("{}\n", section.about);
    for finding in &section.findings {
        // Writing to a String cannot fail.
        _ = writeln!(text, "  {:<9}{} [{}]", finding.level.word(), finding.text, finding.code);
        if let Some(fix) = &finding.fix {
            _ = writeln!(text, "  {:<9}-> {fix}", "");
        }
    }
    text.push('\n');
    text
}
