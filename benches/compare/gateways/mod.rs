//! The gateways, each with one worker and a configuration that does the same as far as it can. All but the floor leave a line per request.

mod envoy;
mod haproxy;
mod nginx;
mod portcullis;

use std::time::{Duration, Instant};

use crate::floor::{self, Check};
use crate::load;
use crate::process::{Cores, Plan, Process, free_port};
use crate::scene::Scene;
use crate::work::Sends;

/// Longer than any of them takes to start.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Floor(Check),
    Portcullis,
    Nginx,
    /// The same without a log.
    QuietNginx,
    HaProxy,
    /// The same without a log.
    QuietHaProxy,
    Envoy,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Floor(Check::Nothing) => "floor: bare hyper",
            Self::Floor(Check::Presence) => "floor: wants some token",
            Self::Floor(Check::Once) => "floor: token cache",
            Self::Floor(Check::Always) => "floor: one verification",
            Self::Portcullis => "Portcullis",
            Self::Nginx => "nginx, no check",
            Self::QuietNginx => "nginx, no check, no log",
            Self::HaProxy => "HAProxy, jwt_verify",
            Self::QuietHaProxy => "HAProxy, jwt_verify, no log",
            Self::Envoy => "Envoy, jwt_authn",
        }
    }

    /// The status that it must answer with.
    pub(crate) fn answers(self, sends: Sends) -> u16 {
        match (self, sends) {
            (Self::Nginx | Self::QuietNginx | Self::Floor(Check::Nothing), _) => 200,
            (Self::Floor(Check::Presence), sends) if sends != Sends::Missing => 200,
            // Its answer to a token that is good elsewhere.
            (Self::Envoy, Sends::ForeignAudience) => 403,
            (_, sends) if sends.is_good() => 200,
            _ => 401,
        }
    }

    pub(crate) fn takes_part(self) -> bool {
        match self {
            Self::Portcullis | Self::Floor(_) => true,
            Self::Nginx | Self::QuietNginx => nginx::version().is_some(),
            Self::HaProxy | Self::QuietHaProxy => haproxy::version().is_some(),
            Self::Envoy => envoy::version().is_some(),
        }
    }

    fn plan(self, port: u16, scene: &Scene) -> Plan {
        match self {
            Self::Floor(check) => floor::plan(check, port, scene),
            Self::Portcullis => portcullis::plan(port, scene),
            Self::Nginx | Self::QuietNginx => nginx::plan(self == Self::Nginx, port, scene),
            Self::HaProxy | Self::QuietHaProxy => haproxy::plan(self == Self::HaProxy, port, scene),
            Self::Envoy => envoy::plan(port, scene),
        }
    }
}

/// Of the others that take part.
pub(crate) fn versions() -> Vec<String> {
    [nginx::version(), haproxy::version(), envoy::version()].into_iter().flatten().collect()
}

/// What a program says of its version: the word after this one.
fn said(program: &std::path::Path, argument: &str, after: &str) -> Option<String> {
    let output = std::process::Command::new(program).arg(argument).output().ok()?;
    let text =
        String::from_utf8_lossy(if output.stdout.is_empty() { &output.stderr } else { &output.stdout }).into_owned();
    let version = text.split_once(after)?.1.split_whitespace().next()?;
    Some(version.to_owned())
}

/// One that runs, and has answered a good request.
pub(crate) struct Gateway {
    pub(crate) kind: Kind,
    pub(crate) port: u16,
    pub(crate) process: Process,
    /// From the start of the process to its first good answer.
    pub(crate) started: Duration,
}

impl Gateway {
    pub(crate) fn start(kind: Kind, scene: &Scene, cores: Cores) -> Self {
        let port = free_port();
        let plan = kind.plan(port, scene);
        let begin = Instant::now();
        let process = plan.start(cores);
        let tls = scene.tls(b"http/1.1", false);
        scene.runtime.block_on(async {
            while load::ask_once(port, &tls, scene).await.ok() != Some(200) {
                assert!(begin.elapsed() < PATIENCE, "{} does not answer", kind.name());
                tokio::time::sleep(Duration::from_micros(500)).await;
            }
        });
        Self { kind, port, process, started: begin.elapsed() }
    }
}
