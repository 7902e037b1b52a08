//! The management controller's addresses.

use std::net::{Ipv4Addr, Ipv6Addr};

use tracing::{debug, warn};

use crate::sys::hex;
use crate::sys::ipmi::{Ipmi, IpmiError};
use crate::sys::root::Root;

/// Channels that can be a LAN: 0 is the bus inside the machine, 12 and up are special (IPMI 2.0,
/// 6.3).
const CHANNELS: std::ops::RangeInclusive<u8> = 1..=11;

/// Get LAN Configuration Parameters (IPMI 2.0, 23.2).
const TRANSPORT: u8 = 0x0c;
const GET_LAN_PARAMETERS: u8 = 0x02;

/// LAN parameters (IPMI 2.0, table 23-4).
const IP_ADDRESS: u8 = 3;
const MAC_ADDRESS: u8 = 5;
const IPV6_ENABLES: u8 = 51;
const IPV6_STATUS: u8 = 55;
const IPV6_STATIC: u8 = 56;
const IPV6_DYNAMIC: u8 = 59;

/// No controller has more addresses than this on one channel; a broken answer could say 255.
const MOST_ADDRESSES: u8 = 16;

/// What the management controller says of its own network (contract/data-plane 8.5).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Bmc {
    /// IPv4 address; `0.0.0.0` where no channel has one.
    pub address: Option<String>,
    /// IPv6 address; `::/0` where no channel has one.
    pub v6address: Option<String>,
    /// MAC of the first channel with a usable address.
    pub mac: Option<String>,
}

/// Ask the management controller. Everything is `None` on a machine without an IPMI device, and
/// where the controller does not answer.
pub(crate) fn bmc(root: &Root) -> Bmc {
    let Some(mut ipmi) = Ipmi::open(root) else {
        debug!("no IPMI device: no management controller to report");
        return Bmc::default();
    };
    let mut ask = |channel, parameter, set| lan_parameter(&mut ipmi, channel, parameter, set);
    match read_channels(&mut ask) {
        Ok(bmc) => bmc,
        Err(error) => {
            warn!(%error, "cannot read the management controller's addresses");
            Bmc::default()
        }
    }
}

/// Gives the data of a LAN parameter by channel, number and set; `None` where the controller
/// refuses.
type Ask<'a> = dyn FnMut(u8, u8, u8) -> Result<Option<Vec<u8>>, IpmiError> + 'a;

pub(super) fn read_channels(ask: &mut Ask<'_>) -> Result<Bmc, IpmiError> {
    let mut bmc = Bmc::default();
    for channel in CHANNELS {
        let Some(ipv4) = ask(channel, IP_ADDRESS, 0)? else {
            continue;
        };
        let ipv4 = <[u8; 4]>::try_from(ipv4.as_slice())
            .ok()
            .map(Ipv4Addr::from)
            .filter(|address| !address.is_unspecified());
        let ipv6 = ipv6_address(ask, channel)?;
        if bmc.mac.is_none() && (ipv4.is_some() || ipv6.is_some_and(is_reachable)) {
            bmc.mac = ask(channel, MAC_ADDRESS, 0)?.and_then(|mac| mac_text(&mac));
        }
        bmc.address = bmc
            .address
            .or_else(|| ipv4.map(|address| address.to_string()));
        bmc.v6address = bmc
            .v6address
            .or_else(|| ipv6.map(|address| address.to_string()));
        if bmc.address.is_some() && bmc.v6address.is_some() {
            break;
        }
    }
    bmc.address.get_or_insert_with(|| "0.0.0.0".to_owned());
    bmc.v6address.get_or_insert_with(|| "::/0".to_owned());
    Ok(bmc)
}

/// The first active address: dynamic ones before static ones, as the reference asks for them.
fn ipv6_address(ask: &mut Ask<'_>, channel: u8) -> Result<Option<Ipv6Addr>, IpmiError> {
    let enabled = ask(channel, IPV6_ENABLES, 0)?.and_then(|enables| enables.first().copied());
    // 1: IPv6 only, 2: both.
    if !matches!(enabled, Some(1 | 2)) {
        return Ok(None);
    }
    let status = ask(channel, IPV6_STATUS, 0)?.unwrap_or_default();
    let count = |at: usize| status.get(at).copied().unwrap_or(1).min(MOST_ADDRESSES);
    for (parameter, count) in [(IPV6_DYNAMIC, count(1)), (IPV6_STATIC, count(0))] {
        for set in 0..count {
            let answer = ask(channel, parameter, set)?;
            if let Some(address) = answer.and_then(|answer| active_address(parameter, &answer)) {
                return Ok(Some(address));
            }
        }
    }
    Ok(None)
}

