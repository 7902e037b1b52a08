//! Block devices as lsblk, parted, mdadm and multipath would show them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::block::list::ListedDevice;
use crate::block::udev::UdevRecord;
use crate::sys::process::Program;
use crate::sys::root::Root;

/// multipath asks each path of a map; one that hangs must not hang the archive.
const MULTIPATH_LIMIT: Duration = Duration::from_secs(10);

/// The columns of the table that a person reads.
const COLUMNS: [&str; 15] = [
    "NAME",
    "TYPE",
    "SIZE",
    "PARENTS",
    "RO",
    "RM",
    "ROTA",
    "TRAN",
    "STATE",
    "HCTL",
    "FSTYPE",
    "LABEL",
    "MOUNTPOINT",
    "MODEL",
    "SERIAL",
];

/// One line for each device, as `lsblk --list` does it.
pub(super) fn table(root: &Root, devices: &[ListedDevice]) -> String {
    let mounts = mount_points(root);
    let mut rows = vec![COLUMNS.map(str::to_owned)];
    for listed in devices {
        let device = &listed.device;
        let (major, minor) = listed.number;
        let udev = UdevRecord::of_block_device(root, major, minor);
        let property = |name: &str| udev.property(name).unwrap_or_default().to_owned();
        let flag = |value: bool| u8::from(value).to_string();
        rows.push([
            listed.kname.clone(),
            listed.kind.clone(),
            device.size.to_string(),
            listed.parents.join(","),
            flag(listed.read_only),
            flag(listed.removable),
            flag(device.rotational),
            device.tran.clone().unwrap_or_default(),
            root.attribute(format!("/sys/class/block/{}/device/state", listed.kname))
                .unwrap_or_default(),
            device.hctl.clone().unwrap_or_default(),
            property("ID_FS_TYPE"),
            property("ID_FS_LABEL"),
            mounts.get(&device.name).cloned().unwrap_or_default(),
            device.model.clone().unwrap_or_default(),
            device.serial.clone().unwrap_or_default(),
        ]);
    }
    aligned(&rows)
}

/// Each column as wide as its widest cell; `-` for an empty one.
fn aligned<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or(1).max(1)
    };
    let widths: Vec<usize> = (0..N).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| {
                let cell = if cell.is_empty() { "-" } else { cell };
                format!("{cell:width$}")
            })
            .collect();
        text.push_str(cells.join(" ").trim_end());
        text.push('\n');
    }
    text
}

/// Where each device is mounted.
fn mount_points(root: &Root) -> BTreeMap<String, String> {
    let mounts = root.text("/proc/mounts").unwrap_or_default();
    let mut found = BTreeMap::<String, String>::new();
    for line in mounts.lines() {
        let mut fields = line.split(' ');
        if let (Some(source), Some(place)) = (fields.next(), fields.next())
            && source.starts_with("/dev/")
        {
            let places = found.entry(source.to_owned()).or_default();
            if !places.is_empty() {
                places.push(',');
            }
            places.push_str(place);
        }
    }
    found
}

/// Everything that is known of each device, as JSON.
pub(super) fn devices_in_full(devices: &[ListedDevice]) -> String {
    let devices: Vec<Value> = devices
        .iter()
        .map(|listed| {
            let mut value = serde_json::to_value(&listed.device).unwrap_or_default();
            if let Value::Object(members) = &mut value {
                members.insert("kname".to_owned(), json!(listed.kname));
                members.insert("type".to_owned(), json!(listed.kind));
                members.insert("parents".to_owned(), json!(listed.parents));
                members.insert("read_only".to_owned(), json!(listed.read_only));
                members.insert("removable".to_owned(), json!(listed.removable));
                members.insert("uuid".to_owned(), json!(listed.device.uuid));
                members.insert("partuuid".to_owned(), json!(listed.device.partuuid));
            }
            value
        })
        .collect();
    pretty(&json!({"blockdevices": devices}))
}

