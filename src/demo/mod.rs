//! `portcullis demo`: a whole working set-up on loopback, and one round trip through it as a client makes it.
//!
//! [`authorization`] is the development authorization server, [`server`] the sample MCP server; `set_up` puts the gateway
//! between them, `round_trip` and `login` are the client. Nothing here is part of the gateway, and the gateway uses none of it.

pub mod authorization;
mod certificate;
mod login;
mod report;
mod round_trip;
mod secret;
pub mod server;
mod serving;
mod set_up;

#[cfg(test)]
mod tests;

use std::io::Write;

use tokio::signal::unix::{Signal, SignalKind, signal};

use self::authorization::AuthorizationServerError;
use self::report::Report;
use self::round_trip::{Outcome, round_trip};
use self::set_up::SetUp;
use crate::config::ConfigError;
use crate::server::StartError;

/// Why the demo stopped before its end.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// A listener, the temporary folder, the terminal or a signal could not be had.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The certificates could not be made.
    #[error("the demo's certificates could not be made: {0}")]
    Certificate(#[from] rcgen::Error),
    /// The authorization server did not start.
    #[error(transparent)]
    Authorization(#[from] AuthorizationServerError),
    /// The generated configuration is wrong: a mistake in this program.
    #[error("the demo's own configuration is refused: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Config(Vec<ConfigError>),
    /// The gateway did not start.
    #[error(transparent)]
    Gateway(#[from] StartError),
    /// No HTTP client could be made.
    #[error("no HTTP client: {0}")]
    Http(#[from] reqwest::Error),
    /// A signal came before the end.
    #[error("stopped by a signal before the end")]
    Interrupted,
    /// A step of the round trip did not hold.
    #[error("{name}: {why}")]
    Step {
        /// The step.
        name: &'static str,
        /// What came instead.
        why: String,
    },
}

/// Starts everything, makes one round trip, and stays up until told to stop; with `once` it ends after the round trip.
/// `Ok` only when every step held.
pub async fn run(once: bool, out: &mut dyn Write) -> Result<(), DemoError> {
    // Before the first socket and file: a signal that comes early must leave nothing behind.
    let mut signals = Signals::new()?;
    let mut report = Report::new(out);
    let set_up = SetUp::start().await?;
    let outcome = tokio::select! {
        outcome = show(&set_up, once, &mut report) => outcome,
        () = signals.stop() => Err(DemoError::Interrupted),
    };
    if outcome.is_ok() && !once {
        signals.stop().await;
    }
    tokio::select! {
        () = set_up.shut_down() => outcome,
        () = signals.stop() => Err(DemoError::Interrupted),
    }
}

async fn show(set_up: &SetUp, once: bool, report: &mut Report<'_>) -> Result<(), DemoError> {
    report.line("Portcullis demo: everything on this machine, gone when it ends.\n")?;
    report.line(&set_up.summary())?;
    report.line("One round trip, as an MCP client makes it:\n")?;
    report.step("gateway is ready", set_up.ready().await)?;
    let outcome = round_trip(set_up.http(), set_up.resource(), report).await?;
    let last = if once { "\nEvery step held.".to_owned() } else { to_paste(set_up, &outcome) };
    Ok(report.line(&last)?)
}

fn to_paste(set_up: &SetUp, outcome: &Outcome) -> String {
    let (resource, authority) = (set_up.resource(), set_up.authority().display());
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"whoami","arguments":{},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"curl","version":"8"},"io.modelcontextprotocol/clientCapabilities":{}}}}"#;
    format!(
        "\nEvery step held, and everything stays up until Ctrl-C. Yours to try:\n\n\
         Call a tool (the token works for {minutes} minutes):\n\n  \
         curl --cacert {authority} {resource} -H 'Authorization: Bearer {token}' -H 'Content-Type: application/json' \
         -H 'Accept: application/json, text/event-stream' -H 'MCP-Protocol-Version: 2026-07-28' -H 'Mcp-Method: tools/call' \
         -H 'Mcp-Name: whoami' -d '{call}'\n\n\
         Connect an MCP client (a browser opens for the login; any name will do, name@tenant too):\n\n  \
         URL                    {resource}\n  \
         trust the certificate  NODE_EXTRA_CA_CERTS={authority}\n  \
         for example            NODE_EXTRA_CA_CERTS={authority} npx mcp-remote {resource}\n\n\
         What the MCP server saw of the caller:\n\n  {identity}\n\n\
         What a token got whose subject was changed:\n\n  {refusal}\n",
        minutes = set_up::TOKEN_LIFETIME.as_secs() / 60,
        token = outcome.token,
        identity = outcome.identity.replace('\n', "\n  "),
        refusal = outcome.refusal,
    )
}

/// What tells the demo to stop.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        let (terminate, interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        Ok(Self { terminate, interrupt })
    }

    /// Returns on the next Ctrl-C or SIGTERM.
    async fn stop(&mut self) {
        tokio::select! { _ = self.terminate.recv() => (), _ = self.interrupt.recv() => () }
    }
}
