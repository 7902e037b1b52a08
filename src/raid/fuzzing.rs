//! The fuzz targets of this room.

use serde_json::Value;

use super::layout::{DiskShape, divide, in_order};
use super::validation::{Facts, validate};
use crate::block::boot_mode::{BootMode, DiskLabel};

/// A node's RAID configuration, and four disks divided by it.
pub(crate) fn raid_config(data: &[u8]) {
    let Ok(configuration) = serde_json::from_slice::<Value>(data) else {
        return;
    };
    let facts = Facts {
        node: "1be26c0b-03f2-4d2e-ae87-c02d7f33c123",
        protects_names: false,
        disks: 4,
    };
    let Ok(volumes) = validate(&configuration, facts) else {
        return;
    };
    let ordered = in_order(&volumes);
    let sizes: Vec<_> = ordered.iter().map(|volume| volume.size).collect();
    let disks = ["/dev/sda", "/dev/sdb", "/dev/sdc", "/dev/sdd"].map(|device| DiskShape {
        device,
        size: 480_103_981_056,
        block: 4096,
    });
    let members = vec![disks.to_vec(); sizes.len()];
    for (mode, label) in [
        (BootMode::Uefi, DiskLabel::Gpt),
        (BootMode::Bios, DiskLabel::Gpt),
        (BootMode::Bios, DiskLabel::Msdos),
    ] {
        let Ok(divisions) = divide(mode, label, &sizes, &members) else {
            continue;
        };
        for division in divisions {
            let mut end = 0;
            for place in division.places {
                assert!(place.offset >= end && place.length > 0);
                end = place.offset + place.length;
            }
            assert!(end <= division.disk.size);
        }
    }
}
