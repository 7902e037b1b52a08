//! Boot loaders on an EFI system partition (contract/data-plane 5.3, 5.4).

use std::cmp::Ordering;

use tracing::warn;

use super::image_boot::architecture::{Architecture, HEADER};
use crate::block::fat::{Entry, Fat, FatError};

/// Files that are loaders, or tables of loaders, by name in lower case. `shimx64.efi`,
/// `grubx64.efi` and `fallback.efi` are left out on purpose: a table leads to them.
const KNOWN: [&str; 13] = [
    "bootx64.csv",
    "bootaa64.csv",
    "boot.csv",
    "bootia32.efi",
    "bootx64.efi",
    "bootia64.efi",
    "bootarm.efi",
    "bootaa64.efi",
    "bootriscv32.efi",
    "bootriscv64.efi",
    "bootriscv128.efi",
    "grubaa64.efi",
    "winload.efi",
];

/// Loaders that are started only where there are none of the above: without them, the disk would not be booted at all.
/// The first that is there stands for all after it, since it leads to them.
const OTHERWISE: [&str; 9] = [
    "shimx64.efi",
    "shimaa64.efi",
    "shim.efi",
    "grubx64.efi",
    "grub.efi",
    "systemd-bootx64.efi",
    "systemd-bootaa64.efi",
    // Of Windows; winload.efi lies on its own partition.
    "bootmgfw.efi",
    "bootmgr.efi",
];

/// Where unified kernel images lie, each a loader, kernel and initramfs in one (the UAPI Group's Boot Loader
/// Specification, type 2).
const UNIFIED_KERNELS: &str = "\\efi\\linux";

/// Directories deeper than this are not entered.
const DEEPEST: usize = 16;

/// The most directories that are looked into, against a file system that leads in circles.
const MOST_DIRECTORIES: usize = 4096;

/// Bytes of a table of loaders that are read; real ones have some hundred.
const TABLE_LIMIT: u64 = 64 * 1024;

/// A loader that was found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Loader {
    /// What the firmware's menu is to show; `None` where no table says it.
    pub(super) label: Option<String>,
    /// Its path on the partition, with backslashes.
    pub(super) path: String,
    /// What it is to be told, by a table; mostly nothing.
    pub(super) arguments: String,
}

impl Loader {
    fn at(path: String) -> Self {
        Self {
            label: None,
            path,
            arguments: String::new(),
        }
    }
}

/// What was found on a partition.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Found {
    /// The loaders that firmware of this machine can start.
    pub(super) loaders: Vec<Loader>,
    /// The first that it cannot, since it is a program for another kind of machine.
    pub(super) foreign: Option<Foreign>,
}

impl Found {
    /// Whether there is no loader at all.
    pub(super) fn is_empty(&self) -> bool {
        self.loaders.is_empty() && self.foreign.is_none()
    }
}

/// A loader for another kind of machine.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Foreign {
    /// Its path on the partition, with backslashes.
    pub(super) path: String,
    /// What it is for: `aarch64`.
    pub(super) machine: &'static str,
}

/// All loaders for this machine, in the order in which the partition stores them. The first table that is found
/// stands for all others, as in the reference; one that cannot be read, or that names only what is not there, is
/// passed over. So is, unlike in the reference, what is a program for another kind of machine by its header: images for
/// two kinds have loaders of both, and firmware starts one of them.
///
/// Where the reference finds none, one is taken that its list has not: a loader without a table, else the newest
/// unified kernel image.
pub(super) fn find(
    partition: &Fat<'_>,
    architecture: Option<Architecture>,
) -> Result<Found, FatError> {
    let mut search = Search {
        partition,
        architecture,
        found: Vec::new(),
        foreign: None,
        otherwise: None,
        kernel: None,
        left: MOST_DIRECTORIES,
    };
    let root = partition.root()?;
    let listed = search.walk(&root, "", 0)?;
    let loaders = if let Some(listed) = listed {
        vec![listed]
    } else if search.found.is_empty() {
        let otherwise = search.otherwise.map(|(_, path)| path).or(search.kernel);
        otherwise.map(Loader::at).into_iter().collect()
    } else {
        search.found
    };
    Ok(Found {
        loaders,
        foreign: search.foreign,
    })
}

struct Search<'a, 'm> {
    partition: &'a Fat<'m>,
    /// This machine's. `None` where that has no UEFI that is known: everything may be for it.
    architecture: Option<Architecture>,
    found: Vec<Loader>,
    foreign: Option<Foreign>,
    /// The first of [`OTHERWISE`] so far, by its place there.
    otherwise: Option<(usize, String)>,
    /// The newest unified kernel image so far.
    kernel: Option<String>,
    left: usize,
}

impl Search<'_, '_> {
    /// Whether firmware of this machine can start this program; one that it cannot is kept in mind. A file that cannot be
    /// read or is no program is the firmware's to refuse, as with the reference.
    fn is_for_this_machine(&mut self, entry: &Entry, path: &str) -> bool {
        let Some(architecture) = self.architecture else {
            return true;
        };
        let start = self.partition.read(entry, HEADER as u64);
        let Some(machine) = start.ok().and_then(|start| architecture.foreign(&start)) else {
            return true;
        };
        self.foreign.get_or_insert_with(|| Foreign {
            path: path.to_owned(),
            machine,
        });
        false
    }

