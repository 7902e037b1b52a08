//! The flags of `farrier erase`.

use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};

/// Erase disks or files and prove it, or show how that would be done.
#[derive(Debug, Eq, Parser, PartialEq)]
#[command(name = "farrier erase")]
pub(in crate::cli) struct Arguments {
    /// What to erase; of a plan: all disks where none is named.
    #[arg(value_name = "DEVICE", required_unless_present = "plan")]
    pub(super) devices: Vec<String>,
    /// Show how the disks of this machine, or of a recorded one, would be erased, and why; touch
    /// nothing.
    #[arg(long, conflicts_with = "destroy_data")]
    pub(super) plan: bool,
    /// Whoever types this knows that everything on the devices is lost afterwards.
    #[arg(long, required_unless_present = "plan")]
    pub(super) destroy_data: bool,
    /// Erase only what makes a disk look used.
    #[arg(long)]
    pub(super) metadata: bool,
    /// Passes of random data, where a disk is overwritten.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(super) passes: u32,
    /// No last pass of zeros.
    #[arg(long)]
    pub(super) no_zeros: bool,
    /// Erase also file systems that a cluster shares.
    #[arg(long)]
    pub(super) wipe_special_filesystems: bool,
    /// Erase also disks of an installed system (`/` is not in memory).
    #[arg(long)]
    pub(super) force: bool,
    /// Answer with JSON.
    #[arg(long)]
    pub(super) json: bool,
    /// Plan for the machine that `farrier inventory --record` saved there.
    #[arg(
        long,
        value_name = "DIRECTORY",
        requires = "plan",
        conflicts_with = "destroy_data"
    )]
    pub(super) replay: Option<PathBuf>,
}

impl Arguments {
    /// These, unless nothing would be done.
    pub(super) fn checked(self) -> Result<Self, clap::Error> {
        if self.passes == 0 && self.no_zeros && !self.metadata && !self.plan {
            return Err(Self::command().error(
                ErrorKind::ArgumentConflict,
                "--passes 0 with --no-zeros would overwrite nothing",
            ));
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Arguments, clap::Error> {
        let words = ["erase"].into_iter().chain(line.split_whitespace());
        Arguments::try_parse_from(words).and_then(Arguments::checked)
    }

    #[test]
    fn the_command_line_is_read() {
        let arguments = parsed(
            "/dev/sda --destroy-data --passes=3 --no-zeros --force --json /dev/disk/by-id/a=b",
        )
        .unwrap();
        assert_eq!(arguments.devices, ["/dev/sda", "/dev/disk/by-id/a=b"]);
        assert_eq!((arguments.passes, arguments.no_zeros), (3, true));
        assert!(arguments.force && arguments.json && !arguments.metadata);
        let arguments = parsed("--plan --replay tree").unwrap();
        assert_eq!(arguments.replay, Some("tree".into()));
        assert!(arguments.devices.is_empty());
    }

    #[test]
    fn a_wrong_command_line_is_refused() {
        for line in [
            "",
            "/dev/sda",
            "--destroy-data",
            "--destroy-data --plan",
            "--destroy-data /dev/sda --passes",
            "--destroy-data /dev/sda --passes many",
            "--destroy-data /dev/sda --passes 0 --no-zeros",
            "--destroy-data=no /dev/sda",
            "--destroy-data /dev/sda --replay tree",
            "--replay tree",
            "--replay tree /dev/sda",
            "--destroy-data /dev/sda --yes",
        ] {
            assert!(parsed(line).is_err(), "{line}");
        }
    }
}
