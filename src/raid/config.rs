//! What a node wants of software RAID: `target_raid_config`, or the argument `raid_config`
//! (contract/data-plane 6.1).

use serde_json::{Map, Value};

use crate::block::hints::{self, RootDeviceHints};

use super::level::RaidLevel;
pub(crate) use crate::block::raid_verdict::ESP;

/// The only controller that is the agent's.
pub(super) const CONTROLLER: &str = "software";

/// Bytes of an array's name, at most (`set_name` of `struct mdp_superblock_1`).
const LONGEST_NAME: usize = 32;

/// One volume: a logical disk of the configuration.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Volume {
    /// Its array's name: `volume_name`, or `md` with its place among the volumes, of which the one
    /// without a size comes last.
    pub(crate) name: String,
    /// The size of the part that each of its disks gives.
    pub(crate) size: Size,
    pub(crate) level: RaidLevel,
    /// One for each disk; `None` where it is made of all disks.
    pub(crate) disks: Option<Vec<RootDeviceHints>>,
}

/// A size in `size_gb`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Size {
    /// So many GiB of each disk. Of the first partition of a disk, what lies before it is part of them.
    Gib(u64),
    /// What is left of the disks.
    Max,
}

/// Whether none of this configuration is software RAID, so that nobody wants anything.
pub(crate) fn is_none(configuration: &Value) -> bool {
    match configuration.get("logical_disks") {
        Some(Value::Array(disks)) => disks.iter().all(|disk| disk["controller"] != CONTROLLER),
        Some(disks) => hints::is_empty(disks),
        None => hints::is_empty(configuration),
    }
}

/// The logical disks as they are written down. Where they are no list, an error in words.
pub(super) fn logical_disks(configuration: &Value) -> Result<&[Value], String> {
    const NONE: &str = "RAID config contains no logical disks";
    if hints::is_empty(configuration) {
        return Err(NONE.to_owned());
    }
    let Value::Object(members) = configuration else {
        return Err(format!(
            "The RAID config has to be an object with logical_disks, and is {}",
            shown(configuration)
        ));
    };
    match members.get("logical_disks") {
        None => Err(NONE.to_owned()),
        Some(Value::Array(disks)) if !disks.is_empty() => Ok(disks),
        Some(empty) if hints::is_empty(empty) => Err(NONE.to_owned()),
        Some(other) => Err(format!(
            "logical_disks of the RAID config has to be a list, and is {}",
            shown(other)
        )),
    }
}

/// A logical disk of which each field was looked at; what is wrong with one is among the errors, and
/// its value is missing here.
#[derive(Debug, Default)]
pub(super) struct LogicalDisk {
    pub(super) is_software: bool,
    /// `None` where it is missing or no text.
    pub(super) level: Option<String>,
    pub(super) size: Option<Size>,
    /// `None` where the volume has none of its own, or a wrong one.
    pub(super) name: Option<String>,
    pub(super) has_name: bool,
    pub(super) is_root: bool,
    /// `None` where it is made of all disks, or they are wrong.
    pub(super) disks: Option<Vec<RootDeviceHints>>,
}

impl LogicalDisk {
    /// Read a logical disk, of which messages say its number, from 1 on.
    pub(super) fn parse(number: usize, value: &Value) -> (Self, Problems) {
        let mut problems = Problems::default();
        let Value::Object(members) = value else {
            problems.type_error(number, "", "an object", value);
            return (Self::default(), problems);
        };
        let fields = Fields { number, members };
        let disk = Self {
            is_software: members.get("controller").and_then(Value::as_str) == Some(CONTROLLER),
            level: fields.level(&mut problems),
            size: fields.size(&mut problems),
            name: fields.name(&mut problems),
            has_name: fields.given("volume_name").is_some(),
            is_root: fields.is_root(&mut problems),
            disks: fields.disks(&mut problems),
        };
        (disk, problems)
    }
}

/// What is wrong with the fields of a logical disk, sorted by where the reference would say it.
#[derive(Debug, Default)]
pub(super) struct Problems {
    /// Of the fields that the reference does not look at, or fails by.
    pub(super) types: Vec<String>,
    /// Of `physical_disks`.
    pub(super) disks: Vec<String>,
}

impl Problems {
    fn type_error(&mut self, number: usize, field: &str, wanted: &str, value: &Value) {
        let owner = if field.is_empty() {
            format!("Logical disk {number}")
        } else {
            format!("{field} of logical disk {number}")
        };
        self.types.push(format!(
            "{owner} has to be {wanted}, and is {}",
            shown(value)
        ));
    }
}

