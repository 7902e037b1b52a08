//! Entries of L1 and L2 tables.

use super::error::Qcow2Error;
use super::geometry::{Geometry, SECTOR};

/// Bits 9 to 55: the offset of a cluster in the file.
const OFFSET: u64 = 0x00ff_ffff_ffff_fe00;
const COMPRESSED: u64 = 1 << 62;
/// Reads as zeros, whatever the offset says; not in extended entries.
const ZERO: u64 = 1;

/// What a cluster of the disk is made of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Cluster {
    /// Zeros: never written, or zeroed.
    Zeros,
    /// These units from the cluster at this offset of the file, the others zeros. Bit 0 is the
    /// first unit; without extended entries the one unit is the cluster.
    Data { host: u64, units: u32 },
    /// Compressed bytes, up to so many: the last sector counts in full.
    Compressed { host: u64, length: u64 },
}

/// The offset of an L2 table that an entry of the L1 table names, if it names one.
pub(super) fn l2_table(geometry: Geometry, entry: u64) -> Result<Option<u64>, Qcow2Error> {
    let offset = entry & OFFSET;
    if !offset.is_multiple_of(geometry.cluster()) {
        return Err(bad(
            "L1 table",
            entry,
            "its offset is not that of a cluster",
        ));
    }
    Ok((offset != 0).then_some(offset))
}

/// The offset of a refcount block that an entry of the refcount table names, if it names one.
pub(super) fn refcount_block(geometry: Geometry, entry: u64) -> Result<Option<u64>, Qcow2Error> {
    let offset = entry & !(SECTOR - 1);
    if !offset.is_multiple_of(geometry.cluster()) || offset >> 56 != 0 {
        return Err(bad(
            "refcount table",
            entry,
            "its offset is not that of a cluster",
        ));
    }
    Ok((offset != 0).then_some(offset))
}

/// What an entry of an L2 table says, read as QEMU reads it: reserved bits do not matter.
/// `bitmap` is an extended entry's second half.
pub(super) fn cluster(geometry: Geometry, entry: u64, bitmap: u64) -> Result<Cluster, Qcow2Error> {
    if entry & COMPRESSED != 0 {
        return compressed(geometry, entry);
    }
    let host = entry & OFFSET;
    if !host.is_multiple_of(geometry.cluster()) {
        return Err(bad(
            "L2 table",
            entry,
            "its offset is not that of a cluster",
        ));
    }
    if geometry.extended {
        return subclusters(entry, host, bitmap);
    }
    if entry & ZERO != 0 {
        if !geometry.zero_clusters {
            return Err(bad("L2 table", entry, "version 2 has no zero clusters"));
        }
        return Ok(Cluster::Zeros);
    }
    Ok(match host {
        0 => Cluster::Zeros,
        host => Cluster::Data { host, units: 1 },
    })
}

fn subclusters(entry: u64, host: u64, bitmap: u64) -> Result<Cluster, Qcow2Error> {
    let (zeros, allocated) = ((bitmap >> 32) as u32, bitmap as u32);
    if zeros & allocated != 0 {
        return Err(bad(
            "L2 table",
            entry,
            "a subcluster is both zero and allocated",
        ));
    }
    match (host, allocated) {
        (_, 0) => Ok(Cluster::Zeros),
        (0, _) => Err(bad(
            "L2 table",
            entry,
            "a subcluster is allocated in no cluster",
        )),
        (host, units) => Ok(Cluster::Data { host, units }),
    }
}

fn compressed(geometry: Geometry, entry: u64) -> Result<Cluster, Qcow2Error> {
    let shift = geometry.sectors_shift();
    let host = entry & ((1 << shift) - 1);
    // What stands there is how many sectors there are after the first.
    let sectors = ((entry & (COMPRESSED - 1)) >> shift) + 1;
    if host >> 56 != 0 {
        return Err(bad("L2 table", entry, "its offset is above 2^56"));
    }
    Ok(Cluster::Compressed {
        host,
        length: sectors * SECTOR - host % SECTOR,
    })
}

fn bad(table: &'static str, entry: u64, reason: &'static str) -> Qcow2Error {
    Qcow2Error::Entry {
        table,
        entry,
        reason,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn geometry(cluster_bits: u32, extended: bool) -> Geometry {
        Geometry {
            cluster_bits,
            extended,
            zero_clusters: true,
            size: 1 << 30,
        }
    }

    #[test]
    fn plain_entries() {
        let geometry = geometry(16, false);
        let read = |entry| cluster(geometry, entry, 0).unwrap();
        let data = Cluster::Data {
            host: 0x50000,
            units: 1,
        };
        assert_eq!(read(0), Cluster::Zeros);
        assert_eq!(read(1), Cluster::Zeros);
        assert_eq!(read(0x50001), Cluster::Zeros);
        assert_eq!(read(1 << 63 | 0x50000), data);
        cluster(geometry, 0x50200, 0).unwrap_err();
        let version_2 = Geometry {
            zero_clusters: false,
            ..geometry
        };
        cluster(version_2, 0x50001, 0).unwrap_err();
        assert_eq!(cluster(version_2, 0x50000, 0), Ok(data));
    }

    #[test]
    fn extended_entries() {
        let geometry = geometry(16, true);
        let read = |entry, bitmap| cluster(geometry, entry, bitmap);
        assert_eq!(read(0, 0xffff_ffff << 32), Ok(Cluster::Zeros));
        assert_eq!(read(0x50000, 0), Ok(Cluster::Zeros));
        assert_eq!(
            read(0x50000, 0x0000_0002_8000_0001),
            Ok(Cluster::Data {
                host: 0x50000,
                units: 0x8000_0001
            })
        );
        read(0x50000, 0x0000_0001_0000_0001).unwrap_err();
        read(0, 1).unwrap_err();
    }

    /// The specification's example of x = 62 - (cluster_bits - 8).
    #[test]
    fn compressed_entries() {
        let entry = 1 << 62 | 3 << 54 | 0x50123;
        assert_eq!(
            cluster(geometry(16, false), entry, 0),
            Ok(Cluster::Compressed {
                host: 0x50123,
                length: 4 * 512 - 0x123
            })
        );
    }

    proptest! {
        #[test]
        fn any_entry_is_answered(entry: u64, bitmap: u64, bits in 9_u32..=21, extended: bool) {
            let geometry = geometry(bits, extended && bits >= 14);
            match cluster(geometry, entry, bitmap) {
                Ok(Cluster::Data { host, units }) => {
                    prop_assert!(host % geometry.cluster() == 0 && host >> 56 == 0);
                    prop_assert!(units != 0);
                }
                Ok(Cluster::Compressed { host, length }) => {
                    prop_assert!(host >> 56 == 0 && length > 0);
                    prop_assert!(length <= 2 * geometry.cluster());
                }
                Ok(Cluster::Zeros) | Err(_) => {}
            }
            let _ = l2_table(geometry, entry);
            let _ = refcount_block(geometry, entry);
        }
    }
}
