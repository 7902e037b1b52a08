//! Files that are no disk and hold none as it is: archives, compressions that are not read, programs,
//! pages. Written as they are they would be garbage with exit code 0.
//!
//! A kind is here only if no disk can begin so: its first bytes are no boot code, and several of them
//! are fixed. File systems without a partition table (squashfs, ext4) are not: they can be mounted.

use crate::stream::decode::is_lzma;

/// A kind of file that is never written as a disk.
#[derive(Debug, Eq, PartialEq)]
pub(in crate::stream) struct Foreign {
    /// What it is, with its article.
    pub(in crate::stream) what: &'static str,
    /// What to do about it.
    pub(super) remedy: &'static str,
    /// Whether that works on the file inside a compression as well as on the file itself.
    pub(super) unpacks_compressed: bool,
}

const fn kind(what: &'static str, remedy: &'static str) -> Foreign {
    Foreign {
        what,
        remedy,
        unpacks_compressed: false,
    }
}

const TAR: Foreign = Foreign {
    unpacks_compressed: true,
    ..kind(
        "a tar archive",
        "unpack it with `tar xf IMAGE`, and give the disk image inside (the disk of an OVA is a VMDK: \
         convert that with `qemu-img convert -f vmdk -O raw DISK.vmdk IMAGE.raw`)",
    )
};
const ZIP: Foreign = kind(
    "a zip archive",
    "unpack it with `unzip IMAGE`, and give the disk image inside",
);
const LZ4: Foreign = kind(
    "compressed with lz4",
    "unpack it with `lz4 -d IMAGE IMAGE.raw`",
);
const LZMA: Foreign = kind(
    "compressed with LZMA (.lzma)",
    "unpack it with `xz --format=lzma -dc IMAGE > IMAGE.raw`",
);
const SPARSE: Foreign = kind(
    "an Android sparse image",
    "convert it with `simg2img IMAGE IMAGE.raw`",
);
const CPIO: Foreign = kind(
    "a cpio archive, as an initial ramdisk is",
    "unpack it with `cpio -id < IMAGE`, and give a disk image",
);
const COMPRESS: Foreign = kind(
    "compressed with compress (.Z)",
    "unpack it with `gzip -dc < IMAGE > IMAGE.raw`",
);
const KERNEL: Foreign = kind("a Linux kernel", "give the image of a disk");
const PAGE: Foreign = kind(
    "an HTML or XML page",
    "check the URL: a login page, a proxy's or a portal's answer comes with status 200",
);

/// Whether a file that starts so is of a kind.
type Sign = fn(&[u8]) -> bool;

/// Kinds that are known by their first bytes alone.
const BY_START: [(&[u8], Foreign); 18] = [
    (
        b"7z\xbc\xaf\x27\x1c",
        kind(
            "a 7z archive",
            "unpack it with `7z x IMAGE`, and give the disk image inside",
        ),
    ),
    (
        b"Rar!\x1a\x07",
        kind(
            "a RAR archive",
            "unpack it with `unrar x IMAGE`, and give the disk image inside",
        ),
    ),
    (
        b"LZIP\x01",
        kind(
            "compressed with lzip",
            "unpack it with `lzip -dc IMAGE > IMAGE.raw`",
        ),
    ),
    (
        b"\x89LZO\0\r\n\x1a\n",
        kind(
            "compressed with lzop",
            "unpack it with `lzop -dc IMAGE > IMAGE.raw`",
        ),
    ),
    (b"\x02\x21\x4c\x18", LZ4),
    (b"\x3a\xff\x26\xed\x01\0", SPARSE),
    (
        b"MSCF\0\0\0\0",
        kind(
            "a cabinet archive",
            "unpack it with `cabextract IMAGE`, and give the disk image inside",
        ),
    ),
    (
        b"MSWIM\0\0\0",
        kind(
            "a Windows image (WIM)",
            "apply it to a disk with `wimapply`, and give the image of that disk",
        ),
    ),
    (
        b"!<arch>\n",
        kind(
            "an ar archive, as a Debian package is",
            "give the image of a disk",
        ),
    ),
    (
        b"\xed\xab\xee\xdb",
        kind("an RPM package", "give the image of a disk"),
    ),
    (
        b"partclone-image",
        kind(
            "a partclone image",
            "restore it with `partclone.restore -s IMAGE -o IMAGE.raw -C`",
        ),
    ),
    (
        b"\0ntfsclone-image",
        kind(
            "an ntfsclone image",
            "restore it with `ntfsclone --restore-image --overwrite IMAGE.raw IMAGE`",
        ),
    ),
    (
        b"VMA\0\0\0\0\x01",
        kind(
            "a Proxmox backup (VMA)",
            "extract it with `vma extract IMAGE DIRECTORY`, and give the disk image inside",
        ),
    ),
    (
        b"\x7fELF\x01\x01\x01",
        kind("an ELF program", "give the image of a disk"),
    ),
    (
        b"\x7fELF\x02\x01\x01",
        kind("an ELF program", "give the image of a disk"),
    ),
    (b"%PDF-", kind("a PDF document", "check the URL")),
    (
        b"#!/",
        kind(
            "a script",
            "run it if it unpacks an image, or check the URL",
        ),
    ),
    (
        b"version https://git-lfs",
        kind(
            "a pointer of Git LFS",
            "fetch the image itself with `git lfs pull`",
        ),
    ),
];

