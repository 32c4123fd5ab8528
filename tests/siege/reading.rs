//! What a process holds, as the kernel counts it: resident memory, its peak, open files.

use std::fs;
use std::process::Command;

/// One look at `/proc/PID`.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Reading {
    /// Resident now, KiB.
    pub(crate) memory: usize,
    /// The most since [`forget_peak`], KiB.
    pub(crate) peak: usize,
    pub(crate) files: usize,
}

impl Reading {
    pub(crate) fn of(process: u32) -> Self {
        let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().unwrap()
        };
        let files = fs::read_dir(format!("/proc/{process}/fd")).unwrap().count();
        Self { memory: field("VmRSS"), peak: field("VmHWM"), files }
    }
}

/// From now on the peak is counted anew (proc(5): 5 resets `VmHWM`).
pub(crate) fn forget_peak(process: u32) {
    fs::write(format!("/proc/{process}/clear_refs"), "5").unwrap();
}

/// How many files this process may open, after asking for as many as it can get.
pub(crate) fn most_files() -> usize {
    let limits = || {
        let limits = fs::read_to_string("/proc/self/limits").unwrap();
        let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
        let mut words = line.split_whitespace().map(|word| word.parse().unwrap_or(usize::MAX));
        (words.next().unwrap(), words.next().unwrap())
    };
    let (_, hard) = limits();
    // Where there is no such program the sizes follow what is allowed already.
    let number = format!("--nofile={}:{hard}", hard.min(1 << 20));
    Command::new("prlimit").args(["--pid", &std::process::id().to_string(), &number]).status().ok();
    limits().0
}
