//! The levels of software RAID that can be asked for, in everybody's words. What there is can be of others, too
//! (`block::raid_superblock`).

use std::fmt;

/// A level that a volume can be made with (contract/data-plane 6.1).
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum RaidLevel {
    /// Striped, without redundancy.
    Raid0,
    /// Mirrored.
    Raid1,
    /// Mirrored and striped: `1+0`.
    Raid10,
    /// One disk's worth of parity.
    Raid5,
    /// Two disks' worth of parity.
    Raid6,
}

impl RaidLevel {
    /// Every level, in the order in which messages list them.
    pub(crate) const ALL: [Self; 5] = [
        Self::Raid0,
        Self::Raid1,
        Self::Raid10,
        Self::Raid5,
        Self::Raid6,
    ];

    /// The level of this name in a node's RAID configuration.
    pub(crate) fn of_configuration(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.name() == name)
    }

    /// Its name in a node's RAID configuration: `1+0`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Raid0 => "0",
            Self::Raid1 => "1",
            Self::Raid10 => "1+0",
            Self::Raid5 => "5",
            Self::Raid6 => "6",
        }
    }

    /// Its name for mdadm: `10`.
    pub(crate) fn mdadm_name(self) -> &'static str {
        match self {
            Self::Raid10 => "10",
            other => other.name(),
        }
    }

    /// The fewest members that it can be made of.
    pub(crate) fn least_members(self) -> usize {
        match self {
            Self::Raid0 | Self::Raid1 | Self::Raid10 => 2,
            Self::Raid5 => 3,
            Self::Raid6 => 4,
        }
    }

    /// Whether it lives on with a member less, so that members can be put back.
    pub(crate) fn is_redundant(self) -> bool {
        self != Self::Raid0
    }
}

/// As people write it: `RAID-1+0`.
impl fmt::Display for RaidLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RAID-{}", self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_level_has_one_name_for_each_listener() {
        for level in RaidLevel::ALL {
            assert_eq!(RaidLevel::of_configuration(level.name()), Some(level));
        }
        assert_eq!(RaidLevel::of_configuration("10"), None);
        assert_eq!(RaidLevel::Raid10.mdadm_name(), "10");
        assert_eq!(RaidLevel::Raid6.mdadm_name(), "6");
        assert_eq!(RaidLevel::Raid10.to_string(), "RAID-1+0");
    }
}
