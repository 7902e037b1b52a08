//! How this ramdisk was booted, and what it calls itself.

use farrier_plugin::BootInfo;

use crate::sys::root::Root;

/// Boot mode and boot interface. `pxe_interface` is the kernel parameter `BOOTIF` as it stands
/// (`01-52-54-…` from PXELINUX, `52:54:…` from iPXE): the conductor reads both.
pub fn boot_info(root: &Root) -> BootInfo {
    let is_uefi = root.is_dir("/sys/firmware/efi");
    let parameters = root.text("/proc/cmdline").unwrap_or_default();
    BootInfo {
        current_boot_mode: if is_uefi { "uefi" } else { "bios" }.to_owned(),
        pxe_interface: parameters
            .split_whitespace()
            .filter_map(|parameter| parameter.strip_prefix("BOOTIF="))
            .rfind(|interface| !interface.is_empty())
            .map(|interface| interface.trim_matches('"').to_owned()),
    }
}

/// The kernel's host name; `localhost` where none was set, which the kernel itself calls `(none)`.
pub fn hostname(root: &Root) -> String {
    root.attribute("/proc/sys/kernel/hostname")
        .filter(|name| name != "(none)")
        .unwrap_or_else(|| "localhost".to_owned())
}
