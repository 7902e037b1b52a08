//! Device paths as text, in the words of efibootmgr 17 and 18 (libefivar 37 and 38), by which operators
//! choose boot entries: `HD(1,GPT,…,0x800,0x100000)/File(\EFI\debian\shimx64.efi)`.
//!
//! What seldom stands in a boot entry is shown as its numbers, `Msg(9,…)`, as libefivar does with what it does
//! not know.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use uuid::Uuid;

use crate::sys::hex;

/// Types of nodes (UEFI specification 2.10, section 10.3).
const HARDWARE: u8 = 1;
const ACPI: u8 = 2;
const MESSAGING: u8 = 3;
const MEDIA: u8 = 4;
const BIOS_BOOT: u8 = 5;
const END: u8 = 0x7f;

/// A node's type, sub-type and length.
const HEADER: usize = 4;

/// Devices of ACPI that are roots of a bus, by their compressed EISA identifiers.
const PCI_ROOT: u32 = 0x0a03_41d0;
const PCIE_ROOT: u32 = 0x0a08_41d0;

/// A device path, to be shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct DevicePath<'b>(pub(super) &'b [u8]);

impl fmt::Display for DevicePath<'_> {
    /// Up to its end, or to where it is damaged. Of several paths, which are a console's, the first.
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        let mut between = "";
        while let [kind, sub, low, high, ..] = *rest {
            let length = usize::from(u16::from_le_bytes([low, high]));
            let Some(data) = rest.get(HEADER..length) else {
                return Ok(());
            };
            rest = &rest[length..];
            if kind == END {
                return Ok(());
            }
            text.write_str(between)?;
            between = "/";
            node(kind, sub, data, text)?;
        }
        Ok(())
    }
}

fn node(kind: u8, sub: u8, data: &[u8], text: &mut fmt::Formatter<'_>) -> fmt::Result {
    let known = match kind {
        HARDWARE => hardware(sub, data),
        ACPI => acpi(sub, data),
        MESSAGING => messaging(sub, data),
        MEDIA => media(sub, data),
        BIOS_BOOT => bios_boot(sub, data),
        _ => None,
    };
    if let Some(known) = known {
        return text.write_str(&known);
    }
    match kind {
        HARDWARE => write!(text, "HardwarePath({sub},")?,
        ACPI => write!(text, "AcpiPath({sub},")?,
        MESSAGING => write!(text, "Msg({sub},")?,
        MEDIA => write!(text, "MediaPath({sub},")?,
        BIOS_BOOT => write!(text, "BbsPath({sub},")?,
        _ => write!(text, "Path({kind},{sub},")?,
    }
    write!(text, "{})", hex::encode(data))
}

/// `None`: not known, or too short for what it says it is.
fn hardware(sub: u8, data: &[u8]) -> Option<String> {
    Some(match sub {
        1 => format!("Pci({:#x},{:#x})", data.get(1)?, data.first()?),
        4 => vendor("VenHw", data)?,
        5 => format!("Ctrl({:#x})", number(data, 0, 4)?),
        _ => return None,
    })
}

fn acpi(sub: u8, data: &[u8]) -> Option<String> {
    if sub != 1 {
        return None;
    }
    let (hid, uid) = (number(data, 0, 4)? as u32, number(data, 4, 4)?);
    Some(match hid {
        PCI_ROOT => format!("PciRoot({uid:#x})"),
        PCIE_ROOT => format!("PcieRoot({uid:#x})"),
        _ => format!("Acpi({hid:#010x},{uid:#x})"),
    })
}

