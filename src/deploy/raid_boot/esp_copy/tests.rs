use super::*;
use crate::block::fat_writer::{self, Node};
use crate::deploy::image_boot::memory_tree::{MemoryTree, program, program_for};
use crate::sys::memory_medium::MemoryMedium;

const SIZE: u64 = 8 << 20;

/// A FAT with these files, each in the directory before it.
fn medium(files: &[(&str, Vec<u8>)]) -> MemoryMedium {
    fn nodes(files: &[(&str, Vec<u8>)]) -> Vec<Node<'static>> {
        let mut found: Vec<Node<'static>> = Vec::new();
        let mut folders: Vec<&str> = Vec::new();
        for (path, content) in files {
            match path.split_once('/') {
                None => found.push(Node::file((*path).to_owned(), content.clone())),
                Some((folder, _)) if folders.contains(&folder) => {}
                Some((folder, _)) => {
                    folders.push(folder);
                    let below: Vec<_> = files
                        .iter()
                        .filter_map(|(path, content)| {
                            let rest = path.strip_prefix(folder)?.strip_prefix('/')?;
                            Some((rest, content.clone()))
                        })
                        .collect();
                    found.push(Node::directory(folder.to_owned(), nodes(&below)));
                }
            }
        }
        found
    }
    let medium = MemoryMedium::of(vec![0; SIZE as usize], 512);
    fat_writer::write(&medium, 0, SIZE, "EFI", 7, &nodes(files)).unwrap();
    medium
}

/// A table, a shim with what it starts, and a kernel of several clusters.
fn debian() -> Vec<(&'static str, Vec<u8>)> {
    let kernel: Vec<u8> = (0..300_000_u32).map(|number| number as u8).collect();
    vec![
        ("EFI/debian/BOOTX64.CSV", b"shimx64.efi,debian,,".to_vec()),
        ("EFI/debian/shimx64.efi", program("shim")),
        ("EFI/debian/grubx64.efi", program("grub")),
        ("EFI/debian/mmx64.efi", program("keys")),
        ("EFI/debian/grub.cfg", b"search.fs_uuid".to_vec()),
        ("EFI/Linux/kernel.efi", kernel),
        ("empty.txt", Vec::new()),
    ]
}

fn loader(path: &str) -> Loader {
    Loader {
        label: Some("debian".to_owned()),
        path: path.to_owned(),
        arguments: String::new(),
    }
}

fn copied(files: &[(&str, Vec<u8>)], loader: &Loader) -> MemoryTree {
    let medium = medium(files);
    let fat = Fat::open(&medium, 0, SIZE).unwrap().unwrap();
    let mut tree = MemoryTree::fat();
    EspCopy::of(&fat, std::slice::from_ref(loader))
        .unwrap()
        .write(&mut tree)
        .unwrap();
    tree
}

#[test]
#[cfg(target_arch = "x86_64")]
fn every_file_is_copied_and_the_loader_is_at_the_removable_path() {
    let files = debian();
    let tree = copied(&files, &loader("\\EFI\\debian\\shimx64.efi"));
    for (path, content) in &files {
        assert_eq!(
            tree.bytes(&format!("/{path}")),
            Some(content.as_slice()),
            "{path}"
        );
    }
    assert_eq!(
        tree.bytes("/EFI/BOOT/BOOTX64.EFI"),
        Some(program("shim").as_slice())
    );
    assert_eq!(
        tree.bytes("/EFI/BOOT/grubx64.efi"),
        Some(program("grub").as_slice())
    );
    assert_eq!(
        tree.bytes("/EFI/BOOT/mmx64.efi"),
        Some(program("keys").as_slice())
    );
    assert_eq!(tree.paths().len(), files.len() + 3);
    let last: Vec<&String> = tree.written.iter().rev().take(2).collect();
    assert_eq!(last, ["/EFI/BOOT/BOOTX64.EFI", "/EFI/debian/BOOTX64.CSV"]);
}

#[test]
#[cfg(target_arch = "x86_64")]
fn a_removable_path_that_is_there_stays() {
    let mut files = debian();
    files.push(("EFI/Boot/bootx64.efi", program("own")));
    let tree = copied(&files, &loader("\\EFI\\debian\\shimx64.efi"));
    assert_eq!(
        tree.bytes("/EFI/Boot/bootx64.efi"),
        Some(program("own").as_slice())
    );
    assert_eq!(tree.paths().len(), files.len());
    assert_eq!(tree.written.last().unwrap(), "/EFI/Boot/bootx64.efi");
}

#[test]
#[cfg(target_arch = "x86_64")]
fn what_would_start_nothing_is_not_put_at_the_removable_path() {
    let foreign = [("EFI/a/shimaa64.efi", program_for(0xaa64, "shim"))];
    let tree = copied(&foreign, &loader("\\EFI\\a\\shimaa64.efi"));
    assert_eq!(tree.paths(), ["/EFI/a/shimaa64.efi"]);
    let told = Loader {
        arguments: "\\EFI\\Linux\\kernel.efi ".to_owned(),
        ..loader("\\EFI\\debian\\shimx64.efi")
    };
    assert_eq!(
        copied(&debian(), &told).bytes("/EFI/BOOT/BOOTX64.EFI"),
        None
    );
}

#[test]
fn a_power_cut_leaves_a_mark_and_a_second_call_a_whole() {
    let files = debian();
    let medium = medium(&files);
    let fat = Fat::open(&medium, 0, SIZE).unwrap().unwrap();
    let copy = EspCopy::of(&fat, &[loader("\\EFI\\debian\\shimx64.efi")]).unwrap();
    let mut whole = MemoryTree::fat();
    copy.write(&mut whole).unwrap();
    assert!(whole.bytes(UNFINISHED).is_none());
    let changes = whole.written.len() + 1;
    for count in 0..changes {
        let mut tree = MemoryTree::fat();
        tree.changes_left = Some(count);
        copy.write(&mut tree).unwrap_err();
        assert_eq!(tree.bytes(UNFINISHED).is_some(), count > 0, "{count}");
        tree.changes_left = None;
        copy.write(&mut tree).unwrap();
        assert_eq!(tree.paths(), whole.paths(), "{count}");
    }
}

#[test]
fn a_mark_of_an_earlier_call_is_no_file_of_the_image() {
    let files = [
        (UNFINISHED, b"x".to_vec()),
        ("EFI/BOOT/BOOTX64.EFI", program("own")),
    ];
    let tree = copied(&files, &loader("\\EFI\\BOOT\\BOOTX64.EFI"));
    assert_eq!(tree.paths(), ["/EFI/BOOT/BOOTX64.EFI"]);
}

#[test]
fn the_size_is_that_of_all_files() {
    let medium = medium(&[("a.txt", vec![1; 1000]), ("b/c.txt", vec![2; 5000])]);
    let fat = Fat::open(&medium, 0, SIZE).unwrap().unwrap();
    assert_eq!(EspCopy::of(&fat, &[]).unwrap().size(), 6000);
}
