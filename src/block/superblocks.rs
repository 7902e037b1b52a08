//! Where on a disk or in a partition the superblocks and labels of file systems, arrays and volumes
//! may lie.

use std::iter;
use std::ops::Range;

/// Bytes at each end that are enough for all of them but the copies below. Whatever the sector size,
/// 4 MiB hold both GPT copies, every md, LVM, ZFS, DDF and IMSM label and all superblocks that
/// libblkid knows except those handled on their own; VMFS, at 1 MiB, is the farthest from the ends.
pub(crate) const END: u64 = 4 << 20;

/// Further copies of the btrfs superblock (btrfs on-disk format, "Superblock"); at 64 KiB, the
/// first lies within [`END`]. libblkid looks at that one alone.
pub(crate) const BTRFS_COPIES: [u64; 2] = [64 << 20, 256 << 30];
/// Bytes of a btrfs superblock.
pub(crate) const BTRFS_SUPERBLOCK: u64 = 4096;
/// What it is known by, at [`BTRFS_MAGIC_OFFSET`].
pub(crate) const BTRFS_MAGIC: &[u8] = b"_BHRfS_M";
/// Where in a btrfs superblock its magic number is.
pub(crate) const BTRFS_MAGIC_OFFSET: usize = 64;

/// Both ends of something of this many bytes, as one range where they meet.
pub(crate) fn ends(size: u64) -> Vec<Range<u64>> {
    let are_apart = size > 2 * END;
    let first = 0..if are_apart { END } else { size };
    let last = are_apart.then(|| size - END..size);
    iter::once(first).chain(last).collect()
}

/// Every place in something of this many bytes, whatever is there now.
pub(crate) fn places(size: u64) -> Vec<Range<u64>> {
    let mut places = ends(size);
    places.extend(
        BTRFS_COPIES
            .iter()
            .map(|start| *start..*start + BTRFS_SUPERBLOCK)
            .filter(|copy| copy.start >= END && copy.end <= size.saturating_sub(END)),
    );
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_places_of_small_and_large() {
        assert_eq!(places(1 << 20).len(), 1);
        assert_eq!(places(1 << 20)[0], 0..1 << 20);
        let small = 65 << 20;
        assert_eq!(places(small), [0..END, small - END..small]);
        let large = 1 << 40;
        assert_eq!(
            places(large),
            [
                0..END,
                large - END..large,
                64 << 20..(64 << 20) + 4096,
                256 << 30..(256 << 30) + 4096,
            ]
        );
    }
}
