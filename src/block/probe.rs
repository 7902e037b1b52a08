//! Which file system lies in a range of a disk, and its label: enough to know a config drive and an
//! EFI system partition by, without the kernel knowing the partition yet.

use super::fat::{Fat, text};
use super::superblocks::{BTRFS_MAGIC, BTRFS_MAGIC_OFFSET, BTRFS_SUPERBLOCK};
use crate::sys::block_device::{DiskError, Medium};

/// Where the first superblock of btrfs begins.
const BTRFS: usize = 64 * 1024;

/// Bytes from the start that hold all superblocks that are looked at: that of btrfs is the last.
const START: usize = BTRFS + BTRFS_SUPERBLOCK as usize;

/// A file system.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct FileSystem {
    /// The kernel's name of its kind: `vfat`, `iso9660`, `ext4` (for ext2 and ext3 too), `xfs`,
    /// `btrfs`.
    pub kind: &'static str,
    /// Its label, trimmed; empty where it has none.
    pub label: String,
    /// Its UUID as libblkid prints it, where it is one of the kinds it is read for.
    pub uuid: Option<String>,
    /// The largest logical block of a disk, in bytes, on which Linux mounts it.
    pub largest_block: u32,
    /// What of it lies on another device, in words that go on with "lies on another device"; the kernel would
    /// look for that among all that the machine has, and may write there.
    pub elsewhere: Option<&'static str>,
    /// Features of ext4 and XFS that nobody may read it without knowing, as its superblock has them.
    pub features: u32,
}

/// The file system that starts at this byte; `None` where it is none of the known kinds.
pub(crate) fn file_system(
    medium: &dyn Medium,
    offset: u64,
    length: u64,
) -> Result<Option<FileSystem>, DiskError> {
    let length = length.min(medium.size().saturating_sub(offset));
    let mut start = vec![0; START.min(usize::try_from(length).unwrap_or(START))];
    medium.read_at(offset, &mut start)?;
    if let Some(found) = ext(&start)
        .or_else(|| xfs(&start))
        .or_else(|| btrfs(&start))
        .or_else(|| iso9660(&start))
    {
        return Ok(Some(found));
    }
    let Ok(Some(fat)) = Fat::open(medium, offset, length) else {
        return Ok(None);
    };
    Ok(Some(FileSystem {
        kind: "vfat",
        // A damaged FAT has no label; that it is damaged matters to whoever reads it.
        label: fat.label().unwrap_or_default(),
        uuid: Some(fat.serial().to_owned()),
        largest_block: fat.sector_size(),
        elsewhere: None,
        features: 0,
    }))
}

fn iso9660(start: &[u8]) -> Option<FileSystem> {
    let descriptor = start.get(32768..)?;
    descriptor.starts_with(b"\x01CD001").then(|| FileSystem {
        kind: "iso9660",
        label: text(descriptor.get(40..72).unwrap_or_default()),
        uuid: None,
        largest_block: 2048,
        elsewhere: None,
        features: 0,
    })
}

/// The features and the fields of a journal are those of `struct ext4_super_block`.
fn ext(start: &[u8]) -> Option<FileSystem> {
    const HAS_JOURNAL: u8 = 4;

    let superblock = start.get(1024..2048)?;
    (superblock[56..58] == [0x53, 0xef]).then(|| FileSystem {
        kind: "ext4",
        label: text(&superblock[120..136]),
        uuid: uuid(&superblock[104..120]),
        // The kernel knows sizes up to 64 KiB.
        largest_block: 1024 << superblock[24].min(6),
        elsewhere: {
            let has_journal = superblock[92] & HAS_JOURNAL != 0;
            let inode_and_device = (&superblock[224..228], &superblock[228..232]);
            (has_journal && inode_and_device.0 == [0; 4] || inode_and_device.1 != [0; 4])
                .then_some("its journal")
        },
        features: u32::from_le_bytes(four(&superblock[96..])),
    })
}

/// The fields are those of `struct xfs_dsb`: blocks of a realtime device, and where in this one the log is.
fn xfs(start: &[u8]) -> Option<FileSystem> {
    let superblock = start.get(..512)?;
    superblock.starts_with(b"XFSB").then(|| FileSystem {
        kind: "xfs",
        label: text(&superblock[108..120]),
        uuid: uuid(&superblock[32..48]),
        largest_block: u32::from(u16::from_be_bytes([superblock[102], superblock[103]])),
        elsewhere: if superblock[48..56] == [0; 8] {
            Some("its log")
        } else if superblock[16..24] != [0; 8] {
            Some("its realtime section")
        } else {
            None
        },
        // Version 5 alone has them.
        features: match superblock[101] & 0xf {
            5 => u32::from_be_bytes(four(&superblock[216..])),
            _ => 0,
        },
    })
}

fn btrfs(start: &[u8]) -> Option<FileSystem> {
    let superblock = start.get(BTRFS..)?;
    let is_magic = superblock
        .get(BTRFS_MAGIC_OFFSET..)?
        .starts_with(BTRFS_MAGIC);
    (is_magic && superblock.len() >= 1024).then(|| {
        FileSystem {
            kind: "btrfs",
            label: text(&superblock[299..555]),
            uuid: uuid(&superblock[32..48]),
            largest_block: u32::from_le_bytes(four(&superblock[144..])),
            // How many devices it has.
            elsewhere: (superblock[136..144] != [1, 0, 0, 0, 0, 0, 0, 0]).then_some("a part of it"),
            features: 0,
        }
    })
}

/// The first four.
fn four(bytes: &[u8]) -> [u8; 4] {
    [bytes[0], bytes[1], bytes[2], bytes[3]]
}

/// What else can lie in a partition, in words: files are not to be had from it as it is.
pub(crate) fn container(
    medium: &dyn Medium,
    offset: u64,
    length: u64,
) -> Result<Option<&'static str>, DiskError> {
    let length = length.min(medium.size().saturating_sub(offset));
    let mut start = vec![0; 8192.min(usize::try_from(length).unwrap_or(8192))];
    medium.read_at(offset, &mut start)?;
    let has = |at: usize, mark: &[u8]| {
        start
            .get(at..)
            .is_some_and(|rest: &[u8]| rest.starts_with(mark))
    };
    let is_volume =
        (0..4).any(|sector| has(sector * 512, b"LABELONE") && has(sector * 512 + 24, b"LVM2 001"));
    Ok(if is_volume {
        Some("a physical volume of LVM")
    } else if has(0, b"LUKS\xba\xbe") {
        Some("a LUKS volume, which is encrypted")
    } else if has(3, b"-FVE-FS-") {
        Some("a BitLocker volume, which is encrypted")
    } else if has(0, &RAID_MARK) || has(4096, &RAID_MARK) {
        Some("a member of an array of Linux")
    } else if has(4086, b"SWAPSPACE2") {
        Some("swap space")
    } else if has(3, b"NTFS    ") {
        Some("an NTFS file system")
    } else {
        None
    })
}

/// Of the superblock of md arrays, versions 1.1 and 1.2.
const RAID_MARK: [u8; 4] = 0xa92b_4efc_u32.to_le_bytes();

fn uuid(bytes: &[u8]) -> Option<String> {
    uuid::Uuid::from_slice(bytes)
        .ok()
        .filter(|uuid| !uuid.is_nil())
        .map(|uuid| uuid.to_string())
}

#[cfg(test)]
mod tests;
