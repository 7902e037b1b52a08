//! What an image's boot files lack to boot from a fresh EFI system partition: GRUB's way to the root, the
//! table that the boot entry is made of, the removable path, entries for systemd-boot.

use tracing::{info, warn};

use super::architecture::Architecture;
use super::distribution;
use super::error::ImageBootError;
use super::file_tree::{FileTree, Kind, small_file};
use super::grub::{self, Directory};
use super::kernels;
use super::plan::{Content, Plan, PlannedFile, Role};
use super::search::Found;
use crate::deploy::loaders;

/// Bytes of a table of loaders, of a configuration beside GRUB, of a boot loader entry.
const SMALL: usize = 64 * 1024;

/// Where firmware looks without a boot entry.
const REMOVABLE: &str = "EFI/BOOT";

/// Complete what was found, for the root file system with this UUID. Writes to the image only where GRUB
/// has no menu there.
pub(super) fn complete(
    image: &mut dyn FileTree,
    architecture: &Architecture,
    root_uuid: &str,
    found: Found,
) -> Result<Plan, ImageBootError> {
    let Found { plan, vendor, .. } = found;
    let mut completion = Completion {
        image,
        architecture,
        root_uuid,
        vendor,
        plan,
    };
    completion.tables()?;
    completion.removable();
    completion.grub()?;
    completion.systemd_boot()?;
    Ok(completion.plan)
}

struct Completion<'a> {
    image: &'a mut dyn FileTree,
    architecture: &'a Architecture,
    root_uuid: &'a str,
    vendor: String,
    plan: Plan,
}

/// The loader that a boot entry is to start.
struct First {
    folder: String,
    loader: PlannedFile,
    /// GRUB beside a shim.
    second: Option<PlannedFile>,
}

