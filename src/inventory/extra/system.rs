//! Facts of the machine as a whole, its firmware and the kernel.

use super::fact::{Fact, Facts};
use crate::inventory::cpu::architecture;
use crate::inventory::{Smbios, Structure};
use crate::sys::kernel_parameters;
use crate::sys::log::mask;
use crate::sys::root::Root;

/// Structure types (DSP0134, 7).
const FIRMWARE: u8 = 0;
const SYSTEM: u8 = 1;
const BOARD: u8 = 2;

/// Serial numbers of makers who set none.
const NO_SERIALS: [&str; 2] = ["0123456789", "0000000000"];

/// Product, board and firmware.
///
/// The product is the system's. The reference means to report that one, too, and reports the board
/// again: since lshw leaves out the outermost element of its XML, it looks one level too deep.
pub(super) fn add_machine(smbios: &Smbios, list: &mut Vec<Fact>) {
    let text = |kind: u8, offset: usize| smbios.first(kind)?.string(offset);
    let uuid = smbios
        .first(SYSTEM)
        .and_then(|system| uuid(&system, smbios.version()));
    let board_serial = text(BOARD, 0x07);
    let serial = text(SYSTEM, 0x07).map(|serial| {
        if !NO_SERIALS.contains(&serial.as_str()) {
            return serial;
        }
        uuid.clone()
            .or_else(|| board_serial.clone())
            .unwrap_or(serial)
    });
    // As lshw writes it.
    let name = smbios.system().map(|[_, product, _, sku]| {
        if sku.is_empty() {
            product
        } else {
            format!("{product} ({sku})")
        }
    });

    let mut product = Facts::of(list, "system", "product");
    product.add("serial", serial);
    product.add("name", name.filter(|name| !name.is_empty()));
    product.add("vendor", text(SYSTEM, 0x04));
    product.add("version", text(SYSTEM, 0x06));
    product.add("uuid", uuid);

    let mut board = Facts::of(list, "system", "motherboard");
    board.add("name", text(BOARD, 0x05));
    board.add("vendor", text(BOARD, 0x04));
    board.add("version", text(BOARD, 0x06));
    board.add("serial", board_serial);

    let mut firmware = Facts::of(list, "firmware", "bios");
    firmware.add("version", text(FIRMWARE, 0x05));
    firmware.add("date", text(FIRMWARE, 0x08));
    firmware.add("vendor", text(FIRMWARE, 0x04));
}

/// The kernel's version, architecture and command line.
pub(super) fn add_kernel(root: &Root, list: &mut Vec<Fact>) {
    let mut kernel = Facts::of(list, "system", "kernel");
    kernel.add("version", root.attribute("/proc/sys/kernel/osrelease"));
    // The reference asks for the platform, `uname -i`, which Debian answers with "unknown".
    kernel.add(
        "arch",
        Some(architecture(root)).filter(|name| !name.is_empty()),
    );
    // These facts are kept and shown for years: no password on the command line is among them.
    let line = root.text(kernel_parameters::COMMAND_LINE);
    let parameters = mask(line.unwrap_or_default().trim());
    kernel.add("cmdline", Some(parameters).filter(|text| !text.is_empty()));
}

/// The system's UUID (DSP0134, 7.2.1); `None` where all bits are the same, which is how firmware
/// says that there is none.
fn uuid(system: &Structure<'_>, version: (u8, u8)) -> Option<String> {
    let mut bytes = [0; 16];
    for (offset, byte) in (0x08..).zip(&mut bytes) {
        *byte = system.byte(offset)?;
    }
    if bytes == [0; 16] || bytes == [0xff; 16] {
        return None;
    }
    // Before version 2.6 the first three parts were written in the order of the network.
    let uuid = if version >= (2, 6) {
        uuid::Uuid::from_bytes_le(bytes)
    } else {
        uuid::Uuid::from_bytes(bytes)
    };
    Some(uuid.to_string())
}
