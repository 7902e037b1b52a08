mod speed;

use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use farrier_plugin::{ErrorKind, ManagerError, SilentContext, StepArguments};
use flate2::read::GzDecoder;
use serde_json::Value;

use super::*;
use crate::block::fat::Fat;
use crate::block::fat_writer::{self, Content};
use crate::block::probe::file_system;
use crate::block::rescan::partition_name;
use crate::block::{fixture, holders};
use crate::sys::block_device::{Disk, DiskError};
use crate::sys::hex;
use crate::sys::loop_device::LoopDevice;
use crate::sys::memory_medium::{Change, Fault, MemoryMedium};
use crate::sys::process::Program;

const MIB: usize = 1 << 20;

/// An image in a file, and the arguments that deploy it.
struct Image {
    _file: tempfile::NamedTempFile,
    content: Vec<u8>,
    arguments: StepArguments,
}

impl Image {
    fn of(content: Vec<u8>, drive: Option<&[u8]>) -> Self {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &content).unwrap();
        let sha256 = hex::encode(digest(&SHA256, &content).as_ref());
        let mut arguments = StepArguments::default();
        arguments.values.insert(
            "image_info".to_owned(),
            json!({
                "id": "one.raw", "urls": [format!("file://{}", file.path().display())],
                "disk_format": "raw", "os_hash_algo": "sha256", "os_hash_value": sha256,
                "node_uuid": "n1"
            }),
        );
        if let Some(drive) = drive {
            let text = fixture::sent(drive);
            let large = Arc::get_mut(&mut arguments.large).unwrap();
            let value = large.intern(&text);
            arguments.values.insert("configdrive".to_owned(), value);
        }
        Self {
            _file: file,
            content,
            arguments,
        }
    }

    fn deploy(&self, medium: &MemoryMedium) -> Result<Deployed, DeployError> {
        let options = Options::default();
        let context = SilentContext;
        let info = ImageInfo::parse(&self.arguments, &options)?;
        let job = Job::prepare(&context, "/dev/vda", &info, &options)?;
        job.run(&context, medium, &options).map(|done| done.0)
    }
}

/// A config drive of this size, as the conductor makes them: ISO 9660 with the label.
fn drive(size: usize) -> Vec<u8> {
    let mut drive: Vec<u8> = (0..size).map(|at| (at / 7) as u8).collect();
    drive[32768..32774].copy_from_slice(b"\x01CD001");
    drive[32808..32840].copy_from_slice(b"config-2                        ");
    // The size that it says to have.
    drive[32848..32852].copy_from_slice(&[0; 4]);
    drive
}

fn text(error: DeployError) -> String {
    ManagerError::from(error).chain()
}

#[test]
fn an_image_with_a_config_drive_is_deployed_and_nothing_boots_before_the_end() {
    let drive = drive(MIB + 5);
    let image = Image::of(fixture::gpt(512, 0).content(), Some(&drive));
    let medium = MemoryMedium::used(96 * MIB);
    let deployed = image.deploy(&medium).unwrap();
    assert_eq!(
        deployed.message,
        "image (one.raw) written to device /dev/vda root_uuid=0x00000000"
    );
    assert_eq!(deployed.partition_uuids, json!({"root uuid": "0x00000000"}));

    let held = medium.content();
    let Table::Gpt(gpt) = Table::read(&medium).unwrap() else {
        panic!("a GPT");
    };
    assert!(gpt.backup_is_at_end());
    let partitions = gpt.partitions();
    assert_eq!(partitions.len(), 3);
    for partition in &partitions[..2] {
        let range = partition.offset as usize..(partition.offset + partition.length) as usize;
        assert!(held[range.clone()] == image.content[range]);
    }
    let start = partitions[2].offset as usize;
    assert!(held[start..start + drive.len()] == drive);
    let rest = start + drive.len()..start + partitions[2].length as usize;
    assert!(held[rest].iter().all(|byte| *byte == 0));
    let found = file_system(&medium, partitions[2].offset, partitions[2].length).unwrap();
    assert_eq!(found.unwrap().label, "config-2");
    if let Some(said) = fixture::judged_by("sgdisk", &["-v"], &held) {
        assert!(said.contains("No problems found"), "{said}");
    }

    let log = medium.log();
    let head = log
        .iter()
        .position(|change| matches!(change, Change::Write { offset: 4096, .. }))
        .unwrap();
    assert_eq!(log.len(), head + 4);
    assert_eq!(log[head - 1], Change::Flush);
    medium.replay(|prefix, held| {
        if (1..=head).contains(&prefix) {
            assert!(held[..MIB].iter().all(|byte| *byte == 0), "after {prefix}");
        }
    });
}

