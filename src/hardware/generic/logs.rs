//! What the generic manager adds to the log archive: the state of this machine, as a person would
//! ask for it. Names are the reference's where the content is of the same kind
//! (contract/control-plane 10.1).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use nix::ifaddrs::getifaddrs;
use nix::sys::statvfs::statvfs;
use serde_json::{Map, Value, json};

use crate::block::list::{ListedDevice, all_devices};
use crate::sys::kernel_log;
use crate::sys::root::Root;

/// `Boot####`, `BootOrder`, `BootCurrent` and `BootNext` belong to this vendor
/// (UEFI specification 2.10, section 3.3, EFI_GLOBAL_VARIABLE).
const EFI_GLOBAL: &str = "-8be4df61-93ca-11d2-aa0d-00e098032b8c";

/// All members that this machine has something for.
pub(super) fn members(root: &Root) -> Vec<(String, Vec<u8>)> {
    let mut members = Vec::new();
    let mut add = |name: &str, text: Option<String>| {
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            members.push((name.to_owned(), text.into_bytes()));
        }
    };
    let file = |path: &str| root.text(path).ok();
    add("dmesg", kernel_log::text(&root.path("/dev/kmsg")).ok());
    add("cmdline", file("/proc/cmdline"));
    add("mount", file("/proc/mounts"));
    add("df", Some(file_systems(root)));
    add("mdstat", file("/proc/mdstat"));
    add("meminfo", file("/proc/meminfo"));
    add("modules", file("/proc/modules"));
    add("ip_addr", Some(addresses(root)));
    add("routes", Some(routes(root)));
    add("resolv.conf", file("/etc/resolv.conf"));
    add("efibootmgr", Some(boot_entries(root)));
    add("ps", Some(processes(root)));
    let devices = all_devices(root).unwrap_or_default();
    add("lsblk", Some(block_devices(&devices)));
    for device in &devices {
        let (major, minor) = device.number;
        let record = file(&format!("/run/udev/data/b{major}:{minor}"));
        add(
            &format!("udev/{}", device.kname),
            record.map(|record| udev_properties(&record)),
        );
    }
    members
}

