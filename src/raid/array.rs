//! The arrays of software RAID that the kernel has made, with their members.

use crate::block::list::{ListedDevice, all_devices};
use crate::block::raid_name::without_host;
use crate::block::raid_superblock::{Level, Metadata, RaidSuperblock};
use crate::block::stack::is_array;
use crate::block::udev::UdevRecord;
use crate::raid::error::RaidError;
use crate::sys::root::Root;

/// An array: running, or only begun since members are missing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Array {
    /// Its device: `/dev/md0`.
    pub device: String,
    /// The kernel's name of it: `md0`.
    pub kname: String,
    /// Its UUID as mdadm writes it, `00112233:44556677:8899aabb:ccddeeff`; `None` where neither a member nor udev
    /// tells it.
    pub uuid: Option<String>,
    /// Its name, without the host that mdadm can put before it.
    pub name: Option<String>,
    /// How it lies on its members; `None` where it does not run and no member tells it.
    pub level: Option<Level>,
    /// What its members' superblocks are; of a volume in a container that of the container. `None` where the array
    /// has none.
    pub metadata: Option<Metadata>,
    /// What it lies on, by kernel name.
    pub members: Vec<Member>,
    /// Whether it can be read: one that lacks too many members, or was not started, cannot.
    pub is_active: bool,
}

/// What an array lies on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Member {
    /// `/dev/sda1`.
    pub device: String,
    /// The whole disk that holds it, `/dev/sda`; the member itself where it is no partition.
    pub disk: String,
    /// Its number in the disk's table; `None` where it is no partition.
    pub partition: Option<u32>,
}

/// All arrays that the kernel has, by device number. What lies on disks without having been assembled is not among
/// them.
///
/// # Errors
/// Where the devices cannot be listed.
pub(crate) fn arrays(root: &Root) -> Result<Vec<Array>, RaidError> {
    let devices = all_devices(root)?;
    Ok(of_devices(root, &devices))
}

/// The arrays among these, which are all devices of the machine.
pub(super) fn of_devices(root: &Root, devices: &[ListedDevice]) -> Vec<Array> {
    let arrays = devices.iter().filter(|device| is_array(device));
    arrays.map(|device| array(root, devices, device)).collect()
}

fn array(root: &Root, devices: &[ListedDevice], device: &ListedDevice) -> Array {
    let attribute = |name: &str| root.attribute(format!("/sys/block/{}/md/{name}", device.kname));
    let members = device.parents.iter().filter_map(|kname| {
        let listed = devices.iter().find(|listed| listed.kname == *kname)?;
        Some((listed, member(root, devices, listed)))
    });
    let (listed, members): (Vec<_>, Vec<_>) = members.unzip();
    let version = attribute("metadata_version");
    let metadata = version.as_deref().and_then(|version| {
        Metadata::of_attribute(version).or_else(|| {
            // external:/md127/0
            let container = version.strip_prefix("external:/")?.split('/').next()?;
            let version = root.attribute(format!("/sys/block/{container}/md/metadata_version"))?;
            Metadata::of_attribute(&version)
        })
    });
    // One that was out for a while is behind, and can be of an array that has another name by now.
    let newest = metadata.filter(|metadata| !metadata.is_external());
    let newest = newest.and_then(|metadata| {
        listed
            .iter()
            .filter_map(|member| superblock(root, member, metadata))
            .max_by_key(|superblock| superblock.events)
    });
    let udev = UdevRecord::of_block_device(root, device.number.0, device.number.1);
    let of_udev = |name: &str| udev.property(name).map(str::to_owned);
    let name = newest
        .as_ref()
        .map_or_else(|| of_udev("MD_NAME"), |superblock| superblock.name.clone());
    Array {
        device: device.device.name.clone(),
        kname: device.kname.clone(),
        uuid: newest
            .as_ref()
            .map(|superblock| superblock.array.clone())
            .or_else(|| of_udev("MD_UUID")),
        name: name.map(|name| without_host(&name).to_owned()),
        level: attribute("level")
            .as_deref()
            .and_then(Level::of_attribute)
            .or_else(|| newest.as_ref().and_then(|superblock| superblock.level))
            .or_else(|| {
                let is_container = version?.starts_with("external:") && !members.is_empty();
                is_container.then_some(Level::Container)
            }),
        metadata,
        members,
        is_active: !matches!(
            attribute("array_state").as_deref(),
            None | Some("clear" | "inactive")
        ),
    }
}

