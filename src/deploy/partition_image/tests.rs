mod memory;
mod preserved;

use std::sync::Mutex;

use aws_lc_rs::digest::{SHA256, digest};
use farrier_plugin::{ErrorKind, ManagerError, SilentContext, StepArguments};

use super::*;
use crate::block::fixture;
use crate::block::gpt;
use crate::block::partition::PartitionKind;
use crate::sys::hex;
use crate::sys::loop_device::LoopDevice;
use crate::sys::loop_range::LoopRange;
use crate::sys::memory_medium::{Change, Fault, MemoryMedium};
use crate::sys::process::Program;
use crate::sys::root::Root;

const MIB: usize = 1 << 20;

/// Makes file systems that are no more than a mark at their start.
struct Marks<'m> {
    medium: &'m MemoryMedium,
    made: Mutex<Vec<String>>,
}

impl MakesFileSystems for Marks<'_> {
    fn check(&self, wanted: &Wanted<'_>) -> Result<(), DeployError> {
        if wanted.format == "none" {
            return Err(DeployError::FileSystemNotSupported {
                format: wanted.format.to_owned(),
                offered: String::new(),
            });
        }
        Ok(())
    }

    fn make(&self, wanted: &Wanted<'_>) -> Result<(), DeployError> {
        let mark = format!("{} {}", wanted.format, wanted.place.number);
        let written = self.medium.write_at(wanted.place.offset, mark.as_bytes());
        written.map_err(|source| DeployError::FileSystem {
            format: wanted.format.to_owned(),
            label: wanted.place.role.label(),
            device: "/dev/vda".to_owned(),
            source: source.into(),
        })?;
        self.made.lock().unwrap().push(mark);
        Ok(())
    }
}

/// An image of one ext4 partition, as far as its superblock tells.
fn ext4(mib: usize) -> Vec<u8> {
    let mut content: Vec<u8> = (0..mib * MIB).map(|at| (at / 9) as u8).collect();
    content[..2048].fill(0);
    content[1080..1082].copy_from_slice(&[0x53, 0xef]);
    content[1024 + 104..1024 + 120].copy_from_slice(&[0x5a; 16]);
    content
}

const ROOT_UUID: &str = "5a5a5a5a-5a5a-5a5a-5a5a-5a5a5a5a5a5a";

struct Deploy {
    _file: tempfile::NamedTempFile,
    content: Vec<u8>,
    image_info: Value,
    drive: Option<Vec<u8>>,
    node: Value,
    uefi: bool,
    loaders: Option<HeldLoaders>,
}

impl Deploy {
    /// Under UEFI, with everything that can be had.
    fn of(content: Vec<u8>) -> Self {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &content).unwrap();
        let sha256 = hex::encode(digest(&SHA256, &content).as_ref());
        Self {
            image_info: json!({
                "id": "root.raw", "urls": [format!("file://{}", file.path().display())],
                "disk_format": "raw", "os_hash_algo": "sha256", "os_hash_value": sha256,
                "node_uuid": "n1", "image_type": "partition", "root_mb": 12, "swap_mb": 2,
                "ephemeral_mb": 10, "ephemeral_format": null, "preserve_ephemeral": false,
                "deploy_boot_mode": "uefi"
            }),
            _file: file,
            content,
            drive: Some(fixture::config_drive()),
            node: json!({}),
            uefi: true,
            loaders: None,
        }
    }

    fn bios(mut self, label: &str) -> Self {
        self.node = json!({"properties": {"capabilities": format!("disk_label:{label}")}});
        self.image_info["deploy_boot_mode"] = json!("bios");
        self.uefi = false;
        self
    }

    fn with(mut self, name: &str, value: Value) -> Self {
        self.image_info[name] = value;
        self
    }

    fn arguments(&self) -> StepArguments {
        let mut arguments = StepArguments::default();
        arguments
            .values
            .insert("image_info".to_owned(), self.image_info.clone());
        if let Some(drive) = &self.drive {
            let text = fixture::sent(drive);
            arguments
                .values
                .insert("configdrive".to_owned(), text.into());
        }
        arguments
    }

    fn run(&self, medium: &MemoryMedium) -> Result<(Deployed, Vec<String>), DeployError> {
        let arguments = self.arguments();
        let options = Options {
            efi_system_partition_size: 3,
            ..Options::default()
        };
        let info = ImageInfo::parse(&arguments, &options)?;
        let wishes = info.partitions().unwrap();
        let node: Node = serde_json::from_value(self.node.clone()).unwrap();
        let context = SilentContext;
        let job = PartitionJob::prepare(
            &context,
            &node,
            self.uefi,
            "/dev/vda",
            (&info, wishes),
            &options,
        )?;
        let marks = Marks {
            medium,
            made: Mutex::default(),
        };
        let job = job.beside(self.loaders.as_ref());
        let (deployed, table) = job.write(&context, medium, &marks)?;
        assert_eq!(
            Table::read(medium).unwrap().partitions(),
            table.partitions()
        );
        Ok((deployed, marks.made.into_inner().unwrap()))
    }
}

