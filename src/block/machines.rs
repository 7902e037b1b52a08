//! Tests of listing and hints on recorded machines.

use farrier_plugin::{BlockDevice, Node};
use serde_json::{Value, json};

use crate::block::hints::{DeviceNotFound, RootDeviceHints, select};
use crate::block::list::{all_devices, list_block_devices};
use crate::sys::recording::{Recording, machines, place};
use crate::sys::root::Root;

fn disks(root: &Root) -> Vec<BlockDevice> {
    list_block_devices(root, false).unwrap()
}

fn names(devices: &[BlockDevice]) -> Vec<&str> {
    devices.iter().map(|device| device.name.as_str()).collect()
}

fn named<'d>(devices: &'d [BlockDevice], name: &str) -> &'d BlockDevice {
    devices.iter().find(|device| device.name == name).unwrap()
}

fn wire(device: &BlockDevice) -> Value {
    serde_json::to_value(device).unwrap()
}

fn chosen(devices: &[BlockDevice], hints: Value) -> Option<&str> {
    let hints = RootDeviceHints::parse(&hints).unwrap();
    select(&hints, devices)
        .ok()
        .map(|device| device.name.as_str())
}

#[test]
fn a_volume_of_a_raid_controller_is_found_by_its_model() {
    // udev has it twice, `PERC_H740P_Mini` and with its spaces as `\x20`; lsblk shows the second.
    let recording = Recording::of("bond-bmc");
    let disks = disks(&recording.root());
    assert_eq!(
        named(&disks, "/dev/sda").model.as_deref(),
        Some("PERC H740P Mini")
    );
    for hint in ["PERC H740P Mini", "perc h740p mini", "<in> H740P"] {
        assert_eq!(
            chosen(&disks, json!({"model": hint})),
            Some("/dev/sda"),
            "{hint}"
        );
    }
    assert_eq!(chosen(&disks, json!({"model": "PERC_H740P_Mini"})), None);
}

#[test]
fn recorded_disks_have_their_model_as_udev_writes_it() {
    for machine in machines() {
        let tree = std::fs::read_to_string(place(&machine).join("tree.txt")).unwrap();
        // SCSI and ATA disks; for NVMe udev writes no second form.
        for record in tree.split("/run/udev/data/b8:").skip(1) {
            let (record, _) = record.split_once("\n.\n").unwrap();
            assert_eq!(
                record.contains("\nE:ID_MODEL="),
                record.contains("\nE:ID_MODEL_ENC="),
                "{machine}: {record}"
            );
        }
    }
}

#[test]
fn a_qemu_server_is_listed_as_the_reference_does() {
    let recording = Recording::of("qemu-lab");
    let disks = disks(&recording.root());
    assert_eq!(
        names(&disks),
        ["/dev/sda", "/dev/sdb", "/dev/vda", "/dev/nvme0n1"]
    );
    // These two are what the reference sent in a recorded inspection of such a server, but for the
    // transport of virtio, which a newer lsblk names.
    assert_eq!(
        wire(named(&disks, "/dev/vda")),
        json!({
            "name": "/dev/vda", "model": null, "size": 5368709120u64, "rotational": true,
            "wwn": null, "serial": "n1-0", "vendor": "0x1af4", "wwn_with_extension": null,
            "wwn_vendor_extension": null, "hctl": null,
            "by_path": "/dev/disk/by-path/pci-0000:00:06.0", "logical_sectors": 512,
            "physical_sectors": 512, "tran": "virtio",
        })
    );
    assert_eq!(
        wire(named(&disks, "/dev/nvme0n1")),
        json!({
            "name": "/dev/nvme0n1", "model": "QEMU NVMe Ctrl", "size": 2147483648u64,
            "rotational": false,
            "wwn": "nvme.1b36-6e312d31-51454d55204e564d65204374726c-00000001", "serial": "n1-1",
            "vendor": null, "wwn_with_extension": null, "wwn_vendor_extension": null,
            "hctl": null, "by_path": "/dev/disk/by-path/pci-0000:00:07.0-nvme-1",
            "logical_sectors": 512, "physical_sectors": 512, "tran": "nvme",
        })
    );
    let scsi = named(&disks, "/dev/sda");
    assert_eq!(
        (
            scsi.model.as_deref(),
            scsi.serial.as_deref(),
            scsi.vendor.as_deref()
        ),
        (Some("QEMU HARDDISK"), Some("n1-2"), Some("QEMU"))
    );
    assert_eq!(scsi.hctl.as_deref(), Some("0:0:0:0"));
    assert_eq!(scsi.tran, None);
    assert_eq!(scsi.all_serials, ["n1-2", "0QEMU_QEMU_HARDDISK_n1-2"]);
    let sata = named(&disks, "/dev/sdb");
    assert_eq!(sata.tran.as_deref(), Some("sata"));
    assert_eq!(sata.serial.as_deref(), Some("n1-3"));
    assert_eq!(sata.all_serials, ["n1-3", "QEMU_HARDDISK_n1-3"]);
    assert_eq!(
        sata.by_path.as_deref(),
        Some("/dev/disk/by-path/pci-0000:00:1f.2-ata-1.0")
    );
}

