mod fake;

use std::sync::atomic::{AtomicUsize, Ordering};

use farrier_plugin::{ErrorKind, ManagerError, Progress, SilentContext};
use serde_json::json;

use self::fake::{Fake, PARTS, Plan, TABLE};
use super::*;
use crate::block::raid_superblock::Metadata;
use crate::block::raid_superblock::tests::{Written, found, version_1};
use crate::block::signatures::Contents;
use crate::block::skip::SkipList;
use crate::sys::memory_medium::Fault;
use crate::sys::recording::Recording;

/// What parted and this agent make members of arrays on a GPT and on an MBR.
const LINUX: [&str; 2] = ["0fc63daf-8483-4772-8e79-3d69d8477de4", "0x83"];
const ESP: &str = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b";

/// A mirror that runs, another that does not, and beside them what was left of others.
fn used_machine() -> Plan {
    let mut plan = Plan::default();
    for disk in ["sda", "sdb"] {
        plan = plan.disk(disk, 2);
    }
    plan = plan.disk("sdc", 0).disk("sdd", 2).disk("sde", 2);
    plan.running("md0", "root", 1, &["sda1", "sdb1"])
        .member("sda2", Metadata::V1_0, "host7:data", 2)
        .member("sdb2", Metadata::V1_0, "host7:data", 2)
        .member("sdc", Metadata::V1_0, "old", 3)
        .member("sdc", Metadata::V1_1, "older", 4)
        .half_made("sdd", [LINUX[0]; 2])
}

/// Whether nothing is left on a disk that says what it was.
fn is_blank(machine: &Fake, disk: &str) -> bool {
    let content = machine.bytes(disk);
    let parts = PARTS.map(|(start, size)| {
        let part = content.get(start as usize..(start + size) as usize);
        part.unwrap_or_default()
    });
    machine.signatures(disk).unwrap().is_empty()
        && !content[512..].starts_with(TABLE)
        && found(&content, 512).is_empty()
        && parts.iter().all(|part| found(part, 512).is_empty())
}

#[test]
fn everything_of_arrays_goes_and_nothing_else() {
    let plan = used_machine();
    let (machine, outcome) = plan.delete();
    outcome.unwrap();
    for disk in ["sda", "sdb", "sdc", "sdd"] {
        assert!(is_blank(&machine, disk), "{disk}");
    }
    assert_eq!(*machine.gone.lock().unwrap(), ["md0"]);
    // What was in the array is not there for the next one to show.
    assert!(machine.signatures("md0").unwrap().is_empty());
    assert!(machine.media["sde"].log().is_empty());
    // The kernel knows of no partition of theirs any more.
    assert!(machine.root().exists("/sys/block/sde/sde1"));
    assert!(!machine.root().exists("/sys/block/sda/sda1"));
    // Once more is no error.
    plan.run(&machine, &SilentContext).unwrap();
}

#[test]
fn protected_arrays_stay_with_their_disks() {
    let mut plan = Plan::default();
    for disk in ["sda", "sdb", "sdc", "sdd"] {
        plan = plan.disk(disk, 2);
    }
    let plan = plan
        .running("md0", "root", 1, &["sda1", "sdb1"])
        // The one to keep does not even run.
        .member("sda2", Metadata::V1_2, "any:data", 2)
        .member("sdb2", Metadata::V1_2, "any:data", 2)
        .running("md1", "esp", 3, &["sdb2"])
        .running("md7", "root", 4, &["sdc1", "sdd1"])
        .member("sdb2", Metadata::V1_2, "any:data", 2)
        .skipping(json!([{"volume_name": "data"}]));
    let (machine, outcome) = plan.delete();
    outcome.unwrap();
    // Beside it only what was in the other array went.
    for disk in ["sda", "sdb"] {
        assert!(machine.media[disk].log().is_empty(), "{disk}");
    }
    assert!(machine.signatures("md0").unwrap().is_empty());
    for disk in ["sdc", "sdd"] {
        assert!(is_blank(&machine, disk), "{disk}");
    }
    assert_eq!(*machine.gone.lock().unwrap(), ["md7"]);
}

