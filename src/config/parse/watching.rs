//! `[audit]`, `[telemetry]`, `[detection]`, `[revocations]` and a route's `hours`.

use std::num::NonZeroU32;
use std::path::PathBuf;

use http::{HeaderName, HeaderValue};
use jiff::tz::TimeZone;

use super::super::read::item::{Item, Seen, Text};
use super::super::read::shape::{Key, Shape, words};
use super::super::read::table::Table;
use super::super::watching::{
    AuditConfig, AuditSink, Blocks, Chain, DetectionConfig, Hours, OnFailure, Secret, Subjects, TelemetryConfig,
};
use super::{bounds, listen, url};

pub(super) const AUDIT_KEYS: &[Key] = &[
    Key::of("sink", Shape::Word(|| SINKS.into())).required(),
    Key::of("file", Shape::Text),
    Key::of("socket", Shape::Text),
    Key::of("subjects", Shape::Word(|| SUBJECTS.into())),
    Key::of("subject_key", Shape::Text),
    Key::of("chain", Shape::Flag),
    Key::of("chain_key", Shape::Text),
    Key::of("on_failure", Shape::Word(|| words(ON_FAILURE))),
    Key::of("queue", Shape::Count(&bounds::AUDIT_QUEUE)),
];
pub(super) const TELEMETRY_KEYS: &[Key] = &[
    Key::of("endpoint", Shape::Text),
    Key::of("ca", Shape::Text),
    Key::of("headers", Shape::Free(&Shape::Text)),
    Key::of("traces", Shape::Flag),
    Key::of("metrics", Shape::Flag),
    Key::of("sample_ratio", Shape::Ratio),
    Key::of("interval", Shape::Wait(&bounds::TELEMETRY_INTERVAL)),
    Key::of("timeout", Shape::Wait(&bounds::TELEMETRY_TIMEOUT)),
    Key::of("service_name", Shape::Text),
    Key::of("attributes", Shape::Free(&Shape::Text)),
];
pub(super) const DETECTION_KEYS: &[Key] = &[
    Key::of("window", Shape::Wait(&bounds::DETECTION_WINDOW)),
    Key::of("failures_per_address", Shape::Count(&bounds::SUSPICIOUS_FAILURES)),
    Key::of("failures_per_client", Shape::Count(&bounds::SUSPICIOUS_FAILURES)),
    Key::of("foreign_tenants", Shape::Count(&bounds::SUSPICIOUS_FOREIGN)),
    Key::of("foreign_sessions", Shape::Count(&bounds::SUSPICIOUS_FOREIGN)),
    Key::of("unknown_keys", Shape::Count(&bounds::SUSPICIOUS_FAILURES)),
    Key::of("step_ups", Shape::Count(&bounds::SUSPICIOUS_STEP_UPS)),
    Key::of("block", Shape::Words(|| BLOCKED.into())),
    Key::of("block_time", Shape::Wait(&bounds::BLOCK_TIME)),
    Key::of("never_block", Shape::Texts),
];
pub(super) const REVOCATIONS_KEYS: &[Key] = &[Key::of("file", Shape::Text).required()];
pub(super) const HOURS_KEYS: &[Key] = &[
    Key::of("days", Shape::Words(|| DAYS.into())),
    Key::of("from", Shape::Text).required(),
    Key::of("to", Shape::Text).required(),
    Key::of("timezone", Shape::Text).required(),
];
const SINKS: [&str; 3] = ["file", "stdout", "syslog"];
const SUBJECTS: [&str; 3] = ["clear", "hashed", "omitted"];
const ON_FAILURE: &[(&str, OnFailure)] = &[("deny", OnFailure::Deny), ("drop", OnFailure::Drop)];
const BLOCKED: [&str; 2] = ["address", "client"];

