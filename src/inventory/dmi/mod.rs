//! What the firmware says of itself, the processors and the memory modules, for the collector
//! `dmi-decode`.
//!
//! The reference runs dmidecode and parses what it prints for people, so the wire has dmidecode's
//! words: `"Size": "16 GB"`, `"Serial Number": "Not Specified"`. Here the same words are made from
//! the table itself. They are those of dmidecode 3.6; 3.4, which Debian 12 has, knows fewer
//! sockets and memory types and says `<OUT OF SPEC>` for the others.

mod family;
mod firmware;
mod memory;
mod processor;
mod rows;

use serde_json::{Map, Value, json};

pub(super) use self::memory::words as memory_words;
use crate::inventory::Smbios;

/// Structure types (DSP0134, 7).
const FIRMWARE: u8 = 0;
const PROCESSOR: u8 = 4;
const MEMORY_ARRAY: u8 = 16;
const MEMORY_DEVICE: u8 = 17;

/// The most structures that are described; a machine with 32 sockets and all slots full has some
/// 800. A table of 16 MiB could hold millions, which would become a GiB of JSON.
pub(super) const MOST_STRUCTURES: usize = 8192;

/// `{"bios": {…}, "cpu": [{…}], "memory": {…, "devices": [{…}]}}` (contract/data-plane 9.4).
///
/// `bios` is the last structure of its type. `memory` is the first array, without its handle, with
/// the number of devices of all arrays. A structure too short for any field is its handle alone;
/// the reference fails as a whole where that is an array.
pub(crate) fn dmi(smbios: &Smbios) -> Map<String, Value> {
    let mut bios = Map::new();
    let mut processors = Vec::new();
    let mut array = None;
    let mut device_count = 0;
    let mut devices = Vec::new();
    for structure in smbios.structures().take(MOST_STRUCTURES) {
        match structure.kind {
            FIRMWARE => bios = firmware::firmware(&structure),
            PROCESSOR => processors.push(processor::processor(&structure, smbios.version())),
            MEMORY_ARRAY => {
                array.get_or_insert_with(|| memory::array(&structure));
                device_count += u32::from(memory::device_count(&structure).unwrap_or(0));
            }
            MEMORY_DEVICE => devices.push(memory::device(&structure)),
            _ => {}
        }
    }
    let has_array = array.is_some();
    let mut memory = array.unwrap_or_default();
    if has_array {
        memory.remove("Handle");
        memory.insert("Number Of Devices".to_owned(), json!(device_count));
    }
    if !has_array || !devices.is_empty() {
        memory.insert("devices".to_owned(), json!(devices));
    }
    [
        ("bios", json!(bios)),
        ("cpu", json!(processors)),
        ("memory", json!(memory)),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value))
    .collect()
}

#[cfg(test)]
mod tests;
