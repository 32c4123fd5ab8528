//! Log set-up: one line per event on standard output, written by a thread of its own: whoever logs waits for nobody.

use std::io::{self, IsTerminal as _, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{Layer, fmt};

use crate::config::watching::AuditSink;
use crate::config::{Config, LogFormat};
use crate::spool::{Batch, Spool};

use super::json::JsonLines;

/// Lines that may wait, each about half a KiB. Over it lines are lost, and counted.
const MAX_WAITING: usize = 8192;
/// At the end of the process: for what waits to go out, if anybody reads it.
const LAST_WORDS: Duration = Duration::from_secs(1);

static OUTPUT: OnceLock<Arc<Output>> = OnceLock::new();

/// Where lines go.
#[derive(Debug)]
pub(super) struct Output {
    spool: Spool,
    lost: AtomicUsize,
}

/// Writes what waits when it is dropped.
#[derive(Debug)]
pub struct LogGuard(Arc<Output>);

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The process has one already.
    #[error("{0}")]
    Twice(#[from] TryInitError),
    /// No thread could be started to write it.
    #[error("the log's thread: {0}")]
    Thread(#[from] io::Error),
}

/// Installs the log for the whole process. Libraries below speak only from `warn` on. Where the audit stream has standard
/// output, the log goes to standard error.
pub fn init(config: &Config) -> Result<LogGuard, InitError> {
    let log = &config.log;
    let audit_on_stdout = config.audit.as_ref().is_some_and(|audit| audit.sink == AuditSink::Stdout);
    let file: Box<dyn Write + Send> = if audit_on_stdout { Box::new(io::stderr()) } else { Box::new(io::stdout()) };
    let is_terminal = if audit_on_stdout { io::stderr().is_terminal() } else { io::stdout().is_terminal() };
    let output = Output::open(file)?;
    OUTPUT.get_or_init(|| Arc::clone(&output));
    let level = LevelFilter::from_level(log.level);
    let filter = Targets::new()
        .with_default(LevelFilter::WARN.min(level))
        .with_target("portcullis", level)
        // What fails on the way to the collector is told by us, once a minute.
        .with_target("opentelemetry", LevelFilter::OFF);
    let lines = match log.format {
        LogFormat::Json => JsonLines(Arc::clone(&output)).boxed(),
        LogFormat::Text => {
            let writer = Arc::clone(&output);
            fmt::layer().compact().with_ansi(is_terminal).with_writer(move || TextLine(Arc::clone(&writer))).boxed()
        }
    };
    tracing_subscriber::registry().with(lines.with_filter(filter)).try_init()?;
    Ok(LogGuard(output))
}

/// Lines that were lost because nobody read them.
pub(crate) fn lost_lines() -> usize {
    OUTPUT.get().map_or(0, |output| output.lost.load(Ordering::Relaxed))
}

impl Output {
    fn open(mut file: impl Write + Send + 'static) -> io::Result<Arc<Self>> {
        let output = Arc::new(Self { spool: Spool::new(MAX_WAITING), lost: AtomicUsize::new(0) });
        let source = Arc::clone(&output);
        let write = move || {
            let mut batch = Batch::default();
            while source.spool.take(&mut batch) {
                if file.write_all(&batch.lines).and_then(|()| file.flush()).is_err() {
                    source.lost.fetch_add(batch.count, Ordering::Relaxed);
                }
                source.spool.written(&mut batch);
            }
        };
        std::thread::Builder::new().name("log".into()).spawn(write)?;
        Ok(output)
    }

    /// One line, without its end.
    pub(super) fn line(&self, line: &[u8]) {
        if !self.spool.push(line) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        self.0.spool.ask().recv_timeout(LAST_WORDS).unwrap_or_default();
    }
}

/// The formatter for people hands over each line in one piece.
struct TextLine(Arc<Output>);

impl Write for TextLine {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.line(line.strip_suffix(b"\n").unwrap_or(line));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
