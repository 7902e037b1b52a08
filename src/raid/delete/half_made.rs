//! Disks that were partitioned for arrays which were then not made.

use std::collections::BTreeSet;

use super::machine::Machine;
use super::survey::{Found, Look};
use crate::block::list::ListedDevice;
use crate::block::stack::{is_array, is_holder};
use crate::raid::member_mark;

impl Look<'_> {
    /// The disks that were partitioned for arrays, and carry none: a power cut came in between.
    ///
    /// What shows it: every partition but those that firmware boots by has the mark of a partition for an array, and
    /// nothing that is known. That the reference makes its first member at 551 MiB, or that partitions are zeros at
    /// their ends, shows nothing: a system disk with an EFI system partition of 550 MiB and an encrypted
    /// partition behind it is as much.
    pub(super) fn half_made(&self, machine: &dyn Machine, arrays: &[Found]) -> BTreeSet<String> {
        let has_array =
            |disk: &ListedDevice| arrays.iter().any(|found| found.disks.contains(&disk.kname));
        self.stack
            .0
            .iter()
            .filter(|disk| disk.is_disk() && !is_array(disk) && !has_array(disk))
            .filter(|disk| self.is_half_made(machine, disk))
            .filter(|disk| {
                let reached = self.stack.with_what_lies_on(disk);
                !reached
                    .iter()
                    .any(|part| self.protected.contains(&part.kname))
                    && !reached
                        .iter()
                        .any(|part| is_holder(part) && part.kind != "part")
                    && !self.is_virtual_media(disk)
                    && self.reason_against(&reached).is_none()
            })
            .map(|disk| disk.kname.clone())
            .collect()
    }

    fn is_half_made(&self, machine: &dyn Machine, disk: &ListedDevice) -> bool {
        let root = machine.root();
        let Some(types) = self
            .contents
            .get(disk.kname.as_str())
            .map(|contents| &contents.partition_types)
        else {
            return false;
        };
        let number =
            |part: &ListedDevice| root.number(format!("/sys/class/block/{}/partition", part.kname));
        let mut parts: Vec<&ListedDevice> = self
            .stack
            .0
            .iter()
            .filter(|part| part.is_partition() && part.parents.contains(&disk.kname))
            .collect();
        parts.sort_by_key(|part| number(part));
        if parts.len() != types.len() {
            return false;
        }
        let mut members = parts
            .into_iter()
            .zip(types)
            .filter(|(_, kind)| !OF_FIRMWARE.contains(&kind.as_str()))
            .peekable();
        members.peek().is_some()
            && members.all(|(part, _)| {
                let contents = self.contents.get(part.kname.as_str());
                contents.is_some_and(|contents| contents.kind.is_none()) && is_marked(machine, part)
            })
    }
}

/// Types of partitions that firmware boots by: an EFI system partition, GRUB's on a GPT.
const OF_FIRMWARE: [&str; 2] = [
    "c12a7328-f81f-11d2-ba4b-00a0c93ec93b",
    "21686148-6449-6e6f-744e-656564454649",
];

fn is_marked(machine: &dyn Machine, part: &ListedDevice) -> bool {
    let found = machine.read(&part.device.name, member_mark::PLACE, member_mark::LENGTH);
    found.is_some_and(|found| member_mark::is_mark(&found))
}
