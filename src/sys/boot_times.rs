//! When each phase of the boot was reached, in seconds since the kernel started: one line of JSON
//! each, appended by PID 1, by the lease hook and by the agent.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use serde::Serialize;

/// Where the phases are recorded.
pub(crate) const PATH: &str = super::run_files::BOOT_TIMES;

/// Time since the kernel started, suspended time included. It does not see firmware, boot loader
/// or the kernel's own decompression: only who switched the power on can measure those.
pub(crate) fn since_kernel_start() -> Duration {
    // CLOCK_BOOTTIME exists since Linux 2.6.39, so this cannot fail on a kernel that runs us.
    clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(Duration::ZERO, Duration::from)
}

/// Record that a phase is reached now and return the time. `detail` says with what, such as the
/// address that DHCP gave.
///
/// # Errors
/// The file cannot be written, as outside a ramdisk; a boot goes on without it.
pub(crate) fn mark(phase: &str, detail: &str) -> io::Result<Duration> {
    mark_in(Path::new(PATH), phase, detail)
}

/// The same where there is such a table, and nothing outside a ramdisk.
pub(crate) fn reached(phase: &str, detail: &str) {
    if Path::new(PATH).exists() {
        let _ = mark(phase, detail);
    }
}

fn mark_in(path: &Path, phase: &str, detail: &str) -> io::Result<Duration> {
    #[derive(Serialize)]
    struct Phase<'a> {
        phase: &'a str,
        seconds: f64,
        #[serde(skip_serializing_if = "str::is_empty")]
        detail: &'a str,
    }

    let now = since_kernel_start();
    let seconds = (now.as_secs_f64() * 1000.0).round() / 1000.0;
    let mut line = serde_json::to_vec(&Phase {
        phase,
        seconds,
        detail,
    })?;
    line.push(b'\n');
    // One write in append mode: lines of several processes never mix.
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)?
        .write_all(&line)?;
    Ok(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_are_lines_of_json_in_the_order_they_came() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("boot-times");
        mark_in(&path, "kernel", "").unwrap();
        mark_in(&path, "dhcp", "ens3 10.0.2.15/24").unwrap();
        let lines: Vec<serde_json::Value> = std::fs::read_to_string(&path)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["phase"], "kernel");
        assert!(lines[0].get("detail").is_none());
        assert_eq!(lines[1]["detail"], "ens3 10.0.2.15/24");
        assert!(lines[0]["seconds"].as_f64() <= lines[1]["seconds"].as_f64());
    }
}
