use farrier_plugin::ErrorKind;

use super::architecture::KNOWN;
use super::file_tree::{FileTree, Kind};
use super::memory_tree::{MemoryTree, program, program_for};
use super::*;
use crate::deploy::loaders;

mod distributions;

const ROOT: &str = "6a1c5d1e-0a2b-4c3d-8e4f-0123456789ab";

/// An image with a kernel and GRUB's menu, and these files.
fn image(files: &[(&str, &str)]) -> MemoryTree {
    let mut all = vec![
        ("/boot/vmlinuz-6.1.0-31-amd64", "kernel"),
        ("/boot/initrd.img-6.1.0-31-amd64", "initrd"),
        ("/etc/fstab", "LABEL=root / ext4 defaults 0 1\n"),
    ];
    all.extend(files);
    MemoryTree::of(&all)
}

/// Debian with the packages that sign its boot, before `grub-install` ever ran.
fn debian() -> MemoryTree {
    image(distributions::DEBIAN_PACKAGES)
}

fn deploy(image: &mut MemoryTree, esp: &mut MemoryTree) -> Result<(), ImageBootError> {
    deploy_for(image, esp, &KNOWN[0])
}

fn deploy_for(
    image: &mut MemoryTree,
    esp: &mut MemoryTree,
    architecture: &Architecture,
) -> Result<(), ImageBootError> {
    deploy_on(550 << 20, image, esp, architecture)
}

fn deploy_on(
    esp_size: u64,
    image: &mut MemoryTree,
    esp: &mut MemoryTree,
    architecture: &Architecture,
) -> Result<(), ImageBootError> {
    let deployment = deployment(esp_size);
    let prepared = deployment.prepare(image, architecture)?;
    // From here on the image is mounted to be read.
    image.changes_left = Some(0);
    let outcome = deployment.fill(image, esp, &prepared);
    image.changes_left = None;
    outcome
}

fn deployment(esp_size: u64) -> Deployment<'static> {
    Deployment {
        root: "/dev/sda2",
        root_uuid: ROOT,
        esp: "/dev/sda1",
        esp_size,
        esp_name: "UUID=1234-ABCD".to_owned(),
        esp_names: vec!["LABEL=efi-part".to_owned()],
    }
}

fn is_unfinished(esp: &MemoryTree) -> bool {
    esp.bytes(fill::UNFINISHED).is_some()
}

/// The loader that the first table names, with its label.
fn entry(esp: &MemoryTree) -> Option<(String, String)> {
    let table = esp
        .paths()
        .into_iter()
        .find(|path| path.to_lowercase().ends_with(".csv"))?;
    let line = loaders::parse_table(esp.bytes(&table)?)
        .into_iter()
        .next()?;
    let folder = table.rsplit_once('/')?.0.to_owned();
    Some((format!("{folder}/{}", line.file), line.label))
}

#[test]
fn loaders_are_written_last_and_a_cut_leaves_nothing_that_boots_half() {
    let mut image = debian();
    let mut whole = MemoryTree::fat();
    deploy(&mut image, &mut whole).unwrap();
    let removable = "/EFI/BOOT/BOOTX64.EFI";
    assert_eq!(whole.written.last().unwrap(), removable);
    let position = |path: &str| {
        let found = whole.written.iter().position(|written| written == path);
        found.unwrap_or_else(|| panic!("{path} of {:?}", whole.written))
    };
    let shim = position("/EFI/debian/shimx64.efi");
    assert!(position("/EFI/debian/grubx64.efi") < shim);
    assert!(position("/EFI/debian/grub.cfg") < shim);
    assert!(shim < position("/EFI/debian/BOOTX64.CSV"));

    for changes in 0..=whole.written.len() {
        let mut esp = MemoryTree::fat();
        esp.changes_left = Some(changes);
        let error = deploy(&mut debian(), &mut esp).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CommandExecution);
        esp.changes_left = None;
        // Nothing was written, or it is known to be half, even with the last loader in place.
        assert_eq!(is_unfinished(&esp), changes > 0);
        assert_eq!(
            esp.bytes(removable).is_some(),
            changes == whole.written.len()
        );
        deploy(&mut debian(), &mut esp).unwrap();
        assert!(!is_unfinished(&esp));
        assert_eq!(esp.paths(), whole.paths());
        for path in whole.paths() {
            assert_eq!(esp.bytes(&path), whole.bytes(&path), "{path}");
        }
    }
}

