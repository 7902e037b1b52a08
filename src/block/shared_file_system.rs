//! File systems that several machines use at once: a disk with one is not this machine's alone.

use super::signatures::Contents;

/// File systems and partition types that several machines use at once, by the name to show
/// (contract/data-plane 7.8; OCFS2 is one more of the kind). The reference compares them in a way
/// that nearly never matches; this is what it means.
const PARTITION_TYPES: [(&str, &str); 3] = [
    ("37affc90-ef7d-4e96-91c3-2d7ae055b174", "IBM GPFS Partition"),
    (
        "aa31e02a-400f-11db-9590-000c2911d1b8",
        "VMware VMFS Partition (GPT)",
    ),
    ("0xfb", "VMware VMFS Partition (MBR)"),
];
const FILE_SYSTEMS: [(&str, &str); 4] = [
    ("gfs2", "Red Hat Global File System 2"),
    ("ocfs2", "Oracle Cluster File System 2"),
    ("VMFS", "VMware VMFS"),
    ("VMFS_volume_member", "VMware VMFS"),
];

/// The name of a shared file system that a device with these contents has, in itself or by its partition
/// table.
pub(crate) fn among(contents: &Contents) -> Option<&'static str> {
    let by_type = PARTITION_TYPES
        .iter()
        .find(|(id, _)| contents.partition_types.iter().any(|found| found == id));
    let by_file_system = FILE_SYSTEMS
        .iter()
        .find(|(name, _)| contents.kind.as_deref() == Some(*name));
    by_type.or(by_file_system).map(|(_, what)| *what)
}
