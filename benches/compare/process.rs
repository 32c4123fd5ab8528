//! Processes: how they are started, on which core, what they use, and that none stays behind.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

/// A program to start.
pub(crate) struct Plan {
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
    /// Where standard output goes.
    pub(crate) log: Option<PathBuf>,
}

/// Which cores a process may use, where `taskset` is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cores {
    /// The first: what is measured.
    First,
    /// The second: load, issuer and upstream, which are this process.
    Second,
    /// As this process.
    Any,
}

/// A process that ends with this value, and with this process.
pub(crate) struct Process {
    child: Child,
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().unwrap_or_default();
        self.child.wait().map(drop).unwrap_or_default();
    }
}

/// This process takes the second core, and as many files as it may. Looks for the wrappers now, not while a start is measured.
pub(crate) fn prepare() {
    LazyLock::force(&SETPRIV);
    let own = std::process::id().to_string();
    if let Some(core) = Cores::Second.one().filter(|_| *TASKSET) {
        quiet("taskset").args(["-a", "-c", "-p", core, &own]).status().map(drop).unwrap_or_default();
    }
    quiet("prlimit").args(["--pid", &own, &format!("--nofile={}:", files(5))]).status().map(drop).unwrap_or_default();
}

/// How many files this process may open, and every process that it starts.
pub(crate) fn open_files() -> usize {
    files(4)
}

/// The fourth word of the line is the soft limit, the fifth the hard one.
fn files(word: usize) -> usize {
    let limits = fs::read_to_string("/proc/self/limits").expect("Linux");
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let number = line.and_then(|line| line.split_whitespace().nth(word - 4)).and_then(|word| word.parse().ok());
    number.unwrap_or(1024)
}

impl Plan {
    pub(crate) fn start(self, cores: Cores) -> Process {
        let mut command = match (*SETPRIV, cores.one().filter(|_| *TASKSET)) {
            // Ends with this process even if that is killed.
            (true, Some(core)) => with("taskset", &["-c", core, "setpriv", "--pdeathsig", "KILL"], &self.program),
            (false, Some(core)) => with("taskset", &["-c", core], &self.program),
            (_, None) => Command::new(&self.program),
        };
        command.args(self.arguments).env("TOKIO_WORKER_THREADS", "1").stdin(Stdio::null());
        command.stdout(self.log.map_or(Stdio::null(), |log| fs::File::create(log).expect("a file").into()));
        Process { child: command.spawn().expect("it starts") }
    }
}

fn with(wrapper: &str, arguments: &[&str], program: &PathBuf) -> Command {
    let mut command = Command::new(wrapper);
    command.args(arguments).arg(program);
    command
}

impl Cores {
    fn one(self) -> Option<&'static str> {
        match self {
            Self::First if number_of_cores() > 1 => Some("0"),
            Self::Second if number_of_cores() > 1 => Some("1"),
            Self::First | Self::Second | Self::Any => None,
        }
    }
}

/// Of the machine: this process may have been held to some of them.
fn number_of_cores() -> usize {
    let list = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    list.lines().filter(|line| line.starts_with("processor")).count()
}

fn quiet(program: &str) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

static TASKSET: LazyLock<bool> = LazyLock::new(|| has("taskset"));
static SETPRIV: LazyLock<bool> = LazyLock::new(|| has("setpriv"));

fn has(program: &str) -> bool {
    quiet(program).arg("--version").status().is_ok()
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port").port()
}

/// Time on a processor so far, of each thread.
pub(crate) struct Used(BTreeMap<String, u64>);

impl Used {
    /// What came since then. Of a thread that ended in between, what it used is lost; those of the gateways live as long as they do.
    pub(crate) fn since(&self, before: &Self) -> Duration {
        let of = |(thread, now): (&String, &u64)| now - before.0.get(thread).copied().unwrap_or_default().min(*now);
        Duration::from_nanos(self.0.iter().map(of).sum())
    }
}

impl Process {
    /// In nanoseconds, user and system: the first word of each thread's `schedstat`. `stat` counts in hundredths of a second.
    pub(crate) fn used(&self) -> Used {
        let threads = fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("it runs");
        let of = |thread: fs::DirEntry| {
            let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
            let time = text.split_whitespace().next()?.parse().ok()?;
            Some((thread.file_name().to_string_lossy().into_owned(), time))
        };
        Used(threads.filter_map(Result::ok).filter_map(of).collect())
    }

    pub(crate) fn resident_kib(&self) -> f64 {
        self.memory("VmRSS:")
    }

    pub(crate) fn peak_kib(&self) -> f64 {
        self.memory("VmHWM:")
    }

    fn memory(&self, field: &str) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("a line");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }
}
