//! How much memory there is: what the kernel can use, and what is plugged in.

use farrier_plugin::Memory;

use crate::inventory::smbios::Smbios;
use crate::sys::root::Root;

const MIB: u64 = 1 << 20;

/// Memory as the kernel counts it and as the firmware lists it.
///
/// `physical_mb` follows lshw, which the reference runs: the modules that SMBIOS lists, or, where
/// they come to less than the kernel uses (no SMBIOS, a firmware that lists half of them), the
/// memory blocks that are online, or what the kernel uses.
pub(crate) fn memory(root: &Root, smbios: Option<&Smbios>) -> Memory {
    let total = total(root);
    let modules = smbios.map_or(0, Smbios::installed_memory);
    let used = total.unwrap_or(0);
    let physical = if modules > used {
        modules
    } else {
        online_blocks(root).max(used)
    };
    Memory {
        total,
        physical_mb: Some(physical / MIB),
    }
}

/// `MemTotal` in bytes.
fn total(root: &Root) -> Option<u64> {
    let text = root.text("/proc/meminfo").ok()?;
    let kibibytes: u64 = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?
        .split_whitespace()
        .next()?
        .parse()
        .ok()?;
    kibibytes.checked_mul(1024)
}

/// Bytes of the memory blocks that are online.
fn online_blocks(root: &Root) -> u64 {
    const MEMORY: &str = "/sys/devices/system/memory";
    let block_size = root
        .attribute(format!("{MEMORY}/block_size_bytes"))
        .and_then(|size| u64::from_str_radix(&size, 16).ok())
        .unwrap_or(0);
    if block_size == 0 {
        return 0;
    }
    let online = root
        .names(MEMORY)
        .iter()
        .filter(|name| name.starts_with("memory"))
        .filter(|name| root.number(format!("{MEMORY}/{name}/online")) == Some(1))
        .count() as u64;
    online.saturating_mul(block_size)
}
