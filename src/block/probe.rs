//! Which file system lies in a range of a disk, and its label: enough to know a config drive and an
//! EFI system partition by, without the kernel knowing the partition yet.

use crate::sys::block_device::{DiskError, Medium};

/// Bytes from the start that hold all superblocks that are looked at: ISO 9660's ends at 34 KiB.
const START: usize = 36 * 1024;

/// A file system.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FileSystem {
    /// The kernel's name of its kind: `vfat`, `iso9660`, `ext4` (for ext2 and ext3 too), `xfs`.
    pub kind: &'static str,
    /// Its label, trimmed; empty where it has none.
    pub label: String,
    /// Its UUID as libblkid prints it, where it is one of the kinds it is read for.
    pub uuid: Option<String>,
}

/// The file system that starts at this byte; `None` where it is none of the known kinds.
pub fn file_system(
    medium: &dyn Medium,
    offset: u64,
    length: u64,
) -> Result<Option<FileSystem>, DiskError> {
    let length = length.min(medium.size().saturating_sub(offset));
    let mut start = vec![0; START.min(usize::try_from(length).unwrap_or(START))];
    medium.read_at(offset, &mut start)?;
    if let Some(found) = ext(&start)
        .or_else(|| xfs(&start))
        .or_else(|| iso9660(&start))
    {
        return Ok(Some(found));
    }
    let Some(fat) = Fat::parse(&start) else {
        return Ok(None);
    };
    // The label in the root directory is the one that tools set; that in the boot sector is a copy
    // that some of them forget.
    let label = match fat.root {
        Some((at, bytes)) if at + bytes <= length => {
            let mut root = vec![0; bytes as usize];
            medium.read_at(offset + at, &mut root)?;
            volume_entry(&root)
        }
        _ => None,
    };
    Ok(Some(FileSystem {
        kind: "vfat",
        label: label.unwrap_or(fat.label),
        uuid: Some(fat.uuid),
    }))
}

fn iso9660(start: &[u8]) -> Option<FileSystem> {
    let descriptor = start.get(32768..34816)?;
    (descriptor[..6] == *b"\x01CD001").then(|| FileSystem {
        kind: "iso9660",
        label: text(&descriptor[40..72]),
        uuid: None,
    })
}

fn ext(start: &[u8]) -> Option<FileSystem> {
    let superblock = start.get(1024..2048)?;
    (superblock[56..58] == [0x53, 0xef]).then(|| FileSystem {
        kind: "ext4",
        label: text(&superblock[120..136]),
        uuid: uuid(&superblock[104..120]),
    })
}

fn xfs(start: &[u8]) -> Option<FileSystem> {
    let superblock = start.get(..512)?;
    superblock.starts_with(b"XFSB").then(|| FileSystem {
        kind: "xfs",
        label: text(&superblock[108..120]),
        uuid: uuid(&superblock[32..48]),
    })
}

/// What a FAT boot sector says.
struct Fat {
    label: String,
    uuid: String,
    /// Offset and bytes of the root directory, for FAT32 of its first cluster.
    root: Option<(u64, u64)>,
}

impl Fat {
    fn parse(start: &[u8]) -> Option<Self> {
        let sector = start.get(..512)?;
        let word = |at: usize| u64::from(u16::from_le_bytes([sector[at], sector[at + 1]]));
        let long = |at: usize| word(at) | word(at + 2) << 16;
        let bytes = word(11);
        let cluster = u64::from(sector[13]);
        let is_fat = sector[510..] == [0x55, 0xaa]
            && matches!(bytes, 512 | 1024 | 2048 | 4096)
            && cluster.is_power_of_two()
            && word(14) > 0
            && matches!(sector[16], 1 | 2)
            && sector[21] >= 0xf0;
        if !is_fat {
            return None;
        }
        // A count of sectors per FAT in the 16-bit field means FAT12 or FAT16.
        let is_fat32 = word(22) == 0;
        let fat_sectors = if is_fat32 { long(36) } else { word(22) };
        let root_sector = word(14) + u64::from(sector[16]) * fat_sectors;
        let root = if is_fat32 {
            let first = long(44).checked_sub(2)?;
            ((root_sector + first * cluster) * bytes, cluster * bytes)
        } else {
            (root_sector * bytes, word(17) * 32)
        };
        let (extension, id, label) = if is_fat32 { (66, 67, 71) } else { (38, 39, 43) };
        let named = matches!(sector[extension], 0x28 | 0x29);
        Some(Self {
            label: match named {
                true => text(&sector[label..label + 11]).replace("NO NAME", ""),
                false => String::new(),
            },
            uuid: format!("{:04X}-{:04X}", word(id + 2), word(id)),
            root: Some(root),
        })
    }
}

/// The label in a FAT directory: an entry with the volume attribute alone.
fn volume_entry(directory: &[u8]) -> Option<String> {
    directory
        .chunks_exact(32)
        .take_while(|entry| entry[0] != 0)
        .find(|entry| entry[0] != 0xe5 && entry[11] & 0x3f == 0x08)
        .map(|entry| text(&entry[..11]))
}

fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0);
    String::from_utf8_lossy(&bytes[..end.unwrap_or(bytes.len())])
        .trim()
        .to_owned()
}

fn uuid(bytes: &[u8]) -> Option<String> {
    uuid::Uuid::from_slice(bytes)
        .ok()
        .filter(|uuid| !uuid.is_nil())
        .map(|uuid| uuid.to_string())
}

#[cfg(test)]
mod tests;
