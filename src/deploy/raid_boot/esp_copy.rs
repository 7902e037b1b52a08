//! The files of an image's EFI system partition, copied one by one (contract/data-plane 6.6).
//!
//! They are read by our own reader, since the file system comes from an image: what writes them mounts one of our own
//! making alone. Copying the file system's blocks instead would keep what is deleted in it, and its size.

use std::collections::BTreeSet;

use tracing::{info, warn};

use super::super::image_boot::architecture::{Architecture, HEADER};
use super::super::image_boot::file_tree::{Failure, FileTree};
use super::super::image_boot::fill::UNFINISHED;
use super::super::loaders::Loader;
use crate::block::fat::{Entry, Fat, FatError};

/// Directories deeper than this, and more files than this, are an error.
const DEEPEST: usize = 32;
const MOST: usize = 65_536;

/// Where firmware looks without a boot entry, in lower case.
const REMOVABLE: &str = "efi/boot";

/// What the mark that not all files are there says.
const EXPLANATION: &[u8] =
    b"The files of the EFI system partition were not all copied to this one.\r\n";

/// What is to be copied.
pub(super) struct EspCopy<'f, 'm> {
    fat: &'f Fat<'m>,
    directories: Vec<String>,
    files: Vec<File>,
}

/// A file and where it goes: `EFI/debian/shimx64.efi`.
#[derive(Clone, Debug)]
struct File {
    path: String,
    entry: Entry,
}

impl<'f, 'm> EspCopy<'f, 'm> {
    /// Everything on the partition, and, where nothing is at the removable path, the first of its loaders there.
    pub(super) fn of(fat: &'f Fat<'m>, loaders: &[Loader]) -> Result<Self, FatError> {
        let mut copy = Self {
            fat,
            directories: Vec::new(),
            files: Vec::new(),
        };
        copy.walk(fat.root()?, "", 0)?;
        // A name twice in one directory, which only a damaged one has: the first is what Linux finds.
        let mut seen = BTreeSet::new();
        copy.files
            .retain(|file| seen.insert(file.path.to_lowercase()));
        if let (Some(architecture), Some(loader)) =
            (Architecture::of_this_machine(), loaders.first())
        {
            copy.complete(&architecture, loader)?;
        }
        copy.files.sort_by_key(turn);
        Ok(copy)
    }

    /// Bytes of all files.
    pub(super) fn size(&self) -> u64 {
        let sizes = self.files.iter().map(|file| file.entry.size);
        sizes.fold(0, u64::saturating_add)
    }

    /// Write them, what firmware starts by itself last. As long as it is not done, a mark says so.
    pub(super) fn write(&self, esp: &mut dyn FileTree) -> Result<(), Failure> {
        esp.write(UNFINISHED, &mut &EXPLANATION[..])?;
        for directory in &self.directories {
            esp.make_directory(&format!("/{directory}"))?;
        }
        for file in &self.files {
            let mut content = self.fat.file(&file.entry);
            esp.write(&format!("/{}", file.path), &mut content)?;
        }
        esp.remove(UNFINISHED)?;
        info!(
            files = self.files.len(),
            bytes = self.size(),
            "the files of the image's EFI system partition are copied"
        );
        Ok(())
    }

    fn walk(&mut self, entries: Vec<Entry>, path: &str, depth: usize) -> Result<(), FatError> {
        if depth > DEEPEST || self.files.len() + self.directories.len() > MOST {
            return Err(FatError::Damaged {
                reason: "its directories are too deep or too many",
            });
        }
        for entry in entries {
            let below = match path {
                "" => entry.name.clone(),
                path => format!("{path}/{}", entry.name),
            };
            // A name that leads elsewhere is none; nor is one that a call which was cut off had left.
            if entry.name.contains('/') || below == UNFINISHED {
                warn!("{below} on the EFI system partition is left out");
                continue;
            }
            if entry.is_directory {
                let children = self.fat.directory(&entry)?;
                self.directories.push(below.clone());
                self.walk(children, &below, depth + 1)?;
            } else {
                self.files.push(File { path: below, entry });
            }
        }
        Ok(())
    }

    /// Put a loader at the removable path: entries of boot can be lost, and one disk of two as well.
    fn complete(&mut self, architecture: &Architecture, loader: &Loader) -> Result<(), FatError> {
        let removable = format!("EFI/BOOT/{}", architecture.removable());
        if self.at(&removable).is_some() {
            return Ok(());
        }
        let path = loader.path.trim_start_matches('\\').replace('\\', "/");
        let Some(first) = self.at(&path).cloned() else {
            return Ok(());
        };
        let start = self.fat.read(&first.entry, HEADER as u64)?;
        // One that is told what to start by its boot entry starts nothing without.
        if !architecture.runs(&start) || !loader.arguments.is_empty() {
            info!(
                "nothing is at the removable path of the EFI system partition, and {path} cannot be"
            );
            return Ok(());
        }
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", &path));
        let beside: Vec<File> = self
            .files
            .iter()
            .filter(|_| name.to_lowercase().starts_with("shim"))
            .filter_map(|file| {
                let (own, name) = file.path.rsplit_once('/')?;
                let lower = name.to_lowercase();
                let is_next = lower.ends_with(".efi")
                    && (lower.starts_with("grub") || lower.starts_with("mm"));
                (own.eq_ignore_ascii_case(folder) && is_next).then(|| File {
                    path: format!("EFI/BOOT/{name}"),
                    entry: file.entry.clone(),
                })
            })
            .collect();
        let is_there = |directories: &[String], path: &str| {
            directories
                .iter()
                .any(|there| there.eq_ignore_ascii_case(path))
        };
        for directory in ["EFI", "EFI/BOOT"] {
            if !is_there(&self.directories, directory) {
                self.directories.push(directory.to_owned());
            }
        }
        info!("{path} is at the removable path, too");
        for file in beside {
            if self.at(&file.path).is_none() {
                self.files.push(file);
            }
        }
        self.files.push(File {
            path: removable,
            entry: first.entry,
        });
        Ok(())
    }

    /// The file at this path, in upper or lower case.
    fn at(&self, path: &str) -> Option<&File> {
        self.files
            .iter()
            .find(|file| file.path.eq_ignore_ascii_case(path))
    }
}

/// A file's place in the order of writing.
fn turn(file: &File) -> u8 {
    let path = file.path.to_lowercase();
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", &path));
    match () {
        () if folder == REMOVABLE && name.starts_with("boot") && name.ends_with(".efi") => 3,
        () if name.ends_with(".csv") => 2,
        () if name.ends_with(".efi") => 1,
        () => 0,
    }
}

#[cfg(test)]
mod tests;
