//! Networks: addresses, routes, name servers; and the document's services.

use std::net::IpAddr;

use ipnet::IpNet;

use super::field::Field;
use super::links::Names;
use crate::net::plan::draft::{ADDRESSES, Draft, NAMES, ROUTES};
use crate::net::plan::problem::{Problem, Shown};
use crate::net::plan::{Addressing, Route, prefix};

const LEFT_OUT: &str = "this network is left out";
const ROUTE_LEFT_OUT: &str = "this route is left out";
const SERVER_LEFT_OUT: &str = "this name server is left out";

/// What a network makes of its link.
#[derive(Default)]
struct Network {
    /// `None` where it is there and says nothing of addresses.
    addressing: Option<Addressing>,
    routes: Vec<Route>,
    is_faulty: bool,
}

/// Read networks and services into the draft.
pub(super) fn read(document: &Field<'_>, names: &Names, draft: &mut Draft) {
    services(&document.get("services"), draft);
    let items = document
        .get("networks")
        .items(&mut draft.problems, "networks", ADDRESSES);
    for item in items {
        if item.object(&mut draft.problems, LEFT_OUT).is_none() {
            continue;
        }
        let Some(name) = link(&item, names, &mut draft.problems) else {
            continue;
        };
        let network = network(&item, &mut draft.problems);
        name_servers(&item, draft);
        let owner = draft
            .interfaces
            .iter_mut()
            .find(|drafted| drafted.interface.name == name);
        if let Some(owner) = owner {
            owner.is_faulty |= network.is_faulty;
            owner.interface.addressing.extend(network.addressing);
            owner.interface.routes.extend(network.routes);
        }
    }
}

/// The interface that a network is on.
fn link(item: &Field<'_>, names: &Names, problems: &mut Vec<Problem>) -> Option<String> {
    let link = item.get("link");
    if link.is_absent() {
        problems.push(item.lacks("link", LEFT_OUT));
        return None;
    }
    let Some(id) = link.scalar() else {
        problems.push(link.is_not("the id of a link", LEFT_OUT));
        return None;
    };
    match names.get(&id) {
        Some(Some(name)) => Some(name.clone()),
        _ => {
            problems.push(Problem::Unknown {
                place: Shown::new(&link.place),
                name: id.into(),
                outcome: LEFT_OUT,
            });
            None
        }
    }
}

fn network(item: &Field<'_>, problems: &mut Vec<Problem>) -> Network {
    let before = problems.len();
    let mut network = Network::default();
    let field = item.get("type");
    // Neutron's mode stands behind the family, and readers write it with both.
    let kind = field.text().unwrap_or_default().replace('-', "_");
    let addressing = match kind.as_str() {
        // static and static6 are cloud-init's own.
        "ipv4" | "static" => address(item, true, problems).map(Addressing::Static),
        "ipv6" | "static6" => address(item, false, problems).map(Addressing::Static),
        "ipv4_dhcp" | "dhcp" | "dhcp4" => Some(Addressing::Dhcp4),
        "ipv6_dhcp" | "ipv6_dhcpv6_stateful" | "dhcp6" => Some(Addressing::Dhcp6),
        "ipv6_slaac" | "ipv6_dhcpv6_stateless" => Some(Addressing::Advertised),
        "manual" => return network,
        _ => {
            problems.push(field.is_not("a type of networks", LEFT_OUT));
            None
        }
    };
    network.is_faulty = problems.len() > before;
    let Some(addressing) = addressing else {
        return network;
    };
    let is_ipv4 = match &addressing {
        Addressing::Static(address) => address.addr().is_ipv4(),
        addressing => *addressing == Addressing::Dhcp4,
    };
    network.routes = routes(item, is_ipv4, problems);
    if matches!(addressing, Addressing::Dhcp6 | Addressing::Advertised) {
        // Nova repeats the default route of the subnet; here routers advertise it, and their address may be one that
        // nobody can reach before they did.
        network
            .routes
            .retain(|route| route.destination.prefix_len() > 0);
    }
    network.addressing = Some(addressing);
    network
}

/// `ip_address`, whose prefix stands behind it, or in `netmask`.
fn address(item: &Field<'_>, is_ipv4: bool, problems: &mut Vec<Problem>) -> Option<IpNet> {
    let field = item.get("ip_address");
    if field.is_absent() {
        problems.push(item.lacks("ip_address", LEFT_OUT));
        return None;
    }
    let expected = if is_ipv4 {
        "an IPv4 address"
    } else {
        "an IPv6 address"
    };
    let text = field.text().unwrap_or_default().trim();
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    let address = address
        .parse()
        .ok()
        .filter(|address| prefix::is_host(*address));
    let Some(address) = address.filter(|address: &IpAddr| address.is_ipv4() == is_ipv4) else {
        problems.push(field.is_not(expected, LEFT_OUT));
        return None;
    };
    let mask = item.get("netmask");
    let length = match (length, mask.scalar()) {
        // Ironic's schema lets an IPv6 address have a prefix beside a mask; what is written to the address is nearer.
        (Some(length), _) => prefix::length(length, is_ipv4).or_else(|| {
            problems.push(field.is_not("an address with a prefix", LEFT_OUT));
            None
        })?,
        (None, Some(text)) => {
            prefix::length(text.trim_start_matches('/'), is_ipv4).or_else(|| {
                problems.push(mask.is_not("a network mask", LEFT_OUT));
                None
            })?
        }
        // That of nearly every IPv6 network (RFC 4291, 2.5.1); classes of IPv4 are gone.
        (None, None) if !is_ipv4 && mask.is_absent() => 64,
        (None, None) if mask.is_absent() => {
            problems.push(item.lacks("netmask", LEFT_OUT));
            return None;
        }
        (None, None) => {
            problems.push(mask.is_not("a network mask", LEFT_OUT));
            return None;
        }
    };
    IpNet::new(address, length).ok()
}

