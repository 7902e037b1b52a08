//! The config drive's content, found in what the conductor sent (contract/data-plane 4.2).
//!
//! It is an image that a booted system looks for by its label: ISO 9660 or FAT, or ext or XFS
//! labelled `config-2`. Around that may be gzip and base64, in any order; nothing else is ever
//! written.

#[cfg(test)]
mod cases;
pub(super) mod layer;
#[cfg(test)]
mod tests;

use std::io::{self, Read};
use std::sync::Arc;

use farrier_plugin::{Context, chain};

use self::layer::{Layer, READ_LIMIT};
use super::error::DeployError;
use super::image_info::is_url;
use crate::block::fat::{Fat, FatError};
use crate::block::fat_writer::Node;
use crate::block::iso9660::{self, IsoError};
use crate::block::probe;
use crate::config::Options;
use crate::stream::{Credentials, DownloadError, Location, Proxies, describe, fetch};
use crate::sys::read_only::ReadOnly;

/// The largest config drive beside a whole-disk image, in MiB.
pub(super) const LIMIT_MIB: u64 = 64;

/// The largest config drive beside a partition image, in MiB: it has a partition of its own size, and
/// the reference has no limit. This is just below [`READ_LIMIT`], to which a size is found out.
pub(super) const PARTITION_LIMIT_MIB: u64 = (READ_LIMIT >> 20) - 1;

/// Bytes of a download that are taken: the largest config drive as base64 of incompressible data,
/// with line breaks.
const DOWNLOAD_LIMIT: u64 = (LIMIT_MIB << 20) * 3 / 2;

/// Bytes that tell what something is: the volume descriptor of ISO 9660 lies furthest from the start.
const START: u64 = 36 << 10;

/// The label that marks a config drive, in either case.
pub(super) const LABEL: &str = "config-2";

/// Layers that are taken off. The conductor puts two around an image.
const MOST_LAYERS: usize = 4;

/// A config drive that was found readable.
pub(super) struct ConfigDrive {
    sent: Sent,
    layers: Vec<Layer>,
    file_system: probe::FileSystem,
    size: u64,
}

/// What it is kept as: never unpacked, since that may be 64 MiB.
enum Sent {
    Text(Arc<str>),
    Downloaded(Vec<u8>),
}

