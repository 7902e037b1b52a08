//! Partition images on loop devices, which need root.

use std::path::Path;

use super::*;
use crate::block::partition::Partition;
use crate::block::rescan::partition_device;
use crate::deploy::image_boot::memory_tree::program;
use crate::deploy::image_tree::{Access, ImageTree};
use crate::sys::loop_device::LoopDevice;

/// A disk with an empty EFI system partition and a root partition.
struct DeployedDisk {
    _file: tempfile::NamedTempFile,
    device: LoopDevice,
    root_uuid: String,
    kernel_has_fat: bool,
}

impl DeployedDisk {
    /// With these files in the root file system, after `damage` had its bytes. `None` where this user has
    /// no loop devices, or the programs are missing.
    fn of(files: &[(&str, &[u8])], damage: impl FnOnce(&mut [u8])) -> Option<Self> {
        let programs = ["/usr/sbin/mkfs.vfat", "/usr/sbin/mkfs.ext4"];
        if cfg!(not(target_arch = "x86_64"))
            || !programs.iter().all(|program| Path::new(program).exists())
        {
            eprintln!("not run: needs x86_64, dosfstools and e2fsprogs");
            return None;
        }
        let tree = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = tree.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            match content.strip_prefix(b"->") {
                Some(target) => {
                    std::os::unix::fs::symlink(std::str::from_utf8(target).unwrap(), path).unwrap();
                }
                None => fs::write(path, content).unwrap(),
            }
        }
        let disk = fixture::gpt(512, 0);
        let partitions = Table::read(&disk).unwrap().partitions();
        let mut content = disk.content();
        // Tests run where they are; what is deployed has a kernel with FAT.
        let kernel_has_fat = Program::new("/sbin/modprobe").arg("vfat").run().is_ok()
            || fs::read_to_string("/proc/filesystems")
                .unwrap()
                .contains("vfat");
        let mut format = |partition: &Partition, program: Program| {
            let file = tempfile::NamedTempFile::new().unwrap();
            file.as_file().set_len(partition.length).unwrap();
            program
                .arg(file.path().display().to_string())
                .run()
                .unwrap();
            let made = fs::read(file.path()).unwrap();
            content[partition.offset as usize..][..made.len()].copy_from_slice(&made);
        };
        let esp = if kernel_has_fat {
            Program::new(programs[0])
                .arg("-n")
                .arg("EFI-PART")
                .arg("-i")
                .arg("1234abcd")
        } else {
            Program::new(programs[1]).arg("-q")
        };
        format(&partitions[0], esp);
        let root_uuid = "6a1c5d1e-0a2b-4c3d-8e4f-0123456789ab".to_owned();
        let populated = Program::new(programs[1])
            .arg("-q")
            .arg("-U")
            .arg(&root_uuid)
            .arg("-d")
            .arg(tree.path().display().to_string());
        format(&partitions[1], populated);
        damage(&mut content[partitions[1].offset as usize..]);
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), content).unwrap();
        let device = LoopDevice::over(file.path(), 512)?;
        device.show_partitions();
        Some(Self {
            _file: file,
            device,
            root_uuid,
            kernel_has_fat,
        })
    }

    /// Where the kernel has no FAT, the files are put on an ext4 in its place, and no boot entry is made.
    fn install(&self, root: &Root) -> Result<(), DeployError> {
        if !self.kernel_has_fat {
            eprintln!("in part: this kernel mounts no FAT");
            let deployment = Deployment {
                root: &self.partition(2),
                root_uuid: &self.root_uuid,
                esp: &self.partition(1),
                esp_size: 4 << 20,
                esp_name: "UUID=1234-ABCD".to_owned(),
                esp_names: Vec::new(),
            };
            return deployment.make_bootable(&SilentContext).map_err(|source| {
                DeployError::ImageBoot {
                    device: self.device.path().to_owned(),
                    kind: source.kind(),
                    source: Box::new(source),
                }
            });
        }
        let device = BlockDevice {
            name: self.device.path().to_owned(),
            ..BlockDevice::default()
        };
        let mut arguments = arguments(json!(self.root_uuid));
        let esp = "efi_system_part_uuid".to_owned();
        arguments.values.insert(esp, json!("1234-ABCD"));
        let options = Options::default();
        let node = Node::default();
        let around = (root, &Protected::default());
        install_bootloader(&SilentContext, &node, &device, &arguments, &options, around)
    }

    fn partition(&self, number: u32) -> String {
        let partitions = Table::read(&fixture::gpt(512, 0)).unwrap().partitions();
        let partition = partitions
            .iter()
            .find(|partition| partition.number == number);
        partition_device(&Root::system(), self.device.path(), partition.unwrap()).unwrap()
    }

    fn read(&self, partition: u32, path: &str) -> Option<Vec<u8>> {
        let mut tree =
            ImageTree::open(&self.partition(partition), Access::ReadOnly, &SilentContext).unwrap();
        let content = tree.read_part(path, 0, 1 << 20).unwrap();
        tree.close().unwrap();
        content
    }
}

