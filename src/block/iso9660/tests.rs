use std::fs;
use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::block::fat_writer::Content;
use crate::block::fixture;
use crate::sys::process::Program;

/// Paths and sizes of all files, sorted.
fn listing(nodes: &[Node<'_>]) -> Vec<String> {
    fn walk(nodes: &[Node<'_>], path: &str, found: &mut Vec<String>) {
        for node in nodes {
            let path = format!("{path}/{}", node.name);
            match &node.content {
                Content::File(bytes) => found.push(format!("{path} {}", bytes.len())),
                Content::Directory(children) => walk(children, &path, found),
            }
        }
    }
    let mut found = Vec::new();
    walk(nodes, "", &mut found);
    found.sort();
    found
}

#[test]
fn what_the_conductor_made_is_read() {
    let image = fixture::config_drive();
    let nodes = read(&image).unwrap().unwrap();
    assert_eq!(
        listing(&nodes)
            .iter()
            .map(|line| line.split(' ').next().unwrap())
            .collect::<Vec<_>>(),
        [
            "/openstack/2012-08-10/meta_data.json",
            "/openstack/2012-08-10/user_data",
            "/openstack/latest/meta_data.json",
            "/openstack/latest/user_data",
        ]
    );
}

/// Every way in which names are stored, made by xorriso where it is installed.
#[test]
fn names_of_every_kind() {
    const XORRISO: &str = "/usr/bin/xorriso";
    if !std::path::Path::new(XORRISO).exists() {
        eprintln!("not run: needs xorriso");
        return;
    }
    let tree = tempfile::tempdir().unwrap();
    let long = "x".repeat(240);
    fs::create_dir_all(tree.path().join("openstack/content")).unwrap();
    fs::write(tree.path().join("openstack/meta_data.json"), "{}").unwrap();
    fs::write(tree.path().join("openstack/content/0000"), vec![7; 5000]).unwrap();
    fs::write(tree.path().join("openstack/empty"), "").unwrap();
    fs::write(tree.path().join(&long), "long").unwrap();
    for index in 0..200 {
        fs::write(
            tree.path()
                .join(format!("openstack/content/many-{index:03}")),
            "m",
        )
        .unwrap();
    }
    for (flags, knows_long) in [
        (&["-R", "-J"][..], true),
        (&["-R"], true),
        (&["-J", "--norock"], false),
    ] {
        let image = tempfile::NamedTempFile::new().unwrap();
        let mut program = Program::new(XORRISO)
            .arg("-as")
            .arg("mkisofs")
            .arg("-quiet");
        for flag in flags {
            program = program.arg(*flag);
        }
        program
            .arg("-V")
            .arg("config-2")
            .arg("-o")
            .arg(image.path().display().to_string())
            .arg(tree.path().display().to_string())
            .run()
            .unwrap();
        let image = fs::read(image.path()).unwrap();
        let nodes = read(&image).unwrap().unwrap();
        let found = listing(&nodes);
        for line in [
            "/openstack/meta_data.json 2",
            "/openstack/content/0000 5000",
            "/openstack/empty 0",
            "/openstack/content/many-199 1",
        ] {
            assert!(
                found.iter().any(|found| found == line),
                "{flags:?}: {found:?}"
            );
        }
        assert_eq!(found.len(), 204, "{flags:?}");
        assert_eq!(
            found.contains(&format!("/{long} 4")),
            knows_long,
            "{flags:?}"
        );
    }
}

#[test]
fn plain_names_are_shown_as_linux_shows_them() {
    assert_eq!(plain(b"META_DATA.JSON;1"), "meta_data.json");
    assert_eq!(plain(b"USER_DATA.;1"), "user_data");
}

#[test]
fn what_is_no_iso_is_none() {
    assert_eq!(read(&[]), Ok(None));
    assert_eq!(read(&[0xff; 100_000]), Ok(None));
}

/// An entry of Rock Ridge.
fn entry(kind: &[u8; 2], content: &[u8]) -> Vec<u8> {
    let length = u8::try_from(content.len() + 4).unwrap();
    [&kind[..], &[length, 1], content].concat()
}

/// That the entries go on in this sector.
fn goes_on(sector: u32, length: usize) -> Vec<u8> {
    let numbers = [sector, 0, 0, 0, u32::try_from(length).unwrap(), 0];
    entry(b"CE", &numbers.map(u32::to_le_bytes).concat())
}

/// Parts of a link that are `length` bytes with the slashes between them, in entries.
fn link(length: usize) -> Vec<u8> {
    let mut entries = Vec::new();
    let mut left = length + 1;
    while left > 0 {
        let part = vec![b'l'; left.min(201) - 1];
        left -= part.len() + 1;
        let header = [0, 0, u8::try_from(part.len()).unwrap()];
        entries.extend(entry(b"SL", &[&header[..], &part].concat()));
    }
    entries
}

#[test]
fn names_and_links_have_the_lengths_of_linux() {
    let name = |length: usize| {
        let parts = vec![b'n'; length];
        let entries: Vec<u8> = parts
            .chunks(100)
            .flat_map(|part| entry(b"NM", &[&[1], part].concat()))
            .collect();
        SystemUse::read(&[], &entries, 0).map(|found| found.name.len())
    };
    assert_eq!(name(255), Ok(255));
    assert!(name(256).unwrap_err().to_string().contains("255 bytes"));
    let link = |length| SystemUse::read(&[], &link(length), 0).map(|found| found.link.len());
    assert_eq!(link(4096), Ok(4096));
    assert!(link(4097).unwrap_err().to_string().contains("4096 bytes"));
}

/// Else 4 MiB of an image would become links of hundreds of MiB.
#[test]
fn links_that_share_their_bytes_end_at_a_limit() {
    const FIRST: usize = 18;
    const SECTORS: usize = 150;
    let record = |name: &[u8], flags: u8, extent: usize, size: usize, system_use: &[u8]| {
        let mut record = vec![0; NAME];
        record[2..6].copy_from_slice(&u32::try_from(extent).unwrap().to_le_bytes());
        record[10..14].copy_from_slice(&u32::try_from(size).unwrap().to_le_bytes());
        record[25] = flags;
        record[32] = u8::try_from(name.len()).unwrap();
        record.extend(name);
        record.extend(system_use);
        record[0] = u8::try_from(record.len()).unwrap();
        record
    };
    let root = |system_use| record(&[0], DIRECTORY, FIRST, SECTORS * SECTOR, system_use);
    // Two areas, of which the first leads to the second.
    let shared = FIRST + SECTORS;
    let half = link(1800);
    let is_link = entry(b"PX", &0o120_777_u32.to_le_bytes());
    let first = [
        &is_link[..],
        &half,
        &goes_on(u32::try_from(shared + 1).unwrap(), half.len()),
    ]
    .concat();
    let child = record(
        b"a",
        0,
        0,
        0,
        &goes_on(u32::try_from(shared).unwrap(), first.len()),
    );
    let mut image = vec![0; (shared + 2) * SECTOR];
    let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
    put(DESCRIPTORS * SECTOR, b"\x01CD001\x01");
    put(DESCRIPTORS * SECTOR + 128, &[0, 8]);
    put(DESCRIPTORS * SECTOR + 156, &root(&[]));
    put((DESCRIPTORS + 1) * SECTOR, b"\xffCD001\x01");
    put(FIRST * SECTOR, &root(b"SP\x07\x01\xbe\xef\0"));
    for sector in FIRST + 1..shared {
        for at in 0..SECTOR / child.len() {
            put(sector * SECTOR + at * child.len(), &child);
        }
    }
    put(shared * SECTOR, &first);
    put((shared + 1) * SECTOR, &half);
    let error = read(&image).unwrap_err().to_string();
    assert!(error.contains("16 MiB"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_damage_is_survived(changes in prop::collection::vec((0_usize..60_000, any::<u8>()), 1..30)) {
        static IMAGE: LazyLock<Vec<u8>> = LazyLock::new(fixture::config_drive);
        let mut image = IMAGE.clone();
        for (at, value) in changes {
            // From the first descriptor on.
            image[32_768 + at] = value;
        }
        let _ = read(&image);
    }
}
