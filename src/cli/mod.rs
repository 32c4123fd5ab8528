//! The command line: its grammar, and what the commands that serve nothing do, each in a file of its own.

mod audit;
mod check;
mod credential;
mod doctor;
mod explain;
mod healthcheck;
mod warnings;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;
use portcullis::config::{Config, ConfigError, RouteConfig};
use portcullis::server::StartError;

pub(crate) use audit::{Audit, verify};
pub(crate) use check::summary;
pub(crate) use doctor::doctor;
pub(crate) use explain::explain;
pub(crate) use healthcheck::healthcheck;

/// An authenticating gateway for Model Context Protocol servers.
#[derive(Debug, Parser)]
#[command(name = "portcullis", version)]
pub(crate) struct Arguments {
    /// The configuration file
    #[arg(long, global = true, value_name = "FILE", env = "PORTCULLIS_CONFIG", default_value = "gateway.toml")]
    pub(crate) config: PathBuf,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// What to do.
#[derive(Debug, Default, Subcommand)]
pub(crate) enum Command {
    /// Serve until SIGTERM or SIGINT (what happens without a command)
    #[default]
    Run,
    /// Check the configuration and the files it names; exit 2 and say every mistake when it is wrong
    Check,
    /// Say what a caller may do, and which rule says so; exit 0 when it is allowed, 1 when not. Opens no socket
    Explain(explain::Question),
    /// Find out why logins fail: look at issuers, routes and upstreams as a client would, live; exit 0 when nothing is wrong, 1 when
    /// something is
    Doctor(doctor::Question),
    /// Work with the audit stream
    Audit {
        /// What to do
        #[command(subcommand)]
        audit: Audit,
    },
    /// Ask a running gateway on this machine whether it is alive; exit 0 or 1
    Healthcheck,
    /// Start an authorization server, a sample MCP server and the gateway on loopback, and make one round trip through them
    #[cfg(feature = "demo")]
    Demo {
        /// Exit after the round trip; status 0 only if every step held
        #[arg(long)]
        once: bool,
    },
    /// Print the JSON Schema of a file, for editors
    Schema {
        /// Of which file
        #[arg(default_value = "gateway")]
        of: Document,
    },
    /// Print a completion script
    Completions {
        /// The shell to complete for
        shell: Shell,
    },
}

/// A file that people write for the gateway.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum Document {
    /// The configuration, gateway.toml
    Gateway,
    /// The list that [revocations] names
    Revocations,
}

/// What a command that did its work says.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) text: String,
    pub(crate) exit_code: ExitCode,
}

impl From<String> for Said {
    fn from(text: String) -> Self {
        Self { text, exit_code: ExitCode::SUCCESS }
    }
}

/// Why a command did not do what it should.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Exit 2.
    Configuration(Vec<ConfigError>),
    /// Exit 2.
    Usage(String),
    /// Exit 1.
    Other(String),
}

impl Failure {
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Configuration(_) | Self::Usage(_) => ExitCode::from(2),
            Self::Other(_) => ExitCode::FAILURE,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configuration(errors) => errors.iter().try_for_each(|error| writeln!(f, "{error}")),
            Self::Usage(why) | Self::Other(why) => writeln!(f, "portcullis: {why}"),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(why: io::Error) -> Self {
        Self::Other(why.to_string())
    }
}

impl From<StartError> for Failure {
    fn from(why: StartError) -> Self {
        Self::Other(why.to_string())
    }
}

/// The route of this name.
fn route<'c>(config: &'c Config, name: &str) -> Result<&'c RouteConfig, Failure> {
    config.routes.iter().find(|route| route.name.as_str() == name).ok_or_else(|| {
        let names: Vec<&str> = config.routes.iter().map(|route| route.name.as_str()).collect();
        Failure::Usage(format!("no route is called {name:?}; the configuration has {}", names.join(", ")))
    })
}

/// The JSON Schema of a file.
pub(crate) fn schema(of: Document) -> String {
    let schema = match of {
        Document::Gateway => portcullis::config::schema::gateway(),
        Document::Revocations => portcullis::config::schema::revocations(),
    };
    format!("{schema:#}\n")
}

/// A completion script.
pub(crate) fn completions(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "portcullis", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}
