use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use farrier_plugin::{ErrorKind, chain};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::sys::hex;

const VENDOR: &str = "8be4df61-93ca-11d2-aa0d-00e098032b8c";

/// Device paths of a server with two disks, a network card and a setup program.
const PATHS: [(u16, &str, &str); 6] = [
    // HD(1,GPT,…)/File(\EFI\debian\shimx64.efi)
    (
        0,
        "debian",
        "04012a00010000000008000000000000000010000000000\
         01e5d1c6a2b0a3d4c8e4f0123456789ab0202\
         040434005c004500460049005c00640065006200690061006e005c007300680069006d007800360034002e006500660069000000\
         7fff0400",
    ),
    // PciRoot(0x0)/Pci(0x3,0x0)/MAC(525400a0b0c0,1)
    (
        1,
        "UEFI PXEv4",
        "02010c00d041030a00000000010106000003\
         030b2500525400a0b0c00000000000000000000000000000000000000000000000000000017fff0400",
    ),
    // FvVol(…)/FvFile(…)
    (
        2,
        "UiApp",
        "04071400c9bdb87cebf8344faaea3ee4af6516a1040614001e5d1c6a2b0a3d4c8e4f0123456789ab7fff0400",
    ),
    // PciRoot(0x0)/Pci(0x3,0x0)/File(\GRUB.EFI)
    (
        3,
        "by its name",
        "02010c00d041030a00000000010106000003040418005c0047005200550042002e0045004600490000007fff0400",
    ),
    // PciRoot(0x0)/Pci(0x3,0x0)/Sata(2,65535,0)
    (
        0xa,
        "UEFI disk",
        "02010c00d041030a0000000001010600000303120a000200ffff00007fff0400",
    ),
    // HD(1,GPT,…)
    (
        0x1f,
        "UEFI OS",
        "04012a00010000000008000000000000000010000000000\
         01e5d1c6a2b0a3d4c8e4f0123456789ab02027fff0400",
    ),
];

/// A tree with that server's boot entries.
fn server() -> (tempfile::TempDir, Root) {
    let dir = tempfile::tempdir().unwrap();
    let directory = dir.path().join("sys/firmware/efi/efivars");
    fs::create_dir_all(&directory).unwrap();
    for (number, label, path) in PATHS {
        let path = hex::decode(path).unwrap();
        let mut value = vec![7, 0, 0, 0, 1, 0, 0, 0];
        value.extend((path.len() as u16).to_le_bytes());
        value.extend(label.encode_utf16().chain([0]).flat_map(u16::to_le_bytes));
        value.extend(path);
        fs::write(file(dir.path(), &format!("Boot{number:04X}")), value).unwrap();
    }
    let order = [7, 0, 0, 0, 0x1f, 0, 3, 0, 0, 0, 1, 0, 2, 0];
    fs::write(file(dir.path(), "BootOrder"), order).unwrap();
    fs::write(file(dir.path(), "Timeout"), [7, 0, 0, 0, 3, 0]).unwrap();
    let root = Root::at(dir.path());
    (dir, root)
}

fn file(tree: &Path, name: &str) -> PathBuf {
    tree.join(format!("sys/firmware/efi/efivars/{name}-{VENDOR}"))
}

/// The numbers of the entries that are left, and the order.
fn left(tree: &Path) -> (Vec<u16>, Option<Vec<u8>>) {
    let numbers = PATHS
        .iter()
        .map(|(number, ..)| *number)
        .filter(|number| file(tree, &format!("Boot{number:04X}")).exists())
        .collect();
    let order = fs::read(file(tree, "BootOrder")).ok();
    (numbers, order.map(|content| content[4..].to_vec()))
}

fn arguments(value: Value) -> StepArguments {
    let values = json!({"match_patterns": value});
    StepArguments {
        values: values.as_object().unwrap().clone(),
        large: Arc::default(),
    }
}

