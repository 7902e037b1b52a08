//! The system use of a directory record: the entries of Rock Ridge (IEEE P1282) in it.

use super::error::IsoError;
use super::sector::{SECTOR, u32_at};

/// Bytes of a CD-ROM XA's entry, behind which those of Rock Ridge may begin.
const XA: usize = 14;

/// Places in which the entries of one record go on; a few are more than any name needs.
const MOST_AREAS: usize = 8;

/// Bytes of the longest name and link of Linux. Many records may go on in the same place.
const LONGEST_NAME: usize = 255;
const LONGEST_LINK: usize = 4096;

/// Flags of a part of a link.
const GOES_ON: u8 = 1;
const HERE: u8 = 2;
const PARENT: u8 = 4;
const ROOT: u8 = 8;

/// What a record's system use says.
#[derive(Default)]
pub(super) struct SystemUse {
    /// Empty where there is none.
    pub(super) name: Vec<u8>,
    /// Where a symbolic link leads.
    pub(super) link: Vec<u8>,
    /// By the file's mode, which not every record has.
    pub(super) file_type: Option<FileType>,
    /// The block of the directory that stands here in the tree, and elsewhere in the image.
    pub(super) child: Option<u32>,
    /// Whether this is such a directory, at its place in the image.
    pub(super) is_relocated: bool,
    /// Whether the content is not stored as it is read.
    pub(super) is_encoded: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum FileType {
    File,
    Directory,
    Link,
    Special,
}

/// Bytes before the first entry of all records but the root's own, which this is the system use of;
/// `None` where that speaks of no Rock Ridge.
pub(super) fn announced(own: &[u8]) -> Option<usize> {
    [0, XA]
        .iter()
        .filter_map(|at| own.get(*at..))
        .find(|area| area.starts_with(b"SP\x07\x01\xbe\xef"))
        .and_then(|area| area.get(6))
        .map(|skip| usize::from(*skip))
}

impl SystemUse {
    /// Read the entries behind the first `skip` bytes, and where they go on.
    pub(super) fn read(image: &[u8], record: &[u8], skip: usize) -> Result<Self, IsoError> {
        let mut found = Self::default();
        let mut area = record.get(skip..).unwrap_or_default();
        // Whether the part of a link that came last goes on in the next.
        let mut goes_on = false;
        for _ in 0..MOST_AREAS {
            let mut next = None;
            while let Some(length) = area.get(2).map(|length| *length as usize) {
                let Some(entry) = area.get(..length).filter(|entry| entry.len() >= 4) else {
                    break;
                };
                match &entry[..2] {
                    b"NM" => found
                        .name
                        .extend_from_slice(entry.get(5..).unwrap_or_default()),
                    b"SL" => {
                        let parts = entry.get(5..).unwrap_or_default();
                        goes_on = add_link(&mut found.link, parts, goes_on);
                    }
                    b"PX" => found.file_type = u32_at(entry, 4).map(file_type),
                    b"CL" => found.child = u32_at(entry, 4),
                    b"RE" => found.is_relocated = true,
                    b"ZF" | b"SF" => found.is_encoded = true,
                    b"CE" => next = continuation(image, entry),
                    b"ST" => break,
                    _ => {}
                }
                if found.name.len() > LONGEST_NAME {
                    return Err(IsoError::Damaged("a name is longer than 255 bytes"));
                }
                if found.link.len() > LONGEST_LINK {
                    return Err(IsoError::Damaged(
                        "a symbolic link is longer than 4096 bytes",
                    ));
                }
                area = &area[length..];
            }
            match next {
                Some(place) => area = place,
                None => return Ok(found),
            }
        }
        Err(IsoError::Damaged("a name goes on without an end"))
    }
}

fn file_type(mode: u32) -> FileType {
    match mode & 0o170_000 {
        0o100_000 => FileType::File,
        0o040_000 => FileType::Directory,
        0o120_000 => FileType::Link,
        _ => FileType::Special,
    }
}

/// Put the parts of a link behind those that came before. Whether the last goes on.
fn add_link(link: &mut Vec<u8>, mut parts: &[u8], mut goes_on: bool) -> bool {
    while let [flags, length, rest @ ..] = parts {
        let Some((content, rest)) = rest.split_at_checked(usize::from(*length)) else {
            break;
        };
        if !goes_on && !link.is_empty() && !link.ends_with(b"/") {
            link.push(b'/');
        }
        link.extend_from_slice(match *flags & !GOES_ON {
            HERE => b".",
            PARENT => b"..",
            ROOT => b"/",
            _ => content,
        });
        goes_on = *flags & GOES_ON != 0;
        parts = rest;
    }
    goes_on
}

/// Like the kernel, only what lies within one sector.
fn continuation<'i>(image: &'i [u8], entry: &[u8]) -> Option<&'i [u8]> {
    let block = u32_at(entry, 4)? as usize;
    let offset = u32_at(entry, 12)? as usize;
    let length = u32_at(entry, 20)? as usize;
    let start = block.checked_mul(SECTOR)?.checked_add(offset)?;
    let length = Some(length).filter(|length| *length <= SECTOR)?;
    image.get(start..start.checked_add(length)?)
}
