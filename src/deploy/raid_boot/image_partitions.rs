//! The partitions of an image that GRUB and its files lie on: the root file system, and `/boot` where that is another.

use farrier_plugin::{Context, chain};
use tracing::debug;

use super::super::bios_boot::{self, BiosBootError, BootFiles, Found, GrubDevice};
use super::super::image_root::ImageRoot;
use super::error::RaidBootError;
use crate::block::rescan::partition_device;
use crate::sys::root::Root;

/// A partition, with its device.
type Place = (ImageRoot, String);

/// These partitions.
pub(super) struct ImagePartitions {
    root: Place,
    boot: Option<Place>,
}

impl ImagePartitions {
    /// Those of the image on this disk, among these, which the kernel shows by now. The root is the one of the number
    /// that somebody named, or the only one that has GRUB's files.
    ///
    /// # Errors
    /// There is no such one, or there are several.
    pub(super) fn find(
        disk: &str,
        candidates: Vec<ImageRoot>,
        named: Option<u32>,
        context: &dyn Context,
    ) -> Result<Self, RaidBootError> {
        let mut looked_into = Vec::new();
        let mut failures = Vec::new();
        for root in candidates {
            let number = root.partition.number;
            let Some(device) = partition_device(&Root::system(), disk, &root.partition) else {
                failures.push(format!("partition {number} is not visible"));
                continue;
            };
            match Found::on(&device, context) {
                Ok(found) => looked_into.push((found, (root, device))),
                Err(error) => {
                    debug!(device, error = %chain(&error), "is not looked for GRUB in");
                    failures.push(format!("{device}: {}", chain(&error)));
                }
            }
        }
        Self::choose(looked_into, named, &failures)
    }

    fn choose(
        mut looked_into: Vec<(Found, Place)>,
        named: Option<u32>,
        failures: &[String],
    ) -> Result<Self, RaidBootError> {
        let is_root = |(found, (root, _)): &(Found, Place)| {
            named.map_or(found.files, |number| root.partition.number == number)
        };
        let Some((found, root)) = take_only(&mut looked_into, is_root)? else {
            if failures.is_empty() {
                return Err(bios_boot::no_grub().into());
            }
            return Err(RaidBootError::NoRoot {
                failures: failures.join("; "),
            });
        };
        let boot = if found.menu {
            None
        } else {
            take_only(&mut looked_into, |(found, _)| found.is_boot)?.map(|(_, boot)| boot)
        };
        Ok(Self { root, boot })
    }

    /// Their devices.
    pub(super) fn devices(&self) -> Vec<&str> {
        let places = [Some(&self.root), self.boot.as_ref()].into_iter().flatten();
        places.map(|(_, device)| device.as_str()).collect()
    }

    /// The number of the partition that GRUB reads.
    pub(super) fn number_for_grub(&self) -> u32 {
        let (root, _) = self.boot.as_ref().unwrap_or(&self.root);
        root.partition.number
    }

    /// What makes a disk boot from them, the image made ready for it.
    pub(super) fn boot_files(
        &self,
        device: &GrubDevice,
        context: &dyn Context,
    ) -> Result<BootFiles, BiosBootError> {
        let (root, partition) = &self.root;
        match &self.boot {
            None => BootFiles::of_image(partition, root, device, context),
            Some((boot, boot_partition)) => {
                let boot = (boot_partition.as_str(), boot);
                BootFiles::of_image_with_boot(partition, boot, device, context)
            }
        }
    }
}

/// The one that is so, taken out; `None` where none is.
fn take_only(
    places: &mut Vec<(Found, Place)>,
    is_it: impl Fn(&(Found, Place)) -> bool,
) -> Result<Option<(Found, Place)>, RaidBootError> {
    let mut found: Vec<_> = places.extract_if(.., |place| is_it(place)).collect();
    if found.len() > 1 {
        let devices: Vec<&str> = found
            .iter()
            .map(|(_, (_, device))| device.as_str())
            .collect();
        return Err(RaidBootError::SeveralRoots {
            devices: devices.join(" and "),
        });
    }
    Ok(found.pop())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::partition::{Partition, PartitionKind};

    const ROOT: Found = Found {
        files: true,
        menu: false,
        is_boot: false,
    };
    const WITH_MENU: Found = Found { menu: true, ..ROOT };
    const BOOT: Found = Found {
        files: false,
        menu: false,
        is_boot: true,
    };

    /// What is chosen of partitions that hold these: root and the one that GRUB reads, by number.
    fn chosen(found: &[Found], named: Option<u32>) -> Result<(u32, u32), String> {
        let place = |(index, found): (usize, &Found)| {
            let number = index as u32 + 1;
            let partition = Partition {
                number,
                offset: 0,
                length: 0,
                kind: PartitionKind::Mbr(0x83),
                guid: None,
            };
            let root = ImageRoot {
                partition,
                uuid: String::new(),
                features: 0,
            };
            (*found, (root, format!("/dev/md0p{number}")))
        };
        let places = found.iter().enumerate().map(place).collect();
        let chosen = ImagePartitions::choose(places, named, &[]);
        chosen
            .map(|chosen| (chosen.root.0.partition.number, chosen.number_for_grub()))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_root_has_grubs_files_and_boot_the_menu() {
        let empty = Found::default();
        assert_eq!(chosen(&[empty, WITH_MENU], None), Ok((2, 2)));
        assert_eq!(chosen(&[empty, ROOT], None), Ok((2, 2)), "a menu is made");
        assert_eq!(chosen(&[BOOT, ROOT], None), Ok((2, 1)));
        assert_eq!(chosen(&[WITH_MENU, BOOT], None), Ok((1, 1)));
        assert_eq!(chosen(&[ROOT, empty, ROOT, BOOT], Some(3)), Ok((3, 4)));
        assert_eq!(
            chosen(&[empty, ROOT], Some(1)),
            Ok((1, 1)),
            "which has none"
        );
    }

    #[test]
    fn what_is_anybodys_guess_is_not_guessed() {
        let said = chosen(&[ROOT, WITH_MENU], None).unwrap_err();
        assert!(said.contains("/dev/md0p1 and /dev/md0p2"), "{said}");
        let said = chosen(&[BOOT, ROOT, BOOT], None).unwrap_err();
        assert!(said.contains("/dev/md0p1 and /dev/md0p3"), "{said}");
        let said = chosen(&[BOOT], None).unwrap_err();
        assert!(said.contains("The image has no GRUB for BIOS"), "{said}");
    }
}
