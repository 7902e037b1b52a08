//! Which devices must not be touched, decided for all of them before the first one is.

mod arrays;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tracing::warn;

use crate::block::in_use::{Use, uses};
use crate::block::list::{ListedDevice, all_devices};
use crate::block::signatures::{self, Contents};
use crate::block::skip::{SkipError, SkipList};
use crate::block::stack::{Stack, is_holder};
use crate::block::{shared_file_system, virtual_media};
use crate::erase::error::EraseError;
use crate::sys::kernel_parameters;
use crate::sys::root::Root;

/// What a caller allows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Policy {
    /// This machine runs from memory, or a person insists.
    pub may_destroy: bool,
    /// Keep shared cluster file systems.
    pub guard_special_filesystems: bool,
    /// What to do with a device that cannot be written.
    pub read_only: ReadOnly,
    /// The node protects arrays by name or has some of its own, so that the members of an array
    /// which is not assembled must stay: its name is not known.
    pub keep_idle_members: bool,
    /// The arrays are the node's own, by its RAID configuration: they are erased and stay, as the
    /// conductor expects that keeps this configuration (contract/data-plane 7.4, 7.11).
    pub keep_arrays: bool,
}

/// What to do with a device that cannot be written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ReadOnly {
    /// Leave it out.
    Skip,
    /// That is a failure.
    Fail,
}

/// What is to happen to a device.
#[derive(Debug)]
pub(super) enum Verdict {
    /// It may be erased.
    Erase,
    /// What lies on it beside arrays that stay may be erased; why nothing else may.
    Beside(String),
    /// It is left out, which is no failure, for this reason.
    Skip(String),
    /// It must not be erased, and that is a failure. [`EraseError::stops_all`] says whether the
    /// other devices may be erased all the same.
    Refuse(EraseError),
}

/// All devices of this machine and what uses them, as they were at one moment.
pub(super) struct Guard {
    policy: Policy,
    devices: Vec<ListedDevice>,
    /// Mount points by kernel name.
    mounts: BTreeMap<String, String>,
    contents: Look,
    /// This ramdisk was booted from virtual media.
    from_virtual_media: bool,
    /// Kernel names of what the node's skip list protects.
    spared: BTreeSet<String>,
    /// Names of the arrays that it protects, those that do not run among them.
    spared_arrays: BTreeSet<String>,
    /// Kernel names of what is still there and will be taken apart first.
    taken_apart: BTreeSet<String>,
}

/// All devices of this machine once more, beside those of the survey.
pub(super) struct SecondLook<'a> {
    then: &'a Guard,
    now: Guard,
}

/// Looks at what a device holds.
type Look = Arc<dyn Fn(&ListedDevice) -> Contents + Send + Sync>;

impl SecondLook<'_> {
    /// The verdict by the rules of the survey, where the name is that of the same device.
    pub(super) fn verdict(&self, name: &str) -> Verdict {
        if self.then.is_same(&self.now, name) {
            return self.now.verdict(name);
        }
        Verdict::Refuse(EraseError::Exchanged {
            device: name.to_owned(),
            then: self.then.marks(name),
            now: self.now.marks(name),
        })
    }
}

impl Guard {
    /// Look at all devices.
    pub(super) fn survey(root: &Root, policy: Policy) -> Result<Self, EraseError> {
        let root_of_contents = root.clone();
        Self::survey_with(root, policy, move |device| {
            let path = root_of_contents.path(&device.device.name);
            signatures::contents(&path).unwrap_or_else(|error| {
                // A disk that cannot be read is all the more to be erased.
                warn!(
                    device = device.device.name,
                    %error,
                    "could not be searched for shared file systems"
                );
                Contents::default()
            })
        })
    }

    /// A guard that allows nothing, until a survey replaces it.
    pub(super) fn of_nothing(policy: Policy) -> Self {
        Self {
            policy: Policy {
                may_destroy: false,
                ..policy
            },
            devices: Vec::new(),
            mounts: BTreeMap::new(),
            contents: Arc::new(|_| Contents::default()),
            from_virtual_media: false,
            spared: BTreeSet::new(),
            spared_arrays: BTreeSet::new(),
            taken_apart: BTreeSet::new(),
        }
    }

    fn survey_with(
        root: &Root,
        policy: Policy,
        contents: impl Fn(&ListedDevice) -> Contents + Send + Sync + 'static,
    ) -> Result<Self, EraseError> {
        let devices = all_devices(root)?;
        let mounts = mounts(root, &devices);
        Ok(Self {
            policy,
            devices,
            mounts,
            contents: Arc::new(contents),
            from_virtual_media: kernel_parameters::of_command_line(root).is_virtual_media_boot(),
            spared: BTreeSet::new(),
            spared_arrays: BTreeSet::new(),
            taken_apart: BTreeSet::new(),
        })
    }

