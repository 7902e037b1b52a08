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
