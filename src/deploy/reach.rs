//! Whether firmware can read what is written to a device.
//!
//! Firmware reads disks. What Linux makes of them it knows only where it made the same itself. An
//! image on anything else deploys well and never boots. An array of software RAID is booted by UEFI where EFI system
//! partitions beside it, on its disks, hold the loaders, and by a BIOS where GRUB lies beside it on each of them
//! ([`raid_boot`](super::raid_boot)). A mirror of whole disks with its metadata at the end might boot; as long as no
//! server was seen to do so, it is refused like other arrays.

use farrier_plugin::BlockDevice;
use tracing::warn;

use super::error::DeployError;
use super::raid_boot::RootArray;
use crate::block::holders::kernel_name;
use crate::block::list::{ListedDevice, all_devices};
use crate::sys::efivars::EfiVariables;
use crate::sys::root::Root;

/// Starts the version of metadata that firmware made: Intel's and DDF's.
const OF_FIRMWARE: &str = "external:";

/// What leads firmware to an image, beside the image.
#[derive(Clone, Copy, Debug)]
pub(super) struct Means {
    /// `ignore_bootloader_failure`: the machine boots by others than ours.
    pub(super) boots_otherwise: bool,
    /// `enable_bios_bootloader_install`: GRUB may be put onto disks.
    pub(super) allows_grub: bool,
    /// Whether `image.install_bootloader` is called after the image: no conductor does for every one.
    pub(super) asks_for_loader: bool,
}

/// Make sure that firmware finds an image on this device, unless the machine is said to boot by
/// other means.
///
/// [`DeployError::OutOfReach`] where it does not. A device that the kernel does not list is not
/// judged.
pub(super) fn check(root: &Root, device: &BlockDevice, means: &Means) -> Result<(), DeployError> {
    let Some(kname) = kernel_name(root, &device.name) else {
        return Ok(());
    };
    let all = all_devices(root)?;
    let Some(listed) = all.iter().find(|listed| listed.kname == kname) else {
        return Ok(());
    };
    let stack = Stack {
        root,
        all: &all,
        means,
    };
    let Some(why) = stack.obstacle(listed)? else {
        return Ok(());
    };
    let error = DeployError::OutOfReach {
        device: device.name.clone(),
        why,
    };
    if means.boots_otherwise {
        warn!(%error, "firmware cannot read the root device, which is to be ignored");
        return Ok(());
    }
    Err(error)
}

/// All devices with what lies on what.
struct Stack<'a> {
    root: &'a Root,
    all: &'a [ListedDevice],
    means: &'a Means,
}

