//! The firmware's own structure, type 0 (DSP0134, 7.1).

use serde_json::{Map, Value};

use super::rows::{OUT_OF_SPEC, Rows, words_for};
use crate::inventory::Structure;

/// From bit 4; bit 3 says that none of them means anything.
const CHARACTERISTICS: &str = "ISA is supported|MCA is supported|EISA is supported|\
PCI is supported|PC Card (PCMCIA) is supported|PNP is supported|APM is supported|\
BIOS is upgradeable|BIOS shadowing is allowed|VLB is supported|ESCD support is available|\
Boot from CD is supported|Selectable boot is supported|BIOS ROM is socketed|\
Boot from PC Card (PCMCIA) is supported|EDD is supported|\
Japanese floppy for NEC 9800 1.2 MB is supported (int 13h)|\
Japanese floppy for Toshiba 1.2 MB is supported (int 13h)|\
5.25\"/360 kB floppy services are supported (int 13h)|\
5.25\"/1.2 MB floppy services are supported (int 13h)|\
3.5\"/720 kB floppy services are supported (int 13h)|\
3.5\"/2.88 MB floppy services are supported (int 13h)|\
Print screen service is supported (int 5h)|8042 keyboard services are supported (int 9h)|\
Serial services are supported (int 14h)|Printer services are supported (int 17h)|\
CGA/mono video services are supported (int 10h)|NEC PC-98";

/// The first extension byte and, from its bit 8, the second.
const EXTENSIONS: &str = "ACPI is supported|USB legacy is supported|AGP is supported|\
I2O boot is supported|LS-120 boot is supported|ATAPI Zip drive boot is supported|\
IEEE 1394 boot is supported|Smart battery is supported|BIOS boot specification is supported|\
Function key-initiated network boot is supported|Targeted content distribution is supported|\
UEFI is supported|System is a virtual machine|Manufacturing mode is supported|\
Manufacturing mode is enabled";

/// The rows of a structure of type 0.
pub(super) fn firmware(structure: &Structure<'_>) -> Map<String, Value> {
    let mut rows = Rows::of(structure);
    if rows.length() < 0x12 {
        return rows.finish();
    }
    rows.string("Vendor", 0x04);
    rows.string("Version", 0x05);
    rows.string("Release Date", 0x08);
    runtime(&mut rows);
    rom_size(&mut rows);
    characteristics(&mut rows);
    if rows.length() >= 0x18 {
        revision(&mut rows, "BIOS Revision", 0x14);
        revision(&mut rows, "Firmware Revision", 0x16);
    }
    rows.finish()
}

/// Where the firmware lies below 1 MiB; UEFI has no such place and says 0.
fn runtime(rows: &mut Rows<'_>) {
    let segment = rows.word(0x06);
    if segment == 0 {
        return;
    }
    rows.text("Address", &format!("0x{segment:04X}0"));
    let size = (0x1_0000 - u32::from(segment)) << 4;
    let text = match size % 1024 {
        0 => format!("{} kB", size / 1024),
        _ => format!("{size} bytes"),
    };
    rows.text("Runtime Size", &text);
}

fn rom_size(rows: &mut Rows<'_>) {
    let size = rows.byte(0x09);
    if size != 0xff {
        return rows.size("ROM Size", (u64::from(size) + 1) << 6, 1);
    }
    // 16 MB or more; where that is all the firmware says, dmidecode takes it for 16.
    let extended = match rows.length() {
        0x1a.. => rows.word(0x18),
        _ => 16,
    };
    let unit = ["MB", "GB", OUT_OF_SPEC, OUT_OF_SPEC][usize::from(extended >> 14)];
    rows.text("ROM Size", &format!("{} {unit}", extended & 0x3fff));
}

fn characteristics(rows: &mut Rows<'_>) {
    let bits = rows.quad_word(0x0a);
    let mut words = if bits & 1 << 3 != 0 {
        vec!["BIOS characteristics not supported"]
    } else {
        words_for(CHARACTERISTICS, bits, 4)
    };
    // Absent bytes read as 0.
    let extensions = u64::from(rows.byte(0x12)) | u64::from(rows.byte(0x13)) << 8;
    words.extend(words_for(EXTENSIONS, extensions, 0));
    rows.list("Characteristics", &words);
}

fn revision(rows: &mut Rows<'_>, key: &str, offset: usize) {
    let (major, minor) = (rows.byte(offset), rows.byte(offset + 1));
    if major != 0xff && minor != 0xff {
        rows.text(key, &format!("{major}.{minor}"));
    }
}