    /// The same guard for a node that wants devices left alone: what lies on them is not taken apart.
    pub(super) fn sparing(mut self, list: &SkipList) -> Result<Self, SkipError> {
        self.spared = list.protected(&self.devices)?;
        self.spared_arrays = list.volume_names().map(str::to_owned).collect();
        Ok(self)
    }

    /// The same guard for a step that takes apart what is in the way of these devices before it
    /// touches them: none of it keeps them from being erased.
    pub(super) fn taking_apart(mut self, names: &BTreeSet<&str>) -> Self {
        let gone = self.gone_with(&self.in_the_way(names)).into_iter();
        self.taken_apart = gone.map(|device| device.kname.clone()).collect();
        self
    }

    /// These arrays and volumes, and their partitions, which are gone with them.
    pub(super) fn gone_with<'a>(&'a self, holders: &[&'a ListedDevice]) -> Vec<&'a ListedDevice> {
        let is_of = |part: &ListedDevice, holder: &&ListedDevice| {
            // A volume of the device mapper can be a partition too, as kpartx makes them: then it is a holder itself.
            part.kind == "part" && !is_holder(part) && part.parents.contains(&holder.kname)
        };
        let parts = self.devices.iter();
        let parts = parts.filter(|part| holders.iter().any(|holder| is_of(part, holder)));
        holders.iter().copied().chain(parts).collect()
    }

    /// Whether the device of this name is an array or a volume, which keeps those under it from being opened.
    pub(super) fn is_holder(&self, name: &str) -> bool {
        self.listed(name).is_some_and(is_holder)
    }

    /// Names of what will be taken apart of this device: what lies on it, or the device itself.
    pub(super) fn taken_apart_of(&self, name: &str) -> Vec<&str> {
        let Some(device) = self.listed(name) else {
            return Vec::new();
        };
        self.stack()
            .with_what_lies_on(device)
            .into_iter()
            .filter(|part| self.taken_apart.contains(&part.kname))
            .filter(|part| is_holder(part) || part.kname == device.kname)
            .map(|part| part.device.name.as_str())
            .collect()
    }

    /// The verdict about this device at this moment.
    pub(super) fn verdict_now(&self, root: &Root, name: &str) -> Verdict {
        match self.look_again(root) {
            Ok(look) => look.verdict(name),
            Err(error) => Verdict::Refuse(error),
        }
    }

    /// All devices, listed anew: something can have been mounted, assembled or exchanged since the survey,
    /// and what lies on a device is found with the others only.
    pub(super) fn look_again(&self, root: &Root) -> Result<SecondLook<'_>, EraseError> {
        let now = self.renewed(root)?;
        Ok(SecondLook { then: self, now })
    }

    fn renewed(&self, root: &Root) -> Result<Self, EraseError> {
        let devices = all_devices(root)?;
        Ok(Self {
            policy: self.policy,
            mounts: mounts(root, &devices),
            devices,
            contents: Arc::clone(&self.contents),
            from_virtual_media: self.from_virtual_media,
            spared: self.spared.clone(),
            spared_arrays: self.spared_arrays.clone(),
            taken_apart: BTreeSet::new(),
        })
    }

    /// Whether the device of this name is one and the same in both surveys: kernel names are given anew
    /// where disks come and go. udev can have learnt of a serial number in between.
    fn is_same(&self, now: &Self, name: &str) -> bool {
        // Each source spells a disk in its own way, and not all of them need answer each time.
        let differ = |then: &[String], now: &[String]| {
            !then.is_empty() && !now.is_empty() && !then.iter().any(|mark| now.contains(mark))
        };
        match (self.listed(name), now.listed(name)) {
            (None, None) => true,
            (Some(then), Some(now)) => {
                let is_other = matches!(
                    (then.diskseq, now.diskseq),
                    (Some(then), Some(now)) if then != now
                );
                let (then, now) = (&then.device, &now.device);
                !is_other
                    && then.size == now.size
                    && !differ(&then.all_serials, &now.all_serials)
                    && !differ(&then.all_wwns, &now.all_wwns)
            }
            _ => false,
        }
    }

