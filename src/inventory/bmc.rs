//! The management controller's addresses.

use crate::sys::root::Root;

/// What the management controller says of its own network (contract/data-plane 8.5).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Bmc {
    /// IPv4 address.
    pub address: Option<String>,
    /// IPv6 address.
    pub v6address: Option<String>,
    /// MAC.
    pub mac: Option<String>,
}

/// Ask the management controller. Everything is `None` on a machine without an IPMI device.
pub fn bmc(_root: &Root) -> Bmc {
    Bmc::default()
}
