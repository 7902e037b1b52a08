//! `skip_block_devices`: devices that a node's owner wants left alone (contract/data-plane 2.4).

use std::collections::BTreeSet;

use farrier_plugin::{BlockDevice, Node};
use serde_json::Value;

use crate::block::hint_expression::ExpressionError;
use crate::block::hints::{HintError, InvalidHints, RootDeviceHints};
use crate::block::list::{BlockError, ListedDevice, all_devices};
use crate::block::raid_name::RaidName;
use crate::block::raid_verdict::{Claim, RaidVerdict, verdicts};
use crate::sys::root::Root;

/// What the devices are listed for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Purpose {
    /// To choose the root device, or to erase whole devices.
    WholeDevices,
    /// To erase metadata: arrays that share their disks with a protected one stay too.
    Metadata,
}

/// The devices that a node names in `properties.skip_block_devices`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct SkipList {
    hints: Vec<RootDeviceHints>,
    /// Devices that a hardware manager protects.
    names: BTreeSet<String>,
    volume_names: BTreeSet<String>,
}

/// Why the skip list could not be applied. Nothing may be erased then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum SkipError {
    /// The list itself is wrong.
    #[error("The node's skip_block_devices cannot be used. {0}")]
    Invalid(InvalidHints),
    /// The devices could not be listed.
    #[error(transparent)]
    Block(#[from] BlockError),
    /// An array could be one of the protected ones.
    #[error(
        "The node's skip_block_devices protects arrays by name, but the name of {device} cannot be \
         read from any of its members; repair or remove the array by hand"
    )]
    UnreadableArray {
        /// The array.
        device: String,
    },
}

impl SkipList {
    /// The node's list; an absent one is empty. Anything that is not a list of hint objects is an
    /// error: a device that was meant to be protected must not be erased because of a typing error.
    pub(crate) fn from_node(node: &Node) -> Result<Self, SkipError> {
        let Some(value) = node.field("properties", "skip_block_devices") else {
            return Ok(Self::default());
        };
        let mut list = Self::default();
        let entries = value.as_array().ok_or_else(|| not_a_list(value))?;
        for entry in entries {
            match entry.get("volume_name") {
                Some(Value::String(name)) => {
                    list.volume_names.insert(name.clone());
                }
                Some(name) => {
                    return Err(SkipError::Invalid(InvalidHints {
                        hints: entry.to_string(),
                        reason: HintError::Expression(ExpressionError::NotAString {
                            hint: "volume_name".to_owned(),
                            value: name.to_string(),
                        }),
                    }));
                }
                None => list
                    .hints
                    .push(RootDeviceHints::parse(entry).map_err(SkipError::Invalid)?),
            }
        }
        Ok(list)
    }

    /// Skip the devices of these names, too.
    pub(crate) fn add_devices(&mut self, names: impl IntoIterator<Item = String>) {
        self.names.extend(names);
    }

    /// Skip the software RAID volumes of these names, too.
    pub(crate) fn add_volumes(&mut self, names: impl IntoIterator<Item = String>) {
        self.volume_names.extend(names);
    }

    /// Whether nothing is to be skipped.
    pub(crate) fn is_empty(&self) -> bool {
        self.hints.is_empty() && self.names.is_empty() && self.volume_names.is_empty()
    }

    /// Whether a software RAID volume of this name, without a host, is protected.
    pub(crate) fn protects_volume(&self, name: &str) -> bool {
        self.volume_names.contains(name)
    }

    /// The names of software RAID volumes that are protected.
    pub(crate) fn volume_names(&self) -> impl Iterator<Item = &str> {
        self.volume_names.iter().map(String::as_str)
    }

    /// These devices without the skipped ones.
    ///
    /// What a skipped device holds and what lies on it is skipped with it, which goes beyond the
    /// reference: it would erase `/dev/sda1` of a skipped `/dev/sda`, and deploy onto a disk with a
    /// member of a protected array.
    pub(crate) fn retain(
        &self,
        root: &Root,
        devices: Vec<BlockDevice>,
        purpose: Purpose,
    ) -> Result<Vec<BlockDevice>, SkipError> {
        if self.is_empty() {
            return Ok(devices);
        }
        let all = all_devices(root)?;
        let skipped = self.skipped(&all, purpose)?;
        let skipped: BTreeSet<&str> = all
            .iter()
            .filter(|device| skipped.contains(device.kname.as_str()))
            .map(|device| device.device.name.as_str())
            .collect();
        Ok(devices
            .into_iter()
            .filter(|device| !skipped.contains(device.name.as_str()))
            // A device that another manager lists and the kernel does not.
            .filter(|device| !self.hints.iter().any(|hints| hints.matches(device)))
            .filter(|device| !self.names.contains(&device.name))
            .collect())
    }