#[test]
fn a_failure_at_any_change_is_told_and_nothing_boots() {
    let image = Image::of(fixture::gpt(512, 0).content(), Some(&drive(MIB)));
    // How many changes there are depends on which writes could be merged.
    for number in 1.. {
        let medium = MemoryMedium::used(96 * MIB).failing(Fault::Change(number, libc::EIO));
        let Err(error) = image.deploy(&medium) else {
            assert!(medium.log().len() <= number);
            break;
        };
        assert!(
            matches!(error.kind(), ErrorKind::ImageWrite | ErrorKind::Deployment),
            "{number}: {error}"
        );
        // The last flush alone may fail with all in place, and a boot record that may not stay.
        if medium.content()[..4096].iter().any(|byte| *byte != 0) {
            let last = medium.log().pop();
            assert!(
                matches!(last, Some(Change::Write { offset: 0, .. })),
                "{number}"
            );
        }
    }
}

#[test]
fn an_mbr_gets_its_config_drive_and_tells_its_signature() {
    let drive = drive(MIB);
    let image = Image::of(fixture::mbr(0).content(), Some(&drive));
    let medium = MemoryMedium::used(96 * MIB);
    let deployed = image.deploy(&medium).unwrap();
    assert_eq!(deployed.partition_uuids, json!({"root uuid": "0x1a2b3c4d"}));
    let held = medium.content();
    assert!(held[32 * MIB..33 * MIB] == drive);
    if let Some(said) = fixture::judged_by("sfdisk", &["-V"], &held) {
        assert!(said.contains("No errors detected"), "{said}");
    }
}

/// An isohybrid: an ISO 9660 image whose first partition is the image itself, from block 0 on.
#[test]
fn an_isohybrid_is_deployed_with_its_config_drive() {
    let mut content = fixture::mbr(0).content();
    content[32768..32774].copy_from_slice(b"\x01CD001");
    content[32808..32840].copy_from_slice(b"INSTALLER                       ");
    let count = (content.len() / 512) as u32;
    content[446..510].fill(0);
    content[446] = 0x80;
    content[446 + 4] = 0x17;
    content[446 + 12..446 + 16].copy_from_slice(&count.to_le_bytes());
    let drive = drive(MIB);
    let image = Image::of(content, Some(&drive));
    let medium = MemoryMedium::used(96 * MIB);
    image.deploy(&medium).unwrap();
    let held = medium.content();
    assert!(held[446..462] == image.content[446..462]);
    assert!(held[512..image.content.len()] == image.content[512..]);
    assert!(held[32 * MIB..33 * MIB] == drive);
    if let Some(said) = fixture::judged_by("sfdisk", &["-d"], &held) {
        assert!(said.contains("start=           0"), "{said}");
        assert!(
            said.contains("start=       65536, size=      131072, type=c"),
            "{said}"
        );
    }
}