/// The partition tables, by what the kernel and udev made of them; sectors of 512 bytes.
pub(super) fn partition_tables(root: &Root, devices: &[ListedDevice]) -> String {
    let mut text = String::new();
    for disk in devices.iter().filter(|device| device.kind != "part") {
        let record = |listed: &ListedDevice| {
            UdevRecord::of_block_device(root, listed.number.0, listed.number.1)
        };
        let udev = record(disk);
        let table = udev.property("ID_PART_TABLE_TYPE");
        let partitions: Vec<&ListedDevice> = devices
            .iter()
            .filter(|device| device.kind == "part" && device.parents.contains(&disk.kname))
            .collect();
        if table.is_none() && partitions.is_empty() {
            continue;
        }
        let _ = writeln!(
            text,
            "{} {} bytes, table {} {}",
            disk.kname,
            disk.device.size,
            table.unwrap_or("-"),
            udev.property("ID_PART_TABLE_UUID").unwrap_or("-")
        );
        for partition in partitions {
            let attribute = |name: &str| {
                root.attribute(format!("/sys/class/block/{}/{name}", partition.kname))
                    .unwrap_or_else(|| "-".to_owned())
            };
            let udev = record(partition);
            let property = |name: &str| udev.property(name).unwrap_or("-").to_owned();
            let _ = writeln!(
                text,
                "    {} start {} sectors {} type {} name {} uuid {} flags {} fs {}",
                attribute("partition"),
                attribute("start"),
                attribute("size"),
                property("ID_PART_ENTRY_TYPE"),
                property("ID_PART_ENTRY_NAME"),
                property("ID_PART_ENTRY_UUID"),
                property("ID_PART_ENTRY_FLAGS"),
                property("ID_FS_TYPE")
            );
        }
    }
    text
}

/// Each array of software RAID with its members, more than `/proc/mdstat` says.
pub(super) fn arrays(root: &Root) -> String {
    let mut text = String::new();
    for name in root.names_beginning("/sys/block", "md") {
        let directory = format!("/sys/block/{name}/md");
        let attribute = |name: &str| {
            root.attribute(format!("{directory}/{name}"))
                .unwrap_or_else(|| "-".to_owned())
        };
        let _ = write!(text, "{name}");
        for what in [
            "level",
            "metadata_version",
            "raid_disks",
            "array_state",
            "degraded",
            "sync_action",
            "sync_completed",
            "mismatch_cnt",
        ] {
            let _ = write!(text, ", {what} {}", attribute(what));
        }
        text.push('\n');
        for member in root.names_beginning(&directory, "dev-") {
            let _ = writeln!(
                text,
                "    {} state {} slot {} errors {}",
                member.trim_start_matches("dev-"),
                attribute(&format!("{member}/state")),
                attribute(&format!("{member}/slot")),
                attribute(&format!("{member}/errors"))
            );
        }
    }
    text
}

/// Multipath maps with their paths by what the kernel says, and after it the program's view, which
/// knows priorities and what its checkers found. Nothing on a machine without a map.
pub(super) fn multipath(root: &Root, devices: &[ListedDevice]) -> String {
    let mut text = String::new();
    for map in root.names_beginning("/sys/block", "dm-") {
        let attribute = |name: &str| {
            root.attribute(format!("/sys/block/{map}/{name}"))
                .unwrap_or_else(|| "-".to_owned())
        };
        let uuid = attribute("dm/uuid");
        let Some(wwid) = uuid.strip_prefix("mpath-") else {
            continue;
        };
        let _ = writeln!(
            text,
            "{} ({wwid}) {map} sectors {} suspended {} ro {}",
            attribute("dm/name"),
            attribute("size"),
            attribute("dm/suspended"),
            attribute("ro")
        );
        for path in root.names(format!("/sys/block/{map}/slaves")) {
            let state = root
                .attribute(format!("/sys/block/{path}/device/state"))
                .unwrap_or_else(|| "-".to_owned());
            let listed = devices.iter().find(|device| device.kname == path);
            let device = listed.map(|listed| &listed.device);
            let _ = writeln!(
                text,
                "    {path} {} state {state} model {} serial {}",
                device
                    .and_then(|device| device.hctl.as_deref())
                    .unwrap_or("-"),
                device
                    .and_then(|device| device.model.as_deref())
                    .unwrap_or("-"),
                device
                    .and_then(|device| device.serial.as_deref())
                    .unwrap_or("-")
            );
        }
    }
    if !text.is_empty() && root.is_system() {
        let program = Program::new("/sbin/multipath")
            .arg("-ll")
            .timeout(MULTIPATH_LIMIT);
        match program.output() {
            Ok(output) => {
                let _ = write!(
                    text,
                    "\nmultipath -ll ({})\n{}{}",
                    output.status, output.stdout, output.stderr
                );
            }
            Err(error) => {
                let _ = writeln!(text, "\n[multipath -ll: {error}]");
            }
        }
    }
    text
}

