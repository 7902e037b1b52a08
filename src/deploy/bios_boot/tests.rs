use farrier_plugin::ErrorKind;

use super::*;
use crate::deploy::image_boot::memory_tree::MemoryTree;

mod disks;
mod oracle;

const ROOT: &str = "6a1c5d1e-0a2b-4c3d-8e4f-0123456789ab";

const GPT_2: GrubDevice = GrubDevice {
    array: None,
    table: TableKind::Gpt,
    number: 2,
};

/// Where these tests have GRUB's files.
const PLACE: &str = "/usr/lib/grub/i386-pc";

/// An image with what is looked at of GRUB, and a kernel. It boots nothing.
pub(super) fn image() -> MemoryTree {
    let mut image = MemoryTree::of(&[
        ("/boot/vmlinuz-6.1", "kernel"),
        (
            "/usr/lib/grub/i386-pc/moddep.lst",
            "ext2: fshelp\nxfs: fshelp\nfshelp:\nbiosdisk:\npart_gpt:\npart_msdos:\nnormal: ext2\n",
        ),
        ("/usr/lib/grub/i386-pc/command.lst", "linux: linux\n"),
        ("/usr/lib/grub/i386-pc/efiemu64.o", "object"),
        ("/usr/lib/grub/i386-pc/config.h", "not read by GRUB"),
        ("/usr/share/grub/unicode.pf2", "font"),
    ]);
    for module in [
        "ext2",
        "xfs",
        "fshelp",
        "biosdisk",
        "part_gpt",
        "part_msdos",
        "normal",
    ] {
        image.put(&format!("{PLACE}/{module}.mod"), module.as_bytes());
    }
    image.put(&format!("{PLACE}/kernel.img"), &kernel());
    image.put(&format!("{PLACE}/lzma_decompress.img"), &[7; 0x100]);
    image.put(
        &format!("{PLACE}/diskboot.img"),
        &sector(&[(510, 0x20), (511, 0x08)]),
    );
    image.put(&format!("{PLACE}/boot.img"), &boot());
    image
}

fn kernel() -> Vec<u8> {
    kernel_image::fixture(&[(0x9000, Ok(b"code")), (0x9010, Err(16))])
}

fn boot() -> Vec<u8> {
    sector(&[
        (0, 0xeb),
        (0x5b, 0x80),
        (0x66, 0xeb),
        (510, 0x55),
        (511, 0xaa),
    ])
}

fn sector(bytes: &[(usize, u8)]) -> Vec<u8> {
    let mut sector = vec![0; 512];
    for (at, byte) in bytes {
        sector[*at] = *byte;
    }
    sector
}

pub(super) fn take(image: &mut MemoryTree) -> Result<BootFiles, BiosBootError> {
    BootFiles::take(image, ("ext4", 0), ROOT, &GPT_2)
}

#[test]
fn what_an_image_has_is_put_together_and_in_place() {
    let mut image = image();
    let files = take(&mut image).unwrap();
    let content = core_image::unpacked(files.core.bytes(), 0x100);
    let mut expected = b"code".to_vec();
    expected.extend(b"mimg");
    expected.extend([12, 0, 0, 0, 100, 0, 0, 0]);
    for (name, padded) in [("fshelp", 8), ("ext2", 4), ("part_gpt", 8), ("biosdisk", 8)] {
        expected.extend([0, 0, 0, 0, padded + 8, 0, 0, 0]);
        expected.extend(name.as_bytes());
        expected.resize(expected.len().next_multiple_of(4), 0);
    }
    expected.extend([3, 0, 0, 0, 28, 0, 0, 0]);
    expected.extend(b"(,gpt2)/boot/grub\0\0\0");
    assert_eq!(
        String::from_utf8_lossy(&content),
        String::from_utf8_lossy(&expected)
    );
    for name in ["normal.mod", "moddep.lst", "command.lst", "efiemu64.o"] {
        assert_eq!(
            image.bytes(&format!("/boot/grub/i386-pc/{name}")),
            image.bytes(&format!("{PLACE}/{name}")),
            "{name}"
        );
    }
    assert_eq!(image.bytes("/boot/grub/i386-pc/config.h"), None);
    assert_eq!(image.text("/boot/grub/fonts/unicode.pf2").unwrap(), "font");
    let variables = image.text("/boot/grub/grubenv").unwrap();
    assert!(variables.starts_with("# GRUB Environment Block\n###"));
    assert_eq!(variables.len(), 1024);
    let menu = image.text("/boot/grub/grub.cfg").unwrap();
    assert!(menu.contains(&format!("linux /boot/vmlinuz-6.1 root=UUID={ROOT} ro")));

    // A link that leads nowhere, for which nothing is left to be done.
    let mut link = self::image();
    link.link("/boot/grub/grubenv", "grubenv");
    take(&mut link).unwrap();

    // What holds the same stays.
    image.written.clear();
    image.put("/boot/grub/i386-pc/normal.mod", b"of another version");
    take(&mut image).unwrap();
    assert_eq!(image.written, ["/boot/grub/i386-pc/normal.mod"]);
}

