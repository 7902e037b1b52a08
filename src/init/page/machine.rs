//! What the firmware's tables say of this server, before anybody else says more.

use crate::sys::printable;
use crate::sys::root::Root;

/// Vendor, product, serial number and UUID. Any may be empty.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Machine {
    /// `Dell Inc. PowerEdge R650, serial number ABC1234`.
    pub(super) name: String,
    pub(super) uuid: String,
}

impl Machine {
    /// Read `/sys/class/dmi/id`, where the kernel has what SMBIOS says (Documentation/ABI/testing/sysfs-firmware-dmi-tables);
    /// boards without it, such as those with a device tree, say nothing.
    pub(super) fn read(root: &Root) -> Self {
        let field = |name: &str| {
            let text = root.attribute(format!("/sys/class/dmi/id/{name}"));
            printable::blanked(&text.unwrap_or_default())
        };
        let mut name = format!("{} {}", field("sys_vendor"), field("product_name"));
        let serial = field("product_serial");
        if !serial.is_empty() {
            name = format!("{}, serial number {serial}", name.trim());
        }
        Self {
            name: name.trim().trim_start_matches(", ").to_owned(),
            uuid: field("product_uuid"),
        }
    }
}
