//! GRUB of a partition image on loop devices, which need root.

use std::path::Path;

use super::*;
use crate::block::gpt::Gpt;
use crate::block::mbr::Mbr;
use crate::block::partition::Partition;
use crate::block::rescan::partition_device;
use crate::deploy::image_tree::{Access, ImageTree};
use crate::sys::loop_device::LoopDevice;

const GRUB: &str = "/usr/lib/grub/i386-pc";
const ROOT_UUID: &str = "6a1c5d1e-0a2b-4c3d-8e4f-0123456789ab";
const MIB: u64 = 1 << 20;

/// A deployed disk of 32 MiB that a BIOS could boot but for the boot loader.
struct DeployedDisk {
    file: tempfile::NamedTempFile,
    device: LoopDevice,
    root: Partition,
}

impl DeployedDisk {
    /// With GRUB's files in its root file system, where `has_grub`. `None` where this user has no loop devices, or
    /// the programs are missing.
    fn of(is_gpt: bool, has_grub: bool) -> Option<Self> {
        const MAKE: &str = "/usr/sbin/mkfs.ext4";

        if cfg!(not(target_arch = "x86_64"))
            || !Path::new(MAKE).exists()
            || !Path::new(GRUB).join("kernel.img").exists()
        {
            eprintln!("not run: needs x86_64, e2fsprogs and grub-pc-bin");
            return None;
        }
        let tree = tempfile::tempdir().unwrap();
        let put = |path: &str, content: &[u8]| {
            let path = tree.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        };
        put("boot/vmlinuz-6.1.0-31-amd64", b"kernel");
        for entry in fs::read_dir(GRUB).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if has_grub {
                put(
                    &format!("usr/lib/grub/i386-pc/{name}"),
                    &fs::read(&path).unwrap(),
                );
            }
        }
        let disk = MemoryMedium::of(vec![0; 32 << 20], 512);
        let root = if is_gpt {
            let mut table = Gpt::new(&disk, Uuid::from_u128(1)).unwrap();
            let mut add = |number, mib, length, kind| {
                let guid = Uuid::from_u128(number as u128 + 1);
                table
                    .add(number, mib * MIB, length * MIB, kind, guid, "primary")
                    .unwrap()
            };
            add(1, 1, 1, gpt::BIOS_BOOT);
            let root = add(2, 2, 24, gpt::LINUX_FILE_SYSTEM);
            table.write(&disk).unwrap();
            Mbr::protective(&disk).write(&disk).unwrap();
            root
        } else {
            let mut table = Mbr::new(&disk, 0x1a2b_3c4d);
            let root = table.add(1, MIB, 24 * MIB, mbr::LINUX, true).unwrap();
            table.write(&disk).unwrap();
            root
        };
        let made = tempfile::NamedTempFile::new().unwrap();
        made.as_file().set_len(root.length).unwrap();
        Program::new(MAKE)
            .arg("-q")
            .arg("-U")
            .arg(ROOT_UUID)
            .arg("-d")
            .arg(tree.path().display().to_string())
            .arg(made.path().display().to_string())
            .run()
            .unwrap();
        let mut content = disk.content();
        content[root.offset as usize..][..root.length as usize]
            .copy_from_slice(&fs::read(made.path()).unwrap());
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), content).unwrap();
        let device = LoopDevice::over(file.path(), 512)?;
        device.show_partitions();
        Some(Self { file, device, root })
    }

    fn install(&self, options: &Options, values: &[(&str, Value)]) -> Result<(), DeployError> {
        let dir = tempfile::tempdir().unwrap();
        let device = BlockDevice {
            name: self.device.path().to_owned(),
            ..BlockDevice::default()
        };
        let mut arguments = arguments(json!(ROOT_UUID));
        for (name, value) in values {
            arguments.values.insert((*name).to_owned(), value.clone());
        }
        let (node, root) = (Node::default(), Root::at(dir.path()));
        let around = (&root, &Protected::default());
        install_bootloader(&SilentContext, &node, &device, &arguments, options, around)
    }

    fn content(&self) -> Vec<u8> {
        fs::read(self.file.path()).unwrap()
    }

    fn read(&self, path: &str) -> Option<Vec<u8>> {
        let device = partition_device(&Root::system(), self.device.path(), &self.root).unwrap();
        let mut tree = ImageTree::open(&device, Access::ReadOnly, &SilentContext).unwrap();
        let content = tree.read_part(path, 0, 1 << 20).unwrap();
        tree.close().unwrap();
        content
    }
}

fn allowed() -> Options {
    Options {
        enable_bios_bootloader_install: true,
        ..Options::default()
    }
}

#[test]
fn grub_of_the_image_is_put_where_a_bios_starts_it() {
    for (is_gpt, first, prefix) in [
        (true, 2048, "(,gpt2)/boot/grub"),
        (false, 1, "(,msdos1)/boot/grub"),
    ] {
        let Some(disk) = DeployedDisk::of(is_gpt, true) else {
            return;
        };
        for _ in 0..2 {
            disk.install(&allowed(), &[]).unwrap();
        }
        let content = disk.content();
        // What boots is the boot sector of the package, which leads to the core image of that package.
        let boot = fs::read(Path::new(GRUB).join("boot.img")).unwrap();
        assert_eq!(content[0x68..440], boot[0x68..440]);
        assert_eq!(content[0x5c..0x64], u64::to_le_bytes(first));
        let core = &content[first as usize * 512..];
        let loader = fs::read(Path::new(GRUB).join("diskboot.img")).unwrap();
        assert_eq!(core[..480], loader[..480]);
        let table = Table::read(&MemoryMedium::of(content.clone(), 512)).unwrap();
        assert!(table.partitions().contains(&disk.root), "{prefix}");
        let modules = disk.read("/boot/grub/i386-pc/normal.mod");
        assert_eq!(modules, fs::read(Path::new(GRUB).join("normal.mod")).ok());
        let menu = String::from_utf8(disk.read("/boot/grub/grub.cfg").unwrap()).unwrap();
        assert!(menu.contains(&format!(
            "/boot/vmlinuz-6.1.0-31-amd64 root=UUID={ROOT_UUID}"
        )));
    }
}

#[test]
fn nothing_is_installed_where_it_is_not_allowed_or_not_there() {
    let Some(disk) = DeployedDisk::of(false, false) else {
        return;
    };
    let before = disk.content();
    let error = disk.install(&Options::default(), &[]).unwrap_err();
    assert!(matches!(error, DeployError::LegacyBootloader));
    let error = disk.install(&allowed(), &[]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidImage);
    let said = chain(&error);
    let device = disk.device.path();
    assert!(said.starts_with(&format!(
        "Installing GRUB2 boot loader to device {device} failed: The image"
    )));
    assert!(said.contains("grub-pc-bin"), "{said}");
    // A UUID that no partition has.
    let error = disk
        .install(
            &allowed(),
            &[("root_uuid", json!("11111111-2222-3333-4444-555555555555"))],
        )
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DeviceNotFound);
    // And all of that is a warning where it is to be.
    disk.install(&allowed(), &[("ignore_bootloader_failure", json!(true))])
        .unwrap();
    assert!(disk.content()[..1 << 20] == before[..1 << 20]);
}