#[test]
fn a_second_call_changes_nothing() {
    let mut image = debian();
    let mut esp = MemoryTree::fat();
    deploy(&mut image, &mut esp).unwrap();
    let (first, changes) = (esp.clone(), image.written.len());
    deploy(&mut image, &mut esp).unwrap();
    assert_eq!(image.written.len(), changes);
    assert_eq!(esp.paths(), first.paths());
    let fstab = image.text("/etc/fstab").unwrap();
    assert_eq!(
        fstab,
        "LABEL=root / ext4 defaults 0 1\nUUID=1234-ABCD\t/boot/efi\tvfat\tumask=0077\t0\t1\n"
    );
}

#[test]
fn an_image_without_a_loader_is_told_what_to_add() {
    let other_machine = program_for(0xaa64, "grub for arm");
    let mut image = image(&[("/boot/efi/EFI/debian/grub.cfg", "x")]);
    image.put("/boot/efi/EFI/debian/grubaa64.efi", &other_machine);
    // The name of one machine's, the header of another's.
    image.put("/boot/efi/EFI/BOOT/BOOTX64.EFI", &other_machine);
    let mut esp = MemoryTree::fat();
    let error = deploy(&mut image, &mut esp).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidImage);
    let said = error.to_string();
    for part in [
        "x86_64",
        "/boot/efi/EFI",
        "/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed",
        "/usr/lib/modules/*/*.efi",
        "grub-efi-amd64-signed",
        "grub2-efi-x64",
    ] {
        assert!(said.contains(part), "{part} in {said}");
    }
    assert_eq!(esp.paths(), Vec::<String>::new());
    assert_eq!(image.written, Vec::<String>::new());
    deploy_for(&mut image, &mut esp, &KNOWN[1]).unwrap();
    assert_eq!(esp.bytes("/EFI/BOOT/BOOTAA64.EFI").unwrap(), other_machine);
}

#[test]
fn a_shim_without_grub_starts_nothing() {
    for files in [
        &[
            ("/boot/efi/EFI/BOOT/BOOTX64.EFI", "shim"),
            ("/boot/efi/EFI/BOOT/fbx64.efi", "fallback"),
            ("/boot/efi/EFI/fedora/shimx64.efi", "shim"),
        ][..],
        &[
            ("/boot/efi/EFI/BOOT/BOOTX64.EFI", "shim"),
            ("/boot/efi/EFI/debian/shimx64.efi", "shim"),
        ],
        &[("/usr/lib/shim/shimx64.efi.signed", "shim")],
    ] {
        let error = deploy(&mut image(files), &mut MemoryTree::fat()).unwrap_err();
        assert!(
            matches!(error, ImageBootError::ShimAlone { .. }),
            "{files:?}: {error}"
        );
        assert_eq!(error.kind(), ErrorKind::InvalidImage);
    }
}

#[test]
fn what_does_not_fit_is_an_error_with_sizes() {
    let mut image = debian();
    image.put("/boot/efi/EFI/debian/grubx64.efi", &program("grub"));
    image.put("/boot/efi/EFI/Linux/big.efi", &vec![0; 40 << 20]);
    let mut esp = MemoryTree::fat();
    let error = deploy_on(33 << 20, &mut image, &mut esp, &KNOWN[0]).unwrap_err();
    let said = error.to_string();
    assert!(said.contains("41 MiB") && said.contains("33 MiB"), "{said}");
    assert!(said.contains("/boot/efi/EFI"), "{said}");
    assert_eq!(esp.paths(), Vec::<String>::new());
    // A file system that is smaller than its partition, or has something else on it.
    esp.room = Some(20 << 20);
    let error = deploy(&mut image, &mut esp).unwrap_err();
    assert!(
        matches!(error, ImageBootError::EspTooSmall { .. }),
        "{error}"
    );
    assert!(is_unfinished(&esp));
    assert_eq!(esp.bytes("/EFI/BOOT/BOOTX64.EFI"), None);
}

