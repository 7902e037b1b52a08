//! What there is of software RAID on a machine, and what is to become of it, before the first of it is touched.

use std::collections::{BTreeMap, BTreeSet};

use tracing::info;

use super::deletion::Deletion;
use super::machine::{self, Machine};
use crate::block::in_use::{Use, uses};
use crate::block::list::{ListedDevice, all_devices};
use crate::block::raid_name::without_host;
use crate::block::raid_superblock::{Metadata, RaidSuperblock};
use crate::block::raid_verdict::{Claim, RaidVerdict, verdicts};
use crate::block::signatures::Contents;
use crate::block::stack::{Stack, is_array, is_holder};
use crate::block::{shared_file_system, virtual_media};
use crate::raid::array::{self, Array};
use crate::raid::error::RaidError;
use crate::sys::kernel_parameters;

/// An array as its members and the kernel show it: running, begun, or only its superblocks.
#[derive(Debug)]
pub(super) struct Found {
    /// What tells it from others: a kind of metadata and the array's UUID.
    pub(super) key: String,
    /// Its name without the host.
    pub(super) name: Option<String>,
    /// Kernel names of its devices: none where it is not assembled, more than one of a container with volumes.
    pub(super) devices: Vec<String>,
    /// Kernel names of its members.
    pub(super) members: BTreeSet<String>,
    /// Kernel names of the whole disks that it lies on.
    pub(super) disks: BTreeSet<String>,
    pub(super) verdict: RaidVerdict,
    /// Why it is left alone all the same, which is a failure.
    pub(super) refusal: Option<String>,
}

impl Found {
    /// How it is called in messages: its device, or its name, or its UUID.
    pub(super) fn called(&self) -> String {
        let device = self.devices.first();
        let device = device.map(|kname| format!("/dev/{kname}"));
        device
            .or_else(|| self.name.clone())
            .unwrap_or_else(|| self.key.clone())
    }

    /// Whether its name is not known, and can be one that is protected: version 0.90 has none.
    fn may_be_protected(&self) -> bool {
        self.verdict != RaidVerdict::Keep && self.name.is_none() && self.key.contains(' ')
    }

    /// Whether it is to be deleted and may be.
    pub(super) fn is_to_go(&self) -> bool {
        self.verdict == RaidVerdict::Delete && self.refusal.is_none()
    }
}

/// Why arrays of firmware stay whose name is not known.
const UNKNOWN_NAME: &str = "the names of its volumes are not known, and skip_block_devices protects arrays by name; name \
                            its disks there, or end it by the firmware's setup";

/// All of it.
pub(super) struct Survey {
    pub(super) devices: Vec<ListedDevice>,
    /// What lies on top of others comes first.
    pub(super) arrays: Vec<Found>,
    /// Kernel names of disks that were partitioned for arrays which were not made.
    pub(super) half_made: BTreeSet<String>,
}

impl Survey {
    pub(super) fn of(machine: &dyn Machine, deletion: &Deletion<'_>) -> Result<Self, RaidError> {
        let root = machine.root();
        let devices = all_devices(root)?;
        let contents: BTreeMap<&str, Contents> = devices
            .iter()
            .filter(|device| device.is_disk() || device.is_partition())
            .map(|device| (device.kname.as_str(), machine.contents(device)))
            .collect();
        let look = Look {
            protected: deletion.skipped.protected(&devices)?,
            uses: uses(root, &devices),
            from_virtual_media: kernel_parameters::of_command_line(root).is_virtual_media_boot(),
            shared_file_systems: deletion.shared_file_systems,
            stack: Stack(&devices),
            contents,
        };
        let mut arrays = group(machine, &look);
        for found in &mut arrays {
            found.disks = look.disks_of(&found.members);
        }
        let claims: Vec<Claim<'_>> = arrays
            .iter()
            .map(|found| Claim {
                name: found.name.as_deref(),
                is_kept: look.is_kept(found)
                    || found
                        .name
                        .as_deref()
                        .is_some_and(|name| deletion.skipped.protects_volume(name)),
                on: found.disks.iter().map(String::as_str).collect(),
            })
            .collect();
        let judged = verdicts(&claims);
        for (found, verdict) in arrays.iter_mut().zip(judged) {
            found.verdict = verdict;
        }
        let by_name = deletion.skipped.volume_names().next().is_some();
        for found in &mut arrays {
            found.refusal = look
                .refusal(found)
                .or_else(|| (by_name && found.may_be_protected()).then(|| UNKNOWN_NAME.to_owned()));
        }
        arrays.sort_by_key(|found| {
            let beneath = found.devices.iter().filter_map(|kname| look.device(kname));
            let depth = beneath.map(|device| look.stack.with_what_carries(device).len());
            std::cmp::Reverse(depth.max().unwrap_or_default())
        });
        let half_made = look.half_made(machine, &arrays);
        Ok(Self {
            arrays,
            half_made,
            devices,
        })
    }

