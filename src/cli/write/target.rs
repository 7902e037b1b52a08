//! Where `farrier write` writes to: a disk, a file that stands for one, or a new file.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use farrier_plugin::chain;

use crate::block::settle::Closing;
use crate::sys::block_device::{Disk, DiskError};
use crate::sys::root::Root;

/// Bytes of a new file until the image's size is known: larger than any image, and small enough for
/// ext4 (16 TiB), XFS and tmpfs. Nothing is stored for what is not written.
const ROOM: u64 = 8 << 40;

/// Why there is nothing to write to.
#[derive(Debug, thiserror::Error)]
pub(super) enum TargetError {
    #[error(
        "{} is a disk of an installed system (/ is not in memory); nothing was written. --force \
         writes all the same",
        path.display()
    )]
    NotForced { path: PathBuf },
    #[error(
        "Could not create {}; where the file system has no sparse files, create it with the \
         image's size beforehand",
        path.display()
    )]
    Create {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("Could not give {} the image's size", path.display())]
    Size {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Disk(DiskError),
}

/// What is written to.
pub(super) struct Target {
    pub(super) disk: Disk,
    new: Option<NewFile>,
}

/// A file that was not there before. Removed unless it is kept.
struct NewFile {
    path: PathBuf,
    kept: bool,
}

impl Target {
    /// A disk, if the rules allow; a file of the size that it has; or, where nothing or an empty
    /// file is there, a file that will have the image's size.
    pub(super) fn open(
        path: &Path,
        force: bool,
        root_is_in_memory: bool,
    ) -> Result<Self, TargetError> {
        let facts = fs::metadata(path).ok();
        let is_device = facts
            .as_ref()
            .is_some_and(|facts| facts.file_type().is_block_device());
        if is_device && !force && !root_is_in_memory {
            return Err(TargetError::NotForced {
                path: path.to_owned(),
            });
        }
        let new = match facts {
            Some(facts) if !facts.is_file() || facts.len() > 0 => None,
            _ => Some(NewFile::create(path)?),
        };
        let disk = Disk::open_exclusive(path).map_err(TargetError::Disk)?;
        Ok(Self { disk, new })
    }

    /// The image is on it, with so many bytes. Its partitions have their names when this is done.
    ///
    /// A kernel that does not take the new partition table is warned of only: the image is on the
    /// disk, and not every device has partitions (a loop device may be set up without).
    pub(super) fn keep(self, size: u64) -> Result<(), TargetError> {
        if let Err(error) = self.disk.reread_partitions() {
            crate::cli::terminal::complain(&format!(
                "the image is written, but: {}",
                chain(&error)
            ));
        }
        let is_device = self.disk.is_device();
        // udev looks at a disk once it is unlocked.
        let closing = is_device.then(|| Closing::of(&Root::system()));
        drop(self.disk);
        if let Some(closing) = closing {
            closing.wait(&Root::system());
        }
        let Some(mut new) = self.new else {
            return Ok(());
        };
        resize(&new.path, size)?;
        new.kept = true;
        Ok(())
    }
}

impl NewFile {
    fn create(path: &Path) -> Result<Self, TargetError> {
        let created = |source| TargetError::Create {
            path: path.to_owned(),
            source,
        };
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(created)?;
        let new = Self {
            path: path.to_owned(),
            kept: false,
        };
        file.set_len(ROOM).map_err(created)?;
        Ok(new)
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.kept {
            // There was nothing before, and what is there now is no image.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn resize(path: &Path, size: u64) -> Result<(), TargetError> {
    let resized = File::options()
        .write(true)
        .open(path)
        .and_then(|file| file.set_len(size).and_then(|()| file.sync_all()));
    resized.map_err(|source| TargetError::Size {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;
    use crate::sys::block_device::Medium;

    #[test]
    fn a_new_file_gets_the_images_size_or_goes_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("disk");
        let target = Target::open(&path, false, false).unwrap();
        assert_eq!(target.disk.size(), ROOM);
        drop(target);
        assert!(!path.exists());

        fs::write(&path, b"").unwrap();
        let target = Target::open(&path, false, false).unwrap();
        target.disk.write_at(3 << 20, b"abc").unwrap();
        target.keep(4 << 20).unwrap();
        let facts = fs::metadata(&path).unwrap();
        assert_eq!(facts.len(), 4 << 20);
        assert!(facts.blocks() * 512 < 1 << 20, "{facts:?}");
    }

    #[test]
    fn a_file_that_is_there_stands_for_a_disk_of_its_size() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("disk");
        fs::write(&path, vec![0xff; 1 << 20]).unwrap();
        let target = Target::open(&path, false, false).unwrap();
        assert_eq!(target.disk.size(), 1 << 20);
        target.keep(512).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), 1 << 20);
    }

    #[test]
    fn a_path_that_cannot_be_is_named() {
        let error = Target::open(Path::new("/no/such/folder/disk"), false, false)
            .err()
            .unwrap();
        assert!(
            error.to_string().contains("/no/such/folder/disk"),
            "{error}"
        );
    }
}