#[test]
fn the_places_of_other_distributions() {
    let mut image = image();
    let mut suse = MemoryTree::of(&[("/boot/grub2/grub.cfg", "menu")]);
    for name in image.names(PLACE).unwrap() {
        let content = image.bytes(&format!("{PLACE}/{name}")).unwrap();
        suse.put(&format!("/usr/share/grub2/i386-pc/{name}"), content);
    }
    let device = GrubDevice {
        array: None,
        table: TableKind::Mbr,
        number: 4,
    };
    let files = BootFiles::take(&mut suse, ("xfs", 0), ROOT, &device).unwrap();
    let content = core_image::unpacked(files.core.bytes(), 0x100);
    let content = String::from_utf8_lossy(&content);
    assert!(
        content.ends_with("(,msdos4)/boot/grub2\0\0\0\0"),
        "{content}"
    );
    assert!(content.contains("xfs") && content.contains("part_msdos"));
    assert!(!content.contains("ext2") && !content.contains("part_gpt"));
    assert!(suse.bytes("/boot/grub2/i386-pc/normal.mod").is_some());
    assert_eq!(suse.text("/boot/grub2/grub.cfg").unwrap(), "menu");
}

#[test]
fn a_boot_partition_gets_what_grub_reads() {
    let mut root = image();
    root.remove("/boot/vmlinuz-6.1").unwrap();
    let mut boot = MemoryTree::of(&[("/grub2/grub.cfg", "menu"), ("/vmlinuz-6.1", "kernel")]);
    assert_eq!(
        (Found::of(&mut root).unwrap(), Found::of(&mut boot).unwrap()),
        (
            Found {
                files: true,
                ..Found::default()
            },
            Found {
                is_boot: true,
                ..Found::default()
            }
        )
    );
    let trees = Trees {
        image: &mut root,
        boot: Some(&mut boot),
    };
    let files = BootFiles::take_from(trees, ("xfs", 0), ROOT, &GPT_2).unwrap();
    let content = core_image::unpacked(files.core.bytes(), 0x100);
    let content = String::from_utf8_lossy(&content);
    assert!(content.contains("(,gpt2)/grub2\0") && content.contains("xfs"));
    assert!(boot.bytes("/grub2/i386-pc/normal.mod").is_some());
    assert!(boot.bytes("/grub2/fonts/unicode.pf2").is_some());
    assert!(boot.bytes("/grub2/grubenv").is_some());
    assert_eq!(boot.text("/grub2/grub.cfg").unwrap(), "menu");
    assert_eq!(root.written, [""; 0]);
}

