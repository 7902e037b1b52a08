//! FAT file systems, read only: enough to find boot loaders on an EFI system partition without
//! handing a file system from an image to the kernel, and without its modules.
//!
//! Structures are those of Microsoft's "FAT: General Overview of On-Disk Format" 1.03, which the
//! UEFI specification (13.3) builds on. Every number comes from the image, so every walk is bounded.

mod file;
mod tree;

use crate::sys::block_device::{DiskError, Medium};

/// The most bytes of a directory that are read; FAT's own limit is 2 MiB.
const MOST_DIRECTORY: u64 = 2 << 20;

/// Bytes of a directory entry.
const ENTRY: usize = 32;

/// Attribute bits.
const VOLUME: u8 = 0x08;
const DIRECTORY: u8 = 0x10;
const LONG_NAME: u8 = 0x0f;

/// What the boot sector says, in bytes from the start of the file system.
#[derive(Clone, Debug, Eq, PartialEq)]
struct BootSector {
    kind: Kind,
    sector: u32,
    fat: u64,
    cluster: u64,
    clusters: u64,
    root: Root,
    data: u64,
    /// The label that the boot sector has, which may differ from that of the root directory.
    label: String,
    /// The volume's serial number as libblkid prints it: `1234-ABCD`.
    serial: String,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Fat12,
    Fat16,
    Fat32,
}

/// Where the root directory is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Root {
    /// FAT12 and FAT16: an area of its own.
    Area { offset: u64, length: u64 },
    /// FAT32: a chain of clusters like any directory.
    Cluster(u32),
}

/// A FAT file system on a medium.
pub(crate) struct Fat<'m> {
    medium: &'m dyn Medium,
    offset: u64,
    length: u64,
    sector: BootSector,
}

/// A file or directory.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Entry {
    /// The long name, or the short one where there is no other.
    pub name: String,
    /// Whether it is a directory.
    pub is_directory: bool,
    /// Bytes of a file.
    pub size: u64,
    cluster: u32,
}

/// Why a FAT file system could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FatError {
    /// It contradicts itself.
    #[error("the FAT file system is damaged: {reason}")]
    Damaged {
        /// In what way.
        reason: &'static str,
    },
    /// Something lies outside of it.
    #[error("the FAT file system is damaged: {reason}")]
    Outside {
        /// In what way.
        reason: &'static str,
    },
    /// The disk failed.
    #[error("the FAT file system could not be read")]
    Disk(#[from] DiskError),
}

impl<'m> Fat<'m> {
    /// The file system that starts at this byte; `None` where it is no FAT.
    pub(crate) fn open(
        medium: &'m dyn Medium,
        offset: u64,
        length: u64,
    ) -> Result<Option<Self>, FatError> {
        if length < 512 {
            return Ok(None);
        }
        let mut start = [0; 512];
        medium.read_at(offset, &mut start)?;
        Ok(BootSector::parse(&start).map(|sector| Self {
            medium,
            offset,
            length,
            sector,
        }))
    }

    /// What the root directory holds, in the order in which it is stored.
    pub(crate) fn root(&self) -> Result<Vec<Entry>, FatError> {
        Ok(entries(&self.root_bytes()?))
    }

    /// What a directory holds, in the order in which it is stored.
    pub(crate) fn directory(&self, entry: &Entry) -> Result<Vec<Entry>, FatError> {
        Ok(entries(&self.chain(entry.cluster, MOST_DIRECTORY)?))
    }

    /// A file's content, at most `limit` bytes of it.
    pub(crate) fn read(&self, entry: &Entry, limit: u64) -> Result<Vec<u8>, FatError> {
        let size = entry.size.min(limit);
        if size == 0 {
            return Ok(Vec::new());
        }
        let mut content = self.chain(entry.cluster, size)?;
        if (content.len() as u64) < size {
            return Err(damaged("a file is shorter than its directory says"));
        }
        content.truncate(size as usize);
        Ok(content)
    }

    /// The label, which stands in the root directory or else in the boot sector.
    pub(crate) fn label(&self) -> Result<String, FatError> {
        let root = self.root_bytes()?;
        let label = root
            .chunks_exact(ENTRY)
            .take_while(|entry| entry[0] != 0)
            .find(|entry| entry[0] != 0xe5 && entry[11] & 0x3f == VOLUME)
            .map(|entry| text(&entry[..11]));
        Ok(label.unwrap_or_else(|| self.sector.label.clone()))
    }

