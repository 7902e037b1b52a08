//! Who made the machine and its firmware.

use farrier_plugin::{Firmware, SystemVendor};

use crate::inventory::smbios::Smbios;
use crate::sys::root::Root;

/// Maker, product, serial number and firmware; what the machine does not say is empty
/// (contract/data-plane 8.6).
///
/// Where SMBIOS has a SKU, the product is `product (SKU)`: lshw writes it so, and inspection rules
/// at sites were written against that.
pub(crate) fn system_vendor(root: &Root, smbios: Option<&Smbios>) -> SystemVendor {
    let [manufacturer, product, serial_number, sku] =
        smbios.and_then(Smbios::system).unwrap_or_else(|| {
            [
                "sys_vendor",
                "product_name",
                "product_serial",
                "product_sku",
            ]
            .map(|name| dmi_id(root, name))
        });
    let [vendor, version, build_date] = smbios.and_then(Smbios::firmware).unwrap_or_else(|| {
        ["bios_vendor", "bios_version", "bios_date"].map(|name| dmi_id(root, name))
    });
    SystemVendor {
        product_name: if sku.is_empty() {
            product
        } else {
            format!("{product} ({sku})")
        },
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
