//! The kernel's log, read from `/dev/kmsg` (Documentation/ABI/testing/dev-kmsg).

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The longest record, with its prefix and its dictionary (`CONSOLE_EXT_LOG_MAX` of
/// kernel/printk/internal.h). A shorter buffer makes read(2) fail.
const RECORD: usize = 8192;

/// Everything that the kernel still has, one message a line with the seconds since boot, as
/// dmesg(1) shows it.
pub(crate) fn text(kmsg: &Path) -> io::Result<String> {
    let mut kmsg = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
        .open(kmsg)?;
    let mut records = Vec::new();
    let mut record = [0; RECORD];
    loop {
        match kmsg.read(&mut record) {
            Ok(0) => break,
            Ok(count) => records.extend_from_slice(&record[..count]),
            // The record was overwritten while we read; the next read goes on behind it.
            Err(error) if error.raw_os_error() == Some(libc::EPIPE) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(format(&String::from_utf8_lossy(&records)))
}

/// Records are `priority,sequence,microseconds,flags;message`; lines that begin with a space are
/// their dictionaries.
pub(super) fn format(records: &str) -> String {
    let mut text = String::with_capacity(records.len());
    for line in records.lines().filter(|line| !line.starts_with(' ')) {
        let Some((prefix, message)) = line.split_once(';') else {
            continue;
        };
        let micros: u64 = prefix
            .split(',')
            .nth(2)
            .and_then(|micros| micros.parse().ok())
            .unwrap_or(0);
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "[{:>5}.{:06}] {message}",
            micros / 1_000_000,
            micros % 1_000_000
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_become_lines() {
        let records = "6,1,0,-;Linux version 6.1.0\n\
                       4,339,5140900,-,caller=T1;NET: Registered\n SUBSYSTEM=acpi\n DEVICE=+acpi:1\n\
                       broken\n\
                       30,340,5690716123,c;udevd[80]: starting; all\n";
        assert_eq!(
            format(records),
            "[    0.000000] Linux version 6.1.0\n\
             [    5.140900] NET: Registered\n\
             [ 5690.716123] udevd[80]: starting; all\n"
        );
    }

    #[test]
    fn this_machines_log_is_read_to_its_end() {
        match text(Path::new("/dev/kmsg")) {
            Ok(text) => assert!(text.lines().all(|line| line.starts_with('[')), "{text}"),
            // Containers often have none, and dmesg_restrict keeps others out.
            Err(error) => assert!(matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied
            )),
        }
    }
}
