//! Files and directories that root alone can read, whatever the umask is: what is kept of a boot names
//! hosts, disks and people, and holds secrets now and then.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

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

/// Put this content in the place of a file's: who reads it meanwhile sees the old or the new one, and a kill in the
/// middle leaves no part of it under the file's name.
pub(crate) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let new = new_of(path);
    write(&new, content)?;
    fs::rename(new, path)
}

/// Where the new content of a file is until it is whole.
pub(crate) fn new_of(path: &Path) -> PathBuf {
    path.with_added_extension("new")
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn a_reader_keeps_what_it_opened() {
        let base = tempfile::tempdir().unwrap();
        let file = base.path().join("lease");
        replace(&file, b"the old content").unwrap();
        let opened = fs::File::open(&file).unwrap();
        replace(&file, b"new").unwrap();
        assert_eq!(io::read_to_string(opened).unwrap(), "the old content");
        assert_eq!(fs::read(&file).unwrap(), b"new");
        assert_eq!(
            fs::metadata(&file).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(fs::read_dir(base.path()).unwrap().count(), 1);
    }
}