fn member(root: &Root, devices: &[ListedDevice], listed: &ListedDevice) -> Member {
    let disk = devices
        .iter()
        .filter(|_| listed.kind == "part")
        .find(|disk| listed.parents.contains(&disk.kname));
    let number = || root.number(format!("/sys/class/block/{}/partition", listed.kname));
    let of_map = || {
        // kpartx puts it before the map's: part2-mpath-3600a…
        let id = root.attribute(format!("/sys/class/block/{}/dm/uuid", listed.kname))?;
        id.strip_prefix("part")?.split('-').next()?.parse().ok()
    };
    Member {
        device: listed.device.name.clone(),
        disk: disk.unwrap_or(listed).device.name.clone(),
        partition: disk.and_then(|_| number().or_else(of_map)?.try_into().ok()),
    }
}

/// The superblock of this kind on a device.
fn superblock(root: &Root, device: &ListedDevice, metadata: Metadata) -> Option<RaidSuperblock> {
    let name = &device.device.name;
    let read = |offset, length| root.read_disk(name, offset, length).ok();
    RaidSuperblock::read(
        metadata,
        device.device.size,
        device.device.logical_sectors,
        &read,
    )
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::FileExt;

    use super::*;
    use crate::block::raid_superblock::tests::version_1;
    use crate::sys::recording::Recording;

    /// Writes a superblock of version 1.2 to a device of a recorded tree.
    fn member_of(root: &Root, device: &str, size: u64, name: &str, array: u8) {
        let file = File::create(root.path(device)).unwrap();
        file.set_len(size).unwrap();
        let superblock = version_1(Metadata::V1_2, size, name, [array; 16]);
        file.write_all_at(&superblock, 4096).unwrap();
    }

    #[test]
    fn each_kind_of_member_is_told_with_its_disk() {
        let recording = Recording::unpack(
            "/sys/block/nvme0n1/dev = 259:0\n/sys/block/nvme0n1/size = 2048\n\
             /sys/block/nvme1n1/dev = 259:1\n/sys/block/nvme1n1/size = 4096\n\
             /sys/block/nvme1n1/nvme1n1p2/dev = 259:2\n/sys/block/nvme1n1/nvme1n1p2/size = 2048\n\
             /sys/block/nvme1n1/nvme1n1p2/partition = 2\n\
             /sys/class/block/nvme1n1p2 -> ../../block/nvme1n1/nvme1n1p2\n\
             /sys/block/sda/dev = 8:0\n/sys/block/sda/size = 4096\n\
             /sys/block/sda/holders/dm-0/\n\
             /sys/block/dm-0/dev = 253:0\n/sys/block/dm-0/size = 4096\n\
             /sys/block/dm-0/slaves/sda/\n/sys/block/dm-0/dm/uuid = mpath-3600a\n\
             /sys/block/dm-1/dev = 253:1\n/sys/block/dm-1/size = 2048\n\
             /sys/block/dm-1/slaves/dm-0/\n/sys/block/dm-1/dm/uuid = part3-mpath-3600a\n\
             /sys/class/block/dm-1 -> ../../block/dm-1\n\
             /sys/block/md0/dev = 9:0\n/sys/block/md0/size = 1024\n\
             /sys/block/md0/md/level = raid1\n/sys/block/md0/md/metadata_version = 1.2\n\
             /sys/block/md0/md/array_state = active\n\
             /sys/block/md0/slaves/nvme0n1/\n/sys/block/md0/slaves/nvme1n1p2/\n\
             /sys/block/md0/slaves/dm-1/\n\
             /dev/x/",
        );
        let root = recording.root();
        member_of(&root, "/dev/dm-1", 2048 * 512, "host7:root", 0x5a);
        let member = |device: &str, disk: &str, partition| Member {
            device: device.to_owned(),
            disk: disk.to_owned(),
            partition,
        };
        assert_eq!(
            arrays(&root).unwrap(),
            [Array {
                device: "/dev/md0".to_owned(),
                kname: "md0".to_owned(),
                uuid: Some("5a5a5a5a:5a5a5a5a:5a5a5a5a:5a5a5a5a".to_owned()),
                name: Some("root".to_owned()),
                level: Some(Level::Raid1),
                metadata: Some(Metadata::V1_2),
                members: vec![
                    member("/dev/dm-1", "/dev/dm-0", Some(3)),
                    member("/dev/nvme0n1", "/dev/nvme0n1", None),
                    member("/dev/nvme1n1p2", "/dev/nvme1n1", Some(2)),
                ],
                is_active: true,
            }]
        );
    }

    #[test]
    fn arrays_of_one_name_are_told_apart_and_one_that_lacks_members_is_inactive() {
        let recording = Recording::unpack(
            "/sys/block/sda/dev = 8:0\n/sys/block/sda/size = 2048\n\
             /sys/block/sdb/dev = 8:16\n/sys/block/sdb/size = 2048\n\
             /sys/block/md126/dev = 9:126\n/sys/block/md126/size = 0\n\
             /sys/block/md126/md/metadata_version = 1.2\n/sys/block/md126/md/array_state = inactive\n\
             /sys/block/md126/slaves/sdb/\n\
             /sys/block/md127/dev = 9:127\n/sys/block/md127/size = 1024\n\
             /sys/block/md127/md/metadata_version = 1.2\n/sys/block/md127/md/array_state = clean\n\
             /sys/block/md127/md/level = raid1\n/sys/block/md127/slaves/sda/\n\
             /sys/block/md5/dev = 9:5\n/sys/block/md5/size = 0\n/sys/block/md5/slaves/\n/dev/x/",
        );
        let root = recording.root();
        member_of(&root, "/dev/sda", 1 << 20, "root", 1);
        member_of(&root, "/dev/sdb", 1 << 20, "other:root", 2);
        let found: Vec<_> = arrays(&root)
            .unwrap()
            .into_iter()
            .map(|array| {
                let uuid = array.uuid.unwrap()[..8].to_owned();
                (
                    array.kname,
                    array.name.unwrap(),
                    uuid,
                    array.level,
                    array.is_active,
                )
            })
            .collect();
        let raid1 = Some(Level::Raid1);
        let text = str::to_owned;
        assert_eq!(
            found,
            [
                (text("md126"), text("root"), text("02020202"), raid1, false),
                (text("md127"), text("root"), text("01010101"), raid1, true),
            ]
        );
    }

    #[test]
    fn a_machine_with_arrays_of_all_kinds_is_read() {
        let recording = Recording::of("software-raid-nvme");
        let found: Vec<String> = arrays(&recording.root())
            .unwrap()
            .into_iter()
            .map(|array| {
                let members = array.members.iter();
                let members: Vec<String> = members
                    .map(|member| match member.partition {
                        Some(number) => format!("{} {number}", member.disk),
                        None => member.disk.clone(),
                    })
                    .collect();
                format!(
                    "{} {} {} {} {} on {}",
                    array.device,
                    array.name.as_deref().unwrap_or("-"),
                    array.level.map_or("-", Level::as_str),
                    array.metadata.unwrap(),
                    if array.is_active {
                        "active"
                    } else {
                        "inactive"
                    },
                    members.join(", ")
                )
            })
            .collect();
        assert_eq!(
            found,
            [
                "/dev/md0 root raid1 1.2 active on /dev/nvme0n1 1",
                "/dev/md1 data raid1 1.2 active on /dev/nvme0n1 2, /dev/sda 2",
                "/dev/md2 esp raid1 1.0 active on /dev/nvme0n1 3, /dev/sda 3",
                "/dev/md125 scratch - 1.2 inactive on /dev/sdd",
                "/dev/md126 - raid1 imsm active on /dev/sdb, /dev/sdc",
                "/dev/md127 - container imsm inactive on /dev/sdb, /dev/sdc",
            ]
        );
    }
}
