//! Log set-up: one line per event on standard output, written by a thread of its own: whoever logs waits for nobody.

use std::io::{self, IsTerminal as _, Write};
use std::sync::OnceLock;

use tracing::level_filters::LevelFilter;
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{Layer, fmt};

use crate::config::watching::AuditSink;
use crate::config::{Config, LogFormat};

/// Lines that may wait, each about half a KiB. Over it lines are lost, and counted.
const MAX_WAITING: usize = 8192;

static LOST: OnceLock<ErrorCounter> = OnceLock::new();

/// Writes what waits when it is dropped.
#[derive(Debug)]
pub struct LogGuard(#[expect(dead_code, reason = "held for its end")] WorkerGuard);

/// Installs the log for the whole process. Libraries below speak only from `warn` on. Where the audit stream has standard
/// output, the log goes to standard error.
pub fn init(config: &Config) -> Result<LogGuard, TryInitError> {
    let log = &config.log;
    let audit_on_stdout = config.audit.as_ref().is_some_and(|audit| audit.sink == AuditSink::Stdout);
    let output: Box<dyn Write + Send> = if audit_on_stdout { Box::new(io::stderr()) } else { Box::new(io::stdout()) };
    let is_terminal = if audit_on_stdout { io::stderr().is_terminal() } else { io::stdout().is_terminal() };
    let (writer, guard) = NonBlockingBuilder::default().lossy(true).buffered_lines_limit(MAX_WAITING).finish(output);
    LOST.get_or_init(|| writer.error_counter());
    let level = LevelFilter::from_level(log.level);
    let filter = Targets::new()
        .with_default(LevelFilter::WARN.min(level))
        .with_target("portcullis", level)
        // What fails on the way to the collector is told by us, once a minute.
        .with_target("opentelemetry", LevelFilter::OFF);
    let lines = match log.format {
        LogFormat::Json => fmt::layer().json().flatten_event(true).with_writer(writer).boxed(),
        LogFormat::Text => fmt::layer().compact().with_ansi(is_terminal).with_writer(writer).boxed(),
    };
    tracing_subscriber::registry().with(lines.with_filter(filter)).try_init()?;
    Ok(LogGuard(guard))
}

/// Lines that were lost because nobody read them.
pub(crate) fn lost_lines() -> usize {
    LOST.get().map_or(0, ErrorCounter::dropped_lines)
}
