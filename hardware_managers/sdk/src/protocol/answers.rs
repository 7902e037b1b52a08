//! What a manager's answers carry, where it is no type of the inventory.

use serde::de::{Deserialize, Deserializer, IgnoredAny};
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::device::WireDevice;

/// Of a method that gives nothing: written as null, and whatever was given is read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Done;

impl From<()> for Done {
    fn from((): ()) -> Self {
        Self
    }
}

impl Serialize for Done {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit()
    }
}

impl<'de> Deserialize<'de> for Done {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

/// Of `filter_device`: the device, of the kind that was asked about, or null; see
/// [`filtered_from_wire`](super::filtered_from_wire).
#[derive(Clone, Debug, serde::Deserialize, PartialEq, Serialize)]
#[serde(transparent)]
pub struct FilteredDevice(pub Value);

/// Of `erase_devices`: null or a record for each device, by name.
#[derive(Clone, Debug, serde::Deserialize, PartialEq, Serialize)]
#[serde(transparent)]
pub struct ErasedDevices(pub Value);

/// Of `get_os_install_device`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum RootDisk {
    /// The device.
    Device(Box<WireDevice>),
    /// Its name alone, as the reference's managers tell it.
    Name(String),
}

impl<'de> Deserialize<'de> for RootDisk {
    /// Not as an untagged enum, whose error does not say what a device lacks.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(name) => Ok(Self::Name(name)),
            device => WireDevice::deserialize(device)
                .map(|device| Self::Device(Box::new(device)))
                .map_err(serde::de::Error::custom),
        }
    }
}

/// A member of the log archive.
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Clone, Debug, serde::Deserialize, PartialEq, Serialize)]
pub struct LogMember {
    /// The name of the file.
    pub name: String,
    /// Its content.
    pub text: String,
}