impl Foreign {
    /// The kind of a file that starts so. A page's signs may stand behind blanks.
    pub(super) fn of(start: &[u8]) -> Option<&'static Self> {
        if let Some((_, foreign)) = BY_START.iter().find(|(magic, _)| start.starts_with(magic)) {
            return Some(foreign);
        }
        let kinds: [(Sign, &'static Self); 8] = [
            (is_zip, &ZIP),
            (is_tar, &TAR),
            (is_lz4, &LZ4),
            (is_cpio, &CPIO),
            (is_compress, &COMPRESS),
            (is_kernel, &KERNEL),
            (is_page, &PAGE),
            (is_lzma, &LZMA),
        ];
        kinds
            .iter()
            .find(|(is_it, _)| is_it(start))
            .map(|(_, foreign)| *foreign)
    }
}

/// A member's header with a known version and method, an empty archive, or the first part of one that
/// was to be split.
fn is_zip(start: &[u8]) -> bool {
    let member = start.strip_prefix(b"PK00").unwrap_or(start);
    if let [b'P', b'K', 3, 4, version, _, _, _, method, 0, ..] = member {
        return *version <= 63 && (*method <= 20 || (93..=99).contains(method));
    }
    start.starts_with(b"PK\x05\x06\0\0\0\0\0\0\0\0")
}

/// A header whose checksum is right, with or without a magic number (POSIX.1-1988, and the seventh
/// edition's before it).
fn is_tar(start: &[u8]) -> bool {
    let Some(header) = start.get(..512) else {
        return false;
    };
    let digits = header[148..156].trim_ascii();
    let digits = digits.strip_suffix(b"\0").unwrap_or(digits).trim_ascii();
    let stored = std::str::from_utf8(digits)
        .ok()
        .and_then(|digits| u32::from_str_radix(digits, 8).ok());
    // The field itself counts as blanks.
    let sum = |sum: u32, byte: &u8| sum + u32::from(*byte);
    let computed = header[..148].iter().fold(8 * 32, sum);
    let computed = header[156..].iter().fold(computed, sum);
    header[0] != 0 && stored == Some(computed)
}

/// A frame of version 1 with no reserved bits, perhaps behind skippable ones.
fn is_lz4(mut start: &[u8]) -> bool {
    while let [low, 0x2a, 0x4d, 0x18, a, b, c, d, rest @ ..] = start {
        if low & 0xf0 != 0x50 {
            return false;
        }
        let length = u32::from_le_bytes([*a, *b, *c, *d]) as usize;
        start = rest.get(length..).unwrap_or_default();
    }
    matches!(start, [4, 0x22, 0x4d, 0x18, flags, block, ..]
        if flags & 0xc2 == 0x40 && block & 0x8f == 0 && *block >= 0x40)
}

/// The header of a file in hexadecimal or octal digits.
fn is_cpio(start: &[u8]) -> bool {
    let digits = |length: usize, radix: u32| {
        start.get(6..length).is_some_and(|digits| {
            digits
                .iter()
                .all(|digit| char::from(*digit).is_digit(radix))
        })
    };
    match start.get(..6) {
        Some(b"070701" | b"070702") => digits(110, 16),
        Some(b"070707") => digits(76, 8),
        _ => false,
    }
}

/// Two bytes, and the largest width of a code: 9 to 16 bits, with two reserved bits. That is little,
/// so nothing with the mark of a boot sector is taken for it.
fn is_compress(start: &[u8]) -> bool {
    matches!(start, [0x1f, 0x9d, flags, ..] if flags & 0x60 == 0 && (9..=16).contains(&(flags & 0x1f)))
        && start.get(510..512) != Some(&[0x55, 0xaa])
}

/// The header of the boot protocol for x86, and the magic number of the other architectures that
/// compress themselves.
fn is_kernel(start: &[u8]) -> bool {
    let at = |offset: usize, magic: &[u8]| {
        start
            .get(offset..)
            .is_some_and(|bytes| bytes.starts_with(magic))
    };
    at(0x202, b"HdrS") && at(510, &[0x55, 0xaa])
        || at(0x38, b"ARM\x64")
        || start.starts_with(b"MZ") && at(0x38, b"RSC\x05")
}

fn is_page(start: &[u8]) -> bool {
    let text = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
    let text = text.trim_ascii_start();
    let begins = |sign: &[u8]| {
        text.get(..sign.len())
            .is_some_and(|begin| begin.eq_ignore_ascii_case(sign))
    };
    begins(b"<!doctype ") || begins(b"<html") || begins(b"<?xml ")
}
