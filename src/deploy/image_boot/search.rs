//! Finding an image's boot files.

use tracing::{info, warn};

use super::architecture::{Architecture, HEADER};
use super::distribution;
use super::error::ImageBootError;
use super::file_tree::{Failure, FileTree, Kind, is_file};
use super::grub;
use super::origins::{self, FOLDERS, KITS, Kit, SYSTEMD_BOOT, UNIFIED_KERNELS};
use super::plan::{Content, Plan, PlannedFile, Role};

/// Directories deeper than this are not entered.
const DEEPEST: usize = 8;

/// The most files that are taken; a crowded partition has a hundred.
const MOST_FILES: usize = 4096;

/// The most names that are looked at below one place. Links are followed, and a directory may have a hundred
/// that lead back to it: without a limit, as many more with each level.
const MOST_NAMES: usize = 4 * MOST_FILES;

/// The most paths that a pattern stands for; a system has some kernels, and a version or two of a loader.
const MOST_PATHS: usize = 256;

/// What was found.
pub(super) struct Found {
    /// The files.
    pub(super) plan: Plan,
    /// The folder below `EFI` that the distribution uses: `debian`.
    pub(super) vendor: String,
    /// Where they come from, for people.
    pub(super) from: String,
}

/// The image's boot files, from the first place that has a loader.
pub(super) fn find(
    image: &mut dyn FileTree,
    architecture: &Architecture,
) -> Result<Found, ImageBootError> {
    let vendor = distribution::folder(image)?;
    let mut search = Search {
        image,
        architecture,
        vendor,
        names_left: MOST_NAMES,
    };
    for pattern in FOLDERS {
        if let Some(found) = search.folder(pattern)? {
            return Ok(found);
        }
    }
    let [signed_kits @ .., unsigned_kit] = &KITS;
    for kit in signed_kits {
        if let Some(found) = search.kit(kit)? {
            return Ok(found);
        }
    }
    if let Some(found) = search.systemd()? {
        return Ok(found);
    }
    if let Some(found) = search.kit(unsigned_kit)? {
        return Ok(found);
    }
    search.nothing()
}

struct Search<'a> {
    image: &'a mut dyn FileTree,
    architecture: &'a Architecture,
    vendor: String,
    /// Names that are still looked at, below the place at hand.
    names_left: usize,
}

