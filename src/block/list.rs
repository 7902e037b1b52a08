//! The block devices of this machine, as lsblk and udev would list them.

use farrier_plugin::BlockDevice;
use serde_json::json;

use crate::block::by_path::ByPaths;
use crate::block::identity::Identity;
use crate::block::raid_name::{RaidName, raid_name, without_host};
use crate::block::transport::transport;
use crate::block::udev::{UdevRecord, unescape};
use crate::sys::device_number;
use crate::sys::root::Root;

/// Why block devices could not be listed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlockError {
    /// sysfs is not there.
    #[error("Cannot list block devices: {path} is not a directory; is sysfs mounted?")]
    NoSysfs {
        /// Where it was looked for.
        path: String,
    },
}

/// A block device with what is known of it beyond the inventory.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ListedDevice {
    /// The kernel's name: `sda1`; `!` stands for `/`.
    pub kname: String,
    /// Major and minor device number.
    pub number: (u32, u32),
    /// The kernel's number of the disk, of its whole disk for a partition: no other disk gets it until the
    /// machine starts again. Kernels before 5.15 give none.
    pub diskseq: Option<u64>,
    /// lsblk's TYPE: `disk`, `part`, `raid1`, `mpath`, `lvm`, `crypt`, `rom`, `loop` …
    pub kind: String,
    /// Kernel names of what this device lies on: the disk of a partition, the members of an array.
    pub parents: Vec<String>,
    /// Whether the kernel refuses writes.
    pub read_only: bool,
    /// Whether the medium can be taken out.
    pub removable: bool,
    /// Whether this is one path to a device-mapper multipath map, which stands for it.
    pub multipath_member: bool,
    /// The name of a software RAID array.
    pub raid_name: RaidName,
    /// Every link under `/dev/disk/by-path`, the one of the inventory first.
    pub by_paths: Vec<String>,
    /// The inventory's view, with further facts in `extra` as [`list_block_devices`] says.
    pub device: BlockDevice,
}

/// The disks of this machine (with arrays of software RAID and multipath maps, which count as
/// disks), and after them, where asked for, the partitions (contract/data-plane 10.1).
///
/// Left out: floppy disks, optical drives, loop devices and RAM disks, devices of size 0, the single
/// paths of a multipath map, hidden NVMe paths, everything made by LVM or dm-crypt, and flash memory of
/// the firmware (`mtdblock0`, `mmcblk0boot0`), which are disks to the reference. Ordered by device number,
/// as lsblk orders them.
///
/// [`BlockDevice::extra`] holds `type` (lsblk's TYPE), `parents` (kernel names), `read_only`,
/// `removable` and `by_paths`, see [`ListedDevice`].
pub(crate) fn list_block_devices(
    root: &Root,
    include_partitions: bool,
) -> Result<Vec<BlockDevice>, BlockError> {
    let devices = all_devices(root)?;
    let mut listed: Vec<BlockDevice> = devices
        .iter()
        .filter(|device| device.is_disk())
        .map(|device| device.device.clone())
        .collect();
    if include_partitions {
        listed.extend(
            devices
                .iter()
                .filter(|device| device.is_partition())
                .map(|device| device.device.clone()),
        );
    }
    Ok(listed)
}

/// Every block device that the kernel shows, of any type and size, ordered by device number.
pub(crate) fn all_devices(root: &Root) -> Result<Vec<ListedDevice>, BlockError> {
    const BLOCK: &str = "/sys/block";
    if !root.is_dir(BLOCK) {
        return Err(BlockError::NoSysfs {
            path: root.path(BLOCK).display().to_string(),
        });
    }
    let by_paths = ByPaths::read(root);
    let mut devices = Vec::new();
    for kname in root.names(BLOCK) {
        let sysfs = format!("{BLOCK}/{kname}");
        let Some(whole) = read_device(root, &by_paths, &kname, &sysfs, None) else {
            continue;
        };
        // A partition's name begins with its disk's; the rest of the directory is attributes.
        for part in root.names_beginning(&sysfs, &kname) {
            let part_sysfs = format!("{sysfs}/{part}");
            if root.exists(format!("{part_sysfs}/partition")) {
                devices.extend(read_device(
                    root,
                    &by_paths,
                    &part,
                    &part_sysfs,
                    Some(&whole),
                ));
            }
        }
        devices.push(whole);
    }
    devices.sort_by_key(|device| device.number);
    Ok(devices)
}

