//! The programs of GRUB's own, where Debian's packages grub-pc-bin and grub-common are installed.

use std::fs;
use std::path::Path;

use super::disks::{gpt_disk, mbr_disk};
use super::*;
use crate::block::raid_superblock::{Level, Metadata};
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
    for (file_system, module) in [("ext4", "ext2"), ("xfs", "xfs"), ("btrfs", "btrfs")] {
        for (table, name) in [(TableKind::Gpt, "gpt"), (TableKind::Mbr, "msdos")] {
            let device = GrubDevice {
                array: None,
                table,
                number: 3,
            };
            let partitions = format!("part_{name}");
            let modules = [module, &partitions, "biosdisk"];
            let prefix = format!("(,{name}3)/boot/grub");
            is_the_same(&mut image, file_system, &device, &prefix, &modules);
        }
    }
}

/// As `grub-install` has it made for an array, with the modules that it picks (`probe_mods` in GRUB's
/// `util/grub-install.c`).
#[test]
fn a_core_image_for_an_array_is_as_grub_mkimage_makes_it() {
    let Some(mut image) = packaged() else {
        return;
    };
    let uuid = "f00dcafe:00112233:44556677:8899aabb";
    let prefix = "(mduuid/f00dcafe00112233445566778899aabb,gpt1)/boot/grub";
    for (level, metadata, readers) in [
        (Level::Raid1, Metadata::V1_2, "mdraid1x"),
        (Level::Raid10, Metadata::V0_90, "mdraid09"),
        (Level::Raid5, Metadata::V1_0, "mdraid1x raid5rec"),
        (Level::Raid6, Metadata::V1_2, "mdraid1x raid6rec"),
    ] {
        let array = GrubArray::of(Some(uuid), Some(level), Some(metadata), &[TableKind::Mbr]);
        let device = GrubDevice {
            array: Some(array.unwrap()),
            table: TableKind::Gpt,
            number: 1,
        };
        let mut modules = vec!["ext2", "part_gpt", "diskfilter"];
        modules.extend(readers.split(' '));
        modules.extend(["part_msdos", "biosdisk"]);
        let size = is_the_same(&mut image, "ext4", &device, prefix, &modules);
        // What has room behind an MBR, as the members of an array leave it.
        assert!(size < 64 << 10, "{size} bytes");
    }
}

/// Compares what we compose with what GRUB's own program does of these modules; returns the size of ours, in bytes.
fn is_the_same(
    image: &mut MemoryTree,
    file_system: &'static str,
    device: &GrubDevice,
    prefix: &str,
    modules: &[&str],
) -> usize {
    let files = BootFiles::take(image, (file_system, 0), ROOT, device).unwrap();
    let ours = files.core.bytes();
    let file = tempfile::NamedTempFile::new().unwrap();
    let output = file.path().display().to_string();
    ["-O", "i386-pc", "-d", PLACE, "-p", prefix, "-o", &output]
        .iter()
        .chain(modules)
        .fold(Program::new(MKIMAGE), |program, argument| {
            program.arg(*argument)
        })
        .run()
        .unwrap();
    let theirs = fs::read(file.path()).unwrap();
    let decompressor = fs::read(Path::new(PLACE).join("lzma_decompress.img")).unwrap();
    assert!(
        core_image::unpacked(ours, decompressor.len())
            == core_image::unpacked(&theirs, decompressor.len()),
        "{file_system} {prefix} {modules:?}"
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
    ours.len()
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
