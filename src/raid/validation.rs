//! The rules of a RAID configuration (contract/data-plane 6.2). All that is wrong is told at once.

use std::collections::BTreeSet;

use serde_json::Value;

use super::config::{LogicalDisk, Size, Volume, logical_disks};
use super::error::RaidError;
use super::level::RaidLevel;

/// The level that the first volume has to have: the system is on it, and its disks carry what firmware boots.
const FIRST: RaidLevel = RaidLevel::Raid1;

/// What the rules ask of the machine and its node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts<'a> {
    /// The node, for messages.
    pub(crate) node: &'a str,
    /// Whether its `skip_block_devices` protects arrays by name.
    pub(crate) protects_names: bool,
    /// How many disks there are.
    pub(crate) disks: usize,
}

/// The volumes of a configuration in its order, where all rules are kept.
///
/// # Errors
/// [`RaidError::Configuration`] with the text of each rule that is broken; [`RaidError::NoVolumes`].
pub(crate) fn validate(configuration: &Value, facts: Facts<'_>) -> Result<Vec<Volume>, RaidError> {
    let disks = logical_disks(configuration).map_err(RaidError::NoVolumes)?;
    let mut problems = Vec::new();
    if disks.len() > 2 {
        problems.push("Software RAID configuration requires one or two logical disks".to_owned());
    }
    let mut names = BTreeSet::new();
    let mut has_root = false;
    let mut read = Vec::new();
    for (number, value) in (1..).zip(disks) {
        let (disk, found) = LogicalDisk::parse(number, value);
        problems.extend(found.types);
        if !disk.is_software {
            problems.push(
                "Software RAID configuration requires all logical disks to have \
                 'controller'='software'"
                    .to_owned(),
            );
        }
        if !disk.has_name && facts.protects_names {
            problems.push(
                "All logical disks are required to have a volume name specified as a volume name is \
                 mentioned in the property skip block devices."
                    .to_owned(),
            );
        }
        if let Some(name) = &disk.name
            && !names.insert(name.clone())
        {
            problems.push(duplicate(name));
        }
        if disk.is_root && has_root {
            problems.push(
                "Software RAID configuration allows only one logical disk to be marked as \
                 is_root_volume"
                    .to_owned(),
            );
        }
        has_root |= disk.is_root;
        problems.extend(found.disks);
        read.push(disk);
    }
    check_levels(&read, facts.disks, &mut problems);
    let volumes = volumes(read, &mut names, &mut problems);
    if problems.is_empty() {
        return Ok(volumes);
    }
    Err(RaidError::Configuration {
        node: facts.node.to_owned(),
        problems: problems.join("; "),
    })
}

fn duplicate(name: &str) -> String {
    format!("Duplicate software RAID device name {name} detected")
}

fn check_levels(disks: &[LogicalDisk], found: usize, problems: &mut Vec<String>) {
    let level = |disk: &LogicalDisk| RaidLevel::of_configuration(disk.level.as_deref()?);
    if let Some(first) = disks.first()
        && first.level.is_some()
        && level(first) != Some(FIRST)
    {
        problems.push(
            "Software RAID Configuration requires RAID-1 for the first logical disk".to_owned(),
        );
    }
    let maximal = disks.iter().filter(|disk| disk.size == Some(Size::Max));
    if maximal.count() > 1 {
        problems.push("Software RAID can have only one RAID device with size 'MAX'".to_owned());
    }
    for disk in disks.iter().skip(1) {
        if let (Some(name), None) = (&disk.level, level(disk)) {
            problems.push(format!(
                "Software RAID configuration does not support RAID level {name}"
            ));
        }
    }
    for disk in disks {
        let Some(level) = level(disk) else { continue };
        let members = disk.disks.as_ref().map_or(found, Vec::len).min(found);
        if members < level.least_members() {
            problems.push(too_few(level, members));
        }
    }
}

/// The reference's words for a volume that is made of too few disks.
pub(super) fn too_few(level: RaidLevel, found: usize) -> String {
    format!(
        "Software RAID configuration is not possible for RAID level {} with only {found} block devices \
         found.",
        level.name()
    )
}

/// The names of the volumes of a configuration that was carried out, be it by somebody with other rules.
///
/// # Errors
/// [`RaidError::NoVolumes`].
pub(super) fn names(configuration: &Value) -> Result<Vec<String>, RaidError> {
    let disks = logical_disks(configuration).map_err(RaidError::NoVolumes)?;
    let read = (1..).zip(disks);
    let read: Vec<LogicalDisk> = read
        .map(|(number, value)| LogicalDisk::parse(number, value).0)
        .collect();
    let sizes: Vec<Option<Size>> = read.iter().map(|disk| disk.size).collect();
    let names = read.into_iter().enumerate();
    Ok(names
        .map(|(index, disk)| disk.name.unwrap_or_else(|| given_name(&sizes, index)))
        .collect())
}

