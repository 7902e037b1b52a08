//! What uses the root device, and what of it must stay, as the kernel tells at one moment.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use tracing::{info, warn};

use crate::block::in_use::{Use, uses};
use crate::block::list::ListedDevice;
use crate::block::signatures::Contents;
use crate::block::skip::SkipList;
use crate::block::stack::{Stack, is_array, is_holder};
use crate::block::{shared_file_system, virtual_media};
use crate::deploy::error::DeployError;
use crate::sys::root::Root;
use crate::sys::{kernel_parameters, mount_table, run_files};

/// What must stay as it is, whichever disk an image goes to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Protected {
    /// What the node's owner or a hardware manager wants left alone.
    pub skipped: SkipList,
    /// Shared cluster file systems.
    pub shared_file_systems: bool,
    /// Arrays of software RAID: the node's own, by its RAID configuration.
    pub arrays: bool,
}

/// All devices around the root device, as they were at one moment.
pub(super) struct Survey<'a> {
    device: &'a ListedDevice,
    stack: Stack<'a>,
    uses: Vec<(String, Use)>,
    /// Files that are swapped to.
    swap_files: Vec<String>,
    /// Kernel names of what the skip list protects.
    spared: BTreeSet<String>,
    protected: &'a Protected,
    from_virtual_media: bool,
    contents: &'a dyn Fn(&ListedDevice) -> Contents,
}

/// What has to go before the root device can be written.
#[derive(Debug, Default)]
pub(super) struct InTheWay<'a> {
    /// In the order of mounting.
    pub(super) mounts: Vec<Mounted<'a>>,
    /// Nodes and files.
    pub(super) swaps: Vec<String>,
    /// What lies on top comes first.
    pub(super) holders: Vec<&'a ListedDevice>,
}

#[derive(Debug)]
pub(super) struct Mounted<'a> {
    pub(super) part: &'a ListedDevice,
    pub(super) place: String,
}

impl InTheWay<'_> {
    pub(super) fn is_empty(&self) -> bool {
        self.mounts.is_empty() && self.swaps.is_empty() && self.holders.is_empty()
    }
}

impl<'a> Survey<'a> {
    pub(super) fn of(
        root: &Root,
        devices: &'a [ListedDevice],
        kname: &str,
        protected: &'a Protected,
        contents: &'a dyn Fn(&ListedDevice) -> Contents,
    ) -> Result<Option<Self>, DeployError> {
        let Some(device) = devices.iter().find(|device| device.kname == kname) else {
            return Ok(None);
        };
        let spared = protected.skipped.protected(devices);
        let mut swap_files = mount_table::swaps(root);
        swap_files.retain(|name| !name.starts_with("/dev/"));
        Ok(Some(Self {
            device,
            stack: Stack(devices),
            uses: uses(root, devices),
            swap_files,
            spared: spared.map_err(|error| DeployError::RootProtected {
                device: device.device.name.clone(),
                why: error.to_string(),
            })?,
            protected,
            from_virtual_media: kernel_parameters::of_command_line(root).is_virtual_media_boot(),
            contents,
        }))
    }

