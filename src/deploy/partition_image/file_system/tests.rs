use farrier_plugin::{ErrorKind, SilentContext};

use super::*;
use crate::block::probe;
use crate::sys::block_device::{Disk, Medium};
use crate::sys::loop_device::LoopDevice;
use crate::sys::loop_range::LoopRange;

const MIB: u64 = 1 << 20;

fn wanted(role: Role, format: &str, mib: u64) -> Wanted<'_> {
    Wanted {
        place: Place {
            role,
            number: 1,
            offset: MIB,
            length: mib * MIB,
        },
        format,
    }
}

/// The file systems of every kind, made in the middle of a disk that is held, on both sizes of
/// blocks, over what another file system left.
#[test]
fn each_program_makes_its_file_system_in_a_disk_that_is_held() {
    for block in [512, 4096] {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(400 * MIB).unwrap();
        let Some(device) = LoopDevice::over(file.path(), block) else {
            return;
        };
        let disk = Disk::open_exclusive(device.path()).unwrap();
        let programs = Programs {
            context: &SilentContext,
            device: device.path(),
            path: disk.path(),
            block,
        };
        disk.write_at(0, &vec![0xaa; MIB as usize]).unwrap();
        for (role, format, mib, kind, label) in [
            (Role::Ephemeral, "ext4", 60, "ext4", "ephemeral0"),
            (Role::Ephemeral, "ext4", 60, "ext4", "ephemeral0"),
            (Role::Ephemeral, "ext3", 60, "ext4", "ephemeral0"),
            (Role::Ephemeral, "xfs", 320, "xfs", "ephemeral0"),
            (Role::Ephemeral, "ext2", 60, "ext4", "ephemeral0"),
            (Role::Ephemeral, "fat", 60, "vfat", "ephemeral0"),
            (Role::EfiSystem, "vfat", 300, "vfat", "efi-part"),
        ] {
            let wanted = wanted(role, format, mib);
            programs.check(&wanted).unwrap();
            programs.make(&wanted).unwrap();
            let found = probe::file_system(&disk, MIB, mib * MIB).unwrap().unwrap();
            assert_eq!(
                (found.kind, found.label.as_str()),
                (kind, label),
                "{format} on {block}"
            );
            assert!(found.uuid.is_some(), "{format} on {block}");
            // ext4 on a disk of smaller blocks may have smaller ones than this disk.
            assert!(found.largest_block >= block, "{format} on {block}");
            let zeros = vec![0; 8 * MIB as usize];
            disk.write_at(MIB, &zeros).unwrap();
        }
        let swap = wanted(Role::Swap, "swap", 40);
        programs.check(&swap).unwrap();
        programs.make(&swap).unwrap();
        let mut page = vec![0; 4096];
        disk.read_at(MIB, &mut page).unwrap();
        assert_eq!(&page[4086..], b"SWAPSPACE2");
        assert!(page[1052..].starts_with(b"swap1\0"));
        // Nothing beside the partition was touched.
        let mut before = vec![0; MIB as usize];
        disk.read_at(0, &mut before).unwrap();
        assert!(before.iter().all(|byte| *byte == 0xaa));
    }
}

/// A crash of the deployed system must not find transactions of a file system that lay there before.
#[test]
fn the_journal_of_an_ext4_holds_nothing_of_what_was_there() {
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(62 * MIB).unwrap();
    let Some(device) = LoopDevice::over(file.path(), 512) else {
        return;
    };
    let disk = Disk::open_exclusive(device.path()).unwrap();
    disk.write_at(0, &vec![0xaa; 62 * MIB as usize]).unwrap();
    let programs = Programs {
        context: &SilentContext,
        device: device.path(),
        path: disk.path(),
        block: 512,
    };
    programs.make(&wanted(Role::Ephemeral, "ext4", 60)).unwrap();
    disk.flush().unwrap();
    drop(disk);
    let range = LoopRange::over(Path::new(device.path()), MIB, 60 * MIB, 512).unwrap();
    let journal = Program::new("/usr/sbin/debugfs")
        .arg("-R")
        .arg("cat <8>")
        .arg(range.path());
    let held = journal.output().unwrap().stdout;
    assert!(held.contains('\0'), "{} bytes", held.len());
    // What is not UTF-8 comes as replacement letters.
    let stale = "\u{fffd}".repeat(512);
    assert!(!held.contains(&stale), "the journal is not zeroed");
}

#[test]
fn what_cannot_be_made_is_named() {
    let programs = Programs {
        context: &SilentContext,
        device: "/dev/sda",
        path: Path::new("/nonexistent"),
        block: 512,
    };
    let error = programs
        .check(&wanted(Role::Ephemeral, "reiser9", 60))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rest);
    let text = error.to_string();
    assert!(
        text.starts_with("Failed to create a file system. File system reiser9 is not supported."),
        "{text}"
    );
    assert!(text.contains("ephemeral_format"), "{text}");
    let error = programs.make(&wanted(Role::Swap, "swap", 60)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ImageWrite);
    assert_eq!(
        error.to_string(),
        "Failed to create a swap file system in the swap partition of /dev/sda"
    );
}

/// The program's own words come along.
#[test]
fn a_program_that_fails_says_why() {
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(8 * MIB).unwrap();
    let Some(device) = LoopDevice::over(file.path(), 512) else {
        return;
    };
    let programs = Programs {
        context: &SilentContext,
        device: device.path(),
        path: Path::new(device.path()),
        block: 512,
    };
    let error = programs
        .make(&wanted(Role::Ephemeral, "xfs", 2))
        .unwrap_err();
    let said = farrier_plugin::chain(&error).to_string();
    assert!(said.contains("mkfs.xfs") && said.contains("size"), "{said}");
}
