//! Root device hints: which disk the image goes to.

use std::collections::BTreeMap;
use std::fmt;

use farrier_plugin::{BlockDevice, Node};
use serde_json::{Map, Value};

use crate::block::hint_expression::{
    ExpressionError, NumberCondition, TextCondition, parse_boolean,
};

/// Without hints, disks below this many bytes are not taken (contract/data-plane 2.1).
pub(crate) const DEFAULT_MINIMUM_BYTES: u64 = 4 * GIB;

/// The node's dictionaries that hold hints; the first that has any counts.
pub(crate) const DICTIONARIES: [&str; 2] = ["instance_info", "properties"];

const GIB: u64 = 1 << 30;

/// The hints that there are, in the order in which the reference lists them.
const NAMES: [&str; 12] = [
    "size",
    "model",
    "wwn",
    "serial",
    "vendor",
    "wwn_with_extension",
    "wwn_vendor_extension",
    "name",
    "rotational",
    "hctl",
    "by_path",
    "tran",
];

/// Hints that were read and found valid. A device must meet all of them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RootDeviceHints {
    source: Map<String, Value>,
    conditions: BTreeMap<String, Condition>,
}

/// Hints that cannot be used. The text is the one that the conductor stores.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "No devices could be found using the root device hints {hints} because they failed to \
     validate. Error: {reason}"
)]
pub(crate) struct InvalidHints {
    /// The hints as JSON.
    pub hints: String,
    /// What is wrong.
    pub reason: HintError,
}

/// What is wrong with hints.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum HintError {
    /// Hints of a name that there is not.
    #[error("The hints \"{unknown}\" are invalid. Valid hints are: \"{valid}\"")]
    Unknown {
        /// Their names.
        unknown: String,
        /// The names that there are.
        valid: String,
    },
    /// An object without a hint, which every device would meet.
    #[error("An object of hints must hold at least one")]
    Empty,
    /// Hints that are not an object.
    #[error("Root device hints must be an object of names and expressions")]
    NotAnObject,
    /// A list of hints that is not a list.
    #[error("A list of hints must be a list of objects of names and expressions")]
    NotAList,
    /// A hint whose expression does not parse.
    #[error(transparent)]
    Expression(ExpressionError),
}

/// No device to deploy to. `Display` is the contract's text (contract/data-plane 2.1) followed by
/// the devices that there are.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum DeviceNotFound {
    /// No hints, and all disks too small.
    #[error(
        "No suitable device was found for deployment - root device hints were not provided and all \
         found block devices are smaller than {DEFAULT_MINIMUM_BYTES}B. {found}"
    )]
    AllTooSmall {
        /// The devices that there are.
        found: String,
    },
    /// No device meets the hints.
    #[error("No suitable device was found for deployment using these hints {hints}. {found}")]
    NoMatch {
        /// The hints as JSON.
        hints: String,
        /// The devices that there are.
        found: String,
    },
}

#[derive(Clone, Debug, PartialEq)]
enum Condition {
    Text(TextCondition),
    Number(NumberCondition),
    Flag(bool),
}

impl RootDeviceHints {
    /// The node's hints, of the first of [`DICTIONARIES`] that has any.
    pub(crate) fn from_node(node: &Node) -> Result<Option<Self>, InvalidHints> {
        let hints = DICTIONARIES
            .iter()
            .find_map(|dictionary| given(node, dictionary));
        match hints {
            Some(hints) => Self::parse(hints).map(Some),
            None => Ok(None),
        }
    }

    /// Read an object of hints, of which there must be at least one.
    pub(crate) fn parse(hints: &Value) -> Result<Self, InvalidHints> {
        let invalid = |reason| InvalidHints {
            hints: hints.to_string(),
            reason,
        };
        let Value::Object(source) = hints else {
            return Err(invalid(HintError::NotAnObject));
        };
        if source.is_empty() {
            return Err(invalid(HintError::Empty));
        }
        let conditions = read_conditions(source).map_err(invalid)?;
        Ok(Self {
            source: source.clone(),
            conditions,
        })
    }

    /// Whether a device meets all hints.
    pub(crate) fn matches(&self, device: &BlockDevice) -> bool {
        self.conditions
            .iter()
            .all(|(name, condition)| condition.holds(name, device))
    }

    /// Whether the hints say which device by its own name, not only what it is like.
    pub(crate) fn names_one_device(&self) -> bool {
        ["name", "by_path"]
            .iter()
            .any(|name| self.conditions.contains_key(*name))
    }
}

impl fmt::Display for RootDeviceHints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Value::Object(self.source.clone()))
    }
}