#[test]
fn a_full_mbr_is_refused_in_the_references_words() {
    let mut content = fixture::mbr(0).content();
    for slot in [2, 3] {
        let entry = 446 + slot * 16;
        content[entry + 4] = 0x83;
        content[entry + 8..entry + 12].copy_from_slice(&(23_000 + slot as u32).to_le_bytes());
        content[entry + 12..entry + 16].copy_from_slice(&1_u32.to_le_bytes());
    }
    let image = Image::of(content, Some(&drive(MIB)));
    let medium = MemoryMedium::used(96 * MIB);
    assert_eq!(
        text(image.deploy(&medium).unwrap_err()),
        "Config drive cannot be created for node n1. Disk (/dev/vda) uses MBR partitioning and \
         already has 4 primary partitions."
    );
    assert!(medium.content()[..MIB].iter().all(|byte| *byte == 0));
}

/// An image that was cut off behind its last partition, on a disk of just that size: Linux would show
/// nothing of it.
#[test]
fn an_image_whose_table_does_not_fit_the_disk_never_boots() {
    let mut content = fixture::gpt(512, 0).content();
    let last = Table::read(&MemoryMedium::of(content.clone(), 512))
        .unwrap()
        .partitions();
    let end = last
        .iter()
        .map(|found| found.offset + found.length)
        .max()
        .unwrap();
    content.truncate(end as usize);
    let image = Image::of(content, None);
    let medium = MemoryMedium::used(end as usize);
    let said = text(image.deploy(&medium).unwrap_err());
    assert!(
        said.contains("reaches into the space of the backup table"),
        "{said}"
    );
    assert!(medium.content()[..MIB].iter().all(|byte| *byte == 0));
}

#[test]
fn a_labelled_partition_is_used_again() {
    let mut content = fixture::gpt(512, 0).content();
    // The second partition, 2 MiB from 6 MiB on.
    content[6 * MIB..7 * MIB].copy_from_slice(&drive(MIB));
    content[6 * MIB + 32808..][..8].copy_from_slice(b"CONFIG-2");
    let mut new = drive(MIB);
    new[40_000..].fill(1);
    let image = Image::of(content.clone(), Some(&new));
    let medium = MemoryMedium::used(32 * MIB);
    image.deploy(&medium).unwrap();
    assert_eq!(Table::read(&medium).unwrap().partitions().len(), 2);
    assert!(medium.content()[6 * MIB..7 * MIB] == new);

    let image = Image::of(content.clone(), Some(&drive(3 * MIB)));
    let error = text(image.deploy(&MemoryMedium::used(32 * MIB)).unwrap_err());
    assert!(
        error.starts_with("Failed to create config drive on disk /dev/vda for node n1. Error: "),
        "{error}"
    );

    content.copy_within(6 * MIB..7 * MIB, MIB);
    let image = Image::of(content, Some(&new));
    assert_eq!(
        text(image.deploy(&MemoryMedium::used(32 * MIB)).unwrap_err()),
        "More than one partition with label \"config-2\" exists on device /dev/vda for node n1: \
         /dev/vda1 and /dev/vda2."
    );
}

#[test]
fn an_image_without_partitions_never_boots() {
    let absent = "Unable to find a valid partition table on the disk after writing the image. The \
                  image may be corrupted or it uses a different sector size than the device. \
                  Error: the disk has no partition table for its block size of 512 bytes";
    let mut empty = vec![7; 2 * MIB];
    empty[440..510].fill(0);
    empty[510..512].copy_from_slice(&[0x55, 0xaa]);
    for (content, expected) in [
        (vec![7; 2 * MIB], absent),
        (
            empty,
            "No partitions found on the device /dev/vda after writing the image.",
        ),
    ] {
        let image = Image::of(content, None);
        let medium = MemoryMedium::used(8 * MIB);
        let error = image.deploy(&medium).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Deployment);
        assert_eq!(text(error), expected);
        assert!(medium.content()[..MIB].iter().all(|byte| *byte == 0));
    }
    for (made_for, sector) in [(512, 4096), (4096, 512)] {
        let image = Image::of(fixture::gpt(made_for, 0).content(), None);
        let medium = MemoryMedium::of(vec![0xaa; 32 * MIB], sector);
        let error = image.deploy(&medium).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Deployment);
        assert_eq!(
            text(error),
            format!(
                "Unable to find a valid partition table on the disk after writing the image. The \
                 image may be corrupted or it uses a different sector size than the device. Error: \
                 the GPT of image one.raw is made for sectors of {made_for} bytes, and this disk \
                 has sectors of {sector} bytes"
            )
        );
        assert!(medium.content()[..MIB].iter().all(|byte| *byte == 0));
    }
}

