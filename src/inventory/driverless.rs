//! Network and storage devices that no driver has taken: why a server seems to have no network, or no disk.

use std::fmt;

use crate::sys::root::Root;

const DEVICES: &str = "/sys/bus/pci/devices";

/// A PCI device without a driver. Shows as `network card 0000:3b:00.0 (8086:1592)`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Driverless {
    /// Address with domain: `0000:3b:00.0`.
    pub address: String,
    /// Vendor and device, hexadecimal: `8086:1592`.
    pub ids: String,
    /// What it is, by its PCI class.
    pub kind: Kind,
}

/// What a server cannot be deployed without.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// Class 02, and InfiniBand (0c06).
    Network,
    /// Class 01, and Fibre Channel (0c04).
    Storage,
}

impl fmt::Display for Driverless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Network => "network card",
            Kind::Storage => "storage controller",
        };
        write!(f, "{kind} {} ({})", self.address, self.ids)
    }
}

/// All of them, ordered by address. Virtual functions are left out: they wait for a guest.
pub(crate) fn driverless(root: &Root) -> Vec<Driverless> {
    let names = root.names(DEVICES);
    names
        .into_iter()
        .filter_map(|address| look(root, address))
        .collect()
}

fn look(root: &Root, address: String) -> Option<Driverless> {
    let place = format!("{DEVICES}/{address}");
    let number = |name: &str| {
        let text = root.attribute(format!("{place}/{name}"))?;
        Some(text.strip_prefix("0x")?.to_owned())
    };
    let class = number("class")?;
    let kind = match (class.get(..2)?, class.get(..4)?) {
        ("02", _) | (_, "0c06") => Kind::Network,
        ("01", _) | (_, "0c04") => Kind::Storage,
        _ => return None,
    };
    let is_taken = ["driver", "physfn"]
        .iter()
        .any(|link| root.exists(format!("{place}/{link}")));
    if is_taken {
        return None;
    }
    let ids = format!("{}:{}", number("vendor")?, number("device")?);
    Some(Driverless { address, ids, kind })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::recording::Recording;

    #[test]
    fn devices_that_a_server_needs_are_named_where_no_driver_has_them() {
        let device = |address: &str, class: &str, more: &str| {
            format!(
                "{DEVICES}/{address}/class = 0x{class}\n{DEVICES}/{address}/vendor = 0x1af4\n\
                 {DEVICES}/{address}/device = 0x1041\n{more}"
            )
        };
        let recording = Recording::unpack(
            &[
                device("0000:00:01.0", "020000", ""),
                device("0000:00:02.0", "010400", ""),
                device("0000:00:03.0", "0c0400", ""),
                device("0000:00:04.0", "020700", ""),
                // Graphics, one that is driven, a virtual function, one that is half there.
                device("0000:00:05.0", "030000", ""),
                device(
                    "0000:00:06.0",
                    "020000",
                    &format!("{DEVICES}/0000:00:06.0/driver/\n"),
                ),
                device(
                    "0000:00:07.0",
                    "020000",
                    &format!("{DEVICES}/0000:00:07.0/physfn/\n"),
                ),
                format!("{DEVICES}/0000:00:08.0/class = 0x020000\n"),
            ]
            .join("\n"),
        );
        let shown: Vec<String> = driverless(&recording.root())
            .iter()
            .map(Driverless::to_string)
            .collect();
        assert_eq!(
            shown,
            [
                "network card 0000:00:01.0 (1af4:1041)",
                "storage controller 0000:00:02.0 (1af4:1041)",
                "storage controller 0000:00:03.0 (1af4:1041)",
                "network card 0000:00:04.0 (1af4:1041)",
            ]
        );
        assert!(driverless(&Recording::unpack("/sys/").root()).is_empty());
    }
}
