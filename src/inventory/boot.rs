//! How this ramdisk was booted, and what it calls itself.

use farrier_plugin::BootInfo;

use crate::sys::kernel_parameters;
use crate::sys::root::Root;

/// Boot mode and boot interface. `pxe_interface` is the parameter `BOOTIF` as it stands, of the
/// kernel's command line or of virtual media (`01-52-54-…` from PXELINUX, `52:54:…` from iPXE): the
/// conductor reads both.
pub(crate) fn boot_info(root: &Root) -> BootInfo {
    let is_uefi = root.is_dir("/sys/firmware/efi");
    BootInfo {
        current_boot_mode: if is_uefi { "uefi" } else { "bios" }.to_owned(),
        pxe_interface: kernel_parameters::all(root)
            .boot_interface()
            .map(str::to_owned),
    }
}

/// The kernel's host name; `localhost` where none was set, which the kernel itself calls `(none)`.
pub(crate) fn hostname(root: &Root) -> String {
    root.attribute("/proc/sys/kernel/hostname")
        .filter(|name| name != "(none)")
        .unwrap_or_else(|| "localhost".to_owned())
}