/// Logical partitions as other systems' tools leave them: their links out of the disk's order, and
/// one with the way on before its own partition.
#[test]
fn a_config_drives_partition_is_found_wherever_its_link_lies() {
    let drive = drive(MIB);
    let mut content = vec![0; 16 * MIB];
    for (record, entries) in [
        (0, [(0x83, 2048, 2048), (0x05, 6144, 24576)]),
        (6144, [(0x05, 12288, 4096), (0x83, 2048, 2048)]),
        (18432, [(0x83, 2048, 4096), (0x05, 6144, 6144)]),
        (12288, [(0x83, 2048, 4096), (0, 0, 0)]),
    ] {
        let record = &mut content[record * 512..][..512];
        for (slot, (kind, first, count)) in entries.into_iter().enumerate() {
            let entry = &mut record[446 + slot * 16..][..16];
            entry[4] = kind;
            entry[8..12].copy_from_slice(&u32::to_le_bytes(first));
            entry[12..16].copy_from_slice(&u32::to_le_bytes(count));
        }
        record[510..].copy_from_slice(&[0x55, 0xaa]);
    }
    // The last of the chain, number 7, is labelled for it.
    let place = 7 * MIB;
    content[place + 32768..][..72].copy_from_slice(&drive[32768..][..72]);
    let medium = MemoryMedium::used(96 * MIB);
    Image::of(content.clone(), Some(&drive))
        .deploy(&medium)
        .unwrap();
    let held = medium.content();
    assert!(held[place..place + drive.len()] == drive);
    assert!(held[..MIB] == content[..MIB], "no second partition");
    let numbers: Vec<_> = Table::read(&medium)
        .unwrap()
        .partitions()
        .iter()
        .map(|partition| (partition.number, partition.offset / MIB as u64))
        .collect();
    assert_eq!(numbers, [(1, 1), (2, 3), (5, 4), (6, 10), (7, 7)]);
}

#[test]
fn a_disk_of_4096_byte_blocks_takes_an_image_made_for_it() {
    let image = Image::of(fixture::gpt(4096, 0).content(), None);
    let medium = MemoryMedium::of(vec![0xaa; 32 * MIB], 4096);
    image.deploy(&medium).unwrap();
    let Table::Gpt(gpt) = Table::read(&medium).unwrap() else {
        panic!("a GPT");
    };
    assert!(gpt.backup_is_at_end());
    assert_eq!(gpt.partitions().len(), 2);
}

/// Linux mounts no ISO 9660 on such a disk.
#[test]
fn on_4096_byte_blocks_the_config_drive_becomes_fat() {
    let image = Image::of(
        fixture::gpt(4096, 0).content(),
        Some(&fixture::config_drive()),
    );
    let medium = MemoryMedium::of(vec![0xaa; 96 * MIB], 4096);
    image.deploy(&medium).unwrap();
    let partition = Table::read(&medium).unwrap().partitions()[2].clone();
    let found = file_system(&medium, partition.offset, partition.length).unwrap();
    assert_eq!(found.unwrap().label, "CONFIG-2");
    let fat = Fat::open(&medium, partition.offset, partition.length)
        .unwrap()
        .unwrap();
    let openstack = &fat.root().unwrap()[0];
    let latest = &fat.directory(openstack).unwrap()[1];
    assert_eq!(
        (openstack.name.as_str(), latest.name.as_str()),
        ("openstack", "latest")
    );
    let meta_data = &fat.directory(latest).unwrap()[0];
    let content = String::from_utf8(fat.read(meta_data, 10_000).unwrap()).unwrap();
    assert!(content.starts_with('{'), "{content}");

    // Without a root directory nothing can be copied, and nobody could mount it either.
    let image = Image::of(fixture::gpt(4096, 0).content(), Some(&drive(MIB)));
    let medium = MemoryMedium::of(vec![0xaa; 96 * MIB], 4096);
    let error = text(image.deploy(&medium).unwrap_err());
    let begin = "Config drive for node n1 cannot be made into the FAT file system that /dev/vda with \
                 blocks of 4096 bytes needs. Error: the ISO 9660 image is damaged";
    assert!(error.starts_with(begin), "{error}");
    assert_eq!(medium.log(), []);
}

