//! A block device between two processes: the wire form of the inventory and what the agent knows
//! beyond it.

use serde::de::{Deserialize, Deserializer, Error as _};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::{BlockDevice, Device, NetworkInterface, UsbDevice};

/// Members that a device has here and not in the inventory.
const FURTHER: [&str; 5] = ["uuid", "partuuid", "all_serials", "all_wwns", "extra"];

/// The device as an object.
pub fn device_to_wire(device: &BlockDevice) -> Value {
    // A struct of numbers, texts and truth values always serialises.
    let mut wire = serde_json::to_value(device).unwrap_or_default();
    let further = [
        json!(device.uuid),
        json!(device.partuuid),
        json!(device.all_serials),
        json!(device.all_wwns),
        device.extra.clone(),
    ];
    for (name, value) in FURTHER.into_iter().zip(further) {
        wire[name] = value;
    }
    wire
}

/// The device of such an object. Only `name` and `size` have to be there. Serial number and world
/// wide name count among all of them, so that root device hints find the device by either.
pub fn device_from_wire(wire: &Value) -> Result<BlockDevice, serde_json::Error> {
    let Value::Object(given) = wire else {
        return Err(serde_json::Error::custom("a block device is an object"));
    };
    let mut whole = serde_json::to_value(BlockDevice {
        logical_sectors: 512,
        physical_sectors: 512,
        ..BlockDevice::default()
    })?;
    if let Value::Object(whole) = &mut whole {
        whole.remove("name");
        whole.remove("size");
        whole.extend(given.clone());
    }
    let text = |name: &str| wire.get(name).and_then(Value::as_str).map(str::to_owned);
    let texts = |name: &str, first: &Option<String>| {
        let mut all: Vec<String> = first.iter().cloned().collect();
        for text in wire
            .get(name)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            if let Some(text) = text.as_str()
                && !all.iter().any(|known| known == text)
            {
                all.push(text.to_owned());
            }
        }
        all
    };
    let mut device: BlockDevice = serde_json::from_value(whole)?;
    device.uuid = text("uuid");
    device.partuuid = text("partuuid");
    device.all_serials = texts("all_serials", &device.serial);
    device.all_wwns = texts("all_wwns", &device.wwn);
    device.extra = wire.get("extra").cloned().unwrap_or_default();
    Ok(device)
}

/// A block device as it travels.
#[derive(Clone, Debug, PartialEq)]
pub struct WireDevice(pub BlockDevice);

impl Serialize for WireDevice {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        device_to_wire(&self.0).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for WireDevice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        device_from_wire(&Value::deserialize(deserializer)?)
            .map(Self)
            .map_err(D::Error::custom)
    }
}

/// The word for a device's kind in the parameters of `filter_device`.
pub(super) fn kind_of(device: &Device) -> &'static str {
    match device {
        Device::Block(_) => "block_device",
        Device::Network(_) => "network_interface",
        Device::Usb(_) => "usb_device",
    }
}

/// A device of any kind as an object.
pub(super) fn device_to_value(device: &Device) -> Value {
    match device {
        Device::Block(device) => device_to_wire(device),
        Device::Network(interface) => json!(interface),
        Device::Usb(device) => json!(device),
    }
}

/// The device of this kind of such an object.
pub(super) fn of_kind(kind: &str, wire: &Value) -> Result<Device, serde_json::Error> {
    match kind {
        "block_device" => device_from_wire(wire).map(Device::Block),
        "network_interface" => NetworkInterface::deserialize(wire).map(Device::Network),
        "usb_device" => UsbDevice::deserialize(wire).map(Device::Usb),
        _ => Err(serde_json::Error::custom(format!(
            "there is no device of the kind {kind}"
        ))),
    }
}

/// The result of `filter_device`.
pub(super) fn filtered_to_wire(device: Option<&Device>) -> Value {
    device.map_or(Value::Null, device_to_value)
}

/// What a manager answered to `filter_device`: a device of the same kind and name, or null.
pub fn filtered_from_wire(
    asked: &Device,
    wire: &Value,
) -> Result<Option<Device>, serde_json::Error> {
    if wire.is_null() {
        return Ok(None);
    }
    let device = of_kind(kind_of(asked), wire)?;
    if device.name() != asked.name() {
        return Err(serde_json::Error::custom(format!(
            "{} was answered for {}; a device keeps its name",
            device.name(),
            asked.name()
        )));
    }
    Ok(Some(device))
}

#[cfg(test)]
mod tests {
    use super::super::parameters::Filter;
    use super::*;

    #[test]
    fn a_filtered_device_is_of_its_kind_and_keeps_its_name() {
        let asked = Device::Network(NetworkInterface {
            name: "eno1".to_owned(),
            ..NetworkInterface::default()
        });
        let wire = json!(Filter(asked.clone()));
        assert_eq!(wire["kind"], "network_interface");
        let Filter(back) = serde_json::from_value(wire.clone()).unwrap();
        assert_eq!(back, asked);
        assert_eq!(
            filtered_from_wire(&asked, &filtered_to_wire(Some(&asked))).unwrap(),
            Some(asked.clone())
        );
        assert_eq!(filtered_from_wire(&asked, &Value::Null).unwrap(), None);
        let mut other = wire["device"].clone();
        other["name"] = json!("eno2");
        let error = filtered_from_wire(&asked, &other).unwrap_err();
        assert!(error.to_string().contains("keeps its name"), "{error}");
        assert!(filtered_from_wire(&asked, &json!({"name": "eno1"})).is_err());
        assert!(of_kind("camera", &json!({})).is_err());
    }

    #[test]
    fn a_device_comes_back_as_it_was() {
        let device = BlockDevice {
            name: "/dev/sda".to_owned(),
            size: 1 << 40,
            serial: Some("S1".to_owned()),
            all_serials: vec!["S1".to_owned(), "ACME_S1".to_owned()],
            uuid: Some("u".to_owned()),
            logical_sectors: 4096,
            physical_sectors: 4096,
            extra: json!({ "type": "disk" }),
            ..BlockDevice::default()
        };
        assert_eq!(device_from_wire(&device_to_wire(&device)).unwrap(), device);
    }

    #[test]
    fn a_short_description_is_enough() {
        let device =
            device_from_wire(&json!({ "name": "/dev/x", "size": 7, "serial": "S", "new": 1 }))
                .unwrap();
        assert_eq!((device.size, device.logical_sectors), (7, 512));
        assert_eq!(device.all_serials, ["S"]);
        assert!(device_from_wire(&json!({ "name": "/dev/x" })).is_err());
        assert!(device_from_wire(&json!({ "size": 7 })).is_err());
        assert!(device_from_wire(&json!(["/dev/x", 7])).is_err());
    }
}
