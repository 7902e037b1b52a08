//! Stopping arrays of software RAID: one, and all before the machine ends.
#![expect(unsafe_code, reason = "ioctl on md devices")]

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use super::root::Root;

/// What an array may be in (`md/array_state`) where its members are written to, be it only by a resync. One that is
/// assembled and was not written to since (`read-auto`) is none of these, and has to stay as it is: any request at its
/// `sync_action` would make it writable.
const WRITABLE: &[&str] = &["clean", "active", "write-pending", "active-idle"];

/// Stop the array of this device node, as `mdadm --stop` does: its members are plain devices
/// afterwards, and nothing is written to them.
///
/// EBUSY while something else has the array open, or is made of it.
pub(crate) fn stop(device: &Path) -> io::Result<()> {
    let array = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_CLOEXEC)
        .open(device)?;
    // SAFETY: the descriptor is open, and STOP_ARRAY takes no argument.
    unsafe { ioctl::stop_array(array.as_raw_fd()) }?;
    Ok(())
}

/// End the resync of every array that can be written to, and stop those that nothing uses: the machine is about to end.
/// While the kernel shuts the disks down one after the other, a resync would still read, and have the superblocks of
/// those that are up say that the others have failed. Where it ended is in the superblocks: it goes on from there.
///
/// A disk that does not answer holds nothing up for longer than this. Returns what could not be done, one sentence for
/// each array; one in use stays, without its resync.
pub(crate) fn end_all(root: &Root, limit: Duration) -> Vec<String> {
    let deadline = Instant::now() + limit;
    let writable: Vec<String> = root
        .names("/sys/block")
        .into_iter()
        .filter(|kname| {
            let state = root.attribute(format!("/sys/block/{kname}/md/array_state"));
            state.is_some_and(|state| WRITABLE.contains(&state.as_str()))
        })
        .collect();
    let mut failures = Vec::new();
    // Side by side: each waits for its disks, and one whose disks others are synchronising for those.
    let mut still = within(deadline, &writable, &mut failures, {
        let root = root.clone();
        move |kname| freeze(&root, kname)
    });
    // One that another is made of is stopped after that.
    loop {
        let mut refused = Vec::new();
        let before = still.len();
        let stopped = within(deadline, &still, &mut refused, {
            let root = root.clone();
            move |kname| stop(&root.path(format!("/dev/{kname}")))
        });
        still.retain(|kname| !stopped.contains(kname));
        if still.is_empty() || still.len() == before || Instant::now() >= deadline {
            failures.append(&mut refused);
            return failures;
        }
    }
}

