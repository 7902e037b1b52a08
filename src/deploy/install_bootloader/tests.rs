use std::fs;

use farrier_plugin::{ErrorKind, SilentContext};
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::block::fat_writer;
use crate::block::fixture;
use crate::block::{gpt, mbr};
use crate::sys::memory_medium::MemoryMedium;
use crate::sys::process::Program;

mod by_bios;
mod partition_image;

const VENDOR: &str = "8be4df61-93ca-11d2-aa0d-00e098032b8c";

/// A machine that was booted by UEFI, without boot entries.
fn uefi() -> (tempfile::TempDir, Root) {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("sys/firmware/efi/efivars")).unwrap();
    let root = Root::at(dir.path());
    (dir, root)
}

/// The disk of the fixture with these files on its ESP; `None` without dosfstools and mtools.
fn disk(files: &[(&str, &[u8])]) -> Option<Vec<u8>> {
    if !["/usr/sbin/mkfs.vfat", "/usr/bin/mcopy", "/usr/bin/mmd"]
        .iter()
        .all(|program| std::path::Path::new(program).exists())
    {
        eprintln!("not run: needs dosfstools and mtools");
        return None;
    }
    let esp = tempfile::NamedTempFile::new().unwrap();
    esp.as_file().set_len(4 << 20).unwrap();
    let image = esp.path().display().to_string();
    Program::new("/usr/sbin/mkfs.vfat")
        .arg("-i")
        .arg("1234abcd")
        .arg(&image)
        .run()
        .unwrap();
    for directory in ["::/EFI", "::/EFI/debian", "::/EFI/BOOT"] {
        Program::new("/usr/bin/mmd")
            .arg("-i")
            .arg(&image)
            .arg(directory)
            .run()
            .unwrap();
    }
    for (path, content) in files {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), content).unwrap();
        Program::new("/usr/bin/mcopy")
            .arg("-i")
            .arg(&image)
            .arg(file.path().display().to_string())
            .arg(format!("::{path}"))
            .run()
            .unwrap();
    }
    let mut content = fixture::gpt(512, 0).content();
    let esp = fs::read(esp.path()).unwrap();
    content[1 << 20..][..esp.len()].copy_from_slice(&esp);
    Some(content)
}

fn arguments(root_uuid: Value) -> StepArguments {
    let mut arguments = StepArguments::default();
    let values = json!({
        "root_uuid": root_uuid, "efi_system_part_uuid": null, "prep_boot_part_uuid": null,
        "target_boot_mode": "uefi"
    });
    arguments.values = values.as_object().unwrap().clone();
    arguments
}

fn install(content: &[u8], root: &Root, arguments: &StepArguments) -> Result<(), DeployError> {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), content).unwrap();
    let device = BlockDevice {
        name: file.path().display().to_string(),
        ..BlockDevice::default()
    };
    install_bootloader(
        &SilentContext,
        &Node::default(),
        &device,
        arguments,
        &Options::default(),
        (root, &Protected::default()),
    )
}

