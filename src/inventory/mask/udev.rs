//! Secrets in the udev database, and in the links that udev makes.

use super::pass::Pass;
use crate::block::udev::unescape;
use crate::sys::hex;

/// What a property is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Property {
    /// Of a kind of device: kept as it stands.
    Kept,
    Serial,
    /// Maker, model and serial number in one.
    Composed,
    Uuid,
    WideName,
    Extension,
    Label,
    /// Where a device is plugged in.
    Path,
    MapperName,
    MapperUuid,
    ArrayName,
    /// Not known, and therefore masked.
    Unknown,
}

/// Properties of which nothing names a single machine.
const KEPT: [&str; 59] = [
    "DEVTYPE",
    "DISKSEQ",
    "DM_ACTIVATION",
    "DM_MULTIPATH_DEVICE_PATH",
    "DM_SUSPENDED",
    "DM_TYPE",
    "ID_BUS",
    "ID_DRIVE_THUMB",
    "ID_FS_BLOCKSIZE",
    "ID_FS_LASTBLOCK",
    "ID_FS_SIZE",
    "ID_FS_TYPE",
    "ID_FS_USAGE",
    "ID_FS_VERSION",
    "ID_IGNORE_DISKSEQ",
    "ID_INSTANCE",
    "ID_MODEL",
    "ID_MODEL_ENC",
    "ID_MODEL_ID",
    "ID_NSID",
    "ID_PART_ENTRY_DISK",
    "ID_PART_ENTRY_FLAGS",
    "ID_PART_ENTRY_NUMBER",
    "ID_PART_ENTRY_OFFSET",
    "ID_PART_ENTRY_SCHEME",
    "ID_PART_ENTRY_SIZE",
    "ID_PART_ENTRY_TYPE",
    "ID_PART_TABLE_TYPE",
    "ID_REVISION",
    "ID_SCSI",
    "ID_SCSI_DI",
    "ID_SCSI_SN",
    "ID_TYPE",
    "ID_USB_DRIVER",
    "ID_USB_INSTANCE",
    "ID_USB_INTERFACES",
    "ID_USB_INTERFACE_NUM",
    "ID_USB_MODEL",
    "ID_USB_MODEL_ENC",
    "ID_USB_MODEL_ID",
    "ID_USB_REVISION",
    "ID_USB_TYPE",
    "ID_USB_VENDOR",
    "ID_USB_VENDOR_ENC",
    "ID_USB_VENDOR_ID",
    "ID_VENDOR",
    "ID_VENDOR_ENC",
    "ID_VENDOR_ID",
    "MAJOR",
    "MD_DEVICES",
    "MD_LEVEL",
    "MD_METADATA",
    "MINOR",
    "MPATH_DEVICE_READY",
    "MPATH_SBIN_PATH",
    "NVME_HOST_IFACE",
    "SUBSYSTEM",
    "SYSTEMD_MOUNT_DEVICE_BOUND",
    "SYSTEMD_READY",
];

/// The same by their beginnings: abilities of drives, flags of device-mapper's rules.
const KEPT_FAMILIES: [&str; 4] = ["ID_CDROM", "DM_UDEV_", "DM_SUBSYSTEM_", "SCSI_TPGS"];

/// Of ATA drives all but their names.
const ATA: &str = "ID_ATA";

/// What names one thing, by kind.
const SECRET: [(Property, &[&str]); 9] = [
    (
        Property::Serial,
        &[
            "ID_SERIAL_SHORT",
            "ID_SCSI_SERIAL",
            "SCSI_IDENT_SERIAL",
            "ID_USB_SERIAL_SHORT",
            "DM_SERIAL_SHORT",
            "ID_ATA_SERIAL",
            "ID_PART_ENTRY_UNIQUE",
            "ID_FS_APPLICATION_ID",
        ],
    ),
    (
        Property::Composed,
        &["ID_SERIAL", "ID_USB_SERIAL", "DM_SERIAL"],
    ),
    (
        Property::Uuid,
        &[
            "ID_FS_UUID",
            "ID_FS_UUID_ENC",
            "ID_FS_UUID_SUB",
            "ID_FS_UUID_SUB_ENC",
            "ID_PART_ENTRY_UUID",
            "ID_PART_TABLE_UUID",
            "MD_UUID",
        ],
    ),
    (
        Property::WideName,
        &[
            "ID_WWN",
            "ID_WWN_WITH_EXTENSION",
            "DM_WWN",
            "DM_WWN_WITH_EXTENSION",
            "SCSI_IDENT_LUN_NAA_REG",
            "SCSI_IDENT_LUN_NAA_REGEXT",
            "SCSI_IDENT_LUN_NAA_EXT",
            "SCSI_IDENT_LUN_EUI64",
        ],
    ),
    (
        Property::Extension,
        &["ID_WWN_VENDOR_EXTENSION", "DM_WWN_VENDOR_EXTENSION"],
    ),
    (
        Property::Label,
        &[
            "ID_FS_LABEL",
            "ID_FS_LABEL_ENC",
            "ID_PART_ENTRY_NAME",
            "MD_DEVNAME",
            "DM_LV_NAME",
            "DM_VG_NAME",
            "SYSTEMD_WANTS",
        ],
    ),
    (
        Property::Path,
        &[
            "ID_PATH",
            "ID_PATH_TAG",
            "ID_PATH_ATA_COMPAT",
            "ID_SAS_PATH",
        ],
    ),
    (Property::MapperName, &["DM_NAME"]),
    (Property::ArrayName, &["MD_NAME"]),
];

