//! The array that is a deploy's root device, with what is beside it on its disks.

use farrier_plugin::{Context, SilentContext, chain};

use super::super::bios_boot::{GrubArray, TableKind};
use super::error::RaidBootError;
use super::grub_place;
use super::held_loaders::HeldLoaders;
use super::holder::{self, Obstacle, Place};
use super::mirror::Mirror;
use crate::block::holders::kernel_name;
use crate::block::table::Table;
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

    /// Why a BIOS cannot be led to it, in words after its name; `None` where it can. Nothing is changed.
    pub(in crate::deploy) fn obstacle_for_bios(
        &self,
        root: &Root,
    ) -> Result<Option<String>, RaidBootError> {
        match self.known_to_grub(root, &SilentContext) {
            Ok(_) => Ok(None),
            Err(RaidBootError::NoRoom(why)) => Ok(Some(why)),
            Err(error) => Err(error),
        }
    }

    /// As GRUB on its disks finds it, all of which have a place for that.
    ///
    /// # Errors
    /// [`RaidBootError::NoRoom`] with all that is in the way.
    pub(super) fn known_to_grub(
        &self,
        root: &Root,
        context: &dyn Context,
    ) -> Result<GrubArray, RaidBootError> {
        let no_room = |Obstacle(why)| RaidBootError::NoRoom(why);
        let mut obstacles = Vec::new();
        let mut tables = Vec::new();
        for device in holder::disks(&self.array).map_err(no_room)? {
            let disk = match holder::open(root, device, context) {
                Ok(disk) => disk,
                Err(error) => {
                    obstacles.push(chain(&error));
                    continue;
                }
            };
            match grub_place::check(root, device, &disk) {
                Ok(()) => tables.extend(Table::read(&disk).map(|table| TableKind::of(&table))),
                Err(Obstacle(why)) => obstacles.push(why),
            }
        }
        let Array {
            uuid,
            level,
            metadata,
            ..
        } = &self.array;
        match GrubArray::of(uuid.as_deref(), *level, *metadata, &tables) {
            Ok(array) if obstacles.is_empty() => return Ok(array),
            Ok(_) => {}
            Err(why) => obstacles.insert(0, why),
        }
        Err(RaidBootError::NoRoom(obstacles.join("; ")))
    }

    /// The disks that hold members of it in partitions, by name.
    pub(in crate::deploy) fn disks(&self) -> Vec<&str> {
        let members = self.array.members.iter();
        let mut disks: Vec<&str> = members
            .filter(|member| member.partition.is_some())
            .map(|member| member.disk.as_str())
            .collect();
        disks.sort_unstable();
        disks.dedup();
        disks
    }

    /// What firmware boots it by, the mirror of EFI system partitions held for this process alone.
    pub(in crate::deploy) fn hold_loaders(
        &self,
        root: &Root,
        context: &dyn Context,
    ) -> Result<HeldLoaders, RaidBootError> {
        let found = Mirror::find(root, &self.all, &self.array);
        Ok(HeldLoaders {
            mirror: found.map(|mirror| mirror.open(root, context)).transpose()?,
            root: root.clone(),
            disks: self.disks().into_iter().map(str::to_owned).collect(),
        })
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