impl ListedDevice {
    /// Whether the inventory lists it as a disk.
    pub(crate) fn is_disk(&self) -> bool {
        let kind = self.kind.as_str();
        self.is_listed() && (kind == "disk" || kind == "mpath" || kind.contains("raid"))
    }

    /// Whether it is a partition of something that is listed.
    pub(crate) fn is_partition(&self) -> bool {
        self.is_listed() && self.kind == "part"
    }

    /// Why this is no disk to choose or to erase, although the kernel calls it one: it holds the
    /// machine's firmware, or what the firmware starts from.
    pub(crate) fn firmware_memory(&self) -> Option<&'static str> {
        if ["mtdblock", "ubiblock"]
            .iter()
            .any(|prefix| self.kname.starts_with(prefix))
        {
            return Some("it is flash memory of the board, usually its firmware, and no disk");
        }
        let digits = |c: char| c.is_ascii_digit();
        let area = self.kname.strip_prefix("mmcblk")?;
        let area = area.trim_start_matches(digits);
        let is_area = ["boot", "rpmb", "gp"]
            .iter()
            .any(|name| area.starts_with(name));
        is_area
            .then_some("it is an area of its own beside an eMMC's disk, usually for its firmware")
    }

    fn is_listed(&self) -> bool {
        !self.multipath_member
            && self.device.size > 0
            && self.firmware_memory().is_none()
            && !["fd", "ram", "zram"]
                .iter()
                .any(|prefix| self.kname.starts_with(prefix))
    }
}

/// One device, or nothing where it is hidden or went away while it was read.
fn read_device(
    root: &Root,
    by_paths: &ByPaths,
    kname: &str,
    sysfs: &str,
    whole: Option<&ListedDevice>,
) -> Option<ListedDevice> {
    if root.number(format!("{sysfs}/hidden")) == Some(1) {
        return None;
    }
    let number = device_number::parse(&root.attribute(format!("{sysfs}/dev"))?)?;
    let udev = UdevRecord::of_block_device(root, number.0, number.1);
    let slaves = root.names(format!("{sysfs}/slaves"));
    let has_own_names = whole.is_none() && slaves.is_empty();
    let vendor = root.attribute(format!("{sysfs}/device/vendor"));
    let identity = Identity::read(root, sysfs, vendor.as_deref(), &udev, has_own_names);
    let name = format!("/dev/{}", kname.replace('!', "/"));
    let by_paths = by_paths.of(&name, &udev);

    // A partition has no queue of its own; its disk's counts.
    let queue = |attribute: &str| match whole {
        Some(whole) => root.number(format!("/sys/block/{}/queue/{attribute}", whole.kname)),
        None => root.number(format!("{sysfs}/queue/{attribute}")),
    };
    let sector_size = |attribute: &str| {
        queue(attribute)
            .and_then(|size| u32::try_from(size).ok())
            .unwrap_or(512)
    };
    let device = BlockDevice {
        model: identity.model,
        // sysfs counts in units of 512 bytes, whatever the sector size.
        size: root.number(format!("{sysfs}/size"))?.saturating_mul(512),
        rotational: queue("rotational") == Some(1),
        wwn: identity.wwn,
        serial: identity.serial,
        vendor,
        wwn_with_extension: identity.wwn_with_extension,
        wwn_vendor_extension: identity.wwn_vendor_extension,
        hctl: root
            .names(format!("{sysfs}/device/scsi_device"))
            .into_iter()
            .next(),
        by_path: by_paths.first().cloned(),
        logical_sectors: sector_size("logical_block_size"),
        physical_sectors: sector_size("physical_block_size"),
        tran: transport(root, kname, sysfs),
        uuid: udev.property("ID_FS_UUID_ENC").map(unescape),
        partuuid: udev.property("ID_PART_ENTRY_UUID").map(str::to_owned),
        all_serials: identity.all_serials,
        all_wwns: identity.all_wwns,
        name,
        ..BlockDevice::default()
    };
    let mut listed = ListedDevice {
        kname: kname.to_owned(),
        number,
        diskseq: match whole {
            Some(whole) => whole.diskseq,
            None => root.number(format!("{sysfs}/diskseq")),
        },
        kind: kind(root, kname, sysfs, whole.is_some()),
        parents: match whole {
            Some(whole) => vec![whole.kname.clone()],
            None => slaves,
        },
        read_only: root.number(format!("{sysfs}/ro")) == Some(1),
        removable: match whole {
            Some(whole) => whole.removable,
            None => root.number(format!("{sysfs}/removable")) == Some(1),
        },
        multipath_member: whole.is_some_and(|whole| whole.multipath_member)
            || is_multipath_member(root, sysfs),
        raid_name: match udev.property("MD_NAME") {
            Some(name) => RaidName::Known(without_host(name).to_owned()),
            None => raid_name(root, sysfs),
        },
        by_paths,
        device,
    };
    listed.device.extra = json!({
        "type": listed.kind,
        "parents": listed.parents,
        "read_only": listed.read_only,
        "removable": listed.removable,
        "by_paths": listed.by_paths,
    });
    Some(listed)
}

