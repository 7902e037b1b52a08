//! What a plan says of one interface.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::net::plan::{Addressing, Interface, Route};

/// Whether it is a fixed address.
pub(super) fn is_static(addressing: &Addressing) -> bool {
    matches!(addressing, Addressing::Static(_))
}

/// Whether routers are listened to, by dhcpcd.
pub(super) fn is_advertised(addressing: &Addressing) -> bool {
    matches!(
        addressing,
        Addressing::Advertised | Addressing::Dhcp6 | Addressing::Automatic
    )
}

/// The addresses that are given to an interface.
pub(super) fn statics(interface: &Interface) -> Vec<IpNet> {
    let each = interface.addressing.iter();
    each.filter_map(|addressing| match addressing {
        Addressing::Static(address) => Some(*address),
        _ => None,
    })
    .collect()
}

/// The gateway of a default route.
pub(super) fn default_gateway(route: &Route) -> Option<IpAddr> {
    route
        .gateway
        .filter(|_| route.destination.prefix_len() == 0)
}

/// A route, for people.
pub(super) fn route_text(route: &Route) -> String {
    match route.gateway {
        Some(gateway) => format!("{} via {gateway}", route.destination),
        None => route.destination.to_string(),
    }
}
