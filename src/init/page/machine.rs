//! What the firmware's tables say of this server, before anybody else says more.

use crate::inventory::{MachineName, Smbios, system_vendor};
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
    /// As the inventory has it, of SMBIOS or a devicetree.
    pub(super) fn read(root: &Root) -> Self {
        let vendor = system_vendor(root, Smbios::read(root).as_ref());
        let name = MachineName::new(
            &printable::blanked(&vendor.manufacturer),
            &printable::blanked(&vendor.product_name),
            &printable::blanked(&vendor.serial_number),
        );
        let uuid = root.attribute("/sys/class/dmi/id/product_uuid");
        Self {
            name: name.known(),
            uuid: printable::blanked(&uuid.unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::sys::recording::Recording;

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

    #[test]
    fn a_board_without_smbios_is_named_by_its_devicetree() {
        let recording = Recording::of("arm64-devicetree");
        assert_eq!(
            Machine::read(&recording.root()).name,
            "0123456789abcdef (radxa Radxa ROCK 5B)"
        );
    }
}
