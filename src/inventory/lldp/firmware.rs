//! Network cards whose firmware takes the announcements of switches for itself.

use farrier_plugin::NetworkInterface;

use crate::sys::ethtool::link_facts;
use crate::sys::root::Root;

/// Why this interface hears nothing although its link is up, and what can be done; `None` where its
/// driver is not known for it, or says that it is not so.
///
/// Nothing is switched off here: the setting is kept in the card across restarts, and the agent in
/// its firmware may be what negotiates lossless Ethernet (DCBX) for the system to be installed.
pub(super) fn hint(root: &Root, interface: &NetworkInterface) -> Option<String> {
    let name = &interface.name;
    let driver = interface.driver.as_deref()?;
    let flag = |flag: &str| link_facts(root, name).private_flags.get(flag).copied();
    let what_to_do = match driver {
        // Intel X710, XL710, XXV710, X722.
        "i40e" => switched_off_by(name, "disable-fw-lldp", flag("disable-fw-lldp"), true)?,
        // Intel E810, E822, E823, E830.
        "ice" => switched_off_by(name, "fw-lldp-agent", flag("fw-lldp-agent"), false)?,
        "enic" => "switch LLDP off for the adapter in the management controller (CIMC)".to_owned(),
        "mlx5_core" => {
            "set LLDP_NB_DCBX and LLDP_NB_RX_MODE of its ports to 0 (mlxconfig)".to_owned()
        }
        "bnx2x" | "bnxt_en" | "qede" => {
            "switch LLDP and DCBX off in the card's own setup of the firmware".to_owned()
        }
        _ => return None,
    };
    let sure = if matches!(driver, "i40e" | "ice") {
        "takes"
    } else {
        "may take"
    };
    Some(format!(
        "{name} has a link but heard no LLDP: the firmware of its card (driver {driver}) {sure} the \
         frames for itself; {what_to_do}"
    ))
}

/// `None` where the flag says already what it should: then the switch is silent. A driver or card
/// without the flag is too old for it.
fn switched_off_by(name: &str, flag: &str, now: Option<bool>, wanted: bool) -> Option<String> {
    let word = if wanted { "on" } else { "off" };
    match now {
        Some(now) if now == wanted => None,
        Some(_) => Some(format!("ethtool --set-priv-flags {name} {flag} {word}")),
        None => Some(format!(
            "update its firmware, which then can be told `ethtool --set-priv-flags {name} {flag} \
             {word}`"
        )),
    }
}
