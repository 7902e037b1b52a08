//! The name of a software RAID array, which `skip_block_devices` can protect it by.

use super::raid_superblock::{Metadata, RaidSuperblock};
use crate::sys::root::Root;

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
    let version = root.attribute(format!("{sysfs}/md/metadata_version"));
    let metadata = match version.as_deref().and_then(Metadata::of_attribute) {
        None | Some(Metadata::V0_90 | Metadata::Imsm | Metadata::Ddf) => return RaidName::None,
        Some(metadata) => metadata,
    };
    root.names(format!("{sysfs}/slaves"))
        .iter()
        .find_map(|member| {
            // sysfs counts in units of 512 bytes.
            let size = root.number(format!("/sys/class/block/{member}/size"))? * 512;
            let device = format!("/dev/{}", member.replace('!', "/"));
            let read = |offset, length| root.read_disk(&device, offset, length).ok();
            let superblock = RaidSuperblock::read(metadata, size, 512, &read)?;
            Some(superblock.name.unwrap_or_default())
        })
        .map_or(RaidName::Unreadable, |name| {
            RaidName::Known(without_host(&name).to_owned())
        })
}

/// mdadm writes `host:name`, or only the name.
pub(crate) fn without_host(name: &str) -> &str {
    name.split_once(':').map_or(name, |(_host, name)| name)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::FileExt;

    use super::*;
    use crate::block::raid_superblock::tests::version_1;
    use crate::sys::recording::Recording;

    #[test]
    fn the_host_is_no_part_of_the_name() {
        assert_eq!(without_host("host7:root"), "root");
        assert_eq!(without_host("root"), "root");
    }

    #[test]
    fn each_version_has_its_place() {
        const SIZE: u64 = 1024 * 512;

        for (version, metadata, name) in [
            ("1.0", Metadata::V1_0, "host7:data"),
            ("1.1", Metadata::V1_1, "data"),
            ("1.2", Metadata::V1_2, "host7:data"),
        ] {
            let recording = Recording::unpack(&format!(
                "/sys/block/md0/md/metadata_version = {version}\n/sys/block/md0/slaves/sda1/\n\
                 /sys/class/block/sda1/size = 1024\n/dev/x/"
            ));
            let root = recording.root();
            assert_eq!(raid_name(&root, "/sys/block/md0"), RaidName::Unreadable);
            let device = File::create(root.path("/dev/sda1")).unwrap();
            device.set_len(SIZE).unwrap();
            let superblock = version_1(metadata, SIZE, name, [1; 16]);
            let offset = metadata.offset(SIZE).unwrap();
            device.write_all_at(&superblock, offset).unwrap();
            assert_eq!(
                raid_name(&root, "/sys/block/md0"),
                RaidName::Known("data".to_owned()),
                "{version}"
            );
            device.write_all_at(b"?", offset + 40).unwrap();
            assert_eq!(raid_name(&root, "/sys/block/md0"), RaidName::Unreadable);
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
}
