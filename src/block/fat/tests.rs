use proptest::prelude::*;

use super::*;
use crate::sys::memory_medium::MemoryMedium;
use crate::sys::process::Program;

const MIB: u64 = 1 << 20;

/// An ESP made by mkfs.vfat and mtools, in the midst of a disk; `None` without these programs.
fn esp(arguments: &[&str], size: u64) -> Option<MemoryMedium> {
    if !["/usr/sbin/mkfs.vfat", "/usr/bin/mcopy", "/usr/bin/mmd"]
        .iter()
        .all(|program| std::path::Path::new(program).exists())
    {
        eprintln!("not run: needs dosfstools and mtools");
        return None;
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(size).unwrap();
    let image = file.path().display().to_string();
    let mut mkfs = Program::new("/usr/sbin/mkfs.vfat");
    for argument in arguments {
        mkfs = mkfs.arg(*argument);
    }
    mkfs.arg(&image).run().unwrap();
    let content = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(content.path(), large()).unwrap();
    for directory in ["::/EFI", "::/EFI/debian", "::/EFI/BOOT"] {
        Program::new("/usr/bin/mmd")
            .arg("-i")
            .arg(&image)
            .arg(directory)
            .run()
            .unwrap();
    }
    for target in [
        "::/EFI/debian/shimx64.efi",
        "::/EFI/debian/a name that is longer than one part.txt",
        "::/EFI/BOOT/BOOTX64.CSV",
        "::/startup.nsh",
    ] {
        Program::new("/usr/bin/mcopy")
            .arg("-i")
            .arg(&image)
            .arg(content.path().display().to_string())
            .arg(target)
            .run()
            .unwrap();
    }
    let mut disk = vec![0xaa; MIB as usize];
    disk.extend(std::fs::read(file.path()).unwrap());
    Some(MemoryMedium::of(disk, 512))
}

fn large() -> Vec<u8> {
    (0..100_003_u32).map(|at| (at / 3) as u8).collect()
}

fn names(entries: &[Entry]) -> Vec<&str> {
    entries.iter().map(|entry| entry.name.as_str()).collect()
}

#[test]
fn all_three_kinds_are_read() {
    let label = ["-n", "ESP", "-i", "1234abcd"];
    for (kind, size) in [("12", 4 * MIB), ("16", 16 * MIB), ("32", 40 * MIB)] {
        let arguments = [&label[..], &["-F", kind]].concat();
        let Some(medium) = esp(&arguments, size) else {
            return;
        };
        let fat = Fat::open(&medium, MIB, size).unwrap().unwrap();
        assert_eq!(fat.serial(), "1234-ABCD");
        assert_eq!(fat.label().unwrap(), "ESP");
        let root = fat.root().unwrap();
        assert_eq!(names(&root), ["EFI", "startup.nsh"], "FAT{kind}");
        let efi = fat.directory(&root[0]).unwrap();
        assert_eq!(names(&efi), ["debian", "BOOT"]);
        let debian = fat.directory(&efi[0]).unwrap();
        assert_eq!(
            names(&debian),
            ["shimx64.efi", "a name that is longer than one part.txt"]
        );
        assert!(!debian[0].is_directory);
        assert!(fat.read(&debian[0], u64::MAX).unwrap() == large());
        assert!(fat.read(&debian[1], 5000).unwrap() == large()[..5000]);
        let boot = fat.directory(&efi[1]).unwrap();
        assert_eq!(names(&boot), ["BOOTX64.CSV"]);
    }
}

#[test]
fn a_chain_that_bites_its_tail_ends() {
    let Some(medium) = esp(&["-F", "16"], 16 * MIB) else {
        return;
    };
    let fat = Fat::open(&medium, MIB, 16 * MIB).unwrap().unwrap();
    let efi = &fat.root().unwrap()[0];
    let cluster = (efi.cluster as u16).to_le_bytes();
    medium
        .write_at(MIB + fat.sector.fat + u64::from(efi.cluster) * 2, &cluster)
        .unwrap();
    assert!(fat.directory(efi).unwrap().len() >= 2);
}

#[test]
fn a_partition_smaller_than_its_file_system_is_an_error() {
    let Some(medium) = esp(&["-F", "16"], 16 * MIB) else {
        return;
    };
    let fat = Fat::open(&medium, MIB, 20_000).unwrap().unwrap();
    assert!(matches!(fat.root(), Err(FatError::Outside { .. })));
}

proptest! {
    #[test]
    fn any_boot_sector_and_table_is_survived(
        mut sector in prop::collection::vec(any::<u8>(), 510),
        rest in prop::collection::vec(any::<u8>(), 4096),
        small: bool,
    ) {
        sector.extend([0x55, 0xaa]);
        sector[11..13].copy_from_slice(&512_u16.to_le_bytes());
        sector[13] = 1 << (sector[13] % 8);
        sector[16] = 1 + sector[16] % 2;
        sector[21] = 0xf8;
        if small {
            // Reserved sectors, root entries, sectors, sectors per FAT: so that some lies inside.
            for (at, value) in [(14, 1_u16), (17, 16), (19, 8), (22, 1)] {
                sector[at..at + 2].copy_from_slice(&value.to_le_bytes());
            }
        }
        sector.extend(rest);
        let length = sector.len() as u64;
        let medium = MemoryMedium::of(sector, 512);
        if let Some(fat) = Fat::open(&medium, 0, length).unwrap() {
            let _ = fat.label();
            for entry in fat.root().unwrap_or_default().iter().take(8) {
                let _ = fat.directory(entry);
                let _ = fat.read(entry, 1 << 16);
            }
        }
    }
}