#[test]
fn partitions_come_after_the_disks() {
    let recording = Recording::of("qemu-lab");
    let devices = list_block_devices(&recording.root(), true).unwrap();
    assert_eq!(names(&devices)[4..], ["/dev/vda1", "/dev/vda2"]);
    let esp = named(&devices, "/dev/vda1");
    assert_eq!(esp.uuid.as_deref(), Some("1FA9-A307"));
    assert_eq!(
        esp.partuuid.as_deref(),
        Some("eee5d9b5-27fd-164f-9502-531b146ad613")
    );
    assert_eq!(esp.extra["parents"], json!(["vda"]));
    assert_eq!(
        esp.by_path.as_deref(),
        Some("/dev/disk/by-path/pci-0000:00:06.0-part1")
    );
    assert_eq!((esp.vendor.as_deref(), esp.rotational), (None, true));
}

#[test]
fn every_device_has_a_type() {
    let recording = Recording::of("qemu-lab");
    let devices = all_devices(&recording.root()).unwrap();
    let kind = |kname: &str| {
        let device = devices.iter().find(|device| device.kname == kname).unwrap();
        device.kind.clone()
    };
    assert_eq!(kind("sr0"), "rom");
    assert_eq!(kind("loop0"), "loop");
    assert_eq!(kind("vda1"), "part");
    assert_eq!(kind("vda"), "disk");
}

#[test]
fn a_namespace_of_two_controllers_is_one_disk() {
    let recording = Recording::of("nvme-multipath");
    let disks = disks(&recording.root());
    assert_eq!(names(&disks), ["/dev/dm-0", "/dev/nvme0n1"]);
    let nvme = named(&disks, "/dev/nvme0n1");
    assert_eq!(nvme.serial.as_deref(), Some("A1B2C3"));
    assert_eq!(nvme.wwn.as_deref(), Some("eui.0011223344556677"));
    assert_eq!(nvme.tran.as_deref(), Some("nvme"));
}

#[test]
fn a_multipath_map_stands_for_its_paths() {
    let recording = Recording::of("nvme-multipath");
    let root = recording.root();
    let disks = disks(&root);
    let map = named(&disks, "/dev/dm-0");
    assert_eq!(map.extra["type"], "mpath");
    assert_eq!(
        map.wwn.as_deref(),
        Some("0x600a0980aabbccdd0000000000000001")
    );
    assert_eq!(
        map.serial.as_deref(),
        Some("3600a0980aabbccdd0000000000000001")
    );
    let path = &all_devices(&root).unwrap()[0];
    assert_eq!(path.kname, "sda");
    assert!(path.multipath_member);
    assert_eq!(path.device.tran.as_deref(), Some("fc"));
    assert_eq!(
        path.device.wwn_vendor_extension.as_deref(),
        None,
        "udev did not say"
    );
}

