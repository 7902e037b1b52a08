//! Facts of recorded machines, beside those that the reference reported.

use serde_json::{Value, json};

use super::{Fact, disks, extra_hardware, firmware_facts};
use crate::inventory::Smbios;
use crate::inventory::smbios::tests::structure;
use crate::sys::recording::Recording;

/// A virtual machine, of which hardware-detect 0.33 reported what is compared below.
const VIRTUAL_MACHINE: &str = r#"
/sys/block/vda -> ../devices/virtio1/block/vda
/sys/devices/virtio1/vendor = 0x1af4
/sys/devices/virtio1/block/vda/device -> ../../../virtio1
/sys/devices/virtio1/block/vda/size = 536870912
/sys/devices/virtio1/block/vda/queue/optimal_io_size = 0
/sys/devices/virtio1/block/vda/queue/physical_block_size = 4096
/sys/devices/virtio1/block/vda/queue/rotational = 1
/sys/devices/virtio1/block/vda/queue/nr_requests = 256
/sys/devices/virtio1/block/vda/queue/scheduler = none [mq-deadline] kyber bfq
/sys/block/vdb/size = 1000000
/sys/block/loop0/size = 8388608
/sys/class/net/eth0 -> ../../devices/virtio2/net/eth0
/sys/devices/virtio2/net/eth0/device -> ../../../virtio2
/sys/devices/virtio2/net/eth0/address = 02:fc:00:00:00:01
/sys/devices/virtio2/net/eth0/carrier = 1
/sys/devices/virtio2/net/eth0/duplex = unknown
/sys/devices/virtio2/net/eth0/speed = -1
/sys/devices/virtio2/driver -> ../../bus/virtio/drivers/virtio_net
/sys/bus/virtio/drivers/virtio_net/
/recorded/addresses.json = {"eth0": ["192.0.2.2"]}
/sys/devices/system/cpu/online = 0-1
/sys/devices/system/cpu/present = 0-1
/sys/devices/system/cpu/smt/control = notsupported
/sys/devices/system/cpu/cpu0/topology/physical_package_id = 0
/sys/devices/system/cpu/cpu0/topology/thread_siblings_list = 0
/sys/devices/system/cpu/cpu0/cache/index0/level = 1
/sys/devices/system/cpu/cpu0/cache/index0/type = Data
/sys/devices/system/cpu/cpu0/cache/index0/size = 32K
/sys/devices/system/cpu/cpu0/cache/index0/shared_cpu_list = 0
/sys/devices/system/cpu/cpu0/cache/index1/level = 1
/sys/devices/system/cpu/cpu0/cache/index1/type = Instruction
/sys/devices/system/cpu/cpu0/cache/index1/size = 32K
/sys/devices/system/cpu/cpu0/cache/index1/shared_cpu_list = 0
/sys/devices/system/cpu/cpu0/cache/index2/level = 2
/sys/devices/system/cpu/cpu0/cache/index2/type = Unified
/sys/devices/system/cpu/cpu0/cache/index2/size = 1024K
/sys/devices/system/cpu/cpu0/cache/index2/shared_cpu_list = 0
/sys/devices/system/cpu/cpu0/cache/index3/level = 3
/sys/devices/system/cpu/cpu0/cache/index3/type = Unified
/sys/devices/system/cpu/cpu0/cache/index3/size = 32768K
/sys/devices/system/cpu/cpu0/cache/index3/shared_cpu_list = 0-1
/sys/devices/system/cpu/cpu1/topology/physical_package_id = 0
/sys/devices/system/cpu/cpu1/topology/thread_siblings_list = 1
/sys/devices/system/cpu/cpu1/cache/index0/level = 1
/sys/devices/system/cpu/cpu1/cache/index0/type = Data
/sys/devices/system/cpu/cpu1/cache/index0/size = 32K
/sys/devices/system/cpu/cpu1/cache/index0/shared_cpu_list = 1
/sys/devices/system/cpu/cpu1/cache/index1/level = 1
/sys/devices/system/cpu/cpu1/cache/index1/type = Instruction
/sys/devices/system/cpu/cpu1/cache/index1/size = 32K
/sys/devices/system/cpu/cpu1/cache/index1/shared_cpu_list = 1
/sys/devices/system/cpu/cpu1/cache/index2/level = 2
/sys/devices/system/cpu/cpu1/cache/index2/type = Unified
/sys/devices/system/cpu/cpu1/cache/index2/size = 1024K
/sys/devices/system/cpu/cpu1/cache/index2/shared_cpu_list = 1
/sys/devices/system/cpu/cpu1/cache/index3/level = 3
/sys/devices/system/cpu/cpu1/cache/index3/type = Unified
/sys/devices/system/cpu/cpu1/cache/index3/size = 32768K
/sys/devices/system/cpu/cpu1/cache/index3/shared_cpu_list = 0-1
/sys/devices/system/node/node0/cpulist = 0-1
/sys/devices/system/node/node0/cpumap = 3
/proc/cpuinfo <<
processor	: 0
vendor_id	: AuthenticAMD
cpu family	: 25
model		: 17
model name	: AMD EPYC
stepping	: 1
flags		: fpu vme de
.
/proc/sys/kernel/osrelease = 6.18.44
/proc/sys/kernel/arch = x86_64
/proc/cmdline = console=ttyS0 password=unspoken ipa-inspection-benchmarks=cpu,mem
"#;

