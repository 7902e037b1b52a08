//! Why a qcow2 image is not decoded.

/// A rule of the qcow2 specification (QEMU's docs/interop/qcow2) that an image breaks, or a feature
/// that is not accepted. Offsets are bytes of the image's file unless they say otherwise.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum Qcow2Error {
    /// Its unallocated clusters would come from another file.
    #[error(
        "Image has a backing file; flatten it with qemu-img convert, which copies what the backing \
         file holds"
    )]
    BackingFile,
    /// The specification allows 9 to 21, QEMU with extended L2 entries 14 to 21.
    #[error("The qcow2 image's cluster size of 2^{0} bytes is not one that the format allows")]
    ClusterBits(u32),
    /// Somebody found it corrupt and marked it.
    #[error("The qcow2 image is marked as corrupt; repair it with qemu-img check -r all")]
    Corrupt,
    /// The guest's data is in another file.
    #[error(
        "Image has data_file set: an external data file is not accepted; flatten it with qemu-img \
         convert"
    )]
    DataFile,
    /// Data of the guest cannot be read without a secret.
    #[error("The qcow2 image is encrypted (method {0}); decrypt it with qemu-img convert")]
    Encrypted(u32),
    /// The header contradicts itself or the specification.
    #[error("The qcow2 header is not valid: {0}")]
    Header(&'static str),
    /// A compressed cluster's content does not give a cluster.
    #[error(
        "The compressed cluster at offset {host} of the qcow2 image, for guest offset {guest}, is \
         damaged: {reason}"
    )]
    Inflate {
        /// Where it starts in the file.
        host: u64,
        /// Which bytes of the disk it holds.
        guest: u64,
        /// What the decompressor said.
        reason: String,
    },
    /// An offset or a bit in a table that its place does not allow.
    #[error("The {table} of the qcow2 image has a bad entry {entry:#018x}: {reason}")]
    Entry {
        /// Which kind of table.
        table: &'static str,
        /// The entry as it stands there.
        entry: u64,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Data would be read from the image's own tables, or tables overlap.
    #[error("The qcow2 image's {what} at offset {offset} lies over its {area}")]
    Overlap {
        /// What is said to be there.
        what: &'static str,
        /// Where.
        offset: u64,
        /// What is there already.
        area: &'static str,
    },
    /// The file ends before it.
    #[error("The qcow2 image's {what} at offset {offset} lies outside the file of {length} bytes")]
    Outside {
        /// What is said to be there.
        what: &'static str,
        /// Where.
        offset: u64,
        /// Bytes of the file.
        length: u64,
    },
    /// More passes than anyone would wait for.
    #[error(
        "The qcow2 image is so fragmented that {0} passes over it were not enough; write it anew \
         with qemu-img convert"
    )]
    Fragmented(u32),
    /// More units than the map can number.
    #[error("The qcow2 image's virtual size of {0} bytes is larger than this program can map")]
    VirtualSize(u64),
    /// An incompatible feature must be understood.
    #[error("Unknown QCOW2 features found: incompatible feature bits {0:#x}")]
    UnknownFeatures(u64),
    /// Only 2 and 3 exist.
    #[error("The qcow2 image has version {0}, which is not 2 or 3")]
    Version(u32),
}
