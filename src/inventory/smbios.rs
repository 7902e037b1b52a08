//! The SMBIOS table: what the firmware says of the machine.
//!
//! Structures are a formatted area, whose length they give themselves, and after it a set of
//! NUL-terminated strings that the area refers to by number, ended by one more NUL (DMTF DSP0134,
//! 6.1). Firmware gets all of it wrong somewhere: numbers without a string, strings that are not
//! text, tables that end early. What cannot be read is taken for absent, and nothing here reads
//! beyond what the kernel gave.

use crate::sys::root::Root;

/// Structure types (DSP0134, 7).
const FIRMWARE: u8 = 0;
const SYSTEM: u8 = 1;
const PROCESSOR: u8 = 4;
const MEMORY_ARRAY: u8 = 16;
const MEMORY_DEVICE: u8 = 17;
const END_OF_TABLE: u8 = 127;

/// The table and the version of the specification that it follows.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Smbios {
    version: (u8, u8),
    table: Vec<u8>,
}

/// One structure of the table.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Structure<'t> {
    /// Its type.
    pub kind: u8,
    /// The number by which others refer to it.
    pub handle: u16,
    /// The formatted area with its header; offsets are those of the specification.
    area: &'t [u8],
    /// The string set, without the NUL that ends it.
    strings: &'t [u8],
}

impl Smbios {
    /// The table that the kernel found; `None` on a machine without one.
    pub(crate) fn read(root: &Root) -> Option<Self> {
        const TABLES: &str = "/sys/firmware/dmi/tables";
        let entry = root.read(format!("{TABLES}/smbios_entry_point")).ok()?;
        let table = root.read(format!("{TABLES}/DMI")).ok()?;
        Some(Self::new(&entry, table))
    }

    /// A table with its entry point. An entry point that is not one counts as version 0.0, so that
    /// the table can still be read.
    pub(crate) fn new(entry_point: &[u8], table: Vec<u8>) -> Self {
        let at = |offset: usize| entry_point.get(offset).copied().unwrap_or(0);
        let version = if entry_point.starts_with(b"_SM3_") {
            (at(7), at(8))
        } else if entry_point.starts_with(b"_SM_") {
            (at(6), at(7))
        } else {
            (0, 0)
        };
        Self { version, table }
    }

    /// Major and minor version of the specification.
    pub(crate) fn version(&self) -> (u8, u8) {
        self.version
    }

    /// The structures in their order, as far as the table can be read.
    pub(crate) fn structures(&self) -> impl Iterator<Item = Structure<'_>> {
        Structures { rest: &self.table }
    }

    /// The first structure of this type.
    pub(crate) fn first(&self, kind: u8) -> Option<Structure<'_>> {
        self.structures().find(|structure| structure.kind == kind)
    }

    /// Firmware vendor, version and date; empty where absent.
    pub(crate) fn firmware(&self) -> Option<[String; 3]> {
        let structure = self.first(FIRMWARE)?;
        Some([0x04, 0x05, 0x08].map(|offset| structure.string(offset).unwrap_or_default()))
    }

    /// Maker, product, serial number and SKU of the system; empty where absent.
    pub(crate) fn system(&self) -> Option<[String; 4]> {
        let structure = self.first(SYSTEM)?;
        Some([0x04, 0x05, 0x07, 0x19].map(|offset| structure.string(offset).unwrap_or_default()))
    }

    /// What the first processor calls itself.
    pub(crate) fn processor_version(&self) -> Option<String> {
        self.first(PROCESSOR)?.string(0x10)
    }

    /// Sockets with a processor in them; co-processors do not count (DSP0134, 7.5).
    pub(crate) fn processor_count(&self) -> u32 {
        self.processors().count() as u32
    }

    /// The greatest speed that the firmware tells of a processor, in MHz; `None` where it tells none.
    ///
    /// Some firmware writes 0 or less than the speed at start for the greatest, so both count, as with lscpu.
    pub(crate) fn processor_speed(&self) -> Option<u16> {
        self.processors()
            .flat_map(|processor| [processor.word(0x14), processor.word(0x16)])
            .flatten()
            .max()
            .filter(|mhz| *mhz > 0)
    }

    fn processors(&self) -> impl Iterator<Item = Structure<'_>> {
        const IS_POPULATED: u8 = 1 << 6;
        const CO_PROCESSORS: std::ops::RangeInclusive<u8> = 4..=6;
        self.structures()
            .filter(|structure| structure.kind == PROCESSOR)
            .filter(|processor| {
                processor
                    .byte(0x18)
                    .is_some_and(|status| status & IS_POPULATED != 0)
            })
            .filter(|processor| {
                !processor
                    .byte(0x05)
                    .is_some_and(|kind| CO_PROCESSORS.contains(&kind))
            })
    }

    /// The handles of memory arrays that are not main memory.
    pub(crate) fn other_arrays(&self) -> Vec<u16> {
        self.structures()
            .filter(|structure| structure.kind == MEMORY_ARRAY)
            .filter(|array| matches!(array.byte(0x05), Some(0x04..=0x07)))
            .map(|array| array.handle)
            .collect()
    }

    /// Bytes of all memory modules, without those of arrays that are not main memory (video,
    /// flash, non-volatile, cache).
    pub(crate) fn installed_memory(&self) -> u64 {
        let others = self.other_arrays();
        self.structures()
            .filter(|structure| structure.kind == MEMORY_DEVICE)
            .filter(|device| {
                !device
                    .word(0x04)
                    .is_some_and(|array| others.contains(&array))
            })
            .filter_map(|device| device.memory_size())
            .fold(0, u64::saturating_add)
    }
}

