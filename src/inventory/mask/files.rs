//! What the files of a machine are. A file that is not known here is masked whole, so that what a
//! reader reads in time to come is masked until somebody says that it names no machine.

use std::path::Path;

use super::pass::Pass;
use super::{smbios, udev, vpd};
use crate::sys::kernel_parameters::COMMAND_LINE;
use crate::sys::run_files;

pub(super) const SMBIOS_TABLE: &str = "/sys/firmware/dmi/tables/DMI";
pub(super) const HOST_NAME: &str = "/proc/sys/kernel/hostname";

/// What a file is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Content {
    /// Of a kind of machine: stays, but for secrets that can be told in it.
    Kept,
    /// Stays as it is: a checksum is in it.
    Verbatim,
    Smbios,
    Udev,
    UnitSerial,
    Designators,
    Processors,
    HostName,
    /// Masked before the passes.
    Parameters,
    Serial,
    Uuid,
    WideName,
    Mac,
    Label,
    MapperName,
    MapperUuid,
    FabricHost,
    /// Not known, and therefore masked.
    Unknown,
}

const UDEV: &str = "/run/udev/data";

/// Attributes in sysfs of which nothing names a single machine.
const KEPT: [&str; 86] = [
    "array_state",
    "arch",
    "auto_online_blocks",
    "bDeviceClass",
    "bInterfaceClass",
    "bios_date",
    "bios_vendor",
    "bios_version",
    "block_size_bytes",
    "bonding_masters",
    "board_name",
    "board_vendor",
    "board_version",
    "busnum",
    "cache_type",
    "carrier",
    "chassis_type",
    "chassis_vendor",
    "class",
    "compatible",
    "control",
    "core_id",
    "cpuinfo_max_freq",
    "cpuinfo_min_freq",
    "cpulist",
    "cpumap",
    "degraded",
    "dev",
    "device",
    "devnum",
    "discard_granularity",
    "discard_max_bytes",
    "distance",
    "duplex",
    "fw_ver",
    "hidden",
    "ifindex",
    "level",
    "link_layer",
    "logical_block_size",
    "manufacturer",
    "meminfo",
    "metadata_version",
    "model",
    "nr_requests",
    "nsid",
    "numa_node",
    "numastat",
    "online",
    "operstate",
    "optimal_io_size",
    "osrelease",
    "partition",
    "phys_state",
    "physical_block_size",
    "physical_package_id",
    "possible",
    "present",
    "proc_name",
    "product",
    "product_name",
    "product_sku",
    "raid_disks",
    "rate",
    "removable",
    "rev",
    "revision",
    "ro",
    "rotational",
    "scaling_governor",
    "scheduler",
    "shared_cpu_list",
    "size",
    "speed",
    "start",
    "state",
    "subsystem_device",
    "subsystem_vendor",
    "sys_vendor",
    "thread_siblings_list",
    "transport",
    "type",
    "u-boot,version",
    "vendor",
    "write_cache",
    "zoned",
];

/// Serial numbers, asset tags, and NVMe's qualified names, which have them inside.
const SERIALS: [&str; 10] = [
    "serial",
    "serial-number",
    "product_serial",
    "board_serial",
    "chassis_serial",
    "board_asset_tag",
    "chassis_asset_tag",
    "subsysnqn",
    "hostnqn",
    "ieee1394_id",
];

/// Lines of `/proc/cpuinfo` that say what a processor is, of all architectures; ARM and POWER have
/// a serial number among theirs.
const PROCESSOR_LINES: [&str; 51] = [
    "processor",
    "vendor_id",
    "cpu family",
    "model",
    "model name",
    "stepping",
    "microcode",
    "cpu MHz",
    "cache size",
    "physical id",
    "siblings",
    "core id",
    "cpu cores",
    "apicid",
    "initial apicid",
    "fpu",
    "fpu_exception",
    "cpuid level",
    "wp",
    "flags",
    "vmx flags",
    "bugs",
    "bogomips",
    "BogoMIPS",
    "TLB size",
    "clflush size",
    "cache_alignment",
    "address sizes",
    "power management",
    "Features",
    "CPU implementer",
    "CPU architecture",
    "CPU variant",
    "CPU part",
    "CPU revision",
    "Hardware",
    "Revision",
    "Processor",
    "cpu",
    "clock",
    "revision",
    "timebase",
    "platform",
    "MMU",
    "hart",
    "isa",
    "mmu",
    "uarch",
    "mvendorid",
    "marchid",
    "mimpid",
];

