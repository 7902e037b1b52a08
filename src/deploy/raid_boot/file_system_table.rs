//! The EFI system partition in the table of file systems of a whole-disk image: Debian's and others' name it by the
//! UUID of the partition, which is inside of the array and goes.

use super::super::image_boot::file_tree::{Failure, FileTree, small_file};

/// The table.
const PATH: &str = "/etc/fstab";

/// Bytes of it that are read; a larger one is none.
const LIMIT: usize = 1 << 20;

/// The table of this tree, where it names `old`, with its path and with `new` in that place.
pub(super) fn renamed(
    tree: &mut dyn FileTree,
    old: &str,
    new: &str,
) -> Result<Option<(String, Vec<u8>)>, Failure> {
    let content = small_file(tree, PATH, LIMIT)?;
    let after = content.and_then(|content| with_name(&content, old, new));
    Ok(after.map(|after| (PATH.to_owned(), after)))
}

fn with_name(table: &[u8], old: &str, new: &str) -> Option<Vec<u8>> {
    let mut after = Vec::with_capacity(table.len());
    for line in table.split_inclusive(|byte| *byte == b'\n') {
        let start = line.len() - line.trim_ascii_start().len();
        let rest = &line[start..];
        let length = rest
            .iter()
            .position(u8::is_ascii_whitespace)
            .unwrap_or(rest.len());
        let field: Vec<u8> = rest[..length]
            .iter()
            .copied()
            .filter(|byte| *byte != b'"')
            .collect();
        after.extend_from_slice(&line[..start]);
        match field.eq_ignore_ascii_case(old.as_bytes()) {
            true => after.extend_from_slice(new.as_bytes()),
            false => after.extend_from_slice(&rest[..length]),
        }
        after.extend_from_slice(&rest[length..]);
    }
    (after != table).then_some(after)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::deploy::image_boot::memory_tree::MemoryTree;

    const OLD: &str = "PARTUUID=6a1c5d1e-0a2b-4c3d-8e4f-0123456789ab";
    const NEW: &str = "UUID=1234-ABCD";

    #[test]
    fn a_table_that_names_the_partition_inside_names_the_mirror() {
        let table = format!(
            "# {OLD} was on /boot/efi\nPARTUUID=99 / ext4 rw 0 1\n {} /boot/efi vfat umask=0077 0 1\n\"{OLD}\"\t/x vfat",
            OLD.to_uppercase()
        );
        let mut tree = MemoryTree::of(&[(PATH, &table)]);
        let after = renamed(&mut tree, OLD, NEW).unwrap().unwrap().1;
        assert_eq!(
            String::from_utf8(after).unwrap(),
            format!(
                "# {OLD} was on /boot/efi\nPARTUUID=99 / ext4 rw 0 1\n {NEW} /boot/efi vfat umask=0077 0 1\n{NEW}\t/x vfat"
            )
        );
        for table in ["", "LABEL=UEFI /boot/efi vfat defaults 0 0\n"] {
            let mut tree = MemoryTree::of(&[(PATH, table)]);
            assert_eq!(renamed(&mut tree, OLD, NEW).unwrap(), None);
        }
        assert_eq!(renamed(&mut MemoryTree::of(&[]), OLD, NEW).unwrap(), None);
    }

    proptest! {
        #[test]
        fn any_table_is_survived(table in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(with_name(&table, OLD, NEW), None);
        }
    }
}
