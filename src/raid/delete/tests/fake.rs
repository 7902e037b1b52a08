//! A machine whose disks are in memory, and whose kernel is a tree of files.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Mutex;

use farrier_plugin::{Context, SilentContext};
use serde_json::json;

use crate::block::list::ListedDevice;
use crate::block::raid_superblock::Metadata;
use crate::block::raid_superblock::tests::version_1;
use crate::block::signatures::{self, Contents, Signature};
use crate::block::skip::SkipList;
use crate::raid::delete::machine::Machine;
use crate::raid::delete::{Deletion, delete_from};
use crate::raid::error::RaidError;
use crate::raid::member_mark;
use crate::sys::block_device::{DiskError, Medium};
use crate::sys::memory_medium::{Fault, MemoryMedium};
use crate::sys::recording::Recording;
use crate::sys::root::Root;

const KIB: u64 = 1 << 10;
/// Bytes of a disk.
const DISK: u64 = 512 * KIB;
/// Its partitions: where each begins, and its bytes. Between them and behind them is room.
pub(super) const PARTS: [(u64, u64); 2] = [(64 * KIB, 192 * KIB), (256 * KIB, 192 * KIB)];
/// What stands for a partition table.
pub(super) const TABLE: &[u8] = b"EFI PART";
/// A machine whose disks are in memory, and whose kernel is a tree of files.
pub(super) struct Fake {
    pub(super) root: Root,
    /// Keeps the tree.
    _recording: Recording,
    pub(super) media: BTreeMap<String, MemoryMedium>,
    contents: BTreeMap<String, Contents>,
    /// Arrays that somebody has open.
    busy: Vec<String>,
    /// What was taken apart, in order.
    pub(super) gone: Mutex<Vec<String>>,
}

/// Part of a disk.
struct Part<'a> {
    disk: &'a MemoryMedium,
    start: u64,
    size: u64,
}

impl Medium for Part<'_> {
    fn size(&self) -> u64 {
        self.size
    }

    fn logical_block_size(&self) -> u32 {
        512
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), DiskError> {
        self.disk.read_at(self.start + offset, buffer)
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> Result<(), DiskError> {
        self.disk.write_at(self.start + offset, data)
    }

    fn zero_range(&self, offset: u64, length: u64) -> Result<(), DiskError> {
        self.disk.zero_range(self.start + offset, length)
    }

    fn flush(&self) -> Result<(), DiskError> {
        self.disk.flush()
    }
}

impl Fake {
    /// The medium of a device: a disk, an array, or the place of a partition on its disk.
    fn part(&self, device: &str) -> Option<Part<'_>> {
        let kname = device.trim_start_matches("/dev/");
        if let Some(disk) = self.media.get(kname) {
            let size = disk.size();
            return Some(Part {
                disk,
                start: 0,
                size,
            });
        }
        let (disk, number) = kname.split_at(3);
        let (start, size) = PARTS[number.parse::<usize>().ok()? - 1];
        let disk = self.media.get(disk)?;
        Some(Part { disk, start, size })
    }

    pub(super) fn bytes(&self, device: &str) -> Vec<u8> {
        let part = self.part(device).unwrap();
        let content = part.disk.content();
        content[part.start as usize..(part.start + part.size) as usize].to_vec()
    }
}

impl Machine for Fake {
    fn root(&self) -> &Root {
        &self.root
    }

    fn assemble(&self) {}

    fn read(&self, device: &str, offset: u64, length: usize) -> Option<Vec<u8>> {
        let mut data = vec![0; length];
        self.part(device)?.read_at(offset, &mut data).ok()?;
        Some(data)
    }

    fn contents(&self, device: &ListedDevice) -> Contents {
        self.contents
            .get(&device.kname)
            .cloned()
            .unwrap_or_default()
    }

