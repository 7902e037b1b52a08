//! Boot loaders on an EFI system partition (contract/data-plane 5.3, 5.4).

use std::cmp::Ordering;

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

/// Loaders that are started only where there are none of the above: without them, the disk would not be booted at all.
/// The first that is there stands for all after it, since it leads to them.
const OTHERWISE: [&str; 9] = [
    "shimx64.efi",
    "shimaa64.efi",
    "shim.efi",
    "grubx64.efi",
    "grub.efi",
    "systemd-bootx64.efi",
    "systemd-bootaa64.efi",
    // Of Windows; winload.efi lies on its own partition.
    "bootmgfw.efi",
    "bootmgr.efi",
];

/// Where unified kernel images lie, each a loader, kernel and initramfs in one (the UAPI Group's Boot Loader
/// Specification, type 2).
const UNIFIED_KERNELS: &str = "\\efi\\linux";

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
    /// What it is to be told, by a table; mostly nothing.
    pub(super) arguments: String,
}

impl Loader {
    fn at(path: String) -> Self {
        Self {
            label: None,
            path,
            arguments: String::new(),
        }
    }
}

/// All loaders, in the order in which the partition stores them. The first table that is found
/// stands for all others, as in the reference; one that cannot be read, or that names only what is not there, is
/// passed over.
///
/// Where the reference finds none, one is taken that its list has not: a loader without a table, else the newest
/// unified kernel image.
pub(super) fn find(partition: &Fat<'_>) -> Result<Vec<Loader>, FatError> {
    let mut search = Search {
        partition,
        found: Vec::new(),
        otherwise: None,
        kernel: None,
        left: MOST_DIRECTORIES,
    };
    let root = partition.root()?;
    if let Some(listed) = search.walk(&root, "", 0)? {
        return Ok(vec![listed]);
    }
    if search.found.is_empty() {
        let otherwise = search.otherwise.map(|(_, path)| path).or(search.kernel);
        return Ok(otherwise.map(Loader::at).into_iter().collect());
    }
    Ok(search.found)
}

struct Search<'a, 'm> {
    partition: &'a Fat<'m>,
    found: Vec<Loader>,
    /// The first of [`OTHERWISE`] so far, by its place there.
    otherwise: Option<(usize, String)>,
    /// The newest unified kernel image so far.
    kernel: Option<String>,
    left: usize,
}

impl Search<'_, '_> {
    /// Keep a file in mind that is no loader of the list, if it is one all the same.
    fn note(&mut self, name: &str, path: String) {
        let place = OTHERWISE.iter().position(|other| *other == name);
        if let Some(place) = place {
            if self
                .otherwise
                .as_ref()
                .is_none_or(|(best, _)| place < *best)
            {
                self.otherwise = Some((place, path));
            }
            return;
        }
        let is_kernel = name.ends_with(".efi")
            && path.to_lowercase() == format!("{UNIFIED_KERNELS}\\{name}")
            && self
                .kernel
                .as_ref()
                .is_none_or(|newest| by_version(&path, newest).is_gt());
        if is_kernel {
            self.kernel = Some(path);
        }
    }

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
                self.note(&name, format!("{path}\\{}", entry.name));
                continue;
            }
            if !name.ends_with(".csv") {
                self.found
                    .push(Loader::at(format!("{path}\\{}", entry.name)));
                continue;
            }
            let table = self.partition.read(entry, TABLE_LIMIT)?;
            let listed = parse_table(&table)
                .into_iter()
                .find(|line| is_file(entries, &line.file));
            match listed {
                Some(line) => {
                    return Ok(Some(Loader {
                        label: Some(line.label),
                        path: format!("{path}\\{}", line.file),
                        arguments: line.arguments,
                    }));
                }
                None => warn!("{path}\\{} names no loader that is there", entry.name),
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

/// A line of a table.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Line {
    file: String,
    label: String,
    arguments: String,
}

fn is_file(entries: &[Entry], name: &str) -> bool {
    entries
        .iter()
        .any(|entry| !entry.is_directory && entry.name.to_lowercase() == name.to_lowercase())
}

