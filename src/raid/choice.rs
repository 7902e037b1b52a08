//! Which disks a volume is made of (contract/data-plane 6.3), of those that may be written at all.

use std::collections::BTreeSet;

use farrier_plugin::BlockDevice;
use tracing::{info, warn};

use super::config::Volume;
use super::error::RaidError;
use super::validation::too_few;
use crate::block::in_use::{Use, uses};
use crate::block::list::ListedDevice;
use crate::block::signatures::{self, Contents};
use crate::block::stack::{Stack, is_array, is_holder};
use crate::block::{shared_file_system, virtual_media};
use crate::sys::kernel_parameters;
use crate::sys::root::Root;

/// What a machine has to make arrays of.
pub(crate) struct Disks<'a> {
    /// Those that may be written, in the inventory's order.
    free: Vec<&'a BlockDevice>,
    /// The others, each with the reason.
    left_alone: Vec<(String, String)>,
}

impl<'a> Disks<'a> {
    /// Look at these disks, which the managers list, among all devices; the skip list protects `spared` (kernel
    /// names).
    ///
    /// Left alone is what an erase leaves alone, and what is in use: nothing is taken apart for an array.
    pub(crate) fn survey(
        root: &Root,
        listed: &'a [BlockDevice],
        all: &[ListedDevice],
        spared: &BTreeSet<String>,
        guards_shared: bool,
    ) -> Self {
        let looks = Looks {
            stack: Stack(all),
            uses: uses(root, all),
            spared,
            guards_shared,
            from_virtual_media: kernel_parameters::of_command_line(root).is_virtual_media_boot(),
            root,
        };
        let mut disks = Self {
            free: Vec::new(),
            left_alone: Vec::new(),
        };
        for disk in listed {
            let found = looks.stack.device(&disk.name);
            if found.is_some_and(is_array) {
                // Arrays are no disks to make arrays of.
                continue;
            }
            let reason = match found {
                Some(found) => looks.reason(found),
                None => Some("the kernel does not list it".to_owned()),
            };
            match reason {
                None => disks.free.push(disk),
                Some(why) => {
                    info!(device = disk.name, "left alone: {why}");
                    disks.left_alone.push((disk.name.clone(), why));
                }
            }
        }
        disks
    }

    /// These disks, all of which may be written.
    #[cfg(test)]
    pub(super) fn all_free(disks: &'a [BlockDevice]) -> Self {
        Self {
            free: disks.iter().collect(),
            left_alone: Vec::new(),
        }
    }

    /// How many there are, those that are left alone among them.
    pub(crate) fn count(&self) -> usize {
        self.free.len() + self.left_alone.len()
    }

    /// The disks of each volume, in the order of the configuration: each hint picks the first disk that
    /// meets it and that no other hint of the volume has picked.
    pub(crate) fn choose(
        &self,
        volumes: &[&Volume],
    ) -> Result<Vec<Vec<&'a BlockDevice>>, RaidError> {
        let chosen = volumes.iter().map(|volume| self.of_volume(volume));
        chosen.collect()
    }

    fn of_volume(&self, volume: &Volume) -> Result<Vec<&'a BlockDevice>, RaidError> {
        let chosen = match &volume.disks {
            None => self.free.clone(),
            Some(hints) => {
                let mut picked: Vec<&BlockDevice> = Vec::new();
                for hint in hints {
                    let candidates: Vec<&BlockDevice> = self
                        .free
                        .iter()
                        .copied()
                        .filter(|disk| hint.matches(disk))
                        .collect();
                    let is_picked =
                        |disk: &BlockDevice| picked.iter().any(|other| other.name == disk.name);
                    match candidates.iter().find(|disk| !is_picked(disk)) {
                        Some(disk) => picked.push(disk),
                        None => {
                            return Err(self.no_candidates(
                                &hint.to_string(),
                                &candidates,
                                &picked,
                            ));
                        }
                    }
                }
                picked
            }
        };
        if chosen.len() < volume.level.least_members() {
            return Err(RaidError::TooFewDisks {
                text: too_few(volume.level, chosen.len()),
                found: names(&self.free),
                left_alone: self.left_alone(),
            });
        }
        if let [first, others @ ..] = chosen.as_slice()
            && others.iter().any(|disk| disk.size != first.size)
        {
            warn!(
                volume = volume.name,
                disks = names(&chosen),
                "the disks of a volume differ in size; where it takes all that is left, the smallest decides"
            );
        }
        Ok(chosen)
    }

    fn no_candidates(
        &self,
        hint: &str,
        candidates: &[&BlockDevice],
        picked: &[&BlockDevice],
    ) -> RaidError {
        let text = if candidates.is_empty() {
            format!(
                "No candidates for physical disk {hint} from the list {}",
                names(&self.free)
            )
        } else {
            format!(
                "No candidates left for physical disk {hint} from the list {} after picking {} for previous \
                 volumes",
                names(candidates),
                names(picked)
            )
        };
        RaidError::NoCandidates {
            text,
            found: names(&self.free),
            left_alone: self.left_alone(),
        }
    }

    fn left_alone(&self) -> String {
        let all: Vec<String> = self
            .left_alone
            .iter()
            .map(|(name, why)| format!("{name} ({why})"))
            .collect();
        match all.is_empty() {
            true => "none".to_owned(),
            false => all.join(", "),
        }
    }
}

