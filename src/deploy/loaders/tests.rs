use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use proptest::prelude::*;
use serde::Deserialize;

use super::*;
use crate::block::fat_writer::{self, Node};
use crate::deploy::image_boot::architecture::KNOWN as KNOWN_ARCHITECTURES;
use crate::deploy::image_boot::memory_tree::program_for;
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
        let found = find(&fat, Some(X86_64)).unwrap().loaders;
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

const X86_64: Architecture = KNOWN_ARCHITECTURES[0];
const AARCH64: Architecture = KNOWN_ARCHITECTURES[1];

/// What is found on an ESP with these files.
fn found(files: &[(&'static str, Vec<u8>)], architecture: Architecture) -> Found {
    let medium = MemoryMedium::of(vec![0; 1 << 20], 512);
    let files = files.iter().cloned().collect();
    fat_writer::write(&medium, 0, 1 << 20, "EFI", 1, &tree(&files)).unwrap();
    let fat = Fat::open(&medium, 0, 1 << 20).unwrap().unwrap();
    find(&fat, Some(architecture)).unwrap()
}

fn paths(found: &Found) -> Vec<&str> {
    let paths = found.loaders.iter().map(|loader| loader.path.as_str());
    paths.collect()
}

/// The program's machine types of both architectures.
const FOR_X86_64: u16 = 0x8664;
const FOR_AARCH64: u16 = 0xaa64;

#[test]
fn of_an_image_for_two_architectures_this_machines_loaders_are_taken() {
    let program = |machine| program_for(machine, "loader");
    let table = |file: &str| utf16(&format!("{file},debian,,\n"), false);
    let removable = [
        ("EFI/BOOT/BOOTX64.EFI", program(FOR_X86_64)),
        ("EFI/BOOT/BOOTAA64.EFI", program(FOR_AARCH64)),
    ];
    assert_eq!(
        paths(&found(&removable, X86_64)),
        ["\\EFI\\BOOT\\BOOTX64.EFI"]
    );
    assert_eq!(
        paths(&found(&removable, AARCH64)),
        ["\\EFI\\BOOT\\BOOTAA64.EFI"]
    );

    let with_tables = [
        ("EFI/debian/BOOTX64.CSV", table("shimx64.efi")),
        ("EFI/debian/BOOTAA64.CSV", table("shimaa64.efi")),
        ("EFI/debian/shimx64.efi", program(FOR_X86_64)),
        ("EFI/debian/shimaa64.efi", program(FOR_AARCH64)),
    ];
    assert_eq!(
        paths(&found(&with_tables, X86_64)),
        ["\\EFI\\debian\\shimx64.efi"]
    );
    assert_eq!(
        paths(&found(&with_tables, AARCH64)),
        ["\\EFI\\debian\\shimaa64.efi"]
    );

    let otherwise = [
        ("EFI/a/shimx64.efi", program(FOR_X86_64)),
        ("EFI/a/grubaa64.efi", program(FOR_AARCH64)),
        ("EFI/Linux/b-1.efi", program(FOR_AARCH64)),
        ("EFI/Linux/b-2.efi", program(FOR_X86_64)),
    ];
    assert_eq!(paths(&found(&otherwise, X86_64)), ["\\EFI\\a\\shimx64.efi"]);
    assert_eq!(
        paths(&found(&otherwise[2..], AARCH64)),
        ["\\EFI\\Linux\\b-1.efi"]
    );
    assert_eq!(
        paths(&found(&otherwise[2..], X86_64)),
        ["\\EFI\\Linux\\b-2.efi"]
    );
}

#[test]
fn an_image_for_another_architecture_is_known_by_its_loader() {
    let amd64 = [
        ("EFI/BOOT/BOOTX64.EFI", program_for(FOR_X86_64, "loader")),
        ("EFI/debian/grubx64.efi", program_for(FOR_X86_64, "loader")),
    ];
    let on_arm = found(&amd64, AARCH64);
    assert_eq!(paths(&on_arm), [""; 0]);
    assert!(!on_arm.is_empty());
    let foreign = on_arm.foreign.unwrap();
    assert_eq!(foreign.machine, "x86_64");
    assert_eq!(foreign.path, "\\EFI\\BOOT\\BOOTX64.EFI");
    assert_eq!(found(&amd64, X86_64).foreign, None);

    // The name alone says nothing, and what is no program is the firmware's to refuse.
    let no_program = [("EFI/BOOT/BOOTX64.EFI", b"loader".to_vec())];
    assert_eq!(
        paths(&found(&no_program, AARCH64)),
        ["\\EFI\\BOOT\\BOOTX64.EFI"]
    );
    assert!(found(&[], AARCH64).is_empty());
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
