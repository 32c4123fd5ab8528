//! The binary, its log, and what is asked of it over plain TCP.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use serde_json::Value;

use super::{Client, Issuer, PATIENCE, Upstream};

/// The least that it runs with. Nobody is at the addresses of issuer and upstream.
pub(crate) const PLAIN: &str = r#"
[listen]
address = "127.0.0.1:0"
insecure_plaintext = true

[admin]
address = "127.0.0.1:0"

[[issuers]]
name = "corp"
issuer = "http://127.0.0.1:1"
insecure_http = true

[[routes]]
name = "notes"
resource = "https://mcp.example.com/mcp"
upstream = "http://127.0.0.1:1/mcp"
issuers = ["corp"]
scopes = []
tenant = "any"
"#;

/// [`PLAIN`] with somebody at both addresses.
pub(crate) fn plain(issuer: &Issuer, upstream: &Upstream) -> String {
    let issuer = format!("issuer = {:?}", issuer.url());
    let upstream = format!("upstream = {:?}", upstream.url());
    let text = PLAIN.replace("issuer = \"http://127.0.0.1:1\"", &issuer);
    text.replace("upstream = \"http://127.0.0.1:1/mcp\"", &upstream)
}

/// The resource of [`PLAIN`].
pub(crate) const PLAIN_RESOURCE: &str = "https://mcp.example.com/mcp";

/// The running binary; ended, by its id, when dropped.
pub(crate) struct Process {
    child: Child,
    lines: Receiver<Value>,
    /// What it said before it had started.
    pub(crate) before: Vec<Value>,
    /// Where it listens, for the world and for its operators.
    pub(crate) addresses: [SocketAddr; 2],
}

impl Process {
    pub(crate) fn start(file: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        command.arg("--config").arg(file);
        Self::of(command)
    }

    /// With at most so many open files.
    pub(crate) fn start_with_files(file: &Path, most: u32) -> Self {
        let mut command = Command::new("sh");
        let script = format!("ulimit -n {most}; exec \"$0\" --config \"$1\"");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_portcullis")]).arg(file);
        Self::of(command)
    }

    /// With mounts of its own, which this script makes; nothing where nobody may do that.
    pub(crate) fn start_after_mounting(file: &Path, script: &str) -> Option<Self> {
        let may = Command::new("unshare")
            .args(["--mount", "mount", "-t", "tmpfs", "none", "/tmp"])
            .stderr(Stdio::null())
            .status();
        if !may.is_ok_and(|status| status.success()) {
            println!("skipped: only root may have mounts of its own (unshare --mount)");
            return None;
        }
        let mut command = Command::new("unshare");
        let script = format!("set -e; {script}; exec \"$0\" --config \"$1\"");
        command.args(["--mount", "sh", "-c", &script, env!("CARGO_BIN_EXE_portcullis")]).arg(file);
        Some(Self::of(command))
    }

    /// A file as the process sees it, which may have mounts of its own.
    pub(crate) fn sees(&self, path: &Path) -> PathBuf {
        Path::new("/proc").join(self.child.id().to_string()).join("root").join(path.strip_prefix("/").unwrap())
    }

    /// Its public listener.
    pub(crate) fn client(&self, upstream: &Upstream) -> Client {
        Client::new(self.addresses[0], false, upstream.shared())
    }

    /// Reads no further: its standard output is closed with the next line.
    pub(crate) fn listens_no_more(&mut self) {
        self.lines = channel().1;
    }

    fn of(mut command: Command) -> Self {
        let mut child = command.env_remove("PORTCULLIS_CONFIG").stdout(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            let lines = output.lines().map_while(Result::ok);
            lines.map_while(|line| sender.send(serde_json::from_str(&line).unwrap()).ok()).for_each(drop);
        });
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut process = Self { child, lines, addresses: [nowhere; 2], before: Vec::new() };
        let started = loop {
            let line = process.lines.recv_timeout(PATIENCE).unwrap();
            if line["event"] == "started" {
                break line;
            }
            process.before.push(line);
        };
        process.addresses = ["address", "admin"].map(|name| started[name].as_str().unwrap().parse().unwrap());
        process
    }

    /// Its id in the system.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The next line with this event.
    pub(crate) fn says(&self, event: &str) -> Value {
        self.next(event).unwrap_or_else(|| panic!("{event} was not said"))
    }

    fn next(&self, event: &str) -> Option<Value> {
        let start = Instant::now();
        while let Some(rest) = PATIENCE.checked_sub(start.elapsed()) {
            let line = self.lines.recv_timeout(rest).ok()?;
            if line["event"] == event {
                return Some(line);
            }
        }
        None
    }

    /// Every line with this event that was said since somebody asked.
    pub(crate) fn said(&self, event: &str) -> usize {
        self.lines.try_iter().filter(|line| line["event"] == event).count()
    }

    pub(crate) fn hang_up(&self) {
        self.signal("HUP");
    }

    /// How it ends when it is asked to.
    pub(crate) fn terminate(mut self) -> ExitStatus {
        self.signal("TERM");
        self.child.wait().unwrap()
    }

    fn signal(&self, name: &str) {
        let id = self.id();
        assert!(Command::new("sh").args(["-c", &format!("kill -{name} {id}")]).status().unwrap().success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The value of a metric without labels.
pub(crate) fn metric(admin: SocketAddr, name: &str) -> f64 {
    let metrics = ask(admin, "/metrics");
    let value = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
    value.unwrap_or_else(|| panic!("no {name} in {metrics}"))
}

/// One request on a connection of its own; the answer.
pub(crate) fn ask(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let host = if path == "/mcp" { "mcp.example.com:443" } else { "localhost" };
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