/// Why a config drive's files cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum FilesError {
    #[error(transparent)]
    Iso(#[from] IsoError),
    #[error(transparent)]
    Fat(#[from] FatError),
    #[error("files are read from ISO 9660 and FAT only, and it is {0}")]
    Kind(&'static str),
}

impl FilesError {
    /// Whether something does not lie in the image.
    fn is_outside(&self) -> bool {
        matches!(
            self,
            Self::Iso(IsoError::Outside(_)) | Self::Fat(FatError::Outside { .. })
        )
    }
}

impl ConfigDrive {
    /// Decode what the conductor sent, a URL or base64, once to its end: what is wrong with it
    /// shows before the disk is touched. One of more MiB than the limit is an error.
    pub(super) fn decode(
        sent: &Arc<str>,
        node: &str,
        options: &Options,
        context: &dyn Context,
        limit_mib: u64,
    ) -> Result<Self, DeployError> {
        let (sent, layers, origin) = if is_url(sent) {
            let location = parse(sent, node)?;
            let bytes = download(&location, node, options, context)?;
            let origin = format!(" Downloaded from \"{location}\".");
            (Sent::Downloaded(bytes), Vec::new(), origin)
        } else {
            // As the reference: a text is nothing else, whatever stands between its letters.
            let layers = vec![Layer::base64(sent.as_bytes())];
            (Sent::Text(Arc::clone(sent)), layers, String::new())
        };
        Self::find(sent, layers, node, &origin, limit_mib)
    }

    /// What a server sent.
    #[cfg(any(test, fuzzing))]
    pub(super) fn downloaded(bytes: Vec<u8>) -> Result<Self, DeployError> {
        Self::find(Sent::Downloaded(bytes), Vec::new(), "node", "", LIMIT_MIB)
    }

    /// Take off layers until there is a file system.
    fn find(
        sent: Sent,
        mut layers: Vec<Layer>,
        node: &str,
        origin: &str,
        limit_mib: u64,
    ) -> Result<Self, DeployError> {
        loop {
            let mut start = Vec::new();
            reader(&sent, &layers)
                .and_then(|reader| reader.take(START).read_to_end(&mut start))
                .map_err(|error| content_error(&layers, node, origin, &error.to_string()))?;
            if let Some(file_system) = file_system(&start) {
                let mut drive = Self {
                    sent,
                    layers,
                    file_system,
                    size: 0,
                };
                drive.check(&start, node, origin, limit_mib)?;
                return Ok(drive);
            }
            match Layer::around(&start) {
                Some(layer) if layers.len() < MOST_LAYERS => layers.push(layer),
                _ => return Err(unknown(&layers, &start, node, origin)),
            }
        }
    }

    /// Whether it can be read to its end, is not too large and not cut off.
    fn check(
        &mut self,
        start: &[u8],
        node: &str,
        origin: &str,
        limit_mib: u64,
    ) -> Result<(), DeployError> {
        self.size = self
            .reader()
            .and_then(|mut reader| io::copy(&mut reader, &mut io::sink()))
            .map_err(|error| content_error(&self.layers, node, origin, &error.to_string()))?;
        let mib = self.size.div_ceil(1 << 20);
        if mib > limit_mib {
            return Err(DeployError::ConfigDrive(format!(
                "Config drive size exceeds maximum limit of {limit_mib}MiB. Size of the given \
                 config drive is {mib} MiB for node {node}."
            )));
        }
        // What is missing may be padding that nobody needs.
        let announced = match self.file_system.kind {
            "iso9660" => iso9660::announced_size(start),
            _ => Fat::open(&ReadOnly::new("config drive", start), 0, start.len() as u64)
                .ok()
                .flatten()
                .map_or(0, |fat| fat.announced_size()),
        };
        if announced > self.size {
            // What is larger goes to the disk as it is, and is never in memory as a whole.
            if mib > LIMIT_MIB {
                return Ok(());
            }
            let image = self
                .unpacked()
                .map_err(|source| self.unreadable(node, source))?;
            // Whatever else a FAT could not hold matters only where its files go into one.
            if let Err(error) = self.files(&image)
                && error.is_outside()
            {
                return Err(DeployError::ConfigDrive(format!(
                    "Config drive for node {node} is cut off after {} bytes. Error: {error}.{origin}",
                    self.size
                )));
            }
        }
        Ok(())
    }

    /// Bytes of the image.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// The largest logical block of a disk, in bytes, on which Linux mounts it.
    pub(super) fn largest_block(&self) -> u32 {
        self.file_system.largest_block
    }

    /// The image's bytes.
    pub(super) fn reader(&self) -> io::Result<Box<dyn Read + '_>> {
        reader(&self.sent, &self.layers)
    }

    /// All of the image's bytes, at most 64 MiB.
    pub(super) fn unpacked(&self) -> io::Result<Vec<u8>> {
        let mut content = Vec::with_capacity(usize::try_from(self.size).unwrap_or_default());
        self.reader()?.read_to_end(&mut content)?;
        Ok(content)
    }

    /// The files of the unpacked image.
    pub(super) fn files<'i>(&self, image: &'i [u8]) -> Result<Vec<Node<'i>>, FilesError> {
        match self.file_system.kind {
            "iso9660" => Ok(iso9660::read(image)?
                .ok_or_else(|| IsoError::Outside("the primary volume descriptor".to_owned()))?),
            "vfat" => {
                let medium = ReadOnly::new("config drive", image);
                let fat = Fat::open(&medium, 0, image.len() as u64)?;
                let fat = fat.ok_or(FilesError::Kind("neither"))?;
                Ok(fat.files()?)
            }
            kind => Err(FilesError::Kind(kind)),
        }
    }

    /// That it cannot be read any more, which it could before.
    pub(super) fn unreadable(&self, node: &str, source: io::Error) -> DeployError {
        DeployError::ConfigDriveContent {
            node: node.to_owned(),
            source,
        }
    }
}

