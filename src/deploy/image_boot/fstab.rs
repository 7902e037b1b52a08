//! The line of the EFI system partition in an image's `/etc/fstab` (contract/data-plane 5.5, step 9).

use tracing::{info, warn};

use super::file_tree::{Failure, FileTree, small_file};

/// Bytes of a table that are read; a larger one is none.
const LIMIT: usize = 1 << 20;

/// Where the table is.
const PATH: &str = "/etc/fstab";

/// Where systems have their EFI system partition; the first is the reference's.
const PLACES: [&[u8]; 2] = [b"/boot/efi", b"/efi"];

/// The partition, in the words of a table's first field.
pub(super) struct EfiPartition<'a> {
    /// `UUID=1234-ABCD`, or `PARTUUID=…` where that is what it was named by.
    pub(super) name: &'a str,
    /// Other names of the same partition that a line may have: `LABEL=efi-part`.
    pub(super) others: &'a [String],
}

/// Put the partition's line into the image's table. Nothing is written where it is there already.
///
/// A line for `/boot/efi` that names another partition is made to name this one: it comes from the disk
/// that the image was made on, and a system that waits for a partition that is not there goes into
/// its emergency shell. Adding a second line, as the reference does, was rejected for that reason.
pub(super) fn add(
    image: &mut dyn FileTree,
    partition: &EfiPartition<'_>,
    place: &str,
) -> Result<(), Failure> {
    let before = match image.kind(PATH)? {
        None => Vec::new(),
        Some(_) => match small_file(image, PATH, LIMIT)? {
            Some(content) => content,
            None => {
                warn!("the image's {PATH} is no file of usual size, and gets no line for the ESP");
                return Ok(());
            }
        },
    };
    let Some(after) = with_line(&before, partition, place) else {
        return Ok(());
    };
    image.write(PATH, &mut after.as_slice())?;
    info!(
        "the image's {PATH} names the EFI system partition {}",
        partition.name
    );
    Ok(())
}

/// The table with the partition's line in it; `None` where it is there.
fn with_line(table: &[u8], partition: &EfiPartition<'_>, place: &str) -> Option<Vec<u8>> {
    let mut after = Vec::with_capacity(table.len() + 80);
    let mut is_named = false;
    let mut is_changed = false;
    for line in table.split_inclusive(|byte| *byte == b'\n') {
        let mut fields = line
            .split(u8::is_ascii_whitespace)
            .filter(|field| !field.is_empty());
        let first = fields.next().unwrap_or_default();
        let mount_point = fields.next().unwrap_or_default();
        let is_comment = first.is_empty() || first.starts_with(b"#");
        if is_comment || !is_named && !is_place(mount_point) && !partition.is(first) {
            after.extend_from_slice(line);
        } else if partition.is(first) || is_named {
            is_named = true;
            after.extend_from_slice(line);
        } else {
            // The first field is kept in place of its own, with whatever stands around it.
            let start = line
                .windows(first.len())
                .position(|window| window == first)
                .unwrap_or(0);
            after.extend_from_slice(&line[..start]);
            after.extend_from_slice(partition.name.as_bytes());
            after.extend_from_slice(&line[start + first.len()..]);
            is_named = true;
            is_changed = true;
        }
    }
    if is_named {
        return is_changed.then_some(after);
    }
    if !after.is_empty() && !after.ends_with(b"\n") {
        after.push(b'\n');
    }
    after.extend_from_slice(
        format!("{}\t{place}\tvfat\tumask=0077\t0\t1\n", partition.name).as_bytes(),
    );
    Some(after)
}

fn is_place(mount_point: &[u8]) -> bool {
    let trimmed = mount_point.strip_suffix(b"/").unwrap_or(mount_point);
    PLACES.contains(&trimmed)
}

impl EfiPartition<'_> {
    /// Whether a first field is this partition; tables quote it at times.
    fn is(&self, field: &[u8]) -> bool {
        let field: Vec<u8> = field.iter().copied().filter(|byte| *byte != b'"').collect();
        field.eq_ignore_ascii_case(self.name.as_bytes())
            || self
                .others
                .iter()
                .any(|other| field.eq_ignore_ascii_case(other.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LINE: &str = "UUID=1234-ABCD\t/boot/efi\tvfat\tumask=0077\t0\t1\n";

    fn changed(table: &str) -> Option<String> {
        let others = ["LABEL=efi-part".to_owned()];
        let partition = EfiPartition {
            name: "UUID=1234-ABCD",
            others: &others,
        };
        let after = with_line(table.as_bytes(), &partition, "/boot/efi")?;
        // A second time nothing is left to do.
        assert_eq!(with_line(&after, &partition, "/boot/efi"), None);
        Some(String::from_utf8(after).unwrap())
    }

    #[test]
    fn the_line_is_added_once() {
        assert_eq!(changed("").as_deref(), Some(LINE));
        let root = "UUID=5 / ext4 defaults 0 1\n";
        assert_eq!(changed(root), Some(format!("{root}{LINE}")));
        // Without a final newline.
        assert_eq!(changed(root.trim_end()), Some(format!("{root}{LINE}")));
        let comment = "# UUID=1234-ABCD /boot/efi vfat\n";
        assert_eq!(changed(comment), Some(format!("{comment}{LINE}")));
        for there in [
            LINE,
            "LABEL=efi-part /boot/efi vfat",
            "UUID=1234-abcd /efi vfat x 0 0\n",
        ] {
            assert_eq!(changed(there), None, "{there}");
        }
    }

    #[test]
    fn a_line_of_another_disk_names_this_one() {
        let of_the_cloud =
            "LABEL=root / ext4 rw 0 1\n  LABEL=UEFI\t/boot/efi/  vfat umask=0022 0 1\n#end";
        assert_eq!(
            changed(of_the_cloud).as_deref(),
            Some(
                "LABEL=root / ext4 rw 0 1\n  UUID=1234-ABCD\t/boot/efi/  vfat umask=0022 0 1\n#end"
            )
        );
        assert_eq!(
            changed("PARTUUID=99 /efi vfat defaults 0 0").as_deref(),
            Some("UUID=1234-ABCD /efi vfat defaults 0 0")
        );
    }

    proptest! {
        #[test]
        fn any_table_keeps_its_other_lines(table in prop::collection::vec(any::<u8>(), 0..200)) {
            let partition = EfiPartition { name: "UUID=1234-ABCD", others: &[] };
            if let Some(after) = with_line(&table, &partition, "/boot/efi") {
                prop_assert!(after.len() >= table.len().min(30));
                prop_assert_eq!(with_line(&after, &partition, "/boot/efi"), None);
            }
        }
    }
}
