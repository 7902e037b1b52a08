//! Making a FAT file system with given files: the form of a config drive that a disk with blocks of
//! 4096 bytes can hold, where Linux mounts no ISO 9660.
//!
//! FAT12 or FAT16, by the number of clusters (Microsoft's FAT overview 1.03): a config drive never
//! needs more. Nothing is ever deleted, so files and directories lie one after another.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::table_error::TableError;
use crate::sys::block_device::Medium;

/// The most clusters of FAT16.
const MOST_CLUSTERS: u64 = 65_524;

/// With fewer clusters than this it is FAT12.
const FEWEST_FAT16: u64 = 4_085;

/// The smallest cluster: that of an ISO image, so that what fits there fits here.
const SMALLEST_CLUSTER: u64 = 2_048;

/// More of a partition than this is left alone.
const LARGEST: u64 = 1 << 30;

/// Entries of the root directory, if no more are needed.
const ROOT_ENTRIES: usize = 512;

const ENTRY: usize = 32;
const COPIES: u64 = 2;

/// Attributes of a volume label, a directory, a file, and a part of a long name.
const VOLUME: u8 = 0x08;
const DIRECTORY: u8 = 0x10;
const ARCHIVE: u8 = 0x20;
const LONG_NAME: u8 = 0x0f;

/// Units of a name in one entry.
const UNITS: usize = 13;

/// The most units of a name.
const LONGEST_NAME: usize = 255;

/// 1 January 1980, the first day that FAT knows: it says that nobody asked.
const DATE: [u8; 2] = [0x21, 0x00];

/// A file or directory to put there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Node<'c> {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub content: Content<'c>,
}