#[test]
fn entries_of_disks_and_of_loaders_go_by_default() {
    for arguments in [StepArguments::default(), arguments(Value::Null)] {
        let (dir, root) = server();
        clean_uefi_nvram(&arguments, &root).unwrap();
        let (numbers, order) = left(dir.path());
        assert_eq!(numbers, [1, 2, 0xa]);
        assert_eq!(order, Some(vec![1, 0, 2, 0]));
        assert!(file(dir.path(), "Timeout").exists());
    }
}

#[test]
fn patterns_are_searched_for_in_the_path_without_regard_to_case() {
    for (patterns, expected) in [
        (json!([]), &[0, 1, 2, 3, 0xa, 0x1f][..]),
        (json!(["MAC\\("]), &[0, 2, 3, 0xa, 0x1f]),
        (json!(["mac\\(525400a0b0c0,1\\)$"]), &[0, 2, 3, 0xa, 0x1f]),
        (json!(["^mac"]), &[0, 1, 2, 3, 0xa, 0x1f]),
        // The label is not looked at.
        (json!(["UiApp", "UEFI"]), &[0, 1, 2, 3, 0xa, 0x1f]),
        (json!(["grub", "\\\\efi\\\\DEBIAN"]), &[1, 2, 0xa, 0x1f]),
        (json!(["(?:sata|fvvol)\\(\\w"]), &[0, 1, 3, 0x1f]),
        (json!([""]), &[]),
    ] {
        let (dir, root) = server();
        clean_uefi_nvram(&arguments(patterns.clone()), &root).unwrap();
        let (numbers, order) = left(dir.path());
        assert_eq!(numbers, expected, "{patterns}");
        assert_eq!(order.is_none(), expected.is_empty(), "{patterns}");
    }
}

#[test]
fn what_is_no_list_of_patterns_is_refused_before_anything_is_removed() {
    let (dir, root) = server();
    let deep = "(".repeat(5000) + &")".repeat(5000);
    for value in [
        json!("^HD"),
        json!({"^HD": 1}),
        json!(false),
        json!(7),
        json!(["^HD", 7]),
        json!(["^HD", null]),
        json!(["^HD", "("]),
        json!(["(?=HD)"]),
        json!(["(HD)\\1"]),
        json!(["^HD", deep]),
        json!(["(?:(?:a{1000}){1000}){1000}"]),
    ] {
        let error = clean_uefi_nvram(&arguments(value.clone()), &root).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidCommandParams, "{value}");
        let expected = format!("The match_patterns must be a list of strings: {value}");
        assert!(error.to_string().starts_with(&expected), "{error}");
    }
    assert_eq!(left(dir.path()).0.len(), PATHS.len());
}

#[test]
fn a_machine_that_was_not_booted_by_uefi_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let error = clean_uefi_nvram(&StepArguments::default(), &Root::at(dir.path())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CommandExecution);
    assert!(error.to_string().contains("not booted by UEFI"), "{error}");
    // What is wrong in any case is told first.
    let error = clean_uefi_nvram(&arguments(json!(1)), &Root::at(dir.path())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidCommandParams);
}

#[test]
fn entries_that_cannot_be_removed_are_all_named() {
    let (dir, root) = server();
    // A file's name that is a directory's stands for firmware that refuses.
    for number in ["Boot0003", "Boot001F"] {
        let path = file(dir.path(), number);
        fs::remove_file(&path).unwrap();
        fs::create_dir_all(path.join("in use")).unwrap();
    }
    let error = clean_uefi_nvram(&StepArguments::default(), &root).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CommandExecution);
    let text = chain(&error);
    for named in ["(1 were)", "Boot0003", "Boot001F"] {
        assert!(text.contains(named), "{text}");
    }
    assert!(!file(dir.path(), "Boot0000").exists());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn any_pattern_is_taken_or_refused(pattern in ".{0,40}") {
        let (dir, root) = server();
        let outcome = clean_uefi_nvram(&arguments(json!([pattern])), &root);
        if let Err(error) = outcome {
            prop_assert_eq!(error.kind(), ErrorKind::InvalidCommandParams);
            prop_assert_eq!(left(dir.path()).0.len(), PATHS.len());
        }
    }
}