/// lsblk's TYPE, lower case.
fn kind(root: &Root, kname: &str, sysfs: &str, is_partition: bool) -> String {
    if is_partition {
        return "part".to_owned();
    }
    let kind = if kname.starts_with("dm-") {
        // The prefix of a device-mapper UUID names its owner: LVM-, mpath-, CRYPT-; kpartx puts
        // the partition's number behind `part`.
        match root.attribute(format!("{sysfs}/dm/uuid")) {
            Some(uuid) => match uuid.split('-').next() {
                Some(prefix) if prefix.to_ascii_lowercase().starts_with("part") => "part".into(),
                Some(prefix) if !prefix.is_empty() => prefix.to_owned(),
                _ => "dm".to_owned(),
            },
            None => "dm".to_owned(),
        }
    } else if kname.starts_with("loop") {
        "loop".to_owned()
    } else if kname.starts_with("md") {
        root.attribute(format!("{sysfs}/md/level"))
            .unwrap_or_else(|| "md".to_owned())
    } else {
        root.number(format!("{sysfs}/device/type"))
            .and_then(scsi_type)
            .unwrap_or("disk")
            .to_owned()
    };
    kind.to_ascii_lowercase()
}

/// lsblk's words for the peripheral device types of SPC-4 table 140.
fn scsi_type(code: u64) -> Option<&'static str> {
    Some(match code {
        0x00 => "disk",
        0x01 => "tape",
        0x02 => "printer",
        0x03 => "processor",
        0x04 => "worm",
        0x05 => "rom",
        0x06 => "scanner",
        0x07 => "mo-disk",
        0x08 => "changer",
        0x09 => "comm",
        0x0c => "raid",
        0x0d => "enclosure",
        0x0e => "rbc",
        0x11 => "osd",
        0x7f => "no-lun",
        _ => return None,
    })
}

/// Whether a multipath map holds this device (contract/data-plane 10.2).
fn is_multipath_member(root: &Root, sysfs: &str) -> bool {
    root.names(format!("{sysfs}/holders"))
        .iter()
        .filter(|holder| holder.starts_with("dm-"))
        .filter_map(|holder| root.attribute(format!("/sys/block/{holder}/dm/uuid")))
        .any(|uuid| uuid.starts_with("mpath-"))
}