fn block_devices(devices: &[ListedDevice]) -> String {
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

fn udev_properties(record: &str) -> String {
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

/// Free and used space of what is mounted. Paths of a recorded tree are not mounted here.
fn file_systems(root: &Root) -> String {
    let mut text = String::new();
    if !root.is_system() {
        return text;
    }
    for line in root.text("/proc/mounts").unwrap_or_default().lines() {
        let mut fields = line.split(' ');
        let (Some(source), Some(place)) = (fields.next(), fields.next()) else {
            continue;
        };
        let Ok(facts) = statvfs(place) else { continue };
        let kib = |blocks: u64| blocks.saturating_mul(facts.fragment_size()) / 1024;
        let _ = writeln!(
            text,
            "{source} {place} {} KiB, {} KiB free",
            kib(facts.blocks()),
            kib(facts.blocks_available())
        );
    }
    text
}

fn addresses(root: &Root) -> String {
    let mut by_interface: BTreeMap<String, Vec<String>> = BTreeMap::new();
    if root.is_system() {
        for address in getifaddrs().into_iter().flatten() {
            let addresses = by_interface.entry(address.interface_name).or_default();
            if let Some(storage) = address.address
                && (storage.as_sockaddr_in().is_some() || storage.as_sockaddr_in6().is_some())
            {
                let netmask = address
                    .netmask
                    .map(|netmask| format!(" netmask {netmask}"))
                    .unwrap_or_default();
                addresses.push(format!("{storage}{netmask}"));
            }
        }
    }
    let mut text = String::new();
    for name in root.names("/sys/class/net") {
        let attribute = |attribute: &str| {
            root.attribute(format!("/sys/class/net/{name}/{attribute}"))
                .unwrap_or_else(|| "-".to_owned())
        };
        let _ = writeln!(
            text,
            "{name}: {} mac {} mtu {} carrier {}",
            attribute("operstate"),
            attribute("address"),
            attribute("mtu"),
            attribute("carrier")
        );
        for address in by_interface.remove(&name).unwrap_or_default() {
            let _ = writeln!(text, "    {address}");
        }
    }
    text
}

/// The kernel's tables as they are: addresses in hexadecimal, but nothing is lost.
fn routes(root: &Root) -> String {
    ["/proc/net/route", "/proc/net/ipv6_route"]
        .iter()
        .filter_map(|path| Some(format!("{path}\n{}\n", root.text(path).ok()?)))
        .collect()
}

fn boot_entries(root: &Root) -> String {
    const EFIVARS: &str = "/sys/firmware/efi/efivars";
    let mut text = String::new();
    for file in root.names(EFIVARS) {
        let Some(name) = file.strip_suffix(EFI_GLOBAL) else {
            continue;
        };
        if !name.starts_with("Boot") {
            continue;
        }
        // Four bytes of attributes come before the value (Documentation/filesystems/efivarfs.rst).
        let Ok(content) = root.read(format!("{EFIVARS}/{file}")) else {
            continue;
        };
        let value = content.get(4..).unwrap_or_default();
        let numbers = || -> String {
            let words: Vec<String> = value
                .chunks_exact(2)
                .map(|word| format!("{:04X}", u16::from_le_bytes([word[0], word[1]])))
                .collect();
            words.join(",")
        };
        let shown = match name {
            "BootOrder" | "BootCurrent" | "BootNext" => numbers(),
            _ if is_load_option(name) => load_option(value),
            _ => continue,
        };
        let _ = writeln!(text, "{name}: {shown}");
    }
    text
}

fn is_load_option(name: &str) -> bool {
    name.strip_prefix("Boot").is_some_and(|number| {
        number.len() == 4 && number.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

/// Activity and description of an EFI_LOAD_OPTION (UEFI specification 2.10, section 3.1.3), and its
/// device path in hexadecimal.
fn load_option(value: &[u8]) -> String {
    let (Some(attributes), Some(rest)) = (value.get(..4), value.get(6..)) else {
        return "malformed".to_owned();
    };
    let description: Vec<u16> = rest
        .chunks_exact(2)
        .map(|word| u16::from_le_bytes([word[0], word[1]]))
        .take_while(|word| *word != 0)
        .collect();
    let path_start = (description.len() + 1) * 2;
    let path: String = rest
        .get(path_start..)
        .unwrap_or_default()
        .iter()
        .take(512)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!(
        "{} {:?} {path}",
        if attributes[0] & 1 == 1 {
            "active"
        } else {
            "inactive"
        },
        String::from_utf16_lossy(&description)
    )
}

fn processes(root: &Root) -> String {
    let mut text = String::from("PID PPID STATE RSS_KIB COMMAND\n");
    let mut pids: Vec<u32> = root
        .names("/proc")
        .iter()
        .filter_map(|name| name.parse().ok())
        .collect();
    pids.sort_unstable();
    for pid in pids {
        // The name stands in parentheses and may hold any of the separators (proc_pid_stat(5)).
        let Ok(stat) = root.text(format!("/proc/{pid}/stat")) else {
            continue;
        };
        let Some((before, after)) = stat.rsplit_once(") ") else {
            continue;
        };
        let name = before.split_once('(').map_or("", |(_, name)| name);
        let fields: Vec<&str> = after.split(' ').collect();
        let field = |number: usize| fields.get(number).copied().unwrap_or("-");
        let pages: u64 = field(21).parse().unwrap_or(0);
        let command = root
            .text(format!("/proc/{pid}/cmdline"))
            .unwrap_or_default()
            .replace('\0', " ");
        let command = command.trim();
        let _ = writeln!(
            text,
            "{pid} {} {} {} {}",
            field(1),
            field(0),
            pages * 4,
            // Kernel threads have no command line.
            if command.is_empty() {
                format!("[{name}]")
            } else {
                command.chars().take(1000).collect()
            }
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn tree(files: &[(&str, &[u8])]) -> (tempfile::TempDir, Root) {
        let dir = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = dir.path().join(path.trim_start_matches('/'));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        let root = Root::at(dir.path());
        (dir, root)
    }

    fn member(members: &[(String, Vec<u8>)], name: &str) -> String {
        let (_, content) = members
            .iter()
            .find(|(found, _)| found == name)
            .unwrap_or_else(|| panic!("no member {name}"));
        String::from_utf8(content.clone()).unwrap()
    }

    #[test]
    fn a_machines_state_is_collected() {
        let (_dir, root) = tree(&[
            ("/dev/kmsg", b"6,1,1500000,-;hello\n"),
            ("/proc/mounts", b"rootfs / rootfs rw 0 0\n"),
            (
                "/proc/7/stat",
                b"7 (a (b) c) S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 9 8192 25 18",
            ),
            ("/proc/7/cmdline", b"/bin/farrier\0run\0"),
            (
                "/proc/8/stat",
                b"8 (kthreadd) S 0 0 0 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 9 0 0 18",
            ),
            ("/proc/8/cmdline", b""),
            ("/sys/block/sda/dev", b"8:0"),
            ("/sys/block/sda/size", b"2048"),
            (
                "/run/udev/data/b8:0",
                b"S:disk/by-id/x\nE:ID_MODEL=Disk\nE:ID_SERIAL=1=2\n",
            ),
            ("/sys/class/net/eno1/address", b"52:54:00:00:00:01"),
            ("/sys/class/net/eno1/operstate", b"up"),
        ]);
        let members = members(&root);
        assert_eq!(member(&members, "dmesg"), "[    1.500000] hello\n");
        assert_eq!(member(&members, "mount"), "rootfs / rootfs rw 0 0\n");
        assert_eq!(
            member(&members, "ps"),
            "PID PPID STATE RSS_KIB COMMAND\n7 1 S 100 /bin/farrier run\n8 0 S 0 [kthreadd]\n"
        );
        let disks: Value = serde_json::from_str(&member(&members, "lsblk")).unwrap();
        assert_eq!(disks["blockdevices"][0]["name"], "/dev/sda");
        let udev: Value = serde_json::from_str(&member(&members, "udev/sda")).unwrap();
        assert_eq!(udev, json!({"ID_MODEL": "Disk", "ID_SERIAL": "1=2"}));
        assert!(member(&members, "ip_addr").starts_with("eno1: up mac 52:54:00:00:00:01"));
        // What is not there is no member.
        assert!(
            !members
                .iter()
                .any(|(name, _)| name == "mdstat" || name == "efibootmgr")
        );
    }

    #[test]
    fn boot_entries_are_readable() {
        let mut option = vec![7, 0, 0, 0];
        option.extend_from_slice(&[1, 0, 0, 0, 4, 0]);
        option.extend("Debian".encode_utf16().flat_map(u16::to_le_bytes));
        option.extend_from_slice(&[0, 0, 0x7f, 0xff, 4, 0]);
        let variable = |name: &str| format!("/sys/firmware/efi/efivars/{name}{EFI_GLOBAL}");
        let (_dir, root) = tree(&[
            (&variable("Boot0003"), &option),
            (&variable("Boot0004"), &[7, 0]),
            (&variable("BootOrder"), &[7, 0, 0, 0, 3, 0, 1, 0]),
            (&variable("BootOptionSupport"), &[7, 0, 0, 0, 1, 0, 0, 0]),
        ]);
        assert_eq!(
            boot_entries(&root),
            "Boot0003: active \"Debian\" 7fff0400\nBoot0004: malformed\nBootOrder: 0003,0001\n"
        );
    }

    #[test]
    fn this_machine_has_a_process_list_with_this_test() {
        let text = processes(&Root::system());
        let own = format!("\n{} ", std::process::id());
        assert!(text.contains(&own), "{text}");
    }
}