    fn with_medium(
        &self,
        device: &str,
        work: &mut dyn FnMut(&dyn Medium) -> Result<(), String>,
    ) -> Result<(), String> {
        let kname = device.trim_start_matches("/dev/");
        let held = self.root().names("/sys/block").into_iter();
        let mut held = held.filter(|array| array.starts_with("md"));
        if held.any(|array| {
            let slaves = self.root().names(format!("/sys/block/{array}/slaves"));
            slaves
                .iter()
                .any(|slave| slave == kname || slave.starts_with(kname))
        }) {
            return Err("it is part of an array".to_owned());
        }
        work(&self.part(device).ok_or("no such device")?)
    }

    fn signatures(&self, device: &str) -> Result<Vec<Signature>, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), self.bytes(device)).unwrap();
        signatures::find(file.path()).map_err(|error| error.to_string())
    }

    fn take_apart(&self, holders: Vec<&ListedDevice>) {
        for holder in holders {
            if self.busy.contains(&holder.kname) {
                continue;
            }
            let directory = self.root().path(format!("/sys/block/{}", holder.kname));
            if fs::remove_dir_all(directory).is_ok() {
                self.gone.lock().unwrap().push(holder.kname.clone());
            }
        }
    }

    fn reread(&self, disk: &str) {
        let kname = disk.trim_start_matches("/dev/");
        if self.bytes(disk)[512..].starts_with(TABLE) {
            return;
        }
        for part in self
            .root()
            .names_beginning(format!("/sys/block/{kname}"), kname)
        {
            fs::remove_dir_all(self.root().path(format!("/sys/block/{kname}/{part}"))).unwrap();
        }
    }
}

/// What a machine has.
#[derive(Clone, Default)]
pub(super) struct Plan {
    /// Content of each disk, by name.
    pub(super) disks: BTreeMap<&'static str, Vec<u8>>,
    /// The lines of arrays that run.
    pub(super) arrays: String,
    pub(super) contents: BTreeMap<String, Contents>,
    pub(super) skipped: SkipList,
    pub(super) shared: bool,
    pub(super) busy: Vec<String>,
    /// Where the first partition begins, as the kernel tells it.
    pub(super) starts: Option<u64>,
    /// A disk on which something goes wrong.
    pub(super) fault: Option<(&'static str, Fault)>,
}

impl Plan {
    /// A disk full of old data, with so many partitions.
    pub(super) fn disk(mut self, name: &'static str, parts: usize) -> Self {
        let mut content = vec![0x5a; DISK as usize];
        content[..64 << 10].fill(0);
        if parts > 0 {
            content[512..512 + TABLE.len()].copy_from_slice(TABLE);
        }
        for (start, size) in &PARTS[..parts] {
            content[*start as usize..(*start + *size) as usize].fill(0);
            content[(*start + 32 * KIB) as usize..][..4096].fill(0x77);
        }
        self.disks.insert(name, content);
        self
    }

    /// The superblock of an array on a device.
    pub(super) fn member(
        mut self,
        device: &'static str,
        metadata: Metadata,
        name: &str,
        array: u8,
    ) -> Self {
        let (disk, number) = device.split_at(3);
        let (start, size) = match number.parse::<usize>() {
            Ok(number) => PARTS[number - 1],
            Err(_) => (0, DISK),
        };
        let superblock = version_1(metadata, size, name, [array; 16]);
        let at = (start + metadata.offset(size).unwrap()) as usize;
        let content = self.disks.get_mut(disk).unwrap();
        content[at..at + superblock.len()].copy_from_slice(&superblock);
        self
    }

