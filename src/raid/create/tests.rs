//! A model of disks, kernel and mdadm, in which everything can fail at every moment.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;

use super::*;
use crate::block::boot_mode::DiskLabel;
use crate::block::gpt::{Gpt, LINUX_FILE_SYSTEM};
use crate::block::mbr::Mbr;
use crate::block::rescan::partition_name;
use crate::block::superblocks;
use crate::raid::config::Size;
use crate::raid::layout::Place;
use crate::raid::level::RaidLevel;
use crate::sys::memory_medium::{Fault, MemoryMedium};

const MIB: u64 = 1 << 20;
/// Bytes of each disk: it is filled hundreds of times.
const SIZE: u64 = 6 * MIB;
const NAMES: [&str; 2] = ["/dev/sda", "/dev/nvme0n1"];

/// In the place of a superblock.
const MARK: &[u8; 8] = b"made it!";
const SUPERBLOCK: u64 = 4096;

struct Model {
    disks: BTreeMap<&'static str, MemoryMedium>,
    /// The call that fails, and how many there were.
    fails_at: Option<usize>,
    /// The disk on which the kernel finds a table of another kind.
    shown: Option<&'static str>,
    /// Whether arrays have all numbers that there are.
    is_full: bool,
    calls: Cell<usize>,
    made: RefCell<Vec<(String, Vec<String>)>>,
}

impl Model {
    fn of(contents: [Vec<u8>; 2]) -> Self {
        let disks = NAMES.into_iter().zip(contents);
        Self {
            disks: disks
                .map(|(name, content)| (name, MemoryMedium::of(content, 512)))
                .collect(),
            fails_at: None,
            shown: None,
            is_full: false,
            calls: Cell::new(0),
            made: RefCell::default(),
        }
    }

    fn used() -> Self {
        let used = || MemoryMedium::used(SIZE as usize).content();
        Self::of([used(), used()])
    }

    fn contents(&self) -> [Vec<u8>; 2] {
        NAMES.map(|name| self.disks[name].content())
    }

    /// Whether this call is the one that fails.
    fn call(&self) -> Result<(), io::Error> {
        let number = self.calls.get();
        self.calls.set(number + 1);
        match self.fails_at == Some(number) {
            true => Err(io::Error::from_raw_os_error(libc::EIO)),
            false => Ok(()),
        }
    }

    /// What `delete_configuration` does: superblocks go, and the tables of the disks that had some.
    fn delete(&self) {
        for medium in self.disks.values() {
            let Ok(table) = Table::read(medium) else {
                continue;
            };
            let mut had_some = false;
            for partition in table.partitions() {
                let mut mark = [0; MARK.len()];
                medium
                    .read_at(partition.offset + SUPERBLOCK, &mut mark)
                    .unwrap();
                if mark == *MARK {
                    had_some = true;
                    medium
                        .zero_range(partition.offset + SUPERBLOCK, 4096)
                        .unwrap();
                }
            }
            if had_some {
                for range in superblocks::ends(medium.size()) {
                    medium
                        .zero_range(range.start, range.end - range.start)
                        .unwrap();
                }
            }
        }
    }
}

struct ModelDisk<'a> {
    model: &'a Model,
    medium: &'a MemoryMedium,
    name: &'a str,
}

fn failure(path: &str, source: io::Error) -> DiskError {
    DiskError::Partitions {
        path: path.into(),
        source,
    }
}

impl OpenDisk for ModelDisk<'_> {
    fn medium(&self) -> &dyn Medium {
        self.medium
    }

    fn shows_partitions(&self) -> bool {
        self.model.shown == Some(self.name)
    }

    fn take(&self, _table: &Table) -> Result<(), DiskError> {
        self.model
            .call()
            .map_err(|source| failure(self.name, source))
    }
}

