//! The name of a software RAID array, which `skip_block_devices` can protect it by.

use crate::sys::root::Root;

/// `MD_SB_MAGIC`, `linux/raid/md_p.h`.
const MAGIC: u32 = 0xa92b_4efc;
/// Offset and size of `set_name` in `struct mdp_superblock_1`.
const NAME: std::ops::Range<usize> = 32..64;
/// As much of the superblock as is read: up to its name.
const LENGTH: usize = 64;
const SECTOR: u64 = 512;

/// What is known of an array's name.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) enum RaidName {
    /// It is not an array, or one whose metadata has no room for a name (0.90, external).
    #[default]
    None,
    /// Its name without the host before it.
    Known(String),
    /// It has one, but its members cannot be read.
    Unreadable,
}

/// The name in the superblock of any member of the array at this sysfs directory. The kernel does
/// not show it in sysfs, and udev only where mdadm is at hand to ask.
pub(crate) fn raid_name(root: &Root, sysfs: &str) -> RaidName {
    let Some(version) = root.attribute(format!("{sysfs}/md/metadata_version")) else {
        return RaidName::None;
    };
    let offset: fn(u64) -> Option<u64> = match version.as_str() {
        // In the last 8 to 12 KiB, aligned to 4 KiB.
        "1.0" => |sectors| Some((sectors.checked_sub(16)? & !7) * SECTOR),
        "1.1" => |_| Some(0),
        "1.2" => |_| Some(8 * SECTOR),
        _ => return RaidName::None,
    };
    root.names(format!("{sysfs}/slaves"))
        .iter()
        .find_map(|member| {
            let sectors = root.number(format!("/sys/class/block/{member}/size"))?;
            let device = format!("/dev/{}", member.replace('!', "/"));
            let superblock = root.read_disk(&device, offset(sectors)?, LENGTH).ok()?;
            name_in(&superblock)
        })
        .map_or(RaidName::Unreadable, RaidName::Known)
}

/// The name in a superblock of version 1; `None` where it is not one.
fn name_in(superblock: &[u8]) -> Option<String> {
    if !superblock.starts_with(&MAGIC.to_le_bytes()) {
        return None;
    }
    let name = superblock.get(NAME)?;
    let end = name
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(name.len());
    Some(without_host(&String::from_utf8_lossy(&name[..end])).to_owned())
}

/// mdadm writes `host:name`, or only the name.
pub(crate) fn without_host(name: &str) -> &str {
    name.split_once(':').map_or(name, |(_host, name)| name)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::FileExt;

    use proptest::prelude::*;

    use super::*;
    use crate::sys::recording::Recording;

    fn superblock(name: &str) -> [u8; 256] {
        let mut bytes = [0; 256];
        bytes[..4].copy_from_slice(&MAGIC.to_le_bytes());
        bytes[32..32 + name.len()].copy_from_slice(name.as_bytes());
        bytes
    }

    #[test]
    fn the_host_is_no_part_of_the_name() {
        assert_eq!(name_in(&superblock("host7:root")).as_deref(), Some("root"));
        assert_eq!(name_in(&superblock("root")).as_deref(), Some("root"));
        assert_eq!(
            name_in(&superblock("a-name-of-exactly-32-characters!")).as_deref(),
            Some("a-name-of-exactly-32-characters!")
        );
        assert_eq!(name_in(&[0; 256]), None);
    }

    #[test]
    fn each_version_has_its_place() {
        for (version, offset) in [("1.0", 1024 - 16), ("1.1", 0), ("1.2", 8)] {
            let recording = Recording::unpack(&format!(
                "/sys/block/md0/md/metadata_version = {version}\n/sys/block/md0/slaves/sda1/\n\
                 /sys/class/block/sda1/size = 1024\n/dev/x/"
            ));
            let root = recording.root();
            assert_eq!(raid_name(&root, "/sys/block/md0"), RaidName::Unreadable);
            let device = File::create(root.path("/dev/sda1")).unwrap();
            device.set_len(1024 * SECTOR).unwrap();
            device
                .write_all_at(&superblock("host7:data"), offset * SECTOR)
                .unwrap();
            assert_eq!(
                raid_name(&root, "/sys/block/md0"),
                RaidName::Known("data".to_owned()),
                "{version}"
            );
        }
    }

    #[test]
    fn old_metadata_has_no_name() {
        let recording = Recording::unpack(
            "/sys/block/md0/md/metadata_version = 0.90\n/sys/block/md0/slaves/sda1/",
        );
        assert_eq!(
            raid_name(&recording.root(), "/sys/block/md0"),
            RaidName::None
        );
        assert_eq!(
            raid_name(&recording.root(), "/sys/block/sda"),
            RaidName::None
        );
    }

    proptest! {
        #[test]
        fn any_superblock_parses(bytes in proptest::collection::vec(any::<u8>(), 252)) {
            let mut superblock = superblock("");
            superblock[4..].copy_from_slice(&bytes);
            name_in(&superblock);
        }
    }
}
