//! How a format is refused: by name, and with the command that makes an image that can be written.

use super::kind::Kind;
use crate::stream::decode::Compression;
use crate::stream::error::{Conversion, StreamError};
use crate::stream::request::ImageRequest;

/// A rule of the contract is broken; its text says which. What could be written if it were declared
/// as what it is needs no conversion.
pub(super) fn refused(reason: String, kind: Kind) -> StreamError {
    StreamError::Format {
        reason,
        conversion: remedy(kind).map(Conversion),
    }
}

/// The same of what is inside a compression, which comes off first.
pub(super) fn refused_inside(reason: String, kind: Kind, around: Compression) -> StreamError {
    let first = format!("decompress it with `{} -d`, then ", around.name());
    let conversion = remedy(kind).map(|remedy| match kind {
        Kind::Foreign(foreign) if foreign.unpacks_compressed => remedy,
        _ => first + &remedy,
    });
    StreamError::Format {
        reason,
        conversion: conversion.map(Conversion),
    }
}

pub(super) fn unexpected(declared: &str, kind: Kind) -> StreamError {
    refused(
        format!(
            "Expected format was {declared}, but image was actually {}",
            kind.name()
        ),
        kind,
    )
}

/// Nothing writes this format.
pub(in crate::stream) fn not_offered(request: &ImageRequest, format: &str) -> StreamError {
    let remedy = match conversion(format) {
        Some(command) => convert(&command),
        None => "convert it to raw or qcow2".to_owned(),
    };
    StreamError::FormatNotOffered {
        image: request.id.clone(),
        format: format.to_owned(),
        remedy,
    }
}

/// Nothing writes what this is.
pub(super) fn kind_not_offered(request: &ImageRequest, kind: Kind) -> StreamError {
    match kind {
        Kind::Foreign(foreign) => refused(format!("Image is {}", foreign.what), kind),
        kind => not_offered(request, kind.name()),
    }
}

/// What makes something of it that can be written; what could be if it were declared as what it is
/// needs nothing.
fn remedy(kind: Kind) -> Option<String> {
    match kind {
        Kind::Qcow2 => None,
        Kind::Foreign(foreign) => Some(foreign.remedy.to_owned()),
        kind => conversion(kind.name()).map(|command| convert(&command)),
    }
}

fn convert(command: &str) -> String {
    format!("convert it with `{command}`")
}

/// The command that makes a raw image of this format. The option `-f` is qemu-img's own name for
/// it: without it, qemu-img would have to guess.
fn conversion(format: &str) -> Option<String> {
    let source = match format {
        "ploop" | "parallels" => "-f parallels",
        "qed" => "-f qed",
        "vdi" => "-f vdi",
        "vhd" | "vpc" => "-f vpc",
        "vhdx" => "-f vhdx",
        "vmdk" => "-f vmdk",
        "luks" => {
            return Some(
                "qemu-img convert -O raw --object secret,id=key,file=PASSPHRASE-FILE --image-opts \
                 driver=luks,key-secret=key,file.filename=IMAGE IMAGE.raw"
                    .to_owned(),
            );
        }
        _ => return None,
    };
    Some(format!("qemu-img convert {source} -O raw IMAGE IMAGE.raw"))
}
