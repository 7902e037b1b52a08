//! ISO 9660 images, read only: the files of a config drive (ECMA-119, with the names, links and deep
//! directories of Rock Ridge, IEEE P1282, or the names of Joliet).
//!
//! The image is whole in memory. Every number in it comes from outside, so every walk is bounded.

mod error;
mod item;
mod links;
mod rock_ridge;
mod sector;

pub(crate) use self::error::IsoError;
use self::item::{DEEPEST, Item, MOST_NODES, Stored};
use self::rock_ridge::{FileType, SystemUse};
use self::sector::{SECTOR, u32_at};
use super::fat_writer::Node;

/// The first volume descriptor.
const DESCRIPTORS: usize = 16;

/// Sectors of directories that are read: as many as the largest config drive has.
const MOST_DIRECTORY_SECTORS: usize = 32_768;

/// Bytes of all symbolic links together.
const MOST_LINK_BYTES: usize = 16 << 20;

/// Offset of a name in a directory record.
const NAME: usize = 33;

/// Flags of a directory record.
const DIRECTORY: u8 = 0x02;
const ASSOCIATED: u8 = 0x04;
const GOES_ON: u8 = 0x80;

/// The files and directories of an image; `None` where it is no ISO 9660 image.
///
/// A symbolic link is followed: what it leads to stands in its place, as for whoever reads through it.
pub(crate) fn read(image: &[u8]) -> Result<Option<Vec<Node<'_>>>, IsoError> {
    let mut primary = None;
    let mut joliet = None;
    for sector in DESCRIPTORS.. {
        let Some(descriptor) = image.get(sector * SECTOR..(sector + 1) * SECTOR) else {
            break;
        };
        if descriptor[1..6] != *b"CD001" {
            break;
        }
        match descriptor[0] {
            1 => primary = primary.or(Some(descriptor)),
            // The escape sequences of UCS-2 levels 1 to 3.
            2 if matches!(descriptor[88..91], [b'%', b'/', b'@' | b'C' | b'E']) => {
                joliet = joliet.or(Some(descriptor));
            }
            255 => break,
            _ => {}
        }
    }
    let Some(primary) = primary else {
        return Ok(None);
    };
    if u16::from_le_bytes([primary[128], primary[129]]) as usize != SECTOR {
        return Err(IsoError::Damaged("its blocks are not of 2048 bytes"));
    }
    let mut reader = Reader {
        image,
        names: Names::Plain,
        left: MOST_NODES,
        sectors_left: MOST_DIRECTORY_SECTORS,
        link_bytes_left: MOST_LINK_BYTES,
    };
    let mut root = Record::parse(&primary[156..190]).ok_or(IsoError::Damaged("it has no root"))?;
    let first = reader.content(&root, "/")?;
    let own = Record::parse(first).ok_or(IsoError::Damaged("its root is empty"))?;
    // The first record of a Rock Ridge root starts its system use with SP, perhaps behind the entry
    // of a CD-ROM XA.
    if let Some(skip) = rock_ridge::announced(own.system_use) {
        reader.names = Names::RockRidge { skip };
    } else if let Some(joliet) = joliet {
        reader.names = Names::Joliet;
        root =
            Record::parse(&joliet[156..190]).ok_or(IsoError::Damaged("it has no Joliet root"))?;
    }
    let items = reader.directory(&root, "", 0)?;
    links::follow(&items).map(Some)
}

/// Bytes that an image has at least, by its descriptor; 0 where it has none.
pub(crate) fn announced_size(start: &[u8]) -> u64 {
    u32_at(start, DESCRIPTORS * SECTOR + 80).map_or(0, |blocks| u64::from(blocks) * SECTOR as u64)
}

struct Reader<'i> {
    image: &'i [u8],
    names: Names,
    left: usize,
    sectors_left: usize,
    link_bytes_left: usize,
}

#[derive(Clone, Copy)]
enum Names {
    Plain,
    Joliet,
    RockRidge {
        /// Bytes of system use before the first entry, in all records but the root's.
        skip: usize,
    },
}

/// A directory record.
struct Record<'i> {
    bytes: &'i [u8],
    name: &'i [u8],
    system_use: &'i [u8],
    flags: u8,
    /// Its first block, behind its extended attributes.
    extent: usize,
    size: usize,
}

impl<'i> Record<'i> {
    fn parse(bytes: &'i [u8]) -> Option<Self> {
        let length = *bytes.first()? as usize;
        let bytes = bytes.get(..length).filter(|bytes| bytes.len() > NAME)?;
        let name = bytes.get(NAME..NAME + bytes[32] as usize)?;
        // The system use starts at an even offset.
        let end = NAME + name.len() + (name.len() + 1) % 2;
        Some(Self {
            bytes,
            name,
            system_use: bytes.get(end..).unwrap_or_default(),
            flags: bytes[25],
            extent: (u32_at(bytes, 2)? as usize).checked_add(bytes[1] as usize)?,
            size: u32_at(bytes, 10)? as usize,
        })
    }

    fn is_directory(&self) -> bool {
        self.flags & DIRECTORY != 0
    }
}

