//! What udev and dhcpcd say, kept in bounded files for the log archive that the conductor collects.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::lines;
use crate::sys::boot_times::since_kernel_start;
use crate::sys::{printable, private_file, run_files};

/// Where the logs lie.
pub(super) const DIRECTORY: &str = run_files::PROGRAM_LOGS;

/// A log and the one before it hold at most this much each. udev is silent unless something is
/// wrong; dhcpcd writes some ten lines per interface and one per renewal.
const LIMIT: u64 = 256 * 1024;

/// One log. When it is full it becomes `<name>.log.1` and a new one starts.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    size: u64,
}

impl LogFile {
    /// Open the log of this service, keeping what it holds.
    pub(super) fn open(directory: &Path, name: &str) -> io::Result<Self> {
        private_file::make_directory(directory)?;
        let path = directory.join(format!("{name}.log"));
        let file = open(&path)?;
        let size = file.metadata()?.len();
        Ok(Self { path, file, size })
    }

    /// Append every line that comes out of this pipe until it ends, with its time since the kernel
    /// started.
    pub(super) fn collect(&mut self, pipe: impl Read) {
        // A full tmpfs must not stop the service: its output is lost, it goes on.
        lines::each(pipe, |line| drop(self.append(since_kernel_start(), line)));
    }

    fn append(&mut self, at: Duration, line: &str) -> io::Result<()> {
        let mut bytes = format!("{:9.3} ", at.as_secs_f64()).into_bytes();
        // A host name from a DHCP server must not move the cursor of whoever reads this.
        bytes.extend_from_slice(printable::line(line).as_bytes());
        bytes.push(b'\n');
        if self.size + bytes.len() as u64 > LIMIT {
            fs::rename(&self.path, self.path.with_extension("log.1"))?;
            self.file = open(&self.path)?;
            self.size = 0;
        }
        self.size += bytes.len() as u64;
        self.file.write_all(&bytes)
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_names_itself_moves_no_cursor() {
        let directory = tempfile::tempdir().unwrap();
        let mut log = LogFile::open(directory.path(), "dhcpcd").unwrap();
        log.collect("host \u{1b}[2J\rens3: up\u{202e}\n".as_bytes());
        let kept = fs::read_to_string(directory.path().join("dhcpcd.log")).unwrap();
        assert!(
            kept.ends_with(" host \\u{1b}[2J\\rens3: up\\u{202e}\n"),
            "{kept}"
        );
    }

    #[test]
    fn a_log_is_bounded_and_keeps_the_newest() {
        let directory = tempfile::tempdir().unwrap();
        let mut log = LogFile::open(directory.path(), "dhcpcd").unwrap();
        let mut text = vec![b'a'; 3 * 256 * 1024];
        text.extend_from_slice(b"\nthe last line");
        log.collect(&text[..]);
        let kept = fs::read(directory.path().join("dhcpcd.log")).unwrap();
        assert!(kept.ends_with(b" the last line\n"));
        assert!(kept.len() as u64 <= LIMIT);
        assert!(
            fs::metadata(directory.path().join("dhcpcd.log.1"))
                .unwrap()
                .len()
                <= LIMIT
        );
    }
}
