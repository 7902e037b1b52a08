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
        let mut arrays = parts
            .iter()
            .filter(|part| part.kname != device.kname && self.is_kept(part));
        if let Some(first) = arrays.clone().next() {
            let reason = format!(
                "it is a member of {}, which is to stay; what lies on it beside the array is not erased",
                first.kname
            );
            if arrays.clone().any(|array| self.is_on_spared(array)) {
                return Some(Verdict::Skip(reason));
            }
            return Some(match arrays.find(|array| self.is_idle(array)) {
                Some(idle) => not_running(&device.device.name, &idle.device.name),
                None => Verdict::Beside(reason),
            });
        }
        if !self.policy.keep_idle_members {
            return None;
        }
        // No array that runs and is to stay has any of these.
        let idle = parts.iter().find_map(|part| {
            let contents = (self.contents)(part);
            let is_member = contents.kind.as_deref() == Some("linux_raid_member");
            is_member.then_some((part, contents.label))
        });
        let (part, label) = idle?;
        let name = label.as_deref().map(without_host);
        match name {
            Some(name) if self.spared_arrays.contains(name) => Some(Verdict::Skip(format!(
                "it is a member of the array {name}, which does not run, and skip_block_devices protects it"
            ))),
            _ if self.policy.keep_arrays => {
                let array = name.map_or("an array".to_owned(), |name| format!("the array {name}"));
                Some(not_running(&part.device.name, &array))
            }
            None => Some(Verdict::Skip(
                "it is a member of an array that does not run and has no name, and skip_block_devices protects arrays"
                    .to_owned(),
            )),
            Some(_) => None,
        }
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
