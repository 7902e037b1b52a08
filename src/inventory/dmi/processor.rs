//! A processor's structure, type 4 (DSP0134, 7.5).

use serde_json::{Map, Value};

use super::family::{Family, Signature};
use super::rows::{Rows, word_for, words_for};
use crate::inventory::Structure;

const TYPES: &str = "Other|Unknown|Central Processor|Math Processor|DSP Processor|Video Processor";

/// CPUID leaf 1, EDX; reserved bits have no word.
const FLAGS: &str = "FPU (Floating-point unit on-chip)|VME (Virtual mode extension)|\
DE (Debugging extension)|PSE (Page size extension)|TSC (Time stamp counter)|\
MSR (Model specific registers)|PAE (Physical address extension)|MCE (Machine check exception)|\
CX8 (CMPXCHG8 instruction supported)|APIC (On-chip APIC hardware supported)||\
SEP (Fast system call)|MTRR (Memory type range registers)|PGE (Page global enable)|\
MCA (Machine check architecture)|CMOV (Conditional move instruction supported)|\
PAT (Page attribute table)|PSE-36 (36-bit page size extension)|\
PSN (Processor serial number present and enabled)|CLFSH (CLFLUSH instruction supported)||\
DS (Debug store)|ACPI (ACPI supported)|MMX (MMX technology supported)|\
FXSR (FXSAVE and FXSTOR instructions supported)|SSE (Streaming SIMD extensions)|\
SSE2 (Streaming SIMD extensions 2)|SS (Self-snoop)|HTT (Multi-threading)|\
TM (Thermal monitor supported)||PBE (Pending break enabled)";

/// From code 0, so that the table is asked for code + 1. Codes 5 and 6 are reserved.
const STATUSES: &str = "Unknown|Enabled|Disabled By User|Disabled By BIOS|Idle|\
<OUT OF SPEC>|<OUT OF SPEC>|Other";

const UPGRADES: &str = "Other|Unknown|Daughter Board|ZIF Socket|Replaceable Piggy Back|None|\
LIF Socket|Slot 1|Slot 2|370-pin Socket|Slot A|Slot M|Socket 423|Socket A (Socket 462)|\
Socket 478|Socket 754|Socket 940|Socket 939|Socket mPGA604|Socket LGA771|Socket LGA775|\
Socket S1|Socket AM2|Socket F (1207)|Socket LGA1366|Socket G34|Socket AM3|Socket C32|\
Socket LGA1156|Socket LGA1567|Socket PGA988A|Socket BGA1288|Socket rPGA988B|Socket BGA1023|\
Socket BGA1224|Socket BGA1155|Socket LGA1356|Socket LGA2011|Socket FS1|Socket FS2|Socket FM1|\
Socket FM2|Socket LGA2011-3|Socket LGA1356-3|Socket LGA1150|Socket BGA1168|Socket BGA1234|\
Socket BGA1364|Socket AM4|Socket LGA1151|Socket BGA1356|Socket BGA1440|Socket BGA1515|\
Socket LGA3647-1|Socket SP3|Socket SP3r2|Socket LGA2066|Socket BGA1392|Socket BGA1510|\
Socket BGA1528|Socket LGA4189|Socket LGA1200|Socket LGA4677|Socket LGA1700|Socket BGA1744|\
Socket BGA1781|Socket BGA1211|Socket BGA2422|Socket LGA1211|Socket LGA2422|Socket LGA5773|\
Socket BGA5773|Socket AM5|Socket SP5|Socket SP6|Socket BGA883|Socket BGA1190|Socket BGA4129|\
Socket LGA4710|Socket LGA7529";

/// From bit 2.
const CHARACTERISTICS: &str = "64-bit capable|Multi-Core|Hardware Thread|Execute Protection|\
Enhanced Virtualization|Power/Performance Control|128-bit Capable|Arm64 SoC ID";

