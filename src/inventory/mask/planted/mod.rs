//! A machine in which every string and number that could name it is planted, and the search for
//! what is left of it in a masked recording.

pub(crate) mod secret;
mod smbios;

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use serde_json::json;

use self::secret::Secrets;
use crate::sys::hex;
use crate::sys::recording::{Recording, scratch};
use crate::sys::root::Root;
use crate::sys::witness::{Entry, RECORDED, Seen};

/// The machine's tree, but for tables and pages.
const TREE: &str = include_str!("tree.txt");

/// A planted machine.
pub(crate) struct Planted {
    pub(crate) recording: Recording,
    pub(crate) secrets: Secrets,
    /// Texts of the firmware's table that stay.
    pub(crate) kept: Vec<String>,
}

impl Planted {
    pub(crate) fn machine() -> Self {
        let mut secrets = Secrets::default();
        let recording = Recording::unpack(&secrets.filled(TREE));
        let base = recording.root().path("/");
        let write = |path: &str, content: &[u8]| {
            let place = base.join(path.trim_start_matches('/'));
            fs::create_dir_all(place.parent().unwrap()).unwrap();
            fs::write(place, content).unwrap();
        };
        let (table, kept) = smbios::table(&mut secrets);
        let length = (table.len() as u32).to_le_bytes();
        let entry = [
            b"_SM3_\x00\x18\x03\x07\x00\x01\x00".as_slice(),
            &length,
            &[0; 8],
        ]
        .concat();
        write("/sys/firmware/dmi/tables/smbios_entry_point", &entry);
        write(super::files::SMBIOS_TABLE, &table);
        for (path, page) in pages(&mut secrets) {
            write(path, &page);
        }
        for (interface, answers) in answers(&mut secrets) {
            let path = format!("/recorded/{interface}.json");
            write(&path, answers.to_string().as_bytes());
        }
        Self {
            recording,
            secrets,
            kept,
        }
    }
}

/// Pages 0x80 and 0x83 of the disks.
fn pages(secrets: &mut Secrets) -> Vec<(&'static str, Vec<u8>)> {
    const SDA: &str = "/sys/devices/pci0000:00/0000:17:00.0/host0/port-0:0/end_device-0:0/target0:0:0/0:0:0:0/vpd_pg83";
    const SDA_SERIAL: &str = "/sys/devices/pci0000:00/0000:17:00.0/host0/port-0:0/end_device-0:0/target0:0:0/0:0:0:0/vpd_pg80";
    let mut designators = Vec::new();
    let mut add = |set: u8, kind: u8, value: Vec<u8>| {
        designators.extend([set, kind, 0, value.len() as u8]);
        designators.extend(value);
    };
    add(1, 3, secrets.bytes("naa.sda"));
    add(1, 0x13, secrets.bytes("naa.sda-port"));
    let mut long = secrets.bytes("naa.sda-long");
    long[0] = 0x60;
    long.extend(secrets.bytes("half.sda"));
    add(1, 3, long);
    add(
        1,
        2,
        [secrets.bytes("half.sda-eui"), secrets.bytes("eui.sda")].concat(),
    );
    let t10 = secrets.filled("SEAGATE ST8000NM0075    %text.sda-t10%");
    add(2, 1, t10.into_bytes());
    add(2, 0, secrets.bytes("code.sda-vendor"));
    add(1, 0, secrets.bytes("bytes.sda-vendor"));
    add(
        3,
        8,
        secrets
            .filled("iqn.2001-04.%text.sda-iqn%,t,0x0001")
            .into_bytes(),
    );
    // The host's name and another disk's serial number in it tell nothing of the rest.
    for known in ["text.host", "code.sdc"] {
        for form in [
            "iqn.2020-01.com.site:",
            "nqn.2020-01.com.site:",
            "eui.",
            "t10.ACME_",
        ] {
            let name = format!("{form}%{known}%-boot-%code.{form}{known}%");
            // In a name that is made of others, a known serial number is taken for its own.
            if form != "t10.ACME_" || known == "text.host" {
                add(3, 8, secrets.filled(&name).into_bytes());
            }
        }
    }
    add(3, 8, secrets.filled("naa.%naa.sda-target%").into_bytes());
    add(1, 7, [secrets.bytes("bytes.sda-md5"), vec![1; 8]].concat());
    add(
        1,
        10,
        [vec![0x10, 0], secrets.bytes("uuid.sda-designator")].concat(),
    );
    add(1, 14, secrets.bytes("bytes.sda-later"));
    let mut page = vec![0, 0x83];
    page.extend((designators.len() as u16).to_be_bytes());
    page.extend(designators);
    page.extend(secrets.bytes("bytes.behind-the-page"));
    let serial = secrets.filled("%text.sda-serial%    ").into_bytes();
    let header = vec![0, 0x80, 0, serial.len() as u8];
    vec![(SDA, page), (SDA_SERIAL, [header, serial].concat())]
}

