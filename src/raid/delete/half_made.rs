//! Disks that were partitioned for arrays which were then not made.

use std::collections::BTreeSet;

use super::machine::Machine;
use super::survey::{Found, Look};
use crate::block::boot_mode::{BootMode, DiskLabel};
use crate::block::list::ListedDevice;
use crate::block::stack::{is_array, is_holder};
use crate::block::superblocks;
use crate::raid::layout::first_member;

impl Look<'_> {
    /// The disks that were partitioned for arrays, and carry none: a power cut came in between.
    ///
    /// What shows it: but for those that firmware boots by, no partition holds anything that is known, and either
    /// the first begins where the reference lets arrays begin, or all of them are zeros at both ends, as this agent
    /// makes them before the table is there. Their type tells nothing: it is that of file systems.
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
        let Some((first, _)) = members.peek() else {
            return false;
        };
        let start = root.number(format!("/sys/class/block/{}/start", first.kname));
        // An MBR's first partition begins at this one's place on every disk.
        let starts =
            [BootMode::Uefi, BootMode::Bios].map(|mode| first_member(mode, DiskLabel::Gpt));
        let begins_there = start.is_some_and(|sectors| starts.contains(&(sectors * 512)));
        members.all(|(part, _)| {
            let contents = self.contents.get(part.kname.as_str());
            contents.is_some_and(|contents| contents.kind.is_none())
                && (begins_there || is_blank(machine, part))
        })
    }
}

/// Types of partitions that firmware boots by: an EFI system partition, GRUB's on a GPT.
const OF_FIRMWARE: [&str; 2] = [
    "c12a7328-f81f-11d2-ba4b-00a0c93ec93b",
    "21686148-6449-6e6f-744e-656564454649",
];
/// Whether both ends are zeros: whatever a partition can hold begins or ends with something.
fn is_blank(machine: &dyn Machine, part: &ListedDevice) -> bool {
    const PIECE: u64 = 1 << 20;
    let mut ends = superblocks::ends(part.device.size).into_iter();
    ends.all(|end| {
        let mut starts = end.clone().step_by(PIECE as usize);
        starts.all(|start| {
            let length = PIECE.min(end.end - start) as usize;
            let data = machine.read(&part.device.name, start, length);
            data.is_some_and(|data| data.iter().all(|byte| *byte == 0))
        })
    })
}