/// A key shorter than this is a password.
const LEAST_KEY_BYTES: usize = 32;
const SYSLOG: &str = "/dev/log";
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// `None`: no such table, or something is wrong with it, which is reported.
pub(super) fn audit(root: &Table<'_>) -> Option<AuditConfig> {
    let table = root.get("audit")?.table(AUDIT_KEYS)?;
    let sink = audit_sink(&table);
    let subjects = subjects(&table);
    let chain = chain(&table);
    let on_failure = table.get("on_failure").and_then(Item::text).and_then(|text| text.choose(ON_FAILURE));
    let queue = table.count("queue", &bounds::AUDIT_QUEUE);
    Some(AuditConfig {
        sink: sink?,
        subjects: subjects?,
        chain: chain?,
        on_failure: on_failure.unwrap_or(OnFailure::Deny),
        queue: usize::try_from(queue).unwrap_or(usize::MAX),
    })
}

fn audit_sink(table: &Table<'_>) -> Option<AuditSink> {
    let path = |key: &str| -> Option<PathBuf> { table.get(key)?.text()?.path() };
    let (file, socket) = (path("file"), path("socket"));
    let sink = table.need("sink").and_then(Item::text)?;
    let sink = sink.choose(&SINKS.map(|word| (word, word)))?;
    for (key, of) in [("file", "file"), ("socket", "syslog")] {
        if sink != of && table.get(key).is_some() {
            table.error(key, &format!("is of use only with sink = \"{of}\""));
        }
    }
    match sink {
        "file" if table.get("file").is_none() => {
            table.missing("file", "is required with sink = \"file\"");
            None
        }
        "file" => file.map(AuditSink::File),
        "stdout" => Some(AuditSink::Stdout),
        _ => Some(AuditSink::Syslog(socket.unwrap_or_else(|| SYSLOG.into()))),
    }
}

fn subjects(table: &Table<'_>) -> Option<Subjects> {
    let key = table.get("subject_key").and_then(Item::text).and_then(|text| secret(&text));
    let word = match table.get("subjects") {
        None => "clear",
        Some(item) => item.text()?.choose(&SUBJECTS.map(|word| (word, word)))?,
    };
    match (word, table.get("subject_key").is_some()) {
        ("hashed", true) => key.map(Subjects::Hashed),
        ("hashed", false) => {
            table.missing("subject_key", "is required with subjects = \"hashed\"");
            None
        }
        (_, true) => {
            table.error("subject_key", "is of use only with subjects = \"hashed\"");
            None
        }
        ("omitted", false) => Some(Subjects::Omitted),
        _ => Some(Subjects::Clear),
    }
}

fn chain(table: &Table<'_>) -> Option<Chain> {
    let key = table.get("chain_key").and_then(Item::text).map(|text| secret(&text));
    match (table.flag("chain"), key) {
        (false, None) => Some(Chain::None),
        (false, Some(_)) => {
            table.error("chain_key", "is of use only with chain = true");
            None
        }
        (true, None) => Some(Chain::Plain),
        (true, Some(key)) => key.map(Chain::Keyed),
    }
}

/// Messages never quote the text.
fn secret(text: &Text<'_>) -> Option<Secret> {
    let written = text.as_str();
    if written.len() < LEAST_KEY_BYTES {
        return text.error("must be at least 32 characters, such as `openssl rand -base64 32` writes");
    }
    Some(Secret(written.to_owned()))
}

