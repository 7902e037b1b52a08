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

impl Deployed {
    /// Name a partition beside an image as the kernel does, where that is not by convention: those of a
    /// multipath map are devices of their own.
    pub(super) fn rename_partition(&mut self, conventional: &str, device: &str) {
        let named = self
            .partition_uuids
            .get_mut("partitions")
            .and_then(Value::as_object_mut);
        for name in named.into_iter().flat_map(|named| named.values_mut()) {
            if name == conventional {
                *name = device.into();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn partitions_get_the_names_of_their_devices() {
        let mut deployed = Deployed {
            message: String::new(),
            partition_uuids: json!({
                "root uuid": "/dev/dm-0p1",
                "partitions": {"swap": "/dev/dm-0p1", "root": "/dev/dm-0p12"}
            }),
        };
        deployed.rename_partition("/dev/dm-0p1", "/dev/dm-3");
        deployed.rename_partition("/dev/dm-0p2", "/dev/dm-4");
        let expected = json!({
            "root uuid": "/dev/dm-0p1",
            "partitions": {"swap": "/dev/dm-3", "root": "/dev/dm-0p12"}
        });
        assert_eq!(deployed.partition_uuids, expected);
        // A whole-disk image has none.
        let mut whole = Deployed {
            message: String::new(),
            partition_uuids: json!({"root uuid": "0x00000000"}),
        };
        whole.rename_partition("/dev/dm-0p1", "/dev/dm-3");
        assert_eq!(whole.partition_uuids, json!({"root uuid": "0x00000000"}));
    }
}