#[test]
fn without_udev_the_kernel_is_enough() {
    let recording = Recording::of("sas-4kn");
    let disks = disks(&recording.root());
    assert_eq!(
        names(&disks),
        ["/dev/sda", "/dev/sdb", "/dev/sdc", "/dev/cciss/c0d0"]
    );
    let sas = named(&disks, "/dev/sda");
    assert_eq!((sas.logical_sectors, sas.physical_sectors), (4096, 4096));
    assert_eq!(sas.size, 8_001_563_222_016);
    assert_eq!(sas.tran.as_deref(), Some("sas"));
    assert_eq!(sas.serial.as_deref(), Some("ZA10AAAA0000C7000000"));
    assert_eq!(sas.wwn.as_deref(), Some("0x5000c500aabbccd3"));
    assert_eq!(sas.model.as_deref(), Some("ST8000NM0075"));
    assert!(sas.all_serials.contains(&"35000c500aabbccd3".to_owned()));
    let lun = named(&disks, "/dev/sdb");
    assert_eq!(
        lun.wwn_with_extension.as_deref(),
        Some("0x600a0980aabbccdd0000000000000001")
    );
    assert_eq!(
        lun.wwn_vendor_extension.as_deref(),
        Some("0x0000000000000001")
    );
    assert!(lun.all_wwns.contains(&"0x600a0980aabbccdd".to_owned()));
    assert_eq!(lun.extra["read_only"], true);
    let stick = named(&disks, "/dev/sdc");
    assert_eq!(stick.tran.as_deref(), Some("usb"));
    assert_eq!(stick.extra["removable"], true);
}

#[test]
fn arrays_count_as_disks() {
    let recording = Recording::of("software-raid");
    let root = recording.root();
    assert_eq!(
        names(&disks(&root)),
        [
            "/dev/sda", "/dev/sdb", "/dev/sdc", "/dev/md0", "/dev/md1", "/dev/md2"
        ]
    );
    let devices = list_block_devices(&root, true).unwrap();
    assert_eq!(devices.len(), 12);
    let array = named(&devices, "/dev/md0");
    assert_eq!(array.extra["type"], "raid1");
    assert_eq!(array.extra["parents"], json!(["sda1", "sdb1"]));
    assert_eq!(
        (array.model.as_deref(), array.serial.as_deref()),
        (None, None)
    );
}

#[test]
fn the_default_is_the_smallest_disk_of_4_gib() {
    let recording = Recording::of("qemu-lab");
    let disks = disks(&recording.root());
    assert_eq!(select(None, &disks).unwrap().name, "/dev/vda");

    let small: Vec<BlockDevice> = disks
        .into_iter()
        .filter(|disk| disk.size < 4 << 30)
        .collect();
    let error = select(None, &small).unwrap_err();
    assert!(matches!(error, DeviceNotFound::AllTooSmall { .. }));
    assert!(
        error.to_string().starts_with(
            "No suitable device was found for deployment - root device hints were not provided and \
             all found block devices are smaller than 4294967296B."
        ),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .contains("/dev/sdb (0.25 GiB, serial n1-3)")
    );
}

#[test]
fn hints_find_small_disks_too() {
    let recording = Recording::of("qemu-lab");
    let disks = disks(&recording.root());
    let find = |hints| chosen(&disks, hints);
    assert_eq!(find(json!({"serial": "n1-3"})), Some("/dev/sdb"));
    assert_eq!(
        find(json!({"serial": "QEMU_HARDDISK_n1-3"})),
        Some("/dev/sdb")
    );
    assert_eq!(find(json!({"name": "/dev/nvme0n1"})), Some("/dev/nvme0n1"));
    assert_eq!(find(json!({"size": 5})), Some("/dev/vda"));
    assert_eq!(find(json!({"size": "<= 1"})), Some("/dev/sdb"));
    assert_eq!(find(json!({"rotational": false})), Some("/dev/nvme0n1"));
    assert_eq!(find(json!({"hctl": "1:0:0:0"})), Some("/dev/sdb"));
    assert_eq!(
        find(json!({"tran": "s!= sata", "model": "qemu harddisk"})),
        Some("/dev/sda")
    );
    for by_path in ["pci-0000:00:1f.2-ata-1", "pci-0000:00:1f.2-ata-1.0"] {
        let by_path = format!("/dev/disk/by-path/{by_path}");
        assert_eq!(find(json!({"by_path": by_path})), Some("/dev/sdb"));
    }
    assert_eq!(find(json!({"serial": "n1-3", "size": ">= 1"})), None);

    let error = select(
        &RootDeviceHints::parse(&json!({"serial": "other"})).unwrap(),
        &disks,
    )
    .unwrap_err();
    assert!(
        error.to_string().starts_with(
            "No suitable device was found for deployment using these hints {\"serial\":\"other\"}"
        ),
        "{error}"
    );
}

