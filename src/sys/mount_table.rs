//! What is mounted where, and what is swapped to, as the kernel tells.

use super::device_number;
use super::root::Root;

/// A mounted file system.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Mount {
    /// Major and minor number of what is mounted; of no device for btrfs and overlays.
    pub(crate) number: (u32, u32),
    /// Where it is mounted.
    pub(crate) place: String,
    /// What is mounted: the node of a device, or any word where there is none.
    pub(crate) source: String,
}

/// Everything that is mounted, in the order of mounting.
pub(crate) fn mounts(root: &Root) -> Vec<Mount> {
    let table = root.text("/proc/self/mountinfo").unwrap_or_default();
    table.lines().filter_map(mount).collect()
}

/// proc_pid_mountinfo(5): id, parent, major:minor, root, mount point, options, optional fields, a
/// hyphen, file system, source.
fn mount(line: &str) -> Option<Mount> {
    let (left, right) = line.split_once(" - ")?;
    let mut left = left.split(' ').skip(2);
    Some(Mount {
        number: device_number::parse(left.next()?)?,
        place: unescape(left.nth(1)?),
        source: unescape(right.split(' ').nth(1)?),
    })
}

/// The kernel writes space, tab, newline and backslash as three octal digits.
fn unescape(field: &str) -> String {
    field
        .replace("\\040", " ")
        .replace("\\011", "\t")
        .replace("\\012", "\n")
        .replace("\\134", "\\")
}

/// The nodes and files that are swapped to (proc_swaps(5)).
pub(crate) fn swaps(root: &Root) -> Vec<String> {
    let table = root.text("/proc/swaps").unwrap_or_default();
    table
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        // The first line is a heading.
        .filter(|name| name.starts_with('/'))
        .map(unescape)
        .collect()
}