pub(super) fn property(name: &str) -> Property {
    if name == "DM_UUID" {
        return Property::MapperUuid;
    }
    let secret = SECRET.iter().find(|(_, names)| names.contains(&name));
    if let Some((kind, _)) = secret {
        return *kind;
    }
    let is_ata = name.starts_with(ATA) && !name.contains("SERIAL") && !name.contains("WWN");
    if KEPT.contains(&name) || is_ata || KEPT_FAMILIES.iter().any(|family| name.starts_with(family))
    {
        return Property::Kept;
    }
    Property::Unknown
}

/// A record of the database.
pub(super) fn record(pass: &mut Pass, text: &str) -> String {
    // What udev says of the serial number alone; without that, the whole is one.
    let shorts: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("E:")?.split_once('='))
        .filter(|(name, value)| {
            let kind = property(name);
            matches!(kind, Property::Serial | Property::WideName) && !value.is_empty()
        })
        .map(|(_, value)| value.trim_start_matches("0x"))
        .collect();
    text.split_inclusive('\n')
        .map(|line| {
            let (line, end) = match line.strip_suffix('\n') {
                Some(line) => (line, "\n"),
                None => (line, ""),
            };
            let masked = match line.split_at_checked(2) {
                Some(("E:", rest)) => match rest.split_once('=') {
                    Some((name, value)) => {
                        format!("E:{name}={}", self::value(pass, name, value, &shorts))
                    }
                    None => format!("E:{}", pass.serial(rest)),
                },
                Some(("S:", link)) => format!("S:{}", self::link(pass, link)),
                // Times, tags, priorities and versions.
                Some(("I:" | "G:" | "Q:" | "V:" | "L:" | "W:", _)) => line.to_owned(),
                _ => pass.serial(line),
            };
            masked + end
        })
        .collect()
}

fn value(pass: &mut Pass, name: &str, value: &str, shorts: &[&str]) -> String {
    let kind = property(name);
    if name.ends_with("_ENC") && value.contains("\\x") {
        return escaped(value, |plain| field(pass, kind, plain));
    }
    if kind == Property::Composed && !shorts.iter().any(|short| value.contains(short)) {
        return pass.wide_name(value);
    }
    field(pass, kind, value)
}

fn field(pass: &mut Pass, kind: Property, value: &str) -> String {
    match kind {
        Property::Kept => pass.kept(value),
        Property::Serial => pass.serial_or_name(value),
        Property::Composed => pass.composed(value),
        Property::Uuid => pass.uuid_text(value),
        Property::WideName => wide_name(pass, value),
        Property::Extension => pass.extension(value),
        Property::Label => pass.label(value),
        Property::Path => by_path(pass, value),
        Property::MapperName => mapper_name(pass, value),
        Property::MapperUuid => mapper_uuid(pass, value),
        Property::ArrayName => array_name(pass, value),
        Property::Unknown => pass.serial(value),
    }
}

/// A name as the kernel and udev write it; NVMe's can be made of `nvme.`, the maker, and serial
/// number and model in hexadecimal.
pub(super) fn wide_name(pass: &mut Pass, text: &str) -> String {
    let parts: Vec<&str> = text.split('-').collect();
    let [maker, serial, model, namespace] = parts[..] else {
        return pass.wide_name(text);
    };
    let plain = hex::decode(serial).and_then(|bytes| String::from_utf8(bytes).ok());
    let Some(plain) = plain.filter(|_| maker.starts_with("nvme.")) else {
        return pass.wide_name(text);
    };
    let serial = hex::encode(pass.serial(&plain).as_bytes());
    format!("{maker}-{serial}-{model}-{namespace}")
}