    /// What tells the device of this name from others, in words.
    fn marks(&self, name: &str) -> String {
        let Some(listed) = self.listed(name) else {
            return "no device".to_owned();
        };
        let device = &listed.device;
        let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "none".to_owned());
        format!(
            "a device of {} bytes, serial number {}, WWN {}{}",
            device.size,
            or_none(&device.serial),
            or_none(&device.wwn),
            match listed.diskseq {
                Some(number) => format!(", the kernel's disk {number}"),
                None => String::new(),
            }
        )
    }

    fn listed(&self, name: &str) -> Option<&ListedDevice> {
        self.stack().device(name)
    }

    fn stack(&self) -> Stack<'_> {
        Stack(&self.devices)
    }

    /// What has to be taken apart before these devices can be erased whole, what lies on top first:
    /// running arrays, and volumes of the device mapper but for multipath maps, which are disks.
    ///
    /// Nothing of a device that is not among them or must not be touched.
    pub(super) fn in_the_way(&self, names: &BTreeSet<&str>) -> Vec<&ListedDevice> {
        let found = self
            .devices
            .iter()
            .filter(|holder| self.is_to_go(holder))
            .filter(|holder| {
                let disks = self.stack().with_what_carries(holder).into_iter();
                let mut disks = disks
                    .filter(|carrier| carrier.parents.is_empty())
                    .peekable();
                disks.peek().is_some()
                    && disks.all(|disk| {
                        names.contains(disk.device.name.as_str()) || self.is_path(disk, names)
                    })
            })
            .collect();
        self.stack().top_first(found)
    }

    /// What is to happen to the device of this name.
    ///
    /// A device that the kernel does not list is a vendor's own; its manager knows it.
    pub(super) fn verdict(&self, name: &str) -> Verdict {
        if !self.policy.may_destroy {
            return Verdict::Refuse(EraseError::NotInRamdisk {
                device: name.to_owned(),
            });
        }
        let Some(device) = self.listed(name) else {
            return Verdict::Erase;
        };
        if let Some(reason) = device.firmware_memory() {
            return Verdict::Skip(reason.to_owned());
        }
        if self.is_virtual_media(device) {
            return Verdict::Skip("it is virtual media".to_owned());
        }
        let parts = self.stack().with_what_lies_on(device);
        if let Some(refusal) = self.mounted(device, &parts) {
            return Verdict::Refuse(refusal);
        }
        let member = self.raid_member(device, &parts);
        if let Some(verdict @ (Verdict::Skip(_) | Verdict::Refuse(_))) = member {
            return verdict;
        }
        if device.read_only {
            return match self.policy.read_only {
                ReadOnly::Skip => Verdict::Skip("it is read-only".to_owned()),
                ReadOnly::Fail => Verdict::Refuse(EraseError::ReadOnly {
                    device: name.to_owned(),
                }),
            };
        }
        if self.policy.guard_special_filesystems
            && let Some(what) = parts.iter().find_map(|device| self.shared(device))
        {
            return Verdict::Refuse(EraseError::Protected {
                device: name.to_owned(),
                what: what.to_owned(),
            });
        }
        // An array that stays has its own turn, and so has what lies on it alone.
        let parts = self
            .stack()
            .with_what_lies_on_but(device, |other| self.is_kept(other));
        let holders: Vec<&str> = parts
            .iter()
            .filter(|holder| is_holder(holder) && holder.device.name != name)
            .filter(|holder| !self.taken_apart.contains(&holder.kname))
            .map(|holder| holder.kname.as_str())
            .collect();
        if !holders.is_empty() {
            return Verdict::Refuse(EraseError::Held {
                device: name.to_owned(),
                holders: holders.join(", "),
            });
        }
        member.unwrap_or(Verdict::Erase)
    }

    /// Whether this is a path of a multipath map that is among these.
    fn is_path(&self, disk: &ListedDevice, names: &BTreeSet<&str>) -> bool {
        disk.multipath_member
            && self.devices.iter().any(|map| {
                map.parents.contains(&disk.kname) && names.contains(map.device.name.as_str())
            })
    }

    /// Whether this is to be taken apart, if all that it lies on is to be erased.
    fn is_to_go(&self, holder: &ListedDevice) -> bool {
        is_holder(holder)
            && !self.is_kept(holder)
            && !self
                .stack()
                .with_what_lies_on(holder)
                .iter()
                .chain(&self.stack().with_what_carries(holder))
                .any(|device| self.spared.contains(&device.kname))
    }

    fn mounted(&self, device: &ListedDevice, parts: &[&ListedDevice]) -> Option<EraseError> {
        parts.iter().find_map(|part| {
            let place = self.mounts.get(&part.kname)?;
            Some(EraseError::Mounted {
                device: device.device.name.clone(),
                part: part.device.name.clone(),
                place: place.clone(),
            })
        })
    }

    fn shared(&self, device: &ListedDevice) -> Option<&'static str> {
        shared_file_system::among(&(self.contents)(device))
    }

    fn is_virtual_media(&self, device: &ListedDevice) -> bool {
        let labels = || {
            let parts = self.stack().with_what_lies_on(device).into_iter();
            parts
                .filter_map(|part| (self.contents)(part).label)
                .collect()
        };
        virtual_media::is_medium(device, self.from_virtual_media, labels)
    }
}

/// Where devices are mounted or used for swap.
fn mounts(root: &Root, devices: &[ListedDevice]) -> BTreeMap<String, String> {
    let place = |used| match used {
        Use::Mount(place) => place,
        Use::Swap => "swap".to_owned(),
    };
    let uses = uses(root, devices).into_iter();
    uses.map(|(kname, used)| (kname, place(used))).collect()
}

#[cfg(test)]
mod tests;
