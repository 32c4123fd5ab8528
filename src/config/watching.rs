//! How a gateway is watched: its audit stream, its telemetry, what counts as suspicious, what is revoked.

use std::fmt;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use http::{HeaderName, HeaderValue};
use ipnet::IpNet;
use jiff::Timestamp;
use url::Url;

/// A text that no output holds.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// `[audit]`: one JSON object per decision, on a stream of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditConfig {
    /// Where the records go.
    pub sink: AuditSink,
    /// What they say of subjects.
    pub subjects: Subjects,
    /// Whether a removed or changed line can be found out.
    pub chain: Chain,
    /// What happens to requests whose record cannot be written.
    pub on_failure: OnFailure,
    /// Records that may wait for the sink.
    pub queue: usize,
}

/// Where audit records go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuditSink {
    /// A file, opened again on SIGHUP.
    File(PathBuf),
    /// Standard output; the log goes to standard error then.
    Stdout,
    /// A datagram socket that speaks RFC 5424's older relative, such as `/dev/log`.
    Syslog(PathBuf),
}

/// What audit records say of subjects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subjects {
    /// As the token names them.
    Clear,
    /// HMAC-SHA-256 under this key: the same subject is the same text, nobody else can tell who.
    Hashed(Secret),
    /// Nothing.
    Omitted,
}

/// Whether a removed or changed line of the audit stream can be found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chain {
    /// No.
    None,
    /// Each line holds the SHA-256 of the line before: evident to whoever keeps the last one elsewhere.
    Plain,
    /// Each line holds an HMAC under this key: evident to whoever has the key.
    Keyed(Secret),
}

/// What happens to requests whose audit record cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// They are refused (503) until it can.
    Deny,
    /// They go on; lost records are counted.
    Drop,
}

/// `[telemetry]`: traces and metrics by OTLP (HTTP, protobuf).
#[derive(Debug, Clone, PartialEq)]
pub struct TelemetryConfig {
    /// The collector; `/v1/traces` and `/v1/metrics` are appended.
    pub endpoint: Url,
    /// PEM file with a further trust anchor.
    pub ca: Option<PathBuf>,
    /// Fixed header fields, for a credential; values are marked sensitive.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Whether traces are sent.
    pub traces: bool,
    /// Whether metrics are sent.
    pub metrics: bool,
    /// Which part of the traces that begin here are sampled, 0 to 1; those that come in sampled always are.
    pub sample_ratio: f64,
    /// Between two deliveries of metrics.
    pub interval: Duration,
    /// One delivery.
    pub timeout: Duration,
    /// `service.name`.
    pub service_name: String,
    /// Further resource attributes.
    pub attributes: Vec<(String, String)>,
}

/// `[detection]`: how often in a window makes suspicious.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DetectionConfig {
    /// The window of all counts.
    pub window: Duration,
    /// Failed authentications from one address (IPv6: one /64).
    pub failures_per_address: NonZeroU32,
    /// Refusals of one verified client: foreign session, denied by a rule.
    pub failures_per_client: NonZeroU32,
    /// Good tokens of another tenant, from one address (IPv6: one /64).
    pub foreign_tenants: NonZeroU32,
    /// Another principal's session, by one caller.
    pub foreign_sessions: NonZeroU32,
    /// Tokens that name unknown keys, from one address.
    pub unknown_keys: NonZeroU32,
    /// Step-up challenges in a row, to one caller.
    pub step_ups: NonZeroU32,
    /// What is refused for a while once it is suspicious.
    pub block: Blocks,
    /// Networks that are never blocked.
    pub never_block: Vec<IpNet>,
}

/// What suspicion leads to, besides being said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blocks {
    /// Requests from the address are refused.
    pub addresses: bool,
    /// Requests of the verified client are refused.
    pub clients: bool,
    /// For so long.
    pub time: Duration,
}

/// When a route is expected to be used; use at other times is suspicious, not refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hours {
    /// The days, Monday first.
    pub days: [bool; 7],
    /// From this minute of the day …
    pub from: u16,
    /// … to before this one; past midnight when it is not later than `from`.
    pub to: u16,
    /// Whose clock.
    pub timezone: jiff::tz::TimeZone,
}

impl Hours {
    /// True when this moment is within them. A night that began on one of the days belongs to that day.
    pub fn hold(&self, at: SystemTime) -> bool {
        let Ok(at) = Timestamp::try_from(at) else { return false };
        let at = at.to_zoned(self.timezone.clone());
        let minute = u16::try_from(i32::from(at.hour()) * 60 + i32::from(at.minute())).unwrap_or_default();
        let today = usize::try_from(at.weekday().to_monday_zero_offset()).unwrap_or_default();
        let is_on = |day: usize| self.days.get(day % self.days.len()).copied().unwrap_or_default();
        if self.from < self.to {
            return is_on(today) && (self.from..self.to).contains(&minute);
        }
        (is_on(today) && minute >= self.from) || (is_on(today + self.days.len() - 1) && minute < self.to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_follow_the_clock_of_their_place() {
        let hours = |days: [bool; 7], from: u16, to: u16| Hours {
            days,
            from: from * 60,
            to: to * 60,
            timezone: jiff::tz::TimeZone::get("Europe/Berlin").unwrap(),
        };
        let hold = |hours: &Hours, at: &str| hours.hold(at.parse::<Timestamp>().unwrap().into());
        let work = hours([true, true, true, true, true, false, false], 7, 19);
        // 2026-11-23 is a Monday; Berlin is an hour ahead in winter and two in summer.
        for (at, wanted) in [
            ("2026-11-23T06:00:00Z", true),
            ("2026-11-23T05:59:59Z", false),
            ("2026-11-23T17:59:59Z", true),
            ("2026-11-23T18:00:00Z", false),
            ("2026-11-22T12:00:00Z", false),
            ("2026-06-22T05:00:00Z", true),
            ("2026-06-22T17:00:00Z", false),
        ] {
            assert_eq!(hold(&work, at), wanted, "{at}");
        }
        let friday_night = hours([false, false, false, false, true, false, false], 22, 6);
        for (at, wanted) in [
            ("2026-11-27T21:00:00Z", true),
            ("2026-11-28T04:59:00Z", true),
            ("2026-11-28T05:00:00Z", false),
            ("2026-11-28T21:30:00Z", false),
            ("2026-11-27T04:00:00Z", false),
        ] {
            assert_eq!(hold(&friday_night, at), wanted, "{at}");
        }
        assert!(hold(&hours([true; 7], 0, 24), "2026-11-22T22:59:00Z"));
    }
}
