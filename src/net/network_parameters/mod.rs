//! Parameters of the kernel line in dracut's grammar (dracut.cmdline(7), section Network) to a plan.
//!
//! dracut itself gave the answers of `tests/fixtures/dracut_lines/cases.json`; where this differs, a reason stands there.
//! The keys repeat, so that this reads the line and not [`KernelParameters`](crate::config::KernelParameters), which keep
//! the last of each.

mod devices;
mod faults;
mod ip;
mod words;

#[cfg(test)]
mod cases;
#[cfg(test)]
mod tests;

use std::net::IpAddr;

use ipnet::IpNet;

use super::plan::draft::{Draft, Reading};
use super::plan::problem::Problem;
use super::plan::{Route, prefix};
use devices::Devices;
use faults::is_not;
use words::unbracketed;

/// Bytes that are read. The kernel's own line has 2048 at most (`COMMAND_LINE_SIZE`), virtual media add theirs.
const LIMIT: usize = 1 << 16;

/// Parameters that are taken.
const PARAMETERS: usize = 1024;

/// How messages call them.
const ORIGIN: &str = "kernel parameters";

/// Read those that are about the network; an empty plan where there are none.
pub(crate) fn read(line: &str) -> Reading {
    let mut draft = Draft::new(ORIGIN);
    if line.len() > LIMIT {
        draft.problems.push(Problem::TooLarge {
            origin: ORIGIN,
            bytes: line.len(),
            limit: LIMIT,
        });
        return draft.finish();
    }
    // `ip=eth0:none` is one.
    draft.is_silence_meant = true;
    let mut words: Vec<(String, String)> = words::split(line);
    words.retain(|(key, _)| KEYS.contains(&key.as_str()));
    if words.len() > PARAMETERS {
        draft.problems.push(Problem::TooMany {
            origin: ORIGIN,
            what: "parameters",
            limit: PARAMETERS,
        });
        words.truncate(PARAMETERS);
    }
    let all = |wanted: &'static str| {
        let words = words.iter();
        words
            .filter(move |(key, _)| key == wanted)
            .map(|(_, value)| value.as_str())
    };
    let last = |wanted| all(wanted).next_back();
    let mut devices = Devices::default();
    for value in all("ifname") {
        devices.name_card(value, &mut draft.problems);
    }
    for key in ["team", "bridge"] {
        for value in all(key) {
            devices.refuse(key, value, &mut draft.problems);
        }
    }
    for value in all("bond") {
        devices.bond(value, &mut draft.problems);
    }
    for value in all("vlan") {
        devices.vlan(value, &mut draft.problems);
    }
    let mut lines: Vec<ip::Line> = Vec::new();
    for value in all("ip") {
        lines.extend(ip::read(value, &last, &mut draft));
    }
    for line in &lines {
        devices.address(line, &mut draft.problems);
    }
    for value in all("rd.route") {
        route(value, &mut devices, &mut draft);
    }
    for value in all("nameserver") {
        let address = unbracketed(value)
            .parse()
            .ok()
            .filter(|address| prefix::is_host(*address));
        if address.is_none() {
            draft
                .problems
                .push(is_not("nameserver", value, "the address of a name server"));
        }
        draft.name_servers.extend(address);
    }
    if last("rd.peerdns").is_some_and(|value| ["0", "no", "off"].contains(&value)) {
        draft.problems.push(Problem::Unsupported {
            place: "rd.peerdns=0".into(),
            what: "name servers that DHCP names are asked after those of nameserver=",
        });
    }
    draft.first = match last("bootdev") {
        Some(name) => devices.find(name),
        // What a person names comes before what the boot loader adds, and that before the order of a list.
        None if is_boot_interface_named(last("BOOTIF"), last("rd.bootif")) => None,
        None => lines
            .iter()
            .find_map(|line| devices.find(line.device.as_deref()?)),
    };
    if let Some(name) = last("bootdev").filter(|_| draft.first.is_none()) {
        draft.problems.push(Problem::Unknown {
            place: "bootdev".into(),
            name: name.into(),
            outcome: "the default route is that of BOOTIF or of the first that is told one",
        });
    }
    devices.into_draft(&mut draft);
    draft.finish()
}

/// All that is read; `rd.neednet` and the timeouts say nothing that matters here: the agent always needs a network, and
/// waits for it as long as it takes.
const KEYS: [&str; 16] = [
    "ip",
    "bond",
    "vlan",
    "team",
    "bridge",
    "ifname",
    "nameserver",
    "rd.route",
    "rd.peerdns",
    "bootdev",
    "BOOTIF",
    "rd.bootif",
    "gateway",
    "netmask",
    "ksdevice",
    "mtu",
];

fn is_boot_interface_named(interface: Option<&str>, is_wanted: Option<&str>) -> bool {
    interface.is_some_and(|interface| !interface.is_empty())
        && !is_wanted.is_some_and(|value| ["0", "no", "off"].contains(&value))
}

/// `NET/MASK:GATEWAY[:INTERFACE]`.
fn route(value: &str, devices: &mut Devices, draft: &mut Draft) {
    let place = "rd.route";
    let fields = words::fields(value);
    let (network, gateway, device) = match fields.as_slice() {
        [network, gateway] => (network, gateway, None),
        [network, gateway, device] => (
            network,
            gateway,
            Some(device).filter(|device| !device.is_empty()),
        ),
        _ => {
            draft.problems.push(is_not(
                place,
                value,
                "a network, a gateway and an interface",
            ));
            return;
        }
    };
    let is_ipv4 = !network.contains(':');
    let destination: Option<IpNet> = match network.as_str() {
        "default" => gateway
            .parse()
            .ok()
            .map(|gateway: IpAddr| prefix::everything(gateway.is_ipv4())),
        network => prefix::network(network, None, is_ipv4),
    };
    let Some(destination) = destination else {
        draft.problems.push(is_not(place, network, "a network"));
        return;
    };
    let mut route = Route {
        destination,
        gateway: None,
        metric: None,
    };
    if !gateway.is_empty() {
        let address = gateway.parse().ok().filter(|address: &IpAddr| {
            address.is_ipv4() == destination.addr().is_ipv4() && prefix::is_host(*address)
        });
        if address.is_none() {
            draft.problems.push(is_not(
                place,
                gateway,
                "the address of a router of this family",
            ));
            return;
        }
        route.gateway = address;
    }
    match device {
        Some(device) => devices.add_route(device, route, &mut draft.problems),
        None if route.gateway.is_none() => {
            draft
                .problems
                .push(is_not(place, value, "a route by a gateway or an interface"));
        }
        None => draft.routes.push(route),
    }
}
