//! One console: a thread that writes to it, and a queue that never fills the memory nor keeps anybody waiting.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;

use super::repeats::{Repeats, Told};

/// Pieces that wait for a slow console; a line is at most 4 KiB, escaped some more, so a stopped console holds some MiB at most.
const QUEUE: usize = 256;

/// How long the count of a line that came again may wait where it is a line of its own.
pub(super) const COUNT: Duration = Duration::from_secs(10);

/// How long an idle console waits for its queue.
const IDLE: Duration = Duration::from_secs(3600);

/// What a console is sent.
#[derive(Clone, Debug)]
pub(super) enum Piece {
    /// A line, visible and without its end.
    Line(Arc<str>),
    /// The page has changed, or is to go: [`Stale`] says so.
    Page,
}

/// Whether the page has changed since it was drawn, and whether it is to go for good. A queue that is full loses neither.
#[derive(Clone, Debug, Default)]
pub(super) struct Stale {
    is_changed: Arc<AtomicBool>,
    is_left: Arc<AtomicBool>,
}

impl Stale {
    pub(super) fn is_set(&self) -> bool {
        self.is_changed.load(Ordering::Relaxed)
    }

    /// Whether it was not set before.
    pub(super) fn set(&self) -> bool {
        !self.is_changed.swap(true, Ordering::Relaxed)
    }

    pub(super) fn clear(&self) {
        self.is_changed.store(false, Ordering::Relaxed);
    }

    /// Whether somebody else has this screen.
    pub(super) fn is_left(&self) -> bool {
        self.is_left.load(Ordering::Relaxed)
    }

    /// Somebody else has this screen from now on.
    pub(super) fn leave(&self) {
        self.is_left.store(true, Ordering::Relaxed);
        self.set();
    }
}

/// A console that was opened.
#[derive(Clone, Debug)]
pub(super) struct Outlet {
    name: String,
    queue: SyncSender<Piece>,
    stale: Stale,
}

impl Outlet {
    /// Open the terminal at this path, and have this run on a thread of its own. `None` where it does not open, as of a console
    /// without a device behind it (ttyS0 on a board without a serial port); the others do.
    pub(super) fn open(
        name: &str,
        path: &Path,
        run: impl FnOnce(File, &Receiver<Piece>, Stale) + Send + 'static,
    ) -> Option<Self> {
        let device = OpenOptions::new()
            .write(true)
            .custom_flags(OFlag::O_NOCTTY.bits())
            .open(path)
            .ok()?;
        let (queue, receiver) = sync_channel(QUEUE);
        let stale = Stale::default();
        let own_stale = stale.clone();
        thread::Builder::new()
            .name("console".to_owned())
            .spawn(move || run(device, &receiver, own_stale))
            .ok()?;
        Some(Self {
            name: name.to_owned(),
            queue,
            stale,
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Send this. A console that is full loses it, and one that has failed for good.
    pub(super) fn send(&self, piece: Piece) {
        let _ = self.queue.try_send(piece);
    }

    /// Leave the screen to somebody else.
    pub(super) fn leave(&self) {
        self.stale.leave();
        self.send(Piece::Page);
    }

    /// Have the page drawn again.
    pub(super) fn redraw(&self) {
        if self.stale.set() {
            // A console that is full looks whether it is stale when it has written.
            self.send(Piece::Page);
        }
    }
}

/// Write lines alone, each once with a count.
pub(super) fn write_lines(mut device: File, queue: &Receiver<Piece>) {
    let mut repeats = Repeats::new(COUNT);
    loop {
        let pause = repeats
            .next()
            .map_or(IDLE, |at| at.saturating_duration_since(Instant::now()));
        let mut told = match queue.recv_timeout(pause) {
            Ok(Piece::Line(line)) => repeats.take(line.to_string(), Instant::now()),
            Ok(Piece::Page) => Vec::new(),
            Err(RecvTimeoutError::Timeout) => Vec::new(),
            Err(RecvTimeoutError::Disconnected) => {
                if let Some(told) = repeats.rest() {
                    let _ = device.write_all(plain(&told).as_bytes());
                }
                return;
            }
        };
        told.extend(repeats.due(Instant::now()));
        for told in told {
            // A hung-up line fails at every write; it may come back.
            let _ = device.write_all(plain(&told).as_bytes());
        }
    }
}

/// A line of a log, with its end: the terminal makes a carriage return of that.
pub(super) fn plain(told: &Told) -> String {
    match told {
        Told { line, count: 1 } => format!("{line}\n"),
        Told { line, count } => format!("{line} ({count} times)\n"),
    }
}
