//! Tenants' file systems for tests, on loop devices; a test that may not make one ends.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};

use super::server;
use crate::sys::confinement::entrance_of_test_program;
use crate::sys::loop_device::LoopDevice;
use crate::sys::process::Program;

entrance_of_test_program!("farrier-image-tree", server::main);

/// A file system on a device of its own.
pub(in crate::deploy) struct Image {
    pub(in crate::deploy) device: LoopDevice,
    /// Behind the device.
    pub(in crate::deploy) file: tempfile::NamedTempFile,
    kind: &'static str,
}

impl Image {
    /// One of this kind and size, made with these arguments; `None` where the machine has no such program or
    /// kernel.
    pub(in crate::deploy) fn made(
        kind: &'static str,
        mib: u64,
        arguments: &[&str],
    ) -> Option<Self> {
        let program = format!("/sbin/mkfs.{kind}");
        let known = std::fs::read_to_string("/proc/filesystems").unwrap();
        if !Path::new(&program).exists() || !known.contains(kind) {
            eprintln!("not run: this machine makes or mounts no {kind}");
            return None;
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(mib << 20).unwrap();
        let program = arguments
            .iter()
            .fold(Program::new(program), |program, argument| {
                program.arg(*argument)
            });
        program
            .arg(file.path().display().to_string())
            .run()
            .unwrap();
        let device = LoopDevice::over(file.path(), 512)?;
        Some(Self { device, file, kind })
    }

    /// An ext4 with what this puts into it.
    pub(in crate::deploy) fn ext4(fill: impl FnOnce(&Path)) -> Option<Self> {
        let image = Self::made("ext4", 16, &["-q"])?;
        image.look(fill);
        Some(image)
    }

    /// Its path.
    pub(in crate::deploy) fn path(&self) -> &str {
        self.device.path()
    }

    /// Mount it, as the one who made the image does.
    pub(in crate::deploy) fn look<T>(&self, look: impl FnOnce(&Path) -> T) -> T {
        let folder = tempfile::tempdir().unwrap();
        let none = None::<&str>;
        let flags = MsFlags::empty();
        mount(
            Some(self.path()),
            folder.path(),
            Some(self.kind),
            flags,
            none,
        )
        .unwrap();
        let mounted = Mounted(folder.path());
        let outcome = look(folder.path());
        drop(mounted);
        outcome
    }
}

struct Mounted<'p>(&'p Path);

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(60);
        // A program that another test starts has open what this one had, until it is another program.
        while let Err(errno) = umount2(self.0, MntFlags::empty()) {
            assert!(
                errno == Errno::EBUSY && Instant::now() < deadline,
                "{errno}"
            );
            thread::sleep(Duration::from_millis(10));
        }
    }
}