pub(super) fn content(path: &Path) -> Content {
    let Some(text) = path.to_str() else {
        return Content::Unknown;
    };
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let parent = path
        .parent()
        .and_then(Path::file_name)
        .and_then(|name| name.to_str());
    match text {
        SMBIOS_TABLE => return Content::Smbios,
        "/sys/firmware/dmi/tables/smbios_entry_point" => return Content::Verbatim,
        HOST_NAME => return Content::HostName,
        COMMAND_LINE | run_files::PARAMETERS => return Content::Parameters,
        "/proc/cpuinfo" => return Content::Processors,
        "/proc/meminfo" | "/proc/sys/kernel/arch" | "/proc/sys/kernel/osrelease" => {
            return Content::Kept;
        }
        _ if path.starts_with(UDEV) => return Content::Udev,
        _ if !path.starts_with("/sys") => return Content::Unknown,
        _ => {}
    }
    match name {
        "vpd_pg80" => Content::UnitSerial,
        "vpd_pg83" => Content::Designators,
        "wwid" => Content::WideName,
        "address" => Content::Mac,
        "symbolic_name" => Content::FabricHost,
        "uuid" if parent == Some("dm") => Content::MapperUuid,
        "name" if parent == Some("dm") => Content::MapperName,
        "uuid" | "product_uuid" | "hostid" => Content::Uuid,
        "name" => Content::Label,
        _ if SERIALS.contains(&name) => Content::Serial,
        _ if KEPT.contains(&name) => Content::Kept,
        _ => Content::Unknown,
    }
}

/// A file's content in one of the passes.
pub(super) fn file(pass: &mut Pass, path: &Path, content: Vec<u8>) -> Vec<u8> {
    match self::content(path) {
        Content::Kept | Content::Parameters => pass.bytes(content),
        Content::Verbatim => content,
        Content::Smbios => {
            let table = smbios::table(pass, content);
            pass.bytes(table)
        }
        Content::UnitSerial => vpd::unit_serial(pass, content),
        Content::Designators => vpd::designators(pass, content),
        Content::Udev => text(pass, content, udev::record),
        Content::Processors => {
            let lines = text(pass, content, processors);
            pass.bytes(lines)
        }
        Content::HostName => attribute(pass, content, host_name),
        Content::Serial => attribute(pass, content, Pass::serial),
        Content::Uuid => attribute(pass, content, Pass::uuid_text),
        Content::WideName => attribute(pass, content, udev::wide_name),
        Content::Mac => attribute(pass, content, Pass::mac_text),
        Content::Label => attribute(pass, content, Pass::label),
        Content::MapperName => attribute(pass, content, udev::mapper_name),
        Content::MapperUuid => attribute(pass, content, udev::mapper_uuid),
        Content::FabricHost => attribute(pass, content, fabric_host),
        Content::Unknown => unknown(pass, content),
    }
}

fn attribute(
    pass: &mut Pass,
    content: Vec<u8>,
    mask: impl Fn(&mut Pass, &str) -> String,
) -> Vec<u8> {
    text(pass, content, |pass, text| {
        inner(text, |inner| mask(pass, inner))
    })
}

/// Bytes that should be text; where they are not, nothing of them stays.
fn text(
    pass: &mut Pass,
    mut content: Vec<u8>,
    mask: impl FnOnce(&mut Pass, &str) -> String,
) -> Vec<u8> {
    match std::str::from_utf8(&content) {
        Ok(text) => mask(pass, text).into_bytes(),
        Err(_) => {
            pass.gone(&mut content);
            content
        }
    }
}

/// Without the padding and the end of line around it, which stay.
fn inner(text: &str, mask: impl FnOnce(&str) -> String) -> String {
    let inner = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
    let start = inner.as_ptr() as usize - text.as_ptr() as usize;
    let masked = if inner.is_empty() {
        String::new()
    } else {
        mask(inner)
    };
    format!("{}{masked}{}", &text[..start], &text[start + inner.len()..])
}

/// The kernel's own words for no name are nobody's; the name without its domain stands in arrays.
fn host_name(pass: &mut Pass, name: &str) -> String {
    if ["(none)", "localhost"].contains(&name) {
        return name.to_owned();
    }
    if let Some((host, _domain)) = name.split_once('.') {
        pass.host(host);
    }
    pass.host(name)
}

/// Of a file that is not known, lines and their lengths are left.
fn unknown(pass: &mut Pass, content: Vec<u8>) -> Vec<u8> {
    text(pass, content, |pass, text| {
        text.split_inclusive('\n')
            .map(|line| inner(line, |line| pass.serial(line)))
            .collect()
    })
}

/// `key : value` lines.
fn processors(pass: &mut Pass, text: &str) -> String {
    text.split_inclusive('\n')
        .map(|line| match line.split_once(':') {
            Some((key, value)) if !PROCESSOR_LINES.contains(&key.trim()) => {
                format!("{key}:{}", inner(value, |value| pass.serial(value)))
            }
            _ => line.to_owned(),
        })
        .collect()
}

/// The port of a fabric tells host names and software; that it is one over Ethernet is said by
/// ` over `.
fn fabric_host(pass: &mut Pass, text: &str) -> String {
    const OVER: &str = " over ";
    text.split(OVER)
        .map(|part| pass.serial(part))
        .collect::<Vec<_>>()
        .join(OVER)
}