    /// Keep a file in mind that is no loader of the list, if it is one all the same.
    fn note(&mut self, entry: &Entry, name: &str, path: String) {
        let place = OTHERWISE.iter().position(|other| *other == name);
        if let Some(place) = place {
            let is_better = self
                .otherwise
                .as_ref()
                .is_none_or(|(best, _)| place < *best);
            if is_better && self.is_for_this_machine(entry, &path) {
                self.otherwise = Some((place, path));
            }
            return;
        }
        let is_kernel = name.ends_with(".efi")
            && path.to_lowercase() == format!("{UNIFIED_KERNELS}\\{name}")
            && self
                .kernel
                .as_ref()
                .is_none_or(|newest| by_version(&path, newest).is_gt());
        if is_kernel && self.is_for_this_machine(entry, &path) {
            self.kernel = Some(path);
        }
    }

    /// The loader that a table beside it names: that of its first line whose file is there, and for this machine.
    fn listed(&mut self, table: &[u8], entries: &[Entry], path: &str) -> Option<Loader> {
        parse_table(table).into_iter().find_map(|line| {
            let file = entries
                .iter()
                .filter(|entry| !entry.is_directory)
                .find(|entry| entry.name.to_lowercase() == line.file.to_lowercase())?;
            let path = format!("{path}\\{}", line.file);
            self.is_for_this_machine(file, &path).then_some(Loader {
                label: Some(line.label),
                path,
                arguments: line.arguments,
            })
        })
    }

    /// Look at the files first, then at the directories. Returns what a table names.
    fn walk(
        &mut self,
        entries: &[Entry],
        path: &str,
        depth: usize,
    ) -> Result<Option<Loader>, FatError> {
        for entry in entries.iter().filter(|entry| !entry.is_directory) {
            let name = entry.name.to_lowercase();
            let file = format!("{path}\\{}", entry.name);
            if !KNOWN.contains(&name.as_str()) {
                self.note(entry, &name, file);
                continue;
            }
            if !name.ends_with(".csv") {
                if self.is_for_this_machine(entry, &file) {
                    self.found.push(Loader::at(file));
                }
                continue;
            }
            let table = self.partition.read(entry, TABLE_LIMIT)?;
            match self.listed(&table, entries, path) {
                Some(loader) => return Ok(Some(loader)),
                None => warn!("{file} names no loader that is there, and for this machine"),
            }
        }
        for entry in entries.iter().filter(|entry| entry.is_directory) {
            if depth >= DEEPEST || self.left == 0 {
                warn!(
                    "{path}\\{} is not searched: too many directories",
                    entry.name
                );
                continue;
            }
            self.left -= 1;
            let children = self.partition.directory(entry)?;
            let below = format!("{path}\\{}", entry.name);
            if let Some(listed) = self.walk(&children, &below, depth + 1)? {
                return Ok(Some(listed));
            }
        }
        Ok(None)
    }
}

/// A line of a table.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Line {
    /// The loader, beside the table.
    pub(super) file: String,
    /// What the firmware's menu is to show.
    pub(super) label: String,
    arguments: String,
}

/// The lines of a table: `shimx64.efi,debian,,This is the boot entry …`, in UTF-16 with or without a byte order mark,
/// or by mistake in ASCII. Lines that name nothing are left out.
///
/// The third field is what the loader is told, spaces included: a shim is told its unified kernel image so
/// (`shimx64.efi,Fedora,\EFI\Linux\….efi ,`) and would else look for a GRUB that is not there. The reference ignores
/// it, and all lines but the first.
pub(super) fn parse_table(bytes: &[u8]) -> Vec<Line> {
    decode(bytes)
        .split(['\r', '\n'])
        .filter_map(|line| {
            let mut fields = line.split(',');
            let file = fields.next()?.trim();
            let label = fields.next()?.trim();
            // A file beside the table: a path would lead elsewhere.
            let is_name = !file.is_empty() && !file.contains(['\\', '/']);
            (is_name && !label.is_empty()).then(|| Line {
                file: file.to_owned(),
                label: label.to_owned(),
                arguments: fields.next().unwrap_or_default().to_owned(),
            })
        })
        .collect()
}

/// Names in the order of the versions in them: runs of digits count as numbers.
fn by_version(one: &str, other: &str) -> Ordering {
    let (mut one, mut other) = (one, other);
    loop {
        let (Some(first), Some(second)) = (one.chars().next(), other.chars().next()) else {
            return one.len().cmp(&other.len());
        };
        if first.is_ascii_digit() && second.is_ascii_digit() {
            let (number, after) = digits(one);
            let (than, behind) = digits(other);
            let order = number.len().cmp(&than.len()).then(number.cmp(than));
            if order.is_ne() {
                return order;
            }
            (one, other) = (after, behind);
        } else if first == second {
            (one, other) = (&one[first.len_utf8()..], &other[second.len_utf8()..]);
        } else {
            return first.cmp(&second);
        }
    }
}

/// The digits that a text begins with, without leading zeros, and what follows.
fn digits(text: &str) -> (&str, &str) {
    let end = text
        .find(|letter: char| !letter.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    (number.trim_start_matches('0'), rest)
}

fn decode(bytes: &[u8]) -> String {
    if !bytes.contains(&0) {
        return String::from_utf8_lossy(bytes)
            .trim_start_matches('\u{feff}')
            .to_owned();
    }
    let big_endian = bytes.starts_with(&[0xfe, 0xff]);
    let units: Vec<u16> = bytes
        .chunks_exact(2)
        .map(|pair| match big_endian {
            true => u16::from_be_bytes([pair[0], pair[1]]),
            false => u16::from_le_bytes([pair[0], pair[1]]),
        })
        .collect();
    String::from_utf16_lossy(&units)
        .trim_start_matches('\u{feff}')
        .trim_end_matches('\0')
        .to_owned()
}

#[cfg(test)]
mod tests;
