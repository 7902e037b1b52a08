//! What the generic manager adds to the log archive: the state of this machine, as a person would
//! ask for it to see why a server did not come up. Names are the reference's where the content is of
//! the same kind (contract/control-plane 10.1).
//!
//! Logs are collected because something is broken, which may be what is looked at here: each collector
//! has a thread and a time of its own, and one that fails, panics or hangs leaves a note in the
//! archive in its member's place. What is not there, such as arrays on a machine without any, leaves
//! nothing.

mod boot_entries;
mod machine;
mod network;
mod storage;

use std::io;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use farrier_plugin::chain;
use serde_json::{Map, Value};

use crate::block::list::all_devices;
use crate::sys::kernel_log;
use crate::sys::kernel_parameters::COMMAND_LINE;
use crate::sys::root::Root;
use crate::sys::run_files::{self, Archived};

/// A member: name and content.
type Member = (String, Vec<u8>);

/// How long one collector may take; reading a driver that hangs never ends.
const LIMIT: Duration = Duration::from_secs(12);

/// How long all may take: the conductor waits a minute for the archive (its `[agent]
/// command_timeout`).
const LIMIT_OF_ALL: Duration = Duration::from_secs(40);

/// The most bytes of one file that is taken as it is; its end is kept.
const FILE_LIMIT: usize = 1 << 20;

/// Files that are taken as they are: member, path.
const FILES: &[(&str, &str)] = &[
    ("cmdline", COMMAND_LINE),
    ("version", "/proc/version"),
    ("mount", "/proc/mounts"),
    ("mdstat", "/proc/mdstat"),
    ("meminfo", "/proc/meminfo"),
    ("vmstat", "/proc/vmstat"),
    ("loadavg", "/proc/loadavg"),
    ("modules", "/proc/modules"),
    ("interrupts", "/proc/interrupts"),
    ("partitions", "/proc/partitions"),
    ("diskstats", "/proc/diskstats"),
    ("resolv.conf", "/etc/resolv.conf"),
    ("mdadm.conf", "/etc/mdadm/mdadm.conf"),
    ("multipath.conf", "/etc/multipath.conf"),
    ("net/arp", "/proc/net/arp"),
    ("net/dev", "/proc/net/dev"),
    ("net/if_inet6", "/proc/net/if_inet6"),
    ("net/ipv6_route", "/proc/net/ipv6_route"),
    ("net/netstat", "/proc/net/netstat"),
    ("net/route", "/proc/net/route"),
    ("net/snmp", "/proc/net/snmp"),
    ("net/snmp6", "/proc/net/snmp6"),
    ("net/tcp", "/proc/net/tcp"),
    ("net/tcp6", "/proc/net/tcp6"),
    ("net/udp", "/proc/net/udp"),
    ("net/udp6", "/proc/net/udp6"),
];

/// Directories whose files are taken as they are: member, path. The last are crash records of the
/// system that ran before.
const DIRECTORIES: &[(&str, &str)] = &[
    ("net/bonding", "/proc/net/bonding"),
    ("net/vlan", "/proc/net/vlan"),
    ("pstore", "/sys/fs/pstore"),
];

