//! Taking out of a recording what names one machine, so that it can be given away.
//!
//! A field is masked by what it is, never by how it looks: files, properties of udev, fields of
//! firmware tables and of announcements are listed by whether they name one machine, and what is not
//! listed is masked. What tells kinds of machines apart stays: makers, models, firmware, the makers'
//! parts of WWNs and MACs, sizes, and where things are plugged in.
//!
//! The same secret gets the same mask wherever it stands, as text, in bytes, in paths and links and
//! in the kernel's answers, and no length changes: links still lead somewhere, paths to one disk are
//! still that, and tables of the firmware keep their layout and their checksums. Masks are numbers
//! in the order of the secrets, so nothing of a secret can be computed from its mask.
//!
//! Two passes go through the same fields (`pass`): one that finds, one that masks.

mod addresses;
mod answers;
mod files;
mod host_interface;
mod lldp;
mod pass;
mod secrets;
mod smbios;
mod udev;
mod vpd;

#[cfg(test)]
pub(crate) mod planted;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use crate::sys::kernel_parameters::COMMAND_LINE;
use crate::sys::run_files;
use crate::sys::witness::{Entry, Seen};
use pass::Pass;
use secrets::{Masks, Secrets};

/// The recording without what names the machine.
pub(crate) fn masked(mut seen: Seen) -> Seen {
    for path in [COMMAND_LINE, run_files::PARAMETERS] {
        if let Some(Entry::File(content)) = seen.entries.get_mut(Path::new(path)) {
            *content = boot_parameters(content);
        }
    }
    let mut finding = Pass::Find(Secrets::default());
    passed(&mut finding, seen.clone());
    let Pass::Find(secrets) = finding else {
        // A pass does not change what it is.
        return Seen::default();
    };
    passed(&mut Pass::Mask(Masks::of(secrets)), seen)
}

/// The recording after one of the passes.
fn passed(pass: &mut Pass, seen: Seen) -> Seen {
    let mut result = Seen::default();
    for (path, entry) in seen.entries {
        let masked = match entry {
            Entry::Directory => path_as(pass, &path, udev::directory),
            Entry::Link(_) => path_as(pass, &path, udev::link),
            Entry::File(_) => self::path(pass, &path),
        };
        let entry = match entry {
            Entry::File(content) => Entry::File(files::file(pass, &path, content)),
            Entry::Link(target) => Entry::Link(self::path(pass, &target)),
            Entry::Directory => Entry::Directory,
        };
        result.entries.insert(masked, entry);
    }
    for (interface, answers) in seen.answers {
        let answers = answers::of(pass, &interface, answers);
        result.answers.insert(interface, answers);
    }
    result
}

fn path(pass: &mut Pass, path: &Path) -> PathBuf {
    path_as(pass, path, udev::below_dev)
}

/// A path, with this for what is below `/dev`.
fn path_as(pass: &mut Pass, path: &Path, mask: fn(&mut Pass, &str) -> String) -> PathBuf {
    // A path that is no text is no name of the kernel's or of udev's.
    let text = path.to_string_lossy();
    match text.strip_prefix("/dev/") {
        Some(below) => PathBuf::from(format!("/dev/{}", mask(pass, below))),
        None => PathBuf::from(pass.text(&text)),
    }
}

/// Of the parameters only what an inventory reads of them: the rest has addresses and tokens.
fn boot_parameters(line: &[u8]) -> Vec<u8> {
    let line = String::from_utf8_lossy(line);
    let kept: Vec<&str> = line
        .split_whitespace()
        .filter(|parameter| {
            parameter.starts_with("BOOTIF=") || parameter.starts_with("boot_method=")
        })
        .collect();
    (kept.join(" ") + "\n").into_bytes()
}
