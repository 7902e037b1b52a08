//! The settings of a bond, as the kernel is told them.

use std::time::Duration;

use crate::net::plan::Bond;
use crate::net::plan::bond_option::{ACTIVE_BACKUP, BALANCE_TLB, LACP, MIIMON};
use crate::sys::netlink::link::BondOption;

/// All but the primary, which has to be a member first. What the mode does not know is left out: the kernel would
/// refuse the whole bond.
///
/// Of LACP nothing is set that nobody asked for. With the kernel's defaults a port without partner is an aggregator by
/// itself, of which one is used while no port has a partner (`min_links` 0); with a partner's first answer its
/// aggregator takes over.
pub(super) fn options(bond: &Bond) -> Vec<BondOption> {
    let mode = bond.mode;
    let mut options = vec![BondOption::Mode(mode)];
    let arp_probes = bond
        .arp_probes
        .as_ref()
        .filter(|_| mode < LACP && bond.miimon.is_none());
    match arp_probes {
        Some((interval, targets)) => {
            options.push(BondOption::ArpInterval(milliseconds(*interval)));
            options.push(BondOption::ArpTargets(targets.clone()));
        }
        None => options.extend(links(bond)),
    }
    options.extend(bond.hash_policy.map(BondOption::HashPolicy));
    options.extend(bond.fewest_links.map(BondOption::MinLinks));
    if mode == ACTIVE_BACKUP {
        options.extend(bond.fail_over_mac.map(BondOption::FailOverMac));
    }
    if mode == LACP {
        let rate = bond.is_lacp_fast.map(u8::from);
        options.extend(rate.map(BondOption::LacpRate));
        options.extend(bond.aggregator_selection.map(BondOption::AdSelect));
    }
    options
}

/// Whether the mode prefers one member.
pub(super) fn has_primary(mode: u8) -> bool {
    mode == ACTIVE_BACKUP || mode >= BALANCE_TLB
}

/// The least that makes a bond of this mode.
pub(super) fn least_options(bond: &Bond) -> Vec<BondOption> {
    vec![
        BondOption::Mode(bond.mode),
        BondOption::Miimon(milliseconds(MIIMON)),
    ]
}

/// How links are watched. Delays count in whole looks, and need one.
fn links(bond: &Bond) -> Vec<BondOption> {
    let often = bond.miimon.filter(|every| !every.is_zero());
    let mut options = vec![BondOption::Miimon(milliseconds(often.unwrap_or(MIIMON)))];
    options.extend(
        bond.up_delay
            .map(|delay| BondOption::UpDelay(milliseconds(delay))),
    );
    options.extend(
        bond.down_delay
            .map(|delay| BondOption::DownDelay(milliseconds(delay))),
    );
    options
}

fn milliseconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn bond(mode: u8) -> Bond {
        Bond {
            members: vec!["eno1".to_owned()],
            mode,
            is_lacp_fast: Some(true),
            fail_over_mac: Some(1),
            hash_policy: Some(1),
            ..Bond::default()
        }
    }

    #[test]
    fn links_are_looked_at_also_where_nobody_says_so() {
        let miimon = |every: Option<u64>| {
            let miimon = every.map(Duration::from_millis);
            options(&Bond {
                miimon,
                ..Bond::default()
            })
        };
        for (every, expected) in [(None, 100), (Some(0), 100), (Some(50), 50)] {
            assert!(miimon(every).contains(&BondOption::Miimon(expected)));
        }
    }

    #[test]
    fn what_a_mode_does_not_know_is_left_out() {
        let lacp = options(&bond(4));
        assert!(lacp.contains(&BondOption::LacpRate(1)), "{lacp:?}");
        assert!(!lacp.contains(&BondOption::FailOverMac(1)), "{lacp:?}");
        let backup = options(&bond(1));
        assert!(!backup.contains(&BondOption::LacpRate(1)), "{backup:?}");
        assert!(backup.contains(&BondOption::FailOverMac(1)), "{backup:?}");
    }

    #[test]
    fn arp_probes_stand_in_for_looking_at_links_where_the_mode_has_them() {
        let probes = |mode| {
            options(&Bond {
                mode,
                arp_probes: Some((Duration::from_secs(1), vec![Ipv4Addr::LOCALHOST])),
                ..Bond::default()
            })
        };
        let backup = probes(1);
        assert!(
            backup.contains(&BondOption::ArpInterval(1000)),
            "{backup:?}"
        );
        assert!(!backup.contains(&BondOption::Miimon(100)), "{backup:?}");
        assert_eq!(
            probes(4),
            [BondOption::Mode(4), BondOption::Miimon(100)].to_vec()
        );
    }
}