#[test]
fn what_is_missing_or_not_as_it_should_be_is_named() {
    let cases: [(&str, Option<Vec<u8>>, &str); 10] = [
        ("kernel.img", None, "add grub-pc-bin (Debian, Ubuntu)"),
        (
            "boot.img",
            None,
            "boot.img is not as GRUB 2 has it: it is not there",
        ),
        ("boot.img", Some(sector(&[])), "it is no boot sector"),
        ("diskboot.img", Some(sector(&[])), "it is no first sector"),
        (
            "lzma_decompress.img",
            Some(vec![0; 0x4000]),
            "no decompressor",
        ),
        ("kernel.img", Some(vec![0; 100]), "no ELF executable"),
        (
            "biosdisk.mod",
            None,
            "biosdisk.mod is not as GRUB 2 has it: it is not there",
        ),
        (
            "ext2.mod",
            Some(vec![0; (1 << 20) + 1]),
            "it has 1048577 bytes",
        ),
        (
            "moddep.lst",
            Some(b"ext2 fshelp".to_vec()),
            "line 1: it has no colon",
        ),
        // Not needed to start, and to be copied all the same.
        (
            "normal.mod",
            Some(vec![0; (1 << 20) + 1]),
            "it has 1048577 bytes",
        ),
    ];
    for (name, content, said) in cases {
        let mut image = image();
        let path = format!("{PLACE}/{name}");
        match content {
            Some(content) => image.put(&path, &content),
            None => image.remove(&path).unwrap(),
        }
        let error = take(&mut image).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidImage, "{name}");
        assert!(error.to_string().contains(said), "{name}: {error}");
    }
    let mut image = image();
    image.remove("/boot/vmlinuz-6.1").unwrap();
    let error = take(&mut image).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidImage);
    assert!(error.to_string().contains("/boot/grub/grub.cfg"), "{error}");
    let mut old = self::image();
    let module = [&[0xa9][..], &u32::to_le_bytes(!0x1_03d6)].concat();
    old.put(&format!("{PLACE}/ext2.mod"), &module);
    let error = BootFiles::take(&mut old, ("ext4", 0x22c6), ROOT, &GPT_2).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidImage);
    assert!(
        error
            .to_string()
            .contains("ext4 with metadata_csum_seed, and would stop"),
        "{error}"
    );
    assert_eq!(old.written, [""; 0]);
    BootFiles::take(&mut old, ("ext4", 0x2c6), ROOT, &GPT_2).unwrap();
    let error = BootFiles::take(&mut image, ("vfat", 0), ROOT, &GPT_2).unwrap_err();
    assert!(
        error.to_string().contains("vfat: make the image of ext4"),
        "{error}"
    );
}

/// Images that are made to do harm: bounded in time and memory, and an error each.
#[test]
fn hostile_images() {
    // As many needed modules as a list can have, the largest that a module may be, and not to be compressed.
    let mut many = image();
    let needs: String = (0..200).map(|number| format!(" m{number}")).collect();
    many.put(
        &format!("{PLACE}/moddep.lst"),
        format!("ext2:{needs}\n").as_bytes(),
    );
    for number in 0..200 {
        many.put(&format!("{PLACE}/m{number}.mod"), &vec![0; 1 << 20]);
    }
    let error = take(&mut many).unwrap_err();
    assert!(error.to_string().contains("ext2 needs too much"), "{error}");

    let mut state = 1_u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 56) as u8
    })
    .take(600_000)
    .collect();
    let mut large = image();
    large.put(&format!("{PLACE}/ext2.mod"), &noise);
    let error = take(&mut large).unwrap_err();
    assert!(
        error.to_string().contains("too large to be started"),
        "{error}"
    );

    let mut files = image();
    for number in 0..1100 {
        files.put(&format!("{PLACE}/m{number}.mod"), b"");
    }
    let error = take(&mut files).unwrap_err();
    assert!(error.to_string().contains("it has 1110 files"), "{error}");

    let mut heavy = image();
    for number in 0..17 {
        heavy.put(&format!("{PLACE}/m{number}.mod"), &vec![0; 1 << 20]);
    }
    let error = take(&mut heavy).unwrap_err();
    assert!(
        error.to_string().contains("more than 16777216 bytes"),
        "{error}"
    );

    // Links in circles and out of the image, modules that need each other.
    let mut links = image();
    links.link(&format!("{PLACE}/kernel.img"), "kernel.img");
    assert!(matches!(
        take(&mut links),
        Err(BiosBootError::NoGrub { .. })
    ));
    let mut links = image();
    links.link("/boot/grub", "/../../etc");
    links.put(
        &format!("{PLACE}/moddep.lst"),
        b"ext2: fshelp\nfshelp: ext2\nbiosdisk: biosdisk\n",
    );
    take(&mut links).unwrap();
    assert!(links.bytes("/etc/i386-pc/normal.mod").is_some());
}