fn wire(facts: &[Fact]) -> Vec<Value> {
    facts.iter().map(|fact| json!(fact)).collect()
}

#[test]
fn a_virtual_machine_is_described_as_the_reference_does() {
    let recording = Recording::unpack(VIRTUAL_MACHINE);
    let arch = "x86_64";
    assert_eq!(
        json!(wire(&extra_hardware(&recording.root()).unwrap())),
        json!([
            ["disk", "logical", "count", "1"],
            ["disk", "vda", "size", "274"],
            ["disk", "vda", "vendor", "0x1af4"],
            ["disk", "vda", "optimal_io_size", "0"],
            ["disk", "vda", "physical_block_size", "4096"],
            ["disk", "vda", "rotational", "1"],
            ["disk", "vda", "nr_requests", "256"],
            ["disk", "vda", "scheduler", "mq-deadline"],
            ["network", "eth0", "businfo", "virtio@2"],
            ["network", "eth0", "ipv4", "192.0.2.2"],
            ["network", "eth0", "link", "yes"],
            ["network", "eth0", "driver", "virtio_net"],
            ["network", "eth0", "serial", "02:fc:00:00:00:01"],
            ["cpu", "physical", "number", 1],
            ["cpu", "physical", "smt", "notsupported"],
            ["cpu", "physical_0", "vendor", "AuthenticAMD"],
            ["cpu", "physical_0", "product", "AMD EPYC"],
            ["cpu", "physical_0", "cores", 2],
            ["cpu", "physical_0", "threads", 2],
            ["cpu", "physical_0", "family", 25],
            ["cpu", "physical_0", "model", 17],
            ["cpu", "physical_0", "stepping", 1],
            ["cpu", "physical_0", "architecture", arch],
            ["cpu", "physical_0", "l1d cache", "64 KiB (2 instances)"],
            ["cpu", "physical_0", "l1i cache", "64 KiB (2 instances)"],
            ["cpu", "physical_0", "l2 cache", "2 MiB (2 instances)"],
            ["cpu", "physical_0", "l3 cache", "32 MiB (1 instance)"],
            ["cpu", "physical_0", "flags", "fpu vme de"],
            ["cpu", "physical_0", "threads_per_core", 1],
            ["cpu", "logical", "number", 2],
            ["numa", "nodes", "count", 1],
            ["numa", "node_0", "cpu_count", 2],
            ["numa", "node_0", "cpu_mask", "3"],
            ["system", "kernel", "version", "6.18.44"],
            ["system", "kernel", "arch", arch],
            [
                "system",
                "kernel",
                "cmdline",
                "console=ttyS0 password=*** ipa-inspection-benchmarks=cpu,mem"
            ],
        ])
    );
}

