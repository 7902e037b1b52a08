//! Files and directories that root alone can read, whatever the umask is: what is kept of a boot names
//! hosts, disks and people, and holds secrets now and then.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// Make this directory and those above it, where they are not there.
pub(crate) fn make_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Write a new file, or over one of its kind.
pub(crate) fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?
        .write_all(content)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn root_alone_reads_them() {
        let base = tempfile::tempdir().unwrap();
        let directory = base.path().join("a/b");
        let file = directory.join("c");
        make_directory(&directory).unwrap();
        write(&file, b"longer").unwrap();
        write(&file, b"new").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"new");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(
            [mode(&base.path().join("a")), mode(&directory), mode(&file)],
            [0o700, 0o700, 0o600]
        );
    }
}
