//! Memory arrays and the devices (modules or empty slots) in them, types 16 and 17 (DSP0134, 7.17
//! and 7.18).

use serde_json::{Map, Value};

use super::rows::{OUT_OF_SPEC, Rows, word_for, words_for};
use crate::inventory::Structure;

const LOCATIONS: &str = "Other|Unknown|System Board Or Motherboard|ISA Add-on Card|\
EISA Add-on Card|PCI Add-on Card|MCA Add-on Card|PCMCIA Add-on Card|Proprietary Add-on Card|NuBus";

/// From 0xa0.
const MORE_LOCATIONS: &str = "PC-98/C20 Add-on Card|PC-98/C24 Add-on Card|PC-98/E Add-on Card|\
PC-98/Local Bus Add-on Card|CXL Add-on Card";

const USES: &str = "Other|Unknown|System Memory|Video Memory|Flash Memory|Non-volatile RAM|\
Cache Memory";

const ERROR_CORRECTIONS: &str = "Other|Unknown|None|Parity|Single-bit ECC|Multi-bit ECC|CRC";

const FORM_FACTORS: &str = "Other|Unknown|SIMM|SIP|Chip|DIP|ZIP|Proprietary Card|DIMM|TSOP|\
Row Of Chips|RIMM|SODIMM|SRIMM|FB-DIMM|Die";

const TYPES: &str = "Other|Unknown|DRAM|EDRAM|VRAM|SRAM|RAM|ROM|Flash|EEPROM|FEPROM|EPROM|CDRAM|\
3DRAM|SDRAM|SGRAM|RDRAM|DDR|DDR2|DDR2 FB-DIMM|Reserved|Reserved|Reserved|DDR3|FBD2|DDR4|LPDDR|\
LPDDR2|LPDDR3|LPDDR4|Logical non-volatile device|HBM|HBM2|DDR5|LPDDR5|HBM3";

/// From bit 1.
const TYPE_DETAILS: &str = "Other|Unknown|Fast-paged|Static Column|Pseudo-static|RAMBus|\
Synchronous|CMOS|EDO|Window DRAM|Cache DRAM|Non-Volatile|Registered (Buffered)|\
Unbuffered (Unregistered)|LRDIMM";

const TECHNOLOGIES: &str = "Other|Unknown|DRAM|NVDIMM-N|NVDIMM-F|NVDIMM-P|\
Intel Optane DC persistent memory";

/// From bit 1.
const OPERATING_MODES: &str = "Other|Unknown|Volatile memory|Byte-accessible persistent memory|\
Block-accessible persistent memory";

/// The rows of a structure of type 16, without the number of devices, which the whole machine has
/// one of.
pub(super) fn array(structure: &Structure<'_>) -> Map<String, Value> {
    let mut rows = Rows::of(structure);
    if rows.length() < 0x0f {
        return rows.finish();
    }
    match rows.byte(0x04) {
        location @ 0xa0.. => rows.code("Location", MORE_LOCATIONS, location - 0xa0 + 1),
        location => rows.code("Location", LOCATIONS, location),
    }
    rows.code("Use", USES, rows.byte(0x05));
    rows.code("Error Correction Type", ERROR_CORRECTIONS, rows.byte(0x06));
    match rows.double_word(0x07) {
        0x8000_0000 if rows.length() < 0x17 => rows.text("Maximum Capacity", "Unknown"),
        0x8000_0000 => rows.size("Maximum Capacity", rows.quad_word(0x0f), 0),
        capacity => rows.size("Maximum Capacity", capacity.into(), 1),
    }
    error_handle(&mut rows, 0x0b);
    rows.finish()
}

/// How many devices an array has room for; `None` where its structure is too short to say.
pub(super) fn device_count(array: &Structure<'_>) -> Option<u16> {
    array.word(0x0d)
}

