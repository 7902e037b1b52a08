//! Options of a bond, by the kernel's names (Documentation/networking/bonding.rst), which network data (`bond_…`) and
//! dracut's `bond=` share.

use std::net::Ipv4Addr;
use std::time::Duration;

use super::Bond;

/// What the kernel looks after once it does: every 100 ms. Its own default is never, but for 802.3ad, and a bond that
/// nobody looks at goes on sending into a port that is down.
pub(crate) const MIIMON: Duration = Duration::from_millis(100);

/// `active-backup`, which needs nothing of a switch.
pub(crate) const ACTIVE_BACKUP: u8 = 1;
/// `802.3ad`.
pub(crate) const LACP: u8 = 4;
/// `balance-tlb`.
pub(crate) const BALANCE_TLB: u8 = 5;
const BALANCE_ALB: u8 = 6;

/// In the order of their numbers.
const MODES: [&str; 7] = [
    "balance-rr",
    "active-backup",
    "balance-xor",
    "broadcast",
    "802.3ad",
    "balance-tlb",
    "balance-alb",
];
const HASH_POLICIES: [&str; 6] = [
    "layer2",
    "layer3+4",
    "layer2+3",
    "encap2+3",
    "encap3+4",
    "vlan+srcmac",
];
const FAIL_OVER_MAC: [&str; 3] = ["none", "active", "follow"];
const SELECTIONS: [&str; 3] = ["stable", "bandwidth", "count"];
const LACP_RATES: [&str; 2] = ["slow", "fast"];

/// Most ARP targets (`BOND_MAX_ARP_TARGETS`).
const TARGETS: usize = 16;

/// Why an option is not set.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fault {
    /// There is no such option here.
    Unknown,
    /// What it takes.
    Value(&'static str),
}

/// Set an option by the kernel's name for it, `-` or `_` in it; its value is a word of the kernel's or the word's
/// number. `primary` is left as it is written.
///
/// # Errors
/// What cannot be set; the bond stays as it was.
pub(crate) fn set(bond: &mut Bond, name: &str, value: &str) -> Result<(), Fault> {
    let value = value.trim();
    match name.replace('-', "_").as_str() {
        "mode" => bond.mode = word(value, &MODES).ok_or(Fault::Value("a mode of bonds"))?,
        "miimon" => bond.miimon = Some(milliseconds(value)?),
        "updelay" => bond.up_delay = Some(milliseconds(value)?),
        "downdelay" => bond.down_delay = Some(milliseconds(value)?),
        "lacp_rate" => {
            let rate = word(value, &LACP_RATES).ok_or(Fault::Value("slow or fast"))?;
            bond.is_lacp_fast = Some(rate == 1);
        }
        "xmit_hash_policy" => {
            let policy =
                word(value, &HASH_POLICIES).ok_or(Fault::Value("a hash policy of bonds"))?;
            bond.hash_policy = Some(policy);
        }
        "min_links" => {
            let links = value.parse().ok().filter(|links| *links <= 255);
            bond.fewest_links = Some(links.ok_or(Fault::Value("a number of links"))?);
        }
        "primary" => bond.primary = Some(value.to_owned()),
        "fail_over_mac" => {
            let policy =
                word(value, &FAIL_OVER_MAC).ok_or(Fault::Value("none, active or follow"))?;
            bond.fail_over_mac = Some(policy);
        }
        "ad_select" => {
            let selection =
                word(value, &SELECTIONS).ok_or(Fault::Value("stable, bandwidth or count"))?;
            bond.aggregator_selection = Some(selection);
        }
        "arp_interval" => {
            let interval = milliseconds(value)?;
            let targets = bond.arp_probes.take().map(|probes| probes.1);
            bond.arp_probes = Some((interval, targets.unwrap_or_default()));
        }
        "arp_ip_target" => {
            let targets: Option<Vec<Ipv4Addr>> = value
                .split([',', ';', ' '])
                .map(|target| target.trim_start_matches('+').parse().ok())
                .collect();
            let targets = targets.filter(|targets| targets.len() <= TARGETS);
            let targets = targets.ok_or(Fault::Value("IPv4 addresses, 16 at most"))?;
            let interval = bond.arp_probes.take().map(|probes| probes.0);
            bond.arp_probes = Some((interval.unwrap_or_default(), targets));
        }
        _ => return Err(Fault::Unknown),
    }
    Ok(())
}

