//! The root volume of a node: the array that its RAID configuration has the image go to (contract/data-plane 2.1).
//!
//! The reference remembers it from the creation of the arrays on, and forgets it with the next boot, so that
//! between cleaning and deploying it chooses another disk. Here it follows from the node and from the names of the
//! arrays whenever a root device is chosen.

use std::collections::BTreeSet;

use farrier_plugin::{BlockDevice, ErrorKind, ManagerError, Node, chain};
use serde_json::Value;
use tracing::info;

use super::array::{Array, arrays};
use super::config;
use super::error::RaidError;
use super::validation::{Facts, names, validate};
use crate::sys::root::Root;

/// The node's dictionaries that hold a configuration: what was made, else what is to be made. The conductor fills
/// the first when the step that made the arrays has ended, and empties it when they were deleted.
const DICTIONARIES: [&str; 2] = [MADE, "target_raid_config"];
const MADE: &str = "raid_config";

/// Where the node's RAID configuration lets an image go.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum RootVolume {
    /// To this array, whatever the hints say.
    Is(Box<BlockDevice>),
    /// To one of these devices, by the hints.
    Among(Vec<BlockDevice>),
}

/// Why the root volume cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum RootVolumeError {
    /// The arrays could not be listed, or the configuration cannot be read.
    #[error(transparent)]
    Raid(#[from] RaidError),
    /// No array has its name.
    #[error(
        "The node's raid_config has the root volume '{name}', and no array has this name (there are: {found}). \
         It is made by create_configuration or apply_configuration, and forgotten by delete_configuration"
    )]
    Missing {
        /// Its name.
        name: String,
        /// The arrays that there are, with their names.
        found: String,
    },
    /// Several arrays have its name.
    #[error(
        "The root volume '{name}' of the node's RAID configuration could be any of {found}: one of them may be \
         of another machine. Take its disks out, or delete the configuration and make it anew"
    )]
    Several {
        /// Its name.
        name: String,
        /// The arrays.
        found: String,
    },
    /// Its array does not run.
    #[error(
        "The root volume '{name}' of the node's RAID configuration is {device}, which does not run: it lacks too \
         many members. It has {members}"
    )]
    Inactive {
        /// Its name.
        name: String,
        /// The array.
        device: String,
        /// Its members.
        members: String,
    },
    /// Nothing may be written to its array.
    #[error(
        "The root volume '{name}' of the node's RAID configuration is {device}, which skip_block_devices or a \
         hardware manager takes away"
    )]
    Skipped {
        /// Its name.
        name: String,
        /// The array.
        device: String,
    },
}

impl From<RootVolumeError> for ManagerError {
    fn from(error: RootVolumeError) -> Self {
        Self::new(ErrorKind::DeviceNotFound, chain(&error))
    }
}

/// What the node's configuration makes of these devices, which are those that an image may go to.
///
/// A volume with `is_root_volume` false is taken away, with its members and the disks that hold them; one that does
/// not say takes nothing away.
///
/// # Errors
/// The configuration was carried out and its root volume is not there, or cannot be told or written.
pub(crate) fn root_volume(
    root: &Root,
    node: &Node,
    devices: Vec<BlockDevice>,
) -> Result<RootVolume, RootVolumeError> {
    let Some(wanted) = Wanted::of(node)? else {
        return Ok(RootVolume::Among(devices));
    };
    let arrays = arrays(root)?;
    if let Some(name) = &wanted.root
        && let Some(array) = wanted.find(name, &arrays)?
    {
        let found = devices.iter().find(|device| device.name == array.device);
        let device = found.ok_or_else(|| RootVolumeError::Skipped {
            name: name.clone(),
            device: array.device.clone(),
        })?;
        info!(
            device = array.device,
            name, "is the root volume by the node's {}", wanted.dictionary
        );
        return Ok(RootVolume::Is(Box::new(device.clone())));
    }
    let taken: BTreeSet<&str> = arrays
        .iter()
        .filter(|array| {
            let name = array.name.as_deref();
            name.is_some_and(|name| wanted.others.contains(name))
        })
        .flat_map(|array| {
            let members = array.members.iter();
            members
                .flat_map(|member| [member.device.as_str(), member.disk.as_str()])
                .chain([array.device.as_str()])
        })
        .collect();
    let left = devices
        .into_iter()
        .filter(|device| !taken.contains(device.name.as_str()))
        .collect();
    Ok(RootVolume::Among(left))
}

/// What a configuration says of root volumes.
#[derive(Debug, Eq, PartialEq)]
struct Wanted {
    dictionary: &'static str,
    /// The volume with `is_root_volume` true.
    root: Option<String>,
    /// Those with `is_root_volume` false.
    others: BTreeSet<String>,
}