fn text(error: DeployError) -> String {
    ManagerError::from(error).chain()
}

fn ranges(medium: &MemoryMedium) -> Vec<(u64, u64)> {
    let partitions = Table::read(medium).unwrap().partitions();
    partitions
        .iter()
        .map(|partition| (partition.offset / MIB as u64, partition.length / MIB as u64))
        .collect()
}

/// Whether firmware would look at anything but the first block.
fn boots(content: &[u8]) -> bool {
    content[510..512] == [0x55, 0xaa] && content[446..510].iter().any(|byte| *byte != 0)
}

#[test]
fn an_array_gets_no_efi_system_partition_and_its_mirror_is_blank() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), vec![0x5a; 40 * MIB]).unwrap();
    let disk = Disk::open_exclusive(file.path()).unwrap();
    let mut deploy = Deploy::of(ext4(9));
    deploy.loaders = Some(HeldLoaders {
        mirror: Some(disk),
        root: Root::system(),
        disks: Vec::new(),
    });
    let medium = MemoryMedium::used(64 * MIB);
    let (deployed, made) = deploy.run(&medium).unwrap();
    assert_eq!(made, ["ext4 1", "swap 2"]);
    assert_eq!(ranges(&medium), [(1, 10), (11, 2), (13, 1), (14, 12)]);
    assert!(!deployed.message.contains("efi_system_partition_uuid"));
    assert_eq!(
        deployed.partition_uuids["efi system partition uuid"],
        Value::Null
    );
    assert_ne!(std::fs::read(file.path()).unwrap()[..512], [0x5a; 512]);
}

