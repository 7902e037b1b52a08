//! The file systems beside a partition image (contract/data-plane 3.3), made by the standard programs.

use std::path::Path;
use std::time::Duration;

use farrier_plugin::Context;
use tracing::info;

use super::super::error::DeployError;
use super::layout::{Place, Role};
use crate::sys::loop_range::LoopRange;
use crate::sys::process::{ProcessError, Program};

/// How long one may take: a large ext3 on a slow disk writes tables for every block group.
const LIMIT: Duration = Duration::from_secs(3600);

/// Where the programs are.
const PROGRAMS: &str = "/usr/sbin";

/// A file system or swap area that is wanted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Wanted<'a> {
    /// Where.
    pub(super) place: Place,
    /// Which: `vfat`, `swap`, or what the conductor names.
    pub(super) format: &'a str,
}

/// Makes file systems in ranges of a disk; tests put a double in its place.
pub(super) trait MakesFileSystems {
    /// Whether this one can be made at all, asked before the disk is touched.
    fn check(&self, wanted: &Wanted<'_>) -> Result<(), DeployError>;

    /// Make it. What it wrote is on the disk afterwards.
    fn make(&self, wanted: &Wanted<'_>) -> Result<(), DeployError>;
}

/// The programs of this system.
pub(super) struct Programs<'a> {
    pub(super) context: &'a dyn Context,
    /// The disk, for messages.
    pub(super) device: &'a str,
    /// The disk's node.
    pub(super) path: &'a Path,
    /// Bytes of its logical block.
    pub(super) block: u32,
}

impl MakesFileSystems for Programs<'_> {
    fn check(&self, wanted: &Wanted<'_>) -> Result<(), DeployError> {
        if Path::new(&program(wanted)).exists() {
            return Ok(());
        }
        Err(DeployError::FileSystemNotSupported {
            format: wanted.format.to_owned(),
            offered: format!(
                " This ramdisk has no {}; it makes ext2, ext3, ext4, xfs and vfat. Set \
                 ephemeral_format of the node's instance_info to one of them",
                program(wanted)
            ),
        })
    }

    fn make(&self, wanted: &Wanted<'_>) -> Result<(), DeployError> {
        let Place {
            role,
            number,
            offset,
            length,
        } = wanted.place;
        info!(
            device = self.device,
            partition = number,
            format = wanted.format,
            "making a file system"
        );
        let failed = |source| DeployError::FileSystem {
            format: wanted.format.to_owned(),
            label: role.label(),
            device: self.device.to_owned(),
            source,
        };
        let range = LoopRange::over(self.path, offset, length, self.block)
            .map_err(|error| failed(error.into()))?;
        self.run(wanted, range.path())
            .map_err(|error| failed(error.into()))?;
        range.finish().map_err(|error| failed(error.into()))
    }
}

impl Programs<'_> {
    fn run(&self, wanted: &Wanted<'_>, device: &str) -> Result<(), ProcessError> {
        let mut program = Program::new(program(wanted)).timeout(LIMIT);
        for argument in arguments(wanted, self.block) {
            program = program.arg(argument);
        }
        program = program.arg(device);
        let output = program.output_unless(&|| self.context.is_cancelled())?;
        if output.status.success() {
            return Ok(());
        }
        Err(ProcessError::Failed {
            program: program.to_string(),
            status: output.status,
            stderr: output.stderr.trim().to_owned(),
        })
    }
}

fn program(wanted: &Wanted<'_>) -> String {
    match wanted.place.role {
        Role::Swap => format!("{PROGRAMS}/mkswap"),
        _ => format!("{PROGRAMS}/mkfs.{}", wanted.format),
    }
}

/// The arguments before the device.
///
/// Nothing is discarded: the programs would have a loop device zero the whole partition for it, hours of a
/// disk that cannot discard. The journal is zeroed at once, though: another crash than the last must not
/// find transactions there of a file system that lay at the same place. And nothing is used that kernel and checker of a system from 2018 do not
/// know, whatever the defaults of this ramdisk's programs are: the ephemeral disk is the image's to
/// mount, and the ramdisk may be newer by a decade.
fn arguments(wanted: &Wanted<'_>, block: u32) -> Vec<String> {
    let label = match wanted.place.role {
        Role::EfiSystem => "efi-part",
        Role::Swap => "swap1",
        _ => "ephemeral0",
    };
    let sector = (wanted.place.offset / u64::from(block)).to_string();
    let words: &[&str] = match wanted.format {
        "vfat" | "fat" | "msdos" => &["-I", "-h", &sector, "-n", label],
        "ext4" => &[
            "-q",
            "-F",
            "-E",
            "nodiscard,lazy_itable_init=1,lazy_journal_init=0",
            "-O",
            "^orphan_file,^metadata_csum_seed",
            "-L",
            label,
        ],
        "ext2" | "ext3" => &["-q", "-F", "-E", "nodiscard", "-L", label],
        "xfs" => &[
            "-q",
            "-f",
            "-K",
            "-m",
            "bigtime=0,inobtcount=0,rmapbt=0",
            "-i",
            "nrext64=0",
            "-L",
            label,
        ],
        "btrfs" => &["-q", "-f", "-K", "-L", label],
        _ => &["-L", label],
    };
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[cfg(test)]
mod tests;