fn messaging(sub: u8, data: &[u8]) -> Option<String> {
    let value = |offset, length| number(data, offset, length);
    Some(match sub {
        1 => format!("Ata({},{},{})", value(0, 1)?, value(1, 1)?, value(2, 2)?),
        2 => format!("SCSI({},{})", value(0, 2)?, value(2, 2)?),
        3 => format!("Fibre({:x},{:x})", value(4, 8)?, value(12, 8)?),
        5 => format!("USB({},{})", value(0, 1)?, value(1, 1)?),
        10 => vendor("VenMsg", data)?,
        11 => {
            let kind = value(32, 1)?;
            let length = if kind < 2 { 6 } else { 32 };
            format!("MAC({},{kind})", hex::encode(&data[..length]))
        }
        12 => {
            let address = |offset: usize, port: u64| {
                let bytes: [u8; 4] = data.get(offset..offset + 4)?.try_into().ok()?;
                Some(format!("{}{}", Ipv4Addr::from(bytes), behind_colon(port)))
            };
            let (local, remote) = (address(0, value(8, 2)?)?, address(4, value(10, 2)?)?);
            // Without anything between them, in both versions.
            format!(
                "IPv4({local}{remote},{:x},{:x})",
                value(12, 2)?,
                value(14, 1)?
            )
        }
        13 => {
            let address = |offset: usize, port: u64| {
                let bytes: [u8; 16] = data.get(offset..offset + 16)?.try_into().ok()?;
                Some(format!("[{}]{}", Ipv6Addr::from(bytes), behind_colon(port)))
            };
            let (local, remote) = (address(0, value(32, 2)?)?, address(16, value(34, 2)?)?);
            format!(
                "IPv6({local}<->{remote},{:x},{:x})",
                value(36, 2)?,
                value(38, 1)?
            )
        }
        15 => {
            let (class, protocol) = (value(5, 1)?, value(6, 1)?);
            // Classes with a name of their own are shown as numbers.
            if value(4, 1)? != 0xff {
                return None;
            }
            format!(
                "UsbClass({:x},{:x},{class},{protocol})",
                value(0, 2)?,
                value(2, 2)?
            )
        }
        17 => format!("Unit({})", value(0, 1)?),
        18 => format!("Sata({},{},{})", value(0, 2)?, value(2, 2)?, value(4, 2)?),
        19 => {
            let lun = u64::from_be_bytes(data.get(4..12)?.try_into().ok()?);
            let group = value(12, 2)?;
            let options = value(2, 2)?;
            let digest = |bit: u64| {
                if options >> bit & 2 != 0 {
                    "CRC32"
                } else {
                    "None"
                }
            };
            let login = match (options >> 10 & 2 != 0, options >> 12 & 1 != 0) {
                (true, _) => "None",
                (false, true) => "CHAP_UNI",
                (false, false) => "CHAP_BI",
            };
            let protocol = if value(0, 2)? == 0 { "TCP" } else { "Unknown" };
            format!(
                "iSCSI({},{group},{lun:#x},{},{},{login},{protocol})",
                ascii(data.get(14..)?),
                digest(0),
                digest(2),
            )
        }
        20 => format!("Vlan({})", value(0, 2)?),
        23 => {
            let identifier: Vec<String> = data
                .get(4..12)?
                .iter()
                .map(|byte| format!("{byte:02X}"))
                .collect();
            format!("NVMe({:#x},{})", value(0, 4)?, identifier.join("-"))
        }
        24 => format!("Uri({})", ascii(data)),
        _ => return None,
    })
}

fn media(sub: u8, data: &[u8]) -> Option<String> {
    let value = |offset, length| number(data, offset, length);
    Some(match sub {
        1 => {
            let (start, size) = (value(4, 8)?, value(12, 8)?);
            let signature = match value(37, 1)? {
                1 => format!("MBR,{:#x}", value(20, 4)?),
                2 => format!("GPT,{}", guid(data, 20)?),
                kind => format!("{kind},{}", hex::encode(data.get(20..36)?)),
            };
            format!("HD({},{signature},{start:#x},{size:#x})", value(0, 4)?)
        }
        2 => format!(
            "CDROM({},{:#x},{:#x})",
            value(0, 4)?,
            value(4, 8)?,
            value(12, 8)?
        ),
        3 => vendor("VenMedia", data)?,
        4 => format!("File({})", utf16(data)),
        5 => format!("Media({})", guid(data, 0)?),
        6 => format!("FvFile({})", guid(data, 0)?),
        7 => format!("FvVol({})", guid(data, 0)?),
        8 => format!("Offset({:#x},{:#x})", value(4, 8)?, value(12, 8)?),
        _ => return None,
    })
}