/// The device to deploy to: with hints the first that meets them all, without hints the smallest
/// of at least [`DEFAULT_MINIMUM_BYTES`], by name among equals.
pub(crate) fn select<'h, 'd>(
    hints: impl Into<Option<&'h RootDeviceHints>>,
    devices: &'d [BlockDevice],
) -> Result<&'d BlockDevice, DeviceNotFound> {
    match hints.into() {
        Some(hints) => devices
            .iter()
            .find(|device| hints.matches(device))
            .ok_or_else(|| DeviceNotFound::NoMatch {
                hints: hints.to_string(),
                found: describe(devices),
            }),
        None => devices
            .iter()
            .filter(|device| device.size >= DEFAULT_MINIMUM_BYTES)
            .min_by_key(|device| (device.size, &device.name))
            .ok_or_else(|| DeviceNotFound::AllTooSmall {
                found: describe(devices),
            }),
    }
}

/// What this dictionary of the node holds for hints, not read yet. What is empty is none, as in the
/// reference: an empty object, list or text, 0 and false.
pub(crate) fn given<'n>(node: &'n Node, dictionary: &str) -> Option<&'n Value> {
    node.field(dictionary, "root_device")
        .filter(|hints| !is_empty(hints))
}

/// Whether Python takes this value for false, which is how the reference tells what is absent.
pub(crate) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(object) => object.is_empty(),
    }
}

fn read_conditions(source: &Map<String, Value>) -> Result<BTreeMap<String, Condition>, HintError> {
    let unknown: Vec<&str> = source
        .keys()
        .map(String::as_str)
        .filter(|name| !NAMES.contains(name))
        .collect();
    if !unknown.is_empty() {
        return Err(HintError::Unknown {
            unknown: unknown.join(", "),
            valid: NAMES.join(", "),
        });
    }
    source
        .iter()
        .map(|(name, value)| Ok((name.clone(), read_condition(name, value)?)))
        .collect()
}

fn read_condition(name: &str, value: &Value) -> Result<Condition, HintError> {
    let text = match value {
        Value::String(text) => Some(text.clone()),
        _ => None,
    };
    let as_text = || text.clone().unwrap_or_else(|| value.to_string());
    match name {
        "size" => NumberCondition::parse(name, &as_text()).map(Condition::Number),
        "rotational" => parse_boolean(name, &as_text()).map(Condition::Flag),
        _ => match text {
            Some(text) => TextCondition::parse(name, &text).map(Condition::Text),
            None => Err(ExpressionError::NotAString {
                hint: name.to_owned(),
                value: value.to_string(),
            }),
        },
    }
    .map_err(HintError::Expression)
}

impl Condition {
    fn holds(&self, name: &str, device: &BlockDevice) -> bool {
        match self {
            Self::Text(condition) => condition.holds(text_values(name, device)),
            Self::Number(condition) => condition.holds(device.size as f64 / GIB as f64),
            Self::Flag(wanted) => device.rotational == *wanted,
        }
    }
}

/// Everything that a device is called under this hint's name.
fn text_values<'d>(name: &str, device: &'d BlockDevice) -> Vec<&'d str> {
    let (one, more): (Option<&str>, &[String]) = match name {
        "name" => (Some(&device.name), &[]),
        "model" => (device.model.as_deref(), &[]),
        "vendor" => (device.vendor.as_deref(), &[]),
        "serial" => (device.serial.as_deref(), &device.all_serials),
        "wwn" => (device.wwn.as_deref(), &device.all_wwns),
        "wwn_with_extension" => (device.wwn_with_extension.as_deref(), &[]),
        "wwn_vendor_extension" => (device.wwn_vendor_extension.as_deref(), &[]),
        "hctl" => (device.hctl.as_deref(), &[]),
        "by_path" => (device.by_path.as_deref(), &[]),
        "tran" => (device.tran.as_deref(), &[]),
        _ => (None, &[]),
    };
    let mut values: Vec<&str> = one
        .into_iter()
        .chain(more.iter().map(String::as_str))
        .collect();
    if name == "by_path"
        && let Some(links) = device.extra.get("by_paths").and_then(Value::as_array)
    {
        // A disk has several links; the reference knows one of them at random.
        values.extend(links.iter().filter_map(Value::as_str));
    }
    values
}

