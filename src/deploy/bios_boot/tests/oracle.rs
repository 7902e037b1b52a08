//! The programs of GRUB's own, where Debian's packages grub-pc-bin and grub-common are installed.

use std::fs;
use std::path::Path;

use super::disks::{gpt_disk, mbr_disk};
use super::*;
use crate::block::table::Table;
use crate::sys::memory_medium::MemoryMedium;
use crate::sys::process::Program;

const MKIMAGE: &str = "/usr/bin/grub-mkimage";
const SETUP: &str = "/usr/lib/grub/i386-pc/grub-bios-setup";

/// An image with the files of this machine's package; `None` without it.
fn packaged() -> Option<MemoryTree> {
    if !Path::new(MKIMAGE).exists() || !Path::new(PLACE).join("kernel.img").exists() {
        eprintln!("not run: needs grub-pc-bin and grub-common");
        return None;
    }
    let mut image = MemoryTree::of(&[("/boot/grub/grub.cfg", "menu")]);
    for entry in fs::read_dir(PLACE).unwrap() {
        let path = entry.unwrap().path();
        image.put(path.to_str().unwrap(), &fs::read(&path).unwrap());
    }
    Some(image)
}

/// What is packed is the same byte for byte, and so is what unpacks and loads it. The packing itself is
/// another compressor's.
#[test]
fn a_core_image_is_as_grub_mkimage_makes_it() {
    let Some(mut image) = packaged() else {
        return;
    };
    let decompressor = fs::read(Path::new(PLACE).join("lzma_decompress.img")).unwrap();
    for (file_system, module) in [("ext4", "ext2"), ("xfs", "xfs"), ("btrfs", "btrfs")] {
        for (is_gpt, table) in [(true, "gpt"), (false, "msdos")] {
            let device = GrubDevice::Partition { is_gpt, number: 3 };
            let files = BootFiles::take(&mut image, (file_system, 0), ROOT, &device).unwrap();
            let ours = files.core.bytes();
            let file = tempfile::NamedTempFile::new().unwrap();
            let arguments = [
                "-O".to_owned(),
                "i386-pc".to_owned(),
                "-d".to_owned(),
                PLACE.to_owned(),
                "-p".to_owned(),
                format!("(,{table}3)/boot/grub"),
                "-o".to_owned(),
                file.path().display().to_string(),
                module.to_owned(),
                format!("part_{table}"),
                "biosdisk".to_owned(),
            ];
            arguments
                .into_iter()
                .fold(Program::new(MKIMAGE), Program::arg)
                .run()
                .unwrap();
            let theirs = fs::read(file.path()).unwrap();
            assert!(
                core_image::unpacked(ours, decompressor.len())
                    == core_image::unpacked(&theirs, decompressor.len()),
                "{file_system} {table}"
            );
            // All but the count of sectors, and the size of what is packed.
            let loaders = |core: &[u8]| {
                let mut loaders = core[..512 + decompressor.len()].to_vec();
                loaders[508..510].fill(0);
                loaders[512 + 8..512 + 12].fill(0);
                loaders
            };
            let first = files.core.at(1);
            assert!(loaders(&first)[..500] == loaders(&theirs)[..500]);
            assert!(loaders(&first)[512..] == loaders(&theirs)[512..]);
            assert!(ours.len() < theirs.len() * 11 / 10, "{} bytes", ours.len());
        }
    }
}

/// The disk is the same, every byte of it, as after `grub-bios-setup` of the same core image.
#[test]
fn a_disk_is_as_grub_bios_setup_leaves_it() {
    let Some(mut image) = packaged() else {
        return;
    };
    if !nix::unistd::geteuid().is_root() {
        eprintln!("not run: needs root for a mount");
        return;
    }
    let files = take(&mut image).unwrap();
    for (name, disk) in [("gpt", gpt_disk()), ("mbr", mbr_disk(2048))] {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("disk"), disk.content()).unwrap();
        fs::write(at("core.img"), files.core.bytes()).unwrap();
        fs::write(at("boot.img"), &files.boot).unwrap();
        fs::write(
            at("device.map"),
            format!("(hd0) {}\n", at("disk").display()),
        )
        .unwrap();
        fs::create_dir(at("mounted")).unwrap();
        // It asks which device its files are on, which must be one of this machine's.
        let script = "cd $1 && truncate -s 8M files && mkfs.ext4 -q files && mount -o loop files mounted \
             && cp core.img boot.img mounted && exec $2 --no-rs-codes -d mounted -m device.map '(hd0)'";
        ["-m", "sh", "-c", script, "sh"]
            .iter()
            .fold(Program::new("/usr/bin/unshare"), |program, argument| {
                program.arg(*argument)
            })
            .arg(folder.path().display().to_string())
            .arg(SETUP)
            .run()
            .unwrap();
        let theirs = fs::read(at("disk")).unwrap();
        let table = Table::read(&disk).unwrap();
        files.install(&disk, &table).unwrap();
        let ours = disk.content();
        let difference = ours
            .iter()
            .zip(&theirs)
            .position(|(one, other)| one != other);
        assert_eq!(difference, None, "{name}");
        assert_eq!(ours.len(), theirs.len());
        let found = Table::read(&MemoryMedium::of(ours, 512)).unwrap();
        assert_eq!(found.partitions(), table.partitions());
    }
}