#[test]
fn uefi_with_everything() {
    let deploy = Deploy::of(ext4(9));
    let medium = MemoryMedium::used(64 * MIB);
    let (deployed, made) = deploy.run(&medium).unwrap();
    assert_eq!(made, ["vfat 1", "ext4 2", "swap 3"]);
    assert_eq!(
        ranges(&medium),
        [(1, 3), (4, 10), (14, 2), (16, 1), (17, 12)]
    );
    let Table::Gpt(table) = Table::read(&medium).unwrap() else {
        panic!("a GPT");
    };
    let partitions = table.partitions();
    let kinds: Vec<_> = partitions.iter().map(|partition| partition.kind).collect();
    assert_eq!(
        kinds,
        [
            gpt::EFI_SYSTEM,
            gpt::LINUX_FILE_SYSTEM,
            gpt::LINUX_SWAP,
            gpt::LINUX_FILE_SYSTEM,
            gpt::LINUX_FILE_SYSTEM
        ]
        .map(PartitionKind::Gpt)
    );
    // The marks are no file systems, so the ESP is known by its own GUID.
    let esp = partitions[0].guid.unwrap().to_string();
    assert_eq!(
        deployed.message,
        format!(
            "image (root.raw) written to device /dev/vda root_uuid={ROOT_UUID} \
             efi_system_partition_uuid={esp}"
        )
    );
    assert_eq!(
        deployed.partition_uuids,
        json!({
            "root uuid": ROOT_UUID,
            "efi system partition uuid": esp,
            "partitions": {
                "efi system partition": "/dev/vda1", "ephemeral": "/dev/vda2", "swap": "/dev/vda3",
                "configdrive": "/dev/vda4", "root": "/dev/vda5"
            }
        })
    );
    let held = medium.content();
    assert!(held[17 * MIB..26 * MIB] == deploy.content);
    // Nothing of what the disk held before is found in the partitions.
    assert!(held[MIB + 6..4 * MIB].iter().all(|byte| *byte == 0));
    assert!(held[26 * MIB..29 * MIB].iter().all(|byte| *byte == 0));
    let drive = fixture::config_drive();
    assert!(held[16 * MIB..16 * MIB + drive.len()] == drive);
    for (tool, arguments, sound) in [
        ("sgdisk", &["-v"][..], "No problems found"),
        ("sfdisk", &["-V"], "No errors detected"),
    ] {
        if let Some(said) = fixture::judged_by(tool, arguments, &held) {
            assert!(said.contains(sound), "{tool}: {said}");
        }
    }
    if let Some(said) = fixture::judged_by("sfdisk", &["-d"], &held) {
        assert_eq!(said.matches("name=\"primary\"").count(), 5, "{said}");
    }
}

#[test]
fn bios_with_either_label() {
    let medium = MemoryMedium::used(64 * MIB);
    let (deployed, made) = Deploy::of(ext4(9)).bios("gpt").run(&medium).unwrap();
    assert_eq!(made, ["ext4 2", "swap 3"]);
    assert_eq!(
        ranges(&medium),
        [(1, 1), (2, 10), (12, 2), (14, 1), (15, 12)]
    );
    assert!(medium.content()[MIB..2 * MIB].iter().all(|byte| *byte == 0));
    assert_eq!(
        deployed.partition_uuids["partitions"]["BIOS Boot partition"],
        json!("/dev/vda1")
    );
    assert_eq!(
        deployed.partition_uuids["efi system partition uuid"],
        Value::Null
    );

    // An image whose file system nobody knows: the root is named by its partition.
    let medium = MemoryMedium::used(64 * MIB);
    let deploy = Deploy::of(vec![7; 3 * MIB]).bios("msdos");
    let (deployed, made) = deploy.run(&medium).unwrap();
    assert_eq!(made, ["ext4 1", "swap 2"]);
    assert_eq!(ranges(&medium), [(1, 10), (11, 2), (13, 1), (14, 12)]);
    let Table::Mbr(table) = Table::read(&medium).unwrap() else {
        panic!("an MBR");
    };
    assert_ne!(table.disk_signature(), 0);
    let uuid = format!("{:08x}-04", table.disk_signature());
    assert_eq!(deployed.partition_uuids["root uuid"], json!(uuid));
    assert_eq!(
        deployed.message,
        format!("image (root.raw) written to device /dev/vda root_uuid={uuid}")
    );
    let held = medium.content();
    assert!(held[..440].iter().all(|byte| *byte == 0));
    assert_eq!(held[446 + 3 * 16], 0x80);
    let said = fixture::judged_by("sfdisk", &["-d"], &held);
    if let Some(said) = said {
        for part in ["type=82", "type=83, bootable"] {
            assert!(said.contains(part), "{said}");
        }
    }
}