#[test]
fn an_image_boots_by_the_files_of_its_packages() {
    let (shim, grub) = (program("shim"), program("grub\0/EFI/debian\0"));
    let Some(disk) = DeployedDisk::of(
        &[
            ("etc/os-release", b"ID=debian\n"),
            ("etc/fstab", b"LABEL=root / ext4 defaults 0 1"),
            ("boot/vmlinuz-6.1.0-31-amd64", b"kernel"),
            ("usr/lib/shim/shimx64.efi.signed", &shim),
            ("usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed", &grub),
        ],
        |_| {},
    ) else {
        return;
    };
    let (dir, root) = uefi();
    for _ in 0..2 {
        disk.install(&root).unwrap();
        if !disk.kernel_has_fat {
            continue;
        }
        let entry = variable(&dir, "Boot0000").unwrap();
        assert!(contains(&entry, &utf16("debian\0")));
        assert!(contains(&entry, &utf16("\\EFI\\debian\\shimx64.efi\0")));
        assert_eq!(variable(&dir, "BootOrder").unwrap(), [7, 0, 0, 0, 0, 0]);
    }
    assert_eq!(disk.read(1, "/EFI/BOOT/BOOTX64.EFI"), Some(shim.clone()));
    assert_eq!(disk.read(1, "/EFI/debian/shimx64.efi"), Some(shim));
    assert_eq!(disk.read(1, "/EFI/BOOT/grubx64.efi"), Some(grub));
    assert_eq!(disk.read(1, "/unfinished.txt"), None);
    let stub = disk.read(1, "/EFI/debian/grub.cfg").unwrap();
    assert!(contains(&stub, disk.root_uuid.as_bytes()));
    let menu = disk.read(2, "/boot/grub/grub.cfg").unwrap();
    assert!(contains(
        &menu,
        b"linux /boot/vmlinuz-6.1.0-31-amd64 root=UUID="
    ));
    let fstab = disk.read(2, "/etc/fstab").unwrap();
    assert_eq!(
        String::from_utf8(fstab).unwrap(),
        "LABEL=root / ext4 defaults 0 1\nUUID=1234-ABCD\t/boot/efi\tvfat\tumask=0077\t0\t1\n"
    );
}

#[test]
fn an_image_without_a_loader_does_not_end_well() {
    let Some(disk) = DeployedDisk::of(&[("etc/os-release", b"ID=debian\n")], |_| {}) else {
        return;
    };
    let (dir, root) = uefi();
    let error = disk.install(&root).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidImage);
    let said = chain(&error);
    assert!(said.contains("no boot loader for UEFI on x86_64"), "{said}");
    assert_eq!(variable(&dir, "BootOrder"), None);
    assert_eq!(disk.read(1, "/unfinished.txt"), None);
}

#[test]
fn links_lead_nowhere_but_into_the_image() {
    let loader = program("grub");
    let Some(disk) = DeployedDisk::of(
        &[
            // Where the agent's own /etc would be, and nothing of it is taken.
            ("boot", b"->/../../etc"),
            ("etc/efi/EFI/BOOT/BOOTX64.EFI", &loader),
            ("etc/fstab", b"->../../../../etc/tables/fstab"),
            ("etc/tables/fstab", b"# none\n"),
            ("efi", b"->efi"),
        ],
        |_| {},
    ) else {
        return;
    };
    let own = fs::read("/etc/fstab").ok();
    let (_dir, root) = uefi();
    disk.install(&root).unwrap();
    assert_eq!(disk.read(1, "/EFI/BOOT/BOOTX64.EFI"), Some(loader));
    let fstab = disk.read(2, "/etc/tables/fstab").unwrap();
    assert!(fstab.starts_with(b"# none\nUUID=1234-ABCD\t"));
    assert_eq!(fs::read("/etc/fstab").ok(), own);
}

#[test]
fn a_file_system_with_errors_is_named() {
    // The checksum of the superblock.
    let Some(disk) = DeployedDisk::of(&[("etc/os-release", b"")], |root| root[1024 + 0x3fc] ^= 1)
    else {
        return;
    };
    let (dir, root) = uefi();
    let error = disk.install(&root).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CommandExecution);
    let said = chain(&error);
    assert!(
        said.contains("cannot be mounted") && said.contains("e2fsck"),
        "{said}"
    );
    assert_eq!(variable(&dir, "BootOrder"), None);
}
