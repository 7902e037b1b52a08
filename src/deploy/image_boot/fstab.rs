//! The line of the EFI system partition in an image's `/etc/fstab` (contract/data-plane 5.5, step 9).

use tracing::{info, warn};

use super::file_tree::{Failure, FileTree, small_file};

/// Bytes of a table that are read; a larger one is none.
const LIMIT: usize = 1 << 20;

/// Where the table is.
const PATH: &str = "/etc/fstab";

/// Where systems have their EFI system partition; the first is the reference's.
const PLACES: [&[u8]; 2] = [b"/boot/efi", b"/efi"];

/// What a table says of such a partition's file system.
const KINDS: [&[u8]; 3] = [b"vfat", b"msdos", b"auto"];

/// The partition, in the words of a table's first field.
pub(super) struct EfiPartition<'a> {
    /// `UUID=1234-ABCD`, or `PARTUUID=…` where that is what it was named by.
    pub(super) name: &'a str,
    /// Other names of the same partition that a line may have: `LABEL=efi-part`.
    pub(super) others: &'a [String],
}

/// Put the partition's line into the image's table. Nothing is written where it is there already.
///
/// A line for `/boot/efi` that names another partition is made to name this one, or a comment where this one has
/// its line: it comes from the disk that the image was made on, and a system that waits for a partition that is
/// not there goes into its emergency shell. Adding a second line, as the reference does, was rejected for that
/// reason.
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

/// A line of a table.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Line {
    /// The partition's own.
    Own,
    /// Of an EFI system partition that is not this one.
    Foreign,
    /// All others.
    Rest,
}

/// The table with the partition's line in it; `None` where nothing is to be changed.
fn with_line(table: &[u8], partition: &EfiPartition<'_>, place: &str) -> Option<Vec<u8>> {
    let lines = || table.split_inclusive(|byte| *byte == b'\n');
    let mut after = Vec::with_capacity(table.len() + 80);
    let mut is_named = lines().any(|line| partition.line(line) == Line::Own);
    for line in lines() {
        match partition.line(line) {
            Line::Own | Line::Rest => after.extend_from_slice(line),
            Line::Foreign if is_named => {
                after.extend_from_slice(b"# ");
                after.extend_from_slice(line);
            }
            Line::Foreign => {
                // All but the first field stays, with whatever stands around it.
                let start = line.len() - line.trim_ascii_start().len();
                let length = fields(line).next().unwrap_or_default().len();
                after.extend_from_slice(&line[..start]);
                after.extend_from_slice(partition.name.as_bytes());
                after.extend_from_slice(&line[start + length..]);
                is_named = true;
            }
        }
    }
    if is_named {
        return (after != table).then_some(after);
    }
    if !after.is_empty() && !after.ends_with(b"\n") {
        after.push(b'\n');
    }
    after.extend_from_slice(
        format!("{}\t{place}\tvfat\tumask=0077\t0\t1\n", partition.name).as_bytes(),
    );
    Some(after)
}

fn fields(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(u8::is_ascii_whitespace)
        .filter(|field| !field.is_empty())
}

/// Whether an EFI system partition has this place, by the second and third field of its line: a directory that is
/// bound there has its place, too.
fn is_of_esp(mount_point: &[u8], kind: &[u8]) -> bool {
    let trimmed = mount_point.strip_suffix(b"/").unwrap_or(mount_point);
    PLACES.contains(&trimmed) && KINDS.contains(&kind)
}

impl EfiPartition<'_> {
    fn line(&self, line: &[u8]) -> Line {
        let mut fields = fields(line);
        let mut field = || fields.next().unwrap_or_default();
        let (first, mount_point, kind) = (field(), field(), field());
        if first.is_empty() || first.starts_with(b"#") {
            Line::Rest
        } else if self.is(first) {
            Line::Own
        } else if is_of_esp(mount_point, kind) {
            Line::Foreign
        } else {
            Line::Rest
        }
    }

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

    #[test]
    fn no_second_line_waits_for_a_partition_that_is_gone() {
        let foreign = "LABEL=UEFI /boot/efi vfat umask=0077 0 1\n";
        let commented = format!("# {foreign}");
        for (table, expected) in [
            (format!("{foreign}{LINE}"), format!("{commented}{LINE}")),
            (format!("{LINE}{foreign}"), format!("{LINE}{commented}")),
            (
                format!("PARTUUID=9 /efi auto x 0 0\n{foreign}"),
                format!("UUID=1234-ABCD /efi auto x 0 0\n{commented}"),
            ),
        ] {
            assert_eq!(changed(&table), Some(expected), "{table}");
        }
    }

    #[test]
    fn a_directory_that_is_bound_there_stays() {
        let bound = "/efi /boot/efi none bind 0 0\n";
        assert_eq!(changed(bound), Some(format!("{bound}{LINE}")));
        assert_eq!(changed(&format!("{LINE}{bound}")), None);
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
