//! The hardware inventory in its wire form (contract/data-plane 8.1). Field names and nullness are
//! the conductor's; sizes are bytes unless a field says otherwise.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Everything that an inspection reports about the machine.
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Inventory {
    /// Network interfaces with a usable MAC.
    pub interfaces: Vec<NetworkInterface>,
    /// The processors.
    pub cpu: Cpu,
    /// Disks without partitions.
    pub disks: Vec<BlockDevice>,
    /// Memory.
    pub memory: Memory,
    /// The management controller's IPv4 address.
    pub bmc_address: Option<String>,
    /// The management controller's IPv6 address.
    pub bmc_v6address: Option<String>,
    /// Maker and firmware.
    pub system_vendor: SystemVendor,
    /// How this ramdisk was booted.
    pub boot: BootInfo,
    /// The kernel's host name.
    pub hostname: String,
    /// The management controller's MAC; left out when unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bmc_mac: Option<String>,
}

/// The pieces of one LLDP announcement as `[type, hex]`, in their order.
pub type LldpTlvs = Vec<(u8, String)>;

/// By name of the interface; empty for one that was listened at in vain.
pub type LldpData = BTreeMap<String, LldpTlvs>;

/// A network interface.
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct NetworkInterface {
    /// The kernel's name: `eno1`.
    pub name: String,
    /// Permanent address, else the current one, lower case.
    pub mac_address: Option<String>,
    /// First IPv4 address.
    pub ipv4_address: Option<String>,
    /// First IPv6 address, with `%scope` when link-local.
    pub ipv6_address: Option<String>,
    /// Whether the link is up.
    pub has_carrier: bool,
    /// LLDP as `[type, hex]` pairs, where it was asked for.
    pub lldp: Option<LldpTlvs>,
    /// PCI vendor, `0x8086`.
    pub vendor: Option<String>,
    /// PCI device, `0x1572`.
    pub product: Option<String>,
    /// InfiniBand client id.
    pub client_id: Option<String>,
    /// The name that the firmware gives.
    pub biosdevname: Option<String>,
    /// Greatest speed in Mbit/s.
    pub speed_mbps: Option<u64>,
    /// Last part of the `device` link; for a PCI card its address.
    pub pci_address: Option<String>,
    /// The kernel driver.
    pub driver: Option<String>,
}

/// A USB device of no common kind: a licence dongle, a card reader, a sensor.
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct UsbDevice {
    /// What the device calls itself; empty where it does not.
    pub product: String,
    /// Who it says made it; empty where it does not.
    pub vendor: String,
    /// `USB:BUS:DEVICE`, as lshw names it.
    pub handle: String,
}

/// One of the devices that are listed, for
/// [`HardwareManager::filter_device`](crate::HardwareManager::filter_device).
#[derive(Clone, Debug, PartialEq)]
pub enum Device {
    /// A disk or a partition.
    Block(BlockDevice),
    /// A network interface.
    Network(NetworkInterface),
    /// A USB device.
    Usb(UsbDevice),
}

impl Device {
    /// Its name: `/dev/sda`, `eno1`, `USB:1:4`.
    pub fn name(&self) -> &str {
        match self {
            Self::Block(device) => &device.name,
            Self::Network(interface) => &interface.name,
            Self::Usb(device) => &device.handle,
        }
    }
}

/// The certificate of the agent's API.
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Clone, Deserialize, Eq, PartialEq, Serialize)]
pub struct TlsCertificate {
    /// The certificate, PEM. The conductor is told this text and trusts nothing else.
    pub text: String,
    /// Its key, PEM: PKCS #8, PKCS #1 or SEC 1.
    pub private_key: String,
}

/// Without the key.
impl fmt::Debug for TlsCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsCertificate")
            .field("text", &self.text)
            .finish_non_exhaustive()
    }
}

/// The processors.
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Cpu {
    /// Model, as the processor names itself.
    pub model_name: Option<String>,
    /// Highest frequency in MHz as text, empty when unknown.
    pub frequency: String,
    /// Logical processors.
    pub count: u32,
    /// `x86_64`, `aarch64`.
    pub architecture: String,
    /// Feature flags.
    pub flags: Vec<String>,
    /// Sockets.
    pub socket_count: Option<u32>,
}

/// Memory.
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Memory {
    /// What the kernel can use, in bytes.
    pub total: Option<u64>,
    /// What is plugged in, in MiB.
    pub physical_mb: Option<u64>,
}

/// Maker and firmware.
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct SystemVendor {
    /// Product name.
    pub product_name: String,
    /// Serial number.
    pub serial_number: String,
    /// Manufacturer.
    pub manufacturer: String,
    /// Firmware.
    pub firmware: Firmware,
}

/// The machine's firmware.
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Firmware {
    /// Who made it.
    pub vendor: String,
    /// Its version.
    pub version: String,
    /// `mm/dd/yyyy`.
    pub build_date: String,
}

/// How this ramdisk was booted.
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct BootInfo {
    /// `uefi` or `bios`.
    pub current_boot_mode: String,
    /// The kernel parameter `BOOTIF` as it stands.
    pub pxe_interface: Option<String>,
}

/// A block device.
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct BlockDevice {
    /// Device node: `/dev/sda`.
    pub name: String,
    /// Model.
    pub model: Option<String>,
    /// Bytes.
    pub size: u64,
    /// Whether it turns.
    pub rotational: bool,
    /// World wide name.
    pub wwn: Option<String>,
    /// Serial number.
    pub serial: Option<String>,
    /// Vendor.
    pub vendor: Option<String>,
    /// World wide name with the vendor's extension.
    pub wwn_with_extension: Option<String>,
    /// The vendor's extension alone.
    pub wwn_vendor_extension: Option<String>,
    /// SCSI host, channel, target, LUN: `0:0:0:0`.
    pub hctl: Option<String>,
    /// Link under `/dev/disk/by-path`.
    pub by_path: Option<String>,
    /// Logical sector size in bytes.
    pub logical_sectors: u32,
    /// Physical sector size in bytes.
    pub physical_sectors: u32,
    /// Transport: `nvme`, `sata`, `sas`, `usb`.
    pub tran: Option<String>,
    /// File system UUID; known to the agent, not sent.
    #[serde(skip)]
    pub uuid: Option<String>,
    /// Partition UUID; known to the agent, not sent.
    #[serde(skip)]
    pub partuuid: Option<String>,
    /// Every serial number that some source gives, for root device hints; not sent.
    #[serde(skip)]
    pub all_serials: Vec<String>,
    /// Every world wide name that some source gives, for root device hints; not sent.
    #[serde(skip)]
    pub all_wwns: Vec<String>,
    /// Further facts that a manager knows; not sent.
    #[serde(skip)]
    pub extra: Value,
}
