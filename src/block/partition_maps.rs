//! Partitions of a multipath map, of which the kernel makes none: each is a volume of the device mapper over a
//! part of the map, with kpartx's names.
//!
//! As long as there is one, the map cannot be opened by one process alone: they are taken away before it is
//! ([`Map::remove`]), and made again after it ([`Map::make`]). Leaving it to kpartx and udev's rules was rejected: those
//! make partitions at any change, while an image is being written too.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use farrier_plugin::chain;
use tracing::warn;

use super::exclusive;
use super::holders::kernel_name;
use super::table::Table;
use crate::sys::root::Root;
use crate::sys::{device_mapper, device_number};

/// How often it is tried while udev has a new partition open.
const PAUSE: Duration = Duration::from_millis(50);

/// A multipath map.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Map {
    kname: String,
    number: (u32, u32),
    /// By the device mapper's names.
    name: String,
    uuid: String,
}

/// A partition of a map that there is.
#[derive(Debug, Eq, PartialEq)]
struct Partition {
    kname: String,
    number: (u32, u32),
    /// Its number in the table.
    index: u32,
}

impl Map {
    /// The multipath map of this name, as in `/dev/dm-0`; none where it is any other device.
    pub(crate) fn of(root: &Root, device: &str) -> Option<Self> {
        let kname = kernel_name(root, device)?;
        let attribute = |name: &str| root.attribute(format!("/sys/class/block/{kname}/{name}"));
        let uuid = attribute("dm/uuid").filter(|uuid| uuid.starts_with("mpath-"))?;
        Some(Self {
            number: device_number::parse(&attribute("dev")?)?,
            name: attribute("dm/name")?,
            uuid,
            kname,
        })
    }

    /// Make the partitions of this table, where there are none. One that the kernel refuses keeps none of the
    /// others away, and is told.
    pub(crate) fn make(&self, table: &Table) {
        for partition in table.partitions() {
            let number = partition.number;
            let made = device_mapper::create_linear(
                &format!("{}-part{number}", self.name),
                &format!("part{number}-{}", self.uuid),
                self.number,
                partition.offset / 512..(partition.offset + partition.length) / 512,
            );
            if let Err(error) = made {
                let device = &self.name;
                warn!(device, number, error = %chain(&error), "a partition could not be made");
            }
        }
    }

    /// Take its partitions away. One that stays, since somebody has it open, is told; whoever opens the map
    /// finds it.
    pub(crate) fn remove(&self, root: &Root) {
        // Whoever opens the map does not take away what is in the way: they may be busy as long as it may be.
        let deadline = Instant::now() + exclusive::LIMIT;
        for partition in self.partitions(root) {
            while let Err(error) = remove_one(root, &partition) {
                if error.raw_os_error() != Some(libc::EBUSY) || Instant::now() >= deadline {
                    let device = &partition.kname;
                    warn!(device, %error, "a partition could not be taken away");
                    break;
                }
                thread::sleep(PAUSE);
            }
        }
    }

    /// The device of a partition by its number: `/dev/dm-3`.
    pub(crate) fn partition(&self, root: &Root, number: u32) -> Option<String> {
        let mut partitions = self.partitions(root).into_iter();
        let found = partitions.find(|partition| partition.index == number)?;
        Some(format!("/dev/{}", found.kname))
    }

    fn partitions(&self, root: &Root) -> Vec<Partition> {
        let holders = root.names(format!("/sys/class/block/{}/holders", self.kname));
        let partition = |kname: String| {
            let attribute = |name: &str| root.attribute(format!("/sys/class/block/{kname}/{name}"));
            let uuid = attribute("dm/uuid")?;
            let index = uuid.strip_suffix(&format!("-{}", self.uuid))?;
            Some(Partition {
                number: device_number::parse(&attribute("dev")?)?,
                index: index.strip_prefix("part")?.parse().ok()?,
                kname,
            })
        };
        holders.into_iter().filter_map(partition).collect()
    }
}

fn remove_one(root: &Root, partition: &Partition) -> io::Result<()> {
    if !root.is_system() {
        return Err(io::ErrorKind::Unsupported.into());
    }
    device_mapper::remove(partition.number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::recording::Recording;

    #[test]
    fn partitions_of_a_map_are_its_own_by_uuid() {
        let recording = Recording::unpack(
            "/dev/dm-0 =\n/dev/dm-4 =\n/dev/sda =\n\
             /sys/class/block/sda/dev = 8:0\n\
             /sys/class/block/dm-0/dev = 253:0\n\
             /sys/class/block/dm-0/dm/name = 3600a\n\
             /sys/class/block/dm-0/dm/uuid = mpath-3600a\n\
             /sys/class/block/dm-0/holders/dm-1/\n\
             /sys/class/block/dm-0/holders/dm-2/\n\
             /sys/class/block/dm-0/holders/dm-3/\n\
             /sys/class/block/dm-0/holders/md127/\n\
             /sys/class/block/dm-1/dev = 253:1\n\
             /sys/class/block/dm-1/dm/uuid = part12-mpath-3600a\n\
             /sys/class/block/dm-2/dev = 253:2\n\
             /sys/class/block/dm-2/dm/uuid = LVM-abc\n\
             /sys/class/block/dm-3/dev = 253:3\n\
             /sys/class/block/dm-3/dm/uuid = part1-mpath-3600a\n\
             /sys/class/block/dm-4/dev = 253:4\n\
             /sys/class/block/dm-4/dm/uuid = LVM-mpath-abc",
        );
        let root = recording.root();
        let map = Map::of(&root, "/dev/dm-0").unwrap();
        assert_eq!(map.number, (253, 0));
        assert_eq!(map.partition(&root, 1).as_deref(), Some("/dev/dm-3"));
        assert_eq!(map.partition(&root, 12).as_deref(), Some("/dev/dm-1"));
        assert_eq!(map.partition(&root, 2), None);
        assert_eq!(Map::of(&root, "/dev/dm-4"), None);
        assert_eq!(Map::of(&root, "/dev/sda"), None);
        assert_eq!(Map::of(&root, "/dev/sdz"), None);
    }
}
