//! What an image is, by its content, and whether that may be written (contract/data-plane 1.8).

use super::error::StreamError;
use super::request::{Format, ImageRequest};

/// Containers and compressions: formats whose bytes are not the bytes of a disk. Name, offset of
/// the signature, signature.
const WRAPPED: [(&str, usize, &[u8]); 11] = [
    ("qcow2", 0, b"QFI\xfb"),
    ("vmdk", 0, b"KDMV"),
    ("vmdk", 0, b"# Disk DescriptorFile"),
    ("vhd", 0, b"conectix"),
    ("vhdx", 0, b"vhdxfile"),
    ("vdi", 64, &0xbeda_107f_u32.to_le_bytes()),
    ("qed", 0, b"QED\0"),
    ("gzip", 0, &[0x1f, 0x8b, 0x08]),
    ("xz", 0, b"\xfd7zXZ\0"),
    ("zstd", 0, &[0x28, 0xb5, 0x2f, 0xfd]),
    // A block of bzip2 starts with the digits of pi after the level.
    ("bzip2", 4, &[0x31, 0x41, 0x59, 0x26, 0x53, 0x59]),
];

/// Offset of a volume descriptor's identifier in ISO 9660 and UDF.
const VOLUME_DESCRIPTOR: usize = 32769;

/// Refuse, before anything is fetched, what could not be written anyway.
pub(super) fn check_declared(request: &ImageRequest) -> Result<(), StreamError> {
    match &request.format {
        Format::Other(word) if word != "iso" && word != "qcow2" => Err(not_offered(request, word)),
        _ => Ok(()),
    }
}

/// Whether the image that starts with these bytes may be written as it stands.
pub(super) fn check_content(request: &ImageRequest, start: &[u8]) -> Result<(), StreamError> {
    let wrapped = wrapped(start);
    match (&request.format, wrapped) {
        (Format::Raw | Format::Gpt, _) if !request.inspect => Ok(()),
        (Format::Raw, Some(found)) => Err(unexpected("raw", found)),
        (Format::Gpt, Some(found)) => Err(unexpected("gpt", found)),
        (Format::Raw | Format::Gpt, None) => Ok(()),
        (Format::Undeclared, Some(found)) if !request.inspect => Err(not_offered(request, found)),
        (Format::Undeclared, None) if !request.inspect => Ok(()),
        (Format::Undeclared, found) => {
            let found = found.unwrap_or_else(|| plain(start));
            permitted(request, found)?;
            if wrapped.is_some() {
                return Err(not_offered(request, found));
            }
            if found == "gpt" && !is_sound_mbr(start) {
                return Err(refused("Image failed safety check".to_owned()));
            }
            Ok(())
        }
        (Format::Other(word), found) => {
            let found = found.unwrap_or_else(|| plain(start));
            if request.inspect {
                permitted(request, found)?;
            }
            if found == word {
                return Ok(());
            }
            Err(unexpected(word, found))
        }
    }
}

/// The container or compression that these bytes start.
fn wrapped(start: &[u8]) -> Option<&'static str> {
    let found = WRAPPED.iter().find(|(_, offset, signature)| {
        start
            .get(*offset..)
            .is_some_and(|bytes| bytes.starts_with(signature))
    });
    match found {
        Some(("bzip2", ..)) if !start.starts_with(b"BZh") => None,
        found => found.map(|(name, ..)| *name),
    }
}

/// What an image of plain bytes is. A hybrid ISO has a partition table too; like the conductor, and
/// unlike the reference's agent, that is taken for an ISO.
fn plain(start: &[u8]) -> &'static str {
    let descriptor = start.get(VOLUME_DESCRIPTOR..VOLUME_DESCRIPTOR + 5);
    if let Some(b"CD001" | b"NSR02" | b"NSR03") = descriptor {
        return "iso";
    }
    if start.starts_with(b"LUKS\xba\xbe") {
        return "luks";
    }
    let is_fat = start.get(16) == Some(&2) && start.get(21) == Some(&0xf8);
    if start.get(510..512) == Some(&[0x55, 0xaa]) && !is_fat {
        return "gpt";
    }
    "raw"
}

/// The rules for a master boot record in an image whose format nobody declared.
fn is_sound_mbr(start: &[u8]) -> bool {
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

fn permitted(request: &ImageRequest, found: &str) -> Result<(), StreamError> {
    let allowed = &request.permitted_formats;
    if allowed.iter().any(|format| format == found) {
        return Ok(());
    }
    Err(refused(format!(
        "Detected image format was {found}, but only {} are allowed",
        allowed.join(", ")
    )))
}

fn unexpected(declared: &str, found: &str) -> StreamError {
    refused(format!(
        "Expected format was {declared}, but image was actually {found}"
    ))
}

fn refused(reason: String) -> StreamError {
    StreamError::Format { reason }
}

fn not_offered(request: &ImageRequest, format: &str) -> StreamError {
    StreamError::FormatNotOffered {
        image: request.id.clone(),
        format: format.to_owned(),
    }
}
