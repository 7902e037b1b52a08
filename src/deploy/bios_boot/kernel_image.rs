//! GRUB's `kernel.img`: an ELF executable, of which the core image has code and data as they lie in memory. Right
//! behind them GRUB looks for its modules, so that its zeroed memory is left out.

use std::ops::Range;

/// Where it is loaded (GRUB's `include/grub/offsets.h`, `GRUB_KERNEL_I386_PC_LINK_ADDR`).
pub(super) const ADDRESS: u32 = 0x9000;

/// The first address that is not its own any more, with its zeroed memory (`util/mkimage.c`).
const END: u32 = 0x68000;

/// Bytes of the headers (ELF-32).
const HEADER: usize = 52;
const SECTION: usize = 40;

/// `EM_386`
const I386: u16 = 3;

/// `ET_EXEC`
const EXECUTABLE: u16 = 2;

/// `SHT_PROGBITS`: code or data.
const CONTENT: u32 = 1;

/// `SHT_NOBITS`: zeros that the file does not have.
const ZEROS: u32 = 8;

/// `SHF_ALLOC`: in memory.
const IN_MEMORY: u32 = 2;

/// The memory from [`ADDRESS`] on, as this file fills it with code and data.
///
/// # Errors
/// What is wrong with the file, in words.
pub(super) fn flat(file: &[u8]) -> Result<Vec<u8>, &'static str> {
    const SHORT: &str = "it ends too early";

    let start = file.get(..HEADER).ok_or(SHORT)?;
    // ELF, 32 bits, little endian, version 1.
    if start[..7] != *b"\x7fELF\x01\x01\x01"
        || u16_at(start, 16) != Some(EXECUTABLE)
        || u16_at(start, 18) != Some(I386)
    {
        return Err("it is no ELF executable for i386");
    }
    let table = u32_at(start, 32).ok_or(SHORT)? as usize;
    let entry = usize::from(u16_at(start, 46).ok_or(SHORT)?);
    let count = usize::from(u16_at(start, 48).ok_or(SHORT)?);
    if entry != SECTION {
        return Err("its table of sections has entries of another size than ELF's");
    }
    let table = table
        .checked_add(entry * count)
        .and_then(|end| file.get(table..end))
        .ok_or(SHORT)?;
    let mut memory = Vec::new();
    let mut left = (END - ADDRESS) as usize;
    for section in table.chunks_exact(SECTION) {
        let field = |offset| u32_at(section, offset).ok_or(SHORT);
        let (kind, flags, size) = (field(4)?, field(8)?, field(20)?);
        if flags & IN_MEMORY == 0 || size == 0 || !matches!(kind, CONTENT | ZEROS) {
            continue;
        }
        let place =
            place(field(12)?, size).ok_or("a section of it lies outside of GRUB's memory")?;
        if kind == ZEROS {
            continue;
        }
        // Else a table of thousands of sections, each over the other, would take its time.
        left = left
            .checked_sub(place.len())
            .ok_or("its sections lie over each other")?;
        let offset = field(16)? as usize;
        let content = offset
            .checked_add(place.len())
            .and_then(|end| file.get(offset..end))
            .ok_or(SHORT)?;
        if memory.len() < place.end {
            memory.resize(place.end, 0);
        }
        memory[place].copy_from_slice(content);
    }
    if memory.is_empty() {
        return Err("it has neither code nor data");
    }
    Ok(memory)
}

/// Bytes of the memory, from its start on.
fn place(address: u32, size: u32) -> Option<Range<usize>> {
    let end = address.checked_add(size).filter(|end| *end <= END)?;
    Some(address.checked_sub(ADDRESS)? as usize..(end - ADDRESS) as usize)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let field = bytes.get(at..)?.first_chunk()?;
    Some(u16::from_le_bytes(*field))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let field = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes(*field))
}

/// A kernel with these sections: address, content, or how many zeros.
#[cfg(any(test, fuzzing))]
pub(super) fn fixture(sections: &[(u32, Result<&[u8], u32>)]) -> Vec<u8> {
    let mut file = vec![0; HEADER];
    let mut table = vec![0; SECTION];
    for (address, content) in sections {
        let (kind, offset, size) = match content {
            Ok(bytes) => (CONTENT, file.len() as u32, bytes.len() as u32),
            Err(zeros) => (ZEROS, file.len() as u32, *zeros),
        };
        file.extend(content.unwrap_or_default());
        for field in [0, kind, IN_MEMORY, *address, offset, size, 0, 0, 1, 0] {
            table.extend(field.to_le_bytes());
        }
    }
    let at = file.len() as u32;
    file.extend(&table);
    file[..7].copy_from_slice(b"\x7fELF\x01\x01\x01");
    file[16..18].copy_from_slice(&EXECUTABLE.to_le_bytes());
    file[18..20].copy_from_slice(&I386.to_le_bytes());
    file[32..36].copy_from_slice(&at.to_le_bytes());
    file[46..48].copy_from_slice(&(SECTION as u16).to_le_bytes());
    file[48..50].copy_from_slice(&(sections.len() as u16 + 1).to_le_bytes());
    file
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sections_are_where_they_say() {
        let file = fixture(&[
            (0x9000, Ok(b"code")),
            (0x9008, Ok(b"data")),
            (0x900c, Err(4)),
        ]);
        assert_eq!(flat(&file).unwrap(), b"code\0\0\0\0data");
    }

    #[test]
    fn what_is_no_kernel_is_refused() {
        let good = fixture(&[(0x9000, Ok(b"code"))]);
        for end in 0..good.len() {
            assert!(flat(&good[..end]).is_err(), "{end} bytes");
        }
        for (sections, reason) in [
            (
                &[(0x8fff, Ok(&b"code"[..]))][..],
                "outside of GRUB's memory",
            ),
            (&[(0x67ffd, Ok(b"code"))], "outside of GRUB's memory"),
            (&[(0x9000, Err(u32::MAX))], "outside of GRUB's memory"),
            (&[(u32::MAX, Err(1))], "outside of GRUB's memory"),
            (
                &[(0x9000, Ok(&[0; 0x30000][..])), (0x9000, Ok(&[0; 0x30000]))],
                "lie over each other",
            ),
            (&[(0x9000, Err(0))], "neither code nor data"),
            (&[], "neither code nor data"),
        ] {
            let error = flat(&fixture(sections)).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
        // Where each field that is looked at has another value.
        for (at, reason) in [
            (4, "no ELF"),
            (16, "no ELF"),
            (18, "no ELF"),
            (35, "too early"),
            (46, "entries"),
            (49, "too early"),
        ] {
            let mut bad = good.clone();
            bad[at] ^= 0x40;
            let error = flat(&bad).unwrap_err();
            assert!(error.contains(reason), "{at}: {error}");
        }
    }

    proptest! {
        #[test]
        fn any_file_is_read_within_bounds_or_refused(
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        ) {
            let mut file = fixture(&[(0x9000, Ok(b"code")), (0x9010, Err(64))]);
            for (at, value) in changes {
                let at = at.index(file.len());
                file[at] = value;
            }
            if let Ok(memory) = flat(&file) {
                prop_assert!(memory.len() <= (END - ADDRESS) as usize);
            }
        }
    }
}