    pub(super) fn name(&self) -> &'a str {
        &self.device.device.name
    }

    pub(super) fn purpose(&self) -> String {
        format!("so that an image can be written to {}", self.name())
    }

    /// Whether the root device itself may be written: what an erase leaves alone is left alone here too.
    pub(super) fn check(&self) -> Result<(), DeployError> {
        let why = self
            .reason(self.device)
            .or_else(|| self.device.read_only.then(|| "it is read-only".to_owned()))
            .or_else(|| self.array_to_stay())
            .or_else(|| self.idle_member());
        why.map_or(Ok(()), |why| {
            Err(DeployError::RootProtected {
                device: self.name().to_owned(),
                why,
            })
        })
    }

    /// Why this device, with all that lies on it, is to be left alone.
    fn reason(&self, device: &'a ListedDevice) -> Option<String> {
        if let Some(reason) = device.firmware_memory() {
            return Some(reason.to_owned());
        }
        let parts = self.stack.with_what_lies_on(device);
        let mut spared = parts.iter();
        if let Some(part) = spared.find(|part| self.spared.contains(&part.kname)) {
            const BY: &str = "skip_block_devices or a hardware manager protects";
            return Some(match part.kname == device.kname {
                true => format!("{BY} it"),
                false => format!(
                    "{BY} {}, which lies on it, or a disk under that",
                    part.device.name
                ),
            });
        }
        let labels = || {
            let contents = parts.iter().map(|part| (self.contents)(part));
            contents.filter_map(|found| found.label).collect()
        };
        if virtual_media::is_medium(device, self.from_virtual_media, labels) {
            return Some("it is virtual media".to_owned());
        }
        if !self.protected.shared_file_systems {
            return None;
        }
        let mut parts = parts.iter();
        let shared = parts.find_map(|part| shared_file_system::among(&(self.contents)(part)))?;
        Some(format!(
            "it holds a file system that other machines may be using ({shared}); to write over it, set \
             wipe_special_filesystems in the node's driver_info, or ipa-guard-special-filesystems"
        ))
    }

    /// The array that has to stay and that the root device is a member of, in words.
    fn array_to_stay(&self) -> Option<String> {
        if !self.protected.arrays {
            return None;
        }
        let mut parts = self.stack.with_what_lies_on(self.device).into_iter();
        let array = parts.find(|part| part.kname != self.device.kname && is_array(part))?;
        Some(format!(
            "it is a member of {}, which the node's RAID configuration keeps",
            array.device.name
        ))
    }

    /// What of the root device belongs to an array that does not run, where that may be one to keep: its name is not
    /// known. In words.
    fn idle_member(&self) -> Option<String> {
        let Protected {
            skipped, arrays, ..
        } = self.protected;
        if !arrays && skipped.volume_names().next().is_none() {
            return None;
        }
        let is_idle = |part: &&ListedDevice| {
            let mut on = self.stack.with_what_lies_on(part).into_iter();
            (self.contents)(part).kind.as_deref() == Some("linux_raid_member") && !on.any(is_array)
        };
        let mut parts = self.stack.with_what_lies_on(self.device).into_iter();
        let member = parts.find(is_idle)?;
        Some(format!(
            "{} is a member of an array that does not run, and skip_block_devices or the node's RAID \
             configuration protects arrays",
            member.device.name
        ))
    }

    /// What uses the root device; only what has it below itself.
    pub(super) fn in_the_way(&self) -> Result<InTheWay<'a>, DeployError> {
        let parts = self.stack.with_what_lies_on(self.device);
        let holders = parts.iter().copied().filter(|part| self.is_holder(part));
        let holders = self.stack.top_first(holders.collect());
        for holder in &holders {
            self.check_others(holder)?;
        }
        let mut found = InTheWay {
            holders,
            ..InTheWay::default()
        };
        let is_root = |used: &Use| *used == Use::Mount("/".to_owned());
        let from_memory = !self.uses.iter().any(|(_, used)| is_root(used));
        for (kname, used) in &self.uses {
            let Some(part) = parts.iter().copied().find(|part| part.kname == *kname) else {
                continue;
            };
            match used {
                Use::Swap => found.swaps.push(part.device.name.clone()),
                Use::Mount(place) => {
                    let mounted = Mounted {
                        part,
                        place: place.clone(),
                    };
                    self.check_mount(&mounted, from_memory)?;
                    found.mounts.push(mounted);
                }
            }
        }
        let is_in = |file: &&String| {
            let mut mounts = found.mounts.iter();
            mounts.any(|mounted| Path::new(file).starts_with(&mounted.place))
        };
        let files: Vec<String> = self.swap_files.iter().filter(is_in).cloned().collect();
        found.swaps.extend(files);
        Ok(found)
    }

    /// Whether this lies on the root device and keeps it from being opened. A multipath map is a disk of its own
    /// elsewhere; here it would write to the root device behind the image's back.
    fn is_holder(&self, part: &ListedDevice) -> bool {
        part.kname != self.device.kname && (is_holder(part) || part.kind == "mpath")
    }

    /// What else this lies on, beside the root device and what carries it.
    fn others(&self, part: &'a ListedDevice) -> Vec<&'a ListedDevice> {
        let on = self.stack.with_what_lies_on(self.device);
        let under = self.stack.with_what_carries(self.device);
        let own: BTreeSet<&str> = on
            .iter()
            .chain(&under)
            .map(|own| own.kname.as_str())
            .collect();
        let carriers = self.stack.with_what_carries(part).into_iter();
        carriers
            .filter(|carrier| !own.contains(carrier.kname.as_str()))
            .collect()
    }

    /// Whether nothing that this lies on beside the root device is protected.
    fn check_others(&self, holder: &'a ListedDevice) -> Result<(), DeployError> {
        let mut others = self.others(holder).into_iter();
        let found = others.find_map(|other| Some((other, self.reason(other)?)));
        found.map_or(Ok(()), |(other, why)| {
            Err(DeployError::HolderProtected {
                device: self.name().to_owned(),
                holder: holder.device.name.clone(),
                other: other.device.name.clone(),
                why,
            })
        })
    }

    fn check_mount(&self, mounted: &Mounted<'a>, from_memory: bool) -> Result<(), DeployError> {
        let others: Vec<&str> = self
            .uses
            .iter()
            .filter(|(_, used)| *used == Use::Mount(mounted.place.clone()))
            .filter_map(|(kname, _)| self.stack.0.iter().find(|device| device.kname == *kname))
            .flat_map(|device| self.others(device))
            .map(|other| other.device.name.as_str())
            .collect();
        let why = if !from_memory {
            "this machine does not run from memory, and what is mounted may be in use".to_owned()
        } else if is_own(&mounted.place) {
            "the agent runs from it".to_owned()
        } else if !others.is_empty() {
            // The last of its changes would be written there.
            format!("it lies on {} too; unmount it", others.join(", "))
        } else {
            return Ok(());
        };
        Err(self.mounted(mounted, why))
    }

    pub(super) fn mounted(&self, mounted: &Mounted<'_>, why: String) -> DeployError {
        DeployError::RootMounted {
            device: self.name().to_owned(),
            part: mounted.part.device.name.clone(),
            place: mounted.place.clone(),
            why,
        }
    }

    /// Name what is found, before any of it goes.
    pub(super) fn tell(&self, used: &InTheWay<'_>) {
        let root_device = self.name();
        for mounted in &used.mounts {
            let device = &mounted.part.device.name;
            info!(
                device,
                place = mounted.place,
                root_device,
                "is mounted on the root device"
            );
        }
        for device in &used.swaps {
            info!(device, root_device, "is swapped to on the root device");
        }
        for holder in &used.holders {
            let others: Vec<&str> = self
                .stack
                .0
                .iter()
                .find(|device| device.kname == holder.kname)
                .map(|holder| self.others(holder))
                .unwrap_or_default()
                .iter()
                .map(|other| other.device.name.as_str())
                .collect();
            let (device, kind) = (&holder.device.name, &holder.kind);
            if others.is_empty() {
                info!(device, kind, root_device, "lies on the root device");
                continue;
            }
            warn!(
                device,
                kind,
                root_device,
                others = others.join(", "),
                "lies on the root device and on others, which are not written to; what it holds is lost \
                 with the root device"
            );
        }
    }
}

/// Whether the agent needs what is mounted here.
fn is_own(place: &str) -> bool {
    let own = [
        std::env::current_exe().unwrap_or_default(),
        PathBuf::from(run_files::DIRECTORY),
    ];
    own.iter().any(|path| path.starts_with(place))
}
