//! How much of a large server is looked at for one inventory: 24 SAS disks, 8 network cards, 128
//! processors, 512 memory blocks. Counted rather than timed, since a count is the same on a busy
//! machine; the time is printed.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Instant;

use farrier_plugin::SilentContext;

use crate::config::{Live, Options};
use crate::hardware::Managers;
use crate::sys::recording::Recording;
use crate::sys::witness::Witness;

const DISKS: usize = 24;
const CARDS: usize = 8;
const PROCESSORS: usize = 128;
const MEMORY_BLOCKS: usize = 512;

#[test]
fn nothing_is_read_twice_for_an_inventory() {
    let recording = Recording::unpack(&large_server());
    let witness = Arc::<Witness>::default();
    let root = recording.root().witnessed(Arc::clone(&witness));
    let options = Options {
        disk_wait_attempts: 0,
        ..Options::default()
    };
    let managers = Managers::discover_at(Live::new(options), root, false, &SilentContext).unwrap();
    let inventory = managers.inventory().unwrap();
    assert_eq!(inventory.disks.len(), DISKS);
    assert_eq!(inventory.interfaces.len(), CARDS);
    assert_eq!(inventory.cpu.count as usize, PROCESSORS);
    assert_eq!(
        inventory.memory.physical_mb,
        Some(MEMORY_BLOCKS as u64 * 2048)
    );

    let reads = witness.reads();
    let again: Vec<_> = reads.iter().filter(|(_, count)| **count > 1).collect();
    assert!(again.is_empty(), "read more than once: {again:#?}");
    let total: usize = reads.values().sum();
    println!("{total} files and directories read");
    // Disks have 30 each, processors 2, memory blocks 1, cards 10.
    assert!(total < 2000, "{total} files and directories are read");

    // Without the witness, which itself follows every link.
    let start = Instant::now();
    let options = Live::new(Options::default());
    let managers = Managers::discover_at(options, recording.root(), false, &SilentContext).unwrap();
    managers.inventory_uncached().unwrap();
    println!(
        "{:.0} ms for one inventory",
        start.elapsed().as_secs_f64() * 1e3
    );
}

/// The tree of such a server.
fn large_server() -> String {
    let mut tree = String::from(
        "/proc/sys/kernel/arch = x86_64\n/proc/sys/kernel/hostname = large\n\
         /proc/cmdline = BOOTIF=01-3c-ec-ef-00-00-00\n/proc/meminfo = MemTotal: 1056964608 kB\n\
         /sys/devices/system/memory/block_size_bytes = 80000000\n",
    );
    let _ = writeln!(
        tree,
        "/sys/devices/system/cpu/present = 0-{}",
        PROCESSORS - 1
    );
    tree.push_str(
        "/sys/firmware/dmi/tables/smbios_entry_point #= \"_SM3_\" 00 18 03 03 00 01\n\
         /sys/firmware/dmi/tables/DMI #= 7f 04 00 00 00 00\n\
         /sys/class/dmi/id/sys_vendor = ACME\n",
    );
    let _ = writeln!(tree, "/proc/cpuinfo <<");
    for cpu in 0..PROCESSORS {
        let _ = writeln!(
            tree,
            "processor\t: {cpu}\nmodel name\t: ACME 9000\nflags\t: fpu vme de\n"
        );
    }
    let _ = writeln!(tree, ".");
    for cpu in 0..PROCESSORS {
        let directory = format!("/sys/devices/system/cpu/cpu{cpu}");
        let _ = writeln!(
            tree,
            "{directory}/topology/physical_package_id = {}\n\
             {directory}/cpufreq/cpuinfo_max_freq = 3800000",
            cpu / 64
        );
    }
    for block in 0..MEMORY_BLOCKS {
        let _ = writeln!(tree, "/sys/devices/system/memory/memory{block}/online = 1");
    }
    for number in 0..DISKS {
        disk(&mut tree, number);
    }
    for number in 0..CARDS {
        let name = format!("ens{number}");
        let device = format!("/sys/devices/pci0000:3a/0000:3b:00.{number}");
        let _ = writeln!(
            tree,
            "/sys/class/net/{name} -> ../../devices/pci0000:3a/0000:3b:00.{number}/net/{name}\n\
             {device}/vendor = 0x8086\n{device}/device = 0x1572\n\
             {device}/driver -> ../../../bus/pci/drivers/i40e\n\
             {device}/net/{name}/address = 3c:ec:ef:00:00:0{number}\n\
             {device}/net/{name}/carrier = 1\n\
             {device}/net/{name}/device -> ../../../0000:3b:00.{number}"
        );
    }
    tree.push_str("/sys/bus/pci/drivers/i40e/\n");
    tree
}

fn disk(tree: &mut String, number: usize) {
    let name = format!("sd{}", char::from(b'a' + number as u8));
    let host = format!(
        "/sys/devices/pci0000:17/0000:18:00.0/host0/port-0:{number}/end_device-0:{number}/\
         target0:0:{number}/0:0:{number}:0"
    );
    let wwn = format!("5000c500aabb{number:04x}");
    let device = format!("{host}/block/{name}");
    let attributes = [
        ("vendor", "SEAGATE "),
        ("model", "ST18000NM004J   "),
        ("type", "0"),
    ];
    for (attribute, value) in attributes {
        let _ = writeln!(tree, "{host}/{attribute} = {value}");
    }
    let attributes = [
        ("dev", format!("8:{}", number * 16)),
        ("size", "35156656128".to_owned()),
        ("ro", "0".to_owned()),
        ("removable", "0".to_owned()),
        ("hidden", "0".to_owned()),
        ("queue/rotational", "1".to_owned()),
        ("queue/logical_block_size", "512".to_owned()),
        ("queue/physical_block_size", "4096".to_owned()),
    ];
    for (attribute, value) in attributes {
        let _ = writeln!(tree, "{device}/{attribute} = {value}");
    }
    let _ = writeln!(
        tree,
        "{device}/device -> ../../../0:0:{number}:0\n{device}/slaves/\n{device}/holders/\n\
         {host}/scsi_device/0:0:{number}:0/\n{host}/sas_device/\n\
         /sys/class/scsi_host/host0/proc_name = mpt3sas\n\
         /sys/block/{name} -> ..{}\n/dev/{name} =\n\
         /dev/disk/by-path/pci-0000:18:00.0-sas-phy{number}-lun-0 -> ../../{name}\n\
         /run/udev/data/b8:{} <<\nE:ID_SERIAL=3{wwn}\nE:ID_SERIAL_SHORT={wwn}\n\
         E:ID_WWN=0x{wwn}\nE:ID_WWN_WITH_EXTENSION=0x{wwn}\n\
         E:ID_SCSI_SERIAL=ZR50{number:04}\nE:ID_MODEL=ST18000NM004J\n\
         E:ID_PATH=pci-0000:18:00.0-sas-phy{number}-lun-0\n.",
        device.trim_start_matches("/sys"),
        number * 16,
    );
}
