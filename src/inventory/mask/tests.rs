//! Masking recorded machines.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Map, json};

use super::files::{Content, HOST_NAME, SMBIOS_TABLE};
use super::udev::Property;
use super::*;
use crate::block::list::all_devices;
use crate::inventory::smbios::Smbios;
use crate::inventory::{bmc, boot_info, cpu, interfaces, memory, system_vendor};
use crate::sys::hex;
use crate::sys::recording::{Recording, machines, scratch};
use crate::sys::root::Root;
use crate::sys::witness::Witness;

fn recorded(root: &Root) -> Seen {
    let witness = Arc::<Witness>::default();
    let root = root.witnessed(Arc::clone(&witness));
    let _ = interfaces(&root);
    let _ = all_devices(&root);
    let _ = (
        cpu(&root, Smbios::read(&root).as_ref()),
        memory(&root, Smbios::read(&root).as_ref()),
        bmc(&root),
    );
    let _ = (
        boot_info(&root),
        system_vendor(&root, Smbios::read(&root).as_ref()),
    );
    witness.seen()
}

/// The masked recording, written out.
fn replay(seen: Seen) -> (tempfile::TempDir, Root) {
    let directory = scratch();
    masked(seen).write(directory.path()).unwrap();
    let root = Root::at(directory.path());
    (directory, root)
}

fn everything(seen: &Seen) -> Vec<u8> {
    format!("{:?}", seen.answers)
        .into_bytes()
        .into_iter()
        .chain(seen.entries.iter().flat_map(|(path, entry)| {
            let mut bytes = path.to_str().unwrap().as_bytes().to_vec();
            bytes.push(b'\n');
            bytes.extend(match entry {
                Entry::File(content) => content.clone(),
                Entry::Link(target) => target.to_str().unwrap().as_bytes().to_vec(),
                Entry::Directory => Vec::new(),
            });
            bytes
        }))
        .collect()
}

fn holds(bytes: &[u8], secret: &[u8]) -> bool {
    bytes.windows(secret.len()).any(|window| window == secret)
}

#[test]
fn a_masked_machine_is_the_same_kind_of_machine() {
    for machine in machines() {
        let recording = Recording::of(&machine);
        let root = recording.root();
        let (_directory, masked) = replay(recorded(&root));

        let devices = (all_devices(&root).unwrap(), all_devices(&masked).unwrap());
        assert_eq!(devices.0.len(), devices.1.len(), "{machine}");
        for (plain, masked) in devices.0.iter().zip(&devices.1) {
            let named = plain.raid_name.clone();
            let kind = |device: &crate::block::list::ListedDevice| {
                json!([
                    device.kname.clone(),
                    device.kind.clone(),
                    device.parents.clone(),
                    device.multipath_member,
                    std::mem::discriminant(&device.raid_name) == std::mem::discriminant(&named),
                    device.device.size,
                    device.device.model.clone(),
                    device.device.vendor.clone(),
                    device.device.hctl.clone(),
                    device.device.tran.clone(),
                    device.device.by_path.is_some(),
                    device.device.all_serials.len(),
                    device.device.all_wwns.len(),
                ])
            };
            assert_eq!(kind(plain), kind(masked), "{machine}");
        }
        assert_eq!(
            cpu(&root, Smbios::read(&root).as_ref()),
            cpu(&masked, Smbios::read(&masked).as_ref()),
            "{machine}"
        );
        assert_eq!(
            memory(&root, Smbios::read(&root).as_ref()),
            memory(&masked, Smbios::read(&masked).as_ref()),
            "{machine}"
        );
        let plain = interfaces(&root).unwrap();
        let masked_interfaces = interfaces(&masked).unwrap();
        assert_eq!(plain.len(), masked_interfaces.len(), "{machine}");
        for (plain, masked) in plain.iter().zip(&masked_interfaces) {
            assert_eq!(plain.driver, masked.driver, "{machine}");
            let mac = |i: &farrier_plugin::NetworkInterface| i.mac_address.clone().unwrap();
            assert_eq!(mac(plain)[..8], mac(masked)[..8], "{machine}");
        }
    }
}

#[test]
fn no_secret_of_any_machine_is_left() {
    for machine in machines() {
        let recording = Recording::of(&machine);
        let root = recording.root();
        let left = everything(&masked(recorded(&root)));
        let devices = all_devices(&root).unwrap();
        let interfaces = interfaces(&root).unwrap();
        let serials = devices.iter().flat_map(|device| &device.device.all_serials);
        let names = devices.iter().flat_map(|device| &device.device.all_wwns);
        let ids = devices
            .iter()
            .flat_map(|device| [&device.device.uuid, &device.device.partuuid])
            .flatten();
        let macs = interfaces.iter().filter_map(|i| i.mac_address.as_ref());
        for secret in serials.chain(names).chain(ids).chain(macs) {
            // Short ones cannot be told from other text, and one happens to be its own mask.
            if secret.len() >= 7 && secret != "02:00:00:00:00:01" {
                assert!(
                    !holds(&left, secret.as_bytes()),
                    "{machine}: {secret} is left"
                );
            }
        }
    }
}

