//! A siege: the binary in a configuration like production's, honest clients, attacks in waves, and what must hold afterwards.

use std::fmt::Debug;
use std::fs;
use std::io::Write as _;
use std::str::FromStr;
use std::sync::OnceLock;
use std::time::Instant;

use tempfile::TempDir;
use tokio::sync::{Mutex, MutexGuard};

use crate::attacker::{HOST, PATHS, Target};
use crate::authority::authority;
use crate::honest::Honest;
use crate::reading::{Reading, forget_peak, most_files};
use crate::support::process::ask;
use crate::support::{Issuer, Process, eventually};
use crate::upstream::Upstream;

/// The gateway with its configuration, its warm caches and three honest clients, in the dev profile. It idles at 32 MiB.
pub(crate) const BASE_MIB: usize = 40;
/// What a second wave may add to the peak of the first: the allocator's luck, no leak.
const FLAT_MIB: usize = 8;
/// Descriptors that may stay after an attack: connections to the upstream that are kept for reuse (64 for each of three
/// routes), and the honest clients'.
const SPARE_FILES: usize = 3 * 64 + 16;
/// Sieges take turns: each measures one gateway on a quiet machine.
static TURN: Mutex<()> = Mutex::const_new(());

/// Memory that an attack may make the gateway hold, all in all.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ceiling {
    /// KiB for each attacker, stream, … of a wave.
    pub(crate) each_kib: usize,
    /// MiB beside that, whatever their number.
    pub(crate) fixed_mib: usize,
}

/// How large attacks are: the sizes in the files times `PORTCULLIS_SIEGE_SCALE`, no more than the system's files allow.
pub(crate) fn scaled(count: usize) -> usize {
    let scale = asked_for("PORTCULLIS_SIEGE_SCALE", 1.0_f64);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "sizes are small and positive")]
    let count = (count as f64 * scale).round() as usize;
    count.max(1)
}

/// How often an attack comes: two show a leak, more show it clearly.
fn waves() -> usize {
    asked_for("PORTCULLIS_SIEGE_WAVES", 2).max(2)
}

/// No more than can be open at both ends, each with a file here.
pub(crate) fn openable(count: usize, files_each: usize) -> usize {
    static MOST: OnceLock<usize> = OnceLock::new();
    count.min(MOST.get_or_init(most_files).saturating_sub(400) / files_each)
}

/// What the environment asks for.
pub(crate) fn asked_for<T: FromStr<Err: Debug>>(name: &str, otherwise: T) -> T {
    std::env::var_os(name).map_or(otherwise, |text| text.to_str().unwrap().parse().unwrap())
}

/// One line of progress, past the test harness's capture.
pub(crate) fn say(line: &str) {
    writeln!(std::io::stderr(), "siege: {line}").unwrap_or_default();
}

/// See the module.
pub(crate) struct Siege {
    what: &'static str,
    pub(crate) target: Target,
    pub(crate) issuer: Issuer,
    pub(crate) process: Process,
    pub(crate) folder: TempDir,
    pub(crate) honest: Honest,
    pub(crate) before: Reading,
    pub(crate) upstream: Upstream,
    _turn: MutexGuard<'static, ()>,
}

impl Siege {
    /// Starts everything; `limits` are further lines of `[listen.limits]`.
    pub(crate) async fn lay(what: &'static str, limits: &str) -> Self {
        let turn = TURN.lock().await;
        openable(0, 1);
        let (issuer, upstream) = (Issuer::start().await, Upstream::start());
        let folder = TempDir::new().unwrap();
        authority().certify(folder.path());
        let file = folder.path().join("gateway.toml");
        fs::write(&file, configuration(&issuer, &upstream, limits)).unwrap();
        let process = Process::start_with_files(&file, u32::try_from(most_files()).unwrap());
        let [address, admin] = process.addresses;
        eventually("readiness", || ask(admin, "/readyz").starts_with("HTTP/1.1 200").then_some(())).await;
        let target = Target::new(address, issuer.url());
        let honest = Honest::start(&target);
        eventually("honest calls", || (honest.made() >= 30).then_some(())).await;
        honest.forget();
        let before = Reading::of(process.id());
        Self { what, target, issuer, process, folder, honest, before, upstream, _turn: turn }
    }

