//! Where GRUB's core image lies on a disk, and in which order it and the boot sector get there.

use std::ops::Range;

use super::core_image::{CoreImage, SECTOR};
use super::error::BiosBootError;
use crate::block::gpt;
use crate::block::partition::PartitionKind;
use crate::block::table::Table;
use crate::sys::block_device::{DiskError, Medium};

/// Bytes of boot code in a master boot record; behind them are the disk's signature, the table and the
/// mark of a boot sector.
const BOOT_CODE: usize = 440;
const MARK: usize = 510;

/// Fields of `boot.img` (GRUB's `include/grub/i386/pc/boot.h`): parameters of a FAT, which stay those of the disk;
/// where the core image is loaded to; its first sector; a jump over what takes the BIOS at its word about
/// the drive.
const PARAMETERS: Range<usize> = 0x03..0x5a;
const LOADED_TO: Range<usize> = 0x5a..0x5c;
const FIRST_SECTOR: Range<usize> = 0x5c..0x64;
const DRIVE_CHECK: Range<usize> = 0x66..0x68;

/// The only address that it is loaded to.
const ADDRESS: [u8; 2] = [0x00, 0x80];

/// Two instructions that do nothing: some BIOSes pass another drive than the disk that they boot from.
const NO_JUMP: [u8; 2] = [0x90; 2];

/// Whether this is a `boot.img`.
pub(super) fn is_boot_sector(boot: &[u8]) -> bool {
    boot.len() == SECTOR && boot[LOADED_TO] == ADDRESS && boot[MARK..] == [0x55, 0xaa]
}

/// Take the boot code from the disk, so that a BIOS starts nothing there. The table and all else stay.
pub(super) fn blank(medium: &dyn Medium) -> Result<(), DiskError> {
    let mut sector = vec![0; medium.logical_block_size() as usize];
    medium.read_at(0, &mut sector)?;
    // A sector without the mark is started by no BIOS, and its first bytes may be a table that is not known here.
    let boots = sector[MARK..][..2] == [0x55, 0xaa];
    if boots && sector[..BOOT_CODE].iter().any(|byte| *byte != 0) {
        sector[..BOOT_CODE].fill(0);
        medium.write_at(0, &sector)?;
        medium.flush()?;
    }
    Ok(())
}

/// Put the core image onto the disk that has this table, and see that it is there. The table and all partitions but a
/// BIOS boot partition stay as they are.
///
/// # Errors
/// There is no room, or the disk fails.
pub(super) fn put_core(
    medium: &dyn Medium,
    table: &Table,
    core: &CoreImage,
) -> Result<(), BiosBootError> {
    let start = room_for(medium, table, core)?;
    let sectors = core.at(start / SECTOR as u64);
    put(medium, start, &sectors, "core image of GRUB")
}

/// Put the boot code of this `boot.img` onto it, which leads to the core image. It boots then.
///
/// # Errors
/// The disk fails. It does not boot then.
pub(super) fn put_boot_code(
    medium: &dyn Medium,
    table: &Table,
    core: &CoreImage,
    boot: &[u8],
) -> Result<(), BiosBootError> {
    let first = room_for(medium, table, core)? / SECTOR as u64;
    let mut sector = vec![0; SECTOR];
    medium.read_at(0, &mut sector)?;
    let parameters = sector[PARAMETERS].to_vec();
    sector[..BOOT_CODE].copy_from_slice(&boot[..BOOT_CODE]);
    sector[PARAMETERS].copy_from_slice(&parameters);
    sector[FIRST_SECTOR].copy_from_slice(&first.to_le_bytes());
    sector[DRIVE_CHECK].copy_from_slice(&NO_JUMP);
    put(medium, 0, &sector, "boot sector of GRUB")
}

/// Where this core image goes on the disk, in bytes from its start.
pub(super) fn room_for(
    medium: &dyn Medium,
    table: &Table,
    core: &CoreImage,
) -> Result<u64, BiosBootError> {
    let Area { bytes, place } = room(medium, table)?;
    let room = bytes.end.saturating_sub(bytes.start);
    if room < core.size() {
        return Err(BiosBootError::NoRoom {
            place,
            needed: core.size(),
            room,
        });
    }
    Ok(bytes.start)
}

/// Where a core image may lie.
pub(super) struct Area {
    bytes: Range<u64>,
    place: &'static str,
}

/// Where it may on the disk that has this table: the partition for it in a GPT, the gap before the first
/// partition otherwise.
pub(super) fn room(medium: &dyn Medium, table: &Table) -> Result<Area, BiosBootError> {
    let size = medium.logical_block_size();
    if size as usize != SECTOR {
        return Err(BiosBootError::Sectors { size });
    }
    let partitions = table.partitions();
    match table {
        Table::Gpt(_) => {
            let partition = partitions
                .iter()
                .find(|partition| partition.kind == PartitionKind::Gpt(gpt::BIOS_BOOT))
                .ok_or(BiosBootError::NoBiosBootPartition)?;
            Ok(Area {
                bytes: partition.offset..partition.offset + partition.length,
                place: "in the BIOS boot partition",
            })
        }
        Table::Mbr(_) => {
            let first = partitions.iter().map(|partition| partition.offset).min();
            Ok(Area {
                bytes: SECTOR as u64..first.unwrap_or(0),
                place: "between the partition table and the first partition",
            })
        }
    }
}

/// Write this, bring it onto the medium, and see that it is there.
fn put(
    medium: &dyn Medium,
    offset: u64,
    bytes: &[u8],
    what: &'static str,
) -> Result<(), BiosBootError> {
    medium.write_at(offset, bytes)?;
    medium.flush()?;
    let mut found = vec![0; bytes.len()];
    medium.read_at(offset, &mut found)?;
    if found != bytes {
        return Err(BiosBootError::Lost { what });
    }
    Ok(())
}
