//! Taking out of a recording what names one machine, so that it can be given away.
//!
//! Masked are serial numbers, asset tags, UUIDs, world wide names, the last three octets of MACs, IP
//! addresses, the host name, kernel parameters but for `BOOTIF` and `boot_method`, and how a switch, its ports and
//! VLANs are called. What tells kinds of
//! machines apart stays: makers, models, firmware, the makers' parts of WWNs and MACs, sizes, where
//! things are plugged in, and the names of arrays.
//!
//! The same secret gets the same mask wherever it stands, as text, in bytes, in paths and links and
//! in the kernel's answers, and no length changes: links still lead somewhere, paths to one disk are
//! still that, and tables of the firmware keep their layout and their checksums. Masks are numbers
//! in the order of the secrets, so nothing of a secret can be computed from its mask.

mod addresses;
mod find;
mod lldp;
mod secrets;
mod smbios;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::sys::kernel_parameters::COMMAND_LINE;
use crate::sys::witness::{Entry, Seen};
use crate::sys::{hex, run_files};
use secrets::Masks;

const SMBIOS_TABLE: &str = "/sys/firmware/dmi/tables/DMI";
const HOST_NAME: &str = "/proc/sys/kernel/hostname";

/// The recording without what names the machine.
pub fn masked(mut seen: Seen) -> Seen {
    for (path, entry) in &mut seen.entries {
        if let Entry::File(content) = entry {
            match path.to_str() {
                Some(COMMAND_LINE | run_files::PARAMETERS) => *content = boot_parameters(content),
                Some(HOST_NAME) => *content = b"host\n".to_vec(),
                _ => {}
            }
        }
    }
    let secrets = find::secrets(&seen);
    let masks = Masks::of(secrets);
    let mut result = Seen::default();
    for (path, entry) in seen.entries {
        let entry = match entry {
            Entry::File(content) if path.to_str() == Some(SMBIOS_TABLE) => {
                Entry::File(masks.bytes(&smbios::masked(content, &masks)))
            }
            Entry::File(content) => {
                Entry::File(masks.bytes(&find::short_serials(&path, content, &masks)))
            }
            Entry::Link(target) => Entry::Link(masked_path(&target, &masks)),
            Entry::Directory => Entry::Directory,
        };
        result.entries.insert(masked_path(&path, &masks), entry);
    }
    for (interface, answers) in seen.answers {
        let mut answers: Map<String, Value> = answers
            .into_iter()
            .map(|(asked, answer)| (masks.text(&asked), masked_value(answer, &masks)))
            .collect();
        match interface.as_str() {
            "addresses" => addresses::mask(&mut answers, &masks),
            "ipmi" => addresses::mask_controller(&mut answers),
            "lldp" => lldp::mask(&mut answers),
            _ => {}
        }
        result.answers.insert(interface, answers);
    }
    result
}

fn masked_path(path: &Path, masks: &Masks) -> PathBuf {
    // A path that is no text has no secret that would be found either.
    path.to_str()
        .map_or_else(|| path.to_owned(), |text| masks.text(text).into())
}

fn masked_value(value: Value, masks: &Masks) -> Value {
    match value {
        Value::String(text) => {
            // Bytes are recorded as hexadecimal text.
            let bytes = hex::decode(&text).filter(|bytes| bytes.len() >= 6);
            Value::String(match bytes {
                Some(bytes) => hex::encode(&masks.bytes(&bytes)),
                None => masks.text(&text),
            })
        }
        Value::Array(values) => values
            .into_iter()
            .map(|value| masked_value(value, masks))
            .collect(),
        Value::Object(members) => members
            .into_iter()
            .map(|(name, value)| (masks.text(&name), masked_value(value, masks)))
            .collect(),
        other => other,
    }
}

/// Of the parameters only what an inventory reads of them: the rest has addresses and tokens.
fn boot_parameters(line: &[u8]) -> Vec<u8> {
    let line = String::from_utf8_lossy(line);
    let kept: Vec<&str> = line
        .split_whitespace()
        .filter(|parameter| {
            parameter.starts_with("BOOTIF=") || parameter.starts_with("boot_method=")
        })
        .collect();
    (kept.join(" ") + "\n").into_bytes()
}
