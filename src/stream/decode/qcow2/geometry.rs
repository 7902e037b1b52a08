//! An image's sizes, all derived from its header.

/// Bytes of the smallest thing that qcow2 counts in.
pub(super) const SECTOR: u64 = 512;

/// The sizes that offsets and indexes are computed with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Geometry {
    /// Power of two of a cluster's bytes: 9 to 21.
    pub(super) cluster_bits: u32,
    /// Whether L2 entries are of 16 bytes and tell of 32 subclusters each.
    pub(super) extended: bool,
    /// Whether the specification's version 3 holds, which knows zero clusters.
    pub(super) zero_clusters: bool,
    /// Bytes of the disk, a multiple of [`SECTOR`].
    pub(super) size: u64,
}

impl Geometry {
    /// Bytes of a cluster.
    pub(super) fn cluster(&self) -> u64 {
        1 << self.cluster_bits
    }

    /// Power of two of the bytes of a unit: what is allocated or not, and what the map counts in. A
    /// cluster, or one of its 32 subclusters.
    pub(super) fn unit_bits(&self) -> u32 {
        self.cluster_bits - if self.extended { 5 } else { 0 }
    }

    /// Bytes of a unit.
    pub(super) fn unit(&self) -> u64 {
        1 << self.unit_bits()
    }

    /// Bytes of an L2 entry.
    pub(super) fn entry(&self) -> u64 {
        if self.extended { 16 } else { 8 }
    }

    /// Entries of an L2 table, which is one cluster.
    pub(super) fn entries(&self) -> u64 {
        self.cluster() / self.entry()
    }

    /// Bytes of the disk that one L2 table maps.
    pub(super) fn table_span(&self) -> u64 {
        self.entries() << self.cluster_bits
    }

    /// L2 tables that the disk needs, and so entries of the L1 table that count.
    pub(super) fn tables(&self) -> u64 {
        self.size.div_ceil(self.table_span())
    }

    /// Where in a 64-bit descriptor of a compressed cluster the count of its sectors starts.
    pub(super) fn sectors_shift(&self) -> u32 {
        62 - (self.cluster_bits - 8)
    }
}