/// The images of `tests/fixtures/config_drives/trees.json`, with the files that an ISO reader found in
/// them (`tests/config_drives/trees.py`), on a disk where Linux mounts no ISO 9660.
#[test]
fn on_4096_byte_blocks_every_file_is_what_an_iso_reader_finds() {
    fn collect(nodes: &[fat_writer::Node<'_>], path: &str, found: &mut BTreeMap<String, String>) {
        for node in nodes {
            let path = format!("{path}{}", node.name);
            match &node.content {
                Content::File(bytes) => {
                    let text = String::from_utf8(bytes.to_vec()).unwrap();
                    assert!(found.insert(path, text).is_none());
                }
                Content::Directory(children) => collect(children, &format!("{path}/"), found),
            }
        }
    }
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/config_drives/trees.json");
    let table: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let images = table["images"].as_array().unwrap();
    assert!(images.len() >= 27);
    for case in images {
        let title = &case["title"];
        let packed = BASE64_STANDARD
            .decode(case["image"].as_str().unwrap())
            .unwrap();
        let mut drive = Vec::new();
        GzDecoder::new(&packed[..]).read_to_end(&mut drive).unwrap();
        let image = Image::of(fixture::gpt(4096, 0).content(), Some(&drive));
        let medium = MemoryMedium::of(vec![0xaa; 28 * MIB], 4096);
        let deployed = image.deploy(&medium);
        if let Some(refusal) = case.get("refuses").and_then(Value::as_str) {
            let error = text(deployed.unwrap_err());
            assert!(error.contains(refusal), "{title}: {error}");
            assert_eq!(medium.log(), [], "{title}");
            continue;
        }
        deployed.unwrap();
        let partition = Table::read(&medium).unwrap().partitions()[2].clone();
        let fat = Fat::open(&medium, partition.offset, partition.length);
        let fat = fat.unwrap().unwrap();
        assert_eq!(fat.sector_size(), 4096, "{title}");
        let start = partition.offset as usize;
        let content = &medium.content()[start..start + partition.length as usize];
        if let Some(said) = fixture::judged_by("fsck.vfat", &["-n", "-v"], content) {
            assert!(!said.contains("differ"), "{title}: {said}");
        }
        let mut found = BTreeMap::new();
        collect(&fat.files().unwrap(), "", &mut found);
        let expected: BTreeMap<String, String> =
            serde_json::from_value(case["files"].clone()).unwrap();
        assert_eq!(found, expected, "{title}");
    }
}

#[test]
fn a_broken_config_drive_is_found_before_the_disk_is_touched() {
    let mut image = Image::of(fixture::gpt(512, 0).content(), None);
    image
        .arguments
        .values
        .insert("configdrive".to_owned(), json!("????"));
    let medium = MemoryMedium::used(32 * MIB);
    let error = text(image.deploy(&medium).unwrap_err());
    assert!(error.contains("is not base64 encoded"), "{error}");
    assert_eq!(medium.log(), []);
}

/// The whole step on a real block device: opened exclusively, written directly, partitions read
/// again by the kernel, the config drive mounted from its partition.
#[test]
fn a_block_device_is_deployed_and_its_config_drive_mounted() {
    let disk = tempfile::NamedTempFile::new().unwrap();
    disk.as_file().set_len(96 << 20).unwrap();
    let Some(device) = LoopDevice::over(disk.path(), 512) else {
        return;
    };
    // This machine's kernel may know no ISO 9660; ext4 with the label serves.
    let drive = tempfile::NamedTempFile::new().unwrap();
    drive.as_file().set_len(2 << 20).unwrap();
    Program::new("/usr/sbin/mkfs.ext4")
        .arg("-q")
        .arg("-L")
        .arg("config-2")
        .arg(drive.path().display().to_string())
        .run()
        .unwrap();
    let image = Image::of(
        fixture::gpt(512, 0).content(),
        Some(&std::fs::read(drive.path()).unwrap()),
    );
    let block_device = BlockDevice {
        name: device.path().to_owned(),
        ..BlockDevice::default()
    };
    let options = Options::default();
    let info = ImageInfo::parse(&image.arguments, &options).unwrap();
    let deployed = write_image(
        &SilentContext,
        &Node::default(),
        &block_device,
        &info,
        &options,
        &Protected::default(),
    )
    .unwrap();
    assert!(deployed.message.contains(device.path()), "{deployed:?}");

    let root = Root::system();
    // udev makes the node a moment after the kernel has taken the table.
    let node = partition_name(device.path(), 3);
    let deadline = Instant::now() + Duration::from_secs(60);
    while !Path::new(&node).exists() {
        assert!(Instant::now() < deadline, "{node} does not come");
        thread::sleep(Duration::from_millis(50));
    }
    let mount = tempfile::tempdir().unwrap();
    nix::mount::mount(
        Some(node.as_str()),
        mount.path(),
        Some("ext4"),
        nix::mount::MsFlags::MS_RDONLY,
        None::<&str>,
    )
    .unwrap();
    let found = mount.path().join("lost+found").is_dir();
    let busy = Disk::open_exclusive(device.path());
    let users = holders::of(&root, device.path());
    nix::mount::umount(mount.path()).unwrap();
    assert!(found);
    assert!(matches!(busy, Err(DiskError::Busy { .. })), "{busy:?}");
    let expected = format!("{node} is mounted at {}", mount.path().display());
    assert_eq!(users, [expected]);
}

#[test]
fn the_mirror_beside_an_array_is_blank_before_the_first_byte() {
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(40 << 20).unwrap();
    let loaders = HeldLoaders {
        mirror: Some(Disk::open_exclusive(file.path()).unwrap()),
        root: Root::system(),
        disks: Vec::new(),
    };
    let of_former_system = || {
        let mut start = [0; 512];
        file.as_file().read_exact_at(&mut start, 0).unwrap();
        start == [0x5a; 512]
    };
    file.as_file().write_all_at(&[0x5a; 512], 0).unwrap();
    let medium = MemoryMedium::used(96 * MIB);
    let whole = DiskRange::new(&medium, (0, medium.size()), || loaders.blank());
    let run = |image: &Image| {
        let options = Options::default();
        let info = ImageInfo::parse(&image.arguments, &options)?;
        let job = Job::prepare(&SilentContext, "/dev/md0", &info, &options)?;
        job.run(&SilentContext, &whole, &options)
    };
    // An image that is not there leaves what boots.
    let image = Image::of(fixture::gpt(512, 0).content(), None);
    let mut gone = Image::of(fixture::gpt(512, 0).content(), None);
    gone.arguments.values["image_info"]["urls"] = json!(["file:///nonexistent/image"]);
    run(&gone).unwrap_err();
    assert!(of_former_system());
    run(&image).unwrap();
    assert!(!of_former_system());
    // A mirror that fails keeps the image from being written.
    let before = medium.log().len();
    let failing = DiskRange::new(&medium, (0, medium.size()), || {
        Err(DiskError::Flush {
            path: "/dev/md1".into(),
            source: std::io::ErrorKind::Other.into(),
        })
    });
    assert!(failing.write_at(0, &[1; 512]).is_err());
    assert_eq!(medium.log().len(), before);
}
