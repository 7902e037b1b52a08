//! Removing what makes a device look used: partition tables, file system and member signatures.
//!
//! The data stays. This is done before inspection by people and by partitioning, not to protect
//! what the disk held, and claims no category of NIST SP 800-88.

use std::collections::BTreeSet;

use farrier_plugin::AlignedBuffer;
use tracing::{debug, info};

use super::signatures::Signature;
use super::superblocks::{self, BTRFS_COPIES, BTRFS_MAGIC, BTRFS_MAGIC_OFFSET, BTRFS_SUPERBLOCK};
use crate::sys::block_device::{DiskError, Medium};

/// How many signatures are taken away one after the other; the deepest stack of real ones is less
/// than ten.
const MOST_SIGNATURES: usize = 64;

/// What is known of a GPT header (UEFI specification 2.10, table 5.5).
pub(crate) const GPT_MAGIC: &[u8] = b"EFI PART";

/// Why the metadata of a device is not gone.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WipeError {
    /// A signature is still recognised after it was removed.
    #[error("The signature of {kind} on {device} is still there after it was removed")]
    SignatureSurvives {
        /// The device.
        device: String,
        /// libblkid's name of it.
        kind: String,
    },
    /// An area holds something after zeros were written to it.
    #[error(
        "The metadata of {device} is not removed: byte {offset} does not keep the zero written to it"
    )]
    Survived {
        /// The device.
        device: String,
        /// First byte of what is there.
        offset: u64,
    },
    /// Some areas could not be overwritten.
    #[error(
        "The metadata of {device} is not removed: {areas} area(s) of it could not be overwritten; the first one"
    )]
    Unwritable {
        /// The device.
        device: String,
        /// How many.
        areas: usize,
        /// The first.
        #[source]
        source: DiskError,
    },
    /// The device could not be read, or does not bring what was written onto its medium.
    #[error("The metadata of {device} is not removed")]
    Disk {
        /// The device.
        device: String,
        /// What failed.
        #[source]
        source: DiskError,
    },
}

/// Remove all metadata of one device, be it a disk or a partition, and check that it is gone.
///
/// `find` tells which signatures the device holds, read anew each time. Both copies of a GPT are
/// removed, the second one also where it is not at the end of the device, as after an image of a
/// smaller disk.
pub(crate) fn wipe<E: From<WipeError>>(
    medium: &dyn Medium,
    device: &str,
    find: impl Fn() -> Result<Vec<Signature>, E>,
) -> Result<(), E> {
    let mut wipe = Wipe {
        medium,
        device,
        faults: Vec::new(),
    };
    let copies = wipe.far_copies();
    for area in &copies {
        wipe.zero(area);
    }
    let ends = wipe.ends();
    for area in &ends {
        wipe.zero(area);
    }
    wipe.flush()?;
    wipe.remove_signatures(find)?;
    wipe.flush()?;
    for area in ends.iter().chain(&copies) {
        wipe.check(area)?;
    }
    wipe.outcome()?;
    info!(device, "metadata removed");
    Ok(())
}

/// Bytes of a device, in whole blocks.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Area {
    offset: u64,
    length: u64,
}

struct Wipe<'a> {
    medium: &'a dyn Medium,
    device: &'a str,
    faults: Vec<DiskError>,
}