fn variable(dir: &tempfile::TempDir, name: &str) -> Option<Vec<u8>> {
    let path = format!("sys/firmware/efi/efivars/{name}-{VENDOR}");
    fs::read(dir.path().join(path)).ok()
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[test]
fn a_table_of_loaders_becomes_the_one_entry() {
    let table = utf16("\u{feff}shimx64.efi,debian,,This is the boot entry for debian\r\n");
    let Some(content) = disk(&[
        ("/EFI/debian/shimx64.efi", b"MZ"),
        ("/EFI/BOOT/BOOTX64.EFI", b"MZ"),
        ("/EFI/debian/BOOTX64.CSV", &table),
    ]) else {
        return;
    };
    let (dir, root) = uefi();
    install(&content, &root, &arguments(json!("0x00000000"))).unwrap();
    let entry = variable(&dir, "Boot0000").unwrap();
    assert_eq!(entry[..8], [7, 0, 0, 0, 1, 0, 0, 0]);
    assert!(contains(&entry, &utf16("debian\0")));
    assert!(contains(&entry, &utf16("\\EFI\\debian\\shimx64.efi\0")));
    // Partition 1, from block 2048 on, 8192 blocks, with the fixture's GUID.
    let node = [
        4, 1, 42, 0, 1, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0, 0, 0, 0, 0, 0xaa,
    ];
    assert!(contains(&entry, &node));
    assert_eq!(variable(&dir, "Boot0001"), None);
    assert_eq!(variable(&dir, "BootOrder").unwrap(), [7, 0, 0, 0, 0, 0]);
}

#[test]
fn loaders_without_a_table_are_numbered() {
    let Some(content) = disk(&[
        ("/EFI/debian/grubx64.efi", b"MZ"),
        ("/EFI/debian/BOOTX64.CSV", b"nothing"),
        ("/EFI/debian/winload.efi", b"MZ"),
        ("/EFI/BOOT/BOOTX64.EFI", b"MZ"),
    ]) else {
        return;
    };
    let (dir, root) = uefi();
    install(&content, &root, &arguments(Value::Null)).unwrap();
    let first = variable(&dir, "Boot0000").unwrap();
    assert!(contains(&first, &utf16("ironic1\0")));
    assert!(contains(&first, &utf16("\\EFI\\debian\\winload.efi\0")));
    let second = variable(&dir, "Boot0001").unwrap();
    assert!(contains(&second, &utf16("ironic2\0")));
    assert!(contains(&second, &utf16("\\EFI\\BOOT\\BOOTX64.EFI\0")));
    // The last one made boots first, as with efibootmgr.
    assert_eq!(
        variable(&dir, "BootOrder").unwrap(),
        [7, 0, 0, 0, 1, 0, 0, 0]
    );
}

#[test]
fn an_empty_esp_is_an_error_for_whatever_root_uuid() {
    let Some(content) = disk(&[]) else {
        return;
    };
    let (dir, root) = uefi();
    for root_uuid in [Value::Null, json!("0x00000000"), json!("0x1a2b3c4d")] {
        let error = install(&content, &root, &arguments(root_uuid)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidImage);
        assert!(
            error
                .to_string()
                .starts_with("Empty EFI partition detected"),
            "{error}"
        );
        assert_eq!(variable(&dir, "BootOrder"), None);
    }
    let mut ignoring = arguments(json!("0x1a2b3c4d"));
    let ignore = "ignore_bootloader_failure".to_owned();
    ignoring.values.insert(ignore, json!(true));
    install(&content, &root, &ignoring).unwrap();
}

#[test]
fn a_disk_without_an_esp_is_named() {
    let (_dir, root) = uefi();
    let content = fixture::mbr(0).content();
    let error = install(&content, &root, &arguments(Value::Null)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DeviceNotFound);
    assert!(
        error
            .to_string()
            .starts_with("No EFI partition could be detected on device "),
        "{error}"
    );
    let mut named = arguments(Value::Null);
    let uuid = "efi_system_part_uuid".to_owned();
    named.values.insert(uuid, json!("1234-ABCD"));
    let error = install(&content, &root, &named).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("No partition with UUID 1234-ABCD found on device"),
        "{error}"
    );
}

#[test]
fn an_esp_is_found_by_the_uuid_that_was_recorded() {
    let Some(mut content) = disk(&[("/EFI/BOOT/BOOTX64.EFI", b"MZ")]) else {
        return;
    };
    // Another type for the first partition.
    let entries = &mut content[1024..1040];
    entries.copy_from_slice(&gpt::LINUX_FILE_SYSTEM.to_bytes_le());
    let changed = fix_checksums(content);
    for uuid in ["1234-ABCD", "AAAAAAAA-0000-4000-8000-000000000001"] {
        let (dir, root) = uefi();
        let mut named = arguments(Value::Null);
        let name = "efi_system_part_uuid".to_owned();
        named.values.insert(name, json!(uuid));
        install(&changed, &root, &named).unwrap();
        assert!(variable(&dir, "Boot0000").is_some(), "{uuid}");
    }
}