impl Completion<'_> {
    /// The folder with the best loader: a shim with GRUB before GRUB before systemd-boot, the
    /// distribution's own folder before others.
    fn first(&self) -> Option<First> {
        let mut folders = self.plan.folders();
        folders.retain(|folder| !folder.eq_ignore_ascii_case(REMOVABLE));
        folders.sort_by_key(|folder| !folder.eq_ignore_ascii_case(&format!("EFI/{}", self.vendor)));
        let in_folder = |folder: &String, role| self.plan.in_folder(folder, role).cloned();
        let with_shim = folders.iter().find_map(|folder| {
            let second = in_folder(folder, Role::Grub)?;
            Some(First {
                folder: folder.clone(),
                loader: in_folder(folder, Role::Shim)?,
                second: Some(second),
            })
        });
        let alone = |role| {
            folders.iter().find_map(|folder| {
                Some(First {
                    folder: folder.clone(),
                    loader: in_folder(folder, role)?,
                    second: None,
                })
            })
        };
        with_shim
            .or_else(|| alone(Role::Grub))
            .or_else(|| alone(Role::SystemdBoot))
    }

    /// Tables that lead to a loader stay, those that lead nowhere do not; where none is left, one is made.
    fn tables(&mut self) -> Result<(), ImageBootError> {
        let tables: Vec<PlannedFile> = self
            .plan
            .files()
            .iter()
            .filter(|file| file.is_table())
            .cloned()
            .collect();
        let mut has_table = false;
        for table in tables {
            let bytes = self.bytes(&table)?;
            let lines = bytes.map_or_else(Vec::new, |bytes| loaders::parse_table(&bytes));
            let leads = lines.iter().any(|line| {
                let path = format!("{}/{}", table.folder(), line.file);
                self.plan
                    .at(&path)
                    .is_some_and(|file| file.role != Role::Rest)
            });
            if leads {
                has_table = true;
            } else {
                warn!(
                    "the image's {} names no loader of the image: left out",
                    table.path
                );
                self.plan.drop(&table.path);
            }
        }
        let Some(first) = self.first().filter(|_| !has_table) else {
            return Ok(());
        };
        // A comma or a line's end in a folder's name would be one of the table's.
        let label = first.folder.rsplit('/').next().unwrap_or_default();
        let label = if distribution::is_folder_name(label) {
            label
        } else {
            "linux"
        };
        let line = format!(
            "{},{label},,This is the boot entry for {label}\n",
            first.loader.name()
        );
        self.plan.add(PlannedFile {
            path: format!("{}/{}", first.folder, self.architecture.table()),
            content: Content::Bytes(line.encode_utf16().flat_map(u16::to_le_bytes).collect()),
            role: Role::Rest,
        });
        Ok(())
    }

    /// The loader that firmware starts where its boot entry is lost, with what it starts beside it. Not
    /// shim's fallback: it makes boot entries anew and restarts the machine, and with GRUB beside it
    /// shim boots without either.
    fn removable(&mut self) {
        let path = format!("{REMOVABLE}/{}", self.architecture.removable());
        let first = self.first();
        let there = self.plan.at(&path).cloned();
        let copies = match (there, first) {
            (Some(there), Some(first)) => {
                // A shim with neither GRUB nor fallback beside it starts nothing.
                let starts_nothing = there.size() == first.loader.size()
                    && self.plan.in_folder(REMOVABLE, Role::Fallback).is_none()
                    && self.plan.in_folder(REMOVABLE, Role::Grub).is_none();
                if starts_nothing { Some(first) } else { None }
            }
            (None, first) => first,
            (Some(_), None) => None,
        };
        let Some(First {
            folder,
            loader,
            second,
        }) = copies
        else {
            if self.plan.at(&path).is_none()
                && let Some(kernel) = self.newest_unified_kernel()
            {
                info!("{} is at the removable path, too", kernel.path);
                self.plan.copy(&kernel, &path, Role::Removable);
            }
            return;
        };
        self.plan.copy(&loader, &path, Role::Removable);
        let key_manager = self.plan.in_folder(&folder, Role::KeyManager).cloned();
        for file in second.into_iter().chain(key_manager) {
            let to = format!("{REMOVABLE}/{}", file.name());
            let role = file.role;
            self.plan.copy(&file, &to, role);
        }
    }

    fn newest_unified_kernel(&self) -> Option<PlannedFile> {
        self.plan
            .files()
            .iter()
            .filter(|file| file.role == Role::UnifiedKernel)
            .max_by(|one, other| kernels::compare(one.name(), other.name()))
            .cloned()
    }

    /// Each GRUB finds the image's menu, and there is one.
    fn grub(&mut self) -> Result<(), ImageBootError> {
        if !self.plan.has(Role::Grub) {
            return Ok(());
        }
        let directory = Directory::of(self.image)?;
        let mut leads_to_menu = false;
        for folder in self.plan.folders() {
            if self.plan.in_folder(&folder, Role::Grub).is_none() {
                continue;
            }
            let path = format!("{folder}/grub.cfg");
            let there = self.plan.at(&path).cloned();
            if let Some(there) = there {
                let bytes = self.bytes(&there)?;
                if !bytes.is_some_and(|bytes| grub::leads_elsewhere(&bytes, self.root_uuid)) {
                    continue;
                }
                warn!(
                    "the image's {path} leads to another file system than the image's, {}: \
                     replaced",
                    self.root_uuid
                );
            }
            leads_to_menu = true;
            self.plan.put(PlannedFile {
                path,
                content: Content::Bytes(directory.stub(self.root_uuid).into_bytes()),
                role: Role::Rest,
            });
        }
        if leads_to_menu {
            grub::ensure_menu(self.image, directory, self.root_uuid)?;
        }
        Ok(())
    }

    /// systemd-boot starts what is on its own partition: the entries of the image's, else its newest
    /// kernel.
    fn systemd_boot(&mut self) -> Result<(), ImageBootError> {
        let is_needed = self.plan.has(Role::SystemdBoot)
            && !self.plan.has(Role::UnifiedKernel)
            && !self.plan.has(Role::Grub);
        if !is_needed {
            return Ok(());
        }
        for place in ["/boot/efi", "/efi", "/boot"] {
            if self.entries_of(place)? {
                return Ok(());
            }
        }
        let Some(kernel) = kernels::find(self.image)?.into_iter().next() else {
            return Err(ImageBootError::NoKernel {
                menu: "/boot/loader/entries".to_owned(),
            });
        };
        let command_line = kernels::command_line(self.image)?;
        let folder = format!("{}/{}", self.vendor, kernel.version);
        let mut entry = format!(
            "title Linux {version}\nversion {version}\nlinux /{folder}/linux\n",
            version = kernel.version
        );
        self.of_image(&kernel.path, &format!("{folder}/linux"))?;
        if let Some(initrd) = &kernel.initrd {
            self.of_image(initrd, &format!("{folder}/initrd"))?;
            entry.push_str(&format!("initrd /{folder}/initrd\n"));
        }
        entry.push_str(&format!(
            "options root=UUID={} ro {command_line}\n",
            self.root_uuid
        ));
        self.plan.add(PlannedFile {
            path: format!("loader/entries/{}-{}.conf", self.vendor, kernel.version),
            content: Content::Bytes(entry.into_bytes()),
            role: Role::Rest,
        });
        Ok(())
    }

    /// Plan the boot loader entries of this directory with the kernels that they name, as far as these are
    /// there. Whether there is one.
    fn entries_of(&mut self, place: &str) -> Result<bool, ImageBootError> {
        let mut has_entry = false;
        let folder = format!("{place}/loader/entries");
        for name in self.image.names(&folder)? {
            let path = format!("{folder}/{name}");
            let Some(entry) =
                small_file(self.image, &path, SMALL)?.filter(|_| name.ends_with(".conf"))
            else {
                continue;
            };
            let entry = String::from_utf8_lossy(&entry).into_owned();
            let mut is_whole = true;
            let mut files = Vec::new();
            for line in entry.lines() {
                let mut words = line.split_whitespace();
                if matches!(words.next(), Some("linux" | "initrd" | "efi")) {
                    for file in words {
                        let from = format!("{place}/{}", file.trim_start_matches('/'));
                        is_whole &= matches!(self.image.kind(&from)?, Some(Kind::File(_)))
                            && !from.contains("/../");
                        files.push((from, file.trim_start_matches('/').to_owned()));
                    }
                }
            }
            if files.is_empty() || !is_whole {
                warn!("the image's {path} names files that are not there: left out");
                continue;
            }
            for (from, to) in files {
                self.of_image(&from, &to)?;
            }
            self.of_image(&path, &format!("loader/entries/{name}"))?;
            has_entry = true;
        }
        if has_entry {
            self.of_image(&format!("{place}/loader/loader.conf"), "loader/loader.conf")?;
        }
        Ok(has_entry)
    }

    /// Plan a file of the image, where it is there.
    fn of_image(&mut self, from: &str, to: &str) -> Result<(), ImageBootError> {
        if let Some(Kind::File(size)) = self.image.kind(from)? {
            self.plan.add(PlannedFile {
                path: to.to_owned(),
                content: Content::OfImage {
                    path: from.to_owned(),
                    size,
                },
                role: Role::Rest,
            });
        }
        Ok(())
    }

    /// What a small file is to hold; `None` where it is not small.
    fn bytes(&mut self, file: &PlannedFile) -> Result<Option<Vec<u8>>, ImageBootError> {
        match &file.content {
            Content::Bytes(bytes) => Ok(Some(bytes.clone())),
            Content::OfImage { path, .. } => Ok(small_file(self.image, path, SMALL)?),
        }
    }
}
