//! Control groups (cgroup v2): a bound on what a process and everything it starts may use, and a
//! way to end them all at once (Documentation/admin-guide/cgroup-v2.rst).

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tracing::debug;

/// Where the hierarchy is mounted: in the ramdisk, and on systems that have version 1 beside it.
const MOUNTS: [&str; 2] = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];

/// The group that all groups of ours lie in.
const PARENT: &str = "farrier";

/// How long dying processes may take to leave a group; what is stuck in the kernel stays.
const LEAVE_LIMIT: Duration = Duration::from_secs(2);

/// What the processes of a group may use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bytes of memory, page cache of their own files included.
    pub memory: u64,
    /// Processes and threads.
    pub processes: u32,
}

/// A control group, empty or not. Removed when dropped, where nothing is in it any more.
#[derive(Debug)]
pub(crate) struct ControlGroup {
    path: PathBuf,
}

impl ControlGroup {
    /// A new group with these limits, whose name begins like this.
    ///
    /// A kernel that lacks a controller leaves its limit out; that is logged.
    ///
    /// # Errors
    /// There is no hierarchy of version 2, or it may not be written.
    pub(crate) fn create(name: &str, limits: Limits) -> io::Result<Self> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let mount = mount().ok_or_else(|| {
            io::Error::new(io::ErrorKind::NotFound, "no cgroup v2 hierarchy is mounted")
        })?;
        let parent = mount.join(PARENT);
        // The process is in the name, so that `farrier plugins` beside a running agent does not
        // meet the agent's groups.
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let group = Self {
            path: parent.join(format!("{name}.{number}.{}", std::process::id())),
        };
        make_folder(&parent)?;
        make_folder(&group.path)?;
        for folder in [mount, &parent] {
            for controller in ["+memory", "+pids"] {
                note(
                    fs::write(folder.join("cgroup.subtree_control"), controller),
                    controller,
                );
            }
        }
        for (file, value) in [
            ("memory.max", limits.memory.to_string()),
            ("memory.swap.max", "0".to_owned()),
            // The group is one manager: half of one is of no use.
            ("memory.oom.group", "1".to_owned()),
            ("pids.max", limits.processes.to_string()),
        ] {
            note(fs::write(group.path.join(file), value), file);
        }
        Ok(group)
    }

    /// The file into which a process writes `0` to enter the group.
    pub(super) fn entrance(&self) -> io::Result<File> {
        OpenOptions::new()
            .write(true)
            .open(self.path.join("cgroup.procs"))
    }

    /// Kill every process in it, and wait a moment until they are gone.
    ///
    /// Returns whether none is left: a process can be stuck in the kernel.
    pub(crate) fn kill(&self) -> bool {
        if self.is_empty() {
            return true;
        }
        // Since Linux 5.14. It also catches what forks faster than it could be counted.
        note(fs::write(self.path.join("cgroup.kill"), "1"), "cgroup.kill");
        let deadline = Instant::now() + LEAVE_LIMIT;
        while !self.is_empty() {
            if Instant::now() > deadline {
                return false;
            }
            thread::sleep(Duration::from_millis(5));
        }
        true
    }

    /// Whether the kernel killed one of its processes for its memory.
    pub(crate) fn ran_out_of_memory(&self) -> bool {
        fs::read_to_string(self.path.join("memory.events")).is_ok_and(|events| {
            events
                .lines()
                .filter_map(|line| line.strip_prefix("oom_kill "))
                .any(|count| count.trim() != "0")
        })
    }

    fn is_empty(&self) -> bool {
        fs::read_to_string(self.path.join("cgroup.procs")).is_ok_and(|list| list.trim().is_empty())
    }
}

impl Drop for ControlGroup {
    fn drop(&mut self) {
        note(fs::remove_dir(&self.path), "removing the group");
    }
}

/// Kill what processes that are gone have left in groups of theirs, and remove those groups: an
/// agent that was killed could not.
pub(crate) fn clear_leftovers() {
    let Some(parent) = mount().map(|mount| mount.join(PARENT)) else {
        return;
    };
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.rsplit('.').next());
        let is_group = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if let Some(owner) = owner.filter(|owner| owner.parse::<u32>().is_ok())
            && is_group
            && !Path::new("/proc").join(owner).exists()
        {
            let left = ControlGroup { path: entry.path() };
            left.kill();
        }
    }
}

fn mount() -> Option<&'static Path> {
    MOUNTS
        .iter()
        .map(Path::new)
        .find(|mount| mount.join("cgroup.controllers").exists())
}

fn make_folder(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        result => result,
    }
}

fn note(result: io::Result<()>, what: &str) {
    if let Err(error) = result {
        debug!(what, %error, "control group");
    }
}