/// The content with the checksums of its primary GPT made right again.
fn fix_checksums(mut content: Vec<u8>) -> Vec<u8> {
    let crc = |data: &[u8]| {
        let mut crc = flate2::Crc::new();
        crc.update(data);
        crc.sum().to_le_bytes()
    };
    let entries = crc(&content[1024..1024 + 16384]);
    content[512 + 88..512 + 92].copy_from_slice(&entries);
    content[512 + 16..512 + 20].fill(0);
    let header = crc(&content[512..512 + 92]);
    content[512 + 16..512 + 20].copy_from_slice(&header);
    content
}

#[test]
fn arguments_of_another_type_are_errors_by_their_names() {
    let dir = tempfile::tempdir().unwrap();
    let root = Root::at(dir.path());
    for (name, values) in [
        ("root_uuid", [json!(5), json!({}), json!(false)]),
        (
            "efi_system_part_uuid",
            [json!(5), json!(["a"]), json!(true)],
        ),
        (
            "ignore_bootloader_failure",
            [json!("false"), json!([]), json!({})],
        ),
    ] {
        for value in values {
            let mut wrong = arguments(Value::Null);
            wrong.values.insert(name.to_owned(), value.clone());
            let error = install(&[0; 512], &root, &wrong).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidCommandParams, "{value}");
            let named = format!("The argument '{name}' must be ");
            assert!(error.to_string().starts_with(&named), "{error}");
        }
    }
}

#[test]
fn a_bios_machine_needs_nothing_for_a_whole_disk() {
    let dir = tempfile::tempdir().unwrap();
    let root = Root::at(dir.path());
    for root_uuid in [Value::Null, json!("0x00000000")] {
        install(&[0; 512], &root, &arguments(root_uuid)).unwrap();
    }
    // What is only compared with a word may be anything, and a number is as good as true or false.
    for (name, values) in [
        ("target_boot_mode", [json!(5), json!([])]),
        ("ignore_bootloader_failure", [json!(1), json!(0)]),
    ] {
        for value in values {
            let mut odd = arguments(Value::Null);
            odd.values.insert(name.to_owned(), value);
            install(&[0; 512], &root, &odd).unwrap();
        }
    }
    let error = install(&[0; 512], &root, &arguments(json!("0x1a2b3c4d"))).unwrap_err();
    assert!(matches!(error, DeployError::LegacyBootloader));
}

/// A FAT file system of 4 MiB with these files below `EFI/BOOT`.
fn esp(files: &[&str]) -> Vec<u8> {
    let medium = MemoryMedium::of(vec![0; 4 << 20], 512);
    let files = files
        .iter()
        .map(|name| fat_writer::Node::file((*name).to_owned(), b"MZ".to_vec()))
        .collect();
    let directory = fat_writer::Node::directory("BOOT".to_owned(), files);
    let root = [fat_writer::Node::directory(
        "EFI".to_owned(),
        vec![directory],
    )];
    fat_writer::write(&medium, 0, 4 << 20, "EFI", 1, &root).unwrap();
    medium.content()
}

/// A disk with an MBR whose partitions of 4 MiB, from 1 MiB on, are of these types.
fn mbr_disk(partitions: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let mut content = vec![0; 16 << 20];
    content[440..444].copy_from_slice(&0x1a2b_3c4d_u32.to_le_bytes());
    content[510..512].copy_from_slice(&[0x55, 0xaa]);
    for (index, (kind, file_system)) in partitions.iter().enumerate() {
        let first = 2048 + index * 8192;
        let entry = &mut content[446 + 16 * index..][..16];
        entry[4] = *kind;
        entry[8..12].copy_from_slice(&(first as u32).to_le_bytes());
        entry[12..16].copy_from_slice(&8192_u32.to_le_bytes());
        content[512 * first..][..file_system.len()].copy_from_slice(file_system);
    }
    content
}