/// What the kernel answered.
fn answers(secrets: &mut Secrets) -> Vec<(&'static str, serde_json::Value)> {
    let mut frame = |first: bool| {
        let name = if first { "first" } else { "second" };
        lldp(secrets, name)
    };
    let frames = json!([hex::encode(&frame(true)), hex::encode(&frame(false))]);
    let mut identify = vec![0; 4096];
    let mut plant = |secrets: &mut Secrets, at: usize, name: &str| {
        let bytes = secrets.bytes(name);
        identify[at..at + bytes.len()].copy_from_slice(&bytes);
    };
    plant(secrets, 4, "text.identify-serial");
    plant(secrets, 112, "uuid.identify-fguid");
    plant(secrets, 768, "text.identify-nqn");
    plant(secrets, 3072, "bytes.identify-maker");
    let mut namespace = vec![0; 4096];
    namespace[104..120].copy_from_slice(&secrets.bytes("uuid.namespace-nguid"));
    namespace[120..128].copy_from_slice(&secrets.bytes("eui.namespace"));
    namespace[384..392].copy_from_slice(&secrets.bytes("bytes.namespace-maker"));
    let mut superblock = vec![0xfc, 0x4e, 0x2b, 0xa9, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    superblock.extend(secrets.bytes("uuid.array"));
    superblock.extend(secrets.filled("%text.host%:%text.array%").into_bytes());
    superblock.push(0);
    let rest = secrets.bytes("bytes.behind-the-name");
    superblock.extend(rest);
    superblock.resize(64, 0);
    let no_superblock = secrets.bytes("bytes.no-superblock").repeat(8);
    let text = |secrets: &mut Secrets, name: &str| secrets.text(name);
    let hexadecimal = |secrets: &mut Secrets, template: &str, name: &str| {
        template.replace("{}", &hex::encode(&secrets.bytes(name)))
    };
    vec![
        ("lldp", json!({"eno1": frames, "eno2": []})),
        (
            "ethtool",
            json!({
                "eno1": {"permanent_address": text(secrets, "mac.eno1"), "speed_mbps": 25000},
                "eno2": {"permanent_address": text(secrets, "mac.eno2"), "speed_mbps": 25000,
                    "later": text(secrets, "text.ethtool-later")},
            }),
        ),
        (
            "addresses",
            json!({
                "eno1": [text(secrets, "ip4.eno1"), text(secrets, "ip6.eno1")],
                "lo": ["127.0.0.1", "::1"],
            }),
        ),
        (
            "ipmi",
            json!({
                "0c02 01030000": hexadecimal(secrets, "0011{}", "ip4.bmc"),
                "0c02 01050000": hexadecimal(secrets, "0011{}", "mac.bmc"),
                "0c02 010c0000": hexadecimal(secrets, "0011{}", "ip4.bmc-gateway"),
                "0c02 010d0000": hexadecimal(secrets, "0011{}", "mac.bmc-gateway"),
                "0c02 01330000": "001102",
                "0c02 01370000": "0011010107",
                "0c02 01380000": hexadecimal(secrets, "00110080{}4000", "ip6.bmc"),
                "0c02 013b0000": hexadecimal(secrets, "00110002{}4000", "ip6.bmc-dynamic"),
                "0c02 01100000": hexadecimal(secrets, "0011{}", "text.bmc-community"),
                "0646 01": hexadecimal(secrets, "00{}", "text.bmc-user"),
            }),
        ),
        (
            "nvme",
            json!({
                "/dev/nvme0n1 identify 1 0": hex::encode(&identify),
                "/dev/nvme0n1 identify 0 1": hex::encode(&namespace),
                "/dev/nvme0n1 identify 2 0": "01000000",
                "/dev/nvme0n1 identify 3 1": hexadecimal(secrets, "0310{}", "uuid.descriptor"),
            }),
        ),
        (
            "disks",
            json!({
                "/dev/sdb@4096": hex::encode(&superblock),
                "/dev/sdc@4096": hex::encode(&no_superblock),
            }),
        ),
        (
            "uname",
            json!({"machine": "x86_64", "nodename": text(secrets, "text.nodename")}),
        ),
        (
            "later",
            json!({
                "asked": {
                    text(secrets, "text.later-name"): text(secrets, "text.later"),
                    "number": u64::from_le_bytes(*secrets.bytes("bytes.later").first_chunk().unwrap()),
                },
            }),
        ),
    ]
}

/// What a switch announces, with pieces of all organizations and types.
fn lldp(secrets: &mut Secrets, name: &str) -> Vec<u8> {
    let mut frame = vec![0x01, 0x80, 0xc2, 0, 0, 0x0e];
    frame.extend(secrets.bytes(&format!("mac.lldp-source-{name}")));
    frame.extend([0x88, 0xcc]);
    let mut add = |kind: u8, content: &[&[u8]]| {
        let content = content.concat();
        frame.extend([kind << 1, content.len() as u8]);
        frame.extend(content);
    };
    // Said again in a text that stays.
    let chassis = secrets.text("mac.lldp-chassis-first");
    let mut plant = |kind: &str, what: &str| secrets.bytes(&format!("{kind}.lldp-{what}-{name}"));
    if name == "first" {
        add(1, &[&[4], &plant("mac", "chassis")]);
        add(2, &[&[1], &plant("text", "port-alias")]);
    } else {
        add(1, &[&[5, 1], &plant("ip4", "chassis")]);
        add(2, &[&[6], &plant("bytes", "circuit")]);
    }
    add(3, &[&[0, 120]]);
    add(4, &[&plant("text", "port")]);
    add(5, &[&plant("text", "system")]);
    add(6, &[b"ACME OS 4.2 on ", chassis.as_bytes(), b"."]);
    add(7, &[&[0, 4, 0, 4]]);
    add(
        8,
        &[
            &[5, 1],
            &plant("ip4", "managed"),
            &[2, 0, 0, 0, 1, 8],
            &plant("bytes", "object"),
        ],
    );
    add(
        8,
        &[&[17, 2], &plant("ip6", "managed"), &[2, 0, 0, 0, 1, 0]],
    );
    add(8, &[&[7, 6], &plant("mac", "managed"), &[2, 0, 0, 0, 1, 0]]);
    add(
        8,
        &[&[9, 15], &plant("bytes", "managed"), &[2, 0, 0, 0, 1, 0]],
    );
    add(9, &[&plant("text", "reserved")]);
    add(127, &[&[0x00, 0x80, 0xc2, 1, 0, 100]]);
    add(
        127,
        &[&[0x00, 0x80, 0xc2, 3, 0, 100, 11], &plant("text", "vlan")],
    );
    add(
        127,
        &[&[0x00, 0x80, 0xc2, 4, 8], &plant("bytes", "protocol")],
    );
    // Of a telephone: place, serial number, asset tag.
    for (subtype, what) in [(3, "place"), (8, "serial"), (11, "asset")] {
        add(127, &[&[0x00, 0x12, 0xbb, subtype], &plant("text", what)]);
    }
    add(127, &[&[0xac, 0xde, 0x48, 7], &plant("text", "maker")]);
    add(0, &[]);
    frame.extend(plant("bytes", "padding"));
    frame
}

/// Everything that a recording of the whole tree holds, read or not.
pub(super) fn seen(root: &Root) -> Seen {
    let mut seen = Seen::default();
    let mut waiting = vec![PathBuf::from("/")];
    while let Some(path) = waiting.pop() {
        let here = root.path("/").join(path.strip_prefix("/").unwrap());
        let entry = if let Ok(target) = fs::read_link(&here) {
            Entry::Link(target)
        } else if here.is_dir() {
            let names = fs::read_dir(&here).unwrap();
            waiting.extend(names.map(|name| path.join(name.unwrap().file_name())));
            Entry::Directory
        } else if path.starts_with(RECORDED) {
            let interface = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let answers = serde_json::from_slice(&fs::read(&here).unwrap()).unwrap();
            seen.answers.insert(interface, answers);
            continue;
        } else {
            Entry::File(fs::read(&here).unwrap())
        };
        if !path.starts_with(RECORDED) {
            seen.entries.insert(path, entry);
        }
    }
    seen
}

fn written(seen: &Seen) -> Vec<u8> {
    let directory = scratch();
    seen.write(directory.path()).unwrap();
    everything(directory.path())
}

#[test]
fn nothing_planted_is_left() {
    let planted = Planted::machine();
    let seen = seen(&planted.recording.root());
    let before = written(&seen);
    let there = planted.secrets.left_in(&before);
    // Without these there would be nothing to mask.
    let missing: Vec<&str> = planted
        .secrets
        .names()
        .filter(|name| !there.contains_key(name))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(there.len() > 650, "{}", there.len());
    let after = written(&super::masked(seen));
    let left = planted.secrets.left_in(&after);
    assert!(left.is_empty(), "{left:#?}");
    let after = String::from_utf8_lossy(&after);
    for kept in &planted.kept {
        assert!(after.contains(kept.as_str()), "{kept}");
    }
    for kept in [
        "Kept maker",
        "Kept processor",
        "Kept dongle",
        "ST8000NM0075",
        "x86_64",
    ] {
        assert!(after.contains(kept), "{kept}");
    }
    // The type of a partition is one of a list that all machines share.
    assert!(after.contains("c12a7328-f81f-11d2-ba4b-00a0c93ec93b"));
}

/// Everything in a directory: contents, names and what links lead to.
pub(crate) fn everything(directory: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let path = entry.path();
        bytes.extend(entry.file_name().as_bytes());
        bytes.push(b'\n');
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            bytes.extend(everything(&path));
        } else if kind.is_symlink() {
            bytes.extend(fs::read_link(&path).unwrap().as_os_str().as_bytes());
        } else {
            bytes.extend(fs::read(&path).unwrap());
        }
        bytes.push(b'\n');
    }
    bytes
}