/// Disks of two servers were swapped, so that each has half of an array, and both arrays have one name.
#[test]
fn arrays_of_two_servers_with_one_name_are_two() {
    let plan = || {
        let plan = Plan::default().disk("sda", 2).disk("sdb", 2).disk("sdc", 2);
        plan.running("md126", "root", 1, &["sda1"])
            .running("md127", "root", 2, &["sdb1"])
            // One that could not be started.
            .member("sdc1", Metadata::V1_2, "web3:root", 3)
    };
    let (machine, outcome) = plan().delete();
    outcome.unwrap();
    for disk in ["sda", "sdb", "sdc"] {
        assert!(is_blank(&machine, disk), "{disk}");
    }
    assert_eq!(machine.gone.lock().unwrap().len(), 2);
    // A protected name is that of each of them.
    let (machine, outcome) = plan().skipping(json!([{"volume_name": "root"}])).delete();
    outcome.unwrap();
    for disk in ["sda", "sdb", "sdc"] {
        assert!(machine.media[disk].log().is_empty(), "{disk}");
    }
    assert!(machine.gone.lock().unwrap().is_empty());
}

#[test]
fn the_mirror_of_the_esp_of_a_protected_array_stays() {
    let plan = Plan::default()
        .disk("sda", 2)
        .running("md0", "data", 1, &["sda1"])
        .running("md1", "esp", 2, &["sda2"])
        .skipping(json!([{"volume_name": "data"}]));
    let (machine, outcome) = plan.delete();
    outcome.unwrap();
    assert!(machine.media.values().all(|medium| medium.log().is_empty()));
}

#[test]
fn an_array_on_a_disk_that_a_hint_protects_stays() {
    let plan = used_machine().skipping(json!([{"name": "/dev/sda"}]));
    let (machine, outcome) = plan.delete();
    outcome.unwrap();
    for disk in ["sda", "sdb", "md0"] {
        assert!(machine.media[disk].log().is_empty(), "{disk}");
    }
    assert!(is_blank(&machine, "sdc") && is_blank(&machine, "sdd"));
}

#[test]
fn what_is_in_use_is_refused_and_the_rest_goes() {
    let mounted = used_machine();
    let mounted = Plan {
        arrays: mounted.arrays.clone()
            + "/proc/self/mountinfo <<\n30 1 9:0 / /mnt rw - ext4 /dev/md0 rw\n.\n",
        ..mounted
    };
    let mut shared = used_machine();
    shared.shared = true;
    let gfs = Contents {
        kind: Some("gfs2".to_owned()),
        ..Contents::default()
    };
    shared.contents.insert("md0".to_owned(), gfs);
    let busy = Plan {
        busy: vec!["md0".to_owned()],
        ..used_machine()
    };
    for (plan, reason) in [
        (
            mounted,
            "/dev/md0: /dev/md0 is mounted at /mnt; unmount it first",
        ),
        (
            shared,
            "/dev/md0: /dev/md0 holds a file system that other machines may be using",
        ),
        (busy, "/dev/md0 could not be stopped: "),
    ] {
        let is_busy = !plan.busy.is_empty();
        let (machine, outcome) = plan.delete();
        let error = ManagerError::from(outcome.unwrap_err());
        assert_eq!(error.kind(), ErrorKind::SoftwareRaid);
        let text = error.chain();
        assert!(
            text.contains("Unable to clean all softraid correctly. Remaining [/dev/md0"),
            "{text}"
        );
        assert!(text.contains(reason), "{text}");
        assert!(is_blank(&machine, "sdc") && is_blank(&machine, "sdd"));
        for disk in ["sda", "sdb"] {
            let content = machine.bytes(disk);
            assert!(content[512..].starts_with(TABLE), "{disk}");
            let first = &content[PARTS[0].0 as usize..][..PARTS[0].1 as usize];
            assert_eq!(found(first, 512).len(), 1, "{disk}");
            assert!(is_busy || machine.media[disk].log().is_empty());
        }
    }
}

#[test]
fn nothing_is_touched_on_what_is_no_ramdisk() {
    let plan = used_machine();
    let machine = plan.machine();
    let deletion = Deletion {
        may_destroy: false,
        skipped: &plan.skipped,
        shared_file_systems: true,
    };
    let error = delete_from(&machine, &deletion, &SilentContext).unwrap_err();
    assert!(matches!(error, RaidError::NotInRamdisk));
    assert!(machine.media.values().all(|medium| medium.log().is_empty()));
}