    /// The volume's serial number as libblkid prints it: `1234-ABCD`.
    pub(crate) fn serial(&self) -> &str {
        &self.sector.serial
    }

    /// Bytes of its sectors: on a disk with larger blocks Linux does not mount it.
    pub(crate) fn sector_size(&self) -> u32 {
        self.sector.sector
    }

    /// Bytes that it has at least, by its boot sector.
    pub(crate) fn announced_size(&self) -> u64 {
        self.sector.data + self.sector.clusters * self.sector.cluster
    }

    fn root_bytes(&self) -> Result<Vec<u8>, FatError> {
        match self.sector.root {
            Root::Area { offset, length } => {
                let mut bytes = vec![0; length as usize];
                self.read_at(offset, &mut bytes)?;
                Ok(bytes)
            }
            Root::Cluster(first) => self.chain(first, MOST_DIRECTORY),
        }
    }

    /// The content of a chain of clusters, until it ends or this many bytes are there.
    fn chain(&self, first: u32, limit: u64) -> Result<Vec<u8>, FatError> {
        let mut content = Vec::new();
        let mut cluster = first;
        while (content.len() as u64) < limit {
            content.extend(self.cluster(cluster)?);
            match self.next(cluster)? {
                Some(next) => cluster = next,
                None => break,
            }
        }
        Ok(content)
    }

    /// What a cluster holds.
    fn cluster(&self, cluster: u32) -> Result<Vec<u8>, FatError> {
        let index = u64::from(cluster);
        if index < 2 || index >= self.sector.clusters + 2 {
            return Err(damaged("a chain of clusters leaves the file system"));
        }
        let mut content = vec![0; self.sector.cluster as usize];
        let offset = self.sector.data + (index - 2) * self.sector.cluster;
        self.read_at(offset, &mut content)?;
        Ok(content)
    }

    /// The cluster after this one; `None` at the end of a chain.
    fn next(&self, cluster: u32) -> Result<Option<u32>, FatError> {
        let index = u64::from(cluster);
        let mut bytes = [0; 4];
        let (value, end) = match self.sector.kind {
            Kind::Fat12 => {
                self.read_at(self.sector.fat + index + index / 2, &mut bytes[..2])?;
                let word = u32::from_le_bytes(bytes);
                let value = if index.is_multiple_of(2) {
                    word & 0xfff
                } else {
                    word >> 4
                };
                (value, 0xff8)
            }
            Kind::Fat16 => {
                self.read_at(self.sector.fat + index * 2, &mut bytes[..2])?;
                (u32::from_le_bytes(bytes), 0xfff8)
            }
            Kind::Fat32 => {
                self.read_at(self.sector.fat + index * 4, &mut bytes)?;
                (u32::from_le_bytes(bytes) & 0x0fff_ffff, 0x0fff_fff8)
            }
        };
        Ok((value < end).then_some(value))
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), FatError> {
        let end = offset.checked_add(buffer.len() as u64);
        if end.is_none_or(|end| end > self.length) {
            return Err(FatError::Outside {
                reason: "it is larger than its partition",
            });
        }
        Ok(self.medium.read_at(self.offset + offset, buffer)?)
    }
}

impl BootSector {
    /// Parse the first sector; `None` where it is no FAT.
    fn parse(start: &[u8]) -> Option<Self> {
        let sector = start.get(..512)?;
        let word = |at: usize| u64::from(u16::from_le_bytes([sector[at], sector[at + 1]]));
        let long = |at: usize| word(at) | word(at + 2) << 16;
        let bytes = word(11);
        let per_cluster = u64::from(sector[13]);
        let reserved = word(14);
        let fats = u64::from(sector[16]);
        let is_fat = sector[510..] == [0x55, 0xaa]
            && matches!(bytes, 512 | 1024 | 2048 | 4096)
            && per_cluster.is_power_of_two()
            && reserved > 0
            && matches!(fats, 1 | 2)
            && sector[21] >= 0xf0;
        if !is_fat {
            return None;
        }
        // The 16-bit count of sectors per FAT is 0 on FAT32 alone.
        let is_fat32 = word(22) == 0;
        let fat_sectors = if is_fat32 { long(36) } else { word(22) };
        let root_bytes = if is_fat32 { 0 } else { word(17) * ENTRY as u64 };
        let root_sector = reserved + fats * fat_sectors;
        let data_sector = root_sector + root_bytes.div_ceil(bytes);
        let sectors = if word(19) == 0 { long(32) } else { word(19) };
        let clusters = sectors.checked_sub(data_sector)? / per_cluster;
        let kind = match clusters {
            _ if is_fat32 => Kind::Fat32,
            0..4085 => Kind::Fat12,
            _ => Kind::Fat16,
        };
        let (extension, id) = if is_fat32 { (66, 67) } else { (38, 39) };
        let has_label = matches!(sector[extension], 0x28 | 0x29);
        let label = if has_label {
            text(&sector[id + 4..id + 15])
        } else {
            String::new()
        };
        Some(Self {
            kind,
            sector: bytes as u32,
            fat: reserved * bytes,
            cluster: per_cluster * bytes,
            clusters,
            root: if is_fat32 {
                Root::Cluster(long(44) as u32)
            } else {
                Root::Area {
                    offset: root_sector * bytes,
                    length: root_bytes,
                }
            },
            data: data_sector * bytes,
            label: if label == "NO NAME" {
                String::new()
            } else {
                label
            },
            serial: format!("{:04X}-{:04X}", word(id + 2), word(id)),
        })
    }
}

