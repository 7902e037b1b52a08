//! Tests of the inventory on recorded machines.

use farrier_plugin::{Memory, NetworkInterface};
use serde_json::{Value, json};

use crate::inventory::{
    InventoryError, Smbios, bmc, boot_info, cpu, interfaces, memory, system_vendor,
};
use crate::sys::recording::Recording;

fn wire(value: impl serde::Serialize) -> Value {
    serde_json::to_value(value).unwrap()
}

fn named<'i>(interfaces: &'i [NetworkInterface], name: &str) -> &'i NetworkInterface {
    interfaces
        .iter()
        .find(|interface| interface.name == name)
        .unwrap()
}

#[test]
fn a_qemu_server_is_described_as_the_reference_does() {
    let recording = Recording::of("qemu-lab");
    let root = recording.root();
    // All of this but the flags, which are cut, is what the reference sent in a recorded
    // inspection of such a server.
    assert_eq!(
        wire(interfaces(&root).unwrap()),
        json!([{
            "name": "enp0s4", "mac_address": "52:54:00:1a:b0:01", "ipv4_address": "10.77.0.89",
            "ipv6_address": "fe80::5054:ff:fe1a:b001%enp0s4", "has_carrier": true, "lldp": null,
            "vendor": "0x1af4", "product": "0x0001", "client_id": null, "biosdevname": null,
            "speed_mbps": null, "pci_address": "virtio2", "driver": "virtio_net",
        }])
    );
    assert_eq!(
        wire(cpu(&root, Smbios::read(&root).as_ref())),
        json!({
            "model_name": "QEMU TCG CPU version 2.5+", "frequency": "", "count": 2,
            "architecture": "x86_64",
            "flags": ["fpu", "de", "pse", "tsc", "msr", "pae"], "socket_count": 1,
        })
    );
    assert_eq!(
        wire(memory(&root, Smbios::read(&root).as_ref())),
        json!({"total": 2074587136, "physical_mb": 2048})
    );
    assert_eq!(
        wire(system_vendor(&root, Smbios::read(&root).as_ref())),
        json!({
            "product_name": "qemu", "serial_number": "n1", "manufacturer": "Lab",
            "firmware": {
                "vendor": "SeaBIOS", "version": "1.16.2-debian-1.16.2-1",
                "build_date": "04/01/2014",
            },
        })
    );
    assert_eq!(
        wire(boot_info(&root)),
        json!({"current_boot_mode": "bios", "pxe_interface": "52:54:00:1a:b0:01"})
    );
    let bmc = bmc(&root);
    assert_eq!((bmc.address, bmc.v6address, bmc.mac), (None, None, None));
}

#[test]
fn network_cards_bonds_and_vlans() {
    let recording = Recording::of("nvme-multipath");
    let interfaces = interfaces(&recording.root()).unwrap();
    let names: Vec<&str> = interfaces.iter().map(|i| i.name.as_str()).collect();
    // ens9 leads to the management controller, wwan0 has no address.
    assert_eq!(names, ["bond0", "bond0.100", "ens1f0", "ens1f1", "ibs2"]);

    let card = named(&interfaces, "ens1f1");
    assert_eq!(card.mac_address.as_deref(), Some("3c:ec:ef:10:20:31"));
    assert!(
        !card.has_carrier,
        "carrier cannot be read while the link is down"
    );
    assert_eq!(card.speed_mbps, Some(10_000));
    assert_eq!(card.pci_address.as_deref(), Some("0000:3b:00.1"));
    assert_eq!(card.driver.as_deref(), Some("i40e"));

    let bond = named(&interfaces, "bond0");
    assert_eq!(bond.mac_address.as_deref(), Some("02:00:00:00:00:01"));
    assert_eq!(bond.ipv4_address.as_deref(), Some("192.0.2.31"));
    assert_eq!(bond.ipv6_address.as_deref(), Some("2001:db8::31"));
    assert_eq!((&bond.pci_address, &bond.driver), (&None, &None));

    let infiniband = named(&interfaces, "ibs2");
    assert_eq!(infiniband.mac_address.as_deref(), Some("7c:fe:90:29:26:52"));
    assert!(
        infiniband
            .client_id
            .as_deref()
            .unwrap()
            .ends_with("00:29:26:52")
    );
    assert_eq!(infiniband.driver, None);
}

