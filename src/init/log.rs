//! What udev and dhcpcd say, kept in bounded files for the log archive that the conductor collects.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// Where the logs lie.
pub(super) const DIRECTORY: &str = "/run/farrier/log";

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
        fs::create_dir_all(directory)?;
        let path = directory.join(format!("{name}.log"));
        let file = OpenOptions::new().append(true).create(true).open(&path)?;
        let size = file.metadata()?.len();
        Ok(Self { path, file, size })
    }

    /// Append everything that comes out of this pipe until it ends.
    pub(super) fn collect(&mut self, mut pipe: impl Read) {
        let mut chunk = [0; 4096];
        loop {
            match pipe.read(&mut chunk) {
                Ok(0) => return,
                // A full tmpfs must not stop the service: its output is lost, it goes on.
                Ok(count) => drop(self.append(&chunk[..count])),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.size + bytes.len() as u64 > LIMIT {
            fs::rename(&self.path, self.path.with_extension("log.1"))?;
            self.file = OpenOptions::new()
                .append(true)
                .create(true)
                .open(&self.path)?;
            self.size = 0;
        }
        self.size += bytes.len() as u64;
        self.file.write_all(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_bounded_and_keeps_the_newest() {
        let directory = tempfile::tempdir().unwrap();
        let mut log = LogFile::open(directory.path(), "dhcpcd").unwrap();
        let mut text = vec![b'a'; 3 * 256 * 1024];
        text.extend_from_slice(b"the last line\n");
        log.collect(&text[..]);
        let kept = fs::read(directory.path().join("dhcpcd.log")).unwrap();
        assert!(kept.ends_with(b"the last line\n"));
        assert!(kept.len() as u64 <= LIMIT);
        assert!(
            fs::metadata(directory.path().join("dhcpcd.log.1"))
                .unwrap()
                .len()
                <= LIMIT
        );
    }
}
