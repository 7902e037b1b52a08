//! What an image's bytes are, by signatures (contract/data-plane 1.8).

use super::foreign::Foreign;
use crate::stream::decode::Compression;

/// Offset of a volume descriptor's identifier in ISO 9660 and UDF.
const VOLUME_DESCRIPTOR: usize = 32769;

/// A zstd frame's first bytes.
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Name, offset of the signature, signature.
const SIGNATURES: [(Kind, usize, &[u8]); 13] = [
    (Kind::Qcow2, 0, b"QFI\xfb"),
    (Kind::Vmdk, 0, b"KDMV"),
    (Kind::Vmdk, 0, b"# Disk DescriptorFile"),
    (Kind::Vhd, 0, b"conectix"),
    (Kind::Vhdx, 0, b"vhdxfile"),
    (Kind::Vdi, 64, &0xbeda_107f_u32.to_le_bytes()),
    (Kind::Qed, 0, b"QED\0"),
    (Kind::Parallels, 0, b"WithoutFreeSpace"),
    (Kind::Parallels, 0, b"WithouFreSpacExt"),
    (Kind::Luks, 0, b"LUKS\xba\xbe"),
    (Kind::Iso, VOLUME_DESCRIPTOR, b"CD001"),
    (Kind::Iso, VOLUME_DESCRIPTOR, b"NSR02"),
    (Kind::Iso, VOLUME_DESCRIPTOR, b"NSR03"),
];

/// What an image is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::stream) enum Kind {
    /// The bytes of a disk without a partition table, or of anything unknown.
    Raw,
    /// The bytes of a disk with a partition table of either form.
    Gpt,
    /// A CD image, which may have a partition table too.
    Iso,
    Luks,
    Parallels,
    Qcow2,
    Qed,
    Vdi,
    Vhd,
    Vhdx,
    Vmdk,
    Compressed(Compression),
    /// What can be no disk.
    Foreign(&'static Foreign),
}

impl Kind {
    /// What the image is that starts with these bytes; `None` where they are the start of two
    /// formats at once. 36 KiB are enough to tell.
    ///
    /// A hybrid ISO has a partition table too; like the conductor, and unlike the reference's
    /// agent, that is taken for an ISO. A fixed VHD has its only mark at the end, so it looks like
    /// the disk that all of it but its last 512 bytes is.
    pub(super) fn of(start: &[u8]) -> Option<Self> {
        // Compressed bytes may look like anything further on.
        if let Some(compression) = compression(start) {
            return Some(Self::Compressed(compression));
        }
        let mut found = SIGNATURES
            .iter()
            .filter(|(_, offset, signature)| {
                start
                    .get(*offset..)
                    .is_some_and(|bytes| bytes.starts_with(signature))
            })
            .map(|(kind, ..)| *kind);
        let Some(first) = found.next() else {
            return Some(match Foreign::of(start) {
                Some(foreign) => Self::Foreign(foreign),
                None if has_partition_table(start) => Self::Gpt,
                None => Self::Raw,
            });
        };
        let is_ambiguous =
            found.next().is_some() || (first != Self::Iso && has_partition_table(start));
        (!is_ambiguous).then_some(first)
    }

    /// The conductor's word for it, or what a person would call it.
    pub(in crate::stream) fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Gpt => "gpt",
            Self::Iso => "iso",
            Self::Luks => "luks",
            Self::Parallels => "parallels",
            Self::Qcow2 => "qcow2",
            Self::Qed => "qed",
            Self::Vdi => "vdi",
            Self::Vhd => "vhd",
            Self::Vhdx => "vhdx",
            Self::Vmdk => "vmdk",
            Self::Compressed(compression) => compression.name(),
            Self::Foreign(foreign) => foreign.what,
        }
    }

    /// Whether the image's bytes are those of the disk.
    pub(in crate::stream) fn is_plain(self) -> bool {
        matches!(self, Self::Raw | Self::Gpt | Self::Iso)
    }
}

/// The compression that these bytes start.
fn compression(start: &[u8]) -> Option<Compression> {
    if start.starts_with(&[0x1f, 0x8b, 8]) {
        Some(Compression::Gzip)
    } else if start.starts_with(b"\xfd7zXZ\0") {
        Some(Compression::Xz)
    } else if is_zstd(start) {
        Some(Compression::Zstd)
    } else if is_bzip2(start) {
        Some(Compression::Bzip2)
    } else {
        None
    }
}

/// A level, and then the digits of pi that begin a block or, in an empty file, those of its square
/// root that end a stream.
fn is_bzip2(start: &[u8]) -> bool {
    let is_level = |byte: &u8| (b'1'..=b'9').contains(byte);
    start.starts_with(b"BZh")
        && start.get(3).is_some_and(is_level)
        && start.get(4..10).is_some_and(|magic| {
            magic == [0x31, 0x41, 0x59, 0x26, 0x53, 0x59]
                || magic == [0x17, 0x72, 0x45, 0x38, 0x50, 0x90]
        })
}

/// A frame, perhaps behind skippable ones (pzstd begins with one). LZ4 has the same skippable
/// frames, so what follows them decides; it may lie further on than these bytes reach.
fn is_zstd(mut start: &[u8]) -> bool {
    let mut skipped = false;
    loop {
        if start.starts_with(&ZSTD) {
            return true;
        }
        let Some((&[low, 0x2a, 0x4d, 0x18, a, b, c, d], rest)) = start.split_first_chunk::<8>()
        else {
            return skipped && start.is_empty();
        };
        if low & 0xf0 != 0x50 {
            return false;
        }
        skipped = true;
        start = rest
            .get(u32::from_le_bytes([a, b, c, d]) as usize..)
            .unwrap_or_default();
    }
}

/// Whether the first block ends as a master boot record does, and is no FAT boot sector.
fn has_partition_table(start: &[u8]) -> bool {
    let is_fat = start.get(16) == Some(&2) && start.get(21) == Some(&0xf8);
    start.get(510..512) == Some(&[0x55, 0xaa]) && !is_fat
}

/// The rules for a master boot record in an image whose format nobody declared.
pub(super) fn is_sound_boot_record(start: &[u8]) -> bool {
    let Some(table) = start.get(446..510) else {
        return false;
    };
    let entries: Vec<&[u8]> = table.chunks(16).collect();
    let used: Vec<usize> = (0..4).filter(|slot| entries[*slot][4] != 0).collect();
    let flags_known = entries.iter().all(|entry| matches!(entry[0], 0 | 0x80));
    let protective = entries.iter().any(|entry| entry[4] == 0xee);
    let first = entries[0];
    let protects_properly = used == [0]
        && first[4] == 0xee
        && first[1..4] == [0x00, 0x02, 0x00]
        && first[8..12] == [1, 0, 0, 0];
    flags_known && !used.is_empty() && (!protective || protects_properly)
}
