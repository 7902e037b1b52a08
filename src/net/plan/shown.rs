//! A plan in words, a line for each interface: for the console, the log, and tests.

use std::fmt;

use super::{Addressing, Bond, Card, Interface, Kind, Plan, Route, bond_option};

impl fmt::Display for Plan {
    /// An interface a line; what belongs to none comes last.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines: Vec<String> = self.interfaces.iter().map(ToString::to_string).collect();
        lines.extend(self.routes.iter().map(|route| format!("route {route}")));
        lines.extend(
            self.first
                .iter()
                .map(|first| format!("default route: that of {first}")),
        );
        lines.extend(listed("name servers", &self.name_servers));
        lines.extend(listed("search", &self.search));
        f.write_str(&lines.join("\n"))
    }
}

impl fmt::Display for Interface {
    /// `bond0.5: VLAN 5 of bond0, packets of 9000 bytes, 192.0.2.5/24, 0.0.0.0/0 via 192.0.2.1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = vec![match &self.kind {
            Kind::Card(Card::Address {
                address,
                renamed: false,
            }) => format!("card {address}"),
            Kind::Card(Card::Address {
                address,
                renamed: true,
            }) => {
                format!("card {address}, which gets this name")
            }
            Kind::Card(Card::Name) => "the card of this name".to_owned(),
            Kind::Card(Card::First) => "the first card with a link".to_owned(),
            Kind::Card(Card::AnyOther) => "every other card".to_owned(),
            Kind::Bond(bond) => bond.to_string(),
            Kind::Vlan { below, id } => format!("VLAN {id} of {below}"),
        }];
        parts.extend(
            self.hardware_address
                .map(|address| format!("hardware address {address}")),
        );
        parts.extend(self.mtu.map(|mtu| format!("packets of {mtu} bytes")));
        parts.extend(self.addressing.iter().map(ToString::to_string));
        parts.extend(self.routes.iter().map(ToString::to_string));
        write!(f, "{}: {}", self.name, parts.join(", "))
    }
}

impl fmt::Display for Bond {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "bond of {} ({}",
            self.members.join(" and "),
            bond_option::mode_name(self.mode)
        )?;
        let milliseconds = |name: &str, value: Option<std::time::Duration>| {
            value.map(|value| format!("{name} {}", value.as_millis()))
        };
        let mut options: Vec<String> = Vec::new();
        options.extend(milliseconds("miimon", self.miimon));
        options.extend(milliseconds("updelay", self.up_delay));
        options.extend(milliseconds("downdelay", self.down_delay));
        options.extend(
            self.is_lacp_fast
                .map(|is_fast| format!("lacp_rate {}", u8::from(is_fast))),
        );
        options.extend(
            self.hash_policy.map(|policy| {
                format!("xmit_hash_policy {}", bond_option::hash_policy_name(policy))
            }),
        );
        options.extend(self.fewest_links.map(|links| format!("min_links {links}")));
        options.extend(
            self.primary
                .iter()
                .map(|primary| format!("primary {primary}")),
        );
        options.extend(
            self.fail_over_mac
                .map(|policy| format!("fail_over_mac {policy}")),
        );
        options.extend(
            self.aggregator_selection
                .map(|selection| format!("ad_select {selection}")),
        );
        if let Some((interval, targets)) = &self.arp_probes {
            let targets: Vec<String> = targets.iter().map(ToString::to_string).collect();
            options.push(format!(
                "arp_interval {} to {}",
                interval.as_millis(),
                targets.join(" and ")
            ));
        }
        for option in options {
            write!(f, ", {option}")?;
        }
        f.write_str(")")
    }
}

impl fmt::Display for Addressing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Static(address) => address.fmt(f),
            Self::Dhcp4 => f.write_str("DHCP"),
            Self::Dhcp6 => f.write_str("DHCPv6"),
            Self::Advertised => f.write_str("router advertisements"),
            Self::Automatic => f.write_str("whatever it is told"),
        }
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.destination)?;
        if let Some(gateway) = self.gateway {
            write!(f, " via {gateway}")?;
        }
        if let Some(metric) = self.metric {
            write!(f, " metric {metric}")?;
        }
        Ok(())
    }
}

fn listed(what: &str, items: &[impl ToString]) -> Option<String> {
    let items: Vec<String> = items.iter().map(ToString::to_string).collect();
    (!items.is_empty()).then(|| format!("{what}: {}", items.join(" ")))
}