/// The rows of a structure of type 17.
pub(super) fn device(structure: &Structure<'_>) -> Map<String, Value> {
    let mut rows = Rows::of(structure);
    if rows.length() < 0x15 {
        return rows.finish();
    }
    place(&mut rows);
    let is_empty = rows.word(0x0c) == 0;
    if rows.length() < 0x17 || is_empty {
        return rows.finish();
    }
    speed(&mut rows, "Speed", 0x15, 0x54);
    if rows.length() < 0x1b {
        return rows.finish();
    }
    rows.string("Manufacturer", 0x17);
    rows.string("Serial Number", 0x18);
    rows.string("Asset Tag", 0x19);
    rows.string("Part Number", 0x1a);
    if rows.length() < 0x1c {
        return rows.finish();
    }
    match rows.byte(0x1b) & 0xf {
        0 => rows.text("Rank", "Unknown"),
        rank => rows.text("Rank", &rank.to_string()),
    }
    if rows.length() < 0x22 {
        return rows.finish();
    }
    speed(&mut rows, "Configured Memory Speed", 0x20, 0x58);
    if rows.length() < 0x28 {
        return rows.finish();
    }
    voltage(&mut rows, "Minimum Voltage", 0x22);
    voltage(&mut rows, "Maximum Voltage", 0x24);
    voltage(&mut rows, "Configured Voltage", 0x26);
    if rows.length() >= 0x34 {
        persistent(&mut rows);
    }
    if rows.length() >= 0x64 {
        companions(&mut rows);
    }
    rows.finish()
}

/// The words for the kind of module in a slot: form factor, type and its details.
///
/// lshw, which the reference takes a bank's description from, has nearly the same words; where the
/// firmware says no more than "other" or "unknown", it says nothing, and it leaves the details out
/// where they are no others than registered, unbuffered or load-reduced.
pub(in crate::inventory) fn words(device: &Structure<'_>) -> Vec<String> {
    const BEYOND_DETAILS: u16 = 0x1ffe;
    let byte = |offset: usize| device.byte(offset).unwrap_or(0);
    let mut words: Vec<&str> = [
        word_for(FORM_FACTORS, byte(0x0e)),
        word_for(TYPES, byte(0x12)),
    ]
    .into_iter()
    .filter(|word| !matches!(*word, "Other" | "Unknown" | "Reserved" | OUT_OF_SPEC))
    .collect();
    let details = device.word(0x13).unwrap_or(0);
    if details & BEYOND_DETAILS != 0 {
        words.extend(words_for(TYPE_DETAILS, (details & !0b110).into(), 1));
    }
    words.into_iter().map(str::to_owned).collect()
}

/// What a slot has even when it is empty.
fn place(rows: &mut Rows<'_>) {
    rows.text("Array Handle", &format!("0x{:04X}", rows.word(0x04)));
    error_handle(rows, 0x06);
    for (key, offset) in [("Total Width", 0x08), ("Data Width", 0x0a)] {
        match rows.word(offset) {
            0 | 0xffff => rows.text(key, "Unknown"),
            bits => rows.text(key, &format!("{bits} bits")),
        }
    }
    size(rows);
    rows.code("Form Factor", FORM_FACTORS, rows.byte(0x0e));
    match rows.byte(0x0f) {
        0 => rows.text("Set", "None"),
        0xff => rows.text("Set", "Unknown"),
        set => rows.text("Set", &set.to_string()),
    }
    rows.string("Locator", 0x10);
    rows.string("Bank Locator", 0x11);
    rows.code("Type", TYPES, rows.byte(0x12));
    bits(rows, "Type Detail", TYPE_DETAILS, 0x13);
}

fn size(rows: &mut Rows<'_>) {
    match rows.word(0x0c) {
        0 => rows.text("Size", "No Module Installed"),
        0xffff => rows.text("Size", "Unknown"),
        0x7fff if rows.length() >= 0x20 => {
            // In MiB, shown in the greatest unit that loses nothing.
            let mebibytes = rows.double_word(0x1c) & 0x7fff_ffff;
            let (number, unit) = if mebibytes & 0x3ff != 0 {
                (mebibytes, "MB")
            } else if mebibytes & 0xf_fc00 != 0 {
                (mebibytes >> 10, "GB")
            } else {
                (mebibytes >> 20, "TB")
            };
            rows.text("Size", &format!("{number} {unit}"));
        }
        size if size & 0x8000 != 0 => rows.size("Size", u64::from(size & 0x7fff), 1),
        size => rows.size("Size", u64::from(size) << 10, 1),
    }
}

