use std::fs;
use std::path::PathBuf;

use farrier_plugin::{BlockDevice, ManagerError, Progress, SilentContext};

use super::*;
use crate::block::list;
use crate::block::raid_superblock::Metadata;
use crate::block::raid_superblock::tests::laid_out;
use crate::erase::record::EraseRecord;
use crate::erase::step::running::{Aim, EraseStep, Order};
use crate::sys::block_device::Disk;
use crate::sys::process::Program;
use crate::sys::recording::Recording;

const MIB: u64 = 1 << 20;
const DISK: u64 = 32 * MIB;
/// Members of two arrays, and one of none.
const PARTITIONS: [Range<u64>; 3] = [3 * MIB..12 * MIB, 14 * MIB..24 * MIB, 25 * MIB..28 * MIB];
/// What the arrays use of them: one behind its superblock, one of version 1.0 before it.
const DATA: [Range<u64>; 2] = [MIB..8 * MIB, 0..9 * MIB];

/// A disk full of old data, in a recorded tree: with a table, and two arrays on it that run.
struct Machine(Recording);

impl Machine {
    fn new() -> Self {
        let machine = Self(Recording::unpack(&format!(
            "/proc/self/mountinfo =\n/dev/sda =\n/sys/block/sda/dev = 8:0\n/sys/block/sda/ro = 0\n\
             /sys/block/sda/size = {}",
            DISK / 512
        )));
        fs::write(machine.path("dev/sda"), vec![b'Z'; DISK as usize]).unwrap();
        let mut table = Program::new("/usr/sbin/sgdisk").arg("--clear");
        for (index, place) in PARTITIONS.iter().enumerate() {
            let number = index + 1;
            let sysfs = format!("/sys/block/sda/sda{number}");
            let (first, last) = (place.start / 512, place.end / 512 - 1);
            machine.0.add(&format!(
                "{sysfs}/partition = {number}\n{sysfs}/dev = 8:{number}\n{sysfs}/start = {first}\n\
                 {sysfs}/size = {}\n\
                 /sys/class/block/sda{number} -> ../../block/sda/sda{number}",
                last - first + 1
            ));
            table = table.arg(format!("-n{number}:{first}:{last}"));
        }
        table
            .arg(machine.path("dev/sda").to_string_lossy())
            .run()
            .unwrap();
        let disk = machine.disk();
        for (number, kind) in [(0, Metadata::V1_2), (1, Metadata::V1_0)] {
            let place = &PARTITIONS[number];
            let size = place.end - place.start;
            let superblock = laid_out(kind, size, &DATA[number]);
            disk.write_at(place.start + kind.offset(size).unwrap(), &superblock)
                .unwrap();
            let sysfs = format!("/sys/block/md{number}");
            let part = format!("sda{}", number + 1);
            machine.0.add(&format!(
                "{sysfs}/dev = 9:{number}\n{sysfs}/size = 2048\n{sysfs}/slaves/{part} =\n\
                 {sysfs}/md/level = raid1\n{sysfs}/md/metadata_version = {kind}\n\
                 {sysfs}/md/array_state = clean\n{sysfs}/md/dev-{part}/state = in_sync\n\
                 {sysfs}/md/dev-{part}/offset = {}",
                DATA[number].start / 512
            ));
        }
        machine
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.root().path("/").join(path)
    }

    fn put(&self, path: &str, content: &str) {
        self.0.add(&format!("/{path} = {content}"));
    }

    fn disk(&self) -> Disk {
        Disk::open_exclusive(self.path("dev/sda")).unwrap()
    }

    fn content(&self) -> Vec<u8> {
        fs::read(self.path("dev/sda")).unwrap()
    }

    fn begin(&self, aim: Aim) -> Result<EraseStep, ManagerError> {
        let mut order = Order::of_tests(self.0.root(), aim);
        order.policy.keep_arrays = true;
        order.policy.keep_idle_members = true;
        let devices = || -> Vec<BlockDevice> {
            let devices = list::list_block_devices(&order.root.clone(), false).unwrap();
            let is_disk = |device: &BlockDevice| device.name == "/dev/sda";
            devices.into_iter().filter(is_disk).collect()
        };
        let found = devices();
        EraseStep::begin(order, |_| Ok(found.clone()), &SilentContext)
    }

    fn erased(&self) -> (EraseRecord, Result<(), ManagerError>) {
        let step = self.begin(Aim::Data).unwrap();
        step.turn(&step.devices()[0], &SilentContext)
    }
}

#[test]
fn all_of_a_disk_but_its_table_and_what_the_arrays_use_is_overwritten() {
    let machine = Machine::new();
    let before = machine.content();
    let (record, outcome) = machine.erased();
    outcome.unwrap();
    let json = record.to_json();
    assert_eq!(
        (&json["result"], &json["category"]),
        (&"erased".into(), &"none".into())
    );
    assert_eq!(
        json["methods"][0]["method"],
        "overwrite beside arrays that stay with 1 pass(es) of random data and one of zeros"
    );
    let kept: Vec<(Range<usize>, String)> = json["verification"]["kept"]
        .as_array()
        .unwrap()
        .iter()
        .map(|kept| {
            let number = |name: &str| kept[name].as_u64().unwrap() as usize;
            let start = number("offset");
            (
                start..start + number("length"),
                kept["what"].as_str().unwrap().to_owned(),
            )
        })
        .collect();
    let whats: Vec<&str> = kept.iter().map(|(_, what)| what.as_str()).collect();
    assert_eq!(
        whats,
        [
            "partition table",
            "partition table",
            "notes of /dev/md0",
            "data of /dev/md0",
            "data of /dev/md1",
            "notes of /dev/md1",
            "partition table",
        ]
    );
    let after = machine.content();
    for (offset, (before, after)) in before.iter().zip(&after).enumerate() {
        let stays = kept.iter().any(|(place, _)| place.contains(&offset));
        assert_eq!(*after, if stays { *before } else { 0 }, "byte {offset}");
    }
    // Little is kept: what the arrays' data does not take comes to less than 128 KiB.
    let of_arrays = DATA.iter().map(|data| data.end - data.start).sum::<u64>() as usize;
    let all = kept.iter().map(|(place, _)| place.len()).sum::<usize>();
    assert!(all - of_arrays < 128 << 10, "{all}");
    // The samples are told by their places on the disk.
    for sample in json["verification"]["samples"].as_array().unwrap() {
        let offset = sample["offset"].as_u64().unwrap() as usize;
        let end = offset + sample["length"].as_u64().unwrap() as usize;
        assert!(
            !kept
                .iter()
                .any(|(place, _)| place.start < end && offset < place.end)
        );
    }
    // Partitions and superblocks are found as before.
    machine.erased().1.unwrap();
}