fn names(disks: &[&BlockDevice]) -> String {
    let names: Vec<&str> = disks.iter().map(|disk| disk.name.as_str()).collect();
    match names.is_empty() {
        true => "none".to_owned(),
        false => names.join(", "),
    }
}

struct Looks<'a> {
    stack: Stack<'a>,
    uses: Vec<(String, Use)>,
    spared: &'a BTreeSet<String>,
    guards_shared: bool,
    from_virtual_media: bool,
    root: &'a Root,
}

impl Looks<'_> {
    /// Why this disk is to be left alone.
    fn reason(&self, disk: &ListedDevice) -> Option<String> {
        if let Some(reason) = disk.firmware_memory() {
            return Some(reason.to_owned());
        }
        let parts = self.stack.with_what_lies_on(disk);
        if let Some(part) = parts.iter().find(|part| self.spared.contains(&part.kname)) {
            return Some(format!(
                "skip_block_devices or a hardware manager protects {}",
                part.device.name
            ));
        }
        let contents: Vec<(&str, Contents)> = parts
            .iter()
            .map(|part| (part.device.name.as_str(), self.contents(part)))
            .collect();
        let labels = || {
            contents
                .iter()
                .filter_map(|(_, found)| found.label.clone())
                .collect()
        };
        if virtual_media::is_medium(disk, self.from_virtual_media, labels) {
            return Some("it is virtual media".to_owned());
        }
        if disk.read_only {
            return Some("it is read-only".to_owned());
        }
        if self.guards_shared
            && let Some((name, shared)) = contents
                .iter()
                .find_map(|(name, found)| Some((name, shared_file_system::among(found)?)))
        {
            return Some(format!(
                "{name} holds a file system that other machines may be using ({shared}); to write over it, set \
                 wipe_special_filesystems in the node's driver_info, or ipa-guard-special-filesystems"
            ));
        }
        self.uses.iter().find_map(|(kname, used)| {
            let part = parts.iter().find(|part| part.kname == *kname)?;
            Some(match used {
                Use::Mount(place) => format!("{} is mounted at {place}", part.device.name),
                Use::Swap => format!("{} is used as swap", part.device.name),
            })
        })
    }

    fn contents(&self, part: &ListedDevice) -> Contents {
        signatures::contents(&self.root.path(&part.device.name)).unwrap_or_else(|error| {
            // What is on it could not be used by others either.
            let device = &part.device.name;
            warn!(device, %error, "could not be searched for shared file systems");
            Contents::default()
        })
    }
}

