use proptest::prelude::*;

use super::*;
use crate::sys::memory_medium::MemoryMedium;
use crate::sys::process::Program;

/// A file system that this program makes over a file; `None` where it is not installed.
fn made(size: u64, program: &str, arguments: &[&str]) -> Option<Vec<u8>> {
    if !std::path::Path::new(program).exists() {
        return None;
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(size).unwrap();
    let mut program = Program::new(program);
    for argument in arguments {
        program = program.arg(*argument);
    }
    program
        .arg(file.path().display().to_string())
        .run()
        .unwrap();
    Some(std::fs::read(file.path()).unwrap())
}

fn probed(content: Vec<u8>) -> Option<FileSystem> {
    // In the midst of a disk, as a partition is.
    let length = content.len() as u64;
    let mut disk = vec![0xaa; 1 << 20];
    disk.extend(content);
    file_system(&MemoryMedium::of(disk, 512), 1 << 20, length).unwrap()
}

#[test]
fn what_lies_on_another_device_is_known() {
    let elsewhere = |content: Vec<u8>| probed(content).unwrap().elsewhere;
    if let Some(ext) = made(4 << 20, "/usr/sbin/mkfs.ext4", &["-q"]) {
        assert_eq!(elsewhere(ext.clone()), None);
        let mut without_inode = ext.clone();
        without_inode[1024 + 224..1024 + 228].fill(0);
        assert_eq!(elsewhere(without_inode.clone()), Some("its journal"));
        let mut with_device = ext;
        with_device[1024 + 228] = 1;
        assert_eq!(elsewhere(with_device), Some("its journal"));
    }
    if let Some(ext) = made(4 << 20, "/usr/sbin/mkfs.ext2", &["-q"]) {
        assert_eq!(elsewhere(ext), None);
    }
    if let Some(xfs) = made(320 << 20, "/usr/sbin/mkfs.xfs", &["-q"]) {
        let mut start = xfs[..1 << 20].to_vec();
        assert_eq!(elsewhere(start.clone()), None);
        start[23] = 1;
        assert_eq!(elsewhere(start.clone()), Some("its realtime section"));
        start[48..56].fill(0);
        assert_eq!(elsewhere(start), Some("its log"));
    }
    let mut btrfs = vec![0; 1 << 20];
    btrfs[(64 << 10) + 64..][..8].copy_from_slice(BTRFS_MAGIC);
    btrfs[(64 << 10) + 136] = 1;
    assert_eq!(elsewhere(btrfs.clone()), None);
    btrfs[(64 << 10) + 136] = 2;
    assert_eq!(elsewhere(btrfs), Some("a part of it"));
}

#[test]
fn labels_of_what_mkfs_makes() {
    let cases: [(u64, &str, &[&str], &str, &str); 4] = [
        (
            4 << 20,
            "/usr/sbin/mkfs.vfat",
            &["-n", "CONFIG-2", "-i", "1234ABCD"],
            "vfat",
            "CONFIG-2",
        ),
        (
            48 << 20,
            "/usr/sbin/mkfs.vfat",
            &["-F", "32", "-n", "ESP", "-i", "1234ABCD"],
            "vfat",
            "ESP",
        ),
        (
            4 << 20,
            "/usr/sbin/mkfs.vfat",
            &["-i", "1234ABCD"],
            "vfat",
            "",
        ),
        (
            4 << 20,
            "/usr/sbin/mkfs.ext4",
            &["-q", "-L", "root"],
            "ext4",
            "root",
        ),
    ];
    for (size, program, arguments, kind, label) in cases {
        let Some(content) = made(size, program, arguments) else {
            continue;
        };
        let found = probed(content).unwrap();
        assert_eq!((found.kind, found.label.as_str()), (kind, label));
        if kind == "vfat" {
            assert_eq!(found.uuid.as_deref(), Some("1234-ABCD"));
        }
    }
}

#[test]
fn an_iso_is_known_by_its_descriptor() {
    let mut content = vec![0; 64 << 10];
    content[32768..32774].copy_from_slice(b"\x01CD001");
    content[32808..32840].copy_from_slice(b"config-2                        ");
    let found = probed(content).unwrap();
    assert_eq!((found.kind, found.label.as_str()), ("iso9660", "config-2"));
}

#[test]
fn nothing_is_nothing() {
    assert_eq!(probed(vec![0; 64 << 10]), None);
    assert_eq!(probed(vec![0xff; 512]), None);
    assert_eq!(probed(Vec::new()), None);
}

proptest! {
    #[test]
    fn any_boot_sector_is_survived(mut sector in prop::collection::vec(any::<u8>(), 510)) {
        sector.extend([0x55, 0xaa]);
        sector[11..13].copy_from_slice(&512_u16.to_le_bytes());
        sector[13] = 1 << (sector[13] % 8);
        sector[16] = 1 + sector[16] % 2;
        sector[21] = 0xf8;
        sector.resize(8192, 0);
        probed(sector);
    }
}
