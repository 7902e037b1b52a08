//! A device that is mounted as long as a value lives.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use tracing::warn;

/// Mount points are made here; a tmpfs in the ramdisk.
const DIRECTORY: &str = "/run/farrier/mnt";

/// A mounted device; dropping it unmounts it.
#[derive(Debug)]
pub struct Mounted {
    path: PathBuf,
}

impl Mounted {
    /// Mount a device with this file system for reading only, without programs and device nodes,
    /// in a directory of its own.
    pub fn read_only(device: &Path, file_system: &str) -> io::Result<Self> {
        let path = Path::new(DIRECTORY).join(uuid::Uuid::new_v4().simple().to_string());
        fs::create_dir_all(&path)?;
        let flags =
            MsFlags::MS_RDONLY | MsFlags::MS_NODEV | MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
        let mounted = mount(Some(device), &path, Some(file_system), flags, None::<&str>);
        match mounted {
            Ok(()) => Ok(Self { path }),
            Err(errno) => {
                let _ = fs::remove_dir(&path);
                Err(errno.into())
            }
        }
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Detached at once where something still holds a file in it.
        if let Err(errno) = umount2(&self.path, MntFlags::MNT_DETACH) {
            warn!(path = %self.path.display(), %errno, "could not be unmounted");
        }
        let _ = fs::remove_dir(&self.path);
    }
}