    /// Say what there is, and what is to become of it.
    pub(super) fn tell(&self) {
        for found in &self.arrays {
            info!(
                array = found.called(),
                name = found.name,
                id = found.key,
                members = join(&found.members),
                verdict = ?found.verdict,
                refusal = found.refusal,
                "software RAID is there"
            );
        }
        if !self.half_made.is_empty() {
            let disks = join(&self.half_made);
            info!(disks, "partitioned for arrays that were never made");
        }
    }

    pub(super) fn stack(&self) -> Stack<'_> {
        Stack(&self.devices)
    }

    pub(super) fn device(&self, kname: &str) -> Option<&ListedDevice> {
        self.devices.iter().find(|device| device.kname == kname)
    }
}

/// The machine at one moment.
pub(super) struct Look<'a> {
    pub(super) stack: Stack<'a>,
    pub(super) contents: BTreeMap<&'a str, Contents>,
    /// Kernel names.
    pub(super) protected: BTreeSet<String>,
    uses: Vec<(String, Use)>,
    from_virtual_media: bool,
    shared_file_systems: bool,
}

impl<'a> Look<'a> {
    fn device(&self, kname: &str) -> Option<&'a ListedDevice> {
        self.stack.0.iter().find(|device| device.kname == kname)
    }

    /// The whole disks beneath these; a multipath map is one.
    fn disks_of(&self, members: &BTreeSet<String>) -> BTreeSet<String> {
        let carriers = members
            .iter()
            .filter_map(|member| self.device(member))
            .flat_map(|member| self.stack.with_what_carries(member));
        carriers
            .filter(|carrier| carrier.is_disk() && !is_array(carrier))
            .map(|carrier| carrier.kname.clone())
            .collect()
    }

    /// Everything on the disks of an array, and the disks.
    fn reached(&self, disks: &BTreeSet<String>) -> Vec<&'a ListedDevice> {
        disks
            .iter()
            .filter_map(|disk| self.device(disk))
            .flat_map(|disk| self.stack.with_what_lies_on(disk))
            .collect()
    }

    /// Whether a disk under it, a member, or what lies on it is protected by something else than its name.
    fn is_kept(&self, found: &Found) -> bool {
        let own = found.members.iter().chain(&found.devices);
        let lying = found
            .devices
            .iter()
            .filter_map(|kname| self.device(kname))
            .flat_map(|device| self.stack.with_what_lies_on(device))
            .map(|device| &device.kname);
        let is_medium = |disk: &String| {
            self.device(disk)
                .is_some_and(|disk| self.is_virtual_media(disk))
        };
        own.chain(lying)
            .chain(&found.disks)
            .any(|kname| self.protected.contains(kname))
            || found.disks.iter().any(is_medium)
    }

    pub(super) fn is_virtual_media(&self, disk: &'a ListedDevice) -> bool {
        let labels = || {
            let parts = self.stack.with_what_lies_on(disk).into_iter();
            parts
                .filter_map(|part| self.contents.get(part.kname.as_str())?.label.clone())
                .collect()
        };
        virtual_media::is_medium(disk, self.from_virtual_media, labels)
    }

    /// Why this array must not be touched although nobody protects it.
    fn refusal(&self, found: &Found) -> Option<String> {
        let touched = match found.verdict {
            RaidVerdict::Keep => return None,
            RaidVerdict::Wipe => found
                .devices
                .iter()
                .filter_map(|kname| self.device(kname))
                .flat_map(|device| self.stack.with_what_lies_on(device))
                .collect(),
            RaidVerdict::Delete => self.reached(&found.disks),
        };
        self.reason_against(&touched)
    }

    pub(super) fn reason_against(&self, touched: &[&ListedDevice]) -> Option<String> {
        touched.iter().find_map(|device| {
            let name = &device.device.name;
            let used = self.uses.iter().find(|(kname, _)| *kname == device.kname);
            match used.map(|(_, used)| used) {
                Some(Use::Mount(place)) => {
                    return Some(format!("{name} is mounted at {place}; unmount it first"));
                }
                Some(Use::Swap) => return Some(format!("{name} is in use as swap; switch that off first")),
                None => {}
            }
            if self.shared_file_systems
                && let Some(contents) = self.contents.get(device.kname.as_str())
                && let Some(what) = shared_file_system::among(contents)
            {
                return Some(format!(
                    "{name} holds a file system that other machines may be using ({what}); to delete it, set \
                     wipe_special_filesystems in the node's driver_info, or ipa-guard-special-filesystems"
                ));
            }
            // Volumes can lie on a protected disk beside these.
            let carriers = is_holder(device).then(|| self.device(&device.kname)).flatten()?;
            let carriers = self.stack.with_what_carries(carriers).into_iter();
            let mut kept = carriers.filter(|carrier| self.protected.contains(&carrier.kname));
            let other = kept.next()?;
            Some(format!("{name} lies on {}, too, which is protected", other.device.name))
        })
    }
}

