use proptest::prelude::*;

use super::*;
use crate::block::fat::{Entry, Fat};
use crate::block::fixture;
use crate::block::probe::file_system;
use crate::sys::memory_medium::MemoryMedium;

const MIB: u64 = 1 << 20;

fn written(block: u32, length: u64, root: &[Node<'_>]) -> Result<MemoryMedium, TableError> {
    let medium = MemoryMedium::of(vec![0; (MIB + length) as usize], block);
    write(&medium, MIB, length, "CONFIG-2", 0x1234_abcd, root).map(|()| medium)
}

/// Read everything back with the reader.
fn compare(fat: &Fat<'_>, entries: &[Entry], nodes: &[Node<'_>]) {
    assert_eq!(entries.len(), nodes.len());
    for (entry, node) in entries.iter().zip(nodes) {
        assert_eq!(entry.name, node.name);
        match &node.content {
            Content::File(bytes) => {
                assert!(!entry.is_directory);
                assert_eq!(entry.size, bytes.len() as u64);
                assert!(
                    *bytes == fat.read(entry, u64::MAX).unwrap(),
                    "{}",
                    node.name
                );
            }
            Content::Directory(children) => {
                assert!(entry.is_directory);
                compare(fat, &fat.directory(entry).unwrap(), children);
            }
        }
    }
}

fn tree(large: &[u8]) -> Vec<Node<'_>> {
    let many = (0..300)
        .map(|index| Node::file(format!("many-{index:03}"), &large[index..index * 2]))
        .collect();
    vec![
        Node::directory(
            "openstack".to_owned(),
            vec![
                Node::directory("latest".to_owned(), many),
                Node::file("meta_data.json".to_owned(), &large[..70_001]),
                Node::file("exactly thirteen".to_owned(), b"1"),
                Node::file("thirteen unit".to_owned(), b"2"),
                Node::file("empty".to_owned(), b""),
                Node::directory("none".to_owned(), Vec::new()),
            ],
        ),
        Node::file("Größe.txt".to_owned(), b"umlaut"),
    ]
}

#[test]
fn what_is_written_is_read_back_and_fsck_finds_no_fault() {
    let large: Vec<u8> = (0..100_000_u32).map(|at| (at / 5) as u8).collect();
    let tree = tree(&large);
    // FAT12 and FAT16 with either block size, and clusters of more than one block.
    for (block, length) in [
        (512, 2 * MIB),
        (512, 64 * MIB),
        (512, 300 * MIB),
        (4096, 4 * MIB),
        (4096, 65 * MIB),
    ] {
        let medium = written(block, length, &tree).unwrap();
        let fat = Fat::open(&medium, MIB, length).unwrap().unwrap();
        compare(&fat, &fat.root().unwrap(), &tree);
        let found = file_system(&medium, MIB, length).unwrap().unwrap();
        assert_eq!((found.kind, found.label.as_str()), ("vfat", "CONFIG-2"));
        assert_eq!(found.uuid.as_deref(), Some("1234-ABCD"));
        let content = &medium.content()[MIB as usize..];
        // Its exit status says whether there was something to mend.
        if let Some(said) = fixture::judged_by("fsck.vfat", &["-n", "-v"], content) {
            assert!(!said.contains("differ"), "{block} {length}: {said}");
        }
    }
}

#[test]
fn what_does_not_fit_is_told() {
    let large = vec![7; 3 * MIB as usize];
    let error = written(512, 2 * MIB, &[Node::file("a".to_owned(), &large)])
        .err()
        .unwrap();
    assert!(matches!(error, TableError::Full { .. }), "{error}");
    assert!(written(512, 16 * 512, &[]).is_err());
}

#[test]
fn a_name_that_fat_does_not_have_is_told() {
    let file = |name: &str| Node::file(name.to_owned(), b"");
    let long = "x".repeat(256);
    for name in [&long, "a:b", "a?", "a\\b", "a\n", "a.", "a ", "", ".", ".."] {
        let error = check_names(&[Node::directory("d".to_owned(), vec![file(name)])]);
        let error = error.unwrap_err();
        assert!(
            matches!(&error, TableError::Name { path, .. } if *path == format!("/d/{name}")),
            "{error}"
        );
        assert!(written(512, 2 * MIB, &[file(name)]).is_err());
    }
    assert!(check_names(&[file("name"), file("NAME")]).is_err());
    assert!(check_names(&[file("GRÖSSE"), file("größe")]).is_ok());
    check_names(&[
        file("name"),
        file(" names"),
        file("x.y.z"),
        file(&"ü".repeat(255)),
    ])
    .unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]

    #[test]
    fn any_files_come_back(
        files in prop::collection::btree_map("[a-z0-9 ._ä-]{0,40}[a-z]", 0_usize..9000, 0..40),
        is_large_block: bool,
    ) {
        let content: Vec<u8> = (0..9000_u32).map(|at| at as u8).collect();
        let nodes: Vec<Node<'_>> = files
            .iter()
            .map(|(name, length)| Node::file(format!("f{name}"), &content[..*length]))
            .collect();
        let root = [Node::directory("d".to_owned(), nodes)];
        let medium = written(if is_large_block { 4096 } else { 512 }, 4 * MIB, &root).unwrap();
        let fat = Fat::open(&medium, MIB, 4 * MIB).unwrap().unwrap();
        compare(&fat, &fat.root().unwrap(), &root);
    }
}
