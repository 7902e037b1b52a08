//! Loop devices for tests, which therefore need root; without it such a test says so and ends.

use std::path::Path;

use crate::sys::process::Program;

/// A loop device over a file; detached when dropped.
pub(crate) struct LoopDevice {
    path: String,
}

impl LoopDevice {
    /// `None` where this user may not make one.
    pub(crate) fn over(file: &Path, logical_block_size: u32) -> Option<Self> {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("not run: needs root for a loop device");
            return None;
        }
        let output = Program::new("/usr/sbin/losetup")
            .arg("--find")
            .arg("--show")
            .arg("--partscan")
            .arg("--sector-size")
            .arg(logical_block_size.to_string())
            .arg(file.display().to_string())
            .run()
            .unwrap();
        Some(Self {
            path: output.stdout.trim().to_owned(),
        })
    }

    /// `/dev/loopN`
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Let the kernel see its partitions. Not by a re-read: a kernel can be built without partition tables
    /// of its own.
    pub(crate) fn show_partitions(&self) {
        Program::new("/usr/bin/partx")
            .arg("--update")
            .arg(&self.path)
            .run()
            .unwrap();
    }
}

impl Drop for LoopDevice {
    fn drop(&mut self) {
        let _ = Program::new("/usr/sbin/losetup")
            .arg("--detach")
            .arg(&self.path)
            .run();
    }
}
