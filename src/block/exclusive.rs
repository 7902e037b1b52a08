//! A disk opened for this process alone, once those have let go who look at it for a moment.

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use farrier_plugin::Context;

use super::holders;
use crate::sys::block_device::{Disk, DiskError};
use crate::sys::root::Root;

/// How long a disk may be busy: udev looks at it for some moments after each change. The reference
/// waits as long (contract/data-plane 10.8).
pub(crate) const LIMIT: Duration = Duration::from_secs(20);
/// How often it is tried meanwhile.
pub(crate) const PAUSE: Duration = Duration::from_millis(100);

/// Why a disk could not be had.
#[derive(Debug)]
pub(crate) struct NotOpened {
    /// Who keeps it busy, each in words as [`holders::of`] has them; empty where it is not busy, or
    /// nobody was found.
    pub(crate) users: Vec<String>,
    /// What the kernel answered last: [`DiskError::Busy`] after the wait, and where the command was
    /// cancelled in it; anything else at once.
    pub(crate) source: DiskError,
}

/// Open a device, named as in `/dev/sda`, waiting up to 20 s while it is busy. In a recorded tree it
/// is the plain file of its name there.
pub(crate) fn open(root: &Root, device: &str, context: &dyn Context) -> Result<Disk, NotOpened> {
    open_by(root, device, context, Disk::open_exclusive)
}

/// The same for a disk of which others hold partitions: nobody else works on its table meanwhile.
pub(crate) fn open_beside_holders(
    root: &Root,
    device: &str,
    context: &dyn Context,
) -> Result<Disk, NotOpened> {
    open_by(root, device, context, Disk::open_beside_holders)
}

fn open_by(
    root: &Root,
    device: &str,
    context: &dyn Context,
    open: impl Fn(PathBuf) -> Result<Disk, DiskError>,
) -> Result<Disk, NotOpened> {
    let deadline = Instant::now() + LIMIT;
    loop {
        let source = match open(root.path(device)) {
            Ok(disk) => return Ok(disk),
            Err(source) => source,
        };
        let is_busy = matches!(source, DiskError::Busy { .. });
        if is_busy && Instant::now() < deadline && !context.is_cancelled() {
            thread::sleep(PAUSE);
            continue;
        }
        let users = if is_busy {
            holders::of(root, device)
        } else {
            Vec::new()
        };
        return Err(NotOpened { users, source });
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::atomic::{AtomicBool, Ordering};

    use farrier_plugin::{Progress, SilentContext};

    use super::*;

    /// Cancelled once it was asked.
    #[derive(Default)]
    struct Cancelled(AtomicBool);

    impl Context for Cancelled {
        fn report_progress(&self, _progress: Progress) {}

        fn is_cancelled(&self) -> bool {
            self.0.swap(true, Ordering::SeqCst)
        }
    }

    /// A tree with a disk.
    fn tree() -> (tempfile::TempDir, Root) {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("dev")).unwrap();
        fs::write(directory.path().join("dev/sda"), vec![0; 4096]).unwrap();
        let root = Root::at(directory.path());
        (directory, root)
    }

    #[test]
    fn a_disk_that_is_busy_for_a_moment_is_waited_for() {
        let (_directory, root) = tree();
        let first = open(&root, "/dev/sda", &SilentContext).unwrap();
        thread::scope(|scope| {
            let second = scope.spawn(|| open(&root, "/dev/sda", &SilentContext));
            thread::sleep(PAUSE * 2);
            assert!(!second.is_finished());
            drop(first);
            assert!(second.join().unwrap().is_ok());
        });
    }

    #[test]
    fn a_cancel_ends_the_wait() {
        let (_directory, root) = tree();
        let _first = open(&root, "/dev/sda", &SilentContext).unwrap();
        let refused = open(&root, "/dev/sda", &Cancelled::default()).unwrap_err();
        assert!(matches!(refused.source, DiskError::Busy { .. }));
    }

    #[test]
    fn a_disk_that_is_not_there_is_not_waited_for() {
        let (_directory, root) = tree();
        let began = Instant::now();
        let refused = open(&root, "/dev/sdb", &SilentContext).unwrap_err();
        assert!(!matches!(refused.source, DiskError::Busy { .. }));
        assert!(refused.users.is_empty());
        assert!(began.elapsed() < LIMIT);
    }
}
