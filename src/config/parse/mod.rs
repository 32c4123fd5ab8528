//! Document → [`Config`], one file per noun. Reads everything before it gives up, so that every mistake is reported.

mod bounds;
mod identity;
mod implies;
mod issuer;
mod limit;
mod listen;
mod policy;
mod resource;
mod route;
mod sessions;
mod upstream;
pub(super) mod url;
mod watching;

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::Path;

use toml::de::DeTable;

use super::read::Report;
use super::read::expand::Sources;
use super::read::item::Item;
use super::read::shape::{Key, Shape, words};
use super::read::table::Table;
use super::{Config, ConfigError, Listen, Log, LogFormat};

/// The tables of a file.
pub(super) const KEYS: &[Key] = &[
    Key::of("listen", Shape::Table(listen::KEYS)).required(),
    Key::of("admin", Shape::Table(ADMIN_KEYS)),
    Key::of("log", Shape::Table(LOG_KEYS)),
    Key::of("audit", Shape::Table(watching::AUDIT_KEYS)),
    Key::of("telemetry", Shape::Table(watching::TELEMETRY_KEYS)),
    Key::of("detection", Shape::Table(watching::DETECTION_KEYS)),
    Key::of("revocations", Shape::Table(watching::REVOCATIONS_KEYS)),
    Key::of("sessions", Shape::Table(sessions::KEYS)),
    Key::of("issuers", Shape::Tables(issuer::KEYS)).required(),
    Key::of("routes", Shape::Tables(route::KEYS)).required(),
];
const ADMIN_KEYS: &[Key] = &[Key::of("address", Shape::Text)];
const LOG_KEYS: &[Key] = &[
    Key::of("format", Shape::Word(|| words(FORMATS))),
    Key::of("level", Shape::Word(|| words(LEVELS))),
    Key::of("every_refusal", Shape::Flag),
    Key::of("served", Shape::Flag),
];
const FORMATS: &[(&str, LogFormat)] = &[("json", LogFormat::Json), ("text", LogFormat::Text)];
const LEVELS: &[(&str, tracing::Level)] = &[
    ("error", tracing::Level::ERROR),
    ("warn", tracing::Level::WARN),
    ("info", tracing::Level::INFO),
    ("debug", tracing::Level::DEBUG),
    ("trace", tracing::Level::TRACE),
];
/// Loopback: what it serves is for the machine's own probes.
const ADMIN: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 9090));

pub(crate) fn parse(text: &str, file: &Path, sources: &Sources<'_>) -> Result<Config, Vec<ConfigError>> {
    let (document, syntax) = DeTable::parse_recoverable(text);
    let report = Report::new(file, text, sources, &syntax);
    let config = read(&Table::root(&report, document.get_ref(), KEYS), digest(text));
    report.finish(config)
}

/// 48 bits: enough to tell a person whether two gateways have the same file.
fn digest(text: &str) -> String {
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    let start = hash.as_ref().iter().take(6).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    format!("{start:012x}")
}

fn read(root: &Table<'_>, digest: String) -> Option<Config> {
    let listen = root.need("listen").and_then(|item| listen::read(&item));
    let admin = admin(root, listen.as_ref());
    let log = log(root);
    let session_keys = sessions::read(root);
    let (audit, telemetry) = (watching::audit(root), watching::telemetry(root));
    let (detection, revocations) = (watching::detection(root), watching::revocations(root));
    let issuers = issuer::read_all(root);
    let plaintext = listen.as_ref().is_some_and(|listen| listen.tls.is_none());
    let routes = route::read_all(root, &issuers, plaintext);
    Some(Config {
        listen: listen?,
        admin,
        log,
        session_keys: session_keys?,
        issuers: issuers.into_iter().map(|known| known.config).collect::<Option<_>>()?,
        routes: routes?,
        audit,
        telemetry,
        detection,
        revocations,
        digest,
        references: Vec::new(),
    })
}

fn admin(root: &Table<'_>, listen: Option<&Listen>) -> SocketAddr {
    let table = root.get("admin").and_then(|item| item.table(ADMIN_KEYS));
    let written = table.as_ref().and_then(|table| table.get("address")).and_then(listen::address);
    let address = written.unwrap_or(ADMIN);
    if listen.is_some_and(|listen| collide(listen.address, address)) {
        let message = "must not be the public listener's: health and metrics are not for the world";
        match table {
            Some(table) => table.error("address", message),
            None => root.error("admin", message),
        }
    }
    address
}

/// True when both cannot be bound, or are one listener.
fn collide(a: SocketAddr, b: SocketAddr) -> bool {
    let same_address = a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified();
    a.port() == b.port() && a.port() != 0 && same_address
}

fn log(root: &Table<'_>) -> Log {
    let table = root.get("log").and_then(|item| item.table(LOG_KEYS));
    let text = |key| table.as_ref().and_then(|table| table.get(key)).and_then(Item::text);
    Log {
        format: text("format").and_then(|text| text.choose(FORMATS)).unwrap_or(LogFormat::Json),
        level: text("level").and_then(|text| text.choose(LEVELS)).unwrap_or(tracing::Level::INFO),
        every_refusal: table.as_ref().is_some_and(|table| table.flag("every_refusal")),
        served: table.as_ref().and_then(|table| table.get("served")?.boolean()).unwrap_or(true),
    }
}
