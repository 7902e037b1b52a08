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

/// Puts them onto two disks; returns what each that failed is called.
fn install_on_two(files: &BootFiles, disks: [&MemoryMedium; 2]) -> Vec<&'static str> {
    let tables = disks.map(|disk| Table::read(disk).unwrap());
    let disks: Vec<BootDisk<'_>> = ["first", "second"]
        .into_iter()
        .zip(disks.into_iter().zip(&tables))
        .map(|(name, (medium, table))| BootDisk {
            name,
            medium,
            table,
        })
        .collect();
    // The names live longer than the disks do.
    let failed = files.install_on_all(&disks).err().unwrap_or_default();
    let names = failed.into_iter().map(|(name, _)| name);
    names
        .map(|name| if name == "first" { "first" } else { "second" })
        .collect()
}

#[test]
fn no_disk_boots_before_the_core_image_is_on_all() {
    let files = take(&mut image()).unwrap();
    let make = || [gpt_disk(), mbr_disk(2048)];
    let [one, other] = make();
    assert_eq!(install_on_two(&files, [&one, &other]), [""; 0]);
    let changes = [one.log().len(), other.log().len()];
    // Of each: core image, flush, boot code, flush.
    assert_eq!(changes, [4, 4]);
    for failing in [0, 1] {
        for change in 0..changes[failing] {
            let mut disks = make();
            let disk = std::mem::replace(&mut disks[failing], mbr_disk(2048));
            disks[failing] = disk.failing(Fault::Change(change, libc::EIO));
            let failed = install_on_two(&files, [&disks[0], &disks[1]]);
            assert_eq!(failed, [["first", "second"][failing]]);
            let sound = booted(&disks[1 - failing].content()).is_some();
            assert_eq!(sound, change >= 2, "disk {failing}, change {change}");
            assert_eq!(booted(&disks[failing].content()).is_some(), change == 3);
        }
    }
    let [one, other] = make().map(|disk| disk.failing(Fault::Change(0, libc::EIO)));
    assert_eq!(install_on_two(&files, [&one, &other]), ["first", "second"]);
    // Without room on one of them none is touched.
    let (one, other) = (gpt_disk(), mbr_disk(2));
    assert_eq!(install_on_two(&files, [&one, &other]), ["second"]);
    assert_eq!((one.log(), other.log()), (vec![], vec![]));
}

#[test]
fn boot_code_is_taken_away_and_nothing_else() {
    for disk in [gpt_disk(), mbr_disk(2048)] {
        let mut content = disk.content();
        content[..440].fill(0x5a);
        let disk = MemoryMedium::of(content.clone(), 512);
        blank(&disk).unwrap();
        content[..440].fill(0);
        assert!(disk.content() == content);
        let disk = MemoryMedium::of(content, 512);
        blank(&disk).unwrap();
        assert_eq!(disk.log(), [], "there is none");
    }
    // Large sectors, and a first sector that no BIOS starts.
    let mut content = vec![0x5a; 16 << 10];
    content[510..512].copy_from_slice(&[0x55, 0xaa]);
    let disk = MemoryMedium::of(content.clone(), 4096);
    blank(&disk).unwrap();
    content[..440].fill(0);
    assert!(disk.content() == content);
    let disk = MemoryMedium::of(vec![0x5a; 16 << 10], 512);
    blank(&disk).unwrap();
    assert_eq!(disk.log(), []);
    let disk = MemoryMedium::of(vec![0x5a; 16 << 10], 512).failing(Fault::Change(0, libc::EIO));
    blank(&disk).unwrap();
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
