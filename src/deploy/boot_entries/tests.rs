use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::deploy::boot_entry::{BootPartition, Signature};

/// A firmware's memory, with its faults.
#[derive(Clone, Default)]
struct Firmware(Rc<RefCell<Memory>>);

#[derive(Default)]
struct Memory {
    variables: BTreeMap<String, Vec<u8>>,
    /// Bytes of values that it takes in all.
    room: Option<usize>,
    /// Names that it says it has kept, and has not.
    drops: Vec<&'static str>,
    /// Names that it lets nobody write or remove.
    locked: Vec<&'static str>,
    /// Every name that was written or removed, in order.
    changes: Vec<String>,
}

impl Variables for Firmware {
    fn names(&self) -> Result<Vec<String>, EfiError> {
        Ok(self.0.borrow().variables.keys().cloned().collect())
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, EfiError> {
        Ok(self.0.borrow().variables.get(name).cloned())
    }

    fn write(&self, name: &str, value: &[u8]) -> Result<(), EfiError> {
        let mut memory = self.0.borrow_mut();
        memory.changes.push(name.to_owned());
        let others: usize = memory
            .variables
            .iter()
            .filter(|(other, _)| *other != name)
            .map(|(_, value)| value.len())
            .sum();
        let answer = if memory.locked.contains(&name) {
            libc::EROFS
        } else if memory.room.is_some_and(|room| others + value.len() > room) {
            libc::ENOSPC
        } else {
            if memory.drops.contains(&name) {
                return Ok(());
            }
            memory.variables.insert(name.to_owned(), value.to_vec());
            drop(memory);
            if name == ORDER {
                self.check();
            }
            return Ok(());
        };
        Err(EfiError::of(
            "write",
            name,
            io::Error::from_raw_os_error(answer),
        ))
    }

    fn remove(&self, name: &str) -> Result<(), EfiError> {
        let mut memory = self.0.borrow_mut();
        memory.changes.push(format!("-{name}"));
        if memory.locked.contains(&name) {
            let answer = io::Error::from_raw_os_error(libc::EROFS);
            return Err(EfiError::of("remove", name, answer));
        }
        memory.variables.remove(name);
        Ok(())
    }
}

impl Firmware {
    /// With these entries, and this order.
    fn with(entries: &[(u16, &str)], order: &[u16]) -> Self {
        let firmware = Self::default();
        {
            let mut memory = firmware.0.borrow_mut();
            for (number, label) in entries {
                memory
                    .variables
                    .insert(name(*number), entry(label, "\\EFI\\old.efi").encode());
            }
            let order = order.iter().flat_map(|number| number.to_le_bytes());
            memory.variables.insert(ORDER.to_owned(), order.collect());
        }
        firmware
    }

    fn entries(&self) -> BootEntries {
        BootEntries(Box::new(self.clone()))
    }

    fn content(&self) -> BTreeMap<String, Vec<u8>> {
        self.0.borrow().variables.clone()
    }

