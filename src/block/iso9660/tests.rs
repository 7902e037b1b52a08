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
