//! A partition of a disk, whichever kind of table it stands in.

use uuid::Uuid;

/// A partition, in the terms of either kind of table.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Partition {
    /// Its number as the kernel counts: from 1; logical partitions of an MBR from 5.
    pub number: u32,
    /// First byte on the disk.
    pub offset: u64,
    /// Bytes.
    pub length: u64,
    /// What it is for.
    pub kind: PartitionKind,
    /// Its own GUID, which the kernel calls PARTUUID; only a GPT has them.
    pub guid: Option<Uuid>,
}

/// What a partition is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum PartitionKind {
    /// Type GUID of a GPT.
    Gpt(Uuid),
    /// Type byte of an MBR.
    Mbr(u8),
}
