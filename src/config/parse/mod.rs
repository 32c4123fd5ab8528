//! Document → [`Config`], one file per noun. Reads everything before it gives up, so that every mistake is reported.

mod bounds;
mod identity;
mod issuer;
mod limit;
mod listen;
mod resource;
mod route;
mod upstream;
mod url;

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::Path;

use toml::de::DeTable;

use super::read::Report;
use super::read::expand::Sources;
use super::read::item::Item;
use super::read::table::Table;
use super::{Config, ConfigError, Log, LogFormat};

/// The tables of a file.
const KEYS: &[&str] = &["listen", "admin", "log", "issuers", "routes"];
/// Loopback: what it serves is for the machine's own probes.
const ADMIN: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 9090));

pub(crate) fn parse(text: &str, file: &Path, sources: &Sources<'_>) -> Result<Config, Vec<ConfigError>> {
    let (document, syntax) = DeTable::parse_recoverable(text);
    let report = Report::new(file, text, sources, &syntax);
    let config = read(&Table::root(&report, document.get_ref(), KEYS));
    report.finish(config)
}

fn read(root: &Table<'_>) -> Option<Config> {
    let listen = root.need("listen").and_then(|item| listen::read(&item));
    let admin = admin(root);
    let log = log(root);
    let issuers = issuer::read_all(root);
    let plaintext = listen.as_ref().is_some_and(|listen| listen.tls.is_none());
    let routes = route::read_all(root, &issuers, plaintext);
    let listen = listen?;
    if admin == listen.address && admin.port() != 0 {
        root.error("admin", "address must not be the public listener's");
    }
    Some(Config {
        listen,
        admin,
        log,
        issuers: issuers.into_iter().map(|known| known.config).collect::<Option<_>>()?,
        routes: routes?,
    })
}

fn admin(root: &Table<'_>) -> SocketAddr {
    let address = root.get("admin").and_then(|item| item.table(&["address"])).and_then(|table| table.get("address"));
    address.and_then(|item| listen::address(item)).unwrap_or(ADMIN)
}

fn log(root: &Table<'_>) -> Log {
    let table = root.get("log").and_then(|item| item.table(&["format", "level"]));
    let text = |key| table.as_ref().and_then(|table| table.get(key)).and_then(Item::text);
    let formats = [("json", LogFormat::Json), ("text", LogFormat::Text)];
    let levels = [
        ("error", tracing::Level::ERROR),
        ("warn", tracing::Level::WARN),
        ("info", tracing::Level::INFO),
        ("debug", tracing::Level::DEBUG),
        ("trace", tracing::Level::TRACE),
    ];
    Log {
        format: text("format").and_then(|text| text.choose(&formats)).unwrap_or(LogFormat::Json),
        level: text("level").and_then(|text| text.choose(&levels)).unwrap_or(tracing::Level::INFO),
    }
}