#[test]
fn every_field_of_the_recorded_machines_is_known() {
    let mut unknown = BTreeSet::new();
    for machine in machines() {
        let seen = planted::seen(&Recording::of(&machine).root());
        for (path, entry) in &seen.entries {
            let Entry::File(content) = entry else {
                continue;
            };
            match files::content(path) {
                _ if content.is_empty() => {}
                Content::Unknown => {
                    unknown.insert(path.display().to_string());
                }
                Content::Udev => {
                    let text = String::from_utf8_lossy(content);
                    let lines = text.lines().filter_map(|line| line.strip_prefix("E:"));
                    let names = lines.filter_map(|line| Some(line.split_once('=')?.0.to_owned()));
                    unknown.extend(names.filter(|name| udev::property(name) == Property::Unknown));
                }
                _ => {}
            }
        }
    }
    assert!(unknown.is_empty(), "does it name one machine? {unknown:#?}");
}

#[test]
fn what_is_not_known_is_masked() {
    let mut seen = Seen::default();
    let mut add = |path: &str, text: &str| {
        let file = Entry::File(text.as_bytes().to_vec());
        seen.entries.insert(PathBuf::from(path), file);
    };
    add("/sys/class/later/x/attribute", "Rack 17\nsecond\n");
    add("/sys/class/net/eno1/speed", "25000\n");
    add("/run/udev/data/b8:0", "E:ID_LATER=Rack 17\nE:ID_BUS=scsi\n");
    seen.answers.insert(
        "later".to_owned(),
        Map::from_iter([("eno1".to_owned(), json!(["Rack", 17, true, null]))]),
    );
    let masked = masked(seen);
    let text = |path: &str| match &masked.entries[Path::new(path)] {
        Entry::File(content) => String::from_utf8(content.clone()).unwrap(),
        other => panic!("{other:?}"),
    };
    assert_eq!(text("/sys/class/later/x/attribute"), "Xxxx 02\nxxxxx3\n");
    assert_eq!(text("/sys/class/net/eno1/speed"), "25000\n");
    assert_eq!(
        text("/run/udev/data/b8:0"),
        "E:ID_LATER=Xxxx 02\nE:ID_BUS=scsi\n"
    );
    assert_eq!(
        masked.answers["later"]["eno1"],
        json!(["Xxx1", 0, true, null])
    );
}