/// The rows of a structure of type 4. `version` is the table's.
pub(super) fn processor(structure: &Structure<'_>, version: (u8, u8)) -> Map<String, Value> {
    let mut rows = Rows::of(structure);
    if rows.length() < 0x1a {
        return rows.finish();
    }
    let family = Family::of(&rows);
    rows.string("Socket Designation", 0x04);
    rows.code("Type", TYPES, rows.byte(0x05));
    let name = family.name(&rows, version);
    rows.text("Family", name);
    rows.string("Manufacturer", 0x07);
    let signature = family.signature(&rows);
    id(&mut rows, signature);
    rows.string("Version", 0x10);
    voltage(&mut rows);
    frequency(&mut rows, "External Clock", 0x12);
    frequency(&mut rows, "Max Speed", 0x14);
    frequency(&mut rows, "Current Speed", 0x16);
    let status = rows.byte(0x18);
    if status & 1 << 6 == 0 {
        rows.text("Status", "Unpopulated");
    } else {
        let word = word_for(STATUSES, (status & 7) + 1);
        rows.text("Status", &format!("Populated, {word}"));
    }
    rows.code("Upgrade", UPGRADES, rows.byte(0x19));
    if rows.length() < 0x20 {
        return rows.finish();
    }
    for (level, offset) in [("L1", 0x1a), ("L2", 0x1c), ("L3", 0x1e)] {
        let text = match rows.word(offset) {
            0xffff if version < (2, 3) => format!("No {level} Cache"),
            0xffff => "Not Provided".to_owned(),
            handle => format!("0x{handle:04X}"),
        };
        rows.text(&format!("{level} Cache Handle"), &text);
    }
    if rows.length() < 0x23 {
        return rows.finish();
    }
    rows.string("Serial Number", 0x20);
    rows.string("Asset Tag", 0x21);
    rows.string("Part Number", 0x22);
    if rows.length() < 0x28 {
        return rows.finish();
    }
    count(&mut rows, "Core Count", 0x23, 0x2a);
    count(&mut rows, "Core Enabled", 0x24, 0x2c);
    count(&mut rows, "Thread Count", 0x25, 0x2e);
    let enabled_threads = rows.word(0x30);
    if enabled_threads != 0 {
        rows.text("Thread Enabled", &enabled_threads.to_string());
    }
    let characteristics = rows.word(0x26);
    // dmidecode looks at the first six bits alone to tell whether there is any.
    if characteristics & 0xfc == 0 {
        rows.text("Characteristics", "None");
    } else {
        let words = words_for(CHARACTERISTICS, characteristics.into(), 2);
        rows.list("Characteristics", &words);
    }
    rows.finish()
}

/// What identifies the processor, and for x86 the features that CPUID tells.
fn id(rows: &mut Rows<'_>, signature: Signature) {
    let octets: Vec<String> = (0x08..0x10)
        .map(|offset| format!("{:02X}", rows.byte(offset)))
        .collect();
    rows.text("ID", &octets.join(" "));
    let (eax, edx) = (rows.double_word(0x08), rows.double_word(0x0c));
    if let Some(text) = signature.text(eax, edx) {
        rows.text("Signature", &text);
    }
    if !signature.has_flags() {
        return;
    }
    let flags = words_for(FLAGS, edx.into(), 0);
    if flags.is_empty() {
        rows.text("Flags", "None");
    } else {
        rows.list("Flags", &flags);
    }
}

fn voltage(rows: &mut Rows<'_>) {
    let code = rows.byte(0x11);
    let text = if code & 0x80 != 0 {
        let tenths = code & 0x7f;
        format!("{}.{} V", tenths / 10, tenths % 10)
    } else {
        match code & 7 {
            0 => "Unknown".to_owned(),
            modes => words_for("5.0 V|3.3 V|2.9 V", modes.into(), 0).join(" "),
        }
    };
    rows.text("Voltage", &text);
}

fn frequency(rows: &mut Rows<'_>, key: &str, offset: usize) {
    match rows.word(offset) {
        0 => rows.text(key, "Unknown"),
        frequency => rows.text(key, &format!("{frequency} MHz")),
    }
}

/// A count in a byte; 255 stands for the word that newer tables have at `wide`.
fn count(rows: &mut Rows<'_>, key: &str, narrow: usize, wide: usize) {
    let number = match rows.byte(narrow) {
        0 => return,
        0xff if rows.length() >= wide + 2 => rows.word(wide),
        number => number.into(),
    };
    rows.text(key, &number.to_string());
}