/// The devices for the reader of an error: names, sizes and serial numbers.
fn describe(devices: &[BlockDevice]) -> String {
    const SHOWN: usize = 16;
    if devices.is_empty() {
        return "The machine shows no usable block device; is the driver of its controller in \
                this ramdisk?"
            .to_owned();
    }
    let mut list: Vec<String> = devices
        .iter()
        .take(SHOWN)
        .map(|device| {
            let serial = device.serial.as_deref().unwrap_or("none");
            format!(
                "{} ({:.2} GiB, serial {serial})",
                device.name,
                device.size as f64 / GIB as f64
            )
        })
        .collect();
    if devices.len() > SHOWN {
        list.push(format!("and {} more", devices.len() - SHOWN));
    }
    format!("Devices found: {}", list.join(", "))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn any_device() -> impl Strategy<Value = BlockDevice> {
        (
            prop_oneof![Just("a"), Just("b"), Just("A b")],
            prop::option::of(prop_oneof![Just("x"), Just("y"), Just("none")]),
            0u64..8,
            any::<bool>(),
            0u32..4,
        )
            .prop_map(|(serial, model, size, rotational, number)| BlockDevice {
                name: format!("/dev/sd{number}"),
                serial: Some(serial.to_owned()),
                all_serials: vec![serial.to_owned(), format!("ACME_{serial}")],
                model: model.map(str::to_owned),
                size: size * GIB,
                rotational,
                ..BlockDevice::default()
            })
    }

    /// A hint, and by another way than the matcher's whether a device meets it.
    fn any_hint() -> impl Strategy<Value = (&'static str, Value, fn(&BlockDevice) -> bool)> {
        let hint = |name, value: Value, meets: fn(&BlockDevice) -> bool| Just((name, value, meets));
        prop_oneof![
            hint("serial", json!("a"), |d| d.serial.as_deref() == Some("a")),
            hint("serial", json!(" a B "), |d| d.serial.as_deref()
                == Some("A b")),
            hint("serial", json!("s!= acme_b"), |d| d.serial.as_deref()
                != Some("b")),
            hint("serial", json!("<or> a <or> b"), |d| {
                matches!(d.serial.as_deref(), Some("a" | "b"))
            }),
            hint("model", json!("x"), |d| d.model.as_deref() == Some("x")),
            hint("model", json!("<in> on"), |d| d.model.as_deref()
                == Some("none")),
            hint("model", json!("s!= x"), |d| d.model.as_deref() != Some("x")),
            hint("size", json!(5), |d| d.size == 5 << 30),
            hint("size", json!(">= 5"), |d| d.size >= 5 << 30),
            hint("size", json!("< 3"), |d| d.size < 3 << 30),
            hint("size", json!("<or> 1 <or> 7"), |d| {
                d.size == 1 << 30 || d.size == 7 << 30
            }),
            hint("rotational", json!("yes"), |d| d.rotational),
            hint("rotational", json!(false), |d| !d.rotational),
            hint("name", json!("<or> /dev/sd1 <or> /dev/SD2"), |d| {
                d.name == "/dev/sd1" || d.name == "/dev/sd2"
            }),
        ]
    }

    proptest! {
        #[test]
        fn the_first_device_that_meets_all_hints_is_selected(
            devices in proptest::collection::vec(any_device(), 0..6),
            hints in proptest::collection::vec(any_hint(), 1..4),
        ) {
            // Of two hints of one name, the later one stands in the object.
            let hints: BTreeMap<_, _> = hints
                .into_iter()
                .map(|(name, value, meets)| (name, (value, meets)))
                .collect();
            let object: Map<String, Value> = hints
                .iter()
                .map(|(name, (value, _))| ((*name).to_owned(), value.clone()))
                .collect();
            let parsed = RootDeviceHints::parse(&Value::Object(object)).unwrap();
            let expected = devices
                .iter()
                .find(|device| hints.values().all(|(_, meets)| meets(device)));
            prop_assert_eq!(select(&parsed, &devices).ok(), expected);
        }

        #[test]
        fn without_hints_the_smallest_fit_is_selected(
            devices in proptest::collection::vec(any_device(), 0..6),
        ) {
            match select(None, &devices) {
                Ok(selected) => {
                    prop_assert!(selected.size >= DEFAULT_MINIMUM_BYTES);
                    for device in devices.iter().filter(|d| d.size >= DEFAULT_MINIMUM_BYTES) {
                        prop_assert!((selected.size, &selected.name) <= (device.size, &device.name));
                    }
                }
                Err(_) => prop_assert!(devices.iter().all(|d| d.size < DEFAULT_MINIMUM_BYTES)),
            }
        }

        #[test]
        fn the_order_of_the_listing_does_not_matter_without_hints(
            (devices, shuffled) in proptest::collection::vec(any_device(), 0..6)
                .prop_flat_map(|devices| (Just(devices.clone()), Just(devices).prop_shuffle())),
        ) {
            let place = |device: &BlockDevice| (device.size, device.name.clone());
            prop_assert_eq!(
                select(None, &devices).ok().map(place),
                select(None, &shuffled).ok().map(place)
            );
        }

        #[test]
        fn what_is_selected_meets_the_hints(
            devices in proptest::collection::vec(any_device(), 0..6), (name, value, _) in any_hint(),
        ) {
            let hints = RootDeviceHints::parse(&json!({ name: value })).unwrap();
            match select(&hints, &devices) {
                Ok(selected) => prop_assert!(hints.matches(selected)),
                Err(_) => prop_assert!(!devices.iter().any(|device| hints.matches(device))),
            }
        }

        #[test]
        fn any_object_parses_or_is_refused(name in prop_oneof![Just("size"), Just("model"), Just("rotational"), Just("other")], text in ".{0,20}") {
            let _ = RootDeviceHints::parse(&json!({ name: text }));
        }
    }
}