/// The volumes in the order in which they were given.
fn volumes(
    disks: Vec<LogicalDisk>,
    names: &mut BTreeSet<String>,
    problems: &mut Vec<String>,
) -> Vec<Volume> {
    let sizes: Vec<Option<Size>> = disks.iter().map(|disk| disk.size).collect();
    let mut volumes = Vec::new();
    for (index, disk) in disks.into_iter().enumerate() {
        let name = disk.name.unwrap_or_else(|| {
            let name = given_name(&sizes, index);
            if !disk.has_name && !names.insert(name.clone()) {
                problems.push(duplicate(&name));
            }
            name
        });
        let level = disk.level.as_deref().and_then(RaidLevel::of_configuration);
        let (Some(level), Some(size)) = (level, disk.size) else {
            // Told already.
            continue;
        };
        volumes.push(Volume {
            name,
            size,
            level,
            disks: disk.disks,
        });
    }
    volumes
}

/// The name that the reference gives a volume without one, by the order in which volumes are made.
fn given_name(sizes: &[Option<Size>], index: usize) -> String {
    format!("md{}", place(sizes, index))
}

/// The place of a volume in the order in which volumes are made: the one of size MAX is last.
fn place(sizes: &[Option<Size>], index: usize) -> usize {
    let turn = |index: usize| (sizes[index] == Some(Size::Max), index);
    let before = (0..sizes.len()).filter(|other| turn(*other) < turn(index));
    before.count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// A value that somebody might write into any field.
    fn value() -> impl Strategy<Value = Value> {
        prop_oneof![
            prop::sample::select(vec![
                json!("MAX"),
                json!("software"),
                json!("1"),
                json!("0"),
                json!("1+0"),
                json!("5"),
                json!("6"),
                json!("root"),
                json!("md0"),
                json!("md1"),
                json!(100),
                json!(null),
                json!(true),
                json!(false),
                json!(-1),
                json!(1e300),
                json!([{"size": 4}, {"rotational": 0}]),
                json!([{}, {}]),
            ]),
            "\\PC{0,40}".prop_map(Value::String),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
        ]
    }

    fn logical_disk() -> impl Strategy<Value = Value> {
        const NAMES: [&str; 6] = [
            "size_gb",
            "raid_level",
            "controller",
            "volume_name",
            "is_root_volume",
            "physical_disks",
        ];
        let changes = prop::collection::vec((prop::sample::select(NAMES.to_vec()), value()), 0..3);
        changes.prop_map(|changes| {
            let mut disk = json!({"size_gb": 100, "raid_level": "1", "controller": "software"});
            for (name, value) in changes {
                disk[name] = value;
            }
            disk
        })
    }

    proptest! {
        #[test]
        fn what_passes_keeps_the_rules(
            disks in prop::collection::vec(prop_oneof![9 => logical_disk(), 1 => value()], 0..4),
            count in 0_usize..6,
        ) {
            let facts = Facts { node: "n", protects_names: false, disks: count };
            let Ok(volumes) = validate(&json!({"logical_disks": disks}), facts) else {
                return Ok(());
            };
            prop_assert_eq!(volumes.len(), disks.len());
            prop_assert!((1..=2).contains(&volumes.len()));
            prop_assert_eq!(volumes[0].level, RaidLevel::Raid1);
            prop_assert!(volumes.iter().filter(|volume| volume.size == Size::Max).count() <= 1);
            let names: BTreeSet<&str> = volumes.iter().map(|volume| volume.name.as_str()).collect();
            prop_assert_eq!(names.len(), volumes.len());
            for volume in volumes {
                prop_assert!((1..=32).contains(&volume.name.len()));
                prop_assert!(!volume.name.contains([':', ' ', '/']));
                let members = volume.disks.as_ref().map_or(count, Vec::len);
                prop_assert!(members.min(count) >= volume.level.least_members());
            }
        }
    }

    #[test]
    fn volumes_without_a_name_are_counted_as_they_are_made() {
        let names = |first: Value, second: Value| -> Vec<String> {
            let disk =
                |size: Value| json!({"size_gb": size, "raid_level": "1", "controller": "software"});
            let configuration = json!({"logical_disks": [disk(first), disk(second)]});
            let facts = Facts {
                node: "n",
                protects_names: false,
                disks: 4,
            };
            let volumes = validate(&configuration, facts).unwrap();
            volumes.into_iter().map(|volume| volume.name).collect()
        };
        assert_eq!(names(json!(1), json!("MAX")), ["md0", "md1"]);
        assert_eq!(names(json!("MAX"), json!(1)), ["md1", "md0"]);
    }
}
