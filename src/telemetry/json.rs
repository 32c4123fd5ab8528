//! An event as one line of JSON: time, level, the event's own fields, target. Hundreds of thousands of them a minute are written, so
//! nothing is built first: each field goes straight into the line.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use crate::spool::with_line;
use crate::text::Object;

use super::log::Output;

/// Writes every event to the log's output.
pub(super) struct JsonLines(pub(super) Arc<Output>);

impl<S: Subscriber> Layer<S> for JsonLines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        with_line(|line| {
            write(event, SystemTime::now(), line);
            self.0.line(line);
        });
    }
}

fn write(event: &Event<'_>, now: SystemTime, line: &mut Vec<u8>) {
    let metadata = event.metadata();
    let mut object = Object::begin(line);
    object.time("timestamp", now);
    object.text("level", metadata.level().as_str());
    event.record(&mut Fields(&mut object));
    object.text("target", metadata.target());
    object.end();
}

/// The event's own fields as members of the object.
struct Fields<'a, 'l>(&'a mut Object<'l>);

impl Visit for Fields<'_, '_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.float(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.number(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.number(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.truth(field.name(), value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.text(field.name(), value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.0.shown(field.name(), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.shown(field.name(), format_args!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    /// What [`write`] makes of the events at one fixed time.
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl<S: Subscriber> Layer<S> for Kept {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let time = SystemTime::UNIX_EPOCH + Duration::from_micros(1_795_766_399_000_042);
            let mut line = Vec::new();
            write(event, time, &mut line);
            self.0.lock().unwrap().extend(line);
        }
    }

    fn written(log: impl FnOnce()) -> String {
        let kept = Arc::default();
        let subscriber = tracing_subscriber::registry().with(Kept(Arc::clone(&kept)));
        tracing::subscriber::with_default(subscriber, log);
        String::from_utf8(kept.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn a_line_has_time_level_fields_in_their_order_and_target() {
        let none: Option<&str> = None;
        let line = written(|| {
            tracing::warn!(target: "t", event = "e", number = 7_u64, less = -1, part = 0.5, yes = true, none, "words \"said\"");
        });
        assert_eq!(
            line,
            "{\"timestamp\":\"2026-11-27T07:59:59.000042Z\",\"level\":\"WARN\",\"message\":\"words \\\"said\\\"\",\"event\":\"e\",\
             \"number\":7,\"less\":-1,\"part\":0.5,\"yes\":true,\"target\":\"t\"}"
        );
    }

    #[test]
    fn no_text_leaves_its_string_or_its_line() {
        let hostile = "a\"b\\c\r\nd\u{1b}[31m\u{7f}é\0";
        let error = std::io::Error::other(hostile);
        let line = written(|| {
            tracing::info!(plain = hostile, shown = %hostile, debugged = ?hostile, failed = &error as &(dyn Error + 'static));
        });
        assert!(line.bytes().all(|byte| byte >= b' '), "{line:?}");
        let object: serde_json::Value = serde_json::from_str(&line).unwrap();
        for field in ["plain", "shown", "failed"] {
            assert_eq!(object[field], hostile);
        }
        assert_eq!(object["debugged"], format!("{hostile:?}"));
    }
}