/// Non-volatile modules, and since version 3.2 every module.
fn persistent(rows: &mut Rows<'_>) {
    let technology = word_for(TECHNOLOGIES, rows.byte(0x28));
    rows.text("Memory Technology", technology);
    bits(
        rows,
        "Memory Operating Mode Capability",
        OPERATING_MODES,
        0x29,
    );
    rows.string("Firmware Version", 0x2b);
    manufacturer_id(rows, "Module Manufacturer ID", 0x2c);
    product_id(rows, "Module Product ID", 0x2e);
    manufacturer_id(rows, "Memory Subsystem Controller Manufacturer ID", 0x30);
    product_id(rows, "Memory Subsystem Controller Product ID", 0x32);
    for (key, offset) in [
        ("Non-Volatile Size", 0x34),
        ("Volatile Size", 0x3c),
        ("Cache Size", 0x44),
        ("Logical Size", 0x4c),
    ] {
        if rows.length() < offset + 8 {
            return;
        }
        match rows.quad_word(offset) {
            u64::MAX => rows.text(key, "Unknown"),
            0 => rows.text(key, "None"),
            bytes => rows.size(key, bytes, 0),
        }
    }
}

/// The chips beside the memory on a module: power management and registering clock driver.
fn companions(rows: &mut Rows<'_>) {
    manufacturer_id(rows, "PMIC0 Manufacturer ID", 0x5c);
    revision(rows, "PMIC0", 0x5e);
    manufacturer_id(rows, "RCD Manufacturer ID", 0x60);
    revision(rows, "RCD", 0x62);
}

fn error_handle(rows: &mut Rows<'_>, offset: usize) {
    let text = match rows.word(offset) {
        0xfffe => "Not Provided".to_owned(),
        0xffff => "No Error".to_owned(),
        handle => format!("0x{handle:04X}"),
    };
    rows.text("Error Information Handle", &text);
}

/// The words for the bits of a word from bit 1 on, in one line.
fn bits(rows: &mut Rows<'_>, key: &str, words: &str, offset: usize) {
    let bits = rows.word(offset);
    if bits & 0xfffe == 0 {
        rows.text(key, "None");
    } else {
        rows.text(key, &words_for(words, bits.into(), 1).join(" "));
    }
}

/// A speed in a word; 65535 stands for the double word that newer tables have at `wide`.
fn speed(rows: &mut Rows<'_>, key: &str, narrow: usize, wide: usize) {
    let speed = match rows.word(narrow) {
        0xffff if rows.length() >= 0x5c => rows.double_word(wide),
        0xffff => 0,
        speed => speed.into(),
    };
    match speed {
        0 => rows.text(key, "Unknown"),
        speed => rows.text(key, &format!("{speed} MT/s")),
    }
}

/// From millivolts, with at least one decimal: `1.2 V`, `1.35 V`.
fn voltage(rows: &mut Rows<'_>, key: &str, offset: usize) {
    let text = match rows.word(offset) {
        0 => "Unknown".to_owned(),
        millivolts => {
            let decimals = format!("{:03}", millivolts % 1000);
            let decimals = match decimals.trim_end_matches('0') {
                "" => "0",
                significant => significant,
            };
            format!("{}.{decimals} V", millivolts / 1000)
        }
    };
    rows.text(key, &text);
}

/// JEP-106: the low byte counts the banks that were skipped, with a parity bit.
fn manufacturer_id(rows: &mut Rows<'_>, key: &str, offset: usize) {
    match rows.word(offset) {
        0 => rows.text(key, "Unknown"),
        id => rows.text(
            key,
            &format!("Bank {}, Hex 0x{:02X}", (id & 0x7f) + 1, id >> 8),
        ),
    }
}

fn product_id(rows: &mut Rows<'_>, key: &str, offset: usize) {
    match rows.word(offset) {
        0 => rows.text(key, "Unknown"),
        id => rows.text(key, &format!("0x{id:04X}")),
    }
}

fn revision(rows: &mut Rows<'_>, chip: &str, offset: usize) {
    let code = rows.word(offset);
    let is_ddr5 = matches!(rows.byte(0x12), 0x22 | 0x23);
    if code == 0xff00 {
        rows.text(&format!("{chip} Revision Number"), "Unknown");
    } else if !is_ddr5 {
        rows.text(&format!("{chip} Revision Number"), &format!("0x{code:04x}"));
    } else if code & 0x8000 == 0 {
        rows.text(&format!("{chip} Device Type"), "Not Installed");
    } else {
        rows.text(
            &format!("{chip} Device Type"),
            &(code >> 8 & 0xf).to_string(),
        );
        rows.text(
            &format!("{chip} Device Revision"),
            &format!("{}.{}", code >> 4 & 0xf, code & 0xf),
        );
    }
}
