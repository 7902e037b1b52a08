//! Superblocks of software RAID, as they lie on the members of an array: the kernel's own of four kinds, and what
//! Intel's and other makers' firmware keeps there (IMSM, DDF).
//!
//! The formats are those of `linux/raid/md_p.h`, of mdadm's `super-intel.c` and of SNIA's DDF 2.0. Only what
//! tells arrays and members apart is read, and where the superblock is.

mod external;
mod footprint;
mod kernel;
mod record;
#[cfg(any(test, fuzzing))]
pub(super) mod sealed;

pub(crate) use self::footprint::{Footprint, Unknown};
pub(crate) use self::record::{Level, Metadata, RaidSuperblock};
use self::record::{Reader, SUPERBLOCK};

impl RaidSuperblock {
    /// The superblock of this kind on a device of this size and block size, in bytes, whose checksum is right.
    pub(crate) fn read(
        metadata: Metadata,
        size: u64,
        block: u32,
        read: Reader<'_>,
    ) -> Option<Self> {
        match metadata {
            Metadata::Imsm => external::imsm(size, block, read),
            Metadata::Ddf => external::ddf(size, block, read),
            _ => {
                let offset = metadata.offset(size)?;
                kernel::parse(metadata, offset, &read(offset, SUPERBLOCK)?)
            }
        }
    }

    /// All superblocks on a device: one of another kind that an earlier array left can lie beside the last.
    pub(crate) fn all(size: u64, block: u32, read: Reader<'_>) -> Vec<Self> {
        Metadata::OF_THE_KERNEL
            .into_iter()
            .chain([Metadata::Imsm, Metadata::Ddf])
            .filter_map(|metadata| Self::read(metadata, size, block, read))
            .collect()
    }
}

#[cfg(test)]
pub(crate) mod tests;
