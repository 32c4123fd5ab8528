//! The process edge: arguments in, exit codes out. The only place that talks to the terminal.

mod cli;

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser as _;
use portcullis::config::{Config, ConfigError};
use portcullis::server::{Followed, Gateway, Listeners};
use tokio::signal::unix::{SignalKind, signal};

use cli::{Arguments, Command, Failure, Said};

/// A request makes and frees some hundred small pieces of memory: this allocator does it in half the time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    portcullis::install_crypto();
    let arguments = Arguments::parse();
    let file = &arguments.config;
    let done = match arguments.command.unwrap_or_default() {
        Command::Run => run(file).map(Said::from),
        Command::Check => load(Config::check(file)).map(|config| cli::summary(&config, file).into()),
        Command::Explain(question) => {
            load(Config::load(file)).and_then(|config| cli::explain(&config, file, &question))
        }
        Command::Doctor(question) => load(Config::check(file)).and_then(|config| cli::doctor(&config, &question)),
        Command::Audit { audit: cli::Audit::Verify(question) } => cli::verify(&question, file),
        Command::Healthcheck => {
            load(Config::load(file)).and_then(|config| cli::healthcheck(config.admin)).map(Said::from)
        }
        Command::Schema { of } => Ok(cli::schema(of).into()),
        Command::Completions { shell } => Ok(cli::completions(shell).into()),
        #[cfg(feature = "demo")]
        Command::Demo { once } => demo(once).map(Said::from),
    };
    // A closed pipe is no failure: whoever closed it has read enough.
    match done {
        Ok(said) => {
            _ = std::io::stdout().write_all(said.text.as_bytes());
            said.exit_code
        }
        Err(failure) => {
            _ = std::io::stderr().write_all(failure.to_string().as_bytes());
            failure.exit_code()
        }
    }
}

fn load(loaded: Result<Config, Vec<ConfigError>>) -> Result<Config, Failure> {
    loaded.map_err(Failure::Configuration)
}

/// Serves until a signal: the first ends gracefully, the second at once.
fn run(file: &Path) -> Result<String, Failure> {
    portcullis::warm_up();
    let (config, files) = Followed::load(file);
    let config = load(config)?;
    let _log = portcullis::telemetry::init(&config).map_err(|error| Failure::Other(error.to_string()))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended = runtime.block_on(async {
        // Before the first socket: a signal that comes early must not kill half a start.
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let hangup = signal(SignalKind::hangup())?;
        let mut stop = async || tokio::select! { _ = terminate.recv() => (), _ = interrupt.recv() => () };
        let listeners = Listeners::bind(&config).await?;
        let gateway = Gateway::start(config, listeners).await?;
        gateway.follow(files, hangup);
        stop().await;
        tokio::select! {
            all_ended = gateway.shut_down() => all_ended.then(String::new).ok_or_else(cut_off),
            () = stop() => Err(Failure::Other("stopped at once by a second signal".into())),
        }
    });
    runtime.shutdown_background(); // a name that is still being looked up must not hold up the end
    ended
}

fn cut_off() -> Failure {
    Failure::Other("requests were cut off: they did not end within listen.shutdown_grace".into())
}

#[cfg(feature = "demo")]
fn demo(once: bool) -> Result<String, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let shown = runtime.block_on(portcullis::demo::run(once, &mut std::io::stdout()));
    shown.map(|()| String::new()).map_err(|error| Failure::Other(error.to_string()))
}