/// What the file says wins over the variables of OpenTelemetry. Without either, nothing is sent.
pub(super) fn telemetry(root: &Table<'_>) -> Option<TelemetryConfig> {
    let off = |name: &str, word: &str| root.variable(name).is_some_and(|value| value.eq_ignore_ascii_case(word));
    let named = root.variable("OTEL_EXPORTER_OTLP_ENDPOINT");
    let table = match root.get("telemetry") {
        Some(item) => Some(item.table(TELEMETRY_KEYS)?),
        None => None,
    };
    if off("OTEL_SDK_DISABLED", "true") || (table.is_none() && named.is_none()) {
        return None;
    }
    let get = |key: &str| table.as_ref().and_then(|table| table.get(key));
    let endpoint = endpoint(root, table.as_ref(), named);
    let switch = |key, variable| get(key).and_then(|item| item.boolean()).unwrap_or_else(|| !off(variable, "none"));
    let wait = |key, bound: &super::super::read::units::Bound<_>| {
        table.as_ref().map_or(bound.default, |table| table.duration(key, bound))
    };
    let name = get("service_name").and_then(Item::text).map(|text| text.as_str().to_owned());
    let ratio = get("sample_ratio").map_or_else(|| Some(sampled(root)), |item| item.ratio());
    let ca = get("ca").and_then(|item| item.text()?.path());
    let headers = get("headers").and_then(|item| headers(&item)).unwrap_or_default();
    let attributes = get("attributes").and_then(|item| attributes(&item)).unwrap_or_default();
    let (traces, metrics) = (switch("traces", "OTEL_TRACES_EXPORTER"), switch("metrics", "OTEL_METRICS_EXPORTER"));
    let (interval, timeout) =
        (wait("interval", &bounds::TELEMETRY_INTERVAL), wait("timeout", &bounds::TELEMETRY_TIMEOUT));
    let service_name = name.or_else(|| root.variable("OTEL_SERVICE_NAME")).unwrap_or_else(|| "portcullis".into());
    let (endpoint, sample_ratio) = (endpoint?, ratio?);
    Some(TelemetryConfig {
        endpoint,
        ca,
        headers,
        traces,
        metrics,
        sample_ratio,
        interval,
        timeout,
        service_name,
        attributes,
    })
}

fn endpoint(root: &Table<'_>, table: Option<&Table<'_>>, variable: Option<String>) -> Option<::url::Url> {
    match (table.and_then(|table| table.get("endpoint")), variable) {
        (Some(item), _) => item.text().and_then(|text| url::web(&text)),
        (None, Some(named)) => {
            let found = ::url::Url::parse(&named).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
            found.or_else(|| {
                root.error("telemetry", "OTEL_EXPORTER_OTLP_ENDPOINT must be an http:// or https:// URL");
                None
            })
        }
        (None, None) => {
            if let Some(table) = table {
                table.missing("endpoint", "is required, here or in OTEL_EXPORTER_OTLP_ENDPOINT");
            }
            None
        }
    }
}

/// `OTEL_TRACES_SAMPLER` and its argument, of those that say which part of the traces is sampled.
fn sampled(root: &Table<'_>) -> f64 {
    let ratio = || root.variable("OTEL_TRACES_SAMPLER_ARG").and_then(|text| text.parse::<f64>().ok());
    match root.variable("OTEL_TRACES_SAMPLER").as_deref() {
        Some("always_off" | "parentbased_always_off") => 0.0,
        Some("traceidratio" | "parentbased_traceidratio") => {
            ratio().filter(|ratio| (0.0..=1.0).contains(ratio)).unwrap_or(1.0)
        }
        Some(_) | None => 1.0,
    }
}

fn headers(item: &Item<'_>) -> Option<Vec<(HeaderName, HeaderValue)>> {
    let header = |(name, item): (&str, Item<'_>)| {
        let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else {
            return item.error("is no header field's name");
        };
        let text = item.text()?;
        let Some(mut value) = HeaderValue::from_str(text.as_str()).ok().filter(|value| !value.is_empty()) else {
            return text.error("must be a header field's value: not empty, no line breaks or control characters");
        };
        value.set_sensitive(true);
        Some((name, value))
    };
    Some(item.free_table()?.items().filter_map(header).collect())
}