impl Wanted {
    /// `None` where no volume of software RAID says whether it is the root volume.
    fn of(node: &Node) -> Result<Option<Self>, RaidError> {
        let given = DICTIONARIES.iter().find_map(|dictionary| {
            let configuration = node.0.get(*dictionary)?;
            (!config::is_none(configuration)).then_some((*dictionary, configuration))
        });
        let Some((dictionary, configuration)) = given else {
            return Ok(None);
        };
        // What the machine had to have for it is not asked again.
        let facts = Facts {
            node: node.uuid().unwrap_or("a node without UUID"),
            protects_names: false,
            disks: usize::MAX,
        };
        let names = match validate(configuration, facts) {
            Ok(volumes) => volumes.into_iter().map(|volume| volume.name).collect(),
            // Nobody made it yet, and nobody will.
            Err(_) if dictionary != MADE => return Ok(None),
            // The reference makes what our rules refuse, such as names with blanks, and its arrays are there.
            Err(_) if are_flags_clear(configuration) => names(configuration)?,
            Err(error) => return Err(error),
        };
        let mut wanted = Self {
            dictionary,
            root: None,
            others: BTreeSet::new(),
        };
        let disks = configuration["logical_disks"].as_array();
        for (name, disk) in names.into_iter().zip(disks.into_iter().flatten()) {
            match disk["is_root_volume"].as_bool() {
                Some(true) => wanted.root = Some(name),
                Some(false) => drop(wanted.others.insert(name)),
                None => {}
            }
        }
        let says = wanted.root.is_some() || !wanted.others.is_empty();
        Ok(says.then_some(wanted))
    }

    /// The array of the root volume; `None` where it was not made yet.
    fn find<'a>(
        &self,
        name: &str,
        arrays: &'a [Array],
    ) -> Result<Option<&'a Array>, RootVolumeError> {
        let named: Vec<&Array> = arrays
            .iter()
            .filter(|array| array.name.as_deref() == Some(name))
            .collect();
        let name = || name.to_owned();
        match named.as_slice() {
            [] if self.dictionary != MADE => Ok(None),
            [] => Err(RootVolumeError::Missing {
                name: name(),
                found: listed(arrays.iter(), |array| {
                    let name = array.name.as_deref().unwrap_or("no name");
                    format!("{} ({name})", array.device)
                }),
            }),
            [array] if !array.is_active => Err(RootVolumeError::Inactive {
                name: name(),
                device: array.device.clone(),
                members: members(array),
            }),
            [array] => Ok(Some(array)),
            several => Err(RootVolumeError::Several {
                name: name(),
                found: listed(several.iter().copied(), |array| {
                    format!("{} (on {})", array.device, members(array))
                }),
            }),
        }
    }
}

/// Whether each volume says whether it is the root volume, or nothing of it, and one at most that it is.
fn are_flags_clear(configuration: &Value) -> bool {
    let disks = configuration["logical_disks"].as_array();
    let mut flags = disks
        .into_iter()
        .flatten()
        .map(|disk| &disk["is_root_volume"]);
    let roots = flags
        .clone()
        .filter(|flag| flag.as_bool() == Some(true))
        .count();
    roots <= 1 && flags.all(|flag| flag.is_null() || flag.is_boolean())
}

fn members(array: &Array) -> String {
    let devices = array.members.iter().map(|member| member.device.as_str());
    devices.collect::<Vec<_>>().join(" and ")
}

