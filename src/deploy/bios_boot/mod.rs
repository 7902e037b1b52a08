//! Making a partition image bootable by BIOS, by its own GRUB and without running any of it.
//!
//! The reference runs the image's `grub-install` as root in a chroot, which is off since CVE-2026-43003. That
//! program puts together what lies in the image as files, and so do we: it is data here and code
//! only once the machine boots it, by which time it is the tenant's.

mod core_image;
mod embedding;
mod error;
#[cfg(any(test, fuzzing))]
pub(super) mod fuzzing;
mod grub_device;
mod grub_files;
mod kernel_image;
mod known_features;
mod module_list;
mod trees;

use farrier_plugin::Context;
use tracing::info;

use self::core_image::{CoreImage, Parts};
pub(super) use self::error::BiosBootError;
pub(super) use self::grub_device::{GrubArray, GrubDevice, TableKind};
use self::grub_files::GrubFiles;
use self::module_list::ModuleList;
use self::trees::Trees;
use super::image_boot::file_tree::FileTree;
use super::image_boot::grub;
use super::image_root::ImageRoot;
use super::image_tree::{Access, ImageTree};
use crate::block::table::Table;
use crate::sys::block_device::{DiskError, Medium};

/// What makes a disk boot: of one image, and for as many disks as that lies on.
#[derive(Debug)]
pub(super) struct BootFiles {
    core: CoreImage,
    boot: Vec<u8>,
}

/// Whether a BIOS would boot from this disk, and where GRUB would lie on it: asked before the image is
/// touched.
///
/// # Errors
/// There is no place for GRUB, or no BIOS reads it.
pub(super) fn check(medium: &dyn Medium, table: &Table) -> Result<(), BiosBootError> {
    embedding::room(medium, table).map(drop)
}

/// Have a BIOS start nothing on this disk. Its table and all else stay.
pub(super) fn blank(medium: &dyn Medium) -> Result<(), DiskError> {
    embedding::blank(medium)
}

/// What there is of GRUB on the partition of an image.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Found {
    /// Its files for a BIOS, as packages lay them: it is a root file system.
    pub(super) files: bool,
    /// A menu in `/boot`.
    pub(super) menu: bool,
    /// A menu where it is once this is mounted at `/boot`.
    pub(super) is_boot: bool,
}

impl Found {
    /// Look into this partition.
    pub(super) fn on(partition: &str, context: &dyn Context) -> Result<Self, BiosBootError> {
        let mut image = ImageTree::open(partition, Access::ReadOnly, context)?;
        let found = Self::of(&mut image)?;
        image.close()?;
        Ok(found)
    }

    fn of(image: &mut dyn FileTree) -> Result<Self, BiosBootError> {
        Ok(Self {
            files: GrubFiles::is_in(image)?,
            menu: grub::Directory::with_menu(image, "/boot")?.is_some(),
            is_boot: grub::Directory::with_menu(image, "")?.is_some(),
        })
    }
}

/// That an image has none.
pub(super) fn no_grub() -> BiosBootError {
    GrubFiles::none()
}

/// A disk that is to boot, with its table.
pub(super) struct BootDisk<'a> {
    /// Its name, for messages: `/dev/sda`.
    pub(super) name: &'a str,
    pub(super) medium: &'a dyn Medium,
    pub(super) table: &'a Table,
}

impl BootFiles {
    /// Take them from the image on this partition (`/dev/sda2`), that is this root, and have the
    /// image ready to be booted by them: GRUB's modules in its `/boot/grub`, and a menu. Nobody may have the
    /// partition open.
    ///
    /// # Errors
    /// The image has no GRUB, or none that is whole, or no kernel; its file system cannot be mounted, read or
    /// written.
    pub(super) fn of_image(
        partition: &str,
        root: &ImageRoot,
        device: &GrubDevice,
        context: &dyn Context,
    ) -> Result<Self, BiosBootError> {
        if std::env::consts::ARCH != "x86_64" {
            return Err(BiosBootError::NoBios {
                machine: std::env::consts::ARCH,
            });
        }
        let mut image = ImageTree::open(partition, Access::Writable, context)?;
        let kind = image.kind();
        let files = Self::take(&mut image, (kind, root.features), &root.uuid, device)?;
        // What they lead to is on the medium before any of them is.
        image.close()?;
        Ok(files)
    }

    /// The same of an image whose `/boot` is a partition of its own (`boot`, with its path), which is the one that GRUB
    /// reads: the device is that of this.
    ///
    /// # Errors
    /// As for one partition; no kernel is looked for, since there is a menu.
    pub(super) fn of_image_with_boot(
        partition: &str,
        (boot_partition, boot): (&str, &ImageRoot),
        device: &GrubDevice,
        context: &dyn Context,
    ) -> Result<Self, BiosBootError> {
        let mut image = ImageTree::open(partition, Access::ReadOnly, context)?;
        let mut boot_tree = ImageTree::open(boot_partition, Access::Writable, context)?;
        let kind = boot_tree.kind();
        let trees = Trees {
            image: &mut image,
            boot: Some(&mut boot_tree),
        };
        let files = Self::take_from(trees, (kind, boot.features), &boot.uuid, device)?;
        boot_tree.close()?;
        image.close()?;
        Ok(files)
    }