/// The lines of a table: `shimx64.efi,debian,,This is the boot entry …`, in UTF-16 with or without a byte order mark,
/// or by mistake in ASCII. Lines that name nothing are left out.
///
/// The third field is what the loader is told, spaces included: a shim is told its unified kernel image so
/// (`shimx64.efi,Fedora,\EFI\Linux\….efi ,`) and would else look for a GRUB that is not there. The reference ignores
/// it, and all lines but the first.
pub(super) fn parse_table(bytes: &[u8]) -> Vec<Line> {
    decode(bytes)
        .split(['\r', '\n'])
        .filter_map(|line| {
            let mut fields = line.split(',');
            let file = fields.next()?.trim();
            let label = fields.next()?.trim();
            // A file beside the table: a path would lead elsewhere.
            let is_name = !file.is_empty() && !file.contains(['\\', '/']);
            (is_name && !label.is_empty()).then(|| Line {
                file: file.to_owned(),
                label: label.to_owned(),
                arguments: fields.next().unwrap_or_default().to_owned(),
            })
        })
        .collect()
}

/// Names in the order of the versions in them: runs of digits count as numbers.
fn by_version(one: &str, other: &str) -> Ordering {
    let (mut one, mut other) = (one, other);
    loop {
        let (Some(first), Some(second)) = (one.chars().next(), other.chars().next()) else {
            return one.len().cmp(&other.len());
        };
        if first.is_ascii_digit() && second.is_ascii_digit() {
            let (number, after) = digits(one);
            let (than, behind) = digits(other);
            let order = number.len().cmp(&than.len()).then(number.cmp(than));
            if order.is_ne() {
                return order;
            }
            (one, other) = (after, behind);
        } else if first == second {
            (one, other) = (&one[first.len_utf8()..], &other[second.len_utf8()..]);
        } else {
            return first.cmp(&second);
        }
    }
}