fn reader<'s>(sent: &'s Sent, layers: &[Layer]) -> io::Result<Box<dyn Read + 's>> {
    let bytes = match sent {
        Sent::Text(text) => text.as_bytes(),
        Sent::Downloaded(bytes) => bytes,
    };
    let mut reader: Box<dyn Read + 's> = Box::new(bytes);
    for layer in layers {
        reader = Box::new(layer.inside(reader)?.take(READ_LIMIT));
    }
    Ok(reader)
}

/// The file system that starts so, if a booted system would take it for a config drive: others than
/// ISO 9660 and FAT by their label alone.
fn file_system(start: &[u8]) -> Option<probe::FileSystem> {
    let medium = ReadOnly::new("config drive", start);
    let found = probe::file_system(&medium, 0, start.len() as u64).ok()??;
    let is_found =
        matches!(found.kind, "iso9660" | "vfat") || found.label.eq_ignore_ascii_case(LABEL);
    is_found.then_some(found)
}

/// The texts begin as the reference's.
fn content_error(layers: &[Layer], node: &str, origin: &str, why: &str) -> DeployError {
    let begin = match layers {
        [Layer::Base64 { .. }] => format!(
            "Config drive for node {node} is not base64 encoded or the content is malformed."
        ),
        _ => format!(
            "Encountered error while decompressing and writing config drive for node {node}."
        ),
    };
    DeployError::ConfigDrive(format!("{begin} Error: {why}.{origin}"))
}

/// What is none of the kinds, by as much as can be said of it without showing it.
fn unknown(layers: &[Layer], start: &[u8], node: &str, origin: &str) -> DeployError {
    let what = describe(start);
    let why = if layers.len() == MOST_LAYERS {
        format!("there is more than {MOST_LAYERS} times gzip or base64 around each other")
    } else {
        let place = match layers.last() {
            Some(layer) => format!("inside {} is {what}", layer.name()),
            None => format!("it is {what}"),
        };
        format!(
            "{place}, and no ISO 9660 or FAT image, gzip or base64: give an ISO 9660 image labelled \
             {LABEL}, as `genisoimage -J -r -V {LABEL}` makes it, in gzip and base64"
        )
    };
    match layers {
        [Layer::Base64 { .. }] if start.is_empty() => {
            content_error(layers, node, origin, "it is empty")
        }
        [Layer::Base64 { .. }, ..] => content_error(&[], node, origin, &why),
        _ => DeployError::ConfigDrive(format!(
            "Config drive for node {node} is no config drive. Error: {why}.{origin}"
        )),
    }
}

fn parse(url: &str, node: &str) -> Result<Location, DeployError> {
    Location::parse(url).map_err(|error| {
        DeployError::ConfigDrive(format!(
            "Can't download the configdrive content for node {node}. Reason: {error}"
        ))
    })
}

/// The reference tries once; a connection that fails is tried again here like an image's.
fn download(
    location: &Location,
    node: &str,
    options: &Options,
    context: &dyn Context,
) -> Result<Vec<u8>, DeployError> {
    fetch(
        location,
        &Credentials::None,
        &Proxies::default(),
        DOWNLOAD_LIMIT,
        options,
        context,
    )
    .map_err(|error| {
        let why = match &error {
            DownloadError::Status { status, .. } => format!("Got status code {status}"),
            error => format!("Reason: {}", chain(error)),
        };
        DeployError::ConfigDrive(format!(
            "Can't download the configdrive content for node {node} from '{location}'. {why}"
        ))
    })
}
