//! Boot loaders on an EFI system partition (contract/data-plane 5.3, 5.4).

use tracing::warn;

use crate::block::fat::{Entry, Fat, FatError};

/// Files that are loaders, or tables of loaders, by name in lower case. `shimx64.efi`,
/// `grubx64.efi` and `fallback.efi` are left out on purpose: a table leads to them.
const KNOWN: [&str; 13] = [
    "bootx64.csv",
    "bootaa64.csv",
    "boot.csv",
    "bootia32.efi",
    "bootx64.efi",
    "bootia64.efi",
    "bootarm.efi",
    "bootaa64.efi",
    "bootriscv32.efi",
    "bootriscv64.efi",
    "bootriscv128.efi",
    "grubaa64.efi",
    "winload.efi",
];

/// Directories deeper than this are not entered.
const DEEPEST: usize = 16;

/// The most directories that are looked into, against a file system that leads in circles.
const MOST_DIRECTORIES: usize = 4096;

/// Bytes of a table of loaders that are read; real ones have some hundred.
const TABLE_LIMIT: u64 = 64 * 1024;

/// A loader that was found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Loader {
    /// What the firmware's menu is to show; `None` where no table says it.
    pub(super) label: Option<String>,
    /// Its path on the partition, with backslashes.
    pub(super) path: String,
}

/// All loaders, in the order in which the partition stores them. The first table that is found
/// stands for all others, as in the reference; one that cannot be read is passed over.
pub(super) fn find(partition: &Fat<'_>) -> Result<Vec<Loader>, FatError> {
    let mut search = Search {
        partition,
        found: Vec::new(),
        left: MOST_DIRECTORIES,
    };
    let root = partition.root()?;
    Ok(match search.walk(&root, "", 0)? {
        Some(listed) => vec![listed],
        None => search.found,
    })
}

struct Search<'a, 'm> {
    partition: &'a Fat<'m>,
    found: Vec<Loader>,
    left: usize,
}

impl Search<'_, '_> {
    /// Look at the files first, then at the directories. Returns what a table names.
    fn walk(
        &mut self,
        entries: &[Entry],
        path: &str,
        depth: usize,
    ) -> Result<Option<Loader>, FatError> {
        for entry in entries.iter().filter(|entry| !entry.is_directory) {
            let name = entry.name.to_lowercase();
            if !KNOWN.contains(&name.as_str()) {
                continue;
            }
            if !name.ends_with(".csv") {
                self.found.push(Loader {
                    label: None,
                    path: format!("{path}\\{}", entry.name),
                });
                continue;
            }
            let table = self.partition.read(entry, TABLE_LIMIT)?;
            match parse_table(&table) {
                Some((file, label)) => {
                    return Ok(Some(Loader {
                        label: Some(label),
                        path: format!("{path}\\{file}"),
                    }));
                }
                None => warn!("{path}\\{} names no loader", entry.name),
            }
        }
        for entry in entries.iter().filter(|entry| entry.is_directory) {
            if depth >= DEEPEST || self.left == 0 {
                warn!(
                    "{path}\\{} is not searched: too many directories",
                    entry.name
                );
                continue;
            }
            self.left -= 1;
            let children = self.partition.directory(entry)?;
            let below = format!("{path}\\{}", entry.name);
            if let Some(listed) = self.walk(&children, &below, depth + 1)? {
                return Ok(Some(listed));
            }
        }
        Ok(None)
    }
}

/// File and label of the first line of a table: `shimx64.efi,debian,,This is the boot entry …`, in
/// UTF-16 with or without a byte order mark, or by mistake in ASCII. The optional arguments in the
/// third field are ignored, as in the reference.
fn parse_table(bytes: &[u8]) -> Option<(String, String)> {
    let text = decode(bytes);
    let mut fields = text.lines().next()?.split(',').map(str::trim);
    let file = fields.next()?;
    let label = fields.next()?;
    // A file beside the table: a path would lead elsewhere.
    let is_name = !file.is_empty() && !file.contains(['\\', '/']);
    (is_name && !label.is_empty()).then(|| (file.to_owned(), label.to_owned()))
}

fn decode(bytes: &[u8]) -> String {
    if !bytes.contains(&0) {
        return String::from_utf8_lossy(bytes)
            .trim_start_matches('\u{feff}')
            .to_owned();
    }
    let big_endian = bytes.starts_with(&[0xfe, 0xff]);
    let units: Vec<u16> = bytes
        .chunks_exact(2)
        .map(|pair| match big_endian {
            true => u16::from_be_bytes([pair[0], pair[1]]),
            false => u16::from_le_bytes([pair[0], pair[1]]),
        })
        .collect();
    String::from_utf16_lossy(&units)
        .trim_start_matches('\u{feff}')
        .trim_end_matches('\0')
        .to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn utf16(text: &str, big_endian: bool) -> Vec<u8> {
        text.encode_utf16()
            .flat_map(|unit| match big_endian {
                true => unit.to_be_bytes(),
                false => unit.to_le_bytes(),
            })
            .collect()
    }

    #[test]
    fn tables_in_every_encoding() {
        let line = "shimx64.efi,debian,,This is the boot entry for debian\n";
        let marked = format!("\u{feff}{line}");
        for table in [
            utf16(&marked, false),
            utf16(&marked, true),
            utf16(line, false),
            line.as_bytes().to_vec(),
        ] {
            assert_eq!(
                parse_table(&table),
                Some(("shimx64.efi".to_owned(), "debian".to_owned()))
            );
        }
        assert_eq!(
            parse_table(&utf16("grubaa64.efi,Größe", false)),
            Some(("grubaa64.efi".to_owned(), "Größe".to_owned()))
        );
    }

    #[test]
    fn tables_that_name_nothing() {
        for table in [
            "",
            "\n",
            "shimx64.efi",
            ",debian,",
            "a.efi,",
            "..\\x.efi,label",
            "a/b,c",
        ] {
            assert_eq!(parse_table(&utf16(table, false)), None, "{table:?}");
        }
    }

    proptest! {
        #[test]
        fn any_table_is_survived(table in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Some((file, label)) = parse_table(&table) {
                prop_assert!(!file.is_empty() && !label.is_empty());
            }
        }
    }
}