/// The files and directories in a directory's bytes.
fn entries(bytes: &[u8]) -> Vec<Entry> {
    let mut found = Vec::new();
    let mut long = LongName::default();
    for entry in bytes.chunks_exact(ENTRY).take_while(|entry| entry[0] != 0) {
        let attributes = entry[11];
        if entry[0] == 0xe5 {
            long = LongName::default();
        } else if attributes & 0x3f == LONG_NAME {
            long.add(entry);
        } else {
            let name = std::mem::take(&mut long).of(entry);
            if attributes & VOLUME == 0 && entry[0] != b'.' {
                let word = |at: usize| u16::from_le_bytes([entry[at], entry[at + 1]]);
                let long_word =
                    |low: usize, high: usize| u32::from(word(low)) | u32::from(word(high)) << 16;
                found.push(Entry {
                    name: name.unwrap_or_else(|| short_name(entry)),
                    is_directory: attributes & DIRECTORY != 0,
                    size: u64::from(long_word(28, 30)),
                    cluster: long_word(26, 20),
                });
            }
        }
    }
    found
}

/// A long name in the making: its parts come before the entry they belong to, last part first.
#[derive(Default)]
struct LongName {
    parts: Vec<[u16; 13]>,
    checksum: u8,
}

impl LongName {
    fn add(&mut self, entry: &[u8]) {
        // Bit 6 marks the last part, which comes first.
        if entry[0] & 0x40 != 0 {
            self.parts.clear();
        }
        self.checksum = entry[13];
        let mut units = [0; 13];
        for (unit, at) in units.iter_mut().zip(
            (1..11)
                .step_by(2)
                .chain((14..26).step_by(2))
                .chain([28, 30]),
        ) {
            *unit = u16::from_le_bytes([entry[at], entry[at + 1]]);
        }
        self.parts.push(units);
    }

    /// The name, if it belongs to this short entry.
    fn of(self, entry: &[u8]) -> Option<String> {
        let sum = entry[..11]
            .iter()
            .fold(0_u8, |sum, byte| sum.rotate_right(1).wrapping_add(*byte));
        if self.parts.is_empty() || sum != self.checksum {
            return None;
        }
        let units: Vec<u16> = self
            .parts
            .iter()
            .rev()
            .flatten()
            .copied()
            .take_while(|unit| *unit != 0)
            .collect();
        Some(String::from_utf16_lossy(&units))
    }
}

/// `NAME    EXT` as `NAME.EXT`, in lower case where Windows' flags say so.
fn short_name(entry: &[u8]) -> String {
    let part = |bytes: &[u8], lower: bool| {
        let part = text(bytes);
        if lower { part.to_lowercase() } else { part }
    };
    let base = part(&entry[..8], entry[12] & 0x08 != 0);
    let extension = part(&entry[8..11], entry[12] & 0x10 != 0);
    if extension.is_empty() {
        base
    } else {
        format!("{base}.{extension}")
    }
}

/// Text padded with spaces, or ended by a zero.
pub(super) fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0);
    String::from_utf8_lossy(&bytes[..end.unwrap_or(bytes.len())])
        .trim()
        .to_owned()
}

fn damaged(reason: &'static str) -> FatError {
    FatError::Damaged { reason }
}

#[cfg(test)]
mod tests;
