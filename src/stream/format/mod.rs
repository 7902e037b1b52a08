//! Which images may be written, and how: the format policy (contract/data-plane 1.8).
//!
//! What an image is is decided by its content alone, never by its name, and must agree with what
//! the conductor declared:
//!
//! | declared | content | |
//! |---|---|---|
//! | `raw`, `gpt` | the bytes of a disk | written as they are |
//! | `raw`, `gpt` | gzip, xz, zstd or bzip2 around the bytes of a disk | decompressed |
//! | `iso`, `qcow2` | the same, and a permitted format | written |
//! | null, `unknown` | a permitted format, perhaps compressed | written |
//! | any | vmdk, vhd, vhdx, vdi, qed, parallels, luks | refused, with the command that converts |
//! | any | an archive, another compression, a program, a page | refused, with the command that unpacks |
//!
//! Compression is no format of the conductor's: nothing in `image_info` speaks of it (a container
//! registry's `zstd` and `gzip` blobs are declared `raw`), so it is recognised below whatever format
//! was declared, and `permitted_image_formats` is about what is inside. The digest is that of the
//! file as it was served, compressed, so that nothing is decompressed and left on a disk which was
//! not vouched for. Inside a compressed image there is neither another compression nor a container.
//!
//! With `disable_deep_image_inspection` a declared `raw` or `gpt` is written byte for byte whatever
//! it is, and anything else is what its content says, permitted or not.

mod foreign;
mod kind;
mod refusal;
#[cfg(test)]
mod tests;

pub(super) use kind::Kind;
pub(super) use refusal::not_offered;
use refusal::{kind_not_offered, refused, refused_inside, unexpected};

use super::decode::Compression;
use super::error::StreamError;
use super::request::{Format, ImageRequest};

/// Words that stand for the formats that can be written.
const OFFERED: [&str; 8] = ["raw", "gpt", "iso", "qcow2", "bzip2", "gzip", "xz", "zstd"];

/// Refuse, before anything is fetched, what could not be written anyway.
pub(super) fn check_declared(request: &ImageRequest) -> Result<(), StreamError> {
    match &request.format {
        Format::Other(word) if !OFFERED.contains(&word.as_str()) => Err(not_offered(request, word)),
        _ => Ok(()),
    }
}

/// What the image that starts with these bytes is, where it may be written: the bytes of a disk, a
/// qcow2, or something compressed; what is inside that is for [`check_inside`].
pub(super) fn check(request: &ImageRequest, start: &[u8]) -> Result<Kind, StreamError> {
    if !request.inspect && is_disk(&request.format) {
        return Ok(Kind::Raw);
    }
    let kind = Kind::of(start).ok_or_else(ambiguous)?;
    let is_compressed = matches!(kind, Kind::Compressed(_));
    match &request.format {
        Format::Other(word) if request.inspect && is_compression(word) && word != kind.name() => {
            Err(unexpected(word, kind))
        }
        _ if !is_compressed => check_disk_or_container(request, kind, start).map(|()| kind),
        Format::Raw | Format::Gpt | Format::Undeclared => Ok(kind),
        Format::Other(word) if word == "iso" || word == kind.name() || !request.inspect => Ok(kind),
        Format::Other(word) => Err(unexpected(word, kind)),
    }
}

/// Whether what is inside a compressed image, and starts with these bytes, may be written.
pub(super) fn check_inside(
    request: &ImageRequest,
    compression: Compression,
    start: &[u8],
) -> Result<Kind, StreamError> {
    let kind = Kind::of(start).ok_or_else(ambiguous)?;
    if !kind.is_plain() {
        return Err(refused_inside(
            format!(
                "Image is {} inside {}, but only raw, gpt and iso are written from inside a \
                 compressed file",
                kind.name(),
                compression.name()
            ),
            kind,
            compression,
        ));
    }
    check_disk_or_container(request, kind, start)?;
    Ok(kind)
}

/// What something is that starts with these bytes, for a person to read: never its content.
pub(crate) fn describe(start: &[u8]) -> &'static str {
    let is_text = |start: &[u8]| {
        let is_printed = |byte: &u8| !byte.is_ascii_control() || byte.is_ascii_whitespace();
        std::str::from_utf8(start).is_ok() && start.iter().all(is_printed)
    };
    match Kind::of(start) {
        _ if start.is_empty() => "empty",
        Some(Kind::Raw) if is_text(start) => "text",
        Some(Kind::Raw) | None => "of no known kind",
        Some(Kind::Gpt) => "a disk with a partition table",
        Some(kind) => kind.name(),
    }
}

fn check_disk_or_container(
    request: &ImageRequest,
    kind: Kind,
    start: &[u8],
) -> Result<(), StreamError> {
    let is_written = kind.is_plain() || kind == Kind::Qcow2;
    if !request.inspect {
        return if is_written {
            Ok(())
        } else {
            Err(kind_not_offered(request, kind))
        };
    }
    match &request.format {
        Format::Raw if !kind.is_plain() => Err(unexpected("raw", kind)),
        Format::Gpt if !kind.is_plain() => Err(unexpected("gpt", kind)),
        Format::Raw | Format::Gpt => Ok(()),
        Format::Other(word) if !is_compression(word) => {
            check_permitted(request, kind)?;
            if kind.name() != word {
                return Err(unexpected(word, kind));
            }
            Ok(())
        }
        Format::Undeclared | Format::Other(_) => {
            check_permitted(request, kind)?;
            if !is_written {
                return Err(kind_not_offered(request, kind));
            }
            if kind == Kind::Gpt && !kind::is_sound_boot_record(start) {
                return Err(refused("Image failed safety check".to_owned(), kind));
            }
            Ok(())
        }
    }
}

fn check_permitted(request: &ImageRequest, kind: Kind) -> Result<(), StreamError> {
    let permitted = &request.permitted_formats;
    if permitted.iter().any(|format| format == kind.name()) {
        return Ok(());
    }
    Err(refused(
        format!(
            "Detected image format was {}, but only {} are allowed",
            kind.name(),
            permitted.join(", ")
        ),
        kind,
    ))
}

fn is_disk(format: &Format) -> bool {
    matches!(format, Format::Raw | Format::Gpt)
}

fn is_compression(word: &str) -> bool {
    matches!(word, "bzip2" | "gzip" | "xz" | "zstd")
}

fn ambiguous() -> StreamError {
    refused(
        "Image matched multiple potential formats".to_owned(),
        Kind::Raw,
    )
}