fn routes(item: &Field<'_>, is_ipv4: bool, problems: &mut Vec<Problem>) -> Vec<Route> {
    let mut routes = Vec::new();
    // Of cloud-init, which takes one for the default route.
    let field = item.get("gateway");
    if !field.is_absent() {
        let gateway = gateway(&field, is_ipv4, problems);
        routes.extend(gateway.map(|gateway| Route {
            destination: prefix::everything(is_ipv4),
            gateway: Some(gateway),
            metric: None,
        }));
    }
    let items = item.get("routes").items(problems, "routes", ROUTES);
    for item in items {
        if item.object(problems, ROUTE_LEFT_OUT).is_none() {
            continue;
        }
        routes.extend(route(&item, is_ipv4, problems));
    }
    routes
}

fn route(item: &Field<'_>, is_ipv4: bool, problems: &mut Vec<Problem>) -> Option<Route> {
    // The second is cloud-init's own.
    let field = [item.get("network"), item.get("destination")]
        .into_iter()
        .find(|field| !field.is_absent());
    let Some(field) = field else {
        problems.push(item.lacks("network", ROUTE_LEFT_OUT));
        return None;
    };
    let mask = item.get("netmask");
    let mask_text = mask.scalar();
    if mask_text.is_none() && !mask.is_absent() {
        problems.push(mask.is_not("a network mask", ROUTE_LEFT_OUT));
        return None;
    }
    let text = field.text().unwrap_or_default();
    let Some(destination) = prefix::network(text, mask_text.as_deref(), is_ipv4) else {
        problems.push(field.is_not("a network, with the mask beside it", ROUTE_LEFT_OUT));
        return None;
    };
    let field = item.get("gateway");
    let gateway = if field.is_absent() {
        None
    } else {
        Some(gateway(&field, is_ipv4, problems)?)
    };
    let metric = item
        .get("metric")
        .number()
        .and_then(|metric| u32::try_from(metric).ok());
    Some(Route {
        destination,
        gateway,
        metric,
    })
}

fn gateway(field: &Field<'_>, is_ipv4: bool, problems: &mut Vec<Problem>) -> Option<IpAddr> {
    let text = field.text().unwrap_or_default();
    // Ironic lets `fe80::1%eth0` through: the interface is the network's.
    let text = text.split('%').next().unwrap_or_default().trim();
    let address: Option<IpAddr> = text.parse().ok();
    let address =
        address.filter(|address| address.is_ipv4() == is_ipv4 && prefix::is_host(*address));
    if address.is_none() {
        problems.push(field.is_not("the address of a router of this family", ROUTE_LEFT_OUT));
    }
    address
}

/// Name servers of a network: by themselves, as services of it, and of its routes.
fn name_servers(item: &Field<'_>, draft: &mut Draft) {
    let field = item.get("dns_nameservers");
    for text in field.texts(&mut draft.problems, "name servers", NAMES) {
        server(&field, &text, draft);
    }
    services(&item.get("services"), draft);
    search(&item.get("dns_search"), draft);
    let Some(routes) = item.get("routes").value.as_array() else {
        return;
    };
    for (place, route) in routes.iter().take(ROUTES).enumerate() {
        let route = Field::new(format!("{}.routes[{place}]", item.place), route);
        services(&route.get("services"), draft);
    }
}

fn services(list: &Field<'_>, draft: &mut Draft) {
    for item in list.items(&mut draft.problems, "services", ROUTES) {
        if item
            .object(&mut draft.problems, "this service is left out")
            .is_none()
        {
            continue;
        }
        // There is no other in the schemas; what comes may be anything.
        if item.get("type").text() != Some("dns") {
            continue;
        }
        let field = item.get("address");
        for text in field.texts(&mut draft.problems, "name servers", NAMES) {
            server(&field, &text, draft);
        }
        search(&item.get("search"), draft);
    }
}

fn server(field: &Field<'_>, text: &str, draft: &mut Draft) {
    let address = text
        .parse()
        .ok()
        .filter(|address| prefix::is_host(*address));
    if address.is_none() {
        draft.problems.push(Problem::Value {
            place: Shown::new(&field.place),
            found: text.into(),
            expected: "the address of a name server",
            outcome: SERVER_LEFT_OUT,
        });
    }
    draft.name_servers.extend(address);
}

fn search(field: &Field<'_>, draft: &mut Draft) {
    // What is no domain the resolver leaves out; a blank would be another word to it.
    for domain in field.texts(&mut draft.problems, "domains", NAMES) {
        if domain.len() <= 255
            && domain
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && byte != b'#' && byte != b';')
        {
            draft.search.push(domain);
        } else {
            draft.problems.push(Problem::Value {
                place: Shown::new(&field.place),
                found: domain.into(),
                expected: "a domain",
                outcome: "it is left out",
            });
        }
    }
}