#[test]
fn whatever_write_fails_it_is_told_and_the_next_clean_succeeds() {
    let plan = used_machine();
    let (machine, outcome) = plan.delete();
    outcome.unwrap();
    for disk in ["sda", "sdc", "sdd"] {
        let changes = machine.media[disk].log().len();
        assert!(changes > 3);
        for number in 0..changes {
            let broken = Plan {
                fault: Some((disk, Fault::Change(number, libc::EIO))),
                ..plan.clone()
            };
            let (machine, outcome) = broken.delete();
            let text = ManagerError::from(outcome.unwrap_err()).chain();
            assert!(text.contains(&format!("/dev/{disk}")), "{number}: {text}");
            let other = ["sda", "sdc"].into_iter().find(|other| *other != disk);
            assert!(is_blank(&machine, other.unwrap()), "{disk} {number}");

            // The machine as it starts again: the arrays are not assembled, the disk has been exchanged for one
            // that holds what this one held.
            let mut next = plan.clone();
            next.arrays.clear();
            for (name, content) in &mut next.disks {
                *content = machine.bytes(name);
            }
            let (machine, outcome) = next.delete();
            outcome.unwrap();
            for disk in ["sda", "sdb", "sdc"] {
                assert_eq!(found(&machine.bytes(disk), 512), [], "{disk} {number}");
            }
        }
    }
}

#[test]
fn a_superblock_that_comes_back_is_a_failure() {
    let at = PARTS[0].0 + 4096;
    let plan = Plan {
        fault: Some(("sda", Fault::Loses(at))),
        ..used_machine()
    };
    let text = ManagerError::from(plan.delete().1.unwrap_err()).chain();
    assert!(
        text.contains("the superblock on /dev/sda1 could not be removed: that of version 1.2 at byte 4096 is still"),
        "{text}"
    );
}

/// Cancelled after it was asked so often.
struct CancelledAfter(usize, AtomicUsize);

impl Context for CancelledAfter {
    fn report_progress(&self, _progress: Progress) {}

    fn is_cancelled(&self) -> bool {
        self.1.fetch_add(1, Ordering::SeqCst) >= self.0
    }
}

#[test]
fn a_cancel_ends_it_before_the_next_change() {
    let plan = used_machine();
    let mut was_cancelled = 0;
    for asked in 0.. {
        let context = CancelledAfter(asked, AtomicUsize::new(0));
        let machine = plan.machine();
        match plan.run(&machine, &context) {
            Ok(()) => break,
            Err(RaidError::DeletionCancelled) => was_cancelled += 1,
            Err(error) => panic!("{error}"),
        }
        if asked == 0 {
            assert!(machine.media.values().all(|medium| medium.log().is_empty()));
        }
    }
    assert!(was_cancelled > 5);
}

#[test]
fn a_disk_with_partitions_for_arrays_is_told_from_one_that_is_used() {
    let kept = |plan: &Plan| {
        let (machine, outcome) = plan.delete();
        outcome.unwrap();
        machine.media["sdd"].log().is_empty()
    };
    let plan = |types| Plan::default().disk("sdd", 2).half_made("sdd", types);
    for kind in LINUX {
        assert!(!kept(&plan([kind; 2])));
    }
    assert!(!kept(&plan([ESP, LINUX[0]])));
    // Nothing on it can be a member.
    assert!(kept(&plan([ESP; 2])));
    let mut used = plan([LINUX[0]; 2]);
    let ext4 = Contents {
        kind: Some("ext4".to_owned()),
        ..Contents::default()
    };
    used.contents.insert("sdd2".to_owned(), ext4);
    assert!(kept(&used));
    // Nothing says that the second was for an array: it can be encrypted, or a database's.
    let mut used = plan([LINUX[0]; 2]);
    let place = (PARTS[1].0 + member_mark::PLACE) as usize;
    let content = used.disks.get_mut("sdd").unwrap();
    content[place..place + member_mark::LENGTH].fill(0x5a);
    assert!(kept(&used));
    // So it is with zeros at both ends of all, and with the places that the reference chooses.
    for byte in [0, 0x5a] {
        let mut used = plan([LINUX[0]; 2]);
        for (start, size) in PARTS {
            used.disks.get_mut("sdd").unwrap()[start as usize..(start + size) as usize].fill(byte);
        }
        for starts in [1, 8, 551] {
            used.starts = Some(starts << 20);
            assert!(kept(&used), "{byte} {starts}");
        }
    }
    assert!(kept(
        &plan([LINUX[0]; 2]).skipping(json!([{"name": "/dev/sdd"}]))
    ));
}