/// The digits that a text begins with, without leading zeros, and what follows.
fn digits(text: &str) -> (&str, &str) {
    let end = text
        .find(|letter: char| !letter.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    (number.trim_start_matches('0'), rest)
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
    use std::collections::{BTreeMap, BTreeSet};
    use std::fs;
    use std::path::Path;

    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;
    use crate::block::fat_writer::{self, Node};
    use crate::sys::memory_medium::MemoryMedium;

    /// An ESP of `tests/fixtures/boot_entries/boot_files.json`, and what is to boot from it.
    #[derive(Deserialize)]
    struct BootFiles {
        name: String,
        source: String,
        files: Vec<String>,
        tables: BTreeMap<String, String>,
        loader: String,
        label: String,
        arguments: String,
        removable: Option<String>,
    }

    impl BootFiles {
        fn all() -> Vec<Self> {
            let file = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("tests/fixtures/boot_entries/boot_files.json");
            serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
        }

        /// The file system, 1 MiB of FAT.
        fn partition(&self) -> MemoryMedium {
            let mut files: BTreeMap<&str, Vec<u8>> = self
                .files
                .iter()
                .map(|path| (path.as_str(), b"MZ".to_vec()))
                .collect();
            for (path, text) in &self.tables {
                files.insert(path, utf16(text, false));
            }
            let medium = MemoryMedium::of(vec![0; 1 << 20], 512);
            fat_writer::write(&medium, 0, 1 << 20, "EFI", 1, &tree(&files)).unwrap();
            medium
        }
    }

    /// Files by their paths as a tree.
    fn tree<'c>(files: &BTreeMap<&str, Vec<u8>>) -> Vec<Node<'c>> {
        let mut nodes = Vec::new();
        let mut below: BTreeMap<&str, BTreeMap<&str, Vec<u8>>> = BTreeMap::new();
        for (path, content) in files {
            match path.split_once('/') {
                None => nodes.push(Node::file((*path).to_owned(), content.clone())),
                Some((directory, rest)) => {
                    let inside = below.entry(directory).or_default();
                    inside.insert(rest, content.clone());
                }
            }
        }
        for (directory, files) in below {
            nodes.push(Node::directory(directory.to_owned(), tree(&files)));
        }
        nodes
    }

    #[test]
    fn every_distribution_boots_its_own_loader() {
        let all = BootFiles::all();
        assert!(all.len() >= 20, "{}", all.len());
        for case in &all {
            let medium = case.partition();
            let fat = Fat::open(&medium, 0, 1 << 20).unwrap().unwrap();
            let found = find(&fat).unwrap();
            let [loader] = &found[..] else {
                panic!("{}: {found:?}", case.name);
            };
            assert_eq!(loader.path, case.loader, "{}", case.name);
            let label = loader.label.as_deref().unwrap_or("ironic1");
            assert_eq!(label, case.label, "{}", case.name);
            assert_eq!(loader.arguments, case.arguments, "{}", case.name);
            assert!(!case.source.is_empty());
            // What is expected is in the fixture's own list, as the firmware finds it.
            let files: BTreeSet<String> = case
                .files
                .iter()
                .map(|path| format!("\\{}", path.replace('/', "\\")))
                .collect();
            for path in [Some(&case.loader), case.removable.as_ref()]
                .into_iter()
                .flatten()
            {
                assert!(files.contains(path), "{}: {path}", case.name);
            }
        }
    }

    fn utf16(text: &str, big_endian: bool) -> Vec<u8> {
        text.encode_utf16()
            .flat_map(|unit| match big_endian {
                true => unit.to_be_bytes(),
                false => unit.to_le_bytes(),
            })
            .collect()
    }

    fn named(file: &str, label: &str, arguments: &str) -> Line {
        Line {
            file: file.to_owned(),
            label: label.to_owned(),
            arguments: arguments.to_owned(),
        }
    }

    #[test]
    fn every_line_of_a_table_counts_with_its_arguments() {
        let table = "shimx64.efi,Fedora 42,\\EFI\\Linux\\a.efi ,UKI\r\n\r\n,nothing\n\
                     shimx64.efi , Fedora 41,\\EFI\\Linux\\b.efi ,\nshimia32.efi,Fedora";
        assert_eq!(
            parse_table(&utf16(table, false)),
            [
                named("shimx64.efi", "Fedora 42", "\\EFI\\Linux\\a.efi "),
                named("shimx64.efi", "Fedora 41", "\\EFI\\Linux\\b.efi "),
                named("shimia32.efi", "Fedora", ""),
            ]
        );
    }

    #[test]
    fn names_are_in_the_order_of_their_versions() {
        for (older, newer) in [
            ("linux-6.9.efi", "linux-6.12.efi"),
            ("a-6.1.0-9.efi", "a-6.1.0-18.efi"),
            ("a-007.efi", "a-8.efi"),
            ("a.efi", "b.efi"),
            ("a", "a1"),
        ] {
            assert!(by_version(older, newer).is_lt(), "{older} {newer}");
            assert!(by_version(newer, older).is_gt(), "{older} {newer}");
            assert!(by_version(newer, newer).is_eq());
        }
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
            assert_eq!(parse_table(&table), [named("shimx64.efi", "debian", "")]);
        }
        assert_eq!(
            parse_table(&utf16("grubaa64.efi,Größe", false)),
            [named("grubaa64.efi", "Größe", "")]
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
            assert_eq!(parse_table(&utf16(table, false)), [], "{table:?}");
        }
    }

    proptest! {
        #[test]
        fn any_table_is_survived(table in prop::collection::vec(any::<u8>(), 0..200)) {
            for line in parse_table(&table) {
                prop_assert!(!line.file.is_empty() && !line.label.is_empty());
            }
        }

        #[test]
        fn versions_have_one_order(one in "[a0-9.é]{0,8}", other in "[a0-9.é]{0,8}") {
            prop_assert_eq!(by_version(&one, &other), by_version(&other, &one).reverse());
        }
    }
}
