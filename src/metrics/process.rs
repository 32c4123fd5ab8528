//! The process itself, under the names that every Prometheus library gives these.

use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

/// Where Linux tells a process about itself. Elsewhere these metrics are absent.
const SELF: &str = "/proc/self";

/// When it started; the rest is read when somebody asks.
#[derive(Debug)]
pub(super) struct Process {
    started: f64,
}

impl Process {
    pub(super) fn started_now() -> Self {
        Self { started: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64() }
    }

    pub(super) fn register(&self, to: &mut Registry) {
        let help = "When the gateway started, since 1970";
        to.register_with_unit("process_start_time", help, Unit::Seconds, ConstGauge::new(self.started));
        let folder = Path::new(SELF);
        if let Some(bytes) = resident_bytes(folder) {
            let help = "Memory that the process holds";
            to.register_with_unit("process_resident_memory", help, Unit::Bytes, ConstGauge::new(bytes));
        }
        if let Some(open) = open_files(folder) {
            to.register("process_open_fds", "Files and sockets that are open", ConstGauge::new(open));
        }
    }
}

/// `proc_pid_status(5)`: `VmRSS:   12345 kB`.
fn resident_bytes(folder: &Path) -> Option<u64> {
    let status = fs::read_to_string(folder.join("status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// `proc_pid_fd(5)`: since Linux 6.2 the folder's size is their number; before, they are counted one by one.
fn open_files(folder: &Path) -> Option<u64> {
    let folder = folder.join("fd");
    let size = fs::metadata(&folder).ok()?.len();
    if size > 0 { Some(size) } else { Some(fs::read_dir(&folder).ok()?.count() as u64) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_that_tells_nothing_or_nonsense_has_no_such_metrics() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!((resident_bytes(folder.path()), open_files(folder.path())), (None, None));
        for nonsense in ["", "VmRSS: \n", "VmRSS: x kB\n", "VmRSS: 12\n", "VmRSS: 18446744073709551615 kB\n"] {
            fs::write(folder.path().join("status"), nonsense).unwrap();
            assert_eq!(resident_bytes(folder.path()), None, "{nonsense}");
        }
        fs::write(folder.path().join("status"), "Name:\tx\nVmRSS:\t    12 kB\n").unwrap();
        assert_eq!(resident_bytes(folder.path()), Some(12 * 1024));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn linux_tells_both() {
        assert!(resident_bytes(Path::new(SELF)).unwrap() > 1024 * 1024);
        assert!(open_files(Path::new(SELF)).unwrap() > 2);
    }
}
