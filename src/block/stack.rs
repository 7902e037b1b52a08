//! What lies on what: partitions on disks, arrays and volumes on these.

use std::cmp::Reverse;

use super::list::ListedDevice;

/// All devices of a machine, with what lies on what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stack<'a>(pub(crate) &'a [ListedDevice]);

impl<'a> Stack<'a> {
    /// The device of this name in the inventory: `/dev/sda`.
    pub(crate) fn device(self, name: &str) -> Option<&'a ListedDevice> {
        self.0.iter().find(|device| device.device.name == name)
    }

    /// The device and everything that lies on it: partitions, arrays, volumes.
    pub(crate) fn with_what_lies_on(self, device: &'a ListedDevice) -> Vec<&'a ListedDevice> {
        self.reached(device, |current, other| {
            other.parents.contains(&current.kname)
        })
    }

    /// The same without what `is_left_out` says, and what lies on nothing else.
    pub(crate) fn with_what_lies_on_but(
        self,
        device: &'a ListedDevice,
        is_left_out: impl Fn(&ListedDevice) -> bool,
    ) -> Vec<&'a ListedDevice> {
        self.reached(device, |current, other| {
            other.parents.contains(&current.kname) && !is_left_out(other)
        })
    }

    /// The device and everything that it lies on, down to disks.
    pub(crate) fn with_what_carries(self, device: &'a ListedDevice) -> Vec<&'a ListedDevice> {
        self.reached(device, |current, other| {
            current.parents.contains(&other.kname)
        })
    }

    /// These devices in the order in which they can be taken apart: what lies on something has more
    /// beneath it, and comes first.
    pub(crate) fn top_first(self, mut devices: Vec<&'a ListedDevice>) -> Vec<&'a ListedDevice> {
        devices.sort_by_cached_key(|device| Reverse(self.with_what_carries(device).len()));
        devices
    }

    /// The device and all others that are reached from it by this step from one to the next.
    fn reached(
        self,
        device: &'a ListedDevice,
        is_next: impl Fn(&ListedDevice, &ListedDevice) -> bool,
    ) -> Vec<&'a ListedDevice> {
        let mut reached = vec![device];
        let mut next = 0;
        while let Some(current) = reached.get(next).copied() {
            next += 1;
            for other in self.0 {
                if is_next(current, other)
                    && !reached.iter().any(|known| known.kname == other.kname)
                {
                    reached.push(other);
                }
            }
        }
        reached
    }
}

/// Whether this is an array of software RAID that runs.
pub(crate) fn is_array(device: &ListedDevice) -> bool {
    // Where no array runs, the kernel can still have its empty device.
    device.kname.starts_with("md") && device.kind != "part" && !device.parents.is_empty()
}

/// Whether the kernel made this of other devices, and keeps these from being opened. A multipath map
/// is its disk.
pub(crate) fn is_holder(device: &ListedDevice) -> bool {
    is_array(device) || device.kname.starts_with("dm-") && device.kind != "mpath"
}