impl Wipe<'_> {
    /// Where zeros are written; the reference clears 33 sectors at each end and runs wipefs and sgdisk
    /// besides (contract/data-plane 10.7).
    fn ends(&self) -> Vec<Area> {
        superblocks::ends(self.medium.size())
            .into_iter()
            .map(|end| self.area(end.start, end.end - end.start))
            .collect()
    }

    /// Copies of metadata that lie away from both ends, found before anything is changed.
    fn far_copies(&self) -> BTreeSet<Area> {
        let mut copies = BTreeSet::new();
        // A table that was written for the other sector size is as valid on the next machine.
        for block in [512, 4096] {
            if let Some(primary) = self.read(block, 512)
                && primary.starts_with(GPT_MAGIC)
            {
                copies.extend(self.backup_gpt(&primary, block));
            }
        }
        for offset in BTRFS_COPIES {
            if let Some(superblock) = self.read(offset, BTRFS_SUPERBLOCK)
                && superblock[BTRFS_MAGIC_OFFSET..].starts_with(BTRFS_MAGIC)
            {
                copies.insert(self.area(offset, BTRFS_SUPERBLOCK));
            }
        }
        copies
    }

    /// The second header that the first one names. Its entries are worth nothing without it.
    fn backup_gpt(&self, primary: &[u8], block: u64) -> Option<Area> {
        let field: [u8; 8] = primary.get(32..40)?.try_into().ok()?;
        let offset = u64::from_le_bytes(field).checked_mul(block)?;
        let header = self.read(offset, 512)?;
        debug!(
            device = self.device,
            offset, "second partition table header"
        );
        header
            .starts_with(GPT_MAGIC)
            .then(|| self.area(offset, block))
    }

    /// Take signatures away until none is found: one can hide behind another.
    fn remove_signatures<E: From<WipeError>>(
        &mut self,
        find: impl Fn() -> Result<Vec<Signature>, E>,
    ) -> Result<(), E> {
        let mut removed = BTreeSet::new();
        loop {
            let found = find()?;
            if found.is_empty() {
                return Ok(());
            }
            for signature in found {
                let survives = || WipeError::SignatureSurvives {
                    device: self.device.to_owned(),
                    kind: signature.kind.clone(),
                };
                let offset = signature.offset.ok_or_else(survives)?;
                if removed.len() >= MOST_SIGNATURES || !removed.insert(offset) {
                    return Err(survives().into());
                }
                debug!(
                    device = self.device,
                    kind = signature.kind,
                    offset,
                    "removing signature"
                );
                // No magic number is longer than that.
                let area = self.area(offset, 64);
                self.zero(&area);
            }
            self.flush()?;
        }
    }

    fn zero(&mut self, area: &Area) {
        if let Err(error) = self.medium.zero_range(area.offset, area.length) {
            self.faults.push(error);
        }
    }

    /// Read an area back, in pieces of 1 MiB, and demand zeros.
    fn check(&self, area: &Area) -> Result<(), WipeError> {
        const PIECE: u64 = 1 << 20;
        let mut offset = area.offset;
        let end = area.offset + area.length;
        while offset < end {
            let count = PIECE.min(end - offset);
            let mut found = AlignedBuffer::zeroed(count as usize);
            found.fill(0xff);
            self.medium
                .read_at(offset, &mut found)
                .map_err(|source| self.disk_error(source))?;
            if let Some(index) = found.iter().position(|byte| *byte != 0) {
                return Err(WipeError::Survived {
                    device: self.device.to_owned(),
                    offset: offset + index as u64,
                });
            }
            offset += count;
        }
        Ok(())
    }

    fn outcome(&mut self) -> Result<(), WipeError> {
        let areas = self.faults.len();
        match self.faults.drain(..).next() {
            None => Ok(()),
            Some(source) => Err(WipeError::Unwritable {
                device: self.device.to_owned(),
                areas,
                source,
            }),
        }
    }

    /// What is there, or nothing where it is not on the device or cannot be read.
    fn read(&self, offset: u64, length: u64) -> Option<AlignedBuffer> {
        if offset.checked_add(length)? > self.medium.size() {
            return None;
        }
        let mut data = AlignedBuffer::zeroed(length as usize);
        self.medium.read_at(offset, &mut data).ok()?;
        Some(data)
    }

    /// The whole blocks around these bytes, as far as they are on the device.
    fn area(&self, offset: u64, length: u64) -> Area {
        let block = u64::from(self.medium.logical_block_size());
        let start = (offset - offset % block).min(self.medium.size());
        let end = (offset + length).next_multiple_of(block);
        Area {
            offset: start,
            length: end.min(self.medium.size()) - start,
        }
    }

    fn flush(&self) -> Result<(), WipeError> {
        self.medium
            .flush()
            .map_err(|source| self.disk_error(source))
    }

    fn disk_error(&self, source: DiskError) -> WipeError {
        WipeError::Disk {
            device: self.device.to_owned(),
            source,
        }
    }
}
