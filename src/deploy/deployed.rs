//! What a deploy leaves on the disk, in the words that the conductor reads.

use serde_json::Value;

/// What a deploy left on the disk.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Deployed {
    /// `image (<id>) written to device <dev> root_uuid=<uuid>`, which the step's result carries
    /// after `prepare_image: `; beside a partition image for UEFI with
    /// ` efi_system_partition_uuid=<uuid>`.
    pub message: String,
    /// The answer to `standby.get_partition_uuids`.
    pub partition_uuids: Value,
}
