//! Defaults and ranges of every setting that is a number, a size or a duration. None can be switched off (threat model:
//! every queue, map and wait has a limit), so no range holds zero.

use std::time::Duration;

use super::super::read::units::Bound;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
/// Shorter waits measure the scheduler, not the peer.
const SHORTEST: Duration = Duration::from_millis(10);

const fn wait(default: Duration, most: Duration) -> Bound<Duration> {
    Bound { default, least: SHORTEST, most }
}

const fn count(default: u32, most: u32) -> Bound<u32> {
    Bound { default, least: 1, most }
}

/// None: `preStop` of Kubernetes does the same. Longer than ten minutes is another deployment.
pub(super) const SHUTDOWN_DELAY: Bound<Duration> =
    Bound { default: Duration::ZERO, least: Duration::ZERO, most: Duration::from_mins(10) };
/// 30 s: what Kubernetes allows between SIGTERM and SIGKILL unless told otherwise.
pub(super) const SHUTDOWN_GRACE: Bound<Duration> = wait(Duration::from_secs(30), HOUR);

/// About 20 KiB each when idle; more than a million file descriptors is no sidecar.
pub(super) const CONNECTIONS: Bound<u32> = count(10_000, 1_000_000);
/// High enough for a company behind one address.
pub(super) const CONNECTIONS_PER_ADDRESS: Bound<u32> = count(1000, 1_000_000);
/// A handshake is two round trips.
pub(super) const TLS_TIMEOUT: Bound<Duration> = wait(Duration::from_secs(10), MINUTE);
/// Below 4 KiB real tokens do not fit; above 1 MiB a head is an attack.
pub(super) const HEADER_BYTES: Bound<u64> = Bound { default: 32 * 1024, least: 4 * 1024, most: 1024 * 1024 };
/// A head is one packet or two.
pub(super) const HEADER_TIMEOUT: Bound<Duration> = wait(Duration::from_secs(10), MINUTE);
/// Longer than clients keep a connection for reuse.
pub(super) const IDLE_TIMEOUT: Bound<Duration> = wait(MINUTE, HOUR);
/// A client that reads nothing holds a response in memory.
pub(super) const WRITE_TIMEOUT: Bound<Duration> = wait(Duration::from_secs(30), HOUR);
/// A tool call with an image in it.
pub(super) const BODY_BYTES: Bound<u64> = Bound { default: 4 * 1024 * 1024, least: 1024, most: 64 * 1024 * 1024 };
/// Sixty-four bodies of the default size; a sidecar's memory is not for bodies.
pub(super) const BUFFERED_BYTES: Bound<u64> =
    Bound { default: 256 * 1024 * 1024, least: 1024 * 1024, most: 64 * 1024 * 1024 * 1024 };
/// See `HEADER_TIMEOUT`; a body takes longer.
pub(super) const BODY_TIMEOUT: Bound<Duration> = wait(Duration::from_secs(30), HOUR);
/// What browsers and SDKs open at most.
pub(super) const STREAMS_PER_CONNECTION: Bound<u32> = count(100, 10_000);
/// One a second: a client with a wrong token retries slower.
pub(super) const FAILURES_PER_ADDRESS: Bound<u32> = count(60, 1_000_000);
/// See `FAILURES_PER_ADDRESS`.
pub(super) const FAILURE_WINDOW: Bound<Duration> = wait(MINUTE, HOUR);

/// NTP keeps clocks within milliseconds; more than five minutes lets expired tokens live.
pub(super) const LEEWAY: Bound<Duration> =
    Bound { default: Duration::from_secs(30), least: Duration::ZERO, most: Duration::from_mins(5) };
/// Below 100 ms a stream of unknown key ids becomes a stream of fetches.
pub(super) const KEY_COOL_DOWN: Bound<Duration> =
    Bound { default: Duration::from_secs(10), least: Duration::from_millis(100), most: HOUR };
/// A key that was withdrawn must stop verifying the same day.
pub(super) const KEY_MAX_AGE: Bound<Duration> = Bound { default: HOUR, least: SECOND, most: DAY };
/// An outage over a day needs a person; a week hides a withdrawn key.
pub(super) const KEY_MAX_STALE: Bound<Duration> =
    Bound { default: DAY, least: SECOND, most: Duration::from_hours(7 * 24) };
/// A key set is a few KiB.
pub(super) const KEY_TIMEOUT: Bound<Duration> = wait(Duration::from_secs(5), MINUTE);

/// The upstream is near; a server that takes longer to accept is down.
pub(super) const CONNECT: Bound<Duration> = wait(Duration::from_secs(5), MINUTE);
/// Tools take their time; clients give up after a minute or two.
pub(super) const RESPONSE: Bound<Duration> = wait(Duration::from_mins(2), DAY);
/// Event streams may be silent for long.
pub(super) const IDLE: Bound<Duration> = wait(HOUR, DAY);
/// A plain response that takes longer is stuck.
pub(super) const TOTAL: Bound<Duration> = wait(Duration::from_mins(10), DAY);

/// The metadata changes with the configuration only, but a wrong one must not live long.
pub(super) const METADATA_MAX_AGE: Bound<Duration> =
    Bound { default: Duration::from_mins(5), least: SECOND, most: DAY };

/// More than a million a second is no limit; the default is never used: `requests` has none.
pub(super) const REQUESTS: Bound<u32> = count(1, 1_000_000_000);
/// Shorter windows say the same with fewer requests; longer ones belong to billing. `window` has no default.
pub(super) const WINDOW: Bound<Duration> = wait(MINUTE, DAY);
/// See `CONNECTIONS`. `streams` has no default.
pub(super) const STREAMS: Bound<u32> = count(1, 1_000_000);
/// Dearer than the longest burst is no price; `cost` is held against the route's own bursts too.
pub(super) const COST: Bound<u32> = Bound { default: 1, least: 1, most: 1_000_000 };

/// Each waiting record is about 1 KiB; a sink that is that far behind is broken.
pub(super) const AUDIT_QUEUE: Bound<u32> = Bound { default: 10_000, least: 100, most: 1_000_000 };

/// What collectors expect.
pub(super) const TELEMETRY_INTERVAL: Bound<Duration> = Bound { default: MINUTE, least: SECOND, most: HOUR };
/// A collector that takes longer is away.
pub(super) const TELEMETRY_TIMEOUT: Bound<Duration> = wait(Duration::from_secs(10), MINUTE);

/// Long enough to see somebody who is patient, short enough to be over when an honest mistake is.
pub(super) const DETECTION_WINDOW: Bound<Duration> =
    Bound { default: Duration::from_mins(5), least: SECOND, most: DAY };
/// A client with an expired token fails once and fetches another.
pub(super) const SUSPICIOUS_FAILURES: Bound<u32> = count(20, 1_000_000);
/// Nobody comes to another's resource by chance three times.
pub(super) const SUSPICIOUS_FOREIGN: Bound<u32> = count(3, 1_000_000);
/// A client that gets the same challenge again and again does not get the scope.
pub(super) const SUSPICIOUS_STEP_UPS: Bound<u32> = count(5, 1_000_000);
/// Long enough to make trying pointless, short enough to be waited for.
pub(super) const BLOCK_TIME: Bound<Duration> = Bound { default: Duration::from_mins(10), least: SECOND, most: DAY };
