//! Where on the disks the members of arrays lie (contract/data-plane 6.3).

use farrier_plugin::BlockDevice;

use super::config::{Size, Volume};
use super::error::RaidError;
use crate::block::boot_mode::{BootMode, DiskLabel};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// Bytes that parted leaves free at the end where a partition takes what is left: a megabyte, and as
/// much as it takes to end at a whole MiB.
const FREE_AT_END: u64 = 1_000_000;

/// Bytes of the entries of a GPT, whose backup lies before its header at the disk's end.
const GPT_ENTRIES: u64 = 16 << 10;

/// A disk to divide.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct DiskShape<'a> {
    /// `/dev/sda`.
    pub(crate) device: &'a str,
    /// Bytes.
    pub(crate) size: u64,
    /// Bytes of a logical block.
    pub(crate) block: u64,
}

/// What of a disk decides where its partitions lie.
pub(super) fn shape(disk: &BlockDevice) -> DiskShape<'_> {
    DiskShape {
        device: &disk.name,
        size: disk.size,
        block: u64::from(disk.logical_sectors),
    }
}

/// A partition that is to be a member.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Place {
    /// Its volume, by its place in the order in which they are made.
    pub(crate) volume: usize,
    /// Its number in the disk's table, from 1 on.
    pub(crate) number: u32,
    /// First byte, a multiple of 1 MiB.
    pub(crate) offset: u64,
    /// Bytes, a multiple of 1 MiB.
    pub(crate) length: u64,
}

impl Place {
    fn end(&self) -> u64 {
        self.offset + self.length
    }
}

/// The partitions of one disk.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Division<'a> {
    pub(crate) disk: DiskShape<'a>,
    pub(crate) label: DiskLabel,
    /// In the order of their numbers.
    pub(crate) places: Vec<Place>,
}

/// Where the first member of a disk begins: what lies before is for what firmware boots from. UEFI gets room for an
/// EFI system partition of 550 MiB, a BIOS with a GPT for the partition of GRUB's core image; with an MBR that image
/// lies in the first MiB, which parted and sgdisk leave free on every disk.
pub(crate) fn first_member(mode: BootMode, label: DiskLabel) -> u64 {
    match (mode, label) {
        (BootMode::Uefi, _) => 551 * MIB,
        (BootMode::Bios, DiskLabel::Gpt) => 8 * MIB,
        (BootMode::Bios, DiskLabel::Msdos) => MIB,
    }
}

/// The volumes with the one that takes what is left as the last: by it nothing else would have room.
pub(crate) fn in_order(volumes: &[Volume]) -> Vec<&Volume> {
    let (last, first): (Vec<&Volume>, Vec<&Volume>) =
        volumes.iter().partition(|volume| volume.size == Size::Max);
    first.into_iter().chain(last).collect()
}

/// Divide the disks: `members` has the disks of each volume, in the order in which they are made. A disk may be
/// of several volumes, and comes once in the answer.
///
/// # Errors
/// [`RaidError::DoesNotFit`].
pub(crate) fn divide<'a>(
    mode: BootMode,
    label: DiskLabel,
    sizes: &[Size],
    members: &[Vec<DiskShape<'a>>],
) -> Result<Vec<Division<'a>>, RaidError> {
    let mut divisions: Vec<Division<'a>> = Vec::new();
    for (volume, (size, disks)) in sizes.iter().zip(members).enumerate() {
        for disk in disks {
            let index = divisions
                .iter()
                .position(|division| division.disk.device == disk.device)
                .unwrap_or_else(|| {
                    divisions.push(Division {
                        disk: *disk,
                        label,
                        places: Vec::new(),
                    });
                    divisions.len() - 1
                });
            divisions[index].add(volume, *size, first_member(mode, label))?;
        }
    }
    Ok(divisions)
}