impl Search<'_> {
    /// The files of a folder `EFI`, if a loader is among them.
    fn folder(&mut self, pattern: &str) -> Result<Option<Found>, ImageBootError> {
        let mut plan = self.all_of(pattern)?;
        if !has_loader(&plan) {
            return Ok(None);
        }
        if pattern != FOLDERS[0] {
            // Settings that the image's owner left where they are expected.
            let kept = self.all_of(FOLDERS[0])?;
            for file in kept.files().iter().filter(|file| !is_program(file)) {
                plan.add(file.clone());
            }
        }
        if plan.has(Role::SystemdBoot) && !plan.has(Role::UnifiedKernel) {
            self.unified_kernels(&mut plan)?;
        }
        info!("the image's boot files are in {pattern}");
        Ok(Some(self.found(plan, pattern)))
    }

    /// All files below the directories that a pattern stands for.
    fn all_of(&mut self, pattern: &str) -> Result<Plan, ImageBootError> {
        let mut plan = Plan::default();
        self.names_left = MOST_NAMES;
        for place in expand(self.image, pattern)? {
            self.gather(&place, "EFI", 0, &mut plan)?;
        }
        Ok(plan)
    }

    /// All files below a directory.
    fn gather(
        &mut self,
        place: &str,
        path: &str,
        depth: usize,
        plan: &mut Plan,
    ) -> Result<(), ImageBootError> {
        for name in self.image.names(place)? {
            if plan.files().len() >= MOST_FILES || depth > DEEPEST || self.names_left == 0 {
                warn!("not all of {place} is copied: too many files, or directories too deep");
                return Ok(());
            }
            self.names_left -= 1;
            let from = format!("{place}/{name}");
            if !fits_fat(&name) {
                warn!("{from} is not copied: FAT has no such names");
                continue;
            }
            let to = format!("{path}/{name}");
            match self.image.kind(&from)? {
                Some(Kind::Directory) => self.gather(&from, &to, depth + 1, plan)?,
                Some(Kind::File(size)) => {
                    let file = self.planned(&from, size, &to)?;
                    plan.add(file);
                }
                Some(Kind::Other) | None => warn!("{from} is not copied: it is no file"),
            }
        }
        Ok(())
    }

    /// A file with its role. Its name says that only where its header says that it runs here.
    fn planned(&mut self, from: &str, size: u64, to: &str) -> Result<PlannedFile, Failure> {
        let mut role = Role::Rest;
        if to.to_lowercase().ends_with(".efi") {
            let start = self.image.read_at(from, 0, HEADER)?;
            if self.architecture.runs(&start) {
                role = Role::of(to, self.architecture);
            }
        }
        Ok(PlannedFile {
            path: to.to_owned(),
            content: Content::OfImage {
                path: from.to_owned(),
                size,
            },
            role,
        })
    }

    /// The files of a distribution's packages, put together as its own tools do.
    fn kit(&mut self, kit: &Kit) -> Result<Option<Found>, ImageBootError> {
        let (places, name) = kit.grub;
        let Some((grub, size)) = self.first(places)? else {
            return Ok(None);
        };
        let name = origins::of(name, self.architecture);
        // The folder that is built into GRUB is the one where it looks for its configuration.
        let vendor = grub::built_in_folder(self.image, &grub)?;
        let vendor = vendor.unwrap_or_else(|| self.vendor.clone());
        let folder = format!("EFI/{vendor}");
        let file = self.planned(&grub, size, &format!("{folder}/{name}"))?;
        if file.role != Role::Grub {
            return Ok(None);
        }
        self.vendor = vendor;
        let mut plan = Plan::default();
        plan.add(file);
        for (places, name) in kit.beside {
            if let Some((path, size)) = self.first(places)? {
                let name = origins::of(name, self.architecture);
                let file = self.planned(&path, size, &format!("{folder}/{name}"))?;
                plan.add(file);
            }
        }
        if !plan.has(Role::Shim) {
            warn!("the image has {grub} and no shim: it does not boot where Secure Boot is on");
        }
        info!("the image's boot files are put together from its packages: {grub}");
        Ok(Some(self.found(plan, &grub)))
    }

    /// systemd-boot from its package, unified kernels from theirs; either alone, or both.
    fn systemd(&mut self) -> Result<Option<Found>, ImageBootError> {
        let mut plan = Plan::default();
        self.unified_kernels(&mut plan)?;
        if let Some((path, size)) = self.first(&SYSTEMD_BOOT)? {
            let name = format!("systemd-boot{}.efi", self.architecture.suffix);
            let file = self.planned(&path, size, &format!("EFI/systemd/{name}"))?;
            if file.role == Role::SystemdBoot {
                plan.add(file);
            }
        }
        let Some(first) = plan.files().iter().find(|file| file.role != Role::Rest) else {
            return Ok(None);
        };
        info!(
            "the image's boot files are systemd-boot and unified kernels: {}",
            first.path
        );
        Ok(Some(self.found(plan, "/usr/lib")))
    }

    fn unified_kernels(&mut self, plan: &mut Plan) -> Result<(), ImageBootError> {
        for path in expand(self.image, UNIFIED_KERNELS)? {
            let mut parts = path.rsplit('/');
            let (name, version) = (parts.next().unwrap_or_default(), parts.next());
            let to = format!("EFI/Linux/{}-{name}", version.unwrap_or_default());
            if let Some(Kind::File(size)) = self.image.kind(&path)? {
                let file = self.planned(&path, size, &to)?;
                if file.role == Role::UnifiedKernel {
                    plan.add(file);
                }
            }
        }
        Ok(())
    }

    /// The first of these that is a file, with its size.
    fn first(&mut self, places: &[&str]) -> Result<Option<(String, u64)>, Failure> {
        for place in places {
            let path = origins::of(place, self.architecture);
            if let Some(Kind::File(size)) = self.image.kind(&path)? {
                return Ok(Some((path, size)));
            }
        }
        Ok(None)
    }

    fn found(&self, plan: Plan, from: &str) -> Found {
        Found {
            plan,
            vendor: self.vendor.clone(),
            from: from.to_owned(),
        }
    }

    /// Why there is nothing.
    fn nothing(&mut self) -> Result<Found, ImageBootError> {
        for pattern in FOLDERS {
            if self.all_of(pattern)?.has(Role::Shim) {
                return Err(ImageBootError::ShimAlone {
                    folder: pattern.to_owned(),
                });
            }
        }
        let shim = origins::of("/usr/lib/shim/shim{suffix}.efi.signed", self.architecture);
        if is_file(self.image, &shim)? {
            return Err(ImageBootError::ShimAlone { folder: shim });
        }
        Err(ImageBootError::NoLoader {
            machine: self.architecture.machine,
            places: origins::places(self.architecture),
            advice: origins::ADVICE,
        })
    }
}

/// Whether firmware could start a kernel or a menu by these files. A shim can not without GRUB, and is
/// also what stands at the removable path beside shim's fallback.
fn has_loader(plan: &Plan) -> bool {
    let is_shim = |file: &PlannedFile| {
        plan.in_folder(file.folder(), Role::Fallback).is_some()
            || plan
                .files()
                .iter()
                .any(|other| other.role == Role::Shim && other.size() == file.size())
    };
    plan.files().iter().any(|file| match file.role {
        Role::Grub | Role::SystemdBoot | Role::UnifiedKernel => true,
        Role::Removable => !is_shim(file),
        Role::Shim | Role::Fallback | Role::KeyManager | Role::Rest => false,
    })
}

fn is_program(file: &PlannedFile) -> bool {
    file.path.to_lowercase().ends_with(".efi")
}

/// The paths that a pattern of the tables stands for, in order: `*` is any name, `*.efi` any that ends
/// so.
pub(super) fn expand(image: &mut dyn FileTree, pattern: &str) -> Result<Vec<String>, Failure> {
    let mut paths = vec![String::new()];
    for part in pattern.split('/').skip(1) {
        let mut next = Vec::new();
        for path in paths {
            match part.strip_prefix('*') {
                None => next.push(format!("{path}/{part}")),
                Some(end) => next.extend(
                    image
                        .names(&path)?
                        .into_iter()
                        .filter(|name| name.ends_with(end))
                        .map(|name| format!("{path}/{name}"))
                        .take(MOST_PATHS),
                ),
            }
            next.truncate(MOST_PATHS);
        }
        paths = next;
    }
    Ok(paths)
}

/// Whether FAT takes this name.
fn fits_fat(name: &str) -> bool {
    !name.is_empty()
        && name.encode_utf16().count() <= 255
        && !name.ends_with(['.', ' '])
        && !name
            .chars()
            .any(|character| character.is_control() || "\"*/:<>?\\|\u{fffd}".contains(character))
}
