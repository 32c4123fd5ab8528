//! What the gateway logs: every event of this process as JSON, found by its fields.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::sync::{Mutex, OnceLock};

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

use super::eventually;

/// More than all tests together write; older lines are dropped.
const MOST_LINES: usize = 100_000;

static LINES: Mutex<VecDeque<Line>> = Mutex::new(VecDeque::new());

/// One logged event.
#[derive(Debug, Clone)]
pub(crate) struct Line(Map<String, Value>);

impl Line {
    /// A field as text; empty when it is absent.
    pub(crate) fn text(&self, field: &str) -> String {
        match self.0.get(field) {
            None => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        }
    }

    /// The whole event as JSON.
    pub(crate) fn json(&self) -> String {
        Value::Object(self.0.clone()).to_string()
    }
}

/// Starts collecting; further calls do nothing.
pub(crate) fn collect() {
    static STARTED: OnceLock<()> = OnceLock::new();
    STARTED.get_or_init(|| {
        let ours = Targets::new().with_target("portcullis", LevelFilter::DEBUG);
        let subscriber = tracing_subscriber::registry().with(Collector.with_filter(ours));
        tracing::subscriber::set_global_default(subscriber).unwrap();
    });
}

/// The line of the request with this id.
pub(crate) async fn of_request(id: &str) -> Line {
    let wanted = |line: &Line| line.text("request_id") == id && !line.text("event").is_empty();
    first(&format!("a log line of request {id}"), wanted).await
}

/// The line of the request that carried the token with this `jti`: for requests that got no answer.
pub(crate) async fn of_token(id: &str) -> Line {
    first(&format!("a log line of token {id}"), |line| line.text("jti") == id).await
}

/// The first line that is as wanted.
pub(crate) async fn first(what: &str, wanted: impl Fn(&Line) -> bool) -> Line {
    eventually(what, || LINES.lock().unwrap().iter().find(|line| wanted(line)).cloned()).await
}

/// Every line so far that is as wanted.
pub(crate) fn all(wanted: impl Fn(&Line) -> bool) -> Vec<Line> {
    LINES.lock().unwrap().iter().filter(|line| wanted(line)).cloned().collect()
}

struct Collector;

impl<S: Subscriber> Layer<S> for Collector {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields(Map::new());
        fields.0.insert("level".into(), event.metadata().level().as_str().into());
        event.record(&mut fields);
        let mut lines = LINES.lock().unwrap();
        lines.push_back(Line(fields.0));
        if lines.len() > MOST_LINES {
            lines.pop_front();
        }
    }
}

struct Fields(Map<String, Value>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name().into(), format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().into(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().into(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().into(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().into(), value.into());
    }
}