    /// Kernel names of these devices that this list protects, for whole devices.
    pub(crate) fn protected(&self, all: &[ListedDevice]) -> Result<BTreeSet<String>, SkipError> {
        let skipped = self.skipped(all, Purpose::WholeDevices)?;
        Ok(skipped.into_iter().map(str::to_owned).collect())
    }

    /// Kernel names of all devices that this list protects.
    fn skipped<'a>(
        &self,
        all: &'a [ListedDevice],
        purpose: Purpose,
    ) -> Result<BTreeSet<&'a str>, SkipError> {
        let tree = Tree(all);
        let mut named: BTreeSet<&str> = all
            .iter()
            .filter(|device| self.names(device))
            .map(|device| device.kname.as_str())
            .collect();
        let mut shared = BTreeSet::new();
        if !self.volume_names.is_empty() {
            let (kept, wiped) = self.sort_arrays(&tree)?;
            named.extend(kept);
            shared = wiped;
        }
        let mut skipped = BTreeSet::new();
        for kname in named {
            skipped.extend(tree.below(kname));
            skipped.extend(tree.above(kname));
        }
        if purpose == Purpose::Metadata {
            skipped.extend(shared);
        }
        Ok(skipped)
    }

    /// Whether a hint object names this device.
    ///
    /// A partition is named only by what is its own, since size, model and all other properties
    /// are meant for disks.
    fn names(&self, device: &ListedDevice) -> bool {
        self.names.contains(&device.device.name)
            || self
                .hints
                .iter()
                .filter(|hints| device.kind != "part" || hints.names_one_device())
                .any(|hints| hints.matches(&device.device))
    }

    /// The arrays whose name is protected, and those that share a disk with one of these.
    fn sort_arrays<'a>(
        &self,
        tree: &Tree<'a>,
    ) -> Result<(BTreeSet<&'a str>, BTreeSet<&'a str>), SkipError> {
        let mut arrays = Vec::new();
        let mut claims = Vec::new();
        for device in tree.0 {
            let name = match &device.raid_name {
                RaidName::None if is_array(device) => None,
                RaidName::None => continue,
                RaidName::Unreadable => {
                    return Err(SkipError::UnreadableArray {
                        device: device.device.name.clone(),
                    });
                }
                RaidName::Known(name) => Some(name.as_str()),
            };
            arrays.push(device.kname.as_str());
            claims.push(Claim {
                name,
                is_kept: name.is_some_and(|name| self.protects_volume(name)),
                on: tree.above(&device.kname),
            });
        }
        let of = |wanted| {
            let verdicts = verdicts(&claims);
            let judged = arrays.iter().copied().zip(verdicts);
            judged
                .filter(|(_, verdict)| *verdict == wanted)
                .map(|(kname, _)| kname)
                .collect()
        };
        Ok((of(RaidVerdict::Keep), of(RaidVerdict::Wipe)))
    }
}

/// These devices with everything that lies on them, by the names of the inventory: `/dev/sda` with
/// its partitions, and with the arrays that these are members of.
pub(crate) fn with_what_lies_on(
    all: &[ListedDevice],
    names: &BTreeSet<String>,
) -> BTreeSet<String> {
    let tree = Tree(all);
    let mut reached = BTreeSet::new();
    for device in all {
        if names.contains(&device.device.name) {
            reached.extend(tree.below(&device.kname));
        }
    }
    all.iter()
        .filter(|device| reached.contains(device.kname.as_str()))
        .map(|device| device.device.name.clone())
        .chain(names.iter().cloned())
        .collect()
}

fn is_array(device: &ListedDevice) -> bool {
    // The type is the level, which need not say RAID: `linear`, `md` for a broken array.
    device.kname.starts_with("md") && device.kind != "part"
}

/// All devices with what lies on what.
struct Tree<'a>(&'a [ListedDevice]);

impl<'a> Tree<'a> {
    /// The device and everything that it lies on: from a partition or an array up to the disks.
    fn above(&self, kname: &str) -> BTreeSet<&'a str> {
        self.reach(kname, |device, from| from.parents.contains(&device.kname))
    }

    /// The device and everything that lies on it: from a disk down to partitions and arrays.
    fn below(&self, kname: &str) -> BTreeSet<&'a str> {
        self.reach(kname, |device, from| device.parents.contains(&from.kname))
    }

    fn reach(
        &self,
        kname: &str,
        is_next: impl Fn(&ListedDevice, &ListedDevice) -> bool,
    ) -> BTreeSet<&'a str> {
        let mut reached = BTreeSet::new();
        let mut open: Vec<&ListedDevice> = self
            .0
            .iter()
            .filter(|device| device.kname == kname)
            .collect();
        while let Some(from) = open.pop() {
            if reached.insert(from.kname.as_str()) {
                open.extend(self.0.iter().filter(|device| is_next(device, from)));
            }
        }
        reached
    }
}

fn not_a_list(value: &Value) -> SkipError {
    SkipError::Invalid(InvalidHints {
        hints: value.to_string(),
        reason: HintError::NotAList,
    })
}

#[cfg(test)]
mod tests;