    /// An array of version 1.2 over these partitions that runs.
    pub(super) fn running(
        mut self,
        kname: &str,
        name: &str,
        array: u8,
        members: &[&'static str],
    ) -> Self {
        let number = kname.trim_start_matches("md");
        self.arrays += &format!(
            "/sys/block/{kname}/dev = 9:{number}\n/sys/block/{kname}/size = 128\n\
             /sys/block/{kname}/md/level = raid1\n/sys/block/{kname}/md/metadata_version = 1.2\n\
             /sys/block/{kname}/md/array_state = clean\n"
        );
        for member in members {
            self.arrays += &format!("/sys/block/{kname}/slaves/{member}/\n");
            self = self.member(member, Metadata::V1_2, name, array);
        }
        // udev tells names where mdadm does.
        self.arrays += &format!("/run/udev/data/b9:{number} = E:MD_NAME=any:{name}\n");
        self
    }

    pub(super) fn skipping(mut self, hints: serde_json::Value) -> Self {
        let node = json!({"properties": {"skip_block_devices": hints}});
        self.skipped = SkipList::from_node(&serde_json::from_value(node).unwrap()).unwrap();
        self
    }

    pub(super) fn machine(&self) -> Fake {
        let mut lines = self.arrays.clone() + "/dev/x/\n";
        let mut media = BTreeMap::new();
        for (number, (name, content)) in self.disks.iter().enumerate() {
            let minor = number * 16;
            let sectors = content.len() / 512;
            lines +=
                &format!("/sys/block/{name}/dev = 8:{minor}\n/sys/block/{name}/size = {sectors}\n");
            let has_table = content[512..].starts_with(TABLE);
            for (index, (start, size)) in PARTS.iter().enumerate().filter(|_| has_table) {
                let part = format!("{name}{}", index + 1);
                lines += &format!(
                    "/sys/block/{name}/{part}/dev = 8:{}\n/sys/block/{name}/{part}/size = {}\n\
                     /sys/block/{name}/{part}/partition = {}\n/sys/block/{name}/{part}/start = {}\n\
                     /sys/class/block/{part} -> ../../block/{name}/{part}\n",
                    minor + index + 1,
                    size / 512,
                    index + 1,
                    self.starts.unwrap_or(*start) / 512
                );
            }
            let mut medium = MemoryMedium::of(content.clone(), 512);
            if let Some((disk, fault)) = self.fault
                && disk == *name
            {
                medium = medium.failing(fault);
            }
            media.insert((*name).to_owned(), medium);
        }
        for array in self.arrays.lines().filter_map(|line| {
            line.strip_prefix("/sys/block/")?
                .strip_suffix("/md/level = raid1")
        }) {
            let mut content = vec![0; 64 << 10];
            // A file system is in it.
            content[1024 + 56..1024 + 58].copy_from_slice(&[0x53, 0xef]);
            media.insert(array.to_owned(), MemoryMedium::of(content, 512));
        }
        let recording = Recording::unpack(&lines);
        Fake {
            root: recording.root(),
            _recording: recording,
            media,
            contents: self.contents.clone(),
            busy: self.busy.clone(),
            gone: Mutex::default(),
        }
    }

    pub(super) fn run(&self, machine: &Fake, context: &dyn Context) -> Result<(), RaidError> {
        let deletion = Deletion {
            may_destroy: true,
            skipped: &self.skipped,
            shared_file_systems: self.shared,
        };
        delete_from(machine, &deletion, context)
    }

    pub(super) fn delete(&self) -> (Fake, Result<(), RaidError>) {
        let machine = self.machine();
        let outcome = self.run(&machine, &SilentContext);
        (machine, outcome)
    }
}

impl Plan {
    /// A disk that was partitioned for arrays.
    pub(super) fn half_made(mut self, disk: &'static str, types: [&str; 2]) -> Self {
        let contents = Contents {
            partition_types: types.map(str::to_owned).to_vec(),
            ..Contents::default()
        };
        self.contents.insert(disk.to_owned(), contents);
        let content = self.disks.get_mut(disk).unwrap();
        for (start, size) in PARTS {
            content[start as usize..(start + size) as usize].fill(0);
            let mark = member_mark::mark();
            content[(start + member_mark::PLACE) as usize..][..mark.len()].copy_from_slice(&mark);
        }
        self
    }
}
