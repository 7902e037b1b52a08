//! The array that is a deploy's root device, with what is beside it on its disks.

use farrier_plugin::{Context, SilentContext};

use super::error::RaidBootError;
use super::holder::{self, Obstacle, Place};
use super::mirror::{HeldMirror, Mirror};
use crate::block::holders::kernel_name;
use crate::raid::{Array, arrays};
use crate::sys::root::Root;

/// An array that something is deployed to.
pub(in crate::deploy) struct RootArray {
    array: Array,
    all: Vec<Array>,
}

impl RootArray {
    /// `None` where the device is no array of Linux's own: those of firmware are disks to it.
    pub(in crate::deploy) fn of(root: &Root, device: &str) -> Result<Option<Self>, RaidBootError> {
        let is_array = |kname: &String| kname.starts_with("md");
        let Some(kname) = kernel_name(root, device).filter(is_array) else {
            return Ok(None);
        };
        let all = arrays(root)?;
        let array = all.iter().find(|array| array.kname == kname).cloned();
        Ok(array
            .filter(|array| {
                array
                    .metadata
                    .is_none_or(|metadata| !metadata.is_external())
            })
            .map(|array| Self { array, all }))
    }

    /// Its UUID as mdadm writes it, where its members tell it.
    pub(super) fn uuid(&self) -> Option<String> {
        self.array.uuid.clone()
    }

    /// Why firmware cannot be led to it by UEFI, in words after its name; `None` where it can. Nothing is changed.
    pub(in crate::deploy) fn obstacle(&self, root: &Root) -> Result<Option<String>, RaidBootError> {
        if Mirror::find(root, &self.all, &self.array).is_some() {
            return Ok(None);
        }
        let disks = match holder::disks(&self.array) {
            Ok(disks) => disks,
            Err(Obstacle(why)) => return Ok(Some(why)),
        };
        for device in disks {
            let disk = holder::open(root, device, &SilentContext)?;
            match holder::place(root, device, &disk) {
                Ok(Place::There(_) | Place::Free) => {}
                Err(Obstacle(why)) => return Ok(Some(why)),
            }
        }
        Ok(None)
    }

    /// The mirror, where it is there, held for this process alone.
    pub(in crate::deploy) fn hold_mirror(
        &self,
        root: &Root,
        context: &dyn Context,
    ) -> Result<HeldMirror, RaidBootError> {
        let found = Mirror::find(root, &self.all, &self.array);
        let held = found.map(|mirror| mirror.open(root, context)).transpose()?;
        Ok(HeldMirror(held))
    }

    /// The mirror, which is made where it is not there.
    pub(in crate::deploy) fn mirror(
        &self,
        root: &Root,
        context: &dyn Context,
    ) -> Result<Mirror, RaidBootError> {
        let mirror = match Mirror::find(root, &self.all, &self.array) {
            Some(mirror) => mirror,
            None => Mirror::make(root, &self.all, &self.array, context)?,
        };
        mirror.warn_of_disks_without(&self.array);
        Ok(mirror)
    }
}
