//! Which partitions a partition image gets, and where they lie (contract/data-plane 3.2).

use super::super::error::DeployError;
use crate::block::boot_mode::{BootMode, DiskLabel};

const MIB: u64 = 1 << 20;

/// Where the first partition begins: what parted aligns to, and room for GRUB on a disk with an MBR.
const FIRST: u64 = MIB;

/// MiB of the partition for GRUB's core image, where a BIOS boots from a GPT. The reference has an
/// option for it that nobody needs: the core image never comes near it.
const BIOS_BOOT_MIB: u64 = 1;

/// Bytes of the entries of a new GPT, whose backup lies before its header at the disk's end.
const GPT_ENTRIES: u64 = 16 << 10;

/// What a partition is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Role {
    EfiSystem,
    BiosBoot,
    Ephemeral,
    Swap,
    ConfigDrive,
    Root,
}

impl Role {
    /// The conductor's word for it, a key of `partitions`.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::EfiSystem => "efi system partition",
            Self::BiosBoot => "BIOS Boot partition",
            Self::Ephemeral => "ephemeral",
            Self::Swap => "swap",
            Self::ConfigDrive => "configdrive",
            Self::Root => "root",
        }
    }
}

/// One partition.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Place {
    pub(super) role: Role,
    /// Its number, from 1 on.
    pub(super) number: u32,
    /// First byte on the disk, a multiple of 1 MiB.
    pub(super) offset: u64,
    /// Bytes, a multiple of 1 MiB.
    pub(super) length: u64,
}

impl Place {
    /// The first byte behind it.
    pub(super) fn end(&self) -> u64 {
        self.offset + self.length
    }
}

/// MiB of each partition; 0 is none.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Sizes {
    pub(super) efi_system: u64,
    pub(super) ephemeral: u64,
    pub(super) swap: u64,
    pub(super) config_drive: u64,
    pub(super) root: u64,
}

/// The disk that the partitions go to.
#[derive(Clone, Copy, Debug)]
pub(super) struct DiskShape<'a> {
    /// Its name, for messages.
    pub(super) device: &'a str,
    /// Bytes.
    pub(super) size: u64,
    /// Bytes of a logical block, a power of two.
    pub(super) block: u64,
}

/// All partitions of a disk, contiguous and in the order of their numbers. Root is the last, so that
/// it can grow.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Layout {
    pub(super) label: DiskLabel,
    pub(super) places: Vec<Place>,
}

impl Layout {
    /// Find a place for each partition.
    ///
    /// [`DeployError::DoesNotFit`] where disk or table are too small for them.
    pub(super) fn plan(
        mode: BootMode,
        label: DiskLabel,
        sizes: &Sizes,
        disk: DiskShape<'_>,
    ) -> Result<Self, DeployError> {
        let first = match (mode, label) {
            (BootMode::Uefi, _) => Some((Role::EfiSystem, sizes.efi_system)),
            (BootMode::Bios, DiskLabel::Gpt) => Some((Role::BiosBoot, BIOS_BOOT_MIB)),
            (BootMode::Bios, DiskLabel::Msdos) => None,
        };
        let wanted: Vec<(Role, u64)> = first
            .into_iter()
            .chain([
                (Role::Ephemeral, sizes.ephemeral),
                (Role::Swap, sizes.swap),
                (Role::ConfigDrive, sizes.config_drive),
                (Role::Root, sizes.root),
            ])
            .filter(|(_, mib)| *mib > 0)
            .collect();
        let does_not_fit = |why: String| DeployError::DoesNotFit {
            device: disk.device.to_owned(),
            partitions: wanted
                .iter()
                .map(|(role, mib)| format!("{} {mib} MiB", role.label()))
                .collect::<Vec<_>>()
                .join(", "),
            why,
        };
        let total = wanted
            .iter()
            .try_fold(FIRST / MIB, |sum, (_, mib)| sum.checked_add(*mib))
            .filter(|total| *total <= u64::MAX / MIB);
        let room = usable_end(label, disk) / MIB;
        let Some(total) = total.filter(|total| *total <= room) else {
            return Err(does_not_fit(format!(
                "the disk has room for them up to {room} MiB{}",
                total.map_or_else(String::new, |total| format!(
                    ", and they end at {total} MiB"
                ))
            )));
        };
        if label == DiskLabel::Msdos && total * MIB / disk.block > u64::from(u32::MAX) {
            return Err(does_not_fit(format!(
                "a partition table of the kind msdos ends at {} MiB on this disk; set the capability \
                 disk_label to gpt, or boot_mode to uefi",
                u64::from(u32::MAX) * disk.block / MIB
            )));
        }
        let mut offset = FIRST;
        let places = (1..)
            .zip(wanted)
            .map(|(number, (role, mib))| {
                let place = Place {
                    role,
                    number,
                    offset,
                    length: mib * MIB,
                };
                offset = place.end();
                place
            })
            .collect();
        Ok(Self { label, places })
    }

    /// The partition for this, if there is one.
    pub(super) fn place(&self, role: Role) -> Option<&Place> {
        self.places.iter().find(|place| place.role == role)
    }
}

/// The first byte that no partition may use any more.
fn usable_end(label: DiskLabel, disk: DiskShape<'_>) -> u64 {
    match label {
        DiskLabel::Gpt => {
            let backup = GPT_ENTRIES.next_multiple_of(disk.block) + disk.block;
            (disk.size - disk.size % disk.block).saturating_sub(backup)
        }
        DiskLabel::Msdos => disk.size,
    }
}

#[cfg(test)]
mod tests;
