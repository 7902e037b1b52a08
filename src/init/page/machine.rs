//! What the firmware's tables say of this server, before anybody else says more.

use crate::inventory::MachineName;
use crate::sys::printable;
use crate::sys::root::Root;

/// Vendor, product, serial number and UUID. Any may be empty.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Machine {
    /// `ABC1234 (Dell Inc. PowerEdge R650)`.
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
        let name = MachineName::new(
            &field("sys_vendor"),
            &field("product_name"),
            &field("product_serial"),
        );
        Self {
            name: name.known(),
            uuid: field("product_uuid"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_machine_is_named_by_what_its_firmware_says() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::at(directory.path());
        assert_eq!(Machine::read(&root), Machine::default());
        let tables = directory.path().join("sys/class/dmi/id");
        fs::create_dir_all(&tables).unwrap();
        let name = |field: &str, text: &str| {
            fs::write(tables.join(field), text).unwrap();
            Machine::read(&root).name
        };
        assert_eq!(name("product_name", "PowerEdge R650\n"), "PowerEdge R650");
        assert_eq!(
            name("sys_vendor", "Dell Inc.\x1b[2J\n"),
            "Dell Inc. [2J PowerEdge R650"
        );
        assert_eq!(
            name("product_serial", "  ABC1234 \n"),
            "ABC1234 (Dell Inc. [2J PowerEdge R650)"
        );
        assert_eq!(
            name("product_serial", "To Be Filled By O.E.M.\n"),
            "Dell Inc. [2J PowerEdge R650"
        );
    }
}
