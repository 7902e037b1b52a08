//! What a superblock says, and the forms in which it says it.

use std::fmt;
use std::ops::Range;

use crate::sys::hex;

/// Bytes of a superblock of the kernel's that are read: no kind has more.
pub(in crate::block) const SUPERBLOCK: usize = 4096;

/// A kind of superblock.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Metadata {
    /// Version 0.90: within the last 128 KiB.
    V0_90,
    /// Version 1.0: in the last 8 to 12 KiB.
    V1_0,
    /// Version 1.1: at the start.
    V1_1,
    /// Version 1.2: 4 KiB behind the start.
    V1_2,
    /// Intel Matrix Storage Manager (Rapid Storage, VROC): in the last blocks.
    Imsm,
    /// Common RAID Disk Data Format, of controllers and boards of several makers: in the last block.
    Ddf,
}

impl Metadata {
    /// The kinds that the kernel reads itself.
    pub(crate) const OF_THE_KERNEL: [Self; 4] = [Self::V0_90, Self::V1_0, Self::V1_1, Self::V1_2];

    /// The kind in an array's `md/metadata_version`; `None` for the volumes of a container
    /// (`external:/md127/0`), whose kind the container says, and where the array has none.
    pub(crate) fn of_attribute(version: &str) -> Option<Self> {
        Some(match version {
            "0.90" => Self::V0_90,
            "1.0" => Self::V1_0,
            "1.1" => Self::V1_1,
            "1.2" => Self::V1_2,
            "external:imsm" => Self::Imsm,
            "external:ddf" => Self::Ddf,
            _ => return None,
        })
    }

    /// Where on a member of so many bytes the kernel looks for the superblock; `None` where there is no room for
    /// one, and for what the kernel does not read.
    pub(crate) fn offset(self, size: u64) -> Option<u64> {
        const RESERVED: u64 = 64 << 10;
        const BLOCK: u64 = 4096;
        let offset = match self {
            Self::V0_90 => (size / RESERVED * RESERVED).checked_sub(RESERVED)?,
            Self::V1_0 => size.checked_sub(2 * BLOCK)? / BLOCK * BLOCK,
            Self::V1_1 => 0,
            Self::V1_2 => BLOCK,
            Self::Imsm | Self::Ddf => return None,
        };
        (offset + SUPERBLOCK as u64 <= size).then_some(offset)
    }

    /// Whether firmware reads it, and the kernel does not.
    pub(crate) fn is_external(self) -> bool {
        matches!(self, Self::Imsm | Self::Ddf)
    }
}

impl fmt::Display for Metadata {
    /// As mdadm has it: `1.2`, `imsm`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::V0_90 => "0.90",
            Self::V1_0 => "1.0",
            Self::V1_1 => "1.1",
            Self::V1_2 => "1.2",
            Self::Imsm => "imsm",
            Self::Ddf => "ddf",
        })
    }
}

/// How an array lies on its members.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Level {
    /// One member behind the other.
    Linear,
    /// Striped.
    Raid0,
    /// Mirrored.
    Raid1,
    /// Striped, with the parity on a member of its own.
    Raid4,
    /// Striped, with one parity.
    Raid5,
    /// Striped, with two parities.
    Raid6,
    /// Striped and mirrored.
    Raid10,
    /// A set of disks that firmware's arrays lie on.
    Container,
}

impl Level {
    /// What the kernel calls it in `md/level`, and lsblk as a type.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::Raid0 => "raid0",
            Self::Raid1 => "raid1",
            Self::Raid4 => "raid4",
            Self::Raid5 => "raid5",
            Self::Raid6 => "raid6",
            Self::Raid10 => "raid10",
            Self::Container => "container",
        }
    }

    /// The level that the kernel calls so; `None` for others and where there is none.
    pub(crate) fn of_attribute(name: &str) -> Option<Self> {
        const ALL: [Level; 8] = [
            Level::Linear,
            Level::Raid0,
            Level::Raid1,
            Level::Raid4,
            Level::Raid5,
            Level::Raid6,
            Level::Raid10,
            Level::Container,
        ];
        ALL.into_iter().find(|level| level.as_str() == name)
    }

    /// The level by its number in a superblock, LEVEL_LINEAR of `md_p.h` among them.
    pub(super) fn of_number(number: i32) -> Option<Self> {
        Some(match number {
            -1 => Self::Linear,
            0 => Self::Raid0,
            1 => Self::Raid1,
            4 => Self::Raid4,
            5 => Self::Raid5,
            6 => Self::Raid6,
            10 => Self::Raid10,
            _ => return None,
        })
    }
}

/// A superblock on one member.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct RaidSuperblock {
    /// Its kind.
    pub metadata: Metadata,
    /// The bytes of the device that it takes.
    pub place: Range<u64>,
    /// What all members of the array have in common: its UUID as mdadm writes it,
    /// `00112233:44556677:8899aabb:ccddeeff`; of firmware's the number of the family (IMSM) or the header's GUID (DDF).
    pub array: String,
    /// The array's name as it is written, with a host before it or without; empty is none.
    pub name: Option<String>,
    /// The array's level, where it is a known one.
    pub level: Option<Level>,
    /// How often the array has changed: a member with less is behind.
    pub events: u64,
}

/// What reads so many bytes of a device from an offset; `None` where they cannot be read.
pub(super) type Reader<'a> = &'a dyn Fn(u64, usize) -> Option<Vec<u8>>;

/// Sixteen bytes as mdadm writes a UUID.
pub(super) fn uuid(bytes: &[u8]) -> String {
    let words: Vec<String> = bytes.chunks(4).map(hex::encode).collect();
    words.join(":")
}

/// Text that ends with a zero byte, or with the field; `None` where it is empty.
pub(super) fn text(field: &[u8]) -> Option<String> {
    let end = field.iter().position(|byte| *byte == 0);
    let text = String::from_utf8_lossy(&field[..end.unwrap_or(field.len())]);
    let text = text.trim_end();
    (!text.is_empty()).then(|| text.to_owned())
}

pub(super) fn u32_le(data: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes(array(data, offset))
}

/// So many bytes from there; the callers have them.
pub(super) fn array<const LENGTH: usize>(data: &[u8], offset: usize) -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    bytes.copy_from_slice(&data[offset..offset + LENGTH]);
    bytes
}