impl Division<'_> {
    fn add(&mut self, volume: usize, size: Size, first: u64) -> Result<(), RaidError> {
        let last = self.places.last();
        let offset = last.map_or(first, Place::end);
        // The first size counts from the disk's start, as the reference has it: an array that it made is made
        // again on the same blocks.
        let base = last.map_or(0, Place::end);
        let room = self.usable_end();
        let end = match size {
            Size::Max => Some(self.end_of_rest().min(room)),
            Size::Gib(gib) => gib.checked_mul(GIB).and_then(|size| base.checked_add(size)),
        };
        let does_not_fit = |why: String| RaidError::DoesNotFit {
            device: self.disk.device.to_owned(),
            why,
        };
        let wanted = match size {
            Size::Max => "what is left".to_owned(),
            Size::Gib(gib) => format!("{gib} GiB"),
        };
        let Some(end) = end.filter(|end| *end > offset && *end <= room) else {
            return Err(does_not_fit(format!(
                "its {} partition is to take {wanted} from MiB {} on, and the disk has room up to MiB {}; change \
                 size_gb, or physical_disks to larger disks",
                match self.places.len() {
                    0 => "first",
                    _ => "second",
                },
                offset / MIB,
                room / MIB
            )));
        };
        if self.label == DiskLabel::Msdos && end / self.disk.block > u64::from(u32::MAX) {
            return Err(does_not_fit(format!(
                "a partition table of the kind msdos ends at {} MiB on this disk; set the capability disk_label to \
                 gpt, or boot_mode to uefi",
                u64::from(u32::MAX) * self.disk.block / MIB
            )));
        }
        self.places.push(Place {
            volume,
            number: self.places.len() as u32 + 1,
            offset,
            length: end - offset,
        });
        Ok(())
    }

    /// The whole MiB at which partitions of this disk have to end.
    fn usable_end(&self) -> u64 {
        let DiskShape { size, block, .. } = self.disk;
        let reserved = match self.label {
            DiskLabel::Gpt => GPT_ENTRIES.next_multiple_of(block) + block,
            DiskLabel::Msdos => 0,
        };
        size.saturating_sub(reserved) / MIB * MIB
    }

    /// Where parted lets a partition end that is to end a megabyte before the disk: at the nearest whole MiB.
    fn end_of_rest(&self) -> u64 {
        let end = self.disk.size.saturating_sub(FREE_AT_END);
        (end + MIB / 2) / MIB * MIB
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DISK: DiskShape<'static> = DiskShape {
        device: "/dev/sda",
        size: 10 * GIB,
        block: 512,
    };

    fn divided(sizes: &[Size], small: u64) -> Result<Vec<Division<'static>>, String> {
        let small = DiskShape {
            device: "/dev/sdb",
            size: small,
            ..DISK
        };
        let members = vec![vec![DISK, small]; sizes.len()];
        divide(BootMode::Uefi, DiskLabel::Gpt, sizes, &members).map_err(|error| error.to_string())
    }

    /// Every size from which a member is larger than the smallest of its disks, and no smaller one, is refused.
    #[test]
    fn a_volume_that_is_larger_than_one_of_its_disks_is_refused_by_that_disks_name() {
        for (sizes, told) in [
            (
                vec![Size::Gib(8)],
                "/dev/sdb: its first partition is to take 8 GiB",
            ),
            (
                vec![Size::Gib(4), Size::Gib(4)],
                "/dev/sdb: its second partition is to take 4 GiB",
            ),
            (
                vec![Size::Gib(7), Size::Gib(7)],
                "/dev/sda: its second partition is to take 7 GiB",
            ),
            (
                vec![Size::Gib(u64::MAX)],
                "/dev/sda: its first partition is to take",
            ),
        ] {
            let error = divided(&sizes, 8 * GIB).unwrap_err();
            assert!(error.contains(told), "{error}");
            assert!(error.contains("size_gb"), "{error}");
        }
        for sizes in [
            vec![Size::Gib(7)],
            vec![Size::Gib(3), Size::Gib(4)],
            vec![Size::Gib(7), Size::Max],
        ] {
            assert_eq!(divided(&sizes, 8 * GIB).unwrap().len(), 2);
        }
        // Not even what firmware boots from has room.
        let error = divided(&[Size::Max], 551 * MIB).unwrap_err();
        assert!(error.contains("take what is left"), "{error}");
    }
}
