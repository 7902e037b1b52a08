//! The fuzz targets of this room.

use std::path::PathBuf;

use serde_json::{Map, json};

use super::lldp::{self, Neighbour};
use super::{Smbios, arm, bmc, device_tree, extra, mask};
use crate::sys::hex;
use crate::sys::witness::{Entry, Seen};

/// The firmware's table, behind an entry point of 24 bytes.
pub(crate) fn smbios(data: &[u8]) {
    let Some((entry_point, table)) = data.split_at_checked(24) else {
        return;
    };
    let smbios = Smbios::new(entry_point, table.to_vec());
    smbios.firmware();
    smbios.system();
    smbios.processor_version();
    smbios.processor_speed();
    smbios.processor_count();
    smbios.installed_memory();
    for structure in smbios.structures() {
        for offset in 0..8 {
            structure.string(offset);
            structure.double_word(offset);
        }
    }
    let path = PathBuf::from("/sys/firmware/dmi/tables/DMI");
    let mut seen = Seen::default();
    seen.entries
        .insert(path.clone(), Entry::File(table.to_vec()));
    let masked = mask::masked(seen);
    assert!(matches!(&masked.entries[&path], Entry::File(masked) if masked.len() == table.len()));
}

/// `/proc/cpuinfo` of ARM, and a devicetree's property.
pub(crate) fn arm(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for (design, count) in arm::designs(&text) {
        assert!(count > 0 && !design.name_or_numbers().is_empty());
    }
    for text in device_tree::strings(data) {
        assert!(!text.is_empty() && !text.contains(char::is_control));
    }
}

/// A dump of the firmware's table, its entry point in 32 bytes, in dmidecode's words and as facts.
pub(crate) fn dmi(data: &[u8]) {
    let Some((entry_point, table)) = data.split_at_checked(32) else {
        return;
    };
    let smbios = Smbios::new(entry_point, table.to_vec());
    let described = super::dmi(&smbios);
    let has_text = |row: &serde_json::Value| row["Handle"].is_string();
    let processors = described["cpu"].as_array();
    assert!(processors.is_some_and(|rows| rows.iter().all(has_text)));
    let devices = described["memory"]["devices"].as_array();
    assert!(devices.is_none_or(|rows| rows.iter().all(has_text)));
    extra::firmware_facts(&smbios);
}

/// A frame from a switch, in the conductor's form and in words.
pub(crate) fn lldp(data: &[u8]) {
    let mut seen = Seen::default();
    let answers = Map::from_iter([("eno1".to_owned(), json!([hex::encode(data)]))]);
    seen.answers.insert("lldp".to_owned(), answers);
    let masked = mask::masked(seen).answers["lldp"]["eno1"][0].clone();
    assert_eq!(masked.as_str().map(str::len), Some(2 * data.len()));
    if let Some(tlvs) = lldp::wire_form(data) {
        let neighbour = Neighbour::of_wire(&tlvs);
        assert!(
            neighbour
                .chassis_id
                .is_none_or(|id| !id.chars().any(char::is_control))
        );
    }
}

/// What a management controller answers to the questions about its network: each answer behind a
/// byte with its length.
pub(crate) fn ipmi_answers(data: &[u8]) {
    let mut rest = data;
    let bmc = bmc::read_channels(&mut |_, _, _| {
        let Some((length, after)) = rest.split_first() else {
            return Ok(None);
        };
        let (answer, after) = after.split_at(usize::from(*length).min(after.len()));
        rest = after;
        Ok(Some(answer.to_vec()))
    });
    assert!(bmc.is_ok_and(|bmc| bmc.address.is_some() && bmc.v6address.is_some()));
}