fn attributes(item: &Item<'_>) -> Option<Vec<(String, String)>> {
    let attribute = |(name, item): (&str, Item<'_>)| Some((name.to_owned(), item.text()?.as_str().to_owned()));
    Some(item.free_table()?.items().filter_map(attribute).collect())
}

/// The defaults without the table: what is suspicious is always said.
pub(super) fn detection(root: &Table<'_>) -> DetectionConfig {
    let table = root.get("detection").and_then(|item| item.table(DETECTION_KEYS));
    let count = |key, bound: &super::super::read::units::Bound<u32>| {
        let count = table.as_ref().map_or(bound.default, |table| table.count(key, bound));
        NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN)
    };
    let wait = |key, bound: &super::super::read::units::Bound<_>| {
        table.as_ref().map_or(bound.default, |table| table.duration(key, bound))
    };
    let texts = |key: &str| table.as_ref().and_then(|table| table.get(key)?.texts()).unwrap_or_default();
    let mut seen = Seen::default();
    let blocked: Vec<&str> = texts("block")
        .iter()
        .filter_map(|text| text.choose(&BLOCKED.map(|word| (word, word))).filter(|_| text.is_new(&mut seen)))
        .collect();
    DetectionConfig {
        window: wait("window", &bounds::DETECTION_WINDOW),
        failures_per_address: count("failures_per_address", &bounds::SUSPICIOUS_FAILURES),
        failures_per_client: count("failures_per_client", &bounds::SUSPICIOUS_FAILURES),
        foreign_tenants: count("foreign_tenants", &bounds::SUSPICIOUS_FOREIGN),
        foreign_sessions: count("foreign_sessions", &bounds::SUSPICIOUS_FOREIGN),
        unknown_keys: count("unknown_keys", &bounds::SUSPICIOUS_FAILURES),
        step_ups: count("step_ups", &bounds::SUSPICIOUS_STEP_UPS),
        block: Blocks {
            addresses: blocked.contains(&"address"),
            clients: blocked.contains(&"client"),
            time: wait("block_time", &bounds::BLOCK_TIME),
        },
        never_block: texts("never_block").iter().filter_map(listen::network).collect(),
    }
}

pub(super) fn revocations(root: &Table<'_>) -> Option<PathBuf> {
    root.get("revocations")?.table(REVOCATIONS_KEYS)?.need("file")?.text()?.path()
}

pub(super) fn hours(route: &Table<'_>) -> Option<Hours> {
    let table = route.get("hours")?.table(HOURS_KEYS)?;
    let zone = table.need("timezone").and_then(Item::text).and_then(|text| {
        let found = TimeZone::get(text.as_str()).ok();
        found.or_else(|| text.error("must be a time zone such as \"Europe/Berlin\" or \"UTC\""))
    });
    let minute = |key| table.need(key).and_then(Item::text).and_then(|text| minute(&text));
    let (from, to) = (minute("from"), minute("to"));
    let days = match table.get("days") {
        None => Some([true; 7]),
        Some(item) => days(&item),
    };
    Some(Hours { days: days?, from: from?, to: to?, timezone: zone? })
}

fn days(item: &Item<'_>) -> Option<[bool; 7]> {
    let choices: Vec<(&str, usize)> = DAYS.iter().enumerate().map(|(index, day)| (*day, index)).collect();
    let mut days = [false; 7];
    for text in item.texts()? {
        if let Some(day) = text.choose(&choices).and_then(|index| days.get_mut(index)) {
            *day = true;
        }
    }
    if days.contains(&true) { Some(days) } else { item.error("must name at least one day") }
}

/// `"07:30"`, `"24:00"` for the day's end.
fn minute(text: &Text<'_>) -> Option<u16> {
    let read = |written: &str| -> Option<u16> {
        let (hours, minutes) = written.split_once(':').filter(|(h, m)| h.len() == 2 && m.len() == 2)?;
        let (hours, minutes) = (hours.parse::<u16>().ok()?, minutes.parse::<u16>().ok()?);
        Some(hours * 60 + minutes).filter(|minute| minutes < 60 && *minute <= 24 * 60)
    };
    read(text.as_str()).or_else(|| text.error("must be a time of day such as \"07:30\""))
}