/// See to it that somebody looks after the links of a bond whose every option was set, and drop what the kernel refuses
/// in this mode, with the bond: probes that are sent to nobody, a primary where all are used, LACP's rate without LACP.
pub(crate) fn complete(bond: &mut Bond) {
    let has_probes =
        |probes: &(Duration, Vec<Ipv4Addr>)| !probes.0.is_zero() && !probes.1.is_empty();
    let may_probe = bond.mode < LACP;
    bond.arp_probes = bond
        .arp_probes
        .take()
        .filter(|probes| may_probe && has_probes(probes));
    if bond.arp_probes.is_some() {
        // One excludes the other in the kernel, and delays belong to this one.
        (bond.miimon, bond.up_delay, bond.down_delay) = (None, None, None);
    } else if bond.miimon.is_none_or(|interval| interval.is_zero()) {
        bond.miimon = Some(MIIMON);
    }
    if ![ACTIVE_BACKUP, BALANCE_TLB, BALANCE_ALB].contains(&bond.mode) {
        bond.primary = None;
    }
    if bond.mode != LACP {
        bond.is_lacp_fast = None;
    }
}

/// A mode's name.
pub(crate) fn mode_name(mode: u8) -> &'static str {
    MODES.get(usize::from(mode)).copied().unwrap_or("?")
}

/// A hash policy's name.
pub(crate) fn hash_policy_name(policy: u8) -> &'static str {
    HASH_POLICIES
        .get(usize::from(policy))
        .copied()
        .unwrap_or("?")
}

/// The number of a word, or the number itself.
fn word(value: &str, words: &[&str]) -> Option<u8> {
    let place = words
        .iter()
        .position(|word| word.eq_ignore_ascii_case(value))
        .or_else(|| value.parse().ok().filter(|number| *number < words.len()))?;
    u8::try_from(place).ok()
}

/// A time that the kernel takes, which has 31 bits for it.
fn milliseconds(value: &str) -> Result<Duration, Fault> {
    value
        .parse()
        .ok()
        .filter(|number| *number <= i32::MAX as u64)
        .map(Duration::from_millis)
        .ok_or(Fault::Value("a number of milliseconds"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_words_or_numbers() {
        let mut bond = Bond::default();
        for (name, value) in [
            ("mode", "4"),
            ("lacp-rate", "fast"),
            ("xmit_hash_policy", "LAYER3+4"),
            ("miimon", "50"),
            ("updelay", "200"),
            ("downdelay", "100"),
            ("min_links", "1"),
            ("ad_select", "bandwidth"),
            ("fail_over_mac", "2"),
            ("primary", "eno1"),
        ] {
            set(&mut bond, name, value).unwrap();
        }
        let expected = Bond {
            members: vec![],
            mode: 4,
            miimon: Some(Duration::from_millis(50)),
            up_delay: Some(Duration::from_millis(200)),
            down_delay: Some(Duration::from_millis(100)),
            is_lacp_fast: Some(true),
            hash_policy: Some(1),
            fewest_links: Some(1),
            primary: Some("eno1".to_owned()),
            fail_over_mac: Some(2),
            aggregator_selection: Some(1),
            arp_probes: None,
        };
        assert_eq!(bond, expected);
    }

    #[test]
    fn what_cannot_be_set_changes_nothing() {
        let mut bond = Bond::default();
        for (name, value) in [
            ("mode", "7"),
            ("mode", "balance"),
            ("miimon", "-1"),
            ("miimon", "4294967296"),
            ("lacp_rate", "2"),
            ("arp_ip_target", "fd00::1"),
            ("arp_ip_target", ""),
        ] {
            assert!(
                matches!(set(&mut bond, name, value), Err(Fault::Value(_))),
                "{name}={value}"
            );
        }
        assert_eq!(set(&mut bond, "tlb_dynamic_lb", "1"), Err(Fault::Unknown));
        assert_eq!(bond, Bond::default());
    }

    #[test]
    fn somebody_looks_after_the_links() {
        let miimon = |options: &[(&str, &str)]| {
            let mut bond = Bond::default();
            for (name, value) in options {
                set(&mut bond, name, value).unwrap();
            }
            complete(&mut bond);
            (bond.miimon, bond.arp_probes.is_some())
        };
        assert_eq!(miimon(&[]), (Some(MIIMON), false));
        assert_eq!(miimon(&[("miimon", "0")]), (Some(MIIMON), false));
        assert_eq!(miimon(&[("arp_interval", "100")]), (Some(MIIMON), false));
        let probes = [
            ("arp_ip_target", "192.0.2.1;192.0.2.2"),
            ("arp_interval", "100"),
        ];
        assert_eq!(miimon(&probes), (None, true));
        let lacp = [probes[0], probes[1], ("mode", "802.3ad")];
        assert_eq!(miimon(&lacp), (Some(MIIMON), false));
    }
}
