//! Waiting until udev has dealt with what the kernel found.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::sys::root::Root;

/// How often the queue is looked at.
const POLL: Duration = Duration::from_millis(20);

/// The queue must be empty, and the kernel silent, this long: udev marks its queue only once it has
/// read an event from the kernel, so there is a moment in which neither shows it.
const QUIET: Duration = Duration::from_millis(60);

/// How long udev may take to deal with new devices and partitions before one goes on without it. The start
/// of a machine has a longer limit of its own.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// How soon udev notices that a device was closed which had been open for writing: milliseconds, more on a machine
/// that is short of processor time. Where udev does not watch the device, it never does.
const NOTICE: Duration = Duration::from_secs(1);

/// How the waiting ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Settled {
    /// udev has nothing to do.
    Quiet,
    /// There is no udev to wait for.
    NoUdev,
    /// The time was up and udev still at work. The devices that it has not come to can be used,
    /// but may lack names and links.
    TimedOut,
}

/// Wait until udev's queue is empty, at most this long.
///
/// This is what `udevadm settle` does, without the program: udev keeps `/run/udev/queue` there for
/// as long as it has events, and the kernel counts its events in `/sys/kernel/uevent_seqnum`.
///
/// Once that has been seen, the next waiting ends at once unless the kernel has counted on since:
/// without a new event there is no such moment, and an inventory would spend most of its time here.
pub(crate) fn wait(root: &Root, timeout: Duration) -> Settled {
    static SETTLED_AT: AtomicU64 = AtomicU64::new(NEVER);
    if root.is_system() {
        wait_since(root, timeout, &SETTLED_AT)
    } else {
        // Each recording counts for itself.
        wait_since(root, timeout, &AtomicU64::new(NEVER))
    }
}

/// A disk that was open for writing is about to be closed. udev notices that by itself, a moment later, and has the
/// kernel read its partition table again: until then neither udev's queue nor the kernel's count shows anything, and
/// while it happens the partitions are away.
#[derive(Debug)]
pub(crate) struct Closing {
    /// The kernel's count before.
    before: Option<u64>,
}

impl Closing {
    /// To be called before the disk is closed.
    pub(crate) fn of(root: &Root) -> Self {
        Self {
            before: last_event(&root.unwitnessed()),
        }
    }

    /// To be called after: wait until udev has looked at the disk.
    pub(crate) fn wait(self, root: &Root) -> Settled {
        self.wait_within(root, NOTICE)
    }

    fn wait_within(self, root: &Root, notice: Duration) -> Settled {
        let root = &root.unwitnessed();
        let deadline = Instant::now() + notice;
        while root.exists("/run/udev/control")
            && last_event(root) == self.before
            && Instant::now() < deadline
        {
            thread::sleep(POLL);
        }
        wait(root, LIMIT)
    }
}

/// A count that the kernel never comes to.
const NEVER: u64 = u64::MAX;

/// `settled_at` is the kernel's count when udev was last seen to have settled.
fn wait_since(root: &Root, timeout: Duration, settled_at: &AtomicU64) -> Settled {
    // How busy udev is belongs to the moment, not to the machine: no part of a recording.
    let root = &root.unwitnessed();
    if !root.exists("/run/udev/control") {
        return Settled::NoUdev;
    }
    let start = Instant::now();
    let mut last_event = last_event(root);
    let mut quiet_since = None;
    loop {
        let now = Instant::now();
        let event = self::last_event(root);
        if root.exists("/run/udev/queue") || event != last_event {
            last_event = event;
            quiet_since = None;
        } else if event == Some(settled_at.load(Ordering::Relaxed))
            || now.duration_since(*quiet_since.get_or_insert(now)) >= QUIET
        {
            settled_at.store(event.unwrap_or(NEVER), Ordering::Relaxed);
            return Settled::Quiet;
        }
        if now.duration_since(start) >= timeout {
            return Settled::TimedOut;
        }
        thread::sleep(POLL);
    }
}

