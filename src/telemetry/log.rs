//! Log set-up: one line per event on standard output.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{Layer, fmt};

use crate::config::{Log, LogFormat};

/// Installs the log for the whole process. Libraries below speak only from `warn` on.
pub fn init(log: &Log) -> Result<(), TryInitError> {
    let level = LevelFilter::from_level(log.level);
    let filter = Targets::new().with_default(LevelFilter::WARN.min(level)).with_target("portcullis", level);
    let lines = match log.format {
        LogFormat::Json => fmt::layer().json().flatten_event(true).boxed(),
        LogFormat::Text => fmt::layer().compact().boxed(),
    };
    tracing_subscriber::registry().with(lines.with_filter(filter)).try_init()
}