/// Set selector, source, address, prefix length, status (IPMI 2.0, table 23-4, 56 and 59).
fn active_address(parameter: u8, answer: &[u8]) -> Option<Ipv6Addr> {
    let source = *answer.get(1)?;
    let octets: [u8; 16] = answer.get(2..18)?.try_into().ok()?;
    let status = *answer.get(19)?;
    let known_source = if parameter == IPV6_STATIC {
        source & 0x80 != 0
    } else {
        // SLAAC and DHCPv6.
        matches!(source & 0x0f, 1 | 2)
    };
    let address = Ipv6Addr::from(octets);
    (known_source && status == 0 && !address.is_unspecified()).then_some(address)
}

/// Whether it can be an address to find the controller by; link-local ones cannot.
fn is_reachable(address: Ipv6Addr) -> bool {
    !address.is_unicast_link_local() && !address.is_loopback()
}

/// The parameter's data; `None` where the controller refuses (no such channel or parameter).
fn lan_parameter(
    ipmi: &mut Ipmi,
    channel: u8,
    parameter: u8,
    set: u8,
) -> Result<Option<Vec<u8>>, IpmiError> {
    match ipmi.request(TRANSPORT, GET_LAN_PARAMETERS, &[channel, parameter, set, 0]) {
        // The first byte is the parameter's revision.
        Ok(answer) => Ok(answer.get(1..).map(<[u8]>::to_vec)),
        Err(IpmiError::Refused { .. } | IpmiError::NotRecorded { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn mac_text(mac: &[u8]) -> Option<String> {
    if mac.len() != 6 || mac.iter().all(|byte| *byte == 0) {
        return None;
    }
    Some(hex::with_colons(mac))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::recording::Recording;

    fn bmc_of(answers: &str) -> Bmc {
        bmc(&Recording::unpack(&format!("/recorded/ipmi.json = {answers}")).root())
    }

    #[test]
    fn the_first_channel_with_an_address_counts() {
        let bmc = bmc_of(
            r#"{"0c02 01030000": "001100000000", "0c02 01050000": "0011aabbccddeeff",
                "0c02 03030000": "0011c0000283", "0c02 03050000": "00113cecefaabbcc",
                "0c02 03330000": "001102", "0c02 03370000": "0011010101",
                "0c02 033b0000": "0011000220010db80000000000000000000001314000"}"#
                .replace('\n', " ")
                .as_str(),
        );
        assert_eq!(bmc.address.as_deref(), Some("192.0.2.131"));
        assert_eq!(bmc.v6address.as_deref(), Some("2001:db8::131"));
        assert_eq!(bmc.mac.as_deref(), Some("3c:ec:ef:aa:bb:cc"));
    }

    #[test]
    fn a_controller_without_a_network_has_placeholders() {
        let bmc = bmc_of(r#"{"0c02 01030000": "001100000000"}"#);
        assert_eq!(bmc.address.as_deref(), Some("0.0.0.0"));
        assert_eq!(bmc.v6address.as_deref(), Some("::/0"));
        assert_eq!(bmc.mac, None);
    }

    #[test]
    fn an_inactive_address_is_none() {
        let mut answer = [0u8; 20];
        answer[1] = 0x80;
        answer[2] = 0xfd;
        assert!(active_address(IPV6_STATIC, &answer).is_some());
        assert!(active_address(IPV6_DYNAMIC, &answer).is_none());
        answer[19] = 1;
        assert!(active_address(IPV6_STATIC, &answer).is_none());
        assert!(active_address(IPV6_STATIC, &answer[..19]).is_none());
    }

    #[test]
    fn no_device_is_no_controller() {
        assert_eq!(bmc(&Recording::unpack("/dev/x/").root()), Bmc::default());
    }
}