fn last_event(root: &Root) -> Option<u64> {
    root.number("/sys/kernel/uevent_seqnum")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::sys::recording::Recording;

    const PATIENCE: Duration = Duration::from_secs(120);

    #[test]
    fn without_udev_there_is_nothing_to_wait_for() {
        let recording = Recording::unpack("/run/udev/");
        assert_eq!(wait(&recording.root(), PATIENCE), Settled::NoUdev);
    }

    #[test]
    fn an_empty_queue_has_settled() {
        let recording = Recording::unpack("/run/udev/control =\n/sys/kernel/uevent_seqnum = 7");
        assert_eq!(wait(&recording.root(), PATIENCE), Settled::Quiet);
    }

    #[test]
    fn without_a_new_event_the_next_waiting_ends_at_once() {
        let recording = Recording::unpack("/run/udev/control =\n/sys/kernel/uevent_seqnum = 7");
        let root = recording.root();
        let settled_at = AtomicU64::new(NEVER);
        assert_eq!(
            wait_since(&root, Duration::ZERO, &settled_at),
            Settled::TimedOut
        );
        assert_eq!(wait_since(&root, PATIENCE, &settled_at), Settled::Quiet);
        assert_eq!(
            wait_since(&root, Duration::ZERO, &settled_at),
            Settled::Quiet
        );

        fs::write(root.path("/sys/kernel/uevent_seqnum"), "8\n").unwrap();
        assert_eq!(
            wait_since(&root, Duration::ZERO, &settled_at),
            Settled::TimedOut
        );
        // At work on the event that it had settled after: that is new work.
        fs::write(root.path("/sys/kernel/uevent_seqnum"), "7\n").unwrap();
        fs::write(root.path("/run/udev/queue"), "").unwrap();
        assert_eq!(
            wait_since(&root, Duration::ZERO, &settled_at),
            Settled::TimedOut
        );
    }

    #[test]
    fn a_busy_queue_is_waited_for_and_then_left() {
        let recording = Recording::unpack("/run/udev/control =\n/run/udev/queue =");
        let root = recording.root();
        assert_eq!(wait(&root, Duration::from_millis(50)), Settled::TimedOut);

        let queue = root.path("/run/udev/queue");
        let start = Instant::now();
        let udev = thread::spawn(move || {
            thread::sleep(Duration::from_millis(100));
            fs::remove_file(queue).unwrap();
        });
        assert_eq!(wait(&root, PATIENCE), Settled::Quiet);
        assert!(start.elapsed() >= Duration::from_millis(100));
        udev.join().unwrap();
    }

    #[test]
    fn the_look_at_a_closed_disk_is_waited_for_though_nothing_shows_it_yet() {
        let recording = Recording::unpack("/run/udev/control =\n/sys/kernel/uevent_seqnum = 7");
        let root = recording.root();
        let queue = root.path("/run/udev/queue");
        let closing = Closing::of(&root);
        let udev = thread::spawn({
            let (count, queue) = (root.path("/sys/kernel/uevent_seqnum"), queue.clone());
            move || {
                thread::sleep(QUIET * 3);
                fs::write(&queue, "").unwrap();
                fs::write(count, "8\n").unwrap();
                thread::sleep(QUIET * 3);
                fs::remove_file(queue).unwrap();
            }
        });
        assert_eq!(closing.wait_within(&root, PATIENCE), Settled::Quiet);
        assert_eq!(root.number("/sys/kernel/uevent_seqnum"), Some(8));
        assert!(!queue.exists());
        udev.join().unwrap();

        let nobody_watches = Closing::of(&root);
        assert_eq!(nobody_watches.wait_within(&root, POLL), Settled::Quiet);
        let recording = Recording::unpack("/sys/kernel/uevent_seqnum = 7");
        let no_udev = Closing::of(&recording.root());
        assert_eq!(
            no_udev.wait_within(&recording.root(), PATIENCE),
            Settled::NoUdev
        );
    }
}
