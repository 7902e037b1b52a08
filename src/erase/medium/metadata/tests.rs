use std::cell::Cell;
use std::path::Path;

use crate::block::signatures::{self, Signature};
use crate::block::superblocks::{BTRFS_MAGIC, BTRFS_MAGIC_OFFSET, END};
use crate::block::wipe::{GPT_MAGIC, wipe};
use crate::erase::error::EraseError;
use crate::erase::medium::fake::{FakeMedium, Fault};
use crate::sys::block_device::Disk;
use crate::sys::loop_device::LoopDevice;
use crate::sys::process::Program;

const MIB: u64 = 1 << 20;

fn nothing() -> Result<Vec<Signature>, EraseError> {
    Ok(Vec::new())
}

fn open(path: &Path) -> Disk {
    for _ in 0..600 {
        if let Ok(disk) = Disk::open_exclusive(path) {
            return disk;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    Disk::open_exclusive(path).unwrap()
}

/// The signatures on this path, as the steps look for them.
fn finder(path: &Path) -> impl Fn() -> Result<Vec<Signature>, EraseError> {
    move || Ok(signatures::find(path).unwrap())
}

fn blank(bytes: u64) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(bytes).unwrap();
    file
}

fn run(program: &str, arguments: &[&str], path: &str) {
    let mut program = Program::new(program);
    for argument in arguments {
        program = program.arg(*argument);
    }
    program = program.arg(path);
    // A child of another test can hold the device between its fork and its exec.
    let mut outcome = program.run();
    for _ in 0..600 {
        if outcome.is_ok() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
        outcome = program.run();
    }
    outcome.unwrap();
}

#[test]
fn both_ends_become_zeros_and_the_middle_stays() {
    for block_size in [512, 4096] {
        let disk = FakeMedium::new(16 * MIB, Vec::new()).with_block_size(block_size);
        wipe(&disk, "/dev/fake", nothing).unwrap();
        let bytes = disk.bytes();
        let (end, size) = (END as usize, bytes.len());
        assert!(bytes[..end].iter().all(|byte| *byte == 0));
        assert!(bytes[end..size - end].iter().all(|byte| *byte == 0x5a));
        assert!(bytes[size - end..].iter().all(|byte| *byte == 0));
    }
}

#[test]
fn a_small_partition_becomes_zeros_whole() {
    let disk = FakeMedium::new(MIB + 512, Vec::new());
    wipe(&disk, "/dev/fake", nothing).unwrap();
    assert!(disk.bytes().iter().all(|byte| *byte == 0));
}

#[test]
fn a_second_gpt_header_in_the_middle_is_removed_for_both_block_sizes() {
    for block in [512, 4096] {
        let disk = FakeMedium::new(32 * MIB, Vec::new());
        let backup = 20 * MIB as usize;
        let mut header = vec![0; 512];
        header[..8].copy_from_slice(GPT_MAGIC);
        header[32..40].copy_from_slice(&(backup as u64 / block as u64).to_le_bytes());
        disk.put(block, &header);
        disk.put(backup, &header);
        wipe(&disk, "/dev/fake", nothing).unwrap();
        assert!(
            disk.bytes()[backup..backup + 512]
                .iter()
                .all(|byte| *byte == 0)
        );
        assert_eq!(disk.bytes()[backup + block], 0x5a);
    }
}

#[test]
fn a_header_that_names_a_place_beyond_the_disk_does_no_harm() {
    for alternate in [u64::MAX, 1 << 55, 32 * MIB / 512] {
        let disk = FakeMedium::new(32 * MIB, Vec::new());
        let mut header = vec![0; 512];
        header[..8].copy_from_slice(GPT_MAGIC);
        header[32..40].copy_from_slice(&alternate.to_le_bytes());
        disk.put(512, &header);
        wipe(&disk, "/dev/fake", nothing).unwrap();
    }
}

#[test]
fn the_second_btrfs_superblock_is_removed() {
    let disk = FakeMedium::new(80 * MIB, Vec::new());
    disk.put((64 << 20) + BTRFS_MAGIC_OFFSET, BTRFS_MAGIC);
    wipe(&disk, "/dev/fake", nothing).unwrap();
    let bytes = disk.bytes();
    assert!(
        bytes[64 << 20..(64 << 20) + 4096]
            .iter()
            .all(|byte| *byte == 0)
    );
    assert_eq!(bytes[(64 << 20) + 4096], 0x5a);
}

#[test]
fn a_signature_that_comes_back_is_a_failure() {
    let disk = FakeMedium::new(16 * MIB, Vec::new());
    let always = || {
        Ok(vec![Signature {
            kind: "ext4".to_owned(),
            offset: Some(8 << 20),
        }])
    };
    let error: EraseError = wipe(&disk, "/dev/fake", always).unwrap_err();
    assert!(error.to_string().contains("ext4"), "{error}");
    let endless = Cell::new(0);
    let error: Result<(), EraseError> = wipe(&disk, "/dev/fake", || {
        endless.set(endless.get() + 512);
        Ok(vec![Signature {
            kind: "swap".to_owned(),
            offset: Some(endless.get()),
        }])
    });
    assert!(error.is_err());
}

#[test]
fn a_fault_at_either_end_or_a_failing_flush_is_a_failure() {
    let size = 16 * MIB;
    for fault in [
        Fault::Write(0..512, libc::EIO),
        Fault::Write(size - 512..size, libc::EIO),
        Fault::Read(0..512, libc::EIO),
        Fault::Flush { after: 0 },
        Fault::Flush { after: 1 },
        Fault::Drops {
            range: 0..512,
            after: 0,
        },
        Fault::Drops {
            range: size - 512..size,
            after: 0,
        },
    ] {
        let disk = FakeMedium::new(size, vec![fault.clone()]);
        assert!(wipe(&disk, "/dev/fake", nothing).is_err(), "{fault:?}");
    }
}

#[test]
fn a_fault_at_one_end_does_not_keep_the_other() {
    let disk = FakeMedium::new(16 * MIB, vec![Fault::Write(0..512, libc::EIO)]);
    let error = wipe(&disk, "/dev/fake", nothing).unwrap_err();
    assert!(error.to_string().contains("/dev/fake"), "{error}");
    assert!(disk.bytes()[12 << 20..].iter().all(|byte| *byte == 0));
}

#[test]
fn real_file_systems_and_tables_are_gone_from_loop_devices() {
    for block_size in [512, 4096] {
        let file = blank(300 << 20);
        let Some(device) = LoopDevice::over(file.path(), block_size) else {
            return;
        };
        let path = Path::new(device.path());
        for (program, arguments) in [
            ("/usr/sbin/mkfs.ext4", ["-q", "-F"].as_slice()),
            ("/usr/sbin/mkfs.vfat", &[]),
            ("/usr/sbin/mkswap", &[]),
            ("/usr/sbin/sgdisk", &["-n1:0:+8M", "-n2:0:+8M"]),
        ] {
            run(program, arguments, device.path());
            assert!(!signatures::find(path).unwrap().is_empty(), "{program}");
            let disk = open(path);
            wipe(&disk, device.path(), finder(path)).unwrap();
            assert_eq!(signatures::find(path).unwrap(), [], "{program}");
        }
    }
}
