//! What a devicetree says of the board: the description that U-Boot and other boot loaders hand to the kernel of
//! machines without ACPI (Devicetree Specification, 2.3 and 3.2).

use crate::sys::root::Root;

/// Where the kernel shows it; `/proc/device-tree` is a link to this.
const BASE: &str = "/sys/firmware/devicetree/base";

/// The root node. What it does not say is empty.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct DeviceTree {
    /// What people call the board: `Radxa ROCK 5B`.
    pub(super) model: String,
    /// Its serial number. Not in the specification, but what U-Boot writes and every distribution reads.
    pub(super) serial_number: String,
    /// What the board is compatible with, the board itself first: `radxa,rock-5b`, `rockchip,rk3588`.
    pub(super) compatible: Vec<String>,
    /// The version of the U-Boot that started the kernel.
    pub(super) u_boot: String,
}

impl DeviceTree {
    /// The devicetree that the kernel was started with; `None` on a machine that has none, or one by ACPI, whose tree
    /// holds nothing but the kernel's command line.
    pub(crate) fn read(root: &Root) -> Option<Self> {
        let property = |name: &str| {
            let bytes = root.read(format!("{BASE}/{name}")).unwrap_or_default();
            strings(&bytes)
        };
        let first = |name: &str| property(name).into_iter().next().unwrap_or_default();
        let tree = Self {
            model: first("model"),
            serial_number: first("serial-number"),
            compatible: property("compatible"),
            u_boot: first("chosen/u-boot,version"),
        };
        (!tree.model.is_empty() || !tree.compatible.is_empty()).then_some(tree)
    }

    /// What the board is called: its model, else its most exact `compatible`.
    pub(super) fn product(&self) -> &str {
        if self.model.is_empty() {
            self.compatible.first().map_or("", String::as_str)
        } else {
            &self.model
        }
    }

    /// Who made it, by the prefix of `compatible` that each maker has (`radxa`; the kernel's `vendor-prefixes.yaml`).
    /// No property has the maker's name in full.
    pub(super) fn manufacturer(&self) -> &str {
        let board = self.compatible.first().map_or("", String::as_str);
        board.split_once(',').map_or("", |(maker, _)| maker)
    }
}

/// A property's list of strings, each ended by a NUL, without empty ones; without control characters and blanks around
/// them, and bytes that are not UTF-8 as U+FFFD.
pub(super) fn strings(property: &[u8]) -> Vec<String> {
    property
        .split(|byte| *byte == 0)
        .map(|bytes| {
            let text: String = String::from_utf8_lossy(bytes)
                .chars()
                .filter(|character| !character.is_control())
                .collect();
            text.trim().to_owned()
        })
        .filter(|text| !text.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sys::recording::Recording;

    fn tree(listing: &str) -> Option<DeviceTree> {
        DeviceTree::read(&Recording::unpack(listing).root())
    }

    #[test]
    fn a_board_is_what_its_tree_says() {
        let board = tree(
            "/sys/firmware/devicetree/base/model #= \"Raspberry Pi 4 Model B Rev 1.4\" 00\n\
             /sys/firmware/devicetree/base/compatible #= \"raspberrypi,4-model-b\" 00 \"brcm,bcm2711\" 00\n\
             /sys/firmware/devicetree/base/serial-number #= \"100000000000abcd\" 00\n",
        )
        .unwrap();
        assert_eq!(board.product(), "Raspberry Pi 4 Model B Rev 1.4");
        assert_eq!(board.manufacturer(), "raspberrypi");
        assert_eq!(board.serial_number, "100000000000abcd");
        assert_eq!(board.compatible, ["raspberrypi,4-model-b", "brcm,bcm2711"]);
        assert_eq!(board.u_boot, "");
    }

    #[test]
    fn a_board_without_a_model_is_called_by_what_it_is_compatible_with() {
        let board = tree("/sys/firmware/devicetree/base/compatible #= \"linux,dummy-virt\" 00\n");
        assert_eq!(board.unwrap().product(), "linux,dummy-virt");
        let board = tree("/sys/firmware/devicetree/base/compatible = none\n").unwrap();
        assert_eq!((board.product(), board.manufacturer()), ("none", ""));
    }

    #[test]
    fn the_tree_of_a_machine_with_acpi_says_nothing() {
        assert_eq!(
            tree("/sys/firmware/devicetree/base/chosen/bootargs = x\n"),
            None
        );
        assert_eq!(tree("/proc/"), None);
    }

    proptest! {
        #[test]
        fn written_strings_are_read(texts in prop::collection::vec("[!-~]([ -~]{0,20}[!-~])?", 0..6)) {
            let property: Vec<u8> = texts.iter().flat_map(|text| [text.as_bytes(), b"\0"].concat()).collect();
            prop_assert_eq!(strings(&property), texts);
        }

        #[test]
        fn any_property_is_taken(property in prop::collection::vec(any::<u8>(), 0..200)) {
            for text in strings(&property) {
                prop_assert!(!text.is_empty() && !text.contains(char::is_control));
            }
        }
    }
}
