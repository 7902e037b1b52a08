//! Whether all that was written to an array is on every one of its members.

use std::collections::BTreeSet;

use crate::erase::error::EraseError;
use crate::sys::root::Root;

/// The members that an array had before it was written to.
pub(super) struct ArrayMembers {
    /// `/sys/block/md0/md`.
    directory: String,
    before: BTreeSet<String>,
}

impl ArrayMembers {
    /// Those of this device; `None` where it is no array.
    pub(super) fn of(root: &Root, device: &str) -> Option<Self> {
        let kname = device.trim_start_matches("/dev/").replace('/', "!");
        let directory = format!("/sys/block/{kname}/md");
        if !root.is_dir(&directory) {
            return None;
        }
        let before = members(root, &directory);
        Some(Self { directory, before })
    }

    /// Demand that none of them has failed since, and that none kept old data in blocks which it could not write: the
    /// kernel goes on without such a member, or notes such blocks, and the write has succeeded.
    pub(super) fn demand_written(&self, root: &Root, device: &str) -> Result<(), EraseError> {
        let now = members(root, &self.directory);
        let attribute = |member: &str, name: &str| {
            root.attribute(format!("{}/{member}/{name}", self.directory))
        };
        let fault = |member: &String| {
            if !now.contains(member) {
                return Some("was taken out of it meanwhile");
            }
            let state = attribute(member, "state").unwrap_or_default();
            if state.split(',').any(|word| word == "faulty") {
                return Some("has failed");
            }
            ["bad_blocks", "unacknowledged_bad_blocks"]
                .iter()
                .any(|list| attribute(member, list).is_some_and(|list| !list.is_empty()))
                .then_some("has blocks that could not be written")
        };
        let faults: Vec<String> = self
            .before
            .iter()
            .filter_map(|member| {
                let name = member.trim_start_matches("dev-").replace('!', "/");
                Some(format!("/dev/{name} {}", fault(member)?))
            })
            .collect();
        if faults.is_empty() {
            return Ok(());
        }
        Err(EraseError::MembersKeepData {
            device: device.to_owned(),
            faults: faults.join(", "),
        })
    }
}

fn members(root: &Root, directory: &str) -> BTreeSet<String> {
    root.names_beginning(directory, "dev-")
        .into_iter()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::recording::Recording;

    const HEALTHY: &str = "/sys/block/md0/md/dev-sda1/state = in_sync\n\
        /sys/block/md0/md/dev-sda1/bad_blocks = \n/sys/block/md0/md/dev-sdb1/state = in_sync,write_error\n";

    #[test]
    fn a_member_that_did_not_take_all_writes_is_named() {
        let recording = Recording::unpack(HEALTHY);
        let before = ArrayMembers::of(&recording.root(), "/dev/md0").unwrap();
        before
            .demand_written(&recording.root(), "/dev/md0")
            .unwrap();
        for (now, told) in [
            (
                "/sys/block/md0/md/dev-sda1/state = in_sync\n",
                "/dev/sdb1 was taken out",
            ),
            (
                &HEALTHY.replace("in_sync,write_error", "faulty"),
                "/dev/sdb1 has failed",
            ),
            (
                &HEALTHY.replace("bad_blocks = ", "bad_blocks = 8 8"),
                "/dev/sda1 has blocks",
            ),
        ] {
            let recording = Recording::unpack(now);
            let error = before
                .demand_written(&recording.root(), "/dev/md0")
                .unwrap_err();
            let error = error.to_string();
            assert!(
                error.contains("/dev/md0 is not erased") && error.contains(told),
                "{error}"
            );
        }
        assert!(ArrayMembers::of(&recording.root(), "/dev/sda").is_none());
    }
}
