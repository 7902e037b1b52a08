//! What gets onto a disk, in which order, and what of it a power cut or a bad disk leaves.

use uuid::Uuid;

use super::*;
use crate::block::fixture;
use crate::block::gpt::{self, Gpt};
use crate::block::mbr::{self, Mbr};
use crate::sys::memory_medium::{Fault, MemoryMedium};

const MIB: u64 = 1 << 20;

/// A disk of 8 MiB with a BIOS boot partition, a root partition and a GPT.
pub(super) fn gpt_disk() -> MemoryMedium {
    let disk = MemoryMedium::of(vec![0; 8 << 20], 512);
    let mut table = Gpt::new(&disk, Uuid::from_u128(1)).unwrap();
    let mut add = |number, mib, kind| {
        let guid = Uuid::from_u128(u128::from(number) + 1);
        table
            .add(number, mib * MIB, MIB, kind, guid, "primary")
            .unwrap();
    };
    add(1, 1, gpt::BIOS_BOOT);
    add(2, 2, gpt::LINUX_FILE_SYSTEM);
    table.write(&disk).unwrap();
    Mbr::protective(&disk).write(&disk).unwrap();
    MemoryMedium::of(disk.content(), 512)
}

/// The same with an MBR, and the root partition alone from this sector on.
pub(super) fn mbr_disk(first: u64) -> MemoryMedium {
    let disk = MemoryMedium::of(vec![0; 8 << 20], 512);
    let mut table = Mbr::new(&disk, 0x1a2b_3c4d);
    table.add(1, first * 512, MIB, mbr::LINUX, true).unwrap();
    table.write(&disk).unwrap();
    MemoryMedium::of(disk.content(), 512)
}

fn install(files: &BootFiles, disk: &MemoryMedium) -> Result<(), BiosBootError> {
    let table = Table::read(disk).unwrap();
    check(disk, &table)?;
    files.install(disk, &table)
}

/// The core image that the boot sector leads to, if there is boot code.
fn booted(disk: &[u8]) -> Option<&[u8]> {
    disk[..440].iter().any(|byte| *byte != 0).then(|| {
        let first = u64::from_le_bytes(disk[0x5c..0x64].try_into().unwrap());
        &disk[first as usize * 512..]
    })
}

#[test]
fn what_boots_is_written_last() {
    let files = take(&mut image()).unwrap();
    for (disk, first) in [(gpt_disk(), 2048), (mbr_disk(2048), 1)] {
        let before = disk.content();
        install(&files, &disk).unwrap();
        let core = files.core.at(first);
        let mut state = 7_u32;
        for changes in 0..=disk.log().len() {
            for _ in 0..16 {
                let left = disk.after_power_cut(changes, || {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    state >> 31 == 1
                });
                if let Some(found) = booted(&left) {
                    assert!(found.starts_with(&core), "after {changes} changes");
                }
                assert_eq!(left[440..512], before[440..512], "the table");
            }
        }
        let after = disk.content();
        assert_eq!(booted(&after).unwrap()[..core.len()], core);
        assert_eq!(after[0x66..0x68], [0x90, 0x90]);
        // A second time, with another core image: no moment leads into a mixture.
        let mut other = image();
        other.put("/usr/lib/grub/i386-pc/biosdisk.mod", &[b'x'; 5000]);
        let other = take(&mut other).unwrap();
        let disk = MemoryMedium::of(after, 512);
        install(&other, &disk).unwrap();
        let new = other.core.at(first);
        disk.replay(|_, left| {
            if let Some(found) = booted(left) {
                assert!(found.starts_with(&core) || found.starts_with(&new));
            }
        });
    }
}

#[test]
fn a_disk_that_fails_does_not_boot() {
    let files = take(&mut image()).unwrap();
    let changes = {
        let disk = mbr_disk(2048);
        install(&files, &disk).unwrap();
        disk.log().len()
    };
    for change in 0..changes {
        let disk = mbr_disk(2048).failing(Fault::Change(change, libc::EIO));
        let error = install(&files, &disk).unwrap_err();
        assert!(matches!(error, BiosBootError::Disk(_)), "{error}");
        // The last change is the flush of the boot sector.
        assert_eq!(booted(&disk.content()).is_some(), change == changes - 1);
    }
    let disk = mbr_disk(2048).failing(Fault::Loses(700));
    let error = install(&files, &disk).unwrap_err();
    assert!(error.to_string().contains("core image of GRUB"), "{error}");
    assert_eq!(booted(&disk.content()), None);
    let disk = mbr_disk(2048).failing(Fault::Loses(7));
    let error = install(&files, &disk).unwrap_err();
    assert!(error.to_string().contains("boot sector of GRUB"), "{error}");
}

#[test]
fn no_room_is_named_and_nothing_is_written() {
    let files = take(&mut image()).unwrap();
    let large = MemoryMedium::of(fixture::gpt(4096, 0).content(), 4096);
    for (disk, said) in [
        (large, "sectors of 4096 bytes"),
        (fixture::gpt(512, 0), "no BIOS boot partition"),
        (mbr_disk(2), "and 512 are free there"),
        (mbr_disk(1), "and 0 are free there"),
    ] {
        let error = install(&files, &disk).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CommandExecution);
        assert!(error.to_string().contains(said), "{error}");
        assert_eq!(disk.log(), []);
    }
    // Exactly enough.
    let sectors = files.core.size() / 512;
    install(&files, &mbr_disk(1 + sectors)).unwrap();
    install(&files, &mbr_disk(sectors)).unwrap_err();
}
