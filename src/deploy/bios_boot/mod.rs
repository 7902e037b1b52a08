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
mod grub_files;
mod kernel_image;
mod known_features;
mod module_list;

use farrier_plugin::Context;
use tracing::info;

use self::core_image::{CoreImage, Parts};
pub(super) use self::error::BiosBootError;
use self::grub_files::GrubFiles;
use self::module_list::ModuleList;
use super::image_boot::file_tree::FileTree;
use super::image_boot::grub;
use super::image_root::ImageRoot;
use super::image_tree::{Access, ImageTree};
use crate::block::table::Table;
use crate::sys::block_device::Medium;

/// Where GRUB finds the image's file system, in its own words.
#[derive(Clone, Debug)]
pub(super) enum GrubDevice {
    /// A partition of the disk that the BIOS boots from, of this number.
    Partition {
        /// Whether the disk has a GPT.
        is_gpt: bool,
        /// The partition's number, as Linux counts.
        number: u32,
    },
}

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

impl GrubDevice {
    /// Its name in a path of GRUB's. The disk that the BIOS boots from is the one before the comma: no search
    /// that could find another disk with the same UUID.
    fn name(&self) -> String {
        match self {
            Self::Partition { is_gpt, number } => {
                let table = if *is_gpt { "gpt" } else { "msdos" };
                format!("(,{table}{number})")
            }
        }
    }

    /// The modules by which it is read.
    fn modules(&self) -> &'static [&'static str] {
        match self {
            Self::Partition { is_gpt: true, .. } => &["part_gpt"],
            Self::Partition { is_gpt: false, .. } => &["part_msdos"],
        }
    }
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

    fn take(
        image: &mut dyn FileTree,
        (file_system, features): (&'static str, u32),
        root_uuid: &str,
        device: &GrubDevice,
    ) -> Result<Self, BiosBootError> {
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
        let directory = grub::Directory::of(image)?;
        let prefix = format!("{}{}", device.name(), directory.path());
        let core = Parts {
            directory: files.directory(),
            disk_boot: &files.read(image, "diskboot.img")?,
            decompressor: &files.read(image, "lzma_decompress.img")?,
            kernel: &files.read(image, "kernel.img")?,
            modules: &modules,
            prefix: &prefix,
        }
        .compose()?;
        files.put_in_place(image, directory.path())?;
        grub::ensure_menu(image, directory, root_uuid)?;
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
        embedding::embed(medium, table, &self.core, &self.boot)
    }
}

#[cfg(test)]
mod tests;