/// One thing to collect: what it is called, as a member or in the place of its members, and what it gives.
type Collector = (&'static str, Collect);

#[derive(Clone, Copy)]
enum Collect {
    /// The text of the member of its name.
    Text(fn(&Root) -> String),
    Members(fn(&Root) -> io::Result<Vec<Member>>),
}

const COLLECTORS: &[Collector] = &[
    (
        "dmesg",
        Collect::Members(|root| {
            kernel_log::text(&root.path("/dev/kmsg")).map(|text| one("dmesg", text))
        }),
    ),
    ("files", Collect::Members(|root| Ok(files(root)))),
    ("run", Collect::Members(|root| Ok(run_files(root)))),
    ("time", Collect::Text(machine::time)),
    ("ps", Collect::Text(machine::processes)),
    ("dmi", Collect::Text(machine::dmi)),
    ("lspci", Collect::Text(machine::pci)),
    ("sensors", Collect::Text(machine::sensors)),
    ("efibootmgr", Collect::Text(boot_entries::boot_entries)),
    ("ip_addr", Collect::Text(network::addresses)),
    ("routes", Collect::Text(network::routes)),
    ("links", Collect::Text(network::links)),
    ("storage_links", Collect::Text(network::storage_links)),
    ("lsblk", Collect::Members(block_devices)),
    ("udev", Collect::Members(udev)),
    ("mdadm", Collect::Text(storage::arrays)),
    // The last ones ask disks, which can hang.
    ("multipath", Collect::Members(multipath)),
    ("df", Collect::Text(machine::file_systems)),
];

/// All members that this machine has something for.
pub(super) fn members(root: &Root) -> Vec<Member> {
    collected(root, COLLECTORS, LIMIT, LIMIT_OF_ALL)
}

fn collected(
    root: &Root,
    collectors: &[Collector],
    limit: Duration,
    limit_of_all: Duration,
) -> Vec<Member> {
    let deadline = Instant::now() + limit_of_all;
    let mut members = Vec::new();
    for collector @ (name, _) in collectors {
        let left = deadline.saturating_duration_since(Instant::now());
        match run(root, collector, limit.min(left)) {
            Ok(added) => members.extend(added),
            Err(why) => members.extend(one(name, note(&why))),
        }
    }
    members
}

/// What a collector found, or why there is nothing.
fn run(root: &Root, collector: &Collector, limit: Duration) -> Result<Vec<Member>, String> {
    if limit.is_zero() {
        return Err("there was no time left for it".to_owned());
    }
    let (sender, receiver) = channel();
    let (name, collect) = *collector;
    let root = root.clone();
    let collect = move || match collect {
        Collect::Text(text) => Ok(one(name, text(&root))),
        Collect::Members(members) => members(&root),
    };
    // One that hangs in the kernel keeps its thread, which nobody waits for any more.
    thread::Builder::new()
        .name("logs".to_owned())
        .spawn(move || drop(sender.send(collect())))
        .map_err(|error| chain(&error))?;
    match receiver.recv_timeout(limit) {
        Ok(result) => result.map_err(|error| chain(&error)),
        Err(RecvTimeoutError::Timeout) => {
            Err(format!("it did not end within {} s", limit.as_secs()))
        }
        Err(RecvTimeoutError::Disconnected) => {
            Err("it panicked; the journal says where".to_owned())
        }
    }
}

/// What stands in the place of a member that could not be collected.
fn note(why: &str) -> String {
    format!("[not collected: {why}]\n")
}

/// This member, unless it is empty.
fn one(name: &str, text: String) -> Vec<Member> {
    if text.is_empty() {
        return Vec::new();
    }
    vec![(name.to_owned(), text.into_bytes())]
}

fn files(root: &Root) -> Vec<Member> {
    let mut members = Vec::new();
    for (name, path) in FILES {
        members.extend(file(root, name, path));
    }
    for (name, path) in DIRECTORIES {
        members.extend(directory(root, name, path));
    }
    members
}

/// What farrier itself keeps in files.
fn run_files(root: &Root) -> Vec<Member> {
    let mut members = Vec::new();
    for (path, archived) in run_files::ALL {
        match archived {
            Archived::As(name) if root.is_dir(path) => {
                members.extend(directory(root, name, path));
            }
            Archived::As(name) => members.extend(file(root, name, path)),
            Archived::WithoutResults(name) => {
                let lines = root.text(path).unwrap_or_default();
                let lines: Vec<String> = lines.lines().map(without_result).collect();
                members.extend(one(name, lines.concat()));
            }
            Archived::ByItsKeeper(_) | Archived::LeftOut(_) => {}
        }
    }
    members
}

/// A line of the command journal without the command's result, but for the name of the step in it.
fn without_result(line: &str) -> String {
    let Ok(mut line) = serde_json::from_str::<Value>(line) else {
        return "[a line that is no JSON]\n".to_owned();
    };
    for event in line.as_object_mut().into_iter().flat_map(Map::values_mut) {
        let Some(event) = event.as_object_mut() else {
            continue;
        };
        let step = event.remove("result").and_then(|result| {
            let mut members = result.as_object()?.values();
            Some(
                members
                    .find_map(|member| member.get("step")?.as_str())?
                    .to_owned(),
            )
        });
        if let Some(step) = step {
            event.insert("step".to_owned(), step.into());
        }
    }
    format!("{line}\n")
}

fn directory(root: &Root, name: &str, path: &str) -> Vec<Member> {
    let files = root.names(path).into_iter();
    files
        .filter_map(|entry| file(root, &format!("{name}/{entry}"), &format!("{path}/{entry}")))
        .collect()
}

/// The end of a file; a note where it is there and cannot be read, nothing where it is not there or
/// empty.
fn file(root: &Root, name: &str, path: &str) -> Option<Member> {
    let content = match root.read(path) {
        Ok(content) if content.len() > FILE_LIMIT => {
            let start = content.len() - FILE_LIMIT;
            let mut end = format!("[{start} bytes before this are left out]\n").into_bytes();
            end.extend_from_slice(&content[start..]);
            end
        }
        Ok(content) => content,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => note(&chain(&error)).into_bytes(),
    };
    (!content.is_empty()).then(|| (name.to_owned(), content))
}

fn block_devices(root: &Root) -> io::Result<Vec<Member>> {
    let devices = all_devices(root).map_err(io::Error::other)?;
    let mut members = one("lsblk", storage::table(root, &devices));
    members.extend(one("lsblk-full", storage::devices_in_full(&devices)));
    members.extend(one("parted", storage::partition_tables(root, &devices)));
    Ok(members)
}

fn multipath(root: &Root) -> io::Result<Vec<Member>> {
    let devices = all_devices(root).map_err(io::Error::other)?;
    Ok(one("multipath", storage::multipath(root, &devices)))
}

/// The properties that udev has of each block device and each network interface.
fn udev(root: &Root) -> io::Result<Vec<Member>> {
    let mut members = Vec::new();
    let devices = all_devices(root).map_err(io::Error::other)?;
    let of_devices = devices.iter().map(|device| {
        let (major, minor) = device.number;
        let record = format!("/run/udev/data/b{major}:{minor}");
        (device.kname.clone(), record)
    });
    for (name, record) in of_devices.chain(network::udev_records(root)) {
        if let Ok(record) = root.text(record) {
            members.extend(one(
                &format!("udev/{name}"),
                storage::udev_properties(&record),
            ));
        }
    }
    Ok(members)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;

    pub(super) fn tree(files: &[(&str, &[u8])]) -> (tempfile::TempDir, Root) {
        let dir = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = dir.path().join(path.trim_start_matches('/'));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        let root = Root::at(dir.path());
        (dir, root)
    }

    fn member(members: &[Member], name: &str) -> String {
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
        let disks: Value = serde_json::from_str(&member(&members, "lsblk-full")).unwrap();
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
    fn what_is_kept_for_the_archive_is_in_it() {
        let mut listed = Vec::new();
        let (dir, root) = tree(&[]);
        for (path, archived) in run_files::ALL {
            let place = dir.path().join(path.trim_start_matches('/'));
            let is_directory = [run_files::PROGRAM_LOGS, run_files::LEASES].contains(path);
            let (place, name) = match archived {
                Archived::As(name) if is_directory => {
                    (place.join("a.log"), format!("{name}/a.log"))
                }
                Archived::As(name) => (place, (*name).to_owned()),
                _ => continue,
            };
            fs::create_dir_all(place.parent().unwrap()).unwrap();
            fs::write(place, path).unwrap();
            listed.push((name, *path));
        }
        let commands = dir.path().join(&run_files::COMMANDS[1..]);
        let lines = [
            json!({"started": {"id": "1", "name": "execute_deploy_step", "at": 1.5}}),
            json!({"ended": {"id": "1", "status": "SUCCEEDED", "error": null, "result":
                {"deploy_result": {}, "deploy_step": {"step": "write_image", "args":
                    {"configdrive": "the token and the key"}}}}}),
        ];
        fs::write(commands, format!("{}\n{}\nhalf a li", lines[0], lines[1])).unwrap();
        let token = dir.path().join(&run_files::AGENT_STATE[1..]);
        fs::write(token, "the token and the key").unwrap();
        assert!(listed.len() > 5, "{listed:?}");
        let members = members(&root);
        for (name, content) in listed {
            assert_eq!(member(&members, &name), content);
        }
        let commands = member(&members, "commands.jsonl");
        for told in [
            "\"execute_deploy_step\"",
            "\"SUCCEEDED\"",
            "\"write_image\"",
            "[a line that is no JSON]",
        ] {
            assert!(commands.contains(told), "{commands}");
        }
        for (name, content) in &members {
            let text = String::from_utf8_lossy(content);
            assert!(!text.contains("the token and the key"), "{name}");
        }
    }

    #[test]
    fn one_that_fails_panics_or_hangs_leaves_a_note_and_the_others_run() {
        let (_dir, root) = tree(&[]);
        let collectors: [Collector; 4] = [
            (
                "fails",
                Collect::Members(|_| Err(io::Error::other("the disk is on fire"))),
            ),
            (
                "panics",
                // Without the hook, whose backtrace can take longer than the limit.
                Collect::Text(|_| std::panic::resume_unwind(Box::new("a disk without a name"))),
            ),
            (
                "hangs",
                Collect::Members(|_| {
                    thread::sleep(Duration::from_secs(300));
                    Ok(Vec::new())
                }),
            ),
            ("works", Collect::Text(|_| "well".to_owned())),
        ];
        // Long enough for the others on a machine that is busy.
        let limit = Duration::from_secs(3);
        let members = collected(&root, &collectors, limit, limit * 10);
        assert_eq!(
            member(&members, "fails"),
            "[not collected: the disk is on fire]\n"
        );
        assert!(member(&members, "panics").contains("panicked"));
        assert!(member(&members, "hangs").contains("did not end within"));
        assert_eq!(member(&members, "works"), "well");

        let limit = Duration::from_millis(100);
        let members = collected(&root, &collectors[2..], limit, limit);
        assert!(member(&members, "works").contains("no time left"));
    }

    #[test]
    fn a_file_that_cannot_be_read_leaves_a_note_and_a_long_one_its_end() {
        let (dir, root) = tree(&[]);
        fs::create_dir_all(dir.path().join("proc/mdstat")).unwrap();
        fs::create_dir_all(dir.path().join("run/farrier")).unwrap();
        let long = "a".repeat(FILE_LIMIT) + "the end";
        fs::write(dir.path().join("run/farrier/boot-times"), long).unwrap();
        let members = members(&root);
        assert!(member(&members, "mdstat").starts_with("[not collected: "));
        let kept = member(&members, "boot-times");
        assert!(kept.starts_with("[7 bytes before") && kept.ends_with("the end"));
        // There are no block devices to list at all.
        assert!(member(&members, "lsblk").starts_with("[not collected: Cannot list block"));
    }
}
