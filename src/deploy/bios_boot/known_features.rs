//! Which features of a file system a GRUB knows, as its module says: one test instruction with the features that make
//! it refuse. A tool that made the image may be years newer than the GRUB in it, which then stops at its prompt.

/// `test` of EAX, and of another register or of memory, with four bytes that follow.
const TEST_EAX: u8 = 0xa9;
const TEST: u8 = 0xf7;

/// Features that every GRUB 2 has known for ten years, and by which its test is told from others.
///
/// ext4: file types, recovery, block groups (meta and flexible), extents, 64 bits. XFS: file types, sparse inodes, a UUID
/// of its own.
const EXT4_KNOWN: u32 = 0x2d6;
const XFS_KNOWN: u32 = 0x7;

/// Bits that no feature has yet.
const EXT4_FREE: u32 = 0xfff0_0000;
const XFS_FREE: u32 = 0xffff_ff00;

/// Names that the tools take, as `mkfs.ext4 -O ^NAME` and `mkfs.xfs -i NAME=0` do.
const EXT4_NAMES: [(u32, &str); 5] = [
    (0x400, "ea_inode"),
    (0x2000, "metadata_csum_seed"),
    (0x4000, "large_dir"),
    (0x8000, "inline_data"),
    (0x2_0000, "casefold"),
];
const XFS_NAMES: [(u32, &str); 5] = [
    (0x8, "bigtime"),
    (0x20, "nrext64"),
    (0x40, "exchange"),
    (0x80, "parent"),
    (0x100, "metadir"),
];

/// Which of these features of a file system this module does not know, in words. `None` where it knows all, and
/// where it does not say: another compiler may put it otherwise.
pub(super) fn unknown(kind: &str, module: &[u8], features: u32) -> Option<String> {
    let (refused, names) = match kind {
        "ext4" => {
            let is_it = |value: u32| value & EXT4_FREE == EXT4_FREE && value & EXT4_KNOWN == 0;
            (only(module, is_it)?, EXT4_NAMES)
        }
        "xfs" => {
            // Big endian, as on the disk.
            let is_it = |value: u32| {
                let value = value.swap_bytes();
                value & XFS_FREE == XFS_FREE && value & XFS_KNOWN == 0
            };
            (only(module, is_it)?.swap_bytes(), XFS_NAMES)
        }
        _ => return None,
    };
    let mut left = features & refused;
    let mut words = Vec::new();
    for (bit, name) in names {
        if left & bit != 0 {
            words.push(name.to_owned());
            left &= !bit;
        }
    }
    if left != 0 {
        words.push(format!("{left:#x}"));
    }
    (!words.is_empty()).then(|| words.join(", "))
}

/// The one value that is tested for and looks so; `None` where there are several.
fn only(module: &[u8], is_it: impl Fn(u32) -> bool) -> Option<u32> {
    let mut values = (0..module.len())
        .filter_map(|at| tested(&module[at..]))
        .filter(|value| is_it(*value));
    let first = values.next()?;
    values.all(|other| other == first).then_some(first)
}

/// What the instruction that starts here tests for, where it is such a one.
fn tested(code: &[u8]) -> Option<u32> {
    let at = match code {
        [TEST_EAX, ..] => 1,
        [TEST, operand, ..] => match (operand >> 6, operand >> 3 & 7, operand & 7) {
            (3, 0, _) => 2,
            // A register and a distance of one byte or four; 4 would be two registers.
            (1, 0, 0..=3 | 5..=7) => 3,
            (2, 0, 0..=3 | 5..=7) => 6,
            _ => return None,
        },
        _ => return None,
    };
    Some(u32::from_le_bytes(*code.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;

    /// GRUB 2.06 as it was published, before 2.12 took the two of a checksum's seed and of large directories.
    const OLD: u32 = !0x1_03d6;

    #[test]
    fn what_a_module_refuses_is_named() {
        let mut module = vec![0x90; 100];
        assert_eq!(unknown("ext4", &module, u32::MAX), None, "it does not say");
        module.push(TEST_EAX);
        module.extend(OLD.to_le_bytes());
        module.extend([0xe8, 0xfc, 0xff, 0xff, 0xff]);
        assert_eq!(unknown("ext4", &module, 0x2c2), None);
        assert_eq!(
            unknown("ext4", &module, 0x22c6).unwrap(),
            "metadata_csum_seed"
        );
        assert_eq!(
            unknown("ext4", &module, 0x8_a2c2).unwrap(),
            "metadata_csum_seed, inline_data, 0x80000"
        );
        assert_eq!(unknown("btrfs", &module, u32::MAX), None);
        // Another that could be it: nothing is said.
        module.extend([TEST, 0xc3]);
        module.extend((OLD & !0x2000).to_le_bytes());
        assert_eq!(unknown("ext4", &module, 0x22c6), None);

        let xfs = [TEST, 0x83, 0xdc, 0, 0, 0, 0xff, 0xff, 0xff, 0xf8];
        assert_eq!(unknown("xfs", &xfs, 0x3), None);
        assert_eq!(unknown("xfs", &xfs, 0x2b).unwrap(), "bigtime, nrext64");
    }

    #[test]
    fn the_modules_of_this_machines_package_say_it() {
        let read = |name: &str| fs::read(format!("/usr/lib/grub/i386-pc/{name}.mod")).ok();
        let (Some(ext2), Some(xfs)) = (read("ext2"), read("xfs")) else {
            eprintln!("not run: needs grub-pc-bin");
            return;
        };
        assert_eq!(unknown("ext4", &ext2, 0x2c6), None);
        assert_eq!(unknown("ext4", &ext2, 0x82c6).unwrap(), "inline_data");
        assert_eq!(unknown("xfs", &xfs, 0xb), None);
        assert_eq!(unknown("xfs", &xfs, 0x10b).unwrap(), "metadir");
    }

    proptest! {
        #[test]
        fn any_module_is_survived(
            module in prop::collection::vec(prop::sample::select(vec![TEST_EAX, TEST, 0xff, 0xc3, 0x83, 0xf8, 0]), 0..60),
            features in any::<u32>(),
        ) {
            for kind in ["ext4", "xfs"] {
                unknown(kind, &module, features);
            }
        }
    }
}