struct Fields<'a> {
    number: usize,
    members: &'a Map<String, Value>,
}

impl<'a> Fields<'a> {
    /// A value; a null counts as absent.
    fn given(&self, name: &str) -> Option<&'a Value> {
        self.members.get(name).filter(|value| !value.is_null())
    }

    fn level(&self, problems: &mut Problems) -> Option<String> {
        match self.given("raid_level") {
            Some(Value::String(level)) => Some(level.clone()),
            Some(other) => {
                problems.type_error(self.number, "raid_level", "text, such as \"1\"", other);
                None
            }
            None => {
                let number = self.number;
                problems
                    .types
                    .push(format!("Logical disk {number} has no raid_level"));
                None
            }
        }
    }

    fn size(&self, problems: &mut Problems) -> Option<Size> {
        const WANTED: &str = "MAX or a whole number of GiB above 0";
        let Some(value) = self.given("size_gb") else {
            let number = self.number;
            problems
                .types
                .push(format!("Logical disk {number} has no size_gb"));
            return None;
        };
        // What Python's int() takes is taken.
        let gib = match value {
            Value::String(text) if text == "MAX" => return Some(Size::Max),
            Value::String(text) => text.trim().parse().ok(),
            Value::Number(number) => number.as_u64().or_else(|| {
                let number = number.as_f64()?;
                let is_whole = number.fract() == 0.0 && (1.0..1e15).contains(&number);
                is_whole.then_some(number as u64)
            }),
            _ => None,
        };
        let gib = gib.filter(|gib| *gib > 0);
        if gib.is_none() {
            problems.type_error(self.number, "size_gb", WANTED, value);
        }
        gib.map(Size::Gib)
    }

    fn name(&self, problems: &mut Problems) -> Option<String> {
        let value = self.given("volume_name")?;
        let Value::String(name) = value else {
            problems.type_error(self.number, "volume_name", "text", value);
            return None;
        };
        if let Err(why) = check_name(name) {
            problems.types.push(format!(
                "volume_name of logical disk {} is {}, and {why}",
                self.number,
                shown(value)
            ));
        }
        Some(name.clone())
    }

    fn is_root(&self, problems: &mut Problems) -> bool {
        match self.given("is_root_volume") {
            None => false,
            Some(Value::Bool(flag)) => *flag,
            Some(other) => {
                problems.type_error(self.number, "is_root_volume", "true or false", other);
                false
            }
        }
    }

    fn disks(&self, problems: &mut Problems) -> Option<Vec<RootDeviceHints>> {
        let value = self.given("physical_disks")?;
        let items = match value {
            Value::Array(items) if items.len() >= 2 => items.as_slice(),
            short => {
                problems.disks.push(
                    "The physical_disks parameter for software RAID must be a list with at least 2 items, \
                     each specifying a disk in the device hints format"
                        .to_owned(),
                );
                short.as_array().map_or(&[][..], Vec::as_slice)
            }
        };
        if items.iter().any(|item| !item.is_object()) {
            problems.disks.push(
                "The physical_disks parameter for software RAID must be a list of device hints \
                 (dictionaries)"
                    .to_owned(),
            );
        }
        let mut parsed = Vec::new();
        for item in items.iter().filter(|item| item.is_object()) {
            match RootDeviceHints::parse(item) {
                Ok(hints) => parsed.push(hints),
                Err(error) => problems.disks.push(format!(
                    "physical_disks of logical disk {}: {}",
                    self.number, error.reason
                )),
            }
        }
        problems.disks.is_empty().then_some(parsed)
    }
}

/// Whether every mdadm takes this name. 4.4 refuses what POSIX would not have in a file name that
/// people pass around; 4.2 takes it, and an array with such a name could not be made again on a newer ramdisk.
fn check_name(name: &str) -> Result<(), &'static str> {
    let is_portable = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if name.is_empty() || name.len() > LONGEST_NAME {
        Err("an array's name has 1 to 32 letters")
    } else if !name.chars().all(is_portable) || name.starts_with(['.', '-']) {
        Err(
            "mdadm takes letters of ASCII, digits, '.', '_' and '-' alone for an array's name, and no '.' or \
             '-' at its start",
        )
    } else if name == ESP {
        Err("that is the name of the array that mirrors the EFI system partition")
    } else {
        Ok(())
    }
}

/// A value as messages show it, of which a long one's start is enough.
pub(super) fn shown(value: &Value) -> String {
    const LONGEST: usize = 64;
    let text = value.to_string();
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