/// A path of `/dev`, without that. What has no form of udev's is a device, which the kernel named.
pub(super) fn below_dev(pass: &mut Pass, path: &str) -> String {
    of_known_form(pass, path).unwrap_or_else(|| pass.text(path))
}

/// The same of a link: what has no form of udev's was named by an administrator's rule or by what
/// manages volumes.
pub(super) fn link(pass: &mut Pass, path: &str) -> String {
    if LINKS.contains(&path) {
        return path.to_owned();
    }
    of_known_form(pass, path).unwrap_or_else(|| named(pass, path))
}

/// The same of a directory.
pub(super) fn directory(pass: &mut Pass, path: &str) -> String {
    let first = path.split('/').next().unwrap_or_default();
    if DIRECTORIES.contains(&first) || first == "md" {
        return below_dev(pass, path);
    }
    named(pass, path)
}

/// A path that somebody named, behind the directory that is none of theirs.
fn named(pass: &mut Pass, path: &str) -> String {
    let parts = path.split('/').enumerate().map(|(index, part)| {
        if index == 0 && DIRECTORIES.contains(&part) && part != path {
            return part.to_owned();
        }
        escaped(part, |plain| pass.label(plain))
    });
    parts.collect::<Vec<_>>().join("/")
}

fn of_known_form(pass: &mut Pass, path: &str) -> Option<String> {
    let parts: Vec<&str> = path.split('/').collect();
    Some(match parts[..] {
        ["disk", kind] => format!("disk/{}", disk_kind(pass, kind)),
        ["disk", kind, name] => {
            format!(
                "disk/{}/{}",
                disk_kind(pass, kind),
                disk_link(pass, kind, name)
            )
        }
        // Of the partitions of the disk at that place.
        ["disk", "by-path", place, kind, name] => format!(
            "disk/by-path/{}/{}/{}",
            by_path(pass, place),
            disk_kind(pass, kind),
            disk_link(pass, kind, name)
        ),
        ["mapper", name] if name != "control" => format!("mapper/{}", mapper_name(pass, name)),
        ["md", name] => format!("md/{}", array_name(pass, name)),
        // Of a volume group.
        [group, volume] if !DIRECTORIES.contains(&group) => {
            format!("{}/{}", pass.label(group), pass.label(volume))
        }
        _ => return None,
    })
}

/// Links in `/dev` that all machines have.
const LINKS: [&str; 11] = [
    "cdrom", "cdrw", "core", "dvd", "dvdrw", "fd", "log", "rtc", "stderr", "stdin", "stdout",
];

/// Kinds of links below `/dev/disk`.
const DISK_KINDS: [&str; 13] = [
    "by-designator",
    "by-diskseq",
    "by-dname",
    "by-id",
    "by-label",
    "by-loop-inode",
    "by-loop-ref",
    "by-partlabel",
    "by-partnum",
    "by-partuuid",
    "by-path",
    "by-uuid",
    "by-vdev",
];

fn disk_kind(pass: &mut Pass, kind: &str) -> String {
    if DISK_KINDS.contains(&kind) {
        return kind.to_owned();
    }
    pass.label(kind)
}

/// Directories in `/dev` that are no volume groups.
const DIRECTORIES: [&str; 21] = [
    "block",
    "bsg",
    "bus",
    "cciss",
    "char",
    "cpu",
    "disk",
    "dri",
    "hugepages",
    "infiniband",
    "fd",
    "input",
    "ipmi",
    "ipmidev",
    "mapper",
    "mqueue",
    "snd",
    "net",
    "pts",
    "shm",
    "vfio",
];

/// A link of `/dev/disk/by-…`.
fn disk_link(pass: &mut Pass, kind: &str, name: &str) -> String {
    match kind {
        "by-diskseq" | "by-partnum" => name.to_owned(),
        "by-path" => by_path(pass, name),
        "by-uuid" | "by-partuuid" => escaped(name, |plain| pass.uuid_text(plain)),
        "by-id" => {
            let (body, part) = split_part(name);
            by_id(pass, body) + part
        }
        _ => escaped(name, |plain| pass.label(plain)),
    }
}

/// `-part2` at the end, of partitions.
fn split_part(name: &str) -> (&str, &str) {
    let at = name.rfind("-part").filter(|at| {
        let number = &name[at + "-part".len()..];
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    });
    name.split_at(at.unwrap_or(name.len()))
}

/// Begins of links of `/dev/disk/by-id`; any other is a word of an administrator's.
const BUSES: [&str; 13] = [
    "ata", "ccw", "cciss", "cloud", "edd", "google", "ieee1394", "memstick", "mmc", "nvme", "scsi",
    "usb", "virtio",
];