#[test]
fn a_machine_with_only_fa_addresses_keeps_them() {
    let recording = Recording::unpack(
        "/sys/class/net/eth0/address = fa:16:3e:00:00:01\n/sys/class/net/eth0/device/",
    );
    let interfaces = interfaces(&recording.root()).unwrap();
    assert_eq!(
        interfaces[0].mac_address.as_deref(),
        Some("fa:16:3e:00:00:01")
    );
}

#[test]
fn two_sockets() {
    let recording = Recording::of("nvme-multipath");
    let root = recording.root();
    let cpu = cpu(&root, Smbios::read(&root).as_ref());
    assert_eq!((cpu.count, cpu.socket_count), (4, Some(2)));
    assert_eq!(cpu.frequency, "3799.0720");
    let boot = boot_info(&root);
    assert_eq!(boot.current_boot_mode, "uefi");
    // As a kernel does, the last one counts.
    assert_eq!(boot.pxe_interface.as_deref(), Some("01-3c-ec-ef-10-20-30"));
    let bmc = bmc(&root);
    assert_eq!(bmc.address.as_deref(), Some("192.0.2.131"));
    assert_eq!(bmc.v6address.as_deref(), Some("::/0"));
    assert_eq!(bmc.mac.as_deref(), Some("3c:ec:ef:aa:bb:cc"));
}

#[test]
fn the_boot_interface_that_virtual_media_name_counts() {
    let recording = Recording::unpack(
        "/proc/cmdline = boot_method=vmedia BOOTIF=01-52-54-00-00-00-01\n\
         /run/farrier/parameters.txt <<\nBOOTIF=52:54:00:00:00:02\nipa-debug=1\n.\n",
    );
    let boot = boot_info(&recording.root());
    assert_eq!(boot.pxe_interface.as_deref(), Some("52:54:00:00:00:02"));
}

#[test]
fn without_an_smbios_table_the_kernel_is_asked() {
    let recording = Recording::of("nvme-multipath");
    let root = recording.root();
    let vendor = system_vendor(&root, Smbios::read(&root).as_ref());
    assert_eq!(vendor.product_name, "X1 (X1-77)");
    assert_eq!(vendor.serial_number, "S1");
    assert_eq!(vendor.firmware.version, "2.1");
    // 127 of 128 memory blocks of 2 GiB are online.
    assert_eq!(
        memory(&root, Smbios::read(&root).as_ref()).physical_mb,
        Some(127 * 2048)
    );
}

#[test]
fn broken_smbios_strings_do_no_harm() {
    let recording = Recording::of("broken-smbios");
    let root = recording.root();
    let vendor = system_vendor(&root, Smbios::read(&root).as_ref());
    assert_eq!(vendor.manufacturer, "Supermicro");
    assert_eq!(
        vendor.product_name,
        "X11\u{fffd}\u{fffd}DPi (To be filled by O.E.M.)"
    );
    assert_eq!(vendor.serial_number, "");
    assert_eq!(vendor.firmware.vendor, "American Megatrends");
    assert_eq!(vendor.firmware.version, "");
    assert_eq!(vendor.firmware.build_date, "07/16/2024");
    assert_eq!(
        memory(&root, Smbios::read(&root).as_ref()),
        Memory {
            total: None,
            physical_mb: Some(65_536)
        }
    );
}

#[test]
fn an_empty_machine_is_an_inventory_of_nulls() {
    let recording = Recording::unpack("/proc/");
    let root = recording.root();
    assert!(matches!(
        interfaces(&root),
        Err(InventoryError::NoSysfs { .. })
    ));
    let cpu = cpu(&root, Smbios::read(&root).as_ref());
    assert_eq!(
        (cpu.count, cpu.model_name, cpu.socket_count),
        (0, None, None)
    );
    assert_eq!(memory(&root, Smbios::read(&root).as_ref()).total, None);
    assert_eq!(
        system_vendor(&root, Smbios::read(&root).as_ref()),
        Default::default()
    );
    assert_eq!(boot_info(&root).pxe_interface, None);
}
