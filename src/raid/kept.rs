//! Which volumes are there already and stay, because the node's skip list protects arrays by name
//! (contract/data-plane 6.5).

use std::collections::BTreeSet;

use tracing::info;

use super::array::Array;
use super::config::Volume;
use super::error::RaidError;
use crate::block::raid_superblock::Metadata;
use crate::block::raid_verdict::{Claim, ESP, RaidVerdict, verdicts};

/// The volumes that are to be made: those without an array that stays. Without protected names all of them.
///
/// An array stays that is protected, and one that shares a disk with such a one: `delete_configuration` leaves both.
///
/// # Errors
/// [`RaidError::UnnamedArray`] and [`RaidError::ExistingArrays`], where an array is there that is neither a volume of the
/// configuration nor the mirror of an EFI system partition beside one that stays.
pub(super) fn to_make(
    volumes: Vec<Volume>,
    arrays: &[Array],
    protected: &BTreeSet<&str>,
) -> Result<Vec<Volume>, RaidError> {
    if protected.is_empty() {
        return Ok(volumes);
    }
    // Firmware's arrays are made by no step: one that is still there is protected.
    let is_firmwares = |array: &&Array| array.metadata.is_some_and(Metadata::is_external);
    let arrays: Vec<&Array> = arrays.iter().filter(|array| !is_firmwares(array)).collect();
    if let Some(unnamed) = arrays.iter().find(|array| name(array).is_empty()) {
        return Err(RaidError::UnnamedArray {
            device: unnamed.device.clone(),
        });
    }
    let claims: Vec<Claim<'_>> = arrays
        .iter()
        .map(|array| Claim {
            name: Some(name(array)),
            is_kept: protected.contains(name(array)),
            on: disks(array).collect(),
        })
        .collect();
    let is_expected = |array: &Array, verdict| {
        let mut volumes = volumes.iter();
        let is_known = name(array) == ESP || volumes.any(|volume| volume.name == name(array));
        is_known && verdict != RaidVerdict::Delete
    };
    let judged = arrays.iter().zip(verdicts(&claims));
    let unexpected: Vec<String> = judged
        .filter(|(array, verdict)| !is_expected(array, *verdict))
        .map(|(array, _)| format!("{} ({})", array.device, name(array)))
        .collect();
    if !unexpected.is_empty() {
        return Err(RaidError::ExistingArrays {
            arrays: unexpected.join(", "),
        });
    }
    let (there, missing): (Vec<Volume>, Vec<Volume>) = volumes
        .into_iter()
        .partition(|volume| arrays.iter().any(|array| name(array) == volume.name));
    for volume in there {
        info!(volume = volume.name, "its array is there and stays");
    }
    Ok(missing)
}

fn name(array: &Array) -> &str {
    array.name.as_deref().unwrap_or_default()
}

fn disks(array: &Array) -> impl Iterator<Item = &str> {
    array.members.iter().map(|member| member.disk.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raid::array::Member;
    use crate::raid::config::Size;
    use crate::raid::level::RaidLevel;

    fn array(device: &str, name: &str, disks: &[&str]) -> Array {
        Array {
            device: format!("/dev/{device}"),
            kname: device.to_owned(),
            uuid: None,
            name: Some(name.to_owned()).filter(|name| !name.is_empty()),
            level: None,
            metadata: None,
            members: disks
                .iter()
                .map(|disk| Member {
                    device: format!("/dev/{disk}1"),
                    disk: format!("/dev/{disk}"),
                    partition: Some(1),
                })
                .collect(),
            is_active: true,
        }
    }

    fn made(arrays: &[Array], protected: &[&str]) -> Result<Vec<String>, String> {
        let volumes = ["root", "data"].map(|name| Volume {
            name: name.to_owned(),
            size: Size::Max,
            level: RaidLevel::Raid1,
            disks: None,
        });
        to_make(volumes.into(), arrays, &protected.iter().copied().collect())
            .map(|volumes| volumes.into_iter().map(|volume| volume.name).collect())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_protected_or_beside_it_is_not_made_again() {
        let [root, data, esp] = [
            array("md0", "root", &["sda", "sdb"]),
            array("md1", "data", &["sdb", "sdc"]),
            array("md127", "esp", &["sda", "sdb"]),
        ];
        let both = || vec!["root".to_owned(), "data".to_owned()];
        assert_eq!(made(&[], &["data"]), Ok(both()));
        assert_eq!(made(std::slice::from_ref(&root), &[]), Ok(both()));
        assert_eq!(
            made(std::slice::from_ref(&data), &["data"]),
            Ok(vec!["root".to_owned()])
        );
        assert_eq!(made(&[root, data, esp], &["data"]), Ok(vec![]));
    }

    #[test]
    fn other_arrays_are_named() {
        let kept = array("md1", "data", &["sdb", "sdc"]);
        let elsewhere = array("md0", "root", &["sdd"]);
        let foreign = array("md2", "old", &["sdc"]);
        let esp = array("md3", "esp", &["sdd"]);
        for other in [&elsewhere, &foreign, &esp] {
            let error = made(&[kept.clone(), other.clone()], &["data"]).unwrap_err();
            assert!(
                error.starts_with("Existing Software RAID device detected that should not: "),
                "{error}"
            );
            assert!(error.contains(&other.device), "{error}");
        }
        let error = made(&[kept, array("md5", "", &["sdd"])], &["data"]).unwrap_err();
        assert!(error.contains("/dev/md5"), "{error}");
    }
}