impl Structure<'_> {
    /// The length of the formatted area with its header, as the structure gives it itself.
    pub(crate) fn length(&self) -> usize {
        self.area.len()
    }

    /// The byte at this offset.
    pub(crate) fn byte(&self, offset: usize) -> Option<u8> {
        self.area.get(offset).copied()
    }

    /// The 16-bit number at this offset.
    pub(crate) fn word(&self, offset: usize) -> Option<u16> {
        let bytes = self.area.get(offset..offset.checked_add(2)?)?;
        Some(u16::from_le_bytes(bytes.try_into().ok()?))
    }

    /// The 32-bit number at this offset.
    pub(crate) fn double_word(&self, offset: usize) -> Option<u32> {
        let bytes = self.area.get(offset..offset.checked_add(4)?)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    }

    /// The 64-bit number at this offset.
    pub(crate) fn quad_word(&self, offset: usize) -> Option<u64> {
        let low = self.double_word(offset)?;
        let high = self.double_word(offset.checked_add(4)?)?;
        Some(u64::from(high) << 32 | u64::from(low))
    }

    /// The string of this number as the firmware wrote it; they are counted from 1, and an empty
    /// one cannot be.
    pub(crate) fn string_bytes(&self, number: u8) -> Option<&[u8]> {
        self.strings
            .split(|byte| *byte == 0)
            .nth(usize::from(number).checked_sub(1)?)
            .filter(|bytes| !bytes.is_empty())
    }

    /// The string whose number stands at this offset: trimmed, without control characters, bytes
    /// that are not UTF-8 as U+FFFD. `None` where there is none or nothing is left of it.
    pub(crate) fn string(&self, offset: usize) -> Option<String> {
        let bytes = self.string_bytes(self.byte(offset)?)?;
        let text: String = String::from_utf8_lossy(bytes)
            .chars()
            .filter(|c| !c.is_control())
            .collect();
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// The size of a memory device in bytes; `None` for an empty slot or an unknown size (DSP0134,
    /// 7.18).
    pub(super) fn memory_size(&self) -> Option<u64> {
        const KIB: u64 = 1 << 10;
        const MIB: u64 = 1 << 20;
        match self.word(0x0c)? {
            0 | 0xffff => None,
            // Before version 2.7 there is no extended size, and this is a size like any other.
            0x7fff if self.length() >= 0x20 => {
                let size = self.double_word(0x1c)? & 0x7fff_ffff;
                Some(u64::from(size) * MIB).filter(|size| *size > 0)
            }
            size if size & 0x8000 != 0 => Some(u64::from(size & 0x7fff) * KIB),
            size => Some(u64::from(size) * MIB),
        }
    }
}

struct Structures<'t> {
    rest: &'t [u8],
}

impl<'t> Iterator for Structures<'t> {
    type Item = Structure<'t>;