/// What a file or directory holds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Content<'c> {
    /// Bytes.
    File(Cow<'c, [u8]>),
    /// Files and directories.
    Directory(Vec<Node<'c>>),
}

impl<'c> Node<'c> {
    /// A file.
    pub(crate) fn file(name: String, content: impl Into<Cow<'c, [u8]>>) -> Self {
        Self {
            name,
            content: Content::File(content.into()),
        }
    }

    /// A directory.
    pub(crate) fn directory(name: String, children: Vec<Self>) -> Self {
        Self {
            name,
            content: Content::Directory(children),
        }
    }
}

/// Whether FAT can hold these names: the error says which it cannot.
///
/// Linux reads more than Windows: neither finds a name that ends with a dot, or the second of two that
/// differ in their case alone.
pub(crate) fn check_names(nodes: &[Node<'_>]) -> Result<(), TableError> {
    check_names_below("", nodes)
}

fn check_names_below(path: &str, nodes: &[Node<'_>]) -> Result<(), TableError> {
    let mut seen = BTreeSet::new();
    for Node { name, content } in nodes {
        let path = format!("{path}/{name}");
        let is_forbidden =
            |character: char| character.is_control() || r#""*/:<>?\|"#.contains(character);
        let why = if name.encode_utf16().count() > LONGEST_NAME {
            "a name ends after 255 characters"
        } else if name.contains(is_forbidden) {
            "a name has none of \" * / : < > ? \\ | and no control characters"
        } else if name.is_empty() || name.ends_with(['.', ' ']) {
            "a name does not end with a dot or a blank"
        } else if !seen.insert(name.to_lowercase()) {
            "another name differs in its case alone"
        } else {
            if let Content::Directory(children) = content {
                check_names_below(&path, children)?;
            }
            continue;
        };
        return Err(TableError::Name { path, why });
    }
    Ok(())
}

/// Make a file system in a range of the medium, with this label (at most 11 ASCII characters, upper
/// case), serial number and content.
pub(crate) fn write(
    medium: &dyn Medium,
    offset: u64,
    length: u64,
    label: &str,
    serial: u32,
    root: &[Node<'_>],
) -> Result<(), TableError> {
    check_names(root)?;
    let sector = u64::from(medium.logical_block_size());
    let mut label_bytes = [b' '; 11];
    for (place, byte) in label_bytes.iter_mut().zip(label.bytes()) {
        *place = byte;
    }
    let geometry = Geometry::of(sector, length, root_entries(root))?;
    let mut writer = Writer {
        medium,
        offset,
        geometry,
        fat: vec![0xfff8, 0xffff],
    };
    let mut directory = vec![0; geometry.root_bytes as usize];
    directory[..11].copy_from_slice(&label_bytes);
    directory[11] = VOLUME;
    directory[24..26].copy_from_slice(&DATE);
    writer.fill(&mut directory, ENTRY, root, 0)?;
    medium.write_at(offset + geometry.root_offset(), &directory)?;
    let fat = writer.encoded_fat();
    for copy in 0..COPIES {
        medium.write_at(offset + sector + copy * geometry.fat_bytes, &fat)?;
    }
    medium.write_at(offset, &geometry.boot_sector(&label_bytes, serial))?;
    Ok(())
}

/// The areas of a file system, in bytes.
#[derive(Clone, Copy, Debug)]
struct Geometry {
    sector: u64,
    sectors: u64,
    cluster: u64,
    clusters: u64,
    fat_bytes: u64,
    root_bytes: u64,
}

impl Geometry {
    fn of(sector: u64, length: u64, root_entries: usize) -> Result<Self, TableError> {
        let sectors = length.min(LARGEST) / sector;
        let total = sectors * sector;
        let mut cluster = SMALLEST_CLUSTER.max(sector);
        while total / cluster > MOST_CLUSTERS {
            cluster *= 2;
        }
        let root_bytes = ((root_entries * ENTRY) as u64).next_multiple_of(sector);
        // Two bytes for each cluster that there could be: a little more than is needed.
        let fat_bytes = ((total / cluster + 2) * 2).next_multiple_of(sector);
        let clusters = total.saturating_sub(sector + COPIES * fat_bytes + root_bytes) / cluster;
        if clusters == 0 || root_bytes / ENTRY as u64 > u64::from(u16::MAX) {
            return Err(full(total, "a FAT file system with these files needs more"));
        }
        Ok(Self {
            sector,
            sectors,
            cluster,
            clusters,
            fat_bytes,
            root_bytes,
        })
    }

    fn root_offset(&self) -> u64 {
        self.sector + COPIES * self.fat_bytes
    }

    fn cluster_offset(&self, cluster: u64) -> u64 {
        self.root_offset() + self.root_bytes + (cluster - 2) * self.cluster
    }

    fn boot_sector(&self, label: &[u8; 11], serial: u32) -> Vec<u8> {
        let mut sector = vec![0; self.sector as usize];
        let mut put = |at: usize, bytes: &[u8]| sector[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &[0xeb, 0x3c, 0x90]);
        put(3, b"FARRIER ");
        put(11, &(self.sector as u16).to_le_bytes());
        put(13, &[(self.cluster / self.sector) as u8]);
        put(14, &1_u16.to_le_bytes());
        put(16, &[COPIES as u8]);
        put(17, &((self.root_bytes / ENTRY as u64) as u16).to_le_bytes());
        match u16::try_from(self.sectors) {
            Ok(sectors) => put(19, &sectors.to_le_bytes()),
            Err(_) => put(32, &(self.sectors as u32).to_le_bytes()),
        }
        put(21, &[0xf8]);
        put(22, &((self.fat_bytes / self.sector) as u16).to_le_bytes());
        // Sectors and heads that nobody uses, but some look at.
        put(24, &[63, 0, 255, 0]);
        put(36, &[0x80, 0, 0x29]);
        put(39, &serial.to_le_bytes());
        put(43, label);
        put(
            54,
            if self.clusters < FEWEST_FAT16 {
                b"FAT12   "
            } else {
                b"FAT16   "
            },
        );
        put(510, &[0x55, 0xaa]);
        sector
    }
}

struct Writer<'m> {
    medium: &'m dyn Medium,
    offset: u64,
    geometry: Geometry,
    fat: Vec<u16>,
}

impl Writer<'_> {
    /// Put the nodes' entries into a directory from this byte on, and their content behind all that
    /// was there before. `own` is the directory's first cluster, 0 for the root.
    fn fill(
        &mut self,
        directory: &mut [u8],
        mut at: usize,
        nodes: &[Node<'_>],
        own: u16,
    ) -> Result<(), TableError> {
        for (place, node) in nodes.iter().enumerate() {
            let (cluster, size, attributes) = match &node.content {
                Content::File(bytes) => (self.file(bytes)?, bytes.len() as u32, ARCHIVE),
                Content::Directory(children) => (self.directory(children, own)?, 0, DIRECTORY),
            };
            let short = short_name(&node.name, place);
            for entry in long_entries(&node.name, &short) {
                directory[at..at + ENTRY].copy_from_slice(&entry);
                at += ENTRY;
            }
            let entry = short_entry(&short, attributes, cluster, size);
            directory[at..at + ENTRY].copy_from_slice(&entry);
            at += ENTRY;
        }
        Ok(())
    }

    fn directory(&mut self, children: &[Node<'_>], parent: u16) -> Result<u16, TableError> {
        let entries = 2 + entries_of(children);
        let length = ((entries * ENTRY) as u64).next_multiple_of(self.geometry.cluster);
        let own = self.allocate(length)?;
        let mut bytes = vec![0; length as usize];
        let dots = [(*b".          ", own), (*b"..         ", parent)];
        for (place, (name, cluster)) in bytes.chunks_mut(ENTRY).zip(dots) {
            place.copy_from_slice(&short_entry(&name, DIRECTORY, cluster, 0));
        }
        self.fill(&mut bytes, 2 * ENTRY, children, own)?;
        self.put(own, &bytes)?;
        Ok(own)
    }

    fn file(&mut self, bytes: &[u8]) -> Result<u16, TableError> {
        if bytes.is_empty() {
            return Ok(0);
        }
        let first = self.allocate(bytes.len() as u64)?;
        self.put(first, bytes)?;
        Ok(first)
    }

    /// A chain of clusters for so many bytes, at least one; returns the first.
    fn allocate(&mut self, bytes: u64) -> Result<u16, TableError> {
        let first = self.fat.len();
        let count = bytes.div_ceil(self.geometry.cluster).max(1);
        if first as u64 + count > self.geometry.clusters + 2 {
            return Err(full(
                bytes,
                "the config drive's files do not fit into its partition",
            ));
        }
        let last = first + count as usize - 1;
        // Clusters are fewer than 65,526, checked above through their largest number.
        self.fat
            .extend((first..last).map(|cluster| cluster as u16 + 1));
        self.fat.push(0xffff);
        Ok(first as u16)
    }

    fn put(&self, cluster: u16, bytes: &[u8]) -> Result<(), TableError> {
        let at = self.geometry.cluster_offset(u64::from(cluster));
        self.medium.write_at(self.offset + at, bytes)?;
        Ok(())
    }

    /// One copy of the table, in full.
    fn encoded_fat(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.geometry.fat_bytes as usize];
        for (index, value) in self.fat.iter().enumerate() {
            if self.geometry.clusters >= FEWEST_FAT16 {
                bytes[index * 2..index * 2 + 2].copy_from_slice(&value.to_le_bytes());
                continue;
            }
            // Two values of 12 bits in three bytes.
            let value = value & 0xfff;
            let at = index + index / 2;
            if index % 2 == 0 {
                bytes[at] = value as u8;
                bytes[at + 1] |= (value >> 8) as u8;
            } else {
                bytes[at] |= (value << 4) as u8;
                bytes[at + 1] = (value >> 4) as u8;
            }
        }
        bytes
    }
}

/// Entries of the root directory: the usual number, or what is needed with the label.
fn root_entries(nodes: &[Node<'_>]) -> usize {
    (1 + entries_of(nodes)).max(ROOT_ENTRIES)
}

fn entries_of(nodes: &[Node<'_>]) -> usize {
    nodes
        .iter()
        .map(|node| 1 + node.name.encode_utf16().count().div_ceil(UNITS))
        .sum()
}

/// A name of eight and three characters that no other in the directory has, since its number is
/// the place in the directory: `META_D~2 JSO`.
fn short_name(name: &str, place: usize) -> [u8; 11] {
    let clean = |text: &str| -> Vec<u8> {
        text.bytes()
            .map(|byte| byte.to_ascii_uppercase())
            .filter(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
            .collect()
    };
    let (base, extension) = name.rsplit_once('.').unwrap_or((name, ""));
    let tail = format!("~{}", place + 1);
    let mut base = clean(base);
    base.truncate(8_usize.saturating_sub(tail.len()));
    base.extend(tail.bytes());
    let mut short = [b' '; 11];
    for (place, byte) in short[..8].iter_mut().zip(base) {
        *place = byte;
    }
    for (place, byte) in short[8..].iter_mut().zip(clean(extension)) {
        *place = byte;
    }
    short
}

fn short_entry(name: &[u8; 11], attributes: u8, cluster: u16, size: u32) -> [u8; ENTRY] {
    let mut entry = [0; ENTRY];
    entry[..11].copy_from_slice(name);
    entry[11] = attributes;
    for at in [16, 18, 24] {
        entry[at..at + 2].copy_from_slice(&DATE);
    }
    entry[26..28].copy_from_slice(&cluster.to_le_bytes());
    entry[28..32].copy_from_slice(&size.to_le_bytes());
    entry
}

/// The entries of a long name, which come before the short one, last part first.
fn long_entries(name: &str, short: &[u8; 11]) -> Vec<[u8; ENTRY]> {
    let sum = short
        .iter()
        .fold(0_u8, |sum, byte| sum.rotate_right(1).wrapping_add(*byte));
    let mut units: Vec<u16> = name.encode_utf16().collect();
    let parts = units.len().div_ceil(UNITS);
    // A zero ends the name if there is room for one, and the rest is padding.
    if !units.len().is_multiple_of(UNITS) {
        units.push(0);
    }
    units.resize(parts * UNITS, 0xffff);
    let mut entries: Vec<[u8; ENTRY]> = units
        .chunks(UNITS)
        .enumerate()
        .map(|(index, part)| {
            let mut entry = [0; ENTRY];
            entry[0] = index as u8 + 1;
            entry[11] = LONG_NAME;
            entry[13] = sum;
            let places = (1..11)
                .step_by(2)
                .chain((14..26).step_by(2))
                .chain([28, 30]);
            for (at, unit) in places.zip(part) {
                entry[at..at + 2].copy_from_slice(&unit.to_le_bytes());
            }
            entry
        })
        .collect();
    if let Some(last) = entries.last_mut() {
        last[0] |= 0x40;
    }
    entries.reverse();
    entries
}

fn full(size: u64, reason: &str) -> TableError {
    TableError::Full {
        size,
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests;
