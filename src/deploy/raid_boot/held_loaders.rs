//! What firmware boots an array by, while an image is written to it: nothing.

use farrier_plugin::{SilentContext, chain};
use tracing::{error, info};

use super::super::bios_boot;
use super::mirror;
use crate::block::exclusive::{self, NotOpened};
use crate::sys::block_device::{Disk, DiskError};
use crate::sys::root::Root;

/// The loaders beside an array: the mirror of EFI system partitions, which nobody else uses, where there is one; and
/// the boot code of its disks, of which others hold partitions.
pub(in crate::deploy) struct HeldLoaders {
    pub(in crate::deploy) mirror: Option<Disk>,
    pub(in crate::deploy) root: Root,
    /// The disks, by name.
    pub(in crate::deploy) disks: Vec<String>,
}

impl HeldLoaders {
    /// Have firmware find nothing that it could start: UEFI on the mirror, and a BIOS on the disks, by whichever of
    /// them this machine runs now. The one that it runs by gets its loader anew when the image is there.
    ///
    /// # Errors
    /// The first that failed; all of them are in the log.
    pub(in crate::deploy) fn blank(&self) -> Result<(), DiskError> {
        let mut outcome = self
            .mirror
            .as_ref()
            .map_or(Ok(()), |disk| mirror::blank(disk));
        // Opened for this only, since udev waits as long as they are.
        for device in &self.disks {
            let opened = exclusive::open_beside_holders(&self.root, device, &SilentContext);
            let blanked = opened
                .map_err(|NotOpened { source, .. }| source)
                .and_then(|disk| bios_boot::blank(&disk));
            match blanked {
                Ok(()) => info!(
                    device,
                    "a BIOS finds no boot code, until the image is there"
                ),
                Err(failure) => {
                    error!(device, error = %chain(&failure), "its boot code could not be removed");
                    outcome = outcome.and(Err(failure));
                }
            }
        }
        outcome
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::deploy::raid_boot::fixture;

    #[test]
    fn no_boot_code_is_left_on_any_disk_that_can_be_written() {
        let recording = fixture::machine();
        let path = |device: &str| recording.root().path(device);
        let loaders = HeldLoaders {
            mirror: None,
            root: recording.root(),
            disks: ["/dev/sda", "/dev/gone", "/dev/nvme0n1"]
                .map(str::to_owned)
                .to_vec(),
        };
        let before: Vec<_> = ["/dev/sda", "/dev/nvme0n1"]
            .into_iter()
            .map(|device| {
                let mut content = fs::read(path(device)).unwrap();
                content[..440].fill(0x5a);
                fs::write(path(device), &content).unwrap();
                (device, content)
            })
            .collect();
        let error = loaders.blank().unwrap_err();
        assert!(error.to_string().contains("/dev/gone"), "{error}");
        for (device, mut content) in before {
            content[..440].fill(0);
            assert!(fs::read(path(device)).unwrap() == content, "{device}");
        }
    }
}