    fn next(&mut self) -> Option<Structure<'t>> {
        let header = self.rest.get(..4)?;
        let kind = header[0];
        let length = usize::from(header[1]);
        let handle = u16::from_le_bytes([header[2], header[3]]);
        // A length that does not even cover the header leaves no way to find the next structure.
        if length < header.len() || kind == END_OF_TABLE {
            self.rest = &[];
            return None;
        }
        let area = self.rest.get(..length)?;
        let tail = &self.rest[length..];
        let (strings, rest) = match tail.windows(2).position(|pair| pair == [0, 0]) {
            Some(end) => (&tail[..end], &tail[end + 2..]),
            None => (tail, &[][..]),
        };
        self.rest = rest;
        Some(Structure {
            kind,
            handle,
            area,
            strings,
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A structure as firmware would write it: fields at offsets, and strings.
    pub(crate) fn structure(
        kind: u8,
        handle: u16,
        length: u8,
        fields: &[(usize, &[u8])],
        strings: &[&[u8]],
    ) -> Vec<u8> {
        let mut bytes = vec![0; usize::from(length)];
        bytes[0] = kind;
        bytes[1] = length;
        bytes[2..4].copy_from_slice(&handle.to_le_bytes());
        for (offset, value) in fields {
            bytes[*offset..offset + value.len()].copy_from_slice(value);
        }
        for string in strings {
            bytes.extend_from_slice(string);
            bytes.push(0);
        }
        if strings.is_empty() {
            bytes.push(0);
        }
        bytes.push(0);
        bytes
    }

    fn smbios(structures: &[Vec<u8>]) -> Smbios {
        Smbios::new(b"_SM3_\0\0\x03\x02\0", structures.concat())
    }

    #[test]
    fn system_and_firmware() {
        let smbios = smbios(&[
            structure(
                0,
                0,
                0x18,
                &[(4, &[1, 2]), (8, &[3])],
                &[b"SeaBIOS", b" 1.16 ", b"04/01/2014"],
            ),
            structure(
                1,
                0x100,
                0x1b,
                &[(4, &[1, 2, 0, 3]), (0x19, &[4])],
                &[b"ACME", b"X1", b"S\x01N", b"sku"],
            ),
            structure(127, 0xfeff, 4, &[], &[]),
            structure(1, 0x101, 0x1b, &[(4, &[1])], &[b"after the end"]),
        ]);
        assert_eq!(smbios.version(), (3, 2));
        assert_eq!(
            smbios.firmware().unwrap(),
            ["SeaBIOS", "1.16", "04/01/2014"]
        );
        assert_eq!(smbios.system().unwrap(), ["ACME", "X1", "SN", "sku"]);
        assert_eq!(smbios.structures().count(), 2);
    }

    #[test]
    fn broken_strings_are_absent() {
        let smbios = smbios(&[structure(
            1,
            1,
            0x08,
            &[(4, &[9, 0, 1, 2])],
            &[b"\xff\xfeX", b"   "],
        )]);
        assert_eq!(smbios.system().unwrap(), ["", "", "", ""]);
        assert_eq!(
            smbios.first(1).unwrap().string(6).as_deref(),
            Some("\u{fffd}\u{fffd}X")
        );
    }

    #[test]
    fn modules_add_up() {
        let module = |handle, array: u16, size: u16, extended: u32| {
            structure(
                17,
                handle,
                0x28,
                &[
                    (4, &array.to_le_bytes()),
                    (0x0c, &size.to_le_bytes()),
                    (0x1c, &extended.to_le_bytes()),
                ],
                &[],
            )
        };
        let smbios = smbios(&[
            structure(16, 0x1000, 0x17, &[(5, &[3])], &[]),
            structure(16, 0x1001, 0x17, &[(5, &[5])], &[]),
            module(1, 0x1000, 16384, 0),
            module(2, 0x1000, 0x7fff, 65536),
            module(3, 0x1000, 0, 0),
            module(4, 0x1000, 0xffff, 0),
            module(5, 0x1000, 0x8000 | 512, 0),
            module(6, 0x1001, 16, 0),
        ]);
        assert_eq!(
            smbios.installed_memory(),
            (16384 + 65536) * (1 << 20) + 512 * 1024
        );
    }

    #[test]
    fn a_module_of_32767_mib_needs_no_extended_size() {
        let module = |length| structure(17, 1, length, &[(0x0c, &0x7fff_u16.to_le_bytes())], &[]);
        // Version 2.6 ends at 0x1c, 2.7 at 0x22.
        for (length, expected) in [(0x15, 32767), (0x1c, 32767), (0x1f, 32767), (0x22, 0)] {
            let smbios = smbios(&[module(length)]);
            assert_eq!(smbios.installed_memory(), expected << 20, "{length:#x}");
        }
    }

    #[test]
    fn a_table_that_ends_early_gives_what_it_has() {
        let mut bytes = structure(0, 0, 0x18, &[(4, &[1])], &[b"ACME"]);
        bytes.extend_from_slice(&[1, 0x1b, 0, 1, 1]);
        let smbios = Smbios::new(b"", bytes);
        assert_eq!(smbios.firmware().unwrap()[0], "ACME");
        assert_eq!(smbios.system(), None);
        assert_eq!(smbios.version(), (0, 0));

        let unterminated = Smbios::new(b"", b"\x01\x08\0\0\x01\0\0\0ACME".to_vec());
        assert_eq!(unterminated.system().unwrap()[0], "ACME");
        let too_short = Smbios::new(b"", vec![1, 3, 0, 0, 0, 0]);
        assert_eq!(too_short.structures().count(), 0);
    }

    proptest! {
        #[test]
        fn any_table_ends(entry in proptest::collection::vec(any::<u8>(), 0..32), table in proptest::collection::vec(any::<u8>(), 0..2048)) {
            let size = table.len();
            let smbios = Smbios::new(&entry, table);
            smbios.firmware();
            smbios.system();
            smbios.processor_version();
            smbios.processor_speed();
            smbios.installed_memory();
            prop_assert!(smbios.processor_count() as usize <= size / 4);
            for structure in smbios.structures() {
                for offset in 0..256 {
                    structure.string(offset);
                    structure.word(offset);
                    structure.double_word(offset);
                }
            }
            prop_assert!(smbios.structures().count() <= size / 4);
        }

        #[test]
        fn a_written_string_is_read(strings in proptest::collection::vec("[!-~]([ -~]{0,20}[!-~])?", 1..6), wanted in 0usize..6) {
            let wanted = wanted % strings.len();
            let bytes: Vec<&[u8]> = strings.iter().map(String::as_bytes).collect();
            let number = u8::try_from(wanted + 1).unwrap();
            let smbios = smbios(&[structure(1, 1, 0x1b, &[(4, &[number])], &bytes)]);
            prop_assert_eq!(&smbios.system().unwrap()[0], &strings[wanted]);
        }
    }
}