#[test]
fn blocks_of_4096_bytes() {
    let medium = MemoryMedium::of(vec![0xaa; 128 * MIB], 4096);
    Deploy::of(ext4(9)).run(&medium).unwrap();
    // The config drive is a FAT of its files there, since nobody could mount it otherwise.
    assert_eq!(
        ranges(&medium),
        [(1, 3), (4, 10), (14, 2), (16, 64), (80, 12)]
    );
    let partition = &Table::read(&medium).unwrap().partitions()[3];
    let found = probe::file_system(&medium, partition.offset, partition.length).unwrap();
    assert_eq!(found.unwrap().label, "CONFIG-2");
    let medium = MemoryMedium::of(vec![0xaa; 64 * MIB], 4096);
    let mut bios = Deploy::of(ext4(9)).bios("msdos");
    bios.drive = None;
    bios.run(&medium).unwrap();
    assert_eq!(ranges(&medium), [(1, 10), (11, 2), (13, 12)]);
}

/// At every moment before the last two changes nothing is found on the disk: no record, no table.
/// With the table there is an ESP, which is empty.
#[test]
fn an_unfinished_image_never_boots() {
    for deploy in [
        Deploy::of(ext4(9)),
        Deploy::of(ext4(9)).bios("gpt"),
        Deploy::of(ext4(9)).bios("msdos"),
    ] {
        // What booted before.
        let mut content = vec![0xaa; 64 * MIB];
        content[..16 * MIB].copy_from_slice(&fixture::gpt(512, 0).content());
        content[..440].fill(0xeb);
        let medium = MemoryMedium::of(content, 512);
        deploy.run(&medium).unwrap();
        let changes = medium.log().len();
        let blank_from = Mutex::new(None);
        medium.replay(|prefix, held| {
            let is_blank = held[..512].iter().all(|byte| *byte == 0);
            let mut from = blank_from.lock().unwrap();
            match *from {
                None if is_blank => *from = Some(prefix),
                None => {}
                // The record is the last but the flush.
                Some(_) => assert_eq!(
                    is_blank,
                    prefix < changes - 1,
                    "after {prefix} of {changes}"
                ),
            }
            if from.is_none() {
                // Nothing of the image is there while the old system could still start.
                assert!(
                    held[17 * MIB..18 * MIB].iter().all(|byte| *byte == 0xaa),
                    "{prefix}"
                );
            }
        });
        assert_eq!(*blank_from.lock().unwrap(), Some(1));
    }
}

#[test]
fn a_failure_at_any_change_is_told_and_nothing_boots() {
    let deploy = Deploy::of(ext4(9)).bios("msdos");
    for number in 1.. {
        let medium = MemoryMedium::used(64 * MIB).failing(Fault::Change(number, libc::EIO));
        let Err(error) = deploy.run(&medium) else {
            break;
        };
        assert!(
            matches!(error.kind(), ErrorKind::ImageWrite | ErrorKind::Deployment),
            "{number}: {error}"
        );
        // After the record only the flush can fail.
        if boots(&medium.content()) {
            let last = medium.log().pop();
            assert!(
                matches!(last, Some(Change::Write { offset: 0, .. })),
                "{number}"
            );
        }
    }
}

#[test]
fn a_disk_that_loses_its_table_is_not_called_deployed() {
    let deploy = Deploy::of(ext4(9)).bios("msdos");
    let medium = MemoryMedium::used(64 * MIB).failing(Fault::Loses(0));
    let error = deploy.run(&medium).unwrap_err();
    assert!(matches!(error, DeployError::Partitions { .. }), "{error}");
}

#[test]
fn what_is_wrong_is_named_before_the_disk_is_touched() {
    for (deploy, kind, part) in [
        (
            Deploy::of(ext4(13)),
            ErrorKind::InvalidCommandParams,
            "Root partition is too small for requested image. Image virtual size: 13 MB, Root size: 12 MB",
        ),
        (
            Deploy::of(ext4(9)).with("root_mb", json!(60)),
            ErrorKind::Deployment,
            "do not fit /dev/vda",
        ),
        (
            Deploy::of(ext4(9)).with("ephemeral_mb", json!(60)),
            ErrorKind::Deployment,
            "ephemeral 60 MiB",
        ),
        (
            Deploy::of(ext4(9)).with("ephemeral_format", json!("none")),
            ErrorKind::Rest,
            "File system none is not supported",
        ),
        (
            Deploy::of(ext4(9)).with("urls", json!(["file:///nonexistent"])),
            ErrorKind::ImageDownload,
            "nonexistent",
        ),
    ] {
        let medium = MemoryMedium::used(64 * MIB);
        let error = deploy.run(&medium).unwrap_err();
        assert_eq!(error.kind(), kind);
        let said = text(error);
        assert!(said.contains(part), "{said}");
        assert_eq!(medium.log(), [], "{said}");
    }
}