impl Machine for Model {
    fn open(&self, device: &str) -> Result<Box<dyn OpenDisk + '_>, RaidError> {
        let (name, medium) = self.disks.get_key_value(device).unwrap();
        self.call().map_err(|source| RaidError::Disk {
            device: device.to_owned(),
            source: failure(device, source),
        })?;
        Ok(Box::new(ModelDisk {
            model: self,
            medium,
            name,
        }))
    }

    fn partition(&self, device: &str, partition: &Partition) -> Option<String> {
        Some(partition_name(device, partition.number))
    }

    fn free_array(&self, number: usize) -> Result<String, RaidError> {
        match self.is_full {
            true => Err(RaidError::NoNumber),
            false => Ok(format!("/dev/md{number}")),
        }
    }

    fn create(&self, creation: &Creation<'_>) -> Result<(), RaidError> {
        let failed = |member: &str| RaidError::Member {
            member: member.to_owned(),
            device: creation.device.to_owned(),
            why: "the model says so".to_owned(),
        };
        for member in creation.members {
            self.call().map_err(|_| failed(member))?;
            let (name, medium) = self
                .disks
                .iter()
                .find(|(name, _)| member.starts_with(*name))
                .unwrap();
            let partitions = Table::read(medium).unwrap().partitions();
            let partition = partitions
                .iter()
                .find(|partition| partition_name(name, partition.number) == *member)
                .unwrap();
            medium
                .write_at(partition.offset + SUPERBLOCK, MARK)
                .map_err(|_| failed(member))?;
        }
        self.made
            .borrow_mut()
            .push((creation.name.to_owned(), creation.members.to_vec()));
        Ok(())
    }

    fn is_cancelled(&self) -> bool {
        false
    }
}

fn volume(name: &str) -> Volume {
    Volume {
        name: name.to_owned(),
        size: Size::Max,
        level: RaidLevel::Raid1,
        disks: None,
    }
}

fn divisions(label: DiskLabel) -> Vec<Division<'static>> {
    let place = |volume, offset: u64, length: u64| Place {
        volume,
        number: volume as u32 + 1,
        offset: offset * MIB,
        length: length * MIB,
    };
    NAMES
        .into_iter()
        .map(|device| Division {
            disk: DiskShape {
                device,
                size: SIZE,
                block: 512,
            },
            label,
            places: vec![place(0, 1, 2), place(1, 3, 2)],
        })
        .collect()
}

fn run(model: &Model, label: DiskLabel) -> Result<(), RaidError> {
    let (root, data) = (volume("root"), volume("data"));
    let divisions = divisions(label);
    let disks: Vec<DiskShape<'_>> = divisions.iter().map(|division| division.disk).collect();
    let wanted = [&root, &data].map(|volume| Wanted {
        volume,
        disks: &disks,
    });
    make(model, &wanted, &divisions)
}

/// What there is to be at the end.
fn assert_made(model: &Model) {
    let members = |number| NAMES.map(|name| partition_name(name, number)).to_vec();
    assert_eq!(
        *model.made.borrow(),
        [
            ("root".to_owned(), members(1)),
            ("data".to_owned(), members(2))
        ]
    );
    for medium in model.disks.values() {
        assert_eq!(Table::read(medium).unwrap().partitions().len(), 2);
    }
}

const LABELS: [DiskLabel; 2] = [DiskLabel::Gpt, DiskLabel::Msdos];

#[test]
fn used_disks_become_members() {
    for label in LABELS {
        let model = Model::used();
        run(&model, label).unwrap();
        assert_made(&model);
    }
}

#[test]
fn what_lay_where_partitions_come_is_gone_before_the_table_is_there() {
    for label in LABELS {
        let model = Model::used();
        run(&model, label).unwrap();
        for medium in model.disks.values() {
            let mut moments = 0;
            medium.replay(|_, content| {
                let now = MemoryMedium::of(content.to_vec(), 512);
                let Ok(table) = Table::read(&now) else { return };
                for partition in table.partitions() {
                    moments += 1;
                    let mut start = vec![0; 64 << 10];
                    now.read_at(partition.offset, &mut start).unwrap();
                    start[SUPERBLOCK as usize..][..4096].fill(0);
                    assert!(start.iter().all(|byte| *byte == 0));
                }
            });
            assert!(moments > 0);
        }
    }
}

#[test]
fn a_disk_with_a_partition_in_the_way_keeps_all_disks_as_they_are() {
    for blank in [false, true] {
        let model = Model::of([
            vec![0; SIZE as usize],
            vec![if blank { 0 } else { 0x55 }; SIZE as usize],
        ]);
        let medium = &model.disks[NAMES[1]];
        let mut table = Gpt::new(medium, uuid::Uuid::new_v4()).unwrap();
        let guid = uuid::Uuid::new_v4();
        // Of the place and kind of ours, but longer, or not blank.
        let length = if blank { 3 } else { 2 } * MIB;
        table
            .add(1, MIB, length, LINUX_FILE_SYSTEM, guid, "data")
            .unwrap();
        Table::Gpt(table).write_new(medium).unwrap();
        let before = model.contents();
        let error = run(&model, DiskLabel::Gpt).unwrap_err().to_string();
        assert!(
            error.starts_with("Partitions detected on devices /dev/nvme0n1 during RAID config"),
            "{error}"
        );
        assert!(model.contents() == before);
        assert!(model.made.borrow().is_empty());
    }
}