fn bios_boot(sub: u8, data: &[u8]) -> Option<String> {
    const KINDS: [&str; 6] = ["Floppy", "HD", "CDROM", "PCMCIA", "USB", "Network"];
    if sub != 1 {
        return None;
    }
    let kind = number(data, 0, 2)?;
    let status = number(data, 2, 2)?;
    let description = ascii(data.get(4..)?);
    let name = (kind as usize)
        .checked_sub(1)
        .and_then(|index| KINDS.get(index));
    Some(match name {
        Some(name) => format!("BBS({name},{description},{status:#x})"),
        None => format!("BBS({kind},{description},{status:#x})"),
    })
}

fn vendor(name: &str, data: &[u8]) -> Option<String> {
    let guid = guid(data, 0)?;
    Some(match &data[16..] {
        [] => format!("{name}({guid})"),
        own => format!("{name}({guid},{})", hex::encode(own)),
    })
}

/// A little-endian number of up to eight bytes.
fn number(data: &[u8], offset: usize, length: usize) -> Option<u64> {
    let bytes = data.get(offset..offset + length)?;
    Some(
        bytes
            .iter()
            .rev()
            .fold(0, |number, byte| number << 8 | u64::from(*byte)),
    )
}

fn guid(data: &[u8], offset: usize) -> Option<Uuid> {
    let bytes: [u8; 16] = data.get(offset..offset + 16)?.try_into().ok()?;
    Some(Uuid::from_bytes_le(bytes))
}

fn behind_colon(port: u64) -> String {
    match port {
        0 => String::new(),
        port => format!(":{port}"),
    }
}

/// Up to the first zero.
fn ascii(data: &[u8]) -> String {
    let end = data.iter().position(|byte| *byte == 0);
    String::from_utf8_lossy(&data[..end.unwrap_or(data.len())]).into_owned()
}

/// Up to the first zero.
pub(super) fn utf16(data: &[u8]) -> String {
    let units: Vec<u16> = data
        .chunks_exact(2)
        .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
        .take_while(|unit| *unit != 0)
        .collect();
    String::from_utf16_lossy(&units)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    /// What `tests/boot_entries/device_paths.py` wrote.
    #[derive(Deserialize)]
    struct Case {
        path: String,
        text: String,
    }

    #[test]
    fn paths_are_in_the_words_of_efibootmgr() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/fixtures/boot_entries/device_paths.json");
        let cases: Vec<Case> = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
        assert!(cases.len() >= 35, "{}", cases.len());
        for case in cases {
            let path = hex::decode(&case.path).unwrap();
            assert_eq!(DevicePath(&path).to_string(), case.text);
        }
    }

    #[test]
    fn a_damaged_path_is_shown_as_far_as_it_goes() {
        let pci = [1, 1, 6, 0, 0, 3];
        for (rest, expected) in [
            (&[][..], "Pci(0x3,0x0)"),
            (&[4, 4], "Pci(0x3,0x0)"),
            (&[4, 4, 0, 0], "Pci(0x3,0x0)"),
            (&[4, 4, 200, 0, 1], "Pci(0x3,0x0)"),
            (&[4, 1, 6, 0, 1, 2], "Pci(0x3,0x0)/MediaPath(1,0102)"),
        ] {
            let path = [&pci, rest].concat();
            assert_eq!(DevicePath(&path).to_string(), expected);
        }
    }

    proptest! {
        #[test]
        fn any_path_is_survived(path in prop::collection::vec(any::<u8>(), 0..120)) {
            let _ = DevicePath(&path).to_string();
        }

        #[test]
        fn any_node_is_survived(
            kind in 1_u8..6,
            sub in 0_u8..40,
            data in prop::collection::vec(any::<u8>(), 0..80),
        ) {
            let path = [&[kind, sub, data.len() as u8 + 4, 0], &data[..]].concat();
            prop_assert!(!DevicePath(&path).to_string().is_empty());
        }
    }
}