#[test]
fn a_disk_whose_arrays_cannot_be_told_is_a_failure_and_stays_as_it_is() {
    type Change = fn(&Machine);
    let changes: [(Change, &str); 9] = [
        (
            |m| m.put("sys/block/md0/size", "0"),
            "/dev/md0, which the node's raid_config counts on",
        ),
        (
            |m| m.put("sys/block/md0/md/array_state", "inactive"),
            "/dev/sda1 is a member of /dev/md0, which the node's raid_config counts on",
        ),
        (
            |m| m.put("sys/block/md0/md/dev-sda1/state", "spare"),
            "/dev/sda1 is in /dev/md0 as spare",
        ),
        (
            |m| {
                m.put("sys/block/md0/md/dev-sda1/state", "spare");
                m.put("sys/block/md0/md/dev-sda1/slot", "none");
                m.put("sys/block/md0/md/sync_action", "recover");
            },
            "/dev/sda1 is in /dev/md0 as spare",
        ),
        (
            |m| m.put("sys/block/md1/md/dev-sda2/state", "faulty,in_sync"),
            "/dev/sda2 is in /dev/md1 as faulty",
        ),
        (
            |m| m.put("sys/block/md0/md/dev-sda1/offset", "1024"),
            "the kernel knows nothing",
        ),
        (
            |m| m.put("sys/block/md0/md/metadata_version", "external:imsm"),
            "metadata of firmware",
        ),
        (
            |m| m.put("sys/block/sda/sda1/start", "2048"),
            "/dev/sda1 is not where",
        ),
        (
            |m| {
                let disk = m.disk();
                let place = PARTITIONS[1].end - 8192 + 16;
                disk.write_at(place, b"another").unwrap();
            },
            "/dev/sda2 has no superblock that can be read",
        ),
    ];
    for (change, told) in changes {
        let machine = Machine::new();
        change(&machine);
        let before = machine.content();
        let (record, outcome) = machine.erased();
        let error = outcome.expect_err(told).chain();
        assert!(error.contains(told), "{error}");
        assert!(error.contains("delete_configuration"), "{error}");
        assert_eq!(record.to_json()["result"], "failed");
        assert!(machine.content() == before, "{told}");
    }
}

/// A context that changes the machine when it hears of progress: while the disk is overwritten.
struct Meanwhile<'a>(&'a Machine, fn(&Machine));

impl Context for Meanwhile<'_> {
    fn report_progress(&self, _progress: Progress) {
        self.1(self.0);
    }

    fn is_cancelled(&self) -> bool {
        false
    }
}

#[test]
fn arrays_that_change_meanwhile_are_a_failure() {
    type Change = fn(&Machine);
    let changes: [Change; 2] = [
        |machine| fs::remove_dir_all(machine.path("sys/block/md1")).unwrap_or_default(),
        |machine| machine.put("sys/block/md0/md/dev-sda1/state", "faulty"),
    ];
    for change in changes {
        let machine = Machine::new();
        let step = machine.begin(Aim::Data).unwrap();
        let (record, outcome) = step.turn(&step.devices()[0], &Meanwhile(&machine, change));
        let error = outcome.unwrap_err().chain();
        assert!(
            error.contains("/dev/sda is not erased beside the arrays"),
            "{error}"
        );
        assert_eq!(record.to_json()["result"], "failed");
    }
}

#[test]
fn a_member_that_is_being_filled_gets_what_the_array_does() {
    let machine = Machine::new();
    machine.put("sys/block/md0/md/dev-sda1/state", "spare");
    machine.put("sys/block/md0/md/dev-sda1/slot", "1");
    machine.put("sys/block/md0/md/sync_action", "recover");
    machine.erased().1.unwrap();
}

#[test]
fn a_step_about_metadata_leaves_the_disk_to_its_arrays() {
    let machine = Machine::new();
    let before = machine.content();
    for aim in [Aim::Metadata, Aim::Express] {
        let step = machine.begin(aim).unwrap();
        let (record, outcome) = step.turn(&step.devices()[0], &SilentContext);
        outcome.unwrap();
        assert_eq!(record.to_json()["result"], "skipped");
    }
    assert!(machine.content() == before);
    // An array that does not run is not blanked by anyone, which is told in any case.
    machine.put("sys/block/md0/size", "0");
    let step = machine.begin(Aim::Metadata).unwrap();
    let (_, outcome) = step.turn(&step.devices()[0], &SilentContext);
    assert!(outcome.unwrap_err().chain().contains("/dev/md0"));
}
