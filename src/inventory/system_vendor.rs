//! Who made the machine and its firmware.

use farrier_plugin::{Firmware, SystemVendor};

use crate::inventory::device_tree::DeviceTree;
use crate::inventory::smbios::Smbios;
use crate::sys::root::Root;

/// Maker, product, serial number and firmware; what the machine does not say is empty
/// (contract/data-plane 8.6).
///
/// Where SMBIOS has a SKU, the product is `product (SKU)`: lshw writes it so, and inspection rules
/// at sites were written against that. A devicetree's model and serial number come before SMBIOS',
/// with lshw, too: boot loaders that make an SMBIOS table of a devicetree fill it with placeholders.
/// Beyond lshw, the tree also names the maker and U-Boot where SMBIOS does not.
pub(crate) fn system_vendor(root: &Root, smbios: Option<&Smbios>) -> SystemVendor {
    let [mut manufacturer, product, mut serial_number, sku] =
        smbios.and_then(Smbios::system).unwrap_or_else(|| {
            [
                "sys_vendor",
                "product_name",
                "product_serial",
                "product_sku",
            ]
            .map(|name| dmi_id(root, name))
        });
    let [mut vendor, mut version, build_date] =
        smbios.and_then(Smbios::firmware).unwrap_or_else(|| {
            ["bios_vendor", "bios_version", "bios_date"].map(|name| dmi_id(root, name))
        });
    let mut product_name = if sku.is_empty() {
        product
    } else {
        format!("{product} ({sku})")
    };
    if let Some(board) = DeviceTree::read(root) {
        if product_name.is_empty() || !board.model.is_empty() {
            board.product().clone_into(&mut product_name);
        }
        if !board.serial_number.is_empty() {
            serial_number = board.serial_number.clone();
        }
        if manufacturer.is_empty() {
            board.manufacturer().clone_into(&mut manufacturer);
        }
        if vendor.is_empty() && version.is_empty() && !board.u_boot.is_empty() {
            "U-Boot".clone_into(&mut vendor);
            version = board.u_boot;
        }
    }
    SystemVendor {
        product_name,
        serial_number,
        manufacturer,
        firmware: Firmware {
            vendor,
            version,
            build_date,
        },
    }
}

/// The kernel's own reading, for a table that the kernel does not hand out.
fn dmi_id(root: &Root, name: &str) -> String {
    root.attribute(format!("/sys/class/dmi/id/{name}"))
        .unwrap_or_default()
}