#[test]
fn stubs_of_another_disk_are_replaced_and_own_ones_kept() {
    let stub = |uuid: &str| grub::Directory::Grub.stub(uuid);
    let other = stub("11111111-2222-3333-4444-555555555555");
    let own = format!("# kept\n{}", stub(ROOT));
    for (there, expected) in [(other.as_str(), stub(ROOT)), (own.as_str(), own.clone())] {
        let mut image = image(&[
            ("/boot/efi/EFI/debian/grubx64.efi", "grub"),
            ("/boot/efi/EFI/debian/grub.cfg", there),
            ("/boot/grub/grub.cfg", "menu"),
        ]);
        let mut esp = MemoryTree::fat();
        deploy(&mut image, &mut esp).unwrap();
        assert_eq!(esp.text("/EFI/debian/grub.cfg").unwrap(), expected);
    }
}

#[test]
fn tables_that_lead_nowhere_are_made_anew() {
    let mut image = image(&[
        ("/boot/efi/EFI/debian/grubx64.efi", "grub"),
        ("/boot/efi/EFI/debian/BOOTX64.CSV", "shimx64.efi,debian,,x"),
        ("/boot/efi/EFI/gone/BOOTX64.CSV", "shimx64.efi,gone,,x"),
    ]);
    let mut esp = MemoryTree::fat();
    deploy(&mut image, &mut esp).unwrap();
    assert_eq!(
        entry(&esp).unwrap(),
        ("/EFI/debian/grubx64.efi".to_owned(), "debian".to_owned())
    );
    assert_eq!(esp.bytes("/EFI/gone/BOOTX64.CSV"), None);
}

#[test]
fn links_stay_in_the_image() {
    // A link out of the image leads into it, or nowhere.
    let mut image = image(&[
        ("/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed", "grub"),
        (
            "/usr/lib/shim/shimx64.efi.signed",
            "->/etc/alternatives/shim",
        ),
        (
            "/etc/alternatives/shim",
            "->../../usr/lib/shim/shimx64.efi.signed.latest",
        ),
        ("/usr/lib/shim/shimx64.efi.signed.latest", "shim"),
        ("/boot/efi", "->/nowhere"),
        ("/efi", "->../../../efi"),
    ]);
    let mut esp = MemoryTree::fat();
    deploy(&mut image, &mut esp).unwrap();
    assert_eq!(esp.bytes("/EFI/BOOT/BOOTX64.EFI").unwrap(), program("shim"));
}

#[test]
fn a_fstab_that_is_none_does_not_keep_an_image_from_booting() {
    let mut image = debian();
    image.put("/etc/fstab", &vec![b'#'; 2 << 20]);
    let mut esp = MemoryTree::fat();
    deploy(&mut image, &mut esp).unwrap();
    assert_eq!(image.bytes("/etc/fstab").unwrap().len(), 2 << 20);
    assert_eq!(esp.kind("/EFI/BOOT").unwrap(), Some(Kind::Directory));
}

#[test]
fn directories_that_hold_themselves_are_searched_for_a_while_only() {
    let mut image = debian();
    for number in 0..60 {
        // With `expand`, as many paths as there are pairs; by links, as many as there are ways.
        image.link(&format!("/boot/efi/EFI/loop{number}"), ".");
        image.link(&format!("/usr/lib/efi/{number}"), ".");
    }
    let mut esp = MemoryTree::fat();
    deploy(&mut image, &mut esp).unwrap();
    assert_eq!(
        search::expand(&mut image, "/usr/lib/efi/*/*/EFI")
            .unwrap()
            .len(),
        256
    );
    assert_eq!(esp.bytes("/EFI/BOOT/BOOTX64.EFI").unwrap(), program("shim"));
}

#[test]
fn names_in_the_image_put_nothing_into_a_table() {
    let mut image = image(&[("/boot/efi/EFI/a,b,c/grubx64.efi", "grub")]);
    let mut esp = MemoryTree::fat();
    deploy(&mut image, &mut esp).unwrap();
    assert_eq!(
        entry(&esp).unwrap(),
        ("/EFI/a,b,c/grubx64.efi".to_owned(), "linux".to_owned())
    );
}