    fn take(
        image: &mut dyn FileTree,
        file_system: (&'static str, u32),
        root_uuid: &str,
        device: &GrubDevice,
    ) -> Result<Self, BiosBootError> {
        let trees = Trees { image, boot: None };
        Self::take_from(trees, file_system, root_uuid, device)
    }

    fn take_from(
        mut trees: Trees<'_>,
        (file_system, features): (&'static str, u32),
        root_uuid: &str,
        device: &GrubDevice,
    ) -> Result<Self, BiosBootError> {
        let image = &mut *trees.image;
        let module = match file_system {
            "ext4" => "ext2",
            "xfs" => "xfs",
            "btrfs" => "btrfs",
            kind => return Err(BiosBootError::FileSystem { kind }),
        };
        let files = GrubFiles::find(image)?;
        let damaged = |name: &str, reason: String| BiosBootError::Damaged {
            path: format!("{}/{name}", files.directory()),
            reason,
        };
        let boot = files.read(image, "boot.img")?;
        if !embedding::is_boot_sector(&boot) {
            return Err(damaged("boot.img", "it is no boot sector".to_owned()));
        }
        let list = files.read(image, "moddep.lst")?;
        let list = ModuleList::parse(&list).map_err(|reason| damaged("moddep.lst", reason))?;
        let mut wanted = vec![module];
        wanted.extend(device.modules());
        wanted.push("biosdisk");
        let mut modules = Vec::new();
        for name in list.closure(&wanted) {
            let content = files.read(image, &format!("{name}.mod"))?;
            if name == module
                && let Some(features) = known_features::unknown(file_system, &content, features)
            {
                return Err(BiosBootError::Features {
                    kind: file_system,
                    features,
                });
            }
            modules.push(content);
            if modules.iter().map(Vec::len).sum::<usize>() > core_image::LARGEST_CONTENT {
                return Err(damaged("moddep.lst", format!("{module} needs too much")));
            }
        }
        let directory = match &mut trees.boot {
            None => grub::Directory::of(image)?,
            Some(boot) => grub::Directory::with_menu(&mut **boot, "")?.ok_or_else(|| {
                damaged(
                    "grub.cfg",
                    "there is none in the partition for /boot".to_owned(),
                )
            })?,
        };
        let path = match trees.boot {
            None => directory.path(),
            Some(_) => directory.below_boot(),
        };
        let prefix = format!("{device}{path}");
        let core = Parts {
            directory: files.directory(),
            disk_boot: &files.read(image, "diskboot.img")?,
            decompressor: &files.read(image, "lzma_decompress.img")?,
            kernel: &files.read(image, "kernel.img")?,
            modules: &modules,
            prefix: &prefix,
        }
        .compose()?;
        files.put_in_place(&mut trees, path)?;
        if trees.boot.is_none() {
            grub::ensure_menu(trees.image, directory, root_uuid)?;
        }
        info!(
            prefix,
            modules = modules.len(),
            bytes = core.size(),
            "GRUB composed from the image's files"
        );
        Ok(Self { core, boot })
    }

    /// Put them onto this disk, which has this table.
    ///
    /// # Errors
    /// There is no room for them, or the disk fails. It does not boot then.
    pub(super) fn install(&self, medium: &dyn Medium, table: &Table) -> Result<(), BiosBootError> {
        let disk = BootDisk {
            name: "",
            medium,
            table,
        };
        self.install_on_all(&[disk])
            .map_err(|mut failures| failures.swap_remove(0).1)
    }

    /// Put them onto these disks, each of which then boots by itself. None does before the core image is on all of
    /// them, so that what is reported as failed is not half of it started.
    ///
    /// # Errors
    /// Each disk that failed, at least one, with the reason: no core image is on it, and then none of the disks boots;
    /// or no boot sector, where only the others do.
    pub(super) fn install_on_all<'a>(
        &self,
        disks: &[BootDisk<'a>],
    ) -> Result<(), Vec<(&'a str, BiosBootError)>> {
        let failures = |step: &dyn Fn(&BootDisk<'_>) -> Result<(), BiosBootError>| {
            let failed = |disk: &BootDisk<'a>| Some((disk.name, step(disk).err()?));
            let failures: Vec<_> = disks.iter().filter_map(failed).collect();
            if failures.is_empty() {
                Ok(())
            } else {
                Err(failures)
            }
        };
        // Nowhere anything is written before all have room.
        failures(&|disk| embedding::room_for(disk.medium, disk.table, &self.core).map(drop))?;
        failures(&|disk| Ok(embedding::blank(disk.medium)?))?;
        failures(&|disk| embedding::put_core(disk.medium, disk.table, &self.core))?;
        failures(&|disk| embedding::put_boot_code(disk.medium, disk.table, &self.core, &self.boot))
    }
}

#[cfg(test)]
impl BootFiles {
    /// Of an image that boots nothing.
    pub(super) fn fixture() -> Self {
        tests::take(&mut tests::image()).unwrap()
    }
}

#[cfg(test)]
mod tests;