/// What `hardware.diskinfo` makes of this tree was seen by running it on it.
#[test]
fn disks_are_described_as_the_reference_does() {
    let recording = Recording::unpack(
        "\
/sys/block/sda/size = 7814037168
/sys/block/sda/device -> ../../devices/host0/0:0:1:0
/sys/block/sda/queue/scheduler = none
/sys/devices/host0/0:0:1:0/vendor = SEAGATE
/sys/devices/host0/0:0:1:0/model = ST4000NM0025
/sys/devices/host0/0:0:1:0/rev = N003
/sys/devices/host0/0:0:1:0/scsi_disk/0:0:1:0/cache_type = write back
/sys/block/sdb/size = 2000000000
/sys/block/sdb/device -> ../../devices/host0/0:0:2:0
/sys/devices/host0/0:0:2:0/scsi_disk/0:0:2:0/cache_type = none
/sys/block/nvme0n1/size = 1875385008
/sys/block/nvme0n1/device -> ../../devices/nvme/nvme0
/sys/devices/nvme/nvme0/model = ACME NV1
/sys/devices/nvme/nvme0/device -> ../../pci0
/sys/devices/pci0/vendor = 0x144d
/sys/devices/pci0/revision = 0x01
/dev/disk/by-id/wwn-0x5000c500 -> ../../sda
/dev/disk/by-id/scsi-35000c500 -> ../../sda
/dev/disk/by-id/ata-x -> ../../sda
/dev/disk/by-id/ata-x-part1 -> ../../sda1
/dev/sda =
/dev/sda1 =
",
    );
    let mut facts = Vec::new();
    disks::add(&recording.root(), &mut facts);
    assert_eq!(
        json!(wire(&facts)),
        json!([
            ["disk", "logical", "count", "3"],
            ["disk", "nvme0n1", "size", "960"],
            ["disk", "nvme0n1", "vendor", "0x144d"],
            ["disk", "nvme0n1", "model", "ACME NV1"],
            ["disk", "nvme0n1", "revision", "0x01"],
            ["disk", "sda", "size", "4000"],
            ["disk", "sda", "vendor", "SEAGATE"],
            ["disk", "sda", "model", "ST4000NM0025"],
            ["disk", "sda", "rev", "N003"],
            ["disk", "sda", "Write Cache Enable", "1"],
            ["disk", "sda", "Read Cache Disable", "0"],
            ["disk", "sda", "id", "ata-x"],
            ["disk", "sda", "scsi-id", "scsi-35000c500"],
            ["disk", "sda", "wwn-id", "wwn-0x5000c500"],
            ["disk", "sdb", "size", "1024"],
            ["disk", "sdb", "Write Cache Enable", "0"],
            ["disk", "sdb", "Read Cache Disable", "1"],
        ])
    );
}

#[test]
fn a_serial_number_that_nobody_set_is_replaced() {
    let table = structure(
        1,
        1,
        0x1b,
        &[(0x04, &[1, 2, 0, 3]), (0x08, &[0x11; 15]), (0x19, &[4])],
        &[b"ACME", b"X1", b"0123456789", b"SKU 1"],
    );
    let facts = firmware_facts(&Smbios::new(b"_SM3_\0\0\x03\x02", table));
    assert_eq!(
        json!(wire(&facts)),
        json!([
            [
                "system",
                "product",
                "serial",
                "11111111-1111-1111-1111-111111111100"
            ],
            ["system", "product", "name", "X1 (SKU 1)"],
            ["system", "product", "vendor", "ACME"],
            [
                "system",
                "product",
                "uuid",
                "11111111-1111-1111-1111-111111111100"
            ],
        ])
    );
}