#[test]
fn a_placeholder_is_one_only_as_a_whole() {
    let strings = |table: &[u8]| String::from_utf8_lossy(&table[27..]).into_owned();
    let table = |serial: &str| {
        let mut table = vec![1, 27, 1, 0, 0, 0, 0, 1];
        table.resize(27, 0);
        table.extend(serial.as_bytes());
        table.extend([0, 0]);
        let mut seen = Seen::default();
        let path = PathBuf::from(SMBIOS_TABLE);
        seen.entries.insert(path.clone(), Entry::File(table));
        match masked(seen).entries.remove(&path) {
            Some(Entry::File(table)) => strings(&table),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(table("Not Specified"), "Not Specified\0\0");
    assert_eq!(table(" none "), " none \0\0");
    assert_eq!(table("unknown rack"), "xxxxxxx xxx1\0\0");
    assert_eq!(table("Marketing"), "Xxxxxxxx1\0\0");
}

#[test]
fn what_belongs_together_stays_together() {
    let recording = Recording::of("nvme-multipath");
    let (_directory, root) = replay(recorded(&recording.root()));
    let devices = all_devices(&root).unwrap();
    let named = |kname: &str| devices.iter().find(|d| d.kname == kname).unwrap();
    let [map, path, other] = ["dm-0", "sda", "sdb"].map(|name| named(name).device.wwn.clone());
    assert_eq!(map.as_deref(), Some("0x600a0980000000010000000000000001"));
    assert_eq!((&map, &map), (&path, &other));

    let interfaces = interfaces(&root).unwrap();
    let mac = |name: &str| {
        let interface = interfaces.iter().find(|i| i.name == name).unwrap();
        interface.mac_address.clone().unwrap()
    };
    assert_eq!(mac("ens1f0"), "3c:ec:ef:00:00:02");
    assert_eq!(mac("ens1f1"), "3c:ec:ef:00:00:03");
    assert_eq!(
        boot_info(&root).pxe_interface.as_deref(),
        Some("01-3c-ec-ef-00-00-02")
    );
    let bond = interfaces.iter().find(|i| i.name == "bond0").unwrap();
    assert_eq!(bond.ipv4_address.as_deref(), Some("192.0.2.1"));
    let bmc = bmc(&root);
    assert_eq!(bmc.address.as_deref(), Some("192.0.2.3"));
}

#[test]
fn firmware_tables_keep_their_layout() {
    let recording = Recording::of("qemu-i440fx");
    let root = recording.root();
    let plain = recorded(&root);
    let masked = masked(plain.clone());
    let entry_point = Path::new("/sys/firmware/dmi/tables/smbios_entry_point");
    assert_eq!(plain.entries[entry_point], masked.entries[entry_point]);
    let Entry::File(entry) = &masked.entries[entry_point] else {
        panic!("the entry point is a file");
    };
    // SMBIOS 2: a sum over its length, and one over the older part.
    let sum = |bytes: &[u8]| bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    assert_eq!(sum(&entry[..usize::from(entry[5])]), 0);
    assert_eq!(sum(&entry[16..31]), 0);

    let tables = [&plain, &masked].map(|seen| match &seen.entries[Path::new(SMBIOS_TABLE)] {
        Entry::File(table) => Smbios::new(entry, table.clone()),
        _ => panic!("the table is a file"),
    });
    let shape = |table: &Smbios| -> Vec<(u8, u16)> {
        table.structures().map(|s| (s.kind, s.handle)).collect()
    };
    assert_eq!(shape(&tables[0]), shape(&tables[1]));
    let system = tables[1].first(1).unwrap();
    assert_eq!(system.string(5).as_deref(), Some("Recorded"));
    assert_eq!(system.string(7).as_deref().map(str::len), Some(6));
    assert_ne!(system.string(7), tables[0].first(1).unwrap().string(7));
    let chassis = tables[1].first(3).unwrap();
    assert_eq!(
        chassis.string(8).as_deref().map(|tag| &tag[..2]),
        Some("X-")
    );
}

#[test]
fn of_the_command_line_only_the_boot_interface_stays() {
    assert_eq!(
        boot_parameters(b"ipa-api-url=http://10.0.0.1 BOOTIF=01-aa-bb quiet boot_method=vmedia\n"),
        b"BOOTIF=01-aa-bb boot_method=vmedia\n"
    );
}

#[test]
fn a_short_serial_number_is_masked_where_it_is_known_to_be_one() {
    let mut seen = Seen::default();
    let file = |text: &str| Entry::File(text.as_bytes().to_vec());
    let mut add = |path: &str, text| seen.entries.insert(PathBuf::from(path), file(text));
    add("/sys/block/vda/serial", "S7\n");
    add("/sys/block/vda/size", "S7\n");
    add("/run/udev/data/b254:0", "E:ID_SERIAL=S7\nE:ID_MODEL=S7\n");
    let masked = masked(seen);
    let text = |path: &str| match &masked.entries[Path::new(path)] {
        Entry::File(content) => String::from_utf8(content.clone()).unwrap(),
        other => panic!("{other:?}"),
    };
    assert_eq!(text("/sys/block/vda/serial"), "X1\n");
    assert_eq!(text("/sys/block/vda/size"), "S7\n");
    assert_eq!(
        text("/run/udev/data/b254:0"),
        "E:ID_SERIAL=X1\nE:ID_MODEL=S7\n"
    );
}

#[test]
fn of_udev_s_records_only_known_forms_stay() {
    let record = |text: &str| {
        let mut seen = Seen::default();
        let path = PathBuf::from("/run/udev/data/b8:0");
        let page = [&[0, 0x80, 0, 14][..], b"S4EVNX0M123456"].concat();
        let file = |content: &[u8]| Entry::File(content.to_vec());
        seen.entries.insert(path.clone(), file(text.as_bytes()));
        let serial = PathBuf::from("/sys/block/sda/device/vpd_pg80");
        seen.entries.insert(serial, file(&page));
        let host = PathBuf::from(HOST_NAME);
        seen.entries.insert(host, file(b"web7\n"));
        match masked(seen).entries.remove(&path) {
            Some(Entry::File(content)) => String::from_utf8(content).unwrap(),
            other => panic!("{other:?}"),
        }
    };
    for (plain, masked) in [
        ("S:cdrom", "S:cdrom"),
        ("S:backup-acme-corp", "S:xxxxxx-xxxx-xxx1"),
        ("S:rbd/acme-pool/image", "S:xx3/xxxx-xxx1/xxxx2"),
        ("S:input/by-acme", "S:input/xx-xxx1"),
        ("S:disk/by-id/acme-corp", "S:disk/by-id/xxx1-xxx2"),
        ("S:disk/by-acme/1", "S:disk/xx-xxx3/2"),
        (
            "S:disk/by-path/pci-0000:00:1f.2-ata-1-part/by-partnum/1",
            "S:disk/by-path/pci-0000:00:1f.2-ata-1-part/by-partnum/1",
        ),
        (
            "E:ID_MODEL=LUN_S4EVNX0M123456",
            "E:ID_MODEL=LUN_X0XXXX0X000001",
        ),
        (
            "E:ID_MODEL_ENC=LUN\\x20S4EVNX0M123456\\x20",
            "E:ID_MODEL_ENC=LUN\\x20X0XXXX0X000001\\x20",
        ),
        // Of a name that is made of others, all but what is known to be one machine's.
        (
            "S:disk/by-id/ata-ACME_D8_S4EVNX0M123456",
            "S:disk/by-id/ata-ACME_D8_X0XXXX0X000001",
        ),
        (
            "S:disk/by-id/ata-ACME_web7_K8842",
            "S:disk/by-id/ata-XXXX_xxx0_X0001",
        ),
    ] {
        assert_eq!(record(plain), masked, "{plain}");
    }
}

#[test]
fn switches_are_masked_too() {
    let tlv = |kind: u8, content: &[u8]| [&[kind << 1, content.len() as u8], content].concat();
    let switch = [0x74, 0x83, 0xef, 0x11, 0x22, 0x33];
    let frame = [
        &[0x01, 0x80, 0xc2, 0, 0, 0x0e][..],
        &switch,
        &[0x88, 0xcc],
        &tlv(1, &[&[4][..], &switch].concat()),
        &tlv(2, b"\x05Ethernet1/7"),
        &tlv(3, &[0, 120]),
        &tlv(4, b"to db-17"),
        &tlv(5, b"leaf4.example"),
        &tlv(6, b"ACME OS 4.2"),
        &tlv(8, &[5, 1, 10, 1, 2, 3, 2, 0, 0, 0, 1, 0]),
        &tlv(127, b"\x00\x80\xc2\x03\x00\x6e\x06tenant"),
        &[0, 0],
    ]
    .concat();
    let mut seen = Seen::default();
    let answers = Map::from_iter([("eno1".to_owned(), json!([hex::encode(&frame)]))]);
    seen.answers.insert("lldp".to_owned(), answers);
    let masked = masked(seen);
    let masked = masked.answers["lldp"]["eno1"][0].as_str().unwrap();
    let masked = hex::decode(masked).unwrap();
    assert_eq!(masked.len(), frame.len());
    for kept in [&b"Ethernet1/7"[..], b"ACME OS 4.2"] {
        assert!(holds(&masked, kept), "{kept:?}");
    }
    for gone in [&switch[..], b"db-17", b"leaf4", b"tenant", &[10, 1, 2, 3]] {
        assert!(!holds(&masked, gone), "{gone:?}");
    }
    // The source and the chassis are still the same.
    assert_eq!(masked[6..12], masked[17..23]);
    assert_eq!(masked[6..12], [0x74, 0x83, 0xef, 0, 0, 1]);
}

#[test]
fn addresses_made_of_a_mac_are_made_of_its_mask() {
    let mut seen = Seen::default();
    let mac = json!({"permanent_address": "3c:ec:ef:10:20:30"});
    let addresses = json!([
        "10.1.2.3",
        "fe80::3eec:efff:fe10:2030",
        "2a01:db8::77",
        "127.0.0.1"
    ]);
    let answers = |answer| Map::from_iter([("eno1".to_owned(), answer)]);
    seen.answers.insert("ethtool".to_owned(), answers(mac));
    seen.answers
        .insert("addresses".to_owned(), answers(addresses));
    let masked = masked(seen);
    assert_eq!(
        masked.answers["addresses"]["eno1"],
        json!([
            "192.0.2.1",
            "fe80::3eec:efff:fe00:1",
            "2001:db8::1",
            "127.0.0.1"
        ])
    );
}

proptest! {
    #[test]
    fn any_table_keeps_its_length(table in proptest::collection::vec(any::<u8>(), 0..512)) {
        let mut pass = Pass::Find(Secrets::default());
        prop_assert_eq!(smbios::table(&mut pass, table.clone()), &table[..]);
        let Pass::Find(secrets) = pass else {
            unreachable!();
        };
        let mut pass = Pass::Mask(Masks::of(secrets));
        prop_assert_eq!(smbios::table(&mut pass, table.clone()).len(), table.len());
    }

    #[test]
    fn any_file_keeps_its_length(content in proptest::collection::vec(any::<u8>(), 0..256), name in "serial|vpd_pg80|vpd_pg83|address") {
        let mut seen = Seen::default();
        let path = PathBuf::from(format!("/sys/block/sda/device/{name}"));
        seen.entries.insert(path.clone(), Entry::File(content.clone()));
        match &masked(seen).entries[&path] {
            Entry::File(masked) => prop_assert_eq!(masked.len(), content.len()),
            _ => prop_assert!(false, "a file stays a file"),
        }
    }
}
