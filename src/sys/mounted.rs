//! A device that is mounted as long as a value lives.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use tracing::warn;

/// Mount points are made here; a tmpfs in the ramdisk.
const DIRECTORY: &str = super::run_files::MOUNT_POINTS;

/// A mounted device; dropping it unmounts it.
#[derive(Debug)]
pub(crate) struct Mounted {
    path: PathBuf,
}

impl Mounted {
    /// Mount a device with this file system for reading only, without programs and device nodes,
    /// in a directory of its own.
    pub(crate) fn read_only(device: &Path, file_system: &str) -> io::Result<Self> {
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
    pub(crate) fn path(&self) -> &Path {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::loop_device::LoopDevice;
    use crate::sys::process::Program;

    #[test]
    fn a_device_is_mounted_as_long_as_the_value_lives() {
        let directory = tempfile::tempdir().unwrap();
        let content = directory.path().join("content");
        fs::create_dir(&content).unwrap();
        fs::write(content.join("parameters.txt"), "a=1\n").unwrap();
        let image = directory.path().join("image");
        fs::write(&image, vec![0; 4 << 20]).unwrap();
        Program::new("/sbin/mkfs.ext4")
            .arg("-q")
            .arg("-d")
            .arg(content.display().to_string())
            .arg(image.display().to_string())
            .run()
            .unwrap();
        let Some(device) = LoopDevice::over(&image, 512) else {
            return;
        };
        Mounted::read_only(Path::new(device.path()), "iso9660").unwrap_err();
        let mounted = Mounted::read_only(Path::new(device.path()), "ext4").unwrap();
        let path = mounted.path().to_owned();
        assert_eq!(fs::read(path.join("parameters.txt")).unwrap(), b"a=1\n");
        let written = fs::write(path.join("new"), b"").unwrap_err();
        assert_eq!(written.raw_os_error(), Some(libc::EROFS));
        drop(mounted);
        assert!(!path.exists());
    }
}