    /// What is booted first is there.
    fn check(&self) {
        let memory = self.0.borrow();
        let order = numbers_in(memory.variables.get(ORDER).map_or(&[], Vec::as_slice));
        if let Some(first) = order.first() {
            assert!(memory.variables.contains_key(&name(*first)), "{order:?}");
        }
    }
}

fn entry(label: &str, path: &str) -> BootEntry {
    BootEntry {
        label: label.to_owned(),
        path: path.to_owned(),
        arguments: String::new(),
        partition: BootPartition {
            number: 1,
            first: 2048,
            count: 1_048_576,
            signature: Signature::Gpt(Uuid::from_u128(0x6a1c_5d1e)),
        },
    }
}

fn debian() -> BootEntry {
    entry("debian", "\\EFI\\debian\\shimx64.efi")
}

#[test]
fn the_new_entry_is_first_and_replaces_its_namesakes() {
    let firmware = Firmware::with(
        &[
            (0, "UiApp"),
            (1, "debian"),
            (2, "PXE"),
            (0x1a, "debian"),
            (4, "debian 12"),
        ],
        &[0, 0x1a, 1, 2, 4],
    );
    let entries = firmware.entries();
    entries.0.write("BootOptionSupport", &[0; 4]).unwrap();
    assert_eq!(entries.put_first(&debian()).unwrap(), 3);
    assert_eq!(entries.numbers().unwrap(), [0, 2, 3, 4]);
    assert_eq!(entries.order().unwrap(), [3, 0, 2, 4]);
    assert_eq!(entries.0.read("Boot0003").unwrap(), Some(debian().encode()));

    let other = entry("ironic1", "\\EFI\\BOOT\\BOOTX64.EFI");
    assert_eq!(entries.put_first(&other).unwrap(), 1);
    assert_eq!(entries.order().unwrap(), [1, 3, 0, 2, 4]);
}

#[test]
fn the_same_entry_again_is_not_written_again() {
    let firmware = Firmware::with(&[(0, "UiApp"), (7, "debian")], &[0, 7]);
    let entries = firmware.entries();
    entries.0.write("Boot0005", &debian().encode()).unwrap();
    firmware.0.borrow_mut().changes.clear();
    assert_eq!(entries.put_first(&debian()).unwrap(), 5);
    assert_eq!(firmware.0.borrow().changes, [ORDER, "-Boot0007"]);
    assert_eq!(entries.order().unwrap(), [5, 0]);
}

#[test]
fn a_firmware_without_an_order_gets_one_that_leads_to_entries_alone() {
    let firmware = Firmware::default();
    assert_eq!(firmware.entries().put_first(&debian()).unwrap(), 0);
    assert_eq!(firmware.entries().order().unwrap(), [0]);
    // 9 is no entry, and 0 was not one before.
    let firmware = Firmware::with(&[(2, "PXE")], &[0, 9, 2]);
    assert_eq!(firmware.entries().put_first(&debian()).unwrap(), 0);
    assert_eq!(firmware.entries().order().unwrap(), [0, 2]);
}

#[test]
fn a_memory_that_is_full_loses_nothing() {
    let firmware = Firmware::with(&[(0, "UiApp"), (1, "PXE")], &[1, 0]);
    let before = firmware.content();
    firmware.0.borrow_mut().room = Some(before.values().map(Vec::len).sum::<usize>() + 100);
    let error = firmware.entries().put_first(&debian()).unwrap_err();
    assert!(
        chain(&error).contains("storage is full"),
        "{}",
        chain(&error)
    );
    assert!(chain(&error).contains("clean_uefi_nvram"));
    assert_eq!(firmware.content(), before);

    // The entry has room, the order that grows has not.
    let room = before.values().map(Vec::len).sum::<usize>() + debian().encode().len() + 1;
    firmware.0.borrow_mut().room = Some(room);
    let error = firmware.entries().put_first(&debian()).unwrap_err();
    assert!(chain(&error).contains("BootOrder"), "{}", chain(&error));
    assert_eq!(firmware.content(), before);
}

#[test]
fn a_memory_that_is_full_takes_the_entry_in_place_of_its_namesake() {
    let firmware = Firmware::with(&[(0, "UiApp"), (1, "debian"), (2, "debian")], &[0, 1, 2]);
    let used: usize = firmware.content().values().map(Vec::len).sum();
    firmware.0.borrow_mut().room = Some(used + 40);
    let entries = firmware.entries();
    assert_eq!(entries.put_first(&debian()).unwrap(), 1);
    assert_eq!(entries.order().unwrap(), [1, 0]);
    assert_eq!(entries.0.read("Boot0001").unwrap(), Some(debian().encode()));
    assert_eq!(entries.0.read("Boot0002").unwrap(), None);
}

#[test]
fn an_entry_or_an_order_that_the_firmware_drops_is_an_error() {
    for dropped in ["Boot0002", ORDER] {
        let firmware = Firmware::with(&[(0, "UiApp"), (1, "debian")], &[0, 1]);
        firmware.0.borrow_mut().drops = vec![dropped];
        let error = firmware.entries().put_first(&debian()).unwrap_err();
        assert!(
            matches!(error, DeployError::BootEntryLost { .. }),
            "{error}"
        );
        assert!(error.to_string().contains("Boot0002"), "{error}");
        // What booted before does so still.
        assert!(firmware.content().contains_key("Boot0001"));
        assert_eq!(firmware.entries().order().unwrap(), [0, 1]);
    }
}

#[test]
fn a_namesake_that_stays_is_in_no_order() {
    let firmware = Firmware::with(&[(0, "UiApp"), (1, "debian")], &[0, 1]);
    firmware.0.borrow_mut().locked = vec!["Boot0001"];
    assert_eq!(firmware.entries().put_first(&debian()).unwrap(), 2);
    assert_eq!(firmware.entries().order().unwrap(), [2, 0]);
}

#[test]
fn matching_entries_go_from_list_order_and_next_boot() {
    let firmware = Firmware::with(&[(0, "UiApp"), (1, "a"), (2, "b"), (0xff, "c")], &[2, 0, 1]);
    let entries = firmware.entries();
    entries
        .0
        .write("Boot0000", &[1, 0, 0, 0, 0, 0, 0, 0])
        .unwrap();
    entries.0.write(NEXT, &[0xff, 0]).unwrap();
    entries
        .remove_matching(|path| path.starts_with("HD(1,GPT,") && path.ends_with("\\old.efi)"))
        .unwrap();
    assert_eq!(entries.numbers().unwrap(), [0]);
    assert_eq!(entries.order().unwrap(), [0]);
    assert_eq!(entries.0.read(NEXT).unwrap(), None);
    // None is left: a firmware has no empty variables.
    entries.remove_matching(|_| true).unwrap();
    assert_eq!(entries.0.names().unwrap(), [] as [&str; 0]);
}

#[test]
fn what_does_not_match_is_not_written() {
    let firmware = Firmware::with(&[(0, "UiApp"), (1, "a")], &[1, 0, 7]);
    firmware.entries().remove_matching(|_| false).unwrap();
    assert_eq!(firmware.0.borrow().changes, [] as [&str; 0]);
}

#[test]
fn entries_that_cannot_be_removed_are_all_told() {
    let firmware = Firmware::with(&[(0, "a"), (1, "b"), (2, "c"), (3, "d")], &[3, 2, 1, 0]);
    firmware.0.borrow_mut().locked = vec!["Boot0001", "Boot0003"];
    let error = firmware.entries().remove_matching(|_| true).unwrap_err();
    let text = error.to_string();
    for named in ["(2 were)", "Boot0001: the", "Boot0003: the", "read only"] {
        assert!(text.contains(named), "{text}");
    }
    assert_eq!(firmware.entries().numbers().unwrap(), [1, 3]);
    assert_eq!(firmware.entries().order().unwrap(), [3, 1]);
}

const LABELS: [&str; 3] = ["debian", "PXE", "UiApp"];
const NAMES: [&str; 6] = [
    "Boot0000", "Boot0001", "Boot0002", "Boot0003", "Boot0004", ORDER,
];

proptest! {
    /// Whatever is there, and whatever the firmware refuses or drops: a deploy that succeeds boots its entry first, and
    /// one that fails has taken nothing from anybody.
    #[test]
    fn nothing_is_lost_whatever_the_firmware_does(
        present in prop::collection::btree_map(0_u16..5, 0_usize..3, 0..5),
        order in prop::collection::vec(0_u16..7, 0..6),
        room in prop::option::of(0_usize..300),
        locked in prop::sample::subsequence(&NAMES[..], 0..3),
        drops in prop::sample::subsequence(&NAMES[..], 0..3),
    ) {
        let entries: Vec<(u16, &str)> =
            present.iter().map(|(number, label)| (*number, LABELS[*label])).collect();
        let firmware = Firmware::with(&entries, &order);
        let before = firmware.content();
        {
            let mut memory = firmware.0.borrow_mut();
            let used: usize = before.values().map(Vec::len).sum();
            memory.room = room.map(|room| used + room);
            memory.locked = locked;
            memory.drops = drops;
        }
        let outcome = firmware.entries().put_first(&debian());
        let after = firmware.content();
        for (number, label) in entries {
            if label != "debian" || outcome.is_err() {
                prop_assert!(after.contains_key(&name(number)), "{number}");
            }
            if label != "debian" {
                prop_assert_eq!(&after[&name(number)], &before[&name(number)]);
            }
        }
        match outcome {
            Ok(number) => {
                prop_assert_eq!(&after[&name(number)], &debian().encode());
                let listed = firmware.entries().order().unwrap();
                prop_assert_eq!(listed[0], number);
                for listed in &listed {
                    prop_assert!(after.contains_key(&name(*listed)), "{listed}");
                }
            }
            Err(DeployError::BootEntryLost { .. }) => {}
            Err(_) => prop_assert_eq!(&after[ORDER], &before[ORDER]),
        }
    }
}