#[test]
fn partitions_of_a_table_that_only_the_kernel_reads_are_in_the_way() {
    let model = Model {
        shown: Some(NAMES[0]),
        ..Model::used()
    };
    let before = model.contents();
    let error = run(&model, DiskLabel::Gpt).unwrap_err().to_string();
    assert!(
        error.starts_with("Partitions detected on devices /dev/sda during RAID config"),
        "{error}"
    );
    assert!(model.contents() == before);
}

#[test]
fn a_machine_that_has_arrays_of_all_numbers_is_told_before_a_disk_is_written() {
    let model = Model {
        is_full: true,
        ..Model::used()
    };
    let before = model.contents();
    let error = run(&model, DiskLabel::Gpt).unwrap_err().to_string();
    assert!(error.contains("no free number"), "{error}");
    assert!(model.contents() == before);
}

#[test]
fn a_table_without_partitions_is_in_nobodys_way() {
    let model = Model::used();
    let mbr = Mbr::new(&model.disks[NAMES[0]], 7);
    mbr.write(&model.disks[NAMES[0]]).unwrap();
    run(&model, DiskLabel::Gpt).unwrap();
    assert_made(&model);
}

#[test]
fn whatever_call_fails_nothing_is_reported_made_and_the_next_clean_succeeds() {
    let whole = Model::used();
    run(&whole, DiskLabel::Gpt).unwrap();
    let calls = whole.calls.get();
    assert_eq!(calls, 2 + 2 + 4);
    for number in 0..calls {
        let model = Model {
            fails_at: Some(number),
            ..Model::used()
        };
        let error = run(&model, DiskLabel::Gpt).unwrap_err().to_string();
        assert!(
            NAMES.iter().any(|name| error.contains(name)),
            "{number}: {error}"
        );
        let next = Model::of(model.contents());
        next.delete();
        run(&next, DiskLabel::Gpt).unwrap_or_else(|error| panic!("{number}: {error}"));
        assert_made(&next);
    }
}

#[test]
fn whatever_write_fails_nothing_is_reported_made_and_the_next_clean_succeeds() {
    for label in LABELS {
        for name in NAMES {
            let whole = Model::used();
            run(&whole, label).unwrap();
            let changes = whole.disks[name].log().len();
            assert!(changes > 6);
            for number in 0..changes {
                let mut model = Model::used();
                let failing = MemoryMedium::used(SIZE as usize);
                let failing = failing.failing(Fault::Change(number, libc::EIO));
                model.disks.insert(name, failing);
                let error = run(&model, label).unwrap_err().to_string();
                assert!(error.contains(name), "{number}: {error}");
                let next = Model::of(model.contents());
                next.delete();
                run(&next, label).unwrap_or_else(|error| panic!("{number}: {error}"));
                assert_made(&next);
            }
        }
    }
}

#[test]
fn after_a_power_cut_at_any_moment_the_next_clean_succeeds() {
    let mut random = farrier_plugin::SplitMix::with_seed(7).numbers(0);
    for label in LABELS {
        let whole = Model::used();
        run(&whole, label).unwrap();
        let changes = NAMES.map(|name| whole.disks[name].log().len());
        // The second disk is written after the first; its superblocks beside those of the first.
        for (first, second) in (0..=changes[0])
            .map(|first| (first, 0))
            .chain((0..=changes[1]).map(|second| (changes[0], second)))
        {
            let cut = |name: &str, count: usize, kept: &mut dyn FnMut() -> bool| {
                whole.disks[name].after_power_cut(count, kept)
            };
            let mut kept = || random.next().unwrap().is_multiple_of(2);
            let contents = [
                cut(NAMES[0], first, &mut kept),
                cut(NAMES[1], second, &mut kept),
            ];
            let next = Model::of(contents);
            next.delete();
            run(&next, label).unwrap_or_else(|error| panic!("{label:?} {first} {second}: {error}"));
            assert_made(&next);
        }
    }
}
