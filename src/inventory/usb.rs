//! The USB devices, for the collector `usb-devices`.

use farrier_plugin::UsbDevice;

use crate::sys::root::Root;

const DEVICES: &str = "/sys/bus/usb/devices";

/// Device and interface classes (USB-IF, defined class codes) that lshw, which the reference runs,
/// has a kind of its own for: audio, communication, human interface, printer, storage, hub, video,
/// wireless. Every other one makes a generic device.
const CLASSES_WITH_A_KIND: [u8; 8] = [0x01, 0x02, 0x03, 0x07, 0x08, 0x09, 0x0e, 0xe0];

/// The USB devices (contract/data-plane 9.4) that are neither keyboard, disk, network card nor any other kind of their own:
/// licence dongles, card readers, sensors, serial adapters. Ordered by bus and port.
///
/// The rule is lshw's, as the reference takes its nodes of class `generic`: a device is of the
/// kind that its class code says, else of the first of its interfaces' (those of the configuration
/// in use) that says one. The reference takes only nodes whose id is exactly `usb`, which lshw
/// gives to a device that is alone on its hub and numbers otherwise (`usb:0`, `usb:1`), so that a
/// dongle vanishes from its report as soon as a keyboard is plugged in beside it. Here it does not.
///
/// lshw names a device without strings of its own from a list of vendors, `usb.ids`, where that is
/// installed. The list is 700 KiB and not in this ramdisk: such a device has empty names here.
pub(crate) fn usb_devices(root: &Root) -> Vec<UsbDevice> {
    let names = root.names(DEVICES);
    let mut devices: Vec<&String> = names
        .iter()
        // `usb1` is a root hub, `1-1:1.0` an interface.
        .filter(|name| !name.starts_with("usb") && !name.contains(':'))
        .filter(|name| is_generic(root, name, &names))
        .collect();
    devices.sort_by_cached_key(|name| place(name));
    devices
        .into_iter()
        .filter_map(|name| {
            let attribute =
                |attribute: &str| root.attribute(format!("{DEVICES}/{name}/{attribute}"));
            Some(UsbDevice {
                product: attribute("product").unwrap_or_default(),
                vendor: attribute("manufacturer").unwrap_or_default(),
                // A device without numbers has just been pulled out.
                handle: format!("USB:{}:{}", attribute("busnum")?, attribute("devnum")?),
            })
        })
        .collect()
}

fn is_generic(root: &Root, device: &str, names: &[String]) -> bool {
    let has_kind = |name: &str, attribute: &str| {
        root.attribute(format!("{DEVICES}/{name}/{attribute}"))
            .and_then(|class| u8::from_str_radix(&class, 16).ok())
            .is_some_and(|class| CLASSES_WITH_A_KIND.contains(&class))
    };
    !has_kind(device, "bDeviceClass")
        && !names
            .iter()
            .filter(|name| {
                name.strip_prefix(device)
                    .is_some_and(|rest| rest.starts_with(':'))
            })
            .any(|interface| has_kind(interface, "bInterfaceClass"))
}

/// The numbers in a name such as `1-2.10`: bus, then the port on each hub.
fn place(name: &str) -> Vec<u32> {
    name.split(['-', '.'])
        .map(|number| number.parse().unwrap_or(u32::MAX))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::recording::Recording;

    const MACHINE: &str = "\
/sys/bus/usb/devices/usb1/bDeviceClass = 09
/sys/bus/usb/devices/usb1/busnum = 1
/sys/bus/usb/devices/usb1/devnum = 1
/sys/bus/usb/devices/1-0:1.0/bInterfaceClass = 09
# A dongle.
/sys/bus/usb/devices/1-10/bDeviceClass = ff
/sys/bus/usb/devices/1-10/busnum = 1
/sys/bus/usb/devices/1-10/devnum = 4
/sys/bus/usb/devices/1-10/manufacturer = Acme GmbH
/sys/bus/usb/devices/1-10/product = Licence Key
/sys/bus/usb/devices/1-10:1.0/bInterfaceClass = ff
# A card reader without a name, behind a hub.
/sys/bus/usb/devices/1-2/bDeviceClass = 09
/sys/bus/usb/devices/1-2/busnum = 1
/sys/bus/usb/devices/1-2/devnum = 2
/sys/bus/usb/devices/1-2:1.0/bInterfaceClass = 09
/sys/bus/usb/devices/1-2.1/bDeviceClass = 00
/sys/bus/usb/devices/1-2.1/busnum = 1
/sys/bus/usb/devices/1-2.1/devnum = 3
/sys/bus/usb/devices/1-2.1:1.0/bInterfaceClass = 0b
# A keyboard with a vendor's own interface first.
/sys/bus/usb/devices/1-1/bDeviceClass = 00
/sys/bus/usb/devices/1-1/busnum = 1
/sys/bus/usb/devices/1-1/devnum = 5
/sys/bus/usb/devices/1-1:1.0/bInterfaceClass = ff
/sys/bus/usb/devices/1-1:1.1/bInterfaceClass = 03
";

    /// lshw 02.19 was run on the kernel's `usb/devices` text of such a machine: both of these, and
    /// no other device, are of class `generic`, the card reader as `usb` and the dongle as `usb:2`.
    #[test]
    fn generic_devices_are_reported() {
        let devices = usb_devices(&Recording::unpack(MACHINE).root());
        let expected = [("", "", "USB:1:3"), ("Licence Key", "Acme GmbH", "USB:1:4")];
        assert_eq!(
            devices,
            expected.map(|(product, vendor, handle)| UsbDevice {
                product: product.to_owned(),
                vendor: vendor.to_owned(),
                handle: handle.to_owned(),
            })
        );
        assert!(usb_devices(&Recording::unpack("/sys/bus/").root()).is_empty());
    }
}