impl<'i> Reader<'i> {
    fn content(&self, record: &Record<'_>, path: &str) -> Result<&'i [u8], IsoError> {
        // Unit and gap: a file in pieces, as no tool writes them.
        if record.bytes[26..28] != [0, 0] {
            return Err(IsoError::not_read(
                path,
                "is stored in pieces (interleaved)",
            ));
        }
        // An empty file may lie anywhere.
        if record.size == 0 {
            return Ok(&[]);
        }
        let start = record.extent.checked_mul(SECTOR);
        start
            .and_then(|start| self.image.get(start..start.checked_add(record.size)?))
            .ok_or_else(|| IsoError::Outside(path.to_owned()))
    }

    fn directory(
        &mut self,
        record: &Record<'_>,
        path: &str,
        depth: usize,
    ) -> Result<Vec<Item<'i>>, IsoError> {
        if depth > DEEPEST {
            return Err(IsoError::Damaged("its directories are too deep"));
        }
        let content = self.content(record, path)?;
        self.sectors_left = self
            .sectors_left
            .checked_sub(content.len().div_ceil(SECTOR))
            .ok_or(IsoError::Damaged("its directories are too large"))?;
        let mut found = Vec::new();
        // Where the file that the last record spoke of goes on.
        let mut unfinished: Option<Record<'i>> = None;
        // A record does not cross a sector; what is left of one is zeros.
        for sector in content.chunks(SECTOR) {
            let mut rest = sector;
            while let Some(mut child) = Record::parse(rest) {
                rest = &rest[child.bytes.len()..];
                // The directory itself and its parent; what belongs to a file and is not its content.
                if matches!(child.name, [0 | 1]) || child.flags & ASSOCIATED != 0 {
                    continue;
                }
                if let Some(first) = unfinished.take() {
                    child = joined(&first, child, path)?;
                }
                if child.flags & GOES_ON != 0 && !child.is_directory() {
                    unfinished = Some(child);
                    continue;
                }
                self.left = self
                    .left
                    .checked_sub(1)
                    .ok_or(IsoError::Damaged("it has too many files"))?;
                found.extend(self.item(&child, path, depth)?);
            }
        }
        Ok(found)
    }

    /// What a record speaks of; `None` for a directory that stands elsewhere in the tree.
    fn item(
        &mut self,
        record: &Record<'i>,
        path: &str,
        depth: usize,
    ) -> Result<Option<Item<'i>>, IsoError> {
        let mut name = match self.names {
            Names::Joliet => joliet_name(record.name),
            _ => plain(record.name),
        };
        let system_use = match self.names {
            Names::RockRidge { skip } => SystemUse::read(self.image, record.system_use, skip)?,
            _ => SystemUse::default(),
        };
        if !system_use.name.is_empty() {
            name = String::from_utf8(system_use.name).map_err(|error| {
                let shown = String::from_utf8_lossy(error.as_bytes());
                IsoError::not_read(&format!("{path}/{shown}"), "has a name that is no UTF-8")
            })?;
        }
        let path = format!("{path}/{name}");
        if system_use.is_relocated {
            return Ok(None);
        }
        if let Some(block) = system_use.child {
            let own = (block as usize).checked_mul(SECTOR);
            let own = own
                .and_then(|at| Record::parse(self.image.get(at..)?))
                .ok_or_else(|| IsoError::Outside(path.clone()))?;
            let content = Stored::Directory(self.directory(&own, &path, depth + 1)?);
            return Ok(Some(Item { name, content }));
        }
        let file_type = system_use.file_type.unwrap_or(match record.is_directory() {
            true => FileType::Directory,
            false => FileType::File,
        });
        let content = match file_type {
            FileType::Directory => Stored::Directory(self.directory(record, &path, depth + 1)?),
            FileType::File if system_use.is_encoded => {
                self.content(record, &path)?;
                Stored::Other("is compressed or sparse there (zisofs)")
            }
            FileType::File => Stored::File(self.content(record, &path)?),
            FileType::Link => {
                self.link_bytes_left = self
                    .link_bytes_left
                    .checked_sub(system_use.link.len())
                    .ok_or(IsoError::Damaged("its links have more than 16 MiB"))?;
                String::from_utf8(system_use.link).map_or(
                    Stored::Other("is a symbolic link to what is no UTF-8"),
                    Stored::Link,
                )
            }
            FileType::Special => Stored::Other("is a device, a pipe or a socket"),
        };
        Ok(Some(Item { name, content }))
    }
}

/// A file of several extents as one, where each begins behind the one before: so all tools write
/// them, because only then the file can be mapped.
fn joined<'i>(
    first: &Record<'i>,
    mut next: Record<'i>,
    path: &str,
) -> Result<Record<'i>, IsoError> {
    let is_one = first.name == next.name
        && first.size.is_multiple_of(SECTOR)
        && first.extent.checked_add(first.size / SECTOR) == Some(next.extent);
    let size = first.size.checked_add(next.size).filter(|_| is_one);
    let path = format!("{path}/{}", plain(first.name));
    next.size = size.ok_or_else(|| IsoError::not_read(&path, "is stored in pieces"))?;
    next.extent = first.extent;
    Ok(next)
}

fn joliet_name(name: &[u8]) -> String {
    let (pairs, _) = name.as_chunks();
    let units: Vec<u16> = pairs.iter().map(|pair| u16::from_be_bytes(*pair)).collect();
    without_version(&String::from_utf16_lossy(&units))
}

/// `META_DATA.JSON;1` as Linux shows it: `meta_data.json`.
fn plain(name: &[u8]) -> String {
    without_version(&String::from_utf8_lossy(name)).to_lowercase()
}

fn without_version(name: &str) -> String {
    let name = name.split(';').next().unwrap_or_default();
    name.strip_suffix('.').unwrap_or(name).to_owned()
}

#[cfg(test)]
mod tests;