fn by_id(pass: &mut Pass, name: &str) -> String {
    let mut with = |prefix: &str, mask: fn(&mut Pass, &str) -> String| {
        let rest = name.strip_prefix(prefix)?;
        Some(format!("{prefix}{}", mask(pass, rest)))
    };
    with("dm-name-", mapper_name)
        .or_else(|| with("dm-uuid-", mapper_uuid))
        .or_else(|| with("md-name-", array_name))
        .or_else(|| with("md-uuid-", Pass::uuid_text))
        .or_else(|| with("lvm-pv-uuid-", Pass::serial))
        .or_else(|| with("wwn-", wide_name))
        .or_else(|| {
            with("nvme-eui.", |pass, text| {
                pass.eui(text).unwrap_or_else(|| pass.composed(text))
            })
        })
        .or_else(|| {
            with("nvme-nvme.", |pass, text| {
                wide_name(pass, &format!("nvme.{text}"))["nvme.".len()..].to_owned()
            })
        })
        .or_else(|| {
            let (bus, rest) = name.split_once('-')?;
            let rest = match bus {
                "scsi" => pass.wide_name(rest),
                _ => pass.composed(rest),
            };
            if BUSES.contains(&bus) {
                return Some(format!("{bus}-{rest}"));
            }
            Some(format!("{}-{rest}", pass.label(bus)))
        })
        .unwrap_or_else(|| pass.composed(name))
}

/// Where a disk is plugged in. Behind `ip-` are a storage's address and name.
fn by_path(pass: &mut Pass, path: &str) -> String {
    let at = if path.starts_with("ip-") {
        Some(0)
    } else {
        path.find("-ip-").map(|at| at + 1)
    };
    let (before, storage) = path.split_at(at.map_or(path.len(), |at| at + "ip-".len()));
    let end = storage.rfind("-lun-").unwrap_or(storage.len());
    let (storage, unit) = storage.split_at(end);
    // Ports of a fabric have world wide names: `fc-0x500…`, `sas-exp0x500…`.
    let before: Vec<String> = pass
        .text(before)
        .split('-')
        .map(|part| match part.split_once("0x") {
            Some((kind, name)) => {
                let masked = pass.naa(name).unwrap_or_else(|| name.to_owned());
                format!("{kind}0x{masked}")
            }
            None => part.to_owned(),
        })
        .collect();
    format!("{}{}{unit}", before.join("-"), pass.serial(storage))
}

/// A map's name: that of a volume, or the world wide name of a disk with several paths.
pub(super) fn mapper_name(pass: &mut Pass, name: &str) -> String {
    pass.typed_name(name)
        .unwrap_or_else(|| escaped(name, |plain| pass.label(plain)))
}

/// A map's UUID, which begins with who made the map.
pub(super) fn mapper_uuid(pass: &mut Pass, uuid: &str) -> String {
    let Some((owner, rest)) = uuid.split_once('-') else {
        return pass.serial(uuid);
    };
    let rest = match owner {
        "mpath" => pass.wide_name(rest),
        "CRYPT" => match rest.splitn(3, '-').collect::<Vec<_>>()[..] {
            [kind, uuid, name] => {
                format!("{kind}-{}-{}", pass.uuid_text(uuid), pass.label(name))
            }
            _ => pass.serial(rest),
        },
        part if part.starts_with("part") => mapper_uuid(pass, rest),
        _ => pass.serial(rest),
    };
    format!("{owner}-{rest}")
}

/// mdadm writes `host:name`, or only the name.
pub(super) fn array_name(pass: &mut Pass, name: &str) -> String {
    match name.split_once(':') {
        Some((host, name)) => format!("{}:{}", pass.label(host), pass.label(name)),
        None => pass.label(name),
    }
}

/// A text in which udev wrote unsafe bytes as `\xNN`: the mask stands at the same places.
fn escaped(text: &str, mask: impl FnOnce(&str) -> String) -> String {
    if !text.contains("\\x") {
        return mask(text);
    }
    let plain = unescape(text);
    let masked = mask(&plain);
    if masked == plain {
        return text.to_owned();
    }
    let mut mask = masked.bytes();
    let mut rest = text.as_bytes();
    let mut result = String::new();
    while let Some((first, after)) = rest.split_first() {
        // A byte that was no part of a text became three, so that the mask can be too long.
        let byte = mask.next().filter(u8::is_ascii).unwrap_or(b'0');
        let is_escape = *first == b'\\'
            && after.first() == Some(&b'x')
            && after
                .get(1..3)
                .is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        if is_escape {
            result.push_str(&format!("\\x{byte:02x}"));
            rest = &after[3..];
        } else {
            result.push(char::from(byte));
            rest = after;
        }
    }
    result
}
