//! The cases of `tests/fixtures/raid`: what the reference answered, and what this answers.
//! `tests/raid/reference.py` wrote them.

use std::collections::BTreeSet;

use farrier_plugin::{BlockDevice, Node};
use serde_json::{Value, json};

use super::choice::Disks;
use super::layout::{divide, in_order, shape};
use super::mdadm::{Creation, arguments};
use super::validation::{Facts, validate};
use crate::block::boot_mode::{BootMode, DiskLabel};
use crate::block::partition::PartitionKind;
use crate::block::raid_superblock::Metadata;
use crate::block::rescan::partition_name;
use crate::raid::member_table::new_table;
use crate::sys::block_device::{DiskError, Medium};

const NODE: &str = "1be26c0b-03f2-4d2e-ae87-c02d7f33c123";

fn table(name: &str) -> Value {
    let text = match name {
        "validations" => include_str!("../../tests/fixtures/raid/validations.json"),
        _ => include_str!("../../tests/fixtures/raid/layouts.json"),
    };
    serde_json::from_str(text).unwrap()
}

fn check(name: &str, least: usize, answer: fn(&Value) -> Value) {
    let table = table(name);
    let cases = table["cases"].as_array().unwrap();
    assert!(cases.len() >= least);
    let wrong: Vec<String> = cases
        .iter()
        .map(|case| (case, answer(case)))
        .filter(|(case, answer)| *answer != case["farrier"])
        .map(|(case, answer)| format!("{case}\n    answered {answer}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let mut used = BTreeSet::new();
    for case in cases {
        assert!(case["farrier"].get("crashes").is_none(), "{case}");
        let differs = case["farrier"] != case["reference"];
        assert_eq!(differs, case.get("why").is_some(), "{case}");
        used.extend(case.get("why").and_then(Value::as_str));
    }
    let known = table["reasons"].as_object().unwrap();
    let known: BTreeSet<&str> = known.keys().map(String::as_str).collect();
    assert_eq!(used, known);
}

#[test]
fn each_configuration_is_validated_as_the_table_says() {
    check("validations", 60, |case| {
        let facts = Facts {
            node: NODE,
            protects_names: case["protects_names"] == true,
            disks: case["disks"].as_u64().unwrap() as usize,
        };
        match validate(&case["configuration"], facts) {
            Ok(_) => json!({"accepts": true}),
            Err(error) => json!({"refuses": error.to_string()}),
        }
    });
}

#[test]
fn each_machine_is_divided_as_the_table_says() {
    check("layouts", 50, |case| match divided(case) {
        Ok(answer) => answer,
        Err(error) => {
            let words = error.split(['{', '/']).next().unwrap().trim();
            json!({"refuses": words, "is_touched": false})
        }
    });
}

/// The tables, and what mdadm is told, in the reference's order of arguments.
fn divided(case: &Value) -> Result<Value, String> {
    let capabilities = format!(
        "boot_mode:{},disk_label:{}",
        case["boot_mode"].as_str().unwrap(),
        case["disk_label"].as_str().unwrap_or("")
    );
    let node: Node =
        serde_json::from_value(json!({"properties": {"capabilities": capabilities}})).unwrap();
    let sizes = case["sizes"].as_array().unwrap();
    let devices: Vec<BlockDevice> = sizes
        .iter()
        .zip('a'..)
        .map(|(size, letter)| BlockDevice {
            name: format!("/dev/sd{letter}"),
            size: size.as_u64().unwrap(),
            logical_sectors: 512,
            ..BlockDevice::default()
        })
        .collect();
    let facts = Facts {
        node: NODE,
        protects_names: false,
        disks: devices.len(),
    };
    let text = |error: super::error::RaidError| error.to_string();
    let volumes = validate(&case["configuration"], facts).map_err(text)?;
    let ordered = in_order(&volumes);
    let chosen: Vec<Vec<_>> = Disks::all_free(&devices)
        .choose(&ordered)
        .map_err(text)?
        .into_iter()
        .map(|disks| disks.into_iter().map(shape).collect())
        .collect();
    let mode = BootMode::of(&node, false);
    let wanted: Vec<_> = ordered.iter().map(|volume| volume.size).collect();
    let divisions = divide(mode, DiskLabel::of(&node, mode), &wanted, &chosen).map_err(text)?;
    let mut tables = serde_json::Map::new();
    for division in &divisions {
        let partitions: Vec<Value> = new_table(&Sized(division.disk.size), division)
            .unwrap()
            .partitions()
            .iter()
            .map(|partition| {
                let (kind, name) = match partition.kind {
                    PartitionKind::Gpt(kind) => (kind.to_string(), json!("primary")),
                    PartitionKind::Mbr(kind) => (format!("{kind:x}"), Value::Null),
                };
                json!([
                    partition.number,
                    partition.offset,
                    partition.length,
                    kind,
                    name
                ])
            })
            .collect();
        tables.insert(
            division.disk.device.to_owned(),
            json!({"label": division.label.name(), "partitions": partitions}),
        );
    }
    let created: Vec<Value> = ordered
        .iter()
        .zip(&chosen)
        .enumerate()
        .map(|(index, (volume, disks))| {
            let members: Vec<String> = disks
                .iter()
                .map(|disk| {
                    let division = divisions
                        .iter()
                        .find(|division| division.disk.device == disk.device)
                        .unwrap();
                    let place = division
                        .places
                        .iter()
                        .find(|place| place.volume == index)
                        .unwrap();
                    partition_name(disk.device, place.number)
                })
                .collect();
            let arguments = arguments(&Creation {
                device: &format!("/dev/md{index}"),
                level: volume.level,
                metadata: Metadata::V1_2,
                name: &volume.name,
                members: &members,
            });
            as_the_reference(&arguments)
        })
        .collect();
    Ok(json!({"tables": tables, "mdadm": created}))
}

/// The same arguments in the reference's words: version 1 is 1.2, and it has no bitmap and no host of its own.
fn as_the_reference(arguments: &[String]) -> Value {
    let words = arguments.iter().filter_map(|argument| {
        Some(match argument.as_str() {
            "--metadata=1.2" => vec!["--metadata=1".to_owned()],
            own if own.starts_with("--bitmap=") || own.starts_with("--homehost=") => return None,
            other => match other.split_once('=') {
                Some((name, value)) => vec![name.to_owned(), value.to_owned()],
                None => vec![other.to_owned()],
            },
        })
    });
    words.flatten().collect()
}

/// A disk of so many bytes, of which nothing is asked but that.
struct Sized(u64);

impl Medium for Sized {
    fn size(&self) -> u64 {
        self.0
    }

    fn logical_block_size(&self) -> u32 {
        512
    }

    fn read_at(&self, _offset: u64, _buffer: &mut [u8]) -> Result<(), DiskError> {
        unreachable!("a new table reads nothing")
    }

    fn write_at(&self, _offset: u64, _data: &[u8]) -> Result<(), DiskError> {
        unreachable!("it stays in memory")
    }

    fn zero_range(&self, _offset: u64, _length: u64) -> Result<(), DiskError> {
        unreachable!("it stays in memory")
    }

    fn flush(&self) -> Result<(), DiskError> {
        unreachable!("it stays in memory")
    }
}
