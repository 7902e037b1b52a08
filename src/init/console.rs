//! The kernel's consoles. `/dev/console` is only the last `console=` of the kernel command line; a
//! person may be looking at any, so everything goes to all of them.
//!
//! A serial line that nobody reads can stop for ever. Each console therefore has a thread and a
//! bounded queue of its own: what does not fit is dropped and counted, and neither PID 1 nor the
//! agent ever waits for a console.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;

use nix::fcntl::OFlag;

use crate::sys::boot_times::since_kernel_start;
use crate::sys::printable;

/// Pieces that wait for a slow console; a piece is at most what one read of a pipe gives (4 KiB),
/// so a stopped console holds at most 1 MiB.
const QUEUE: usize = 256;

/// All active consoles. Clones write to the same ones.
#[derive(Clone, Debug)]
pub(super) struct Console {
    queues: Vec<SyncSender<Arc<[u8]>>>,
}

impl Console {
    /// The consoles that the kernel names as active, or `/dev/console` where it names none.
    pub(super) fn open() -> Self {
        let active = fs::read_to_string("/sys/class/tty/console/active").unwrap_or_default();
        Self {
            queues: devices(&active)
                .into_iter()
                .filter_map(|path| start(&path))
                .collect(),
        }
    }

    /// No console at all.
    #[cfg(test)]
    pub(super) fn nowhere() -> Self {
        Self { queues: Vec::new() }
    }

    /// The one at this path.
    #[cfg(test)]
    pub(super) fn at(path: &Path) -> Self {
        Self {
            queues: start(path).into_iter().collect(),
        }
    }

    /// Write a line of PID 1's own: the time since the kernel started, and what happened.
    pub(super) fn say(&self, text: &str) {
        let at = since_kernel_start().as_secs_f64();
        self.write(format!("{at:8.2} s  {}\n", printable::line(text)).as_bytes());
    }

    /// Write bytes as they are.
    pub(super) fn write(&self, bytes: &[u8]) {
        let bytes: Arc<[u8]> = bytes.into();
        for queue in &self.queues {
            // Full: this console loses the piece. Disconnected: it has failed for good.
            if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) =
                queue.try_send(Arc::clone(&bytes))
            {}
        }
    }
}

/// Device nodes of the names in `/sys/class/tty/console/active`.
fn devices(active: &str) -> Vec<PathBuf> {
    let named: Vec<PathBuf> = active
        .split_whitespace()
        .map(|name| Path::new("/dev").join(name))
        .collect();
    if named.is_empty() {
        vec![PathBuf::from("/dev/console")]
    } else {
        named
    }
}

fn start(path: &Path) -> Option<SyncSender<Arc<[u8]>>> {
    // A console without a device behind it, such as ttyS0 on a board without a serial port, fails
    // to open; the others do.
    let mut device = OpenOptions::new()
        .write(true)
        .custom_flags(OFlag::O_NOCTTY.bits())
        .open(path)
        .ok()?;
    let (sender, receiver): (_, Receiver<Arc<[u8]>>) = sync_channel(QUEUE);
    thread::Builder::new()
        .name("console".to_owned())
        .spawn(move || {
            for bytes in receiver {
                // A hung-up line fails at every write; it may come back.
                let _ = device.write_all(&bytes);
            }
        })
        .ok()?;
    Some(sender)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn every_console_that_the_kernel_names_is_one() {
        assert_eq!(
            devices("tty0 ttyS0\n"),
            [PathBuf::from("/dev/tty0"), PathBuf::from("/dev/ttyS0")]
        );
        assert_eq!(devices(""), [PathBuf::from("/dev/console")]);
    }

    #[test]
    fn a_console_that_nobody_reads_stops_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let fifo = directory.path().join("console");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        // A reader that never reads.
        let _reader = OpenOptions::new()
            .read(true)
            .custom_flags(OFlag::O_NONBLOCK.bits())
            .open(&fifo)
            .unwrap();
        let console = Console {
            queues: vec![start(&fifo).unwrap()],
        };
        let started = Instant::now();
        for _ in 0..2 * QUEUE {
            console.write(&[b'x'; 4096]);
        }
        assert!(started.elapsed() < Duration::from_secs(60));
    }
}