#[test]
fn an_esp_on_an_mbr_is_named_by_the_disks_signature() {
    let content = mbr_disk(&[(0x83, Vec::new()), (mbr::EFI_SYSTEM, esp(&["BOOTX64.EFI"]))]);
    let (dir, root) = uefi();
    install(&content, &root, &arguments(json!("0x1a2b3c4d"))).unwrap();
    let entry = variable(&dir, "Boot0000").unwrap();
    // Partition 2, from block 10240 on, 8192 blocks, of the disk with this signature.
    let node = [
        4, 1, 42, 0, 2, 0, 0, 0, 0, 40, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0, 0, 0, 0, 0, 0x4d, 0x3c,
        0x2b, 0x1a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1,
    ];
    assert!(contains(&entry, &node));
    assert!(contains(&entry, &utf16("\\EFI\\BOOT\\BOOTX64.EFI\0")));
}

#[test]
fn of_several_esps_the_first_with_a_loader_is_booted() {
    let nothing = || (mbr::EFI_SYSTEM, Vec::new());
    let empty = || (mbr::EFI_SYSTEM, esp(&["readme.txt"]));
    let loader = |name| (mbr::EFI_SYSTEM, esp(&[name]));
    for (partitions, number, file) in [
        (
            vec![loader("BOOTX64.EFI"), loader("BOOTAA64.EFI")],
            1,
            "BOOTX64.EFI",
        ),
        (vec![empty(), loader("BOOTAA64.EFI")], 2, "BOOTAA64.EFI"),
        (
            vec![nothing(), empty(), loader("bootx64.efi")],
            3,
            "bootx64.efi",
        ),
    ] {
        let (dir, root) = uefi();
        install(&mbr_disk(&partitions), &root, &arguments(Value::Null)).unwrap();
        let entry = variable(&dir, "Boot0000").unwrap();
        assert!(contains(&entry, &[4, 1, 42, 0, number, 0, 0, 0]), "{file}");
        assert!(contains(&entry, &utf16(file)), "{file}");
        assert_eq!(variable(&dir, "Boot0001"), None);
    }
    // Nor does a damaged one before it matter, whatever the conductor says of the root.
    let (dir, root) = uefi();
    let mut damaged = esp(&["readme.txt"]);
    // The first cluster of its directory lies outside.
    let directory = damaged
        .windows(32)
        .position(|entry| entry.starts_with(b"EFI") && entry[11] == 0x10);
    damaged[directory.unwrap() + 26..][..2].copy_from_slice(&[0xf0, 0xff]);
    let content = mbr_disk(&[(mbr::EFI_SYSTEM, damaged), loader("BOOTX64.EFI")]);
    install(&content, &root, &arguments(json!("0x1a2b3c4d"))).unwrap();
    assert!(variable(&dir, "Boot0000").is_some());
    // Where there is none at all, the first says why.
    let (_dir, root) = uefi();
    let content = mbr_disk(&[empty(), nothing()]);
    let error = install(&content, &root, &arguments(Value::Null)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidImage);
    assert!(error.to_string().contains("partition 1 of"), "{error}");
}

#[test]
fn a_root_uuid_that_two_partitions_have_boots_neither() {
    let uuid = Uuid::from_u128(0x6a1c_5d1e_0a2b_4c3d_8e4f_0123_4567_89ab);
    let mut ext = vec![0; 4096];
    ext[1024 + 56..][..2].copy_from_slice(&[0x53, 0xef]);
    ext[1024 + 104..][..16].copy_from_slice(uuid.as_bytes());
    let content = mbr_disk(&[
        (mbr::EFI_SYSTEM, esp(&["readme.txt"])),
        (0x83, ext.clone()),
        (0x83, ext),
    ]);
    let (dir, root) = uefi();
    let error = install(&content, &root, &arguments(json!(uuid.to_string()))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CommandExecution);
    let said = chain(&error);
    assert!(
        said.contains("partitions 2 and 3 have the same UUID"),
        "{said}"
    );
    assert_eq!(variable(&dir, "BootOrder"), None);
}