    /// Waves of `count` attackers; asserts all that must hold. Says what was measured.
    pub(crate) async fn waves(&mut self, count: usize, ceiling: Ceiling, attack: impl AsyncFn(Target, usize)) {
        self.so_many_waves(waves(), count, ceiling, attack).await;
    }

    /// Where the second wave may stand beside memory of the first that the allocator has not given back yet, a third one shows a leak.
    pub(crate) async fn three_waves(&mut self, count: usize, ceiling: Ceiling, attack: impl AsyncFn(Target, usize)) {
        self.so_many_waves(waves().max(3), count, ceiling, attack).await;
    }

    async fn so_many_waves(
        &mut self,
        waves: usize,
        count: usize,
        ceiling: Ceiling,
        attack: impl AsyncFn(Target, usize),
    ) {
        let (mut peaks, started) = (Vec::new(), Instant::now());
        for _ in 0..waves {
            forget_peak(self.process.id());
            attack(self.target.clone(), count).await;
            peaks.push(Reading::of(self.process.id()).peak / 1024);
            self.files_are_back().await;
        }
        // At least so long beside the attacks that the honest have something to say.
        eventually("enough honest calls", || (self.honest.made() >= 60).then_some(())).await;
        let most = BASE_MIB + ceiling.fixed_mib + count * ceiling.each_kib / 1024;
        let what = self.what;
        let report = |peak: &usize| {
            assert!(*peak <= most, "{what}: {peak} MiB at the peak, {most} MiB at most: {peaks:?}");
        };
        peaks.iter().for_each(report);
        let growth = peaks[0].saturating_sub(self.before.memory / 1024);
        let flat = peaks[0] + FLAT_MIB.max(growth / 2);
        let last = peaks[peaks.len() - 1];
        assert!(last <= flat, "{what}: later waves take more than the first: {peaks:?} MiB");
        let served = self.honest.stop().assert_served(what);
        let (idle, after) = (self.before.memory / 1024, Reading::of(self.process.id()).memory / 1024);
        say(&format!(
            "{what}: {count} in a wave; {idle} MiB before, peaks {peaks:?} MiB, {after} MiB after, ceiling {most} MiB; {served}; {:.1} s",
            started.elapsed().as_secs_f64()
        ));
    }

    /// Waits until the gateway has let go of what the attack made it open.
    async fn files_are_back(&self) {
        let most = self.before.files + SPARE_FILES;
        eventually("descriptors come back", || (Reading::of(self.process.id()).files <= most).then_some(())).await;
    }
}

/// Like production, with shorter waits, so that what must be waited for comes within a test.
pub(crate) fn configuration(issuer: &Issuer, upstream: &Upstream, limits: &str) -> String {
    let issuer = issuer.url();
    let mut text = format!(
        r#"
        [listen]
        address = "127.0.0.1:0"
        tls = {{ certificate = "tls.crt", key = "tls.key" }}

        [listen.limits]
        tls_timeout = "3s"
        header_timeout = "1s"
        body_timeout = "1s"
        write_timeout = "1s"
        idle_timeout = "6s"
        body_bytes = "1MiB"
        buffered_bytes = "32MiB"
        {limits}

        [admin]
        address = "127.0.0.1:0"

        [audit]
        sink = "file"
        file = "audit.jsonl"
        subjects = "hashed"
        subject_key = "0123456789abcdef0123456789abcdef"
        chain = true
        on_failure = "drop"

        [detection]

        [[issuers]]
        name = "corp"
        issuer = "{issuer}"
        insecure_http = true
        key_cool_down = "1s"
        claims = {{ tenant = "tenant" }}
        "#
    );
    for path in PATHS {
        let (name, upstream) = (path.split('/').nth(1).unwrap(), upstream.address);
        let route = format!(
            r#"
            [[routes]]
            name = "{name}"
            resource = "https://{HOST}{path}"
            upstream = "http://{upstream}/{name}"
            issuers = ["corp"]
            scopes = ["mcp:tools"]
            tenant = "any"

            [[routes.limits]]
            per = ["client"]
            requests = 100000
            window = "1m"
            burst = 100000

            [routes.policy]
            default = "allow"

            [[routes.policy.rules]]
            tools = ["delete_*"]
            scopes = ["mcp:admin"]
            "#
        );
        text += &route;
    }
    text
}