#[test]
fn virtio_disks_are_chosen_by_their_transport() {
    let recording = Recording::of("qemu-lab");
    let disks = disks(&recording.root());
    let find = |hint: &str| chosen(&disks, json!({"tran": hint}));
    assert_eq!(find("virtio"), Some("/dev/vda"));
    assert_eq!(find("<or> scsi <or> VirtIO"), Some("/dev/vda"));
    assert_eq!(find("nvme"), Some("/dev/nvme0n1"));
    assert_eq!(find("mmc"), None);
}

#[test]
fn flash_memory_of_the_firmware_is_no_disk() {
    let names = [
        "mmcblk0",
        "mmcblk0boot0",
        "mmcblk0boot1",
        "mmcblk0rpmb",
        "mmcblk0gp0",
        "mmcblk12",
        "mtdblock0",
        "mtdblock_ro1",
        "ubiblock0_1",
        "pmem0",
        "nbd0",
        "nullb0",
        "fd0",
        "ram0",
        "zram0",
    ];
    let listing: Vec<String> = names
        .iter()
        .enumerate()
        .map(|(index, name)| {
            format!(
                "/sys/block/{name}/dev = 200:{index}\n/sys/block/{name}/size = 2048\n\
                 /sys/block/{name}/mmcblk0p1/partition = 1\n/sys/block/{name}/mmcblk0p1/dev = 201:{index}\n\
                 /sys/block/{name}/mmcblk0p1/size = 8"
            )
        })
        .collect();
    let root = Recording::unpack(&listing.join("\n"));
    let listed = list_block_devices(&root.root(), true).unwrap();
    let listed: Vec<&str> = listed.iter().map(|device| device.name.as_str()).collect();
    assert_eq!(
        listed,
        [
            "/dev/mmcblk0",
            "/dev/mmcblk12",
            "/dev/pmem0",
            "/dev/nbd0",
            "/dev/nullb0",
            "/dev/mmcblk0p1"
        ]
    );
    let all = all_devices(&root.root()).unwrap();
    let device = |kname: &str| all.iter().find(|device| device.kname == kname).unwrap();
    assert_eq!(device("mmcblk0").device.tran.as_deref(), Some("mmc"));
    assert_eq!(device("mmcblk0p1").device.tran.as_deref(), Some("mmc"));
    assert_eq!(device("pmem0").firmware_memory(), None);
    assert!(
        device("mtdblock0")
            .firmware_memory()
            .unwrap()
            .contains("firmware")
    );
}

#[test]
fn a_nodes_hints_come_from_instance_info_first() {
    let hints = |value: Value| {
        let Value::Object(fields) = value else {
            unreachable!("an object was written")
        };
        RootDeviceHints::from_node(&Node(fields))
    };
    let both = hints(json!({
        "instance_info": {"root_device": {"serial": "a"}},
        "properties": {"root_device": {"serial": "b"}},
    }));
    assert_eq!(both.unwrap().unwrap().to_string(), r#"{"serial":"a"}"#);
    let second = hints(json!({
        "instance_info": {"root_device": {}},
        "properties": {"root_device": {"serial": "b"}},
    }));
    assert_eq!(second.unwrap().unwrap().to_string(), r#"{"serial":"b"}"#);
    assert_eq!(hints(json!({"instance_info": {}})).unwrap(), None);

    let unknown = hints(json!({"properties": {"root_device": {"colour": "red"}}})).unwrap_err();
    let text = unknown.to_string();
    assert!(
        text.contains("because they failed to validate. Error: The hints \"colour\" are invalid")
    );
    assert!(hints(json!({"properties": {"root_device": "sda"}})).is_err());
    assert!(hints(json!({"properties": {"root_device": {"serial": ["a"]}}})).is_err());
}

#[test]
fn without_sysfs_there_is_an_error() {
    let recording = Recording::unpack("/proc/");
    let error = list_block_devices(&recording.root(), false).unwrap_err();
    assert!(error.to_string().contains("/sys/block"), "{error}");
}