/// The properties in a record of udev's database, as JSON.
pub(super) fn udev_properties(record: &str) -> String {
    let properties: Map<String, Value> = record
        .lines()
        .filter_map(|line| line.strip_prefix("E:")?.split_once('='))
        .map(|(name, value)| (name.to_owned(), json!(value)))
        .collect();
    pretty(&Value::Object(properties))
}

fn pretty(value: &Value) -> String {
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::list::all_devices;
    use crate::sys::recording::Recording;

    #[test]
    fn the_table_of_a_machine_has_a_line_for_each_device() {
        let recording = Recording::of("qemu-multipath");
        let root = recording.root();
        let devices = all_devices(&root).unwrap();
        let table = table(&root, &devices);
        assert_eq!(table.lines().count(), devices.len() + 1, "{table}");
        assert!(table.starts_with("NAME "), "{table}");
        let full: Value = serde_json::from_str(&devices_in_full(&devices)).unwrap();
        assert_eq!(
            full["blockdevices"].as_array().unwrap().len(),
            devices.len()
        );
    }

    #[test]
    fn maps_are_shown_with_their_paths() {
        let recording = Recording::of("qemu-multipath");
        let root = recording.root();
        let devices = all_devices(&root).unwrap();
        let text = multipath(&root, &devices);
        let map = devices
            .iter()
            .find(|device| device.kind == "mpath")
            .unwrap();
        assert!(text.contains(&map.kname), "{text}");
        for path in &map.parents {
            assert!(text.contains(&format!("    {path} ")), "{text}");
        }
        let other = Recording::of("qemu-lab");
        assert_eq!(multipath(&other.root(), &[]), "");
    }

    #[test]
    fn arrays_are_shown_with_their_members() {
        let recording = Recording::unpack(
            "/sys/block/md127/md/level = raid1\n/sys/block/md127/md/degraded = 1\n\
             /sys/block/md127/md/dev-sda/state = in_sync\n/sys/block/md127/md/dev-sdb/state = faulty\n",
        );
        let text = arrays(&recording.root());
        assert!(text.starts_with("md127, level raid1, "), "{text}");
        assert!(text.contains(", degraded 1, "), "{text}");
        assert!(
            text.contains("\n    sdb state faulty slot - errors -\n"),
            "{text}"
        );
    }

    #[test]
    fn partition_tables_are_shown_with_types_and_names() {
        let recording = Recording::unpack(
            "/sys/block/sda/dev = 8:0\n/sys/block/sda/size = 2048\n\
             /sys/block/sda/sda1/dev = 8:1\n/sys/block/sda/sda1/size = 64\n\
             /sys/block/sda/sda1/partition = 1\n/sys/block/sda/sda1/start = 34\n\
             /sys/class/block/sda1 -> ../../block/sda/sda1\n\
             /run/udev/data/b8:0 = E:ID_PART_TABLE_TYPE=gpt\n\
             /run/udev/data/b8:1 = E:ID_PART_ENTRY_NAME=EFI\n",
        );
        let root = recording.root();
        let devices = all_devices(&root).unwrap();
        assert_eq!(
            partition_tables(&root, &devices),
            "sda 1048576 bytes, table gpt -\n    1 start 34 sectors 64 type - name EFI uuid - flags \
             - fs -\n"
        );
    }
}