/// The arrays by their superblocks, and what the kernel runs of them.
fn group(machine: &dyn Machine, look: &Look<'_>) -> Vec<Found> {
    let mut found: BTreeMap<String, (Found, u64)> = BTreeMap::new();
    for device in look.stack.0 {
        if !look.contents.contains_key(device.kname.as_str()) {
            continue;
        }
        for superblock in machine::superblocks(machine, device) {
            let key = key(&superblock);
            let (known, events) = found
                .entry(key.clone())
                .or_insert_with(|| (Found::of(key), 0));
            known.members.insert(device.kname.clone());
            // One that was out for a while may know an older name.
            if known.name.is_none() || superblock.events > *events {
                *events = superblock.events;
                known.name = superblock
                    .name
                    .as_deref()
                    .map(without_host)
                    .map(str::to_owned);
            }
        }
    }
    for running in array::of_devices(machine.root(), look.stack.0) {
        let key = key_of(&running, look, &found);
        let (known, _) = found
            .entry(key.clone())
            .or_insert_with(|| (Found::of(key), 0));
        let members = running.members.iter();
        let members = members.filter_map(|member| look.stack.device(&member.device));
        known
            .members
            .extend(members.map(|member| member.kname.clone()));
        known.name = known.name.take().or(running.name);
        known.devices.push(running.kname);
    }
    found.into_values().map(|(found, _)| found).collect()
}

impl Found {
    fn of(key: String) -> Self {
        Self {
            key,
            name: None,
            devices: Vec::new(),
            members: BTreeSet::new(),
            disks: BTreeSet::new(),
            verdict: RaidVerdict::Keep,
            refusal: None,
        }
    }
}

/// Versions of the kernel's superblocks share its UUIDs; firmware's are numbers of their own.
pub(super) fn key(superblock: &RaidSuperblock) -> String {
    match superblock.metadata.is_external() {
        true => format!("{} {}", superblock.metadata, superblock.array),
        false => superblock.array.clone(),
    }
}

/// The array among those found that this one of the kernel's is, or a key of its own.
fn key_of(running: &Array, look: &Look<'_>, found: &BTreeMap<String, (Found, u64)>) -> String {
    if let Some(id) = &running.uuid
        && found.contains_key(id)
    {
        return id.clone();
    }
    let is_external = running.metadata.is_none_or(Metadata::is_external);
    let own = found.iter().find(|(key, (known, _))| {
        let member = |member: &array::Member| {
            let listed = look.stack.device(&member.device);
            listed.is_some_and(|listed| known.members.contains(&listed.kname))
        };
        is_external == key.contains(' ') && running.members.iter().any(member)
    });
    own.map_or_else(|| running.kname.clone(), |(key, _)| key.clone())
}

fn join(names: &BTreeSet<String>) -> String {
    names
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ")
}