/// What is made of these disks by the kernel: the disk, and what in words.
pub(super) fn holders(all: &[ListedDevice], disks: &[&str]) -> Vec<(String, String)> {
    let stack = Stack(all);
    let found = disks.iter().filter_map(|name| stack.device(name));
    found
        .flat_map(|disk| {
            let parts = stack.with_what_lies_on(disk).into_iter();
            parts
                .filter(|part| part.kname != disk.kname && is_holder(part))
                .map(|part| {
                    let on = disk.device.name.clone();
                    (on, format!("{} lies on it", part.device.name))
                })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::block::list::{all_devices, list_block_devices};
    use crate::block::skip::SkipList;
    use crate::raid::validation::{Facts, validate};
    use crate::sys::recording::Recording;

    const NVME: &str = "/sys/block/nvme0n1/dev = 259:0\n/sys/block/nvme0n1/size = 40000000\n";

    /// Disks of which only the first, the last two and the one with a partition may be used.
    fn machine() -> Recording {
        let disk = |name: &str, minor: u32, more: &str| {
            format!("/sys/block/{name}/dev = 8:{minor}\n/sys/block/{name}/size = 40000000\n{more}")
        };
        let listing = [
            disk("sda", 0, ""),
            disk("sdb", 16, "/sys/block/sdb/sdb1/dev = 8:17\n/sys/block/sdb/sdb1/size = 4096\n/sys/block/sdb/sdb1/partition = 1\n"),
            disk("sdc", 32, "/sys/block/sdc/ro = 1\n"),
            disk("sdd", 48, ""),
            disk("sde", 64, ""),
            disk("sdf", 80, ""),
            "/sys/block/md0/dev = 9:0\n/sys/block/md0/size = 40000\n/sys/block/md0/md/level = raid1\n\
             /sys/block/md0/md/array_state = active\n/sys/block/md0/slaves/sdf/\n".to_owned(),
            NVME.to_owned(),
            "/proc/swaps = /dev/sdd partition 1 0 -2\n\
             /proc/self/mountinfo = 30 1 8:17 / /mnt/a rw - ext4 /dev/sdb1 rw\n".to_owned(),
        ];
        Recording::unpack(&listing.concat())
    }

    fn choose(configuration: &serde_json::Value) -> Result<Vec<Vec<String>>, String> {
        let recording = machine();
        let root = recording.root();
        let listed = list_block_devices(&root, false).unwrap();
        let all = all_devices(&root).unwrap();
        let node = serde_json::from_value(
            json!({"properties": {"skip_block_devices": [{"name": "/dev/sde"}]}}),
        )
        .unwrap();
        let spared = SkipList::from_node(&node).unwrap().protected(&all).unwrap();
        let disks = Disks::survey(&root, &listed, &all, &spared, true);
        assert_eq!(disks.count(), 7, "arrays are no disks");
        let facts = Facts {
            node: "n",
            protects_names: false,
            disks: disks.count(),
        };
        let volumes = validate(configuration, facts).unwrap();
        let chosen = disks.choose(&volumes.iter().collect::<Vec<_>>());
        let names = |disks: Vec<&BlockDevice>| disks.iter().map(|disk| disk.name.clone()).collect();
        chosen
            .map(|volumes| volumes.into_iter().map(names).collect())
            .map_err(|error| error.to_string())
    }

    fn volume(fields: serde_json::Value) -> serde_json::Value {
        let mut disk = json!({"controller": "software", "raid_level": "1", "size_gb": 4});
        for (name, value) in fields.as_object().unwrap() {
            disk[name] = value.clone();
        }
        json!({"logical_disks": [disk]})
    }

    #[test]
    fn without_hints_all_disks_are_taken_that_may_be() {
        let chosen = choose(&volume(json!({}))).unwrap();
        assert_eq!(chosen, [["/dev/sda", "/dev/sdf", "/dev/nvme0n1"]]);
    }

    #[test]
    fn each_hint_picks_the_first_disk_that_is_left() {
        let hints = json!([{"name": "/dev/nvme0n1"}, {"size": ">= 1"}, {"size": ">= 1"}]);
        let chosen = choose(&volume(json!({"physical_disks": hints}))).unwrap();
        assert_eq!(chosen, [["/dev/nvme0n1", "/dev/sda", "/dev/sdf"]]);
    }

    #[test]
    fn what_is_left_alone_is_named_with_the_reason() {
        for (name, reason) in [
            ("sdb", "/dev/sdb1 is mounted at /mnt/a"),
            ("sdc", "it is read-only"),
            ("sdd", "/dev/sdd is used as swap"),
            (
                "sde",
                "skip_block_devices or a hardware manager protects /dev/sde",
            ),
        ] {
            let hints = json!([{"name": format!("/dev/{name}")}, {"name": "/dev/sda"}]);
            let error = choose(&volume(json!({"physical_disks": hints}))).unwrap_err();
            let found = "from the list /dev/sda, /dev/sdf, /dev/nvme0n1. Disks that may be used";
            assert!(
                error.starts_with(&format!(
                    "No candidates for physical disk {{\"name\":\"/dev/{name}\"}} {found}"
                )),
                "{error}"
            );
            assert!(
                error.contains(&format!("/dev/{name} ({reason})")),
                "{error}"
            );
        }
    }

    #[test]
    fn a_hint_that_only_picked_disks_meet_finds_none_left() {
        let hints = json!([{"name": "/dev/sda"}, {"name": "/dev/sda"}]);
        let error = choose(&volume(json!({"physical_disks": hints}))).unwrap_err();
        assert!(
            error.starts_with("No candidates left for physical disk {\"name\":\"/dev/sda\"} from the list /dev/sda"),
            "{error}"
        );
    }

    #[test]
    fn an_array_on_a_disk_is_told_before_anything_is_written() {
        let recording = machine();
        let all = all_devices(&recording.root()).unwrap();
        let found = holders(&all, &["/dev/sda", "/dev/sdf", "/dev/nvme0n1"]);
        assert_eq!(
            found,
            [("/dev/sdf".to_owned(), "/dev/md0 lies on it".to_owned())]
        );
    }

    #[test]
    fn a_level_gets_as_many_disks_as_it_needs_or_none() {
        let mut configuration = volume(json!({}));
        let second = json!({"controller": "software", "raid_level": "6", "size_gb": 4});
        configuration["logical_disks"]
            .as_array_mut()
            .unwrap()
            .push(second);
        let error = choose(&configuration).unwrap_err();
        assert!(
            error.starts_with(
                "Software RAID configuration is not possible for RAID level 6 with only 3 block devices found. Disks \
                 that may be used: /dev/sda, /dev/sdf, /dev/nvme0n1; left alone: /dev/sdb ("
            ),
            "{error}"
        );
    }
}