impl Stack<'_> {
    /// What keeps firmware from reading this device; `None` where nothing does.
    fn obstacle(&self, device: &ListedDevice) -> Result<Option<String>, DeployError> {
        if device.kname.starts_with("md") {
            return self.obstacle_of_array(device);
        }
        Ok(match device.kind.as_str() {
            _ if device.parents.is_empty() => None,
            // Each path is the disk, as firmware sees it.
            "mpath" => {
                for path in self.below(device) {
                    if let Some(why) = self.obstacle(path)? {
                        return Ok(Some(why));
                    }
                }
                None
            }
            // The RAID of a firmware, brought up by device-mapper.
            "dmraid" => None,
            _ => Some(format!(
                "only Linux knows how it is made of {}",
                device.parents.join(" and ")
            )),
        })
    }

    fn obstacle_of_array(&self, array: &ListedDevice) -> Result<Option<String>, DeployError> {
        let version = format!("/sys/block/{}/md/metadata_version", array.kname);
        let version = self.root.attribute(version).unwrap_or_default();
        if version.starts_with(OF_FIRMWARE) {
            return Ok(None);
        }
        let name = &array.device.name;
        let uefi = EfiVariables::exist(self.root);
        let known = RootArray::of(self.root, name).map_err(|error| error.of(name))?;
        let disks = known.as_ref().map_or_else(Vec::new, RootArray::disks);
        let disks: Vec<String> = disks.into_iter().map(str::to_owned).collect();
        let obstacle = known
            .map(|known| match self.no_way_by_bios() {
                _ if uefi => known.obstacle(self.root),
                Some(why) => Ok(Some(why)),
                None => known.obstacle_for_bios(self.root),
            })
            .transpose();
        let why = match obstacle {
            Ok(None) => "it does not run".to_owned(),
            Ok(Some(None)) => match self.no_disk(&disks)? {
                None => return Ok(None),
                Some(why) => why,
            },
            Ok(Some(Some(why))) => why,
            Err(error) => return Err(error.of(name)),
        };
        Ok(Some(format!(
            "it is an array of software RAID ({}, metadata {}) made of {}, and {why}",
            array.kind,
            if version.is_empty() {
                "unknown"
            } else {
                &version
            },
            array.parents.join(" and ")
        )))
    }

    /// Which of these that hold members is no disk to firmware, in words after the array's name: a partition of another
    /// array or of a volume is a member as one of a disk is, and its table is read by Linux alone.
    fn no_disk(&self, disks: &[String]) -> Result<Option<String>, DeployError> {
        for name in disks {
            let Some(disk) = self.all.iter().find(|disk| disk.device.name == *name) else {
                continue;
            };
            let why = match self.obstacle(disk)? {
                Some(why) => why,
                // One that firmware made is a disk.
                None if RootArray::of(self.root, name)
                    .map_err(|error| error.of(name))?
                    .is_none() =>
                {
                    continue;
                }
                None => "it is an array of software RAID itself".to_owned(),
            };
            return Ok(Some(format!(
                "{name}, which holds a member, is no disk to firmware: {why}"
            )));
        }
        Ok(None)
    }

    /// Why no array at all can be booted on a machine with a BIOS; `None` where nothing keeps one from it.
    fn no_way_by_bios(&self) -> Option<String> {
        let reads_members =
            "a BIOS reads its members one by one: GRUB on each of its disks leads to it,";
        if std::env::consts::ARCH != "x86_64" {
            return Some(format!(
                "{reads_members} which is known for x86_64 only. Boot this node by UEFI"
            ));
        }
        if !self.means.allows_grub {
            return Some(format!(
                "{reads_members} and is installed only where enable_bios_bootloader_install allows it"
            ));
        }
        if !self.means.asks_for_loader {
            return Some(format!(
                "{reads_members} and a conductor has it installed beside a whole-disk image only where \
                 target_raid_config of the node has software RAID"
            ));
        }
        None
    }

    fn below<'s>(&'s self, device: &'s ListedDevice) -> impl Iterator<Item = &'s ListedDevice> {
        self.all
            .iter()
            .filter(|other| device.parents.contains(&other.kname))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use farrier_plugin::ErrorKind;

    use super::*;
    use crate::deploy::raid_boot::fixture;
    use crate::sys::recording::Recording;

    const DISKS: &str = "/sys/block/sda/dev = 8:0\n/sys/block/sda/size = 8000\n\
         /sys/block/sda/sda1/dev = 8:1\n/sys/block/sda/sda1/size = 4000\n\
         /sys/block/sda/sda1/partition = 1\n\
         /sys/block/sdb/dev = 8:16\n/sys/block/sdb/size = 8000\n/dev/sda =\n/dev/sdb =";

    const MEANS: Means = Means {
        boots_otherwise: false,
        allows_grub: true,
        asks_for_loader: true,
    };

    /// What is said of a device made of these members, with these further attributes.
    fn verdict(kname: &str, members: &[&str], attributes: &[&str]) -> Option<String> {
        let recording = Recording::unpack(DISKS);
        let sysfs = format!("/sys/block/{kname}");
        let mut lines = vec![
            format!("{sysfs}/dev = 9:0"),
            format!("{sysfs}/size = 4000"),
            format!("/sys/class/block/{kname} -> ../../block/{kname}"),
            format!("/dev/{kname} ="),
        ];
        lines.extend(
            members
                .iter()
                .map(|member| format!("{sysfs}/slaves/{member}/")),
        );
        lines.extend(attributes.iter().map(|line| format!("{sysfs}/{line}")));
        recording.add(&lines.join("\n"));
        let device = BlockDevice {
            name: format!("/dev/{kname}"),
            ..BlockDevice::default()
        };
        let means = Means {
            boots_otherwise: true,
            ..MEANS
        };
        check(&recording.root(), &device, &means).unwrap();
        let error = check(&recording.root(), &device, &MEANS).err()?;
        assert_eq!(error.kind(), ErrorKind::Deployment);
        Some(error.to_string())
    }

    fn array(level: &str, version: &str, members: &[&str]) -> Option<String> {
        let level = format!("md/level = {level}");
        let version = format!("md/metadata_version = {version}");
        verdict("md127", members, &[&level, &version])
    }

    #[test]
    fn software_raid_is_out_of_reach() {
        let disks = &["sda", "sdb"][..];
        let said = array("raid1", "1.2", disks).unwrap();
        for part in [
            "/dev/md127",
            "raid1, metadata 1.2",
            "sda and sdb",
            "root device hints",
        ] {
            assert!(said.contains(part), "{said}");
        }
        for (level, version, members) in [
            ("raid1", "1.1", disks),
            ("raid1", "1.0", disks),
            ("raid1", "0.90", disks),
            ("raid1", "1.0", &["sda1", "sdb"][..]),
            ("raid1", "0.90", &["sda1"]),
            ("raid1", "1.0", &[]),
            ("raid1", "1.0", &["sda", "sdz"]),
            ("raid0", "1.0", disks),
            ("raid10", "0.90", disks),
            ("raid5", "1.2", disks),
            ("linear", "1.0", disks),
        ] {
            let said = array(level, version, members);
            assert!(said.is_some(), "{level} {version} {members:?}");
        }
        assert!(
            verdict("md0", disks, &[])
                .unwrap()
                .contains("metadata unknown")
        );
    }

    #[test]
    fn an_array_with_room_beside_it_is_reached() {
        let recording = fixture::machine();
        let said = || {
            let device = BlockDevice {
                name: "/dev/md0".to_owned(),
                ..BlockDevice::default()
            };
            let checked = check(&recording.root(), &device, &MEANS);
            checked.err().map(|error| error.to_string())
        };
        // No member is there to be read.
        assert!(said().unwrap().contains("no member tells its UUID"));
        recording.add(&format!(
            "/run/udev/data/b9:0 <<\nE:MD_NAME=any:root\nE:MD_UUID={}\n.\n",
            "00112233:44556677:8899aabb:ccddeeff"
        ));
        assert_eq!(said(), None);
        for (allows_grub, asks_for_loader, word) in [
            (false, true, "enable_bios_bootloader_install"),
            (true, false, "target_raid_config"),
        ] {
            let means = Means {
                allows_grub,
                asks_for_loader,
                ..MEANS
            };
            let device = BlockDevice {
                name: "/dev/md0".to_owned(),
                ..BlockDevice::default()
            };
            let error = check(&recording.root(), &device, &means).unwrap_err();
            assert!(error.to_string().contains(word), "{error}");
        }
        recording.add("/sys/firmware/efi/efivars/");
        assert_eq!(said(), None);
        // A disk without a table, and then a mirror that is there already.
        recording.add("/dev/sda =");
        let refused = said().unwrap();
        for part in [
            "/dev/md0",
            "raid1, metadata 1.2",
            "/dev/sda, which holds a member, has no GPT",
        ] {
            assert!(refused.contains(part), "{refused}");
        }
        recording.add(&fixture::array("md1", "esp", "1.0", &["sda2", "nvme0n1p2"]));
        assert_eq!(said(), None);
        // Arrays of whole disks.
        recording.add("/sys/block/md1/md/metadata_version = 1.2\n/sys/block/md0/slaves/sda/");
        assert!(
            said()
                .unwrap()
                .contains("/dev/sda is no partition of a disk")
        );
    }

    #[test]
    fn an_array_within_an_array_is_out_of_reach() {
        let recording = fixture::machine();
        let uuid = |kname: &str| {
            let number = kname.trim_start_matches("md");
            format!(
                "/run/udev/data/b9:{number} <<\nE:MD_UUID={}\n.\n",
                "00112233:44556677:8899aabb:ccddeeff"
            )
        };
        let said = |kname: &str| {
            let device = BlockDevice {
                name: format!("/dev/{kname}"),
                ..BlockDevice::default()
            };
            let checked = check(&recording.root(), &device, &MEANS);
            checked.err().map(|error| error.to_string())
        };
        recording.add(&fixture::array("md5", "inner", "1.2", &["md0p1"]));
        recording.add(
            "/sys/block/md0/md0p1/dev = 259:9\n/sys/block/md0/md0p1/size = 200000\n\
             /sys/block/md0/md0p1/partition = 1\n/sys/block/md0/md0p1/start = 1128448\n\
             /sys/class/block/md0p1 -> ../../block/md0/md0p1\n/dev/md0p1 =\n",
        );
        recording.add(&(uuid("md0") + &uuid("md5")));
        // It has a table with room.
        let root = recording.root();
        fs::copy(root.path("/dev/sda"), root.path("/dev/md0")).unwrap();
        assert_eq!(said("md0"), None);
        for firmware in ["", "/sys/firmware/efi/efivars/"] {
            recording.add(firmware);
            let refused = said("md5").unwrap();
            assert!(
                refused.contains("/dev/md0, which holds a member, is no disk to firmware"),
                "{refused}"
            );
        }
    }

    #[test]
    fn what_firmware_made_it_can_read() {
        assert_eq!(array("raid5", "external:/md126/0", &["sda", "sdb"]), None);
        let uuid = "dm/uuid = DMRAID-isw_caaabc_Volume0";
        assert_eq!(verdict("dm-0", &["sda", "sdb"], &[uuid]), None);
        let uuid = "dm/uuid = mpath-3600a0980feedf00d";
        assert_eq!(verdict("dm-0", &["sda", "sdb"], &[uuid]), None);
        assert_eq!(verdict("vda", &[], &[]), None);
    }

    #[test]
    fn what_only_linux_makes_of_disks_is_out_of_reach() {
        for (kname, attributes) in [
            ("bcache0", &[][..]),
            ("dm-1", &["dm/uuid = LVM-abc"]),
            ("dm-2", &["dm/uuid = CRYPT-LUKS2-abc"]),
        ] {
            let said = verdict(kname, &["sda"], attributes).unwrap();
            assert!(said.contains("made of sda"), "{said}");
        }
    }
}