fn listed<'a>(arrays: impl Iterator<Item = &'a Array>, word: impl Fn(&Array) -> String) -> String {
    let words: Vec<String> = arrays.map(word).collect();
    match words.is_empty() {
        true => "none".to_owned(),
        false => words.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::block::list::list_block_devices;
    use crate::sys::recording::Recording;

    /// What these fields of a node let an image go to on a machine with the arrays `root` (md0), `data` (md1) and
    /// md2 without a name on sda and sdb, and a disk sdc: names, a single one where it is settled.
    fn chosen(fields: Value) -> Result<Vec<String>, String> {
        chosen_of(&Recording::of("software-raid").root(), fields)
    }

    fn chosen_of(root: &Root, fields: Value) -> Result<Vec<String>, String> {
        let node: Node = serde_json::from_value(fields).unwrap();
        let devices = list_block_devices(root, false).unwrap();
        match root_volume(root, &node, devices).map_err(|error| error.to_string())? {
            RootVolume::Is(device) => Ok(vec![format!("is {}", device.name)]),
            RootVolume::Among(devices) => {
                Ok(devices.into_iter().map(|device| device.name).collect())
            }
        }
    }

    fn volume(name: Value, is_root: Value) -> Value {
        json!({"controller": "software", "volume_name": name, "is_root_volume": is_root, "raid_level": "1", "size_gb": 100})
    }

    fn made(volumes: &[Value]) -> Value {
        json!({"raid_config": {"logical_disks": volumes}})
    }

    const ALL: [&str; 6] = [
        "/dev/sda", "/dev/sdb", "/dev/sdc", "/dev/md0", "/dev/md1", "/dev/md2",
    ];

    #[test]
    fn the_root_volume_is_the_root_device() {
        let config = made(&[
            volume(json!("root"), json!(true)),
            volume(json!("data"), json!(false)),
        ]);
        assert_eq!(chosen(config).unwrap(), ["is /dev/md0"]);
        let config = made(&[
            volume(json!("root"), json!(null)),
            volume(json!("data"), json!(true)),
        ]);
        assert_eq!(chosen(config).unwrap(), ["is /dev/md1"]);
        // What was made counts before what is to be made.
        let config = json!({
            "raid_config": {"logical_disks": [volume(json!("root"), json!(true))]},
            "target_raid_config": {"logical_disks": [volume(json!("data"), json!(true))]},
        });
        assert_eq!(chosen(config).unwrap(), ["is /dev/md0"]);
        for raid_config in [json!(null), json!({}), json!({"logical_disks": []})] {
            let config = json!({
                "raid_config": raid_config,
                "target_raid_config": {"logical_disks": [volume(json!("data"), json!(true))]},
            });
            assert_eq!(chosen(config).unwrap(), ["is /dev/md1"]);
        }
    }

    #[test]
    fn a_volume_that_is_not_the_root_volume_takes_its_disks_along() {
        let config = made(&[
            volume(json!("root"), json!(null)),
            volume(json!("data"), json!(false)),
        ]);
        assert_eq!(
            chosen(config).unwrap(),
            ["/dev/sdc", "/dev/md0", "/dev/md2"]
        );
        let config = made(&[volume(json!("other"), json!(false))]);
        assert_eq!(chosen(config).unwrap(), ALL);
    }

    #[test]
    fn what_says_nothing_of_root_volumes_changes_nothing() {
        let hardware = json!({"controller": "0", "volume_name": "root", "is_root_volume": true});
        for fields in [
            json!({}),
            made(&[]),
            made(&[volume(json!("root"), json!(null))]),
            made(&[hardware]),
            json!({"target_raid_config": {"logical_disks": [volume(json!(5), json!(true))]}}),
            // Not made yet.
            json!({"target_raid_config": {"logical_disks": [volume(json!("new"), json!(true))]}}),
        ] {
            assert_eq!(chosen(fields.clone()).unwrap(), ALL, "{fields}");
        }
    }

    #[test]
    fn a_root_volume_that_is_not_there_is_no_reason_to_take_another_disk() {
        let error = chosen(made(&[volume(json!("new"), json!(true))])).unwrap_err();
        for part in [
            "'new'",
            "/dev/md0 (root)",
            "/dev/md1 (data)",
            "delete_configuration",
        ] {
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn an_array_without_a_name_of_its_own_is_called_by_its_number() {
        let recording = Recording::of("software-raid");
        recording.add("/run/udev/data/b9:0 <<\nE:MD_NAME=host7:md1\n.\n/run/udev/data/b9:1 <<\nE:MD_NAME=any:md0\n.");
        // The one that takes the rest is made last, wherever it stands.
        let config = made(&[
            json!({"controller": "software", "size_gb": "MAX", "raid_level": "1", "is_root_volume": true}),
            json!({"controller": "software", "size_gb": 100, "raid_level": "1"}),
        ]);
        assert_eq!(
            chosen_of(&recording.root(), config).unwrap(),
            ["is /dev/md0"]
        );
    }

    #[test]
    fn two_arrays_of_one_name_are_told_apart_by_nobody() {
        let recording = Recording::of("software-raid");
        recording.add("/run/udev/data/b9:1 <<\nE:MD_NAME=host8:root\n.");
        let config = made(&[volume(json!("root"), json!(true))]);
        let error = chosen_of(&recording.root(), config).unwrap_err();
        for part in [
            "/dev/md0 (on /dev/sda1 and /dev/sdb1)",
            "/dev/md1 (on /dev/sda2",
        ] {
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn a_root_volume_that_cannot_be_written_is_named() {
        let config = made(&[volume(json!("root"), json!(true))]);
        let recording = Recording::of("software-raid");
        recording.add("/sys/devices/virtual/block/md0/md/array_state = inactive");
        let error = chosen_of(&recording.root(), config.clone()).unwrap_err();
        assert!(error.contains("/dev/md0, which does not run"), "{error}");
        let node: Node = serde_json::from_value(config).unwrap();
        let recording = Recording::of("software-raid");
        let error = root_volume(&recording.root(), &node, Vec::new()).unwrap_err();
        assert!(error.to_string().contains("skip_block_devices"), "{error}");
    }

    #[test]
    fn what_others_made_by_their_rules_is_found() {
        let recording = Recording::of("software-raid");
        recording.add("/run/udev/data/b9:1 <<\nE:MD_NAME=host8:the root\n.");
        let config = |is_root| made(&[volume(json!("the root"), json!(is_root))]);
        let chosen = |config| chosen_of(&recording.root(), config);
        assert_eq!(chosen(config(Some(true))).unwrap(), ["is /dev/md1"]);
        assert_eq!(chosen(config(None)).unwrap(), ALL);
        assert!(
            !chosen(config(Some(false)))
                .unwrap()
                .contains(&"/dev/md1".to_owned())
        );
    }

    #[test]
    fn a_configuration_that_was_made_and_cannot_be_read_is_an_error() {
        for wrong in [
            made(&[volume(json!("root"), json!("yes"))]),
            made(&[
                volume(json!("root"), json!(true)),
                volume(json!("data"), json!(true)),
            ]),
            json!({"raid_config": {"logical_disks": "root"}}),
        ] {
            assert!(chosen(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