/// After a power cut at any moment of a deletion the next one makes blank what this one would have.
#[test]
fn a_deletion_that_is_cut_off_at_any_moment_is_completed_by_the_next() {
    let linux = |count| Contents {
        partition_types: vec![LINUX[0].to_owned(); count],
        ..Contents::default()
    };
    for metadata in [Metadata::V1_0, Metadata::V1_1, Metadata::V1_2] {
        let mut plan = Plan::default()
            .disk("sda", 2)
            .member("sda1", metadata, "root", 1)
            .member("sda2", metadata, "data", 2);
        plan.contents.insert("sda".to_owned(), linux(2));
        let (machine, outcome) = plan.delete();
        outcome.unwrap();
        let mut moments = Vec::new();
        machine.media["sda"].replay(|_, content| moments.push(content.to_vec()));
        assert!(moments.len() > 6);
        for (number, content) in moments.into_iter().enumerate() {
            let mut next = plan.clone();
            next.disks.insert("sda", content);
            let (machine, outcome) = next.delete();
            outcome.unwrap();
            assert!(is_blank(&machine, "sda"), "{metadata} {number}");
        }
    }
}

#[test]
fn arrays_of_firmware_are_ended_too() {
    let mut were_unknown = 0;
    for case in Written::all() {
        let content = case.ends();
        let mut plan = Plan::default();
        plan.disks.insert("sda", content.clone());
        if case.block != 512 || found(&content, 512).is_empty() {
            continue;
        }
        let (machine, outcome) = plan.delete();
        outcome.unwrap();
        assert!(is_blank(&machine, "sda"), "{}", case.name);

        // One that can be protected by a name that is not known stays.
        let [superblock] = found(&content, 512).try_into().unwrap();
        if superblock.metadata.is_external() && superblock.name.is_none() {
            were_unknown += 1;
            let plan = plan.skipping(json!([{"volume_name": "data"}]));
            let (machine, outcome) = plan.delete();
            let text = ManagerError::from(outcome.unwrap_err()).chain();
            assert!(
                text.contains("the names of its volumes are not known"),
                "{text}"
            );
            assert!(machine.media["sda"].log().is_empty());
        }
    }
    assert!(were_unknown > 0);
}

#[test]
fn a_device_is_opened_searched_and_blanked_as_any_other() {
    let recording = Recording::unpack(
        "/sys/block/sda/dev = 8:0\n/sys/block/sda/size = 4096\n/dev/x/\n/proc/cmdline =",
    );
    let root = recording.root();
    let size = 2 << 20;
    let mut content = vec![0x5a; size as usize];
    for (metadata, array) in [(Metadata::V1_0, 1), (Metadata::V1_2, 2)] {
        let superblock = version_1(metadata, size, "any:root", [array; 16]);
        let at = metadata.offset(size).unwrap() as usize;
        content[at..at + superblock.len()].copy_from_slice(&superblock);
    }
    std::fs::write(root.path("/dev/sda"), content).unwrap();
    let skipped = SkipList::default();
    let deletion = Deletion {
        may_destroy: true,
        skipped: &skipped,
        shared_file_systems: true,
    };
    delete(&root, &deletion, &SilentContext).unwrap();
    let content = std::fs::read(root.path("/dev/sda")).unwrap();
    assert!(content.iter().all(|byte| *byte == 0));

    // A name that protects it keeps it, whichever of its superblocks says so.
    let superblock = version_1(Metadata::V1_0, size, "any:root", [1; 16]);
    let mut content = vec![0x5a; size as usize];
    let at = Metadata::V1_0.offset(size).unwrap() as usize;
    content[at..at + superblock.len()].copy_from_slice(&superblock);
    std::fs::write(root.path("/dev/sda"), &content).unwrap();
    let node = json!({"properties": {"skip_block_devices": [{"volume_name": "root"}]}});
    let skipped = SkipList::from_node(&serde_json::from_value(node).unwrap()).unwrap();
    let deletion = Deletion {
        skipped: &skipped,
        ..deletion
    };
    delete(&root, &deletion, &SilentContext).unwrap();
    assert!(std::fs::read(root.path("/dev/sda")).unwrap() == content);
}
