//! What is to become of arrays of software RAID where some are protected (contract/data-plane 6.5).

use std::collections::BTreeSet;

/// The name of the array that mirrors the EFI system partition of the arrays beside it (contract/data-plane 6.6).
pub(crate) const ESP: &str = "esp";

/// What is to become of an array.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum RaidVerdict {
    /// It is protected, and stays as it is.
    Keep,
    /// It shares a disk with one that is protected: what is on it goes, the array stays.
    Wipe,
    /// It goes, and its disks are blank afterwards.
    Delete,
}

/// An array of which the verdict is to be found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Claim<'a> {
    /// Its name without the host.
    pub name: Option<&'a str>,
    /// Whether it is protected by itself.
    pub is_kept: bool,
    /// What it lies on.
    pub on: BTreeSet<&'a str>,
}

/// A verdict for each of these arrays, which are all that there are.
pub(crate) fn verdicts(claims: &[Claim<'_>]) -> Vec<RaidVerdict> {
    let kept: BTreeSet<&str> = claims
        .iter()
        .filter(|claim| claim.is_kept)
        .flat_map(|claim| claim.on.iter().copied())
        .collect();
    claims
        .iter()
        .map(|claim| match claim {
            _ if claim.is_kept => RaidVerdict::Keep,
            _ if claim.on.is_disjoint(&kept) => RaidVerdict::Delete,
            // The kept ones boot by it.
            _ if claim.name == Some(ESP) => RaidVerdict::Keep,
            _ => RaidVerdict::Wipe,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_beside_a_protected_one_is_wiped_and_its_esp_kept() {
        let claim = |name, is_kept, on: &[&'static str]| Claim {
            name,
            is_kept,
            on: on.iter().copied().collect(),
        };
        let arrays = [
            claim(Some("data"), true, &["sda", "sdb"]),
            claim(Some("root"), false, &["sda", "sdb"]),
            claim(Some("esp"), false, &["sda", "sdb"]),
            claim(None, false, &["sdb", "sdc"]),
            // It shares a disk with the one before, which is not protected itself.
            claim(Some("far"), false, &["sdc", "sdd"]),
            claim(Some("esp"), false, &["sde"]),
        ];
        use RaidVerdict::{Delete, Keep, Wipe};
        assert_eq!(verdicts(&arrays), [Keep, Wipe, Keep, Wipe, Delete, Delete]);
    }
}
