//! Which arrays of software RAID stay, and what that means for their members.

use super::{Guard, Verdict};
use crate::block::list::ListedDevice;
use crate::block::raid_name::without_host;
use crate::block::stack::is_array;
use crate::erase::error::EraseError;

impl Guard {
    /// A member of an array that is to stay is not erased as a whole: the array is, in its own right, and what lies on
    /// the disk beside it. In the reference the array alone is, every array that runs or not (contract/data-plane
    /// 7.4), so that what lies on the disks beside it survives every clean; here all others are stopped, and their
    /// members erased like any disk.
    pub(super) fn raid_member(
        &self,
        device: &ListedDevice,
        parts: &[&ListedDevice],
    ) -> Option<Verdict> {
        let not_running = |part: &str, array: &str| {
            Verdict::Refuse(EraseError::NotRunning {
                device: device.device.name.clone(),
                part: part.to_owned(),
                array: array.to_owned(),
            })
        };
        let arrays: Vec<&ListedDevice> = parts
            .iter()
            .copied()
            .filter(|part| part.kname != device.kname && self.is_kept(part))
            .collect();
        let beside = arrays.first().map(|first| {
            format!(
                "it is a member of {}, which is to stay; what lies on it beside the array is not erased",
                first.kname
            )
        });
        if let Some(reason) = &beside {
            if arrays.iter().any(|array| self.is_on_spared(array)) {
                return Some(Verdict::Skip(reason.clone()));
            }
            if let Some(idle) = arrays.iter().find(|array| self.is_idle(array)) {
                return Some(not_running(&device.device.name, &idle.device.name));
            }
        }
        self.idle_member(device, &arrays, not_running)
            .or(beside.map(Verdict::Beside))
    }

    /// What a member of an array that does not run makes of the device: that array can be one to stay, too. `kept` are
    /// the arrays that run and are to stay, with members on it.
    fn idle_member(
        &self,
        device: &ListedDevice,
        kept: &[&ListedDevice],
        not_running: impl Fn(&str, &str) -> Verdict,
    ) -> Option<Verdict> {
        if !self.policy.keep_idle_members {
            return None;
        }
        // What is on an array that stays is not touched. The end of a disk can be that of its last partition: what it
        // has there of an array that runs is no other's.
        let parts = self
            .stack()
            .with_what_lies_on_but(device, |other| self.is_kept(other));
        let is_of_kept = |part: &ListedDevice| {
            kept.iter().any(|array| array.parents.contains(&part.kname))
                || part.kname == device.kname && !kept.is_empty()
        };
        let members: Vec<(&ListedDevice, Option<String>)> = parts
            .into_iter()
            .filter(|part| !is_of_kept(part))
            .filter_map(|part| {
                let contents = (self.contents)(part);
                let is_member = contents.kind.as_deref() == Some("linux_raid_member");
                is_member.then_some((part, contents.label))
            })
            .collect();
        let name =
            |label: &Option<String>| label.as_deref().map(|label| without_host(label).to_owned());
        // A protected one is left out, whatever lies beside it.
        let spared = members
            .iter()
            .find_map(|(_, label)| name(label).filter(|name| self.spared_arrays.contains(name)));
        if let Some(name) = spared {
            return Some(Verdict::Skip(format!(
                "it is a member of the array {name}, which does not run, and skip_block_devices protects it"
            )));
        }
        if self.policy.keep_arrays {
            let (part, label) = members.first()?;
            let array =
                name(label).map_or("an array".to_owned(), |name| format!("the array {name}"));
            return Some(not_running(&part.device.name, &array));
        }
        members.iter().any(|(_, label)| label.is_none()).then(|| {
            Verdict::Skip(
                "it is a member of an array that does not run and has no name, and skip_block_devices protects arrays"
                    .to_owned(),
            )
        })
    }

    /// Whether this is an array that is to stay.
    pub(super) fn is_kept(&self, array: &ListedDevice) -> bool {
        is_array(array) && (self.policy.keep_arrays || self.is_on_spared(array))
    }

    fn is_on_spared(&self, array: &ListedDevice) -> bool {
        let carriers = self.stack().with_what_carries(array);
        carriers
            .iter()
            .any(|carrier| self.spared.contains(&carrier.kname))
    }

    /// Whether nothing can be read from this array: it lacks members, or was not started. Of a set of disks that
    /// firmware's arrays lie on these tell.
    fn is_idle(&self, array: &ListedDevice) -> bool {
        let is_of_set = |other: &ListedDevice| {
            other.device.size > 0
                && is_array(other)
                && other
                    .parents
                    .iter()
                    .any(|parent| array.parents.contains(parent))
        };
        array.device.size == 0 && !self.devices.iter().any(is_of_set)
    }
}
