//! ISO 9660 images, read only: the files of a config drive (ECMA-119, with the names of Rock Ridge,
//! IEEE P1282, or of Joliet).
//!
//! The image is whole in memory. Every number in it comes from outside, so every walk is bounded.

use super::fat_writer::Node;

/// Bytes of a logical sector, and of the only block size that is taken.
const SECTOR: usize = 2048;

/// The first volume descriptor.
const DESCRIPTORS: usize = 16;

/// Directories deeper than this are an error; ECMA-119 allows 8, Rock Ridge more.
const DEEPEST: usize = 32;

/// The most files and directories that are taken.
const MOST_NODES: usize = 65_536;

/// Offset of a name in a directory record.
const NAME: usize = 33;

/// What is wrong with an image.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
#[error("the ISO 9660 image is damaged: {0}")]
pub struct IsoError(&'static str);

/// The files and directories of an image; `None` where it is no ISO 9660 image.
pub fn read(image: &[u8]) -> Result<Option<Vec<Node<'_>>>, IsoError> {
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
        return Err(IsoError("its blocks are not of 2048 bytes"));
    }
    let mut reader = Reader {
        image,
        names: Names::Plain,
        left: MOST_NODES,
    };
    let mut root = Record::parse(&primary[156..190]).ok_or(IsoError("it has no root"))?;
    let first = reader.content(&root)?;
    let own = Record::parse(first).ok_or(IsoError("its root is empty"))?;
    // The first record of a Rock Ridge root starts its system use with SP.
    if own.system_use.starts_with(b"SP\x07\x01\xbe\xef") {
        reader.names = Names::RockRidge {
            skip: own.system_use[6] as usize,
        };
    } else if let Some(joliet) = joliet {
        reader.names = Names::Joliet;
        root = Record::parse(&joliet[156..190]).ok_or(IsoError("it has no Joliet root"))?;
    }
    reader.directory(&root, 0).map(Some)
}

struct Reader<'i> {
    image: &'i [u8],
    names: Names,
    left: usize,
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
    is_directory: bool,
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
            is_directory: bytes[25] & 2 != 0,
            extent: u32_at(bytes, 2)? as usize,
            size: u32_at(bytes, 10)? as usize,
        })
    }
}

impl<'i> Reader<'i> {
    fn content(&self, record: &Record<'_>) -> Result<&'i [u8], IsoError> {
        let start = record.extent.checked_mul(SECTOR);
        start
            .and_then(|start| self.image.get(start..start.checked_add(record.size)?))
            .ok_or(IsoError("a file does not lie in it"))
    }

    fn directory(&mut self, record: &Record<'_>, depth: usize) -> Result<Vec<Node<'i>>, IsoError> {
        if depth > DEEPEST {
            return Err(IsoError("its directories are too deep"));
        }
        let mut found = Vec::new();
        // A record does not cross a sector; what is left of one is zeros.
        for sector in self.content(record)?.chunks(SECTOR) {
            let mut rest = sector;
            while let Some(child) = Record::parse(rest) {
                rest = &rest[child.bytes.len()..];
                // The directory itself and its parent.
                if matches!(child.name, [0 | 1]) {
                    continue;
                }
                self.left = self
                    .left
                    .checked_sub(1)
                    .ok_or(IsoError("it has too many files"))?;
                let name = self.name(&child)?;
                found.push(if child.is_directory {
                    Node::directory(name, self.directory(&child, depth + 1)?)
                } else {
                    Node::file(name, self.content(&child)?)
                });
            }
        }
        Ok(found)
    }

    fn name(&self, record: &Record<'_>) -> Result<String, IsoError> {
        match self.names {
            Names::RockRidge { skip } => match self.rock_ridge(record, skip)? {
                name if name.is_empty() => Ok(plain(record.name)),
                name => Ok(name),
            },
            Names::Joliet => {
                let units: Vec<u16> = record
                    .name
                    .chunks_exact(2)
                    .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
                    .collect();
                Ok(without_version(&String::from_utf16_lossy(&units)))
            }
            Names::Plain => Ok(plain(record.name)),
        }
    }

    /// The name in the NM entries, which may go on in another place (CE); empty where there is none.
    fn rock_ridge(&self, record: &Record<'_>, skip: usize) -> Result<String, IsoError> {
        let mut name = Vec::new();
        let mut area = record.system_use.get(skip..).unwrap_or_default();
        // Each place can name one more; a few are more than any name needs.
        for _ in 0..8 {
            let mut next = None;
            while let Some(length) = area.get(2).map(|length| *length as usize) {
                let Some(entry) = area.get(..length).filter(|entry| entry.len() >= 4) else {
                    break;
                };
                match &entry[..2] {
                    b"NM" => name.extend_from_slice(entry.get(5..).unwrap_or_default()),
                    b"CE" => next = self.continuation(entry),
                    b"ST" => break,
                    _ => {}
                }
                area = &area[length..];
            }
            match next {
                Some(place) => area = place,
                None => return Ok(String::from_utf8_lossy(&name).into_owned()),
            }
        }
        Err(IsoError("a name goes on without an end"))
    }

    fn continuation(&self, entry: &[u8]) -> Option<&'i [u8]> {
        let block = u32_at(entry, 4)? as usize;
        let offset = u32_at(entry, 12)? as usize;
        let length = u32_at(entry, 20)? as usize;
        let start = block.checked_mul(SECTOR)?.checked_add(offset)?;
        self.image.get(start..start.checked_add(length)?)
    }
}

/// `META_DATA.JSON;1` as Linux shows it: `meta_data.json`.
fn plain(name: &[u8]) -> String {
    without_version(&String::from_utf8_lossy(name)).to_lowercase()
}

fn without_version(name: &str) -> String {
    let name = name.split(';').next().unwrap_or_default();
    name.strip_suffix('.').unwrap_or(name).to_owned()
}

fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    let bytes = bytes.get(offset..offset + 4)?;
    Some(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

#[cfg(test)]
mod tests;