/// Have this array's resync end, and none begin.
fn freeze(root: &Root, kname: &str) -> io::Result<()> {
    let action = root.path(format!("/sys/block/{kname}/md/sync_action"));
    match OpenOptions::new().write(true).open(action) {
        Ok(mut action) => action.write_all(b"frozen"),
        // RAID 0 has nothing to synchronise.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Do this to each, in threads that are left alone at the deadline: they can hang in the kernel. Returns those with which
/// it succeeded, in their order.
fn within(
    deadline: Instant,
    arrays: &[String],
    failures: &mut Vec<String>,
    act: impl Fn(&str) -> io::Result<()> + Clone + Send + 'static,
) -> Vec<String> {
    let (sender, outcomes) = mpsc::channel();
    for kname in arrays {
        let (kname, act, sender, unstarted) =
            (kname.clone(), act.clone(), sender.clone(), sender.clone());
        let name = kname.clone();
        let started = thread::Builder::new().spawn(move || {
            let outcome = act(&kname);
            let _ = sender.send((kname, outcome));
        });
        if let Err(error) = started {
            let _ = unstarted.send((name, Err(error)));
        }
    }
    drop(sender);
    let mut silent = arrays.to_vec();
    let mut done = Vec::new();
    while let Ok((kname, outcome)) =
        outcomes.recv_timeout(deadline.saturating_duration_since(Instant::now()))
    {
        silent.retain(|other| *other != kname);
        match outcome {
            Ok(()) => done.push(kname),
            Err(error) => failures.push(format!("Could not stop the array {kname}: {error}")),
        }
    }
    failures.extend(
        silent
            .iter()
            .map(|kname| format!("Could not stop the array {kname}: it does not answer")),
    );
    done.sort_unstable();
    done
}

/// STOP_ARRAY of linux/raid/md_u.h; 9 is MD_MAJOR.
mod ioctl {
    nix::ioctl_none!(stop_array, 9, 0x32);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_array_is_not_stopped() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = stop(file.path()).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOTTY));
        assert!(stop(Path::new("/nonexistent")).is_err());
    }

    /// Arrays by name, each with its state and, but for RAID 0, what it is doing.
    fn machine(arrays: &[(&str, &str, bool)]) -> (tempfile::TempDir, Root) {
        let tree = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(tree.path().join("sys/block/sda/queue")).unwrap();
        std::fs::create_dir_all(tree.path().join("dev")).unwrap();
        for (kname, state, synchronises) in arrays {
            let md = tree.path().join(format!("sys/block/{kname}/md"));
            std::fs::create_dir_all(&md).unwrap();
            std::fs::write(md.join("array_state"), format!("{state}\n")).unwrap();
            if *synchronises {
                std::fs::write(md.join("sync_action"), "resync\n").unwrap();
            }
            // Which no kernel stops.
            std::fs::write(tree.path().join("dev").join(kname), "").unwrap();
        }
        let root = Root::at(tree.path());
        (tree, root)
    }

    #[test]
    fn what_is_written_to_is_frozen_and_what_is_only_assembled_stays() {
        let (_tree, root) = machine(&[
            ("md0", "active", true),
            ("md1", "clean", true),
            ("md2", "read-auto", true),
            ("md3", "readonly", true),
            ("md4", "inactive", true),
            ("md5", "clean", false),
        ]);
        let failures = end_all(&root, Duration::from_secs(60));
        for (kname, action) in [
            ("md0", "frozen"),
            ("md1", "frozen"),
            ("md2", "resync"),
            ("md3", "resync"),
            ("md4", "resync"),
        ] {
            let found = root.attribute(format!("/sys/block/{kname}/md/sync_action"));
            // The kernel's file is not written over but asked.
            assert!(found.unwrap().starts_with(action), "{kname}");
        }
        let mut arrays: Vec<&str> = failures
            .iter()
            .map(|failure| failure.split([' ', ':']).nth(5).unwrap())
            .collect();
        arrays.sort_unstable();
        assert_eq!(arrays, ["md0", "md1", "md5"], "{failures:?}");
    }

    #[test]
    fn an_array_that_does_not_answer_holds_the_power_off_up_no_longer_than_it_may() {
        let (tree, root) = machine(&[("md0", "active", false), ("md1", "active", true)]);
        // Opening it for writing waits for a reader that never comes, as a hung disk is waited for.
        let action = tree.path().join("sys/block/md0/md/sync_action");
        nix::unistd::mkfifo(&action, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let started = Instant::now();
        let failures = end_all(&root, Duration::from_secs(1));
        assert!(started.elapsed() < Duration::from_secs(20));
        assert!(
            failures.contains(&"Could not stop the array md0: it does not answer".to_owned()),
            "{failures:?}"
        );
        let other = root.attribute("/sys/block/md1/md/sync_action").unwrap();
        assert!(other.starts_with("frozen"), "{other}");
        // So that the thread ends.
        drop(OpenOptions::new().read(true).open(&action).unwrap());
    }

    #[test]
    fn where_no_array_is_nothing_is_waited_for() {
        let (_tree, root) = machine(&[]);
        let started = Instant::now();
        assert!(end_all(&root, Duration::from_secs(60)).is_empty());
        assert!(started.elapsed() < Duration::from_secs(30));
    }
}