#[test]
fn an_image_of_a_disk_and_a_wrong_digest_leave_nothing_that_boots() {
    let content = fixture::gpt(512, 0).content()[..11 * MIB].to_vec();
    let disk = Deploy::of(content).with("root_mb", json!(24));
    let damaged = Deploy::of(ext4(9)).with("os_hash_value", json!("0".repeat(64)));
    for (deploy, kind, part) in [
        (disk, ErrorKind::InvalidImage, "is one of a whole disk"),
        (damaged, ErrorKind::ImageChecksum, "checksum"),
    ] {
        let medium = MemoryMedium::used(64 * MIB);
        let error = deploy.run(&medium).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        let said = text(error);
        assert!(said.contains(part), "{said}");
        assert!(medium.content()[..MIB].iter().all(|byte| *byte == 0));
        // Another try succeeds.
        Deploy::of(ext4(9)).run(&medium).unwrap();
    }
}

#[test]
fn a_repeat_gives_the_same() {
    let deploy = Deploy::of(ext4(9)).bios("msdos");
    let medium = MemoryMedium::used(64 * MIB);
    let (first, _) = deploy.run(&medium).unwrap();
    let (second, _) = deploy.run(&medium).unwrap();
    assert_eq!(first, second);
}

/// On a real disk with the real programs: every file system mounts.
#[test]
fn a_block_device_is_divided_and_its_file_systems_mount() {
    for block in [512, 4096] {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(320 << 20).unwrap();
        let Some(device) = LoopDevice::over(file.path(), block) else {
            return;
        };
        let image = tempfile::NamedTempFile::new().unwrap();
        image.as_file().set_len(8 << 20).unwrap();
        Program::new("/usr/sbin/mkfs.ext4")
            .arg("-q")
            .arg("-b")
            .arg("4096")
            .arg(image.path().display().to_string())
            .run()
            .unwrap();
        let mut deploy = Deploy::of(std::fs::read(image.path()).unwrap());
        deploy = deploy.with("ephemeral_mb", json!(40));
        let options = Options {
            efi_system_partition_size: 160,
            ..Options::default()
        };
        let arguments = deploy.arguments();
        let info = ImageInfo::parse(&arguments, &options).unwrap();
        let job = PartitionJob::prepare(
            &SilentContext,
            &Node::default(),
            true,
            device.path(),
            (&info, info.partitions().unwrap()),
            &options,
        )
        .unwrap();
        let disk = Disk::open_exclusive(device.path()).unwrap();
        let (deployed, table) = job.run(&SilentContext, &disk).unwrap();
        let esp = deployed.partition_uuids["efi system partition uuid"].clone();
        assert_eq!(esp.as_str().unwrap().len(), "1234-ABCD".len(), "{esp}");
        let partitions = table.partitions();
        for (index, kind) in [(1, "ext4"), (4, "ext4")] {
            let Partition { offset, length, .. } = partitions[index];
            let range = LoopRange::over(disk.path(), offset, length, block).unwrap();
            let mount = tempfile::tempdir().unwrap();
            nix::mount::mount(
                Some(range.path()),
                mount.path(),
                Some(kind),
                nix::mount::MsFlags::MS_RDONLY,
                None::<&str>,
            )
            .unwrap();
            let found = mount.path().join("lost+found").is_dir();
            nix::mount::umount(mount.path()).unwrap();
            assert!(found, "partition {}", index + 1);
        }
    }
}
